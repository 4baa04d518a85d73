"""Optuna's figures of a study, for notebooks; `Study` has each as a method of this name.

Every function returns a plotly figure, which a notebook shows and `write_html` keeps. They need
plotly: `pip install 'tripletune[report]'`.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from . import labels

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from .study import Study

SCORE = "one-shot accuracy"


def plot_history(self: "Study") -> "Figure":
    """Score of each trial that trained its whole budget, and the best so far."""
    return _figure(self, "plot_optimization_history", target_name=SCORE)


def plot_importance(self: "Study") -> "Figure":
    """Importance of the parameters by PED-ANOVA, over trials that trained their whole budget."""
    return _figure(self, "plot_param_importances", target_name=SCORE)


def plot_parallel(self: "Study", params: Sequence[str] | None = None) -> "Figure":
    """Every complete trial as a line through its parameters, or through some of them.

    Args:
        self: The study.
        params: Names as in `study.space.parameters()`; by default those that every trial has.
    """
    names = _common(self) if params is None else list(params)
    return _figure(self, "plot_parallel_coordinate", params=names, target_name=SCORE)


def plot_slice(self: "Study", params: Sequence[str] | None = None) -> "Figure":
    """Score against each parameter, or against some of them."""
    names = None if params is None else list(params)
    return _figure(self, "plot_slice", params=names, target_name=SCORE)


def plot_contour(self: "Study", params: Sequence[str] | None = None) -> "Figure":
    """Score over two parameters; by default the first two numbers that every trial has."""
    names = _common(self, is_numeric=True)[:2] if params is None else list(params)
    return _figure(self, "plot_contour", params=names, target_name=SCORE)


def plot_curves(self: "Study") -> "Figure":
    """Learning curve of every trial that did not fail; the stopped ones end early."""
    return _figure(self, "plot_intermediate_values")


def plot_timeline(self: "Study") -> "Figure":
    """When each trial ran, and how it ended."""
    return _figure(self, "plot_timeline")


def plot_cost(self: "Study", cost: str = "seconds") -> "Figure":
    """Score against what a trial costs, with the trials that no other beats on both.

    Args:
        self: The study.
        cost: `seconds`, `embedding_dim` or `images_per_second`.

    Raises:
        ValueError: If `cost` is none of these.
    """
    if cost not in COSTS:
        raise ValueError(f"cost must be one of {', '.join(COSTS)}, got {cost!r}")
    graph = _plotly()
    rows = [row for row in self.leaderboard().rows if labels.is_ranked(row.record)]
    points = [
        (COSTS[cost](row), row.record.reports[-1].one_shot_accuracy, row.record) for row in rows
    ]
    sign = -1 if cost == "images_per_second" else 1
    front: list[tuple[float, float]] = []
    for value, score, _ in sorted(points, key=lambda point: (sign * point[0], -point[1])):
        if not front or score > front[-1][1]:
            front.append((value, score))
    figure = graph.Figure(layout={"title": f"{SCORE.capitalize()} against {cost}"})
    for word in dict.fromkeys(labels.state_word(record) for _, _, record in points):
        chosen = [point for point in points if labels.state_word(point[2]) == word]
        figure.add_scatter(
            x=[value for value, _, _ in chosen],
            y=[score for _, score, _ in chosen],
            text=[f"trial {r.number}: {labels.loss_name(r)}" for _, _, r in chosen],
            mode="markers",
            name=word,
        )
    x, y = zip(*front, strict=True) if front else ((), ())
    figure.add_scatter(x=x, y=y, mode="lines", line={"shape": "hv"}, name="Pareto front")
    figure.update_xaxes(title=cost.replace("_", " "))
    figure.update_yaxes(title=SCORE)
    return figure


COSTS: dict[str, Callable[[Any], float]] = {
    "seconds": lambda row: row.record.seconds,
    "embedding_dim": lambda row: row.record.recipe.encoder.embedding_dim,
    "images_per_second": lambda row: row.record.reports[-1].images_per_second,
}
"""What a trial can cost, by name; of the last, more is better."""


def _figure(study: "Study", name: str, **arguments: Any) -> "Figure":
    """A figure of Optuna's, made from a copy in memory: nothing is written to the study."""
    _plotly()
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of experimental names, and of few trials
            copy = optuna.create_study(study_name=study.name, direction="maximize")
            copy.add_trials([t for t in study.optuna_trials() if t.state in _SHOWN])
            return getattr(optuna.visualization, name)(copy, **arguments)
    finally:
        optuna.logging.set_verbosity(level)


_SHOWN = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING, TrialState.FAIL)


def _plotly() -> Any:
    try:
        from plotly import graph_objects
    except ImportError as error:
        raise ImportError(
            "figures need plotly, which is not installed: pip install 'tripletune[report]'"
        ) from error
    return graph_objects


def _common(study: "Study", *, is_numeric: bool = False) -> list[str]:
    """Parameters that every complete trial has, in the order of the space."""
    complete: list[FrozenTrial] = [
        trial for trial in study.optuna_trials() if trial.state == TrialState.COMPLETE
    ]
    names = [parameter.name for parameter in study.space.parameters()]
    return [
        name
        for name in names
        if complete
        and all(name in trial.params for trial in complete)
        and not (
            is_numeric
            and isinstance(
                complete[0].distributions[name], optuna.distributions.CategoricalDistribution
            )
        )
    ]
