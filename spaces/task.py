"""What a trial learns from, and what it is judged by: one record a task, with its facts."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, ClassVar, Literal, get_args

from pydantic import BaseModel, BeforeValidator, Field

from .record import Record

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
        split: What `data.split` divides: classes (or groups of them), or the items of each class.
    """

    learns_from: str
    metric: Metric
    source: str
    uses_labels: bool = False
    needs_map: bool = False
    takes: Literal["images", "series", "anything"] = "anything"
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


AnyTask = Supervised | Unsupervised | Corrector


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
