"""The network of an export as an ONNX graph, checked against PyTorch on real images.

N images, D embedding.
"""

import logging
import warnings
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import normalize

from .embedding import to_float
from .network import Network

INPUT, OUTPUT = "images", "embeddings"
LEAST_COSINE = 0.9999
"""Between an embedding by ONNX Runtime and the same by PyTorch."""
CHECKED_SIZES = (1, 7, 64)
"""Images at once while checking: the graph takes any number."""
_OPSET = 20


class _Graph(nn.Module):
    """Preprocessed images, uint8, to embeddings as `Network.embed` gives them."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.encoder = network.encoder
        self.unit_norm = network.unit_norm
        self.rotation = network.projection

    def forward(self, images: Tensor) -> Tensor:
        embeddings = cast(Tensor, self.encoder(to_float(images)))
        embeddings = normalize(embeddings, dim=1) if self.unit_norm else embeddings
        if self.rotation is not None:
            embeddings = self.rotation.apply(embeddings)
            embeddings = normalize(embeddings, dim=1) if self.unit_norm else embeddings
        return embeddings


def to_onnx(network: Network, pixels: NDArray[Any]) -> bytes:
    """The network as an ONNX graph, `images` (N, C, H, W) to `embeddings` (N, D), for any N.

    Args:
        network: On the processor.
        pixels: Images as the preprocessing gives them, at least two; they show shape and type.

    Raises:
        ValueError: If the libraries of the extra `onnx` are not installed.
        RuntimeError: If the network has a part that ONNX has not.
    """
    _require_libraries()
    examples = torch.from_numpy(np.ascontiguousarray(pixels[:2]))
    level = logging.getLogger("torch.onnx").level
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the exporter about itself
            program = torch.onnx.export(
                _Graph(network).eval(),
                (examples,),
                dynamo=True,
                dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
                input_names=[INPUT],
                output_names=[OUTPUT],
                opset_version=_OPSET,
                verbose=False,
            )
    except Exception as error:  # whatever the exporter meets
        raise RuntimeError(f"the network cannot be written as ONNX: {error}") from error
    finally:
        logging.getLogger("torch.onnx").setLevel(level)
    assert program is not None, "the exporter returns a program"
    content: bytes = program.model_proto.SerializeToString()
    return content


def check_onnx(content: bytes, network: Network, pixels: NDArray[Any]) -> float:
    """Least cosine between embeddings by ONNX Runtime and by PyTorch, one image or more at once.

    Args:
        content: Of `to_onnx`.
        network: That it was made of.
        pixels: Real images as the preprocessing gives them, shape (N, C, H, W).

    Raises:
        ValueError: If ONNX Runtime is not installed.
        RuntimeError: If the least cosine is below 0.9999.
    """
    _require_libraries()
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    least = 1.0
    for size in CHECKED_SIZES:
        part = np.ascontiguousarray(pixels[-size:])
        made = session.run([OUTPUT], {INPUT: part})[0].astype(np.float64)
        wanted = network.embed(part).astype(np.float64)
        norms = np.linalg.norm(made, axis=1) * np.linalg.norm(wanted, axis=1)
        cosines = (made * wanted).sum(1) / np.maximum(norms, np.finfo(np.float64).tiny)
        least = min(least, float(cosines.min()))
    if not least >= LEAST_COSINE:
        raise RuntimeError(
            f"the ONNX graph must agree with PyTorch to a cosine of {LEAST_COSINE}, got "
            f"{least:.6f}"
        )
    return least


def _require_libraries() -> None:
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ValueError(
            f"ONNX needs libraries that are not installed ({error.name}); "
            "pip install 'tripletune[onnx]'"
        ) from error
