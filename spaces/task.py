"""What a trial learns from, and what it is judged by: one record a task, with its facts."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, ClassVar, Literal, Self, get_args

from pydantic import BaseModel, BeforeValidator, Field, model_validator

from .augment import JitterConfig, PermutationConfig, SeriesAugmentConfig
from .record import Record, broken_rule

Weight = Annotated[float, Field(ge=0.0, le=1000.0)]

Metric = Literal["one_shot_accuracy", "balanced_accuracy_gain", "auroc"]


@dataclass(frozen=True)
class TaskFacts:
    """What is known of a task besides its code.

    Attributes:
        learns_from: What makes two items a positive pair.
        metric: What ranks its trials; larger is better.
        source: Where it comes from.
        uses_labels: Whether training sees the labels of classes.
        needs_map: Whether it looks into the encoder's map of features, before the pooling.
        takes: What its items are.
        has_own_loss: Whether it lowers a loss of its own, and `objective` is left out.
        split: What `data.split` divides: classes (or groups of them), or the items of each class.
    """

    learns_from: str
    metric: Metric
    source: str
    uses_labels: bool = False
    needs_map: bool = False
    takes: Literal["images", "series", "anything"] = "anything"
    has_own_loss: bool = False
    split: Literal["class", "item"] = "class"

    @property
    def lowest(self) -> float:
        """The worst value of the metric."""
        return -1.0 if self.metric == "balanced_accuracy_gain" else 0.0


class Supervised(Record):
    """Images of one class are positives; judged on classes that training never sees."""

    FACTS: ClassVar[TaskFacts] = TaskFacts(
        learns_from="items of one class",
        metric="one_shot_accuracy",
        source="Bromley et al. 1993: Signature Verification using a Siamese Time Delay Neural "
        "Network",
        uses_labels=True,
    )

    name: Literal["supervised"] = "supervised"


class Unsupervised(Record):
    """Views of one item are positives, all other items negatives; no label is seen in training.

    A batch holds `batch.classes` items and `batch.samples` views of each. Judged like a supervised
    trial, on the labelled validation classes.

    Attributes:
        first_view: Whether the first view of an item is changed like the others, or left `plain`:
            an anchor and its changed copies.
    """

    FACTS: ClassVar[TaskFacts] = TaskFacts(
        learns_from="views of one item, changed by `augment`",
        metric="one_shot_accuracy",
        source="Dosovitskiy et al. 2014: Discriminative Unsupervised Feature Learning with "
        "Exemplar Convolutional Neural Networks, arXiv 1406.6909; Chen et al. 2020: SimCLR, "
        "arXiv 2002.05709; the program cleggct/siamese_net",
    )

    name: Literal["unsupervised"] = "unsupervised"
    first_view: Literal["augmented", "plain"] = "augmented"


class Corrector(Record):
    """Embeddings of a frozen encoder are corrected where a classifier of them errs.

    The stages: an encoder (an autoencoder that is trained first, or any frozen backbone); a
    classifier of its features, with class weights; a correction network (the encoder's head, by
    default `residual`), trained on pairs; the same classifier on corrected features, and one that
    is trained anew on them. Splits are by item: the classes are known.

    Attributes:
        pairs: `misclassified` joins each misclassified item to correctly classified ones of its
            class (positive) and of the others (negative). `all` compares all items of a batch,
            and knows no classifier: the loss comes before it.
        errors: Whose errors: of classifiers that did not see the item (`held_out`, three folds),
            or of the one that was trained on it.
        classifier: `mlp` has layers of 256 and 64 with batch norm; `svm` is scikit-learn's, with
            an RBF kernel.
        classifier_steps: Updates of the `mlp`, each on all training items.
        judged: What ranks trials: the gain of the same classifier `after` the correction, or that
            of one `retrained` on corrected features.
    """

    FACTS: ClassVar[TaskFacts] = TaskFacts(
        learns_from="misclassified items and correctly classified ones",
        metric="balanced_accuracy_gain",
        source="the program Berack96/upo-AIContrastive",
        uses_labels=True,
        split="item",
    )

    name: Literal["corrector"] = "corrector"
    pairs: Literal["misclassified", "all"] = "misclassified"
    errors: Literal["held_out", "training"] = "held_out"
    classifier: Literal["mlp", "svm"] = "mlp"
    classifier_steps: Annotated[int, Field(ge=1)] = 200
    judged: Literal["after", "retrained"] = "after"


class CrossView(Record):
    """Two views of each series, a weak and a strong one; each foretells the other.

    The loss is temporal_weight * L_temporal + contextual_weight * L_contextual: the first is the
    forecast of one view's features by the other's, the second the recipe's own objective on the
    embeddings of both views. No label is seen in training. The weak view is changed by
    `augment.series`: jitter and scale in the paper.

    Attributes:
        strong: Changes of the second view: permutation and jitter in the paper.
        temporal_weight: See above.
        contextual_weight: See above; the paper's weights are 1 and 0.7.
        timesteps: T, to which the encoder's map is averaged before the forecast.
        horizon: K, steps that are foretold.
        hidden: Size of the state that foretells.
    """

    FACTS: ClassVar[TaskFacts] = TaskFacts(
        learns_from="a weak and a strong view of one series",
        metric="one_shot_accuracy",
        source="Eldele et al. 2021: Time-Series Representation Learning via Temporal and "
        "Contextual Contrasting, arXiv 2106.14112",
        needs_map=True,
        takes="series",
    )

    name: Literal["cross_view"] = "cross_view"
    strong: SeriesAugmentConfig = SeriesAugmentConfig(
        permutation=PermutationConfig(probability=1.0, segments=8),
        jitter=JitterConfig(probability=1.0, deviation=0.3),
    )
    temporal_weight: Weight = 1.0
    contextual_weight: Weight = 0.7
    timesteps: Annotated[int, Field(ge=4, le=512)] = 24
    horizon: Annotated[int, Field(ge=1, le=128)] = 6
    hidden: Annotated[int, Field(ge=4, le=1024)] = 64

    @model_validator(mode="after")
    def _context_comes_before_the_horizon(self) -> Self:
        if self.horizon >= self.timesteps:
            raise broken_rule(
                "horizon",
                "must be < timesteps, so that there is a context",
                f"horizon={self.horizon}, timesteps={self.timesteps}",
                "lower it",
            )
        return self


class OneClass(Record):
    """Anomalies, learned from the series of one class alone.

    The embeddings of a series and of its reconstruction lie around one centre; a variance term
    keeps them from becoming one point. The loss is the task's own: `objective` is left out.

    Attributes:
        normal: Name of the normal class; the series of all others are anomalies, which training
            never sees.
        variance_weight: Of the variance term.
        variance_target: Deviation that each dimension should have at least, in units of isotropic
            embeddings.
        false_alarms: Share of normal training series that lie above the threshold.
        timesteps: T, to which the encoder's map is averaged before it is reconstructed.
        hidden: Size of the state that it is reconstructed from.
    """

    FACTS: ClassVar[TaskFacts] = TaskFacts(
        learns_from="a normal series and its reconstruction",
        metric="auroc",
        source="Wang et al. 2022: Deep Contrastive One-Class Time Series Anomaly Detection, "
        "arXiv 2207.01472 (COCA)",
        needs_map=True,
        takes="series",
        has_own_loss=True,
        split="item",
    )

    name: Literal["one_class"] = "one_class"
    normal: Annotated[str, Field(min_length=1)]
    variance_weight: Weight = 0.1
    variance_target: Annotated[float, Field(gt=0.0, le=2.0)] = 1.0
    false_alarms: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.05
    timesteps: Annotated[int, Field(ge=2, le=512)] = 24
    hidden: Annotated[int, Field(ge=4, le=1024)] = 64


class Dense(Record):
    """Two views of each image agree as a whole, at their pixels and over their regions.

    There are no negatives and no labels; a predictor on one side and a stopped gradient on the
    other keep it from collapsing. The loss is the task's own: `objective` is left out.

    Attributes:
        image_weight: Of the agreement of the embeddings.
        pixel_weight: Of that of points that both views show.
        region_weight: Of that of regions, groups of points that the network assigns.
        points: N, sampled in each image.
        regions: R.
        hidden: Width of projectors and predictors.
    """

    FACTS: ClassVar[TaskFacts] = TaskFacts(
        learns_from="two views of one image, and the points that both show",
        metric="one_shot_accuracy",
        source="Zhang et al. 2022: Dense Siamese Network for Dense Unsupervised Learning, "
        "arXiv 2203.11075",
        needs_map=True,
        takes="images",
        has_own_loss=True,
    )

    name: Literal["dense"] = "dense"
    image_weight: Weight = 1.0
    pixel_weight: Weight = 1.0
    region_weight: Weight = 1.0
    points: Annotated[int, Field(ge=2, le=4096)] = 32
    regions: Annotated[int, Field(ge=2, le=1024)] = 8
    hidden: Annotated[int, Field(ge=4, le=4096)] = 128


AnyTask = Supervised | Unsupervised | Corrector | CrossView | OneClass | Dense


def _supervised_unless_named(value: object) -> object:
    is_unnamed = isinstance(value, dict) and "name" not in value
    return {"name": "supervised", **value} if is_unnamed and isinstance(value, dict) else value


TaskConfig = Annotated[
    AnyTask, Field(discriminator="name"), BeforeValidator(_supervised_unless_named)
]
"""A new task joins with its record and its place in `AnyTask`."""

TASK_RECORDS: Mapping[str, type[BaseModel]] = MappingProxyType(
    {record.model_fields["name"].default: record for record in get_args(AnyTask)}
)
"""The record of each task."""

TASKS: Mapping[str, TaskFacts] = MappingProxyType(
    {name: vars(record)["FACTS"] for name, record in TASK_RECORDS.items()}
)
