"""Random changes of a batch of images, on the device that holds it."""

from .pipeline import AUGMENTATIONS, augment, is_on

__all__ = ["AUGMENTATIONS", "augment", "is_on"]
