"""Images: found, decoded once, divided by class."""

from .array_file import ArrayFile
from .decoded import DecodedSet, Progress, Source, fingerprint, unseen
from .image_set import DataError, ImageSet
from .loading import DATASETS, TrialData, default_cache_dir, load_trial_data
from .preprocessing import Preprocessing
from .sides import receive_side
from .splits import Split, split_classes

__all__ = [
    "DATASETS",
    "ArrayFile",
    "DataError",
    "DecodedSet",
    "ImageSet",
    "Preprocessing",
    "Progress",
    "Source",
    "Split",
    "TrialData",
    "default_cache_dir",
    "fingerprint",
    "load_trial_data",
    "receive_side",
    "split_classes",
    "unseen",
]
