"""The arithmetic of a step: what is tried, what is chosen, and fp16 with its scaler."""

from pathlib import Path

import pytest
import torch
from toy import recipe, trial_data

from tripletune.spaces import (
    ComputeConfig,
    Conv4,
    MinerConfig,
    ObjectiveConfig,
    OptimizerConfig,
    ProxyAnchor,
)
from tripletune.trainables import PreparedData, Trial, machine, precision, prepare
from tripletune.trainables.precision import candidates, choose_precision, fastest_precision

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def prepared() -> PreparedData:
    return prepare(trial_data(), recipe().evaluation, CPU)


@pytest.mark.parametrize(
    ("seconds", "chosen"),
    [
        ({"fp32": 1.0}, "fp32"),
        ({"fp32": 1.0, "bf16": 0.5}, "bf16"),
        ({"fp32": 1.0, "bf16": 0.97}, "fp32"),  # within the noise
        ({"fp32": 1.0, "bf16": 10.0}, "fp32"),
        ({"fp32": 1.0, "bf16": 0.5, "fp16": 0.49}, "bf16"),
        ({"fp32": 1.0, "bf16": 0.5, "fp16": 0.3}, "fp16"),
        ({"fp32": 1.0, "fp16": 0.5}, "fp16"),
    ],
)
def test_the_faster_arithmetic_is_chosen_where_it_is_worth_it(
    seconds: dict[str, float], chosen: str
) -> None:
    assert choose_precision(seconds) == chosen


def test_a_processor_without_wide_vectors_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    assert candidates(CPU) == ("fp32",)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    assert candidates(CPU) == ("fp32", "bf16")


def test_each_arithmetic_is_measured_once_a_machine_and_shape(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(machine, "_known", {})
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    measured = []
    measure = precision.seconds_of_steps

    def counted(*arguments: object) -> dict[str, float]:
        measured.append(arguments)
        return measure(*arguments)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(precision, "seconds_of_steps", counted)
    encoder = Conv4(width=4, embedding_dim=8)
    first = fastest_precision(encoder, (4, 1, 16, 16), CPU)
    monkeypatch.setattr(machine, "_known", {})
    assert fastest_precision(encoder, (4, 1, 16, 16), CPU) == first
    assert len(measured) == 1
    fastest_precision(encoder, (8, 1, 16, 16), CPU)
    assert len(measured) == 2


def test_fp16_goes_on_from_a_checkpoint_with_its_scale(
    prepared: PreparedData, tmp_path: Path
) -> None:
    config = recipe(
        compute=ComputeConfig(precision="fp16", threads=1, compile="off"),
        optimizer=OptimizerConfig(learning_rate=3e-3, gradient_clip=0.5),
    )
    whole = Trial(config, prepared)
    assert whole._scaler is not None
    whole.train(1)
    whole._scaler.update(new_scale=2.0**10)
    whole.train(2)
    whole.save(tmp_path / "trial.pt")
    second = Trial.resumed(config, prepared, tmp_path / "trial.pt")
    assert second._scaler is not None
    assert second._scaler.get_scale() == whole._scaler.get_scale() == 2.0**10
    whole.train(3)
    second.train(3)
    for name, value in whole.encoder.state_dict().items():
        assert torch.equal(value, second.encoder.state_dict()[name]), name


def test_an_overflow_of_fp16_skips_the_step_and_lowers_the_scale(prepared: PreparedData) -> None:
    trial = Trial(recipe(compute=ComputeConfig(precision="fp16", threads=1)), prepared)
    assert trial._scaler is not None
    trial.train(1)
    trial._scaler.update(new_scale=float(torch.finfo(torch.float32).max))
    before = [parameter.clone() for parameter in trial.training_encoder.parameters()]
    trial.train(1)
    for old, new in zip(before, trial.training_encoder.parameters(), strict=True):
        assert torch.equal(old, new)
    assert trial._scaler.get_scale() < torch.finfo(torch.float32).max


def test_the_gradients_of_encoder_and_loss_are_clipped_each_by_itself(
    prepared: PreparedData,
) -> None:
    config = recipe(
        objective=ObjectiveConfig(loss=ProxyAnchor(), miner=MinerConfig(name="none")),
        optimizer=OptimizerConfig(gradient_clip=1e-3),
    )
    trial = Trial(config, prepared)
    trial.train(1)
    for part in (trial.training_encoder, trial._objective):
        gradients = [p.grad.flatten() for p in part.parameters() if p.grad is not None]
        assert float(torch.cat(gradients).norm()) == pytest.approx(1e-3, rel=1e-2)
