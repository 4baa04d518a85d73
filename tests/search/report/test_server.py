"""The page as it is served: to this machine alone, and new when the study is."""

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from told_studies import empty_study, tell

from tripletune.search.report.server import FRESH_S, LiveContent, report_server
from tripletune.search.study import Study


class Clock:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def study(images: Path, tmp_path: Path) -> Study:
    return empty_study(tmp_path / "runs" / "live", images)


@contextmanager
def asking(content: LiveContent) -> Iterator[http.client.HTTPConnection]:
    with report_server(content) as address:
        parts = urlsplit(address)
        assert parts.hostname == "127.0.0.1"
        connection = http.client.HTTPConnection(parts.hostname, parts.port or 0, timeout=60)
        try:
            yield connection
        finally:
            connection.close()


def get(
    connection: http.client.HTTPConnection, path: str, **headers: str
) -> tuple[int, bytes, str | None]:
    connection.request("GET", path, headers={k.replace("_", "-"): v for k, v in headers.items()})
    answer = connection.getresponse()
    return answer.status, answer.read(), answer.headers.get("ETag")


def test_page_and_content_are_served(study: Study) -> None:
    with asking(LiveContent(study, with_model=False)) as connection:
        status, page, _ = get(connection, "/")
        assert (status, page[:15]) == (200, b"<!doctype html>")
        status, body, _ = get(connection, "/content.json?x=1")
        assert status == 200
        assert json.loads(body)["study"] == "live"
        assert get(connection, "/etc/passwd")[0] == 404


def test_content_is_sent_again_only_when_the_study_has_changed(study: Study) -> None:
    clock = Clock()
    with asking(LiveContent(study, with_model=False, clock=clock)) as connection:
        _, _, tag = get(connection, "/content.json")
        assert tag is not None
        clock.now += 2 * FRESH_S
        assert get(connection, "/content.json", If_None_Match=tag)[:2] == (304, b"")
        tell(study, study.space, "done", 0.7)
        assert get(connection, "/content.json", If_None_Match=tag)[0] == 304  # still fresh
        clock.now += 2 * FRESH_S
        status, body, newer = get(connection, "/content.json", If_None_Match=tag)
        assert status == 200
        assert newer != tag
        assert len(json.loads(body)["trials"]) == 1


def test_another_name_for_this_machine_gets_nothing(study: Study) -> None:
    with asking(LiveContent(study, with_model=False)) as connection:
        assert get(connection, "/", Host="attacker.example")[0] == 403
        assert get(connection, "/content.json", Host="127.0.0.1.attacker.example:80")[0] == 403
        assert get(connection, "/", Host="localhost:1")[0] == 200


def test_the_best_model_comes_when_it_has_been_looked_into(trained: Study) -> None:
    clock = Clock()
    content = LiveContent(trained, with_model=True, clock=clock)
    first = content.get()
    assert first["model"] is None
    assert "looked into" in first["model_missing"]
    content.wait()
    clock.now += 2 * FRESH_S
    assert content.get()["model"]["trial"] == 0
