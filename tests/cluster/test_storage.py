"""Storages: addresses, files on a disk, objects in a bucket of a local S3 server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tripletune.cluster import RaySession
from tripletune.cluster.storage import (
    Storage,
    StorageError,
    check_from_every_node,
    local_file,
)

BUCKET = "bucket"


@pytest.fixture(scope="module")
def bucket() -> Iterator[Storage]:
    """A folder in a bucket of a server on this machine."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "key")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        server.start()
        host, port = server.get_host_and_port()
        boto3.client(
            "s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1"
        ).create_bucket(Bucket=BUCKET)
        endpoint = f"endpoint_override={host}:{port}&scheme=http&region=us-east-1"
        yield Storage.parse(f"s3://{BUCKET}/runs?{endpoint}")
        server.stop()


@pytest.fixture(params=["disk", "bucket"])
def storage(request: pytest.FixtureRequest, tmp_path: Path, bucket: Storage) -> Storage:
    if request.param == "disk":
        return Storage.parse(f"file://{tmp_path / 'with space'}")
    return bucket.child(request.node.name)


def test_what_was_written_is_read_listed_and_deleted(storage: Storage, tmp_path: Path) -> None:
    file = storage.child("study", "study.yaml")
    file.write(b"old")
    file.write(b"new")

    assert file.read() == b"new"
    assert storage.folders() == ["study"]
    assert [found for found, _ in storage.files()] == [file]
    assert storage.files(without=("study",)) == []
    state = file.state()
    assert state is not None
    assert state[0] == 3
    assert file.download(tmp_path / "here" / "copy")
    assert (tmp_path / "here" / "copy").read_bytes() == b"new"
    file.delete()
    file.delete()
    assert not file.exists()


def test_absent_file_is_none(storage: Storage, tmp_path: Path) -> None:
    absent = storage.child("absent")

    assert absent.read() is None
    assert absent.state() is None
    assert not absent.download(tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
    assert absent.files() == []


def test_large_file_is_copied_in_blocks(storage: Storage, tmp_path: Path) -> None:
    content = bytes(range(256)) * 2**16 + b"end"
    (tmp_path / "large").write_bytes(content)
    file = storage.child("large")

    file.upload(tmp_path / "large")

    assert file.read() == content
    with local_file(str(file) if file.scheme == "s3" else file.path) as here:
        assert here.read_bytes() == content


def test_file_of_an_address_is_gone_after_its_use(bucket: Storage) -> None:
    bucket.child("file").write(b"x")

    with local_file(str(bucket.child("file"))) as here:
        assert here.read_bytes() == b"x"

    assert not here.exists()
    with (
        pytest.raises(FileNotFoundError, match="there is no file at s3://"),
        local_file(str(bucket.child("absent"))),
    ):
        pass


@pytest.mark.parametrize(
    "text",
    ["runs", "/runs", "http://bucket/runs", "s3://", "s3:///runs", "file:///", "file://host/x"],
)
def test_what_is_no_storage_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"storage must be s3://BUCKET/FOLDER, gs://.* got "):
        Storage.parse(text)


@pytest.mark.parametrize(
    "text", ["s3://key:very-hidden@bucket/runs", "s3://bucket/runs?secret_key=very-hidden"]
)
def test_key_in_an_address_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match="without keys") as caught:
        Storage.parse(text)

    assert "very-hidden" not in str(caught.value)


def test_bucket_that_is_not_there_is_named(bucket: Storage) -> None:
    absent = Storage("s3", "no-such-bucket/runs", bucket.query)

    with pytest.raises(StorageError, match=r"storage s3://no-such-bucket/runs/x.* does not exist"):
        absent.child("x").write(b"")


@pytest.mark.ray
def test_check_leaves_nothing_behind(ray_session: RaySession, tmp_path: Path) -> None:
    storage = Storage("file", str(tmp_path))

    check_from_every_node(storage)

    assert list(tmp_path.iterdir()) == []
