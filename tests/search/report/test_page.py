"""The page as a file: whole, by itself, and never broken by what it shows."""

import json
import re
from importlib import resources
from pathlib import Path

import pytest
from told_studies import FAILURE

from tripletune.search.report.model import BestModel
from tripletune.search.report.page import (
    NO_MODEL,
    SCRIPTS,
    as_script_data,
    page_content,
    render,
    write_report,
)
from tripletune.search.study import Study

EMBEDDED = re.compile(r'<script type="application/json" id="content">(.*?)</script>', re.DOTALL)


def page(study: Study, model: BestModel = NO_MODEL) -> str:
    return render(page_content(study, model))


def test_the_page_holds_the_content_that_was_put_in(mixed: Study) -> None:
    content = page_content(mixed, NO_MODEL)
    found = EMBEDDED.search(render(content))
    assert found is not None
    assert json.loads(found[1]) == json.loads(json.dumps(content))


def test_a_reason_with_markup_stays_text(mixed: Study) -> None:
    text = page(mixed)
    assert FAILURE not in text
    assert "\\u003cb>" in text


def test_content_cannot_end_its_script() -> None:
    text = as_script_data({"note": "</script><script>alert(1)</script>\u2028"})
    assert "<" not in text
    assert "\u2028" not in text
    assert json.loads(text)["note"] == "</script><script>alert(1)</script>\u2028"


def test_content_may_hold_the_marks_of_the_template(mixed: Study) -> None:
    content = page_content(mixed, NO_MODEL) | {"study": "%%SCRIPT%% %%CONTENT%%"}
    found = EMBEDDED.search(render(content))
    assert found is not None
    assert json.loads(found[1])["study"] == "%%SCRIPT%% %%CONTENT%%"


def test_the_page_asks_for_nothing_from_elsewhere(trained: Study, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_report(trained, path)
    text = path.read_text()
    asked = re.findall(
        r"""(?:src|href)=["']?(?!data:|#)[^"'\s>]+|@import|url\((?!data:|"data:|\$)""", text
    )
    assert asked == []
    assert set(re.findall(r"https?://[\w./]+", text)) == {"http://www.w3.org/2000/svg"}
    assert "default-src 'none'" in text


def test_every_script_of_the_folder_is_in_the_page() -> None:
    folder = resources.files("tripletune.search.report") / "assets"
    assert {f.name for f in folder.iterdir() if f.name.endswith(".js")} == set(SCRIPTS)


@pytest.mark.parametrize("name", ["mixed", "empty", "lost"])
def test_a_page_is_written_of_every_study(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    write_report(request.getfixturevalue(name), tmp_path / "page.html", with_model=False)
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")


def test_a_served_page_knows_that_it_is_live(empty: Study) -> None:
    content = page_content(empty, NO_MODEL)
    assert "TRIPLETUNE_LIVE = true" in render(content, live=True)
    assert "TRIPLETUNE_LIVE = false" in render(content)
