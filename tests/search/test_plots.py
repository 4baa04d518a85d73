"""A study in a notebook: a table, and plotly figures."""

import json
import sys
from pathlib import Path

import optuna
import pytest
from told_studies import FAILURE, Fate, empty_study, told_study

from tripletune.search.study import Study

FATES: tuple[Fate, ...] = ("done", "stopped", "done", "failed", "done", "collapsed", "done")
PLOTS = ("contour", "cost", "curves", "history", "importance", "parallel", "slice", "timeline")


@pytest.fixture(scope="module")
def study(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    return told_study(tmp_path_factory.mktemp("runs") / "told", images, FATES)


@pytest.mark.parametrize("name", PLOTS)
def test_a_plot_is_a_plotly_figure_with_something_on_it(study: Study, name: str) -> None:
    figure = getattr(study, f"plot_{name}")()
    assert type(figure).__module__.startswith("plotly.")
    assert len(figure.data) > 0
    json.loads(figure.to_json())


def test_a_plot_writes_nothing_to_the_study(study: Study) -> None:
    before = study.folder.journal.read_bytes()
    study.plot_slice()
    study.plot_history()
    assert study.folder.journal.read_bytes() == before


def test_plots_take_the_parameters_that_are_named(study: Study) -> None:
    figure = study.plot_slice(params=["optimizer.learning_rate"])
    assert len(figure.data) == 1


def test_learning_curves_are_those_of_all_trials_that_did_not_fail(study: Study) -> None:
    reported = sum(bool(r.reports) and r.state != "failed" for r in study.records())
    assert len(study.plot_curves().data) == reported


def test_front_of_a_cost_is_of_trials_that_no_other_beats(study: Study) -> None:
    figure = study.plot_cost("seconds")
    (front,) = (trace for trace in figure.data if trace.name == "Pareto front")
    assert list(front.x) == sorted(front.x)
    assert list(front.y) == sorted(front.y)
    best = study.leaderboard().rows[0].record.last_report
    assert best is not None
    assert front.y[-1] == best.one_shot_accuracy


def test_a_cost_that_does_not_exist_is_refused(study: Study) -> None:
    with pytest.raises(ValueError, match="cost must be one of seconds"):
        study.plot_cost("money")


def test_without_plotly_the_message_says_what_to_install(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "plotly", None)
    with pytest.raises(ImportError, match=r"tripletune\[report\]"):
        study.plot_history()


def test_plots_leave_optunas_voice_as_it_was(study: Study) -> None:
    before = optuna.logging.get_verbosity()
    study.plot_history()
    assert optuna.logging.get_verbosity() == before


def test_a_notebook_shows_the_leaderboard_as_a_table(study: Study) -> None:
    html = study._repr_html_()
    assert html.count("<tr") == 1 + len(FATES) + len(study.settings.baselines)
    assert "pixel 1nn" in html
    assert FAILURE not in html


def test_a_notebook_shows_that_a_study_is_empty(images: Path, tmp_path: Path) -> None:
    assert "no trials yet" in empty_study(tmp_path / "runs" / "empty", images)._repr_html_()
