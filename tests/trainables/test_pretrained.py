"""Weights of others: read from files and torchvision's cache, fitted, frozen."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
import torch
from safetensors.torch import save_file
from toy import recipe, trial_data

from tripletune.spaces import (
    AugmentConfig,
    HeadConfig,
    OptimizerConfig,
    Pretrained,
    ResNet18,
    Timm,
    Torchvision,
)
from tripletune.trainables import Encoder, Trial, build_encoder, prepare
from tripletune.trainables.encoders.freezing import blocks_of
from tripletune.trainables.encoders.pooling import GeM
from tripletune.trainables.encoders.torchvision_model import CLASSES

MODEL: Final = "shufflenet_v2_x0_5"
GEM_MODEL: Final = "regnet_x_400mf"
FIRST = "conv1.0.weight"
State = dict[str, torch.Tensor]


def build(config: Pretrained, *, channels: int = 3, size: int = 32, seed: int = 0) -> Encoder:
    return build_encoder(
        config,
        channels=channels,
        image_size=size,
        mean=torch.zeros(channels),
        std=torch.ones(channels),
        seed=seed,
    )


@pytest.fixture(scope="module")
def state() -> State:
    """A state dict as torchvision's own: three channels, with a classifier."""
    encoder = build(Torchvision(model=MODEL), seed=7)
    classifier = {"fc.weight": torch.randn(CLASSES, 1024), "fc.bias": torch.randn(CLASSES)}
    return {**encoder.backbone.state_dict(), **classifier}


def write_safetensors(state: State, path: Path) -> Path:
    path = path.with_suffix(".safetensors")
    save_file({name: value.contiguous() for name, value in state.items()}, path)
    return path


def write_pickle(state: State, path: Path) -> Path:
    path = path.with_suffix(".pt")
    torch.save(state, path)
    return path


@pytest.mark.parametrize("write", [write_safetensors, write_pickle])
def test_a_file_of_weights_becomes_the_backbone(
    write: Callable[[State, Path], Path], state: State, tmp_path: Path
) -> None:
    path = write(state, tmp_path / "weights")
    first, second = (
        build(Torchvision(model=MODEL, weights=str(path)), seed=seed) for seed in (0, 1)
    )
    for name, value in first.backbone.state_dict().items():
        assert torch.equal(value, state[name]), name
        assert torch.equal(value, second.backbone.state_dict()[name]), name
    assert isinstance(first.head, torch.nn.Linear)
    assert isinstance(second.head, torch.nn.Linear)
    assert not torch.equal(first.head.weight, second.head.weight)


def test_a_grey_image_gives_what_its_colour_copy_gives(state: State, tmp_path: Path) -> None:
    config = Torchvision(model=MODEL, weights=str(write_pickle(state, tmp_path / "weights")))
    colour, grey = (build(config, channels=channels).eval() for channels in (3, 1))
    images = torch.rand(2, 1, 32, 32)
    coloured = images.expand(-1, 3, -1, -1)
    torch.testing.assert_close(grey.features(images), colour.features(coloured))
    assert grey.backbone.state_dict()[FIRST].shape[1] == 1


def test_an_exported_encoder_is_a_file_of_weights(state: State, tmp_path: Path) -> None:
    exported = build(Torchvision(model=MODEL), seed=3)
    path = write_safetensors(exported.state_dict(), tmp_path / "model")
    encoder = build(Torchvision(model=MODEL, weights=str(path)))
    for name, value in encoder.backbone.state_dict().items():
        assert torch.equal(value, exported.backbone.state_dict()[name]), name


def test_so_is_one_that_pools_otherwise(tmp_path: Path) -> None:
    exported = build(ResNet18(head=HeadConfig(pool="gem")), seed=3)
    path = write_safetensors(exported.state_dict(), tmp_path / "model")
    encoder = build(ResNet18(weights=str(path)))
    for name, value in encoder.backbone.state_dict().items():
        assert torch.equal(value, exported.state_dict()[f"backbone.network.{name}"]), name


