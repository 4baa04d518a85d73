"""What a task asks of the rest of a recipe."""

from typing import TYPE_CHECKING

from .compatibility import LOSSES
from .encoders import is_frozen
from .record import broken_rule
from .task import Corrector

if TYPE_CHECKING:
    from .recipe import Recipe


def check_task(recipe: "Recipe") -> None:
    """Refuse what does not go with the recipe's task.

    Raises:
        ValueError: With the rule, the value and the fix.
    """
    for check in (_check_split, _check_labels, _check_corrector):
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
