"""Encoders by name: images in, raw embeddings out."""

from .building import ENCODERS, build_encoder
from .encoder import Encoder

__all__ = ["ENCODERS", "Encoder", "build_encoder"]
