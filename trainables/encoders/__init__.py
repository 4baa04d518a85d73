"""Encoders by name: images in, raw embeddings out."""

from .building import ENCODERS, assemble_encoder, build_encoder, default_pool
from .encoder import Encoder

__all__ = ["ENCODERS", "Encoder", "assemble_encoder", "build_encoder", "default_pool"]
