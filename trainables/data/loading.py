"""The images of a study, as its trials get them: train and validation, never test."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path

from ...spaces import DataConfig
from .cache import decode_with_cache
from .decoded import Source
from .folder import open_folder
from .glyphs import GlyphSource
from .image_set import ImageSet
from .omniglot import open_omniglot
from .preprocessing import Preprocessing
from .splits import describe_split, split_classes

DATASETS: dict[str, Callable[[DataConfig], Source]] = {
    "folder": open_folder,
    "glyphs": GlyphSource,
    "omniglot": open_omniglot,
}
"""`data.name` to what finds the images; it decodes nothing before it is asked to."""


@dataclass(frozen=True, eq=False)
class TrialData:
    """What a trial may see of a data set. The images of the test side are not here.

    Attributes:
        train: Images of the training classes.
        validation: Images of the classes that score the trials; no class is in both.
        fingerprint: SHA-256 of the whole decoded set, test side included; the same for a folder
            and a zip of it, wherever they lie.
        split_digest: SHA-256 of the manifest that divides the classes.
        notes: What was skipped or decided on the way, one line each, for the user to read.
        preprocessing: What was done to each picture; an export repeats it.
    """

    train: ImageSet
    validation: ImageSet
    fingerprint: str
    split_digest: str
    notes: tuple[str, ...]
    preprocessing: Preprocessing


def load_trial_data(config: DataConfig, cache_dir: Path | None = None) -> TrialData:
    """Decode a data set, or take it from the cache, and divide its classes.

    Args:
        config: Which images, decoded and divided how.
        cache_dir: Where decoded sets are kept; the user's cache folder by default.

    Returns:
        Copies of the train and validation images, the test images left behind.

    Raises:
        DataError: The data cannot be used; the message says which rule failed and the fix.
    """
    source = DATASETS[config.name](config)
    folder = user_cache_path("tripletune") / "decoded" if cache_dir is None else cache_dir
    decoded, fingerprint = decode_with_cache(source, config, folder)
    image_set = decoded.image_set
    split = split_classes(image_set, config.split)
    return TrialData(
        train=image_set.subset(split.train),
        validation=image_set.subset(split.validation),
        fingerprint=fingerprint,
        split_digest=split.digest,
        notes=(*decoded.notes, *describe_split(split, image_set, config.split)),
        preprocessing=decoded.preprocessing,
    )
