"""What a task asks of the rest of a recipe."""

from typing import TYPE_CHECKING

from .compatibility import LOSSES
from .encoders import ENCODERS, is_frozen
from .losses import SupCon
from .objective import ObjectiveConfig
from .record import broken_rule
from .task import TASKS, Corrector, CrossView, Dense

if TYPE_CHECKING:
    from .recipe import Recipe

NO_OBJECTIVE = ObjectiveConfig(loss=SupCon())
"""What stands in a recipe whose task has a loss of its own; it plays no part."""


def without_objective(values: object) -> object:
    """The values of a recipe, with the objective that plays no part where the task has its own."""
    task = values.get("task") if isinstance(values, dict) else None
    name = task.get("name") if isinstance(task, dict) else getattr(task, "name", None)
    if isinstance(values, dict) and name and name in TASKS and TASKS[name].has_own_loss:
        return {"objective": NO_OBJECTIVE, **values}
    return values


def check_task(recipe: "Recipe") -> None:
    """Refuse what does not go with the recipe's task.

    Raises:
        ValueError: With the rule, the value and the fix.
    """
    for check in (_check_split, _check_labels, _check_corrector, _check_map, _check_own_loss):
        check(recipe)


def _check_split(recipe: "Recipe") -> None:
    task, by = recipe.task, recipe.data.split.by
    if (by == "item") != (task.FACTS.split == "item"):
        is_item = task.FACTS.split == "item"
        raise broken_rule(
            "data.split.by",
            f"must be item with task {task.name}, which is judged on the classes it knows"
            if is_item
            else f"must not be item with task {task.name}, which is judged on classes that it "
            "never saw",
            f"{by!r}",
            "write item" if is_item else "write class or group",
        )


def _check_corrector(recipe: "Recipe") -> None:
    task, encoder, loss = recipe.task, recipe.encoder, recipe.objective.loss
    if encoder.name == "autoencoder" and task.name != "corrector":
        raise broken_rule(
            "encoder.name",
            f"must not be autoencoder with task {task.name}, which does not train it",
            "'autoencoder'",
            "write another encoder, or task.name: corrector",
        )
    if not isinstance(task, Corrector):
        return
    if not is_frozen(encoder):
        raise broken_rule(
            "encoder.name",
            "must be autoencoder, or have train: head, with task corrector, which corrects the "
            "features of a frozen encoder",
            f"{encoder.name!r}",
            "write autoencoder",
        )
    if task.pairs == "misclassified" and not LOSSES[loss.name].takes_memory:
        able = ", ".join(name for name, facts in LOSSES.items() if facts.takes_memory)
        raise broken_rule(
            "objective.loss.name",
            f"must be one of {able} with task.pairs: misclassified, which compares anchors "
            "with other items",
            f"{loss.name!r}",
            "write one of these, or task.pairs: all",
        )
    if task.judged == "after" and encoder.head.name != "residual":
        raise broken_rule(
            "encoder.head.name",
            "must be residual with task.judged: after, where one classifier reads features "
            "and corrected features",
            f"{encoder.head.name!r}",
            "write residual, or task.judged: retrained",
        )
    if task.pairs == "all" and task.judged == "after":
        raise broken_rule(
            "task.judged",
            "must be retrained with task.pairs: all, whose loss comes before the classifier",
            "'after'",
            "write retrained",
        )


def _check_labels(recipe: "Recipe") -> None:
    task, objective = recipe.task, recipe.objective
    if task.FACTS.uses_labels:
        return
    why = f"with task {task.name}, which sees no labels"
    loss = objective.loss
    if LOSSES[loss.name].has_proxies or getattr(loss, "learn_beta", "no") == "class":
        key = "name" if LOSSES[loss.name].has_proxies else "learn_beta"
        raise broken_rule(
            f"objective.loss.{key}",
            f"must not learn anything for a class {why}",
            f"{loss.name!r}",
            "write another",
        )
    if objective.miner.scope == "bank":
        raise broken_rule("objective.miner.scope", f"must be batch {why}", "'bank'", "write batch")
    if recipe.batch.draw != "any":
        raise broken_rule(
            "batch.draw",
            f"must be any {why} and no groups",
            f"{recipe.batch.draw!r}",
            "write any",
        )
    if recipe.batch.rotations_as_classes:
        raise broken_rule(
            "batch.rotations_as_classes", f"must be false {why}", "true", "write false"
        )


def _check_map(recipe: "Recipe") -> None:
    task, encoder = recipe.task, recipe.encoder
    if not task.FACTS.needs_map:
        return
    why = f"with task {task.name}, which looks into the encoder's map of features"
    if is_frozen(encoder):
        raise broken_rule(
            "encoder.train", f"must not be head {why}", "'head'", "write all, or another encoder"
        )
    if not encoder.FACTS.pools:
        able = ", ".join(
            name
            for name, facts in ENCODERS.items()
            if facts.pools and facts.takes == task.FACTS.takes
        )
        raise broken_rule(
            "encoder.name",
            f"must be one of {able} {why}",
            f"{encoder.name!r}",
            "write one of these",
        )
    if isinstance(task, CrossView | Dense) and recipe.batch.samples != 2:
        raise broken_rule(
            "batch.samples",
            f"must be 2 with task {task.name}: its two views",
            f"{recipe.batch.samples}",
            "write 2",
        )
    if isinstance(task, Dense):
        _check_places(recipe)


def _check_places(recipe: "Recipe") -> None:
    """What moves pixels after the one map that the task knows, or has no map, is refused."""
    augment = recipe.augment
    for at, share in (
        ("elastic.probability", augment.elastic.probability),
        ("flip.horizontal", augment.flip.horizontal),
        ("flip.vertical", augment.flip.vertical),
    ):
        if share > 0.0:
            raise broken_rule(
                f"augment.{at}",
                "must be 0 with task dense, which has to know where each pixel comes from",
                f"{share!r}",
                "write 0",
            )


def _check_own_loss(recipe: "Recipe") -> None:
    task = recipe.task
    if task.FACTS.has_own_loss and recipe.objective != NO_OBJECTIVE:
        raise broken_rule(
            "objective",
            f"must be left out with task {task.name}, which has a loss of its own",
            f"loss {recipe.objective.loss.name}",
            "remove it",
        )
