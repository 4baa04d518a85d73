"""What may be tried: the recipe of one trial, and the space of recipes that a search samples."""

from .compatibility import LARGEST_UNIT_DISTANCE, LOSSES, MINERS, Distance, LossFacts, MinerFacts
from .distributions import Choice, Distribution, Int, LogUniform, Uniform
from .objective import (
    Contrastive,
    LossConfig,
    MinerConfig,
    MinerName,
    NTXent,
    ObjectiveConfig,
    SigmoidPair,
    SoftNearestNeighbor,
    SoftTriplet,
    SupCon,
    Triplet,
)
from .recipe import (
    AugmentConfig,
    BatchConfig,
    BudgetConfig,
    ComputeConfig,
    Conv4,
    DataConfig,
    EncoderConfig,
    EvaluationConfig,
    OptimizerConfig,
    Recipe,
    ResNet18,
    SplitConfig,
)
from .recipe_yaml import recipe_from_yaml, recipe_to_yaml
from .schema import space_schema
from .sections import Choose, Parameter
from .source import SpaceError, Value
from .space import Space, preset_names
from .tree import render_losses, render_tree

__all__ = [
    "LARGEST_UNIT_DISTANCE",
    "LOSSES",
    "MINERS",
    "AugmentConfig",
    "BatchConfig",
    "BudgetConfig",
    "Choice",
    "Choose",
    "ComputeConfig",
    "Contrastive",
    "Conv4",
    "DataConfig",
    "Distance",
    "Distribution",
    "EncoderConfig",
    "EvaluationConfig",
    "Int",
    "LogUniform",
    "LossConfig",
    "LossFacts",
    "MinerConfig",
    "MinerFacts",
    "MinerName",
    "NTXent",
    "ObjectiveConfig",
    "OptimizerConfig",
    "Parameter",
    "Recipe",
    "ResNet18",
    "SigmoidPair",
    "SoftNearestNeighbor",
    "SoftTriplet",
    "Space",
    "SpaceError",
    "SplitConfig",
    "SupCon",
    "Triplet",
    "Uniform",
    "Value",
    "preset_names",
    "recipe_from_yaml",
    "recipe_to_yaml",
    "render_losses",
    "render_tree",
    "space_schema",
]
