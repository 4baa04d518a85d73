"""The images of a study, as its trials get them: train and validation, never test."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path

from ...spaces import DataConfig
from .cache import CachedSet, decode_with_cache
from .clouds import CloudSource
from .decoded import Progress, Source, unseen
from .folder import open_folder
from .glyphs import GlyphSource
from .image_set import ImageSet
from .item_split import split_items
from .omniglot import open_omniglot
from .preprocessing import Preprocessing
from .series import SeriesSource
from .series_preprocessing import SeriesPreprocessing
from .sides import map_sides
from .splits import Split, describe_split, split_classes
from .storage import is_mapped

DATASETS: dict[str, Callable[[DataConfig], Source]] = {
    "clouds": CloudSource,
    "folder": open_folder,
    "glyphs": GlyphSource,
    "omniglot": open_omniglot,
    "series": SeriesSource,
}
"""`data.name` to what finds the images; it decodes nothing before it is asked to."""


@dataclass(frozen=True, eq=False)
class TrialData:
    """What a trial may see of a data set. The images of the test side are not here.

    Attributes:
        train: Images of the training classes.
        validation: Images of the classes that score the trials; no class is in both, but under a
            split by item.
        fingerprint: SHA-256 of the whole decoded set, test side included; the same for a folder
            and a zip of it, wherever they lie.
        split_digest: SHA-256 of the manifest that divides the classes.
        notes: What was skipped or decided on the way, one line each, for the user to read.
        preprocessing: What was done to each picture or series; an export repeats it.
    """

    train: ImageSet
    validation: ImageSet
    fingerprint: str
    split_digest: str
    notes: tuple[str, ...]
    preprocessing: Preprocessing | SeriesPreprocessing


def load_trial_data(
    config: DataConfig, cache_dir: Path | None = None, progress: Progress = unseen
) -> TrialData:
    """Decode a data set, or take it from the cache, and divide its classes.

    Args:
        config: Which images, decoded and divided how, kept where.
        cache_dir: Where decoded sets are kept; the user's cache folder by default.
        progress: Told how far the decoding is, where there is any.

    Returns:
        Copies of the train and validation images, the test images left behind: in memory, or
        mapped from files where they would take too much of it.

    Raises:
        DataError: The data cannot be used; the message says which rule failed and the fix.
    """
    cached = decode(config, cache_dir, progress)
    image_set = cached.decoded.image_set
    if config.split.by == "item":
        items = split_items(image_set, config.split)
        return TrialData(
            train=image_set.items(items.train),
            validation=image_set.items(items.validation),
            fingerprint=cached.fingerprint,
            split_digest=items.digest,
            notes=cached.decoded.notes,
            preprocessing=cached.decoded.preprocessing,
        )
    split = split_classes(image_set, config.split)
    train, validation, note = _sides(cached, split, config)
    return TrialData(
        train=train,
        validation=validation,
        fingerprint=cached.fingerprint,
        split_digest=split.digest,
        notes=(*cached.decoded.notes, *describe_split(split, image_set, config.split), *note),
        preprocessing=cached.decoded.preprocessing,
    )


def decode(config: DataConfig, cache_dir: Path | None, progress: Progress) -> CachedSet:
    """The whole decoded set, test side included, from the cache or put there."""
    return decode_with_cache(
        DATASETS[config.name](config),
        config,
        default_cache_dir() if cache_dir is None else cache_dir,
        progress,
        is_checked=lambda size: not is_mapped(config.storage, size),
    )


def default_cache_dir() -> Path:
    """Where decoded sets are kept."""
    return user_cache_path("tripletune") / "decoded"


def _sides(
    cached: CachedSet, split: Split, config: DataConfig
) -> tuple[ImageSet, ImageSet, list[str]]:
    """Train and validation images, and a note on where they are, if not in memory."""
    image_set, notes = cached.decoded.image_set, []
    num_seen = sum(
        int(count)
        for name, count in zip(image_set.classes, image_set.class_counts, strict=True)
        if name in {*split.train, *split.validation}
    )
    size = num_seen * int(image_set.images[:1].nbytes)
    if is_mapped(config.storage, size):
        try:
            train, validation = map_sides(cached, split)
        except OSError as error:
            notes.append(f"kept in memory, since the images cannot be mapped: {error}")
        else:
            return train, validation, [f"images are mapped from files ({size / 2**30:.1f} GiB)"]
    return image_set.subset(split.train), image_set.subset(split.validation), notes
