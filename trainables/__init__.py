"""What one trial does: data, encoder, loss, miner, training, evaluation."""

from .bundle import Embedder, export_checkpoint, export_state, load
from .data import DATASETS, DataError, ImageSet, Preprocessing, TrialData, load_trial_data
from .device import default_device
from .encoders import ENCODERS, Encoder, build_encoder
from .evaluation import Score, baselines
from .losses import LOSSES
from .miners import MINERS
from .prepared import PreparedData, prepare
from .report import Report
from .trial import Trial

__all__ = [
    "DATASETS",
    "ENCODERS",
    "LOSSES",
    "MINERS",
    "DataError",
    "Embedder",
    "Encoder",
    "ImageSet",
    "PreparedData",
    "Preprocessing",
    "Report",
    "Score",
    "Trial",
    "TrialData",
    "baselines",
    "build_encoder",
    "default_device",
    "export_checkpoint",
    "export_state",
    "load",
    "load_trial_data",
    "prepare",
]
