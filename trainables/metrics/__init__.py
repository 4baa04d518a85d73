"""What a finished encoder is worth: protocols, retrieval, open world, confusions."""

from .confusion import Confusion, confusion
from .full import evaluate_embeddings, evaluate_encoder, evaluate_model
from .open_world import Gallery, open_world
from .protocols import protocol_name, standard_protocols
from .retrieval import RetrievalScores, retrieval_scores

__all__ = [
    "Confusion",
    "Gallery",
    "RetrievalScores",
    "confusion",
    "evaluate_embeddings",
    "evaluate_encoder",
    "evaluate_model",
    "open_world",
    "protocol_name",
    "retrieval_scores",
    "standard_protocols",
]
