"""A space divided into families of recipes: one for each loss, or for each miner of each loss."""

from collections.abc import Mapping

from ..spaces import Choice, Space, Value
from .finalists import Family


def families(space: Space, per: Family) -> dict[str, Space]:
    """The space of each family, by name; together they hold what the space holds.

    Args:
        space: With several losses or miners: as branches of `objective`, or as a `choice` of the
            loss's or the miner's name.
        per: `loss` gives each branch a family; `miner` each miner of each branch.

    Raises:
        ValueError: If there are fewer than two.
    """
    found: dict[str, Space] = {}
    for label, branch in _branches(space).items():
        losses = _chosen(branch, "objective.loss.name") or {label: {}}
        for loss, fixed in losses.items():
            of_loss = branch.with_values(fixed)
            if per == "loss":
                found[loss] = of_loss
                continue
            miners = _chosen(of_loss, "objective.miner.name")
            if not miners:
                miners = {_names(of_loss)[1]: {}}
            for miner, value in miners.items():
                found[f"{loss}-{miner}"] = of_loss.with_values(value)
    if len(found) < 2:
        raise ValueError(
            f"a comparison needs two families or more, got {len(found)} per {per}: write several "
            f"under one_of in the space's objective, or compare per "
            f"{'miner' if per == 'loss' else 'loss'}"
        )
    return found


def _branches(space: Space) -> dict[str, Space]:
    """The space at each label of `objective`; under its loss's name where there is one branch."""
    for parameter in space.parameters():
        if parameter.name == "objective" and isinstance(parameter.distribution, Choice):
            labels = [str(label) for label in parameter.distribution.values]
            return {label: space.with_values({"objective": label}) for label in labels}
    return {_names(space)[0]: space}


def _chosen(space: Space, path: str) -> dict[str, Mapping[str, Value]]:
    """What fixes each value of a choice that stands at a path of the recipe, in any branch."""
    wanted = path.split(".")
    for parameter in space.parameters():
        parts = parameter.name.split(".")
        is_it = parts[0] == wanted[0] and parts[-2:] == wanted[-2:]
        if is_it and isinstance(parameter.distribution, Choice):
            return {str(value): {path: value} for value in parameter.distribution.values}
    return {}


def _names(space: Space) -> tuple[str, str]:
    """Loss and miner of the first recipe."""
    objective = space.build(lambda _, distribution: distribution.middle).objective
    return objective.loss.name, objective.miner.name
