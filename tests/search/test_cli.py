"""The command line: one message for each mistake, JSON for scripts, and the small commands."""

import json
import re
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from command_line import tripletune
from PIL import Image
from toy_search import write_space
from toy_space import SPACE

import tripletune as package
from tripletune.search.cli import main
from tripletune.search.folder import StudyFolder
from tripletune.search.study import Study
from tripletune.trainables import Trial

Outcome = tuple[int, str, str]


@pytest.fixture
def run(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Any:
    """Runs a command in this process: exit status, standard output, standard error."""

    def run_command(*arguments: str | Path) -> Outcome:
        monkeypatch.setattr("sys.argv", ["tripletune", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "300")
        capsys.readouterr()
        try:
            main()
        except SystemExit as error:
            printed = capsys.readouterr()
            return int(error.code or 0), printed.out, printed.err
        raise AssertionError("a command ends with an exit status")

    return run_command


def assert_refused(outcome: Outcome, status: int, message: str) -> None:
    code, out, err = outcome
    assert re.search(message, err), err
    assert code == status
    assert "error" not in out
    assert "Traceback" not in err
    assert err.count("error: ") == 1


def test_typo_in_a_space_is_shown_with_its_line(run: Any, workplace: Path) -> None:
    space = write_space(workplace, SPACE.replace("learning_rate", "lerning_rate"))

    assert_refused(
        run("search", space), 2, r"toy\.yaml:17: optimizer\.lerning_rate: .*learning_rate"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.yaml"], "nowhere.yaml"),
        (["--data", "nowhere"], "--data must be a folder, a zip or one of .*, got nowhere: it do"),
        (["--time-budget", "soon"], "--time-budget must be such as 90s, 40m or 8h, got 'soon'"),
        (["--set", "budget.steps"], "--set must be KEY=VALUE, .*, got 'budget.steps'"),
        (["--set", "budget.stepps=3"], "budget.stepps"),
        (["--set", "budget.steps=[3"], r"--set budget.steps must be a YAML value, got '\[3'"),
        (["--set", "budget.steps=none"], "budget.steps"),
        (["--trials", "0"], "trials must be >= 1, got 0"),
        (["--name", "a/b"], "name must be 1 to 100 letters, .*, got 'a/b'"),
    ],
)
def test_wrong_use_is_one_message_and_status_2(
    run: Any, workplace: Path, arguments: list[str], message: str
) -> None:
    assert_refused(run("search", *arguments), 2, f"error: .*{message}")
    assert not (workplace / "runs").exists()


def test_unknown_option_is_status_2(run: Any) -> None:
    code, _, err = run("search", "--trails", "3")

    assert code == 2
    assert "--trails" in err


def test_debug_shows_the_traceback(run: Any) -> None:
    with pytest.raises(FileNotFoundError, match="--data must be a folder"):
        run("--debug", "search", "--data", "nowhere")


def test_class_of_one_image_is_refused_or_dropped_as_the_space_says(
    run: Any, images: Path, workplace: Path
) -> None:
    data = shutil.copytree(images, workplace / "images")
    (data / "lonely").mkdir()
    Image.new("L", (16, 16)).save(data / "lonely" / "only.png")
    space = write_space(workplace)
    arguments = ["search", space, "--data", data, "--address", "127.0.0.1:1", "--no-wandb"]

    assert_refused(
        run(*arguments, "--set", "data.small_classes=refuse"),
        2,
        r"every class must have at least 2 readable images, got lonely \(1\); .*drop",
    )
    assert not (workplace / "runs").exists()
    # By default it is dropped and said; the search goes on, here to a cluster that is not there.
    code, out, _ = run(*arguments)
    assert code == 1
    assert re.search(r"1 class.*lonely", out)


def test_unreachable_cluster_is_status_1_with_the_address(
    run: Any, images: Path, workplace: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"

    code, _, err = run(
        *("search", write_space(workplace), "--data", images),
        *("--address", address, "--no-wandb", "--name", "far"),
    )

    assert code == 1
    assert re.fullmatch(rf"error: .*{address}.*\n", err)
    assert not (workplace / "runs").exists()  # the mended command may be given the same name


def test_study_that_is_unknown_or_taken_is_status_1(run: Any, workplace: Path) -> None:
    assert_refused(run("resume", "top"), 1, "error: no study 'top' under runs; there is none yet")
    assert_refused(run("leaderboard", "top"), 1, "error: no study 'top'")


def test_version(run: Any) -> None:
    assert run("--version") == (0, f"tripletune {package.__version__}\n", "")


def test_describe_prints_the_tree_and_the_losses(run: Any) -> None:
    code, tree, _ = run("describe", "quickstart")
    assert code == 0
    assert "soft_nearest_neighbor" in tree

    code, losses, _ = run("describe", "--losses")
    assert code == 0
    assert "distance_weighted" in losses

    code, encoders, _ = run("describe", "--encoders", "--markdown")
    assert code == 0
    assert "| `resnet12` |" in encoders

    assert_refused(run("describe"), 2, "WHAT must be .*quickstart.*, got none")


def test_schema_is_json_that_knows_the_sections(run: Any, workplace: Path) -> None:
    code, text, _ = run("schema")
    assert code == 0
    assert "objective" in json.loads(text)["$defs"]["recipe"]["properties"]

    assert run("schema", "--to", "space.json") == (0, "wrote space.json\n", "")
    assert json.loads((workplace / "space.json").read_text()) == json.loads(text)


@dataclass(frozen=True)
class Finished:
    """A search that ran to its end from the command line, with W&B out of reach."""

    place: Path
    process: subprocess.CompletedProcess[str]

    @property
    def study(self) -> Study:
        return Study.open(StudyFolder(self.place / "runs" / "toy"))


@pytest.fixture(scope="module")
def finished(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    place = tmp_path_factory.mktemp("place")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        server = f"http://127.0.0.1:{free.getsockname()[1]}"
    process = tripletune(
        *("search", write_space(place), "--data", images, "--trials", "3", "--name", "toy"),
        *("--wandb", "online", "--json"),
        cwd=place,
        WANDB_BASE_URL=server,
        WANDB_API_KEY="0" * 40,
    )
    return Finished(place, process)


@pytest.mark.slow
def test_search_prints_json_alone_and_survives_a_wandb_out_of_reach(finished: Finished) -> None:
    process = finished.process

    assert process.returncode == 0, process.stderr
    board = json.loads(process.stdout)
    assert [row["place"] for row in board["trials"]] == [1, 2, 3]
    assert {row["state"] for row in board["trials"]} <= {"complete", "pruned"}
    assert "Traceback" not in process.stderr
    warnings = [line for line in process.stderr.splitlines() if "W&B" in line]
    assert len(warnings) == 1, process.stderr
    assert warnings[0].startswith("W&B could not upload (no connection to 127.0.0.1:")
    assert "0" * 40 not in process.stderr


@pytest.mark.slow
def test_search_says_nothing_but_its_own_lines(finished: Finished) -> None:
    """No log line of Ray, Optuna or torch between the lines of the search."""
    own = re.compile(
        r"loading the data of toy|training on |starting Ray|\d trials? at a time|baseline |"
        r"one place trains the baselines|"
        r"trial \d|W&B "
    )

    assert [line for line in finished.process.stderr.splitlines() if not own.match(line)] == []


@pytest.mark.slow
def test_leaderboard_is_printed_again_as_json_and_as_a_table(
    finished: Finished, run: Any, workplace: Path
) -> None:
    runs = finished.place / "runs"

    code, text, _ = run("leaderboard", "toy", "--json", "--runs", runs)
    assert (code, json.loads(text)) == (0, json.loads(finished.process.stdout))

    code, table, _ = run("leaderboard", runs / "toy")
    assert code == 0
    assert "supcon" in table or "triplet" in table
    assert "\x1b[" not in table


@pytest.mark.slow
def test_export_writes_the_trial_that_was_asked_for(
    finished: Finished, run: Any, workplace: Path
) -> None:
    runs = finished.place / "runs"
    study = finished.study
    best = study.leaderboard().best
    assert best is not None
    other = next(record.number for record in study.records() if record.number != best.number)

    code, text, _ = run("export", "toy", "--to", "best", "--runs", runs)
    assert (code, text) == (0, f"exported trial {best.number} of toy to best\n")
    code, text, _ = run("export", "toy", "--to", "other", "--trial", str(other), "--runs", runs)
    assert code == 0

    assert package.load("best").recipe == package.load(study.folder.best).recipe
    assert package.load("other").scores["trial"] == other
    assert_refused(
        run("export", "toy", "--to", "x", "--trial", "9", "--runs", runs), 1, "has no trial 9"
    )


@pytest.mark.slow
def test_export_writes_leading_dimensions_a_front_and_an_onnx_graph(
    finished: Finished, run: Any, workplace: Path
) -> None:
    runs = finished.place / "runs"

    code, text, err = run("export", "toy", "--to", "short", "--under-dim", "8", "--runs", runs)
    assert code == 0, err
    assert package.load("short").embedding_dim == 8
    code, text, err = run("export", "toy", "--to", "front", "--pareto", "--onnx", "--runs", runs)
    assert code == 0, err
    listed = json.loads((workplace / "front" / "pareto.json").read_text())
    assert len(listed) == len(text.splitlines()) >= 1
    for one in listed:
        model = package.load(workplace / "front" / one["folder"], device="cpu")
        assert (model.embedding_dim, model.check()) == (one["dimensions"], 0.0)
        selection = model.scores["selection"]
        assert selection["one_shot_accuracy"] == one["one_shot_accuracy"]
        assert (workplace / "front" / one["folder"] / "model.onnx").is_file()
    assert_refused(
        run("export", "toy", "--to", "x", "--pareto", "--trial", "0", "--runs", runs),
        2,
        "--pareto must be given without",
    )


@pytest.mark.slow
def test_train_repeats_the_curve_of_the_trial_exactly(
    finished: Finished, run: Any, workplace: Path
) -> None:
    best = finished.study.leaderboard().best
    assert best is not None

    code, text, err = run(
        "train", finished.study.folder.best / "recipe.yaml", "--json", "--to", "m"
    )

    assert code == 0, err
    curve = package.load("m").scores["curve"]
    assert curve == [
        {"step": report.step, "one_shot_accuracy": report.one_shot_accuracy}
        for report in best.reports
    ]
    last = json.loads(text)
    # What a run takes is its own, and of Ray's process: "train" has none.
    timeless = {"seconds", "images_per_second", "processor_share", "memory_bytes"}
    timeless |= {"gpu_memory_bytes"}
    assert {name: value for name, value in last.items() if name not in timeless} == {
        name: value for name, value in best.reports[-1].to_dict().items() if name not in timeless
    }


@pytest.mark.slow
def test_train_that_diverges_is_one_message(
    finished: Finished, run: Any, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverge(self: Trial) -> None:
        raise FloatingPointError("the loss is nan at step 2")

    monkeypatch.setattr(Trial, "evaluate", diverge)

    code, _, err = run("train", finished.study.folder.best / "recipe.yaml")

    assert (code, err) == (1, "error: the loss is nan at step 2\n")


def test_train_without_a_recipe_file_is_wrong_use(run: Any) -> None:
    assert_refused(run("train", "recipe.yaml"), 2, "RECIPE must be a recipe file, got recipe.yaml")


@pytest.mark.slow
def test_resume_of_a_finished_study_may_add_trials(finished: Finished, workplace: Path) -> None:
    shutil.copytree(finished.place / "runs", workplace / "runs")
    before = finished.study.records()

    done = tripletune("resume", "toy", "--trials", "4", cwd=workplace)

    assert done.returncode == 0, done.stderr
    records = Study.open(StudyFolder(workplace / "runs" / "toy")).records()
    assert records[:3] == before
    assert len(records) == 4
    # Piped: no colour, no cursor movement; the leaderboard and what to do next at the end.
    assert "\x1b[" not in done.stdout
    assert "best model  runs/toy/best" in done.stdout
    assert done.stdout.splitlines()[-1] == "look again  tripletune leaderboard toy"
