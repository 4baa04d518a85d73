"""What to try next: samplers by name, each over the recipes of a space."""

from .draft import SpaceExhausted
from .recipe_sampler import RecipeSampler
from .registry import SAMPLERS, build_sampler

__all__ = ["SAMPLERS", "RecipeSampler", "SpaceExhausted", "build_sampler"]
