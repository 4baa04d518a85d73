"""What watches a search: Weights & Biases and optuna-dashboard; the terminal is `search.live`."""

from .dashboard import DashboardNotes
from .tracker import Tracker
from .wandb import WandbTracker

__all__ = ["DashboardNotes", "Tracker", "WandbTracker"]
