"""What is measured once a machine: kept on disk, asked for again when the disk is of no use."""

from pathlib import Path

import pytest
import torch

from tripletune.trainables import machine
from tripletune.trainables.machine import measured_here

CPU = torch.device("cpu")


class Measurement:
    """Counts how often it is made."""

    def __init__(self, seconds: float = 2.0) -> None:
        self.count = 0
        self._seconds = seconds

    def __call__(self) -> dict[str, float]:
        self.count += 1
        return {"one": 1.0, "two": self._seconds}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(machine, "_known", {})
    return tmp_path / "tripletune" / "measured"


def ask(measurement: Measurement, **question: object) -> dict[str, float]:
    return measured_here({"what": "test", **question}, CPU, ("one", "two"), measurement)


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the next process would."""
    monkeypatch.setattr(machine, "_known", {})


def test_the_next_process_reads_what_this_one_measured(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = Measurement(), Measurement(seconds=9.0)
    answer = ask(first)
    forget(monkeypatch)
    assert ask(second) == answer == {"one": 1.0, "two": 2.0}
    assert (first.count, second.count) == (1, 0)
    assert [path.suffix for path in cache.iterdir()] == [".json"]


def test_an_infinite_answer_is_kept_too(monkeypatch: pytest.MonkeyPatch) -> None:
    second = Measurement()
    ask(Measurement(seconds=float("inf")))
    forget(monkeypatch)
    assert ask(second)["two"] == float("inf")
    assert second.count == 0


@pytest.mark.parametrize("other", ["question", "threads", "machine", "torch"])
def test_another_question_or_machine_is_measured_anew(
    other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = Measurement(), Measurement()
    ask(first)
    if other == "threads":
        monkeypatch.setattr(torch, "get_num_threads", lambda: 77)
    elif other == "machine":
        monkeypatch.setattr(machine, "machine_name", lambda device: "another one")
    elif other == "torch":
        monkeypatch.setattr(torch, "__version__", "0.0")
    ask(second, **({"size": 3} if other == "question" else {}))
    assert second.count == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"seconds": 3}',
        '{"seconds": {"one": 1.0}}',
        '{"seconds": {"one": 1.0, "two": "x"}}',
        '{"seconds": {"one": 1.0, "two": NaN}}',
        '{"seconds": {"one": 1.0, "two": -1}}',
    ],
)
def test_a_broken_file_is_measured_and_written_anew(
    text: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(Measurement())
    (file,) = cache.iterdir()
    file.write_text(text)
    forget(monkeypatch)
    again = Measurement()
    assert ask(again) == {"one": 1.0, "two": 2.0}
    assert again.count == 1
    forget(monkeypatch)
    assert ask(again)["two"] == 2.0
    assert again.count == 1


def test_a_cache_that_cannot_be_written_costs_one_measurement_a_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tripletune").write_text("a file where the folder should be")
    measurement = Measurement()
    assert ask(measurement) == ask(measurement)
    assert measurement.count == 1
    forget(monkeypatch)
    ask(measurement)
    assert measurement.count == 2
