"""Images to embeddings, as they are scored and as an export gives them.

I images, C channels, S image side, D embedding.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

EMBED_BATCH = 512


@torch.inference_mode()
def embed(encoder: nn.Module, images: Tensor, *, unit_norm: bool) -> Tensor:
    """Embeddings of all images in fp32, each image once.

    Args:
        encoder: Left in evaluation mode.
        images: uint8, shape (I, C, S, S); they may be mapped from a file, and are then read a
            batch at a time.
        unit_norm: Whether to scale each embedding to norm 1.

    Returns:
        Shape (I, D).
    """
    encoder.eval()
    device = next(encoder.parameters()).device
    raw = torch.cat(
        [encoder(part.to(device).float().div_(255.0)) for part in images.split(EMBED_BATCH)]
    )
    return normalize(raw, dim=1) if unit_norm else raw
