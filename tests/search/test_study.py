"""A study on disk: what it keeps, and what it refuses."""

import re
import shutil
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from command_line import environment
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from reports import report
from toy_search import toy_options, toy_settings, toy_space

from tripletune.search.folder import StudyError, StudyFolder, find_study, new_study_folder
from tripletune.search.runner import resume, run_search
from tripletune.search.study import Study
from tripletune.spaces import Triplet


@pytest.fixture
def study(images: Path, tmp_path: Path) -> Study:
    return Study.create(StudyFolder(tmp_path / "runs" / "toy"), toy_settings(toy_space(images)))


def optunas_own(study: Study) -> optuna.Study:
    """The study as Optuna and its dashboard open it, by nothing but the file and the name."""
    return optuna.load_study(
        study_name=study.name,
        storage=JournalStorage(JournalFileBackend(str(study.folder.journal))),
    )


def test_study_that_is_opened_again_is_the_same(study: Study) -> None:
    asked = study.ask(study.space)
    study.start(asked.number)
    study.report(asked.number, report(2, 0.5))

    opened = Study.open(find_study("toy", study.folder.path.parent))

    assert opened.records() == study.records()
    assert opened.records()[0].recipe == asked.recipe
    assert opened.settings == study.settings
    assert opened.space.digest == study.space.digest


def test_first_report_of_a_step_stands(study: Study) -> None:
    number = study.ask(study.space).number

    assert study.report(number, report(2, 0.5))
    assert not study.report(number, report(2, 0.9))

    assert study.record(number).reports == (report(2, 0.5),)


def test_ends_are_what_optuna_should_learn_of(study: Study) -> None:
    numbers = [study.ask(study.space).number for _ in range(5)]
    complete, pruned, failed, collapsed, silent = numbers
    for number in numbers[:4]:
        study.report(number, report(2, 0.5))
    study.report(complete, report(18, 0.8))
    study.report(collapsed, replace(report(4, 0.6), is_collapsed=True))
    study.fail(failed, "FloatingPointError: the loss is nan at step 4", "Traceback ...")
    for number in (complete, pruned, collapsed, silent):
        study.finish(number)

    trials = optunas_own(study).trials

    assert [trial.state for trial in trials] == [
        TrialState.COMPLETE,
        TrialState.PRUNED,
        TrialState.FAIL,
        TrialState.PRUNED,
        TrialState.FAIL,
    ]
    assert trials[complete].value == 0.8
    assert trials[complete].intermediate_values == {2: 0.5, 18: 0.8}
    assert trials[complete].user_attrs["recipe"] == study.record(complete).recipe.to_dict()
    assert trials[failed].user_attrs["failure"].startswith("FloatingPointError")
    assert trials[collapsed].constraints == {"collapsed": 1.0}
    assert not any(trial.constraints for trial in trials if trial.number != collapsed)
    assert study.record(silent).failure == "it ended without a report"


def test_ending_a_trial_twice_changes_nothing(study: Study) -> None:
    number = study.ask(study.space).number
    study.report(number, report(18, 0.8))
    study.finish(number)

    assert study.finish(number).state == "complete"
    assert Study.open(study.folder).finish(number).state == "complete"


def test_conditional_parameters_are_optunas_own(study: Study) -> None:
    for _ in range(10):
        study.ask(study.space)

    by_branch = {
        trial.params["objective"]: set(trial.params) for trial in optunas_own(study).trials
    }

    assert "objective.triplet.loss.margin" in by_branch["triplet"]
    assert "objective.supcon.loss.temperature" not in by_branch["triplet"]
    assert "objective.supcon.loss.temperature" in by_branch["supcon"]


def test_trial_cut_off_before_its_recipe_is_asked_for_again(study: Study) -> None:
    study._study.ask()  # what a kill between Optuna's suggestion and the recipe leaves
    opened = Study.open(study.folder)

    opened.settle()

    assert opened.records() == ()
    with pytest.raises(StudyError, match="has no trial 0"):
        opened.record(0)
    assert opened.ask(opened.space).number == 0
    assert opened.ask(opened.space).number == 1


def test_first_trial_takes_the_middle_of_every_range_and_the_first_choice(study: Study) -> None:
    recipe = study.ask(study.space).recipe

    assert recipe.encoder.embedding_dim == 8
    assert recipe.objective.loss == Triplet(margin=0.3)
    assert recipe.optimizer.learning_rate == pytest.approx(10**-2.5)


