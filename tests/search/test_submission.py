"""What is sent to a cluster: the space, the data by their content, secrets by name only."""

import json
from pathlib import Path

import pytest
from command_line import tripletune
from toy_search import toy_space, write_space

from tripletune.cluster.storage import Storage
from tripletune.search.options import SearchOptions
from tripletune.search.submission import Submission, going_on, new_study

STORAGE = Storage.parse("s3://bucket/runs")
KEY = "w" * 40


def test_parcel_names_the_data_by_their_content_and_keeps_the_key_to_itself(images: Path) -> None:
    parcel = new_study(
        toy_space(images),
        SearchOptions(trials=4),
        storage=STORAGE,
        name="toy",
        environment={"WANDB_API_KEY": KEY, "WANDB_ENTITY": "team", "OTHER": "x"},
    )
    shown = json.dumps(parcel.describe())

    (file,) = parcel.files
    assert f"s3://bucket/runs/data/{file.digest}.zip" in (parcel.submission.space or "")
    assert parcel.secrets == {"WANDB_API_KEY": KEY}
    assert parcel.variables == {"WANDB_ENTITY": "team"}
    assert KEY not in shown
    assert KEY not in parcel.submission.to_text()
    assert '"secrets": ["WANDB_API_KEY"]' in shown
    assert str(images) not in shown


def test_parcel_without_wandb_takes_no_key_along(images: Path) -> None:
    parcel = new_study(
        toy_space(images),
        SearchOptions(trials=4, wandb="off"),
        storage=STORAGE,
        name="toy",
        environment={"WANDB_API_KEY": KEY},
    )

    assert not parcel.secrets


def test_data_at_an_address_stay_there(images: Path) -> None:
    space = toy_space(images).with_values({"data.path": "gs://bucket/images.zip"})

    parcel = new_study(space, SearchOptions(), storage=STORAGE, name="toy", environment={})

    assert parcel.files == []
    assert "gs://bucket/images.zip" in (parcel.submission.space or "")


def test_submission_is_read_as_it_was_written(tmp_path: Path) -> None:
    parcel = going_on("toy", {"trials": 9}, storage=STORAGE, environment={"WANDB_API_KEY": KEY})
    (tmp_path / "submission.json").write_text(parcel.submission.to_text())

    read = Submission.read(tmp_path / "submission.json")

    assert read == parcel.submission
    assert read.space is None
    assert read.options == {"trials": 9}


def test_absent_data_are_refused_before_anything_is_sent(images: Path, tmp_path: Path) -> None:
    space = toy_space(images).with_values({"data.path": str(tmp_path / "none")})

    with pytest.raises(FileNotFoundError, match=r"data\.path must be a file or a folder"):
        new_study(space, SearchOptions(), storage=STORAGE, name="toy", environment={})


def test_dry_run_prints_what_would_be_sent_and_reaches_nobody(
    images: Path, workplace: Path
) -> None:
    shown = tripletune(
        *("submit", write_space(workplace), "--data", images, "--name", "toy", "--dry-run"),
        *("--address", "http://127.0.0.1:1", "--storage", "s3://bucket/runs"),
        cwd=workplace,
        WANDB_API_KEY=KEY,
    )

    assert shown.returncode == 0, shown.stderr
    sent = json.loads(shown.stdout)
    assert sent["study"] == "toy"
    assert sent["secrets"] == ["WANDB_API_KEY"]
    assert KEY not in shown.stdout + shown.stderr


@pytest.mark.parametrize(
    ("address", "status", "message"),
    [
        ("127.0.0.1:8265", 2, "address must be that of the dashboard, such as http://"),
        ("http://me:pw@host:8265", 2, "got one with a user for host"),
        ("http://127.0.0.1:1", 1, "nothing answers as Ray's job server at http://127.0.0.1:1;"),
    ],
)
def test_address_of_no_job_server_is_one_line(
    address: str, status: int, message: str, workplace: Path
) -> None:
    listed = tripletune("jobs", "--address", address, cwd=workplace)

    assert listed.returncode == status
    assert message in listed.stderr
    assert "Traceback" not in listed.stderr
    assert len(listed.stderr.splitlines()) == 1
