"""The command line, one file for each kind of command.

Every command exits 0 when done, also at the end of a time budget, 1 when it failed, 2 when it was
used wrongly, and 128 + the signal when Ctrl-C (130) or SIGTERM (143) ended it. Errors are one
message on standard error without a traceback, which `--debug` shows.
"""

from . import watching  # noqa: I001

# Importing a file adds its commands, in the order in which `--help` lists them.
from . import searching, results, exporting, reporting, wandb, training, cluster, describing
from . import cluster_doctor, cluster_manifests
from . import comparing, confirming, testing, evaluating
from . import recognizing
from .app import app, main

__all__ = [
    "app",
    "cluster",
    "cluster_doctor",
    "cluster_manifests",
    "comparing",
    "confirming",
    "describing",
    "evaluating",
    "exporting",
    "main",
    "recognizing",
    "reporting",
    "results",
    "searching",
    "testing",
    "training",
    "wandb",
    "watching",
]
