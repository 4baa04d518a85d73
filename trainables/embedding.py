"""Images to embeddings, as they are scored and as an export gives them.

I images, C channels, S image side, D embedding.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

EMBED_BATCH = 512


def to_float(items: Tensor) -> Tensor:
    """What an encoder takes: images in [0, 1]; series as they are.

    Args:
        items: uint8 images, shape (B, C, S, S), or float series, shape (B, C, 1, L).
    """
    return items.float() if items.is_floating_point() else items.float().div_(255.0)


@torch.inference_mode()
def embed(encoder: nn.Module, images: Tensor, *, unit_norm: bool) -> Tensor:
    """Embeddings of all images in fp32, each image once.

    Args:
        encoder: Left in evaluation mode.
        images: uint8, shape (I, C, S, S), or series, shape (I, C, 1, L); they may be mapped from a
            file, and are then read a batch at a time.
        unit_norm: Whether to scale each embedding to norm 1.

    Returns:
        Shape (I, D).
    """
    encoder.eval()
    device = next(encoder.parameters()).device
    raw = torch.cat([encoder(to_float(part.to(device))) for part in images.split(EMBED_BATCH)])
    return normalize(raw, dim=1) if unit_norm else raw
