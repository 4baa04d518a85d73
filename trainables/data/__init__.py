"""Images: found, decoded once, divided by class."""

from .decoded import DecodedSet, Source, fingerprint
from .image_set import DataError, ImageSet
from .loading import DATASETS, TrialData, load_trial_data
from .preprocessing import Preprocessing
from .splits import Split, split_classes

__all__ = [
    "DATASETS",
    "DataError",
    "DecodedSet",
    "ImageSet",
    "Preprocessing",
    "Source",
    "Split",
    "TrialData",
    "fingerprint",
    "load_trial_data",
    "split_classes",
]
