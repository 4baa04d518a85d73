"""What watches a search: Weights & Biases here, the terminal in `search.live`."""

from .tracker import Tracker
from .wandb import WandbTracker

__all__ = ["Tracker", "WandbTracker"]
