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
    """

    learns_from: str
    metric: Metric
    source: str
    uses_labels: bool = False
    needs_map: bool = False
    takes: Literal["images", "series", "anything"] = "anything"


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


AnyTask = Supervised | Unsupervised


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
