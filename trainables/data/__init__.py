"""Images: found, decoded once, divided by class.

The names are imported at their first use: an exported model needs the preprocessing alone, and
none of the libraries that find and keep images.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .array_file import ArrayFile
    from .decoded import DecodedSet, Progress, Source, fingerprint, unseen
    from .image_set import DataError, ImageSet
    from .loading import DATASETS, TrialData, default_cache_dir, load_trial_data
    from .preprocessing import Preprocessing
    from .series_preprocessing import SeriesPreprocessing, read_preprocessing
    from .sides import receive_side
    from .split_lists import PUBLISHED
    from .splits import Split, split_classes

__all__ = [
    "DATASETS",
    "PUBLISHED",
    "ArrayFile",
    "DataError",
    "DecodedSet",
    "ImageSet",
    "Preprocessing",
    "Progress",
    "SeriesPreprocessing",
    "Source",
    "Split",
    "TrialData",
    "default_cache_dir",
    "fingerprint",
    "load_trial_data",
    "read_preprocessing",
    "receive_side",
    "split_classes",
    "unseen",
]

_MODULE_OF = {
    **dict.fromkeys(("SeriesPreprocessing", "read_preprocessing"), ".series_preprocessing"),
    "ArrayFile": ".array_file",
    **dict.fromkeys(("DecodedSet", "Progress", "Source", "fingerprint", "unseen"), ".decoded"),
    **dict.fromkeys(("DataError", "ImageSet"), ".image_set"),
    **dict.fromkeys(("DATASETS", "TrialData", "default_cache_dir", "load_trial_data"), ".loading"),
    "Preprocessing": ".preprocessing",
    "receive_side": ".sides",
    "PUBLISHED": ".split_lists",
    **dict.fromkeys(("Split", "split_classes"), ".splits"),
}


def __getattr__(name: str) -> object:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(module, __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