def test_torchvision_weights_come_from_its_cache(
    state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision.models import ShuffleNet_V2_X0_5_Weights as Known

    cache = tmp_path / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    torch.save(state, cache / Known.DEFAULT.url.rpartition("/")[2])
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for weights in ("imagenet", "IMAGENET1K_V1"):
        encoder = build(Torchvision(model=MODEL, weights=weights))
        for name, value in encoder.backbone.state_dict().items():
            assert torch.equal(value, state[name]), name


def test_an_unknown_name_of_the_enum_is_refused_with_the_known_ones() -> None:
    message = f"encoder.weights must be one of IMAGENET1K_V1 with model {MODEL}, got 'IMAGENET_V9'"
    with pytest.raises(ValueError, match=message):
        build(Torchvision(model=MODEL, weights="IMAGENET_V9"))


def test_weights_of_another_model_are_refused_with_what_is_wrong(
    state: State, tmp_path: Path
) -> None:
    def refuse(changed: State, message: str) -> None:
        path = write_pickle(changed, tmp_path / "changed")
        with pytest.raises(ValueError, match=message):
            build(Torchvision(model=MODEL, weights=str(path)))

    without = {name: value for name, value in state.items() if name != FIRST}
    refuse(without, f"must be a state dict of this model, got .*: it lacks {FIRST}$")
    refuse({**state, "neck.weight": torch.zeros(2)}, "neck.weight is unknown$")
    refuse({**state, FIRST: torch.zeros(2, 3, 3, 3)}, r"has shape \(2, 3, 3, 3\), not \(24, 3")
    refuse({}, "it lacks .*, it lacks .*, it lacks .*, and [0-9]+ more")


class Dangerous:
    """Pickled, it would call `Path.touch` where it is read."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self._path,)


def test_reading_a_file_runs_no_code(tmp_path: Path) -> None:
    mark, path = tmp_path / "mark", tmp_path / "weights.pt"
    torch.save({"state": Dangerous(mark)}, path)
    with pytest.raises(ValueError, match="must be a readable state dict"):
        build(Torchvision(model=MODEL, weights=str(path)))
    assert not mark.exists()


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pt", "weights.pth"])
def test_what_is_no_state_dict_is_refused(name: str, tmp_path: Path) -> None:
    config = Torchvision(model=MODEL, weights=str(tmp_path / name))
    with pytest.raises(FileNotFoundError, match=r"encoder\.weights must be a file, got .*weights"):
        build(config)
    (tmp_path / name).write_text("no weights")
    with pytest.raises(ValueError, match="must be a readable state dict"):
        build(config)
    if not name.endswith(".safetensors"):
        torch.save({"epoch": 3, "model": {}}, tmp_path / name)
        with pytest.raises(ValueError, match="must be a state dict of tensors"):
            build(config)


def test_the_blocks_of_a_model_are_its_parts_in_order() -> None:
    blocks = blocks_of(build(ResNet18()).backbone)
    assert [len(block) for block in blocks] == [2, 1, 1, 1, 1]  # the stem and its norm
    assert [sum(p.numel() for p in block[-1].parameters()) for block in blocks[1:]] == [
        147_968,
        525_568,
        2_099_712,
        8_393_728,
    ]
    mobile = build(Torchvision(model="mobilenet_v3_small")).backbone
    assert len(blocks_of(mobile)) == 14  # its 13 features, and the layer before the classifier


@pytest.mark.parametrize("last_blocks", [1, 2])
def test_the_last_blocks_train_and_nothing_before_them(last_blocks: int) -> None:
    config = ResNet18(train="last_k", last_blocks=last_blocks)
    trained = {
        name.split(".")[1]
        for name, parameter in build(config).named_parameters()
        if parameter.requires_grad and name.startswith("backbone")
    }
    assert trained == set(["layer4", "layer3"][:last_blocks])


def test_more_blocks_than_a_model_has_are_refused() -> None:
    with pytest.raises(ValueError, match=r"encoder\.last_blocks must be <= 5, .* got 6"):
        build(ResNet18(train="last_k", last_blocks=6))


@pytest.mark.parametrize(
    "config",
    [
        Torchvision(model=MODEL, train="head"),
        Torchvision(model=MODEL, train="last_k", last_blocks=1),
        Torchvision(model=GEM_MODEL, train="last_k", last_blocks=1, head=HeadConfig(pool="gem")),
    ],
    ids=["head", "last_k", "last_k_gem"],
)
@pytest.mark.parametrize("decay", [0.0, 0.9])
def test_what_is_frozen_stays_and_all_else_moves(config: Torchvision, decay: float) -> None:
    augment = AugmentConfig(probability=0.0)
    optimizer = OptimizerConfig(learning_rate=1e-2, average_decay=decay)
    values = recipe(encoder=config, augment=augment, optimizer=optimizer)
    trial = Trial(values, prepare(trial_data(), values.evaluation, torch.device("cpu")))
    before = {name: value.clone() for name, value in trial.encoder.state_dict().items()}
    is_trained = {
        name: parameter.requires_grad
        for name, parameter in trial.training_encoder.named_parameters()
    }
    trial.train(3)
    after = trial.encoder.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert {name for name in moved if name in is_trained} == {
        name for name, trained in is_trained.items() if trained
    }
    is_frozen_norm = {
        name
        for name in before
        if name.endswith("running_mean") and not is_trained[name.replace("running_mean", "weight")]
    }
    assert is_frozen_norm
    assert not moved & is_frozen_norm
    has_trained_norm = config.train == "last_k"
    assert any(name.endswith("running_mean") for name in moved) == has_trained_norm


def test_timm_is_asked_for_by_name_where_it_is_not_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(
        ValueError, match=r"timm is not installed; pip install 'tripletune\[timm\]"
    ):
        build(Timm(model="resnet18"))


def test_an_unknown_model_of_timm_is_refused() -> None:
    pytest.importorskip("timm")
    with pytest.raises(
        ValueError, match=r"encoder\.model must be a model of timm, got 'resnet_1'"
    ):
        build(Timm(model="resnet_1"))


def test_timm_takes_a_file_of_weights_and_names_what_does_not_pool(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    weights = timm.create_model("test_resnet.r160_in1k", pretrained=False).state_dict()
    path = write_safetensors(weights, tmp_path / "weights")
    encoder = build(Timm(model="test_resnet.r160_in1k", weights=str(path)))
    for name, value in encoder.backbone.state_dict().items():
        assert torch.equal(value, weights[name]), name
    with pytest.raises(ValueError, match="whose features are no map"):
        build(Timm(model="test_vit.r160_in1k", head=HeadConfig(pool="gem")), size=160)


def test_a_model_that_pools_on_its_way_keeps_its_average() -> None:
    with pytest.raises(ValueError, match=r"encoder\.head\.pool must be average with model shuff"):
        build(Torchvision(model=MODEL, head=HeadConfig(pool="max")))


def test_average_pooling_of_the_map_is_the_models_own() -> None:
    """`gem` with exponent 1 on the map of a model that ends in ReLU."""
    own, outer = build(ResNet18(), size=64), build(ResNet18(head=HeadConfig(pool="gem")), size=64)
    assert isinstance(outer.pool, GeM)
    outer.pool.log_p.data.zero_()
    images = torch.rand(2, 3, 64, 64)
    maps = outer.eval().features(images)
    assert maps.shape == (2, 512, 4, 1)
    torch.testing.assert_close(outer.pool(maps), own.eval().features(images), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("model", ["alexnet", "inception_v3", "maxvit_t"])
def test_an_image_that_does_not_suit_a_model_is_refused(model: str) -> None:
    config = Torchvision.model_validate({"model": model})
    with pytest.raises(ValueError, match=f"image_size must suit the model {model}, got"):
        build(config, size=50)
