"""The leaderboard as files of other programs, and the curves as TensorBoard reads them."""

import csv
import json
from pathlib import Path

import pytest
from told_studies import Fate, empty_study, told_study
from typer.testing import CliRunner

from tripletune.search.cli import app
from tripletune.search.folder import StudyError
from tripletune.search.leaderboard import CSV_COLUMNS
from tripletune.search.study import Study
from tripletune.search.tables import write_table
from tripletune.search.tensorboard import write_tensorboard

RUNNER = CliRunner()
FATES: tuple[Fate, ...] = ("done", "stopped", "collapsed", "failed", "silent")


@pytest.fixture(scope="module")
def study(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    return told_study(tmp_path_factory.mktemp("runs") / "told", images, FATES)


def test_parquet_holds_what_the_csv_holds_with_types(study: Study, tmp_path: Path) -> None:
    from pyarrow import parquet

    write_table(study.leaderboard(), tmp_path / "board.parquet")
    write_table(study.leaderboard(), tmp_path / "board.csv")
    rows = parquet.read_table(tmp_path / "board.parquet").to_pylist()
    with (tmp_path / "board.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert len(rows) == len(lines) == len(FATES)
    for row, line in zip(rows, lines, strict=True):
        assert {name: "" if row[name] is None else str(row[name]) for name in CSV_COLUMNS} == line
        assert isinstance(row["learning_rate"], float)
        assert json.loads(row["recipe_json"])["encoder"]["name"] == "conv4"


def test_parquet_of_an_empty_study_has_its_columns(images: Path, tmp_path: Path) -> None:
    from pyarrow import parquet

    empty = empty_study(tmp_path / "runs" / "empty", images)
    write_table(empty.leaderboard(), tmp_path / "board.parquet")
    assert parquet.read_table(tmp_path / "board.parquet").column_names == list(CSV_COLUMNS)


def test_an_unknown_format_is_refused(study: Study, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must end in \.csv or \.parquet, got board\.xls"):
        write_table(study.leaderboard(), tmp_path / "board.xls")


def test_leaderboard_command_writes_the_file(study: Study, tmp_path: Path) -> None:
    path = tmp_path / "board.parquet"
    done = RUNNER.invoke(app, ["leaderboard", str(study.folder.path), "--to", str(path)])
    assert done.exit_code == 0, done.output
    assert path.is_file()


def test_tensorboard_has_a_run_for_each_trial_that_reported(study: Study, tmp_path: Path) -> None:
    written = write_tensorboard(study, tmp_path / "events")
    reported = [record for record in study.records() if record.reports]
    assert written == len(reported)
    assert {path.name for path in (tmp_path / "events").iterdir()} == {
        f"trial_{record.number:05d}" for record in reported
    }
    assert write_tensorboard(study, tmp_path / "events") == written  # again, in its own place


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Scalars of a run, read record by record."""
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.record_writer import masked_crc32c

    found: dict[str, list[tuple[int, float]]] = {}
    (path,) = folder.glob("events.out.tfevents.*")
    data = path.read_bytes()
    place = 0
    while place < len(data):
        length = int.from_bytes(data[place : place + 8], "little")
        head = int.from_bytes(data[place + 8 : place + 12], "little")
        assert masked_crc32c(data[place : place + 8]) == head
        event = Event.FromString(data[place + 12 : place + 12 + length])
        for value in event.summary.value:
            if value.HasField("simple_value"):
                found.setdefault(value.tag, []).append((event.step, value.simple_value))
        place += 12 + length + 4
    return found


def test_tensorboard_holds_every_report_of_a_trial(study: Study, tmp_path: Path) -> None:
    write_tensorboard(study, tmp_path / "events")
    for record in study.records():
        if not record.reports:
            continue
        found = scalars(tmp_path / "events" / f"trial_{record.number:05d}")
        expected = [(report.step, report.one_shot_accuracy) for report in record.reports]
        for (step, value), (wanted_step, wanted) in zip(
            found["one_shot_accuracy"], expected, strict=True
        ):
            assert step == wanted_step
            assert value == pytest.approx(wanted, abs=1e-6)
        assert "spread" in found


def test_a_folder_of_something_else_is_not_overwritten(study: Study, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(StudyError, match=r"holds mine\.txt"):
        write_tensorboard(study, tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_tensorboard_command_says_how_to_look(study: Study) -> None:
    done = RUNNER.invoke(app, ["tensorboard", str(study.folder.path)])
    assert done.exit_code == 0, done.output
    assert "wrote 4 trials" in done.output
    assert "tensorboard --logdir" in done.output