def test_trial_that_had_its_verdict_does_not_go_on(study: Study) -> None:
    stopped, finished, cut = (study.ask(study.space).number for _ in range(3))
    study.report(stopped, report(2, 0.5), is_last=True)
    study.report(finished, report(18, 0.8), is_last=True)
    study.report(cut, report(2, 0.5))

    opened = Study.open(study.folder)
    opened.settle()

    # The one at the end of its budget goes through its last checkpoint once more.
    assert [record.state for record in opened.records()] == ["pruned", "running", "running"]


def test_opened_study_does_not_draw_its_first_trials_again(study: Study) -> None:
    first = [study.ask(study.space).recipe.digest for _ in range(3)]
    opened = Study.open(study.folder)
    then = [opened.ask(opened.space).recipe.digest for _ in range(3)]

    assert len(set(first + then)) == 6


def test_last_line_that_was_not_written_whole_is_cut_off(study: Study) -> None:
    number = study.ask(study.space).number
    with study.folder.journal.open("ab") as file:
        file.write(b'{"op_code": 8, "wor')  # what a full disk leaves

    opened = Study.open(study.folder)
    with opened.folder.claimed():
        opened.report(number, report(2, 0.5))
        opened.report(number, report(4, 0.6))

    assert Study.open(study.folder).record(number).reports == (report(2, 0.5), report(4, 0.6))


def test_folder_without_settings_is_no_study_yet(images: Path, tmp_path: Path) -> None:
    space = toy_space(images)
    folder = StudyFolder(tmp_path / "runs" / "toy")
    Study.create(folder, toy_settings(space))
    folder.settings.unlink()  # as if the start had been killed before the last file

    assert Study.create(folder, toy_settings(space)).records() == ()


def test_study_is_run_by_one_process_alone(study: Study) -> None:
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from tripletune.search.folder import StudyFolder\n"
        "with StudyFolder(Path(sys.argv[1])).claimed():\n"
        "    print(os.getpid(), flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(study.folder.path)],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout
        process = int(other.stdout.readline())
        who = re.escape(f"study toy is being run by process {process} on {socket.gethostname()}")
        with pytest.raises(StudyError, match=who):
            resume(study)
        other.kill()
        other.wait()
        with study.folder.claimed():  # the claim ended with the process
            pass


def test_name_that_is_taken_is_refused_with_the_command(study: Study, images: Path) -> None:
    with pytest.raises(StudyError, match=r"study toy exists in .*`tripletune resume toy --runs"):
        run_search(toy_space(images), toy_options(2), name="toy", runs=study.folder.path.parent)


def test_name_with_another_space_is_refused_with_the_difference(
    study: Study, images: Path
) -> None:
    other = toy_space(images, budget__steps=20)
    with pytest.raises(StudyError, match=r"with another space: budget\.steps was 18, is 20\. Ch"):
        run_search(other, toy_options(2), name="toy", runs=study.folder.path.parent)


@pytest.mark.parametrize("name", ["", "a/b", "../a", ".hidden", "a b", "x" * 101])
def test_name_that_is_no_folder_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="name must be 1 to 100 letters, digits"):
        new_study_folder(name, tmp_path)


def test_study_that_does_not_exist_lists_those_that_do(study: Study, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"no study 'top' under .*runs; there are: toy"):
        find_study("top", study.folder.path.parent)
    with pytest.raises(StudyError, match="there is none yet: tripletune search"):
        find_study("top", tmp_path / "elsewhere")


def test_resume_command_can_be_typed_where_the_search_was_started(workplace: Path) -> None:
    assert StudyFolder(workplace / "runs" / "toy").command("resume") == "tripletune resume toy"
    assert (
        StudyFolder(workplace / "other" / "toy").command("resume")
        == "tripletune resume toy --runs other"
    )
    assert StudyFolder(Path("/far/toy")).command("resume") == "tripletune resume toy --runs /far"


def test_changed_data_are_refused_with_the_difference(images: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(images, tmp_path / "images")
    study = Study.create(StudyFolder(tmp_path / "runs" / "toy"), toy_settings(toy_space(copy)))
    shutil.copytree(copy / "class00", copy / "class99")

    with pytest.raises(
        StudyError,
        match=r"the data are not those of study toy: fingerprint was \w+, is \w+; "
        r"split was \w+, is \w+.*start a new search",
    ):
        resume(study)


def test_damaged_study_is_refused_by_name(study: Study) -> None:
    study.folder.settings.write_text("space: [")

    with pytest.raises(StudyError, match=r"the study in .*toy cannot be read"):
        Study.open(study.folder)


def test_options_of_the_newest_start_are_those_a_resume_goes_on_with(study: Study) -> None:
    study.change_options(toy_options(9).to_dict())

    assert Study.open(study.folder).settings.options["trials"] == 9
    assert Study.open(study.folder).settings.space == study.settings.space
