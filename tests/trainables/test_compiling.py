"""Compiling and graphs: only where a measurement says so, and never another result."""

import math
import shutil
from pathlib import Path

import pytest
import torch
from toy import recipe, trial_data

from tripletune.spaces import ComputeConfig, Conv4
from tripletune.trainables import PreparedData, Trial, machine, prepare
from tripletune.trainables.compiling import choose_mode, fastest_mode, possible_modes

CPU = torch.device("cpu")
SHAPE = (4, 1, 16, 16)


@pytest.fixture(scope="module")
def prepared() -> PreparedData:
    return prepare(trial_data(), recipe().evaluation, CPU)


def compiled(step: float, start: float) -> dict[str, float]:
    return {"off": 0.1, "compile": step, "compile_start": start}


@pytest.mark.parametrize(
    ("seconds", "steps", "mode"),
    [
        (compiled(0.05, 10.0), 1000, "compile"),  # saves 50 s, 17 s of them early
        (compiled(0.05, 20.0), 1000, "off"),  # not earned back within a third of the budget
        (compiled(0.05, 10.0), 500, "off"),
        (compiled(0.097, 0.1), 10**6, "off"),  # within the noise of a clock
        (compiled(0.2, 0.1), 10**6, "off"),
        (compiled(math.inf, math.inf), 10**6, "off"),
        ({**compiled(0.05, 10.0), "graph": 0.08, "graph_start": 1.0}, 1000, "compile"),
        ({**compiled(0.05, 10.0), "graph": 0.05, "graph_start": 1.0}, 1000, "graph"),
        ({**compiled(0.05, 10.0), "graph": 0.08, "graph_start": 1.0}, 300, "graph"),
    ],
)
def test_a_mode_is_chosen_when_it_earns_back_its_start(
    seconds: dict[str, float], steps: int, mode: str
) -> None:
    assert choose_mode(seconds, steps) == mode


def test_without_a_compiler_nothing_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert possible_modes(CPU) == ()
    assert fastest_mode(Conv4(), SHAPE, "fp32", CPU, 10**9) == "off"


def test_a_short_trial_waits_for_no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/c++")
    monkeypatch.setattr(torch, "compile", None)  # a call would raise
    assert fastest_mode(Conv4(width=4), SHAPE, "fp32", CPU, 100) == "off"


@pytest.mark.parametrize("fault", ["raises", "other result"])
def test_a_compiler_that_fails_is_not_used(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(machine, "_known", {})
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/c++")

    def broken(module: torch.nn.Module, dynamic: bool) -> object:
        if fault == "raises":
            raise RuntimeError("no such header")
        return lambda images: module(images) + 1.0

    monkeypatch.setattr(torch, "compile", broken)
    assert fastest_mode(Conv4(width=4), SHAPE, "fp32", CPU, 10**9) == "off"
    kept = [path.read_text() for path in (tmp_path / "tripletune" / "measured").iterdir()]
    assert any('"compile": Infinity' in text for text in kept)


def test_the_recipe_says_which_mode_was_used(prepared: PreparedData) -> None:
    config = recipe(compute=ComputeConfig(precision="fp32", threads=1))
    assert config.compute.compile == "auto"
    assert Trial(config, prepared).recipe.compute.compile == "off"


def test_a_graph_without_a_gpu_is_refused(prepared: PreparedData) -> None:
    config = recipe(compute=ComputeConfig(precision="fp32", threads=1, compile="graph"))
    with pytest.raises(ValueError, match=r"compute\.compile must be auto, off or compile"):
        Trial(config, prepared)


def test_a_compiled_trial_keeps_the_names_of_its_weights_and_trains_alike(
    prepared: PreparedData, monkeypatch: pytest.MonkeyPatch
) -> None:
    compile_ = torch.compile
    # Traced whole and run op by op: what is tested is the wiring, not the C++ compiler.
    monkeypatch.setattr(
        torch,
        "compile",
        lambda module, dynamic: compile_(module, dynamic=dynamic, backend="eager"),
    )
    trials = [
        Trial(recipe(compute=ComputeConfig(precision="fp32", threads=1, compile=mode)), prepared)
        for mode in ("off", "compile")
    ]
    for trial in trials:
        trial.train(4)
        trial.evaluate()
        trial.train(2)
    plain, other = (trial.training_encoder.state_dict() for trial in trials)
    assert plain.keys() == other.keys()
    for name, value in plain.items():
        torch.testing.assert_close(value, other[name])
