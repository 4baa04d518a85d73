"""What one trial does: data, encoder, loss, miner, training, evaluation.

The names are imported at their first use: a command that only reads a study's reports must not
wait for torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .bundle import Bundle, make_bundle, read_checkpoint, require_place, write_bundle
    from .data import DATASETS, DataError, ImageSet, Preprocessing, TrialData, load_trial_data
    from .device import default_device
    from .embedder import Embedder, load
    from .encoders import ENCODERS, Encoder, build_encoder
    from .evaluation import Score, baselines
    from .losses import LOSSES
    from .metrics import evaluate_embeddings, evaluate_encoder, evaluate_model
    from .miners import MINERS
    from .prepared import PreparedData, prepare
    from .recognizer import Answer, Recognizer
    from .report import Report
    from .sampler import QUARTER_TURNS
    from .trial import Trial

__all__ = [
    "DATASETS",
    "ENCODERS",
    "LOSSES",
    "MINERS",
    "QUARTER_TURNS",
    "Answer",
    "Bundle",
    "DataError",
    "Embedder",
    "Encoder",
    "ImageSet",
    "PreparedData",
    "Preprocessing",
    "Recognizer",
    "Report",
    "Score",
    "Trial",
    "TrialData",
    "baselines",
    "build_encoder",
    "default_device",
    "evaluate_embeddings",
    "evaluate_encoder",
    "evaluate_model",
    "load",
    "load_trial_data",
    "make_bundle",
    "prepare",
    "read_checkpoint",
    "require_place",
    "write_bundle",
]

_MODULE_OF = {
    **dict.fromkeys(
        ("Bundle", "make_bundle", "read_checkpoint", "require_place", "write_bundle"), ".bundle"
    ),
    **dict.fromkeys(("Embedder", "load"), ".embedder"),
    **dict.fromkeys(
        ("DATASETS", "DataError", "ImageSet", "Preprocessing", "TrialData", "load_trial_data"),
        ".data",
    ),
    "default_device": ".device",
    **dict.fromkeys(("ENCODERS", "Encoder", "build_encoder"), ".encoders"),
    **dict.fromkeys(("Score", "baselines"), ".evaluation"),
    "LOSSES": ".losses",
    **dict.fromkeys(("evaluate_embeddings", "evaluate_encoder", "evaluate_model"), ".metrics"),
    "MINERS": ".miners",
    **dict.fromkeys(("PreparedData", "prepare"), ".prepared"),
    **dict.fromkeys(("Answer", "Recognizer"), ".recognizer"),
    "Report": ".report",
    "QUARTER_TURNS": ".sampler",
    "Trial": ".trial",
}


def __getattr__(name: str) -> object:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(module, __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
