"""The commands that make pages and files of a study."""

from pathlib import Path

import pytest
from told_studies import told_study
from typer.testing import CliRunner

from tripletune.search.cli import app

RUNNER = CliRunner()


@pytest.fixture(scope="module")
def runs(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    told_study(folder / "told", images, ["done", "stopped", "failed"])
    return folder


def test_report_is_written_into_the_study(runs: Path) -> None:
    done = RUNNER.invoke(app, ["report", "told", "--runs", str(runs), "--no-model"])
    assert done.exit_code == 0, done.output
    assert (runs / "told" / "report.html").read_text().startswith("<!doctype html>")
    assert "report.html" in done.output


def test_report_goes_where_it_is_told(runs: Path, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    arguments = ["report", "told", "--runs", str(runs), "--no-model", "--to", str(path)]
    assert RUNNER.invoke(app, arguments).exit_code == 0
    assert path.is_file()


def test_report_refuses_a_folder_to_write_to(runs: Path) -> None:
    done = RUNNER.invoke(app, ["report", "told", "--runs", str(runs), "--to", str(runs)])
    assert isinstance(done.exception, IsADirectoryError)
    assert "--to must be a file" in str(done.exception)
