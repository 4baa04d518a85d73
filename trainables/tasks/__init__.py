"""Kinds of trials by name: what a step lowers, and what a report scores."""

from collections.abc import Callable

from ...spaces import Recipe
from ..encoders import Encoder
from ..prepared import PreparedData
from .corrector import CorrectorTask
from .cross_view import CrossViewTask
from .dense import DenseTask
from .one_class import OneClassTask
from .supervised import build_supervised
from .task import Network, Task
from .unsupervised import build_unsupervised

TaskBuilder = Callable[[Recipe, PreparedData, Encoder], Task]

TASKS: dict[str, TaskBuilder] = {
    "supervised": build_supervised,
    "unsupervised": build_unsupervised,
    "corrector": CorrectorTask,
    "cross_view": CrossViewTask,
    "one_class": OneClassTask,
    "dense": DenseTask,
}

__all__ = ["TASKS", "Network", "Task", "TaskBuilder"]
