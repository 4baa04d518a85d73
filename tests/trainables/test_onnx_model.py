"""The ONNX graph of an export: the same embeddings for any number of images."""

from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from toy import trial_data
from toy_export import trained

from tripletune.spaces import Conv4, HeadConfig
from tripletune.trainables import make_bundle
from tripletune.trainables.bundle import Bundle
from tripletune.trainables.embedding_sizes import leading_projection
from tripletune.trainables.onnx_model import check_onnx, to_onnx


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    """Eight leading dimensions of a trial, behind a pooling that learns."""
    encoder = Conv4(width=8, embedding_dim=16, head=HeadConfig(pool="gem"))
    trial = trained(steps=12, encoder=encoder)
    trial.evaluate()
    data = trial_data()
    state = trial.state_dict()
    return make_bundle(
        state,
        trial.recipe,
        data.preprocessing,
        data.validation,
        projection=leading_projection(state["axes"], 8),
        is_onnx_wanted=True,
    )


def test_it_gives_the_embeddings_of_pytorch_for_any_number_of_images(bundle: Bundle) -> None:
    content = bundle.files["model.onnx"]
    onnx.checker.check_model(onnx.load_from_string(content))
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    for size in (1, 5, 33):
        (made,) = session.run(None, {"images": bundle.pixels[:size]})
        assert made.shape == (size, 8)
        np.testing.assert_allclose(made, bundle.network.embed(bundle.pixels[:size]), atol=1e-5)


def test_the_check_measures_and_refuses_another_network(bundle: Bundle) -> None:
    content = bundle.files["model.onnx"]
    assert check_onnx(content, bundle.network, bundle.pixels) > 0.99999
    assert bundle.network.projection is not None
    turned = bundle.network.projection.components.flip(0)
    other = replace(
        bundle.network, projection=replace(bundle.network.projection, components=turned)
    )
    with pytest.raises(RuntimeError, match=r"must agree with PyTorch to a cosine of 0\.9999, got"):
        check_onnx(content, other, bundle.pixels)


def test_without_the_libraries_it_says_what_to_install(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxscript", None)
    with pytest.raises(ValueError, match=r"pip install 'tripletune\[onnx\]'"):
        to_onnx(bundle.network, bundle.pixels)


def test_a_part_that_onnx_has_not_is_one_message(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise NotImplementedError("no such operator")

    monkeypatch.setattr(torch.onnx, "export", refuse)
    with pytest.raises(RuntimeError, match="cannot be written as ONNX: no such operator"):
        to_onnx(bundle.network, bundle.pixels)
