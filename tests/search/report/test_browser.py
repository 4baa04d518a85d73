"""The page in a real browser: it draws, sorts, filters, hovers and zooms without a complaint."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from told_studies import tell

from tripletune.search.report.page import write_report
from tripletune.search.report.server import LiveContent, report_server
from tripletune.search.study import Study

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

WIDTHS = {"desk": (1440, 900), "phone": (390, 844)}
PATIENCE_MS = 60_000
"""For a machine that many share; a page is ready in a second."""


def chromium() -> str | None:
    """A Chromium of the system; else the one that Playwright may have downloaded."""
    for name in ("chromium", "chromium-browser", "google-chrome", "chrome"):
        if found := shutil.which(name):
            return found
    return None


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        # A page of the tests' own making needs no sandbox, which containers often refuse.
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        try:
            opened = started.chromium.launch(executable_path=chromium(), args=arguments)
        except playwright.Error as error:
            pytest.skip(f"no Chromium can be started: {error.message.splitlines()[0]}")
        yield opened
        opened.close()


class Visit:
    """An open page, with everything that it complained of."""

    def __init__(self, browser: Any, *, width: str = "desk", scheme: str = "light") -> None:
        size = dict(zip(("width", "height"), WIDTHS[width], strict=True))
        self.context = browser.new_context(viewport=size, color_scheme=scheme)
        self.complaints: list[str] = []
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self._request)

    def open(self, address: str) -> Any:
        self.page.goto(address)
        self.page.wait_for_selector("html[data-ready=true]")
        return self.page

    def _console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _request(self, request: Any) -> None:
        if not request.url.startswith(("file:", "data:", "http://127.0.0.1:")):
            self.complaints.append(f"asked for {request.url}")


@pytest.fixture(scope="module")
def pages(
    mixed: Study,
    empty: Study,
    lost: Study,
    trained: Study,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, str]:
    """The reports of four studies, by name: many trials, none, one, and failures alone."""
    folder = tmp_path_factory.mktemp("pages")
    addresses = {}
    for study in (mixed, empty, lost, trained):
        path = folder / f"{study.name}.html"
        write_report(study, path)
        addresses[study.name] = path.as_uri()
    return addresses


@pytest.fixture
def visit(browser: Any) -> Iterator[Visit]:
    opened = Visit(browser)
    yield opened
    opened.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", list(WIDTHS))
@pytest.mark.parametrize("name", ["mixed", "empty", "lost", "trained"])
def test_page_opens_without_complaint_or_sideways_scrolling(
    browser: Any, pages: dict[str, str], name: str, width: str, scheme: str
) -> None:
    visit = Visit(browser, width=width, scheme=scheme)
    page = visit.open(pages[name])
    assert page.evaluate("document.documentElement.scrollWidth") <= WIDTHS[width][0]
    assert page.locator("h1").inner_text() == name
    assert "null" not in page.locator("main").inner_text().split()
    assert "undefined" not in page.locator("main").inner_text()
    assert "NaN" not in page.locator("main").inner_text().replace("loss is NaN", "")
    visit.context.close()
    assert visit.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", list(WIDTHS))
@pytest.mark.parametrize("name", ["mixed", "empty", "trained"])
def test_axe_finds_nothing_serious(
    browser: Any, pages: dict[str, str], name: str, width: str, scheme: str
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is missing")
    visit = Visit(browser, width=width, scheme=scheme)
    page = visit.open(pages[name])
    found = axe.Axe().run(page).response["violations"]
    if name == "mixed":
        page.locator(".board .number").first.click()
        page.wait_for_selector("dialog[open]")
        found += axe.Axe().run(page).response["violations"]
    visit.context.close()
    serious = [
        (one["id"], [node["html"][:160] for node in one["nodes"][:3]])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
    assert serious == []


def test_sections_without_content_wait_for_it(visit: Visit, pages: dict[str, str]) -> None:
    page = visit.open(pages["empty"])
    links = page.locator("#nav a:visible").all_inner_texts()
    assert links == ["Overview", "Leaderboard", "Best model", "About"]
    assert not page.locator("#search").is_visible()
    page = visit.open(pages["mixed"])
    assert page.locator("#search").is_visible()
    assert visit.complaints == []


def column(page: Any, name: str) -> list[str]:
    texts: list[str] = page.locator(f".board tbody tr:not(.baseline) .c-{name}").all_inner_texts()
    return [text.strip() for text in texts]


def test_leaderboard_sorts_by_a_column_both_ways(visit: Visit, pages: dict[str, str]) -> None:
    page = visit.open(pages["mixed"])
    by_rank = column(page, "trial")
    page.locator('[data-sort="trial"]').click()
    up = [int(text) for text in column(page, "trial")]
    assert up == sorted(up)
    assert page.locator('th[aria-sort="ascending"]').inner_text().startswith("Trial")
    page.locator('[data-sort="trial"]').click()
    assert [int(text) for text in column(page, "trial")] == sorted(up, reverse=True)
    page.locator('[data-sort="rank"]').click()
    assert column(page, "trial") == by_rank
    # Who sorts by keyboard stays on the header.
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.dataset.sort") == "rank"
    assert visit.complaints == []


def test_filter_narrows_the_table_and_the_charts(visit: Visit, pages: dict[str, str]) -> None:
    page = visit.open(pages["mixed"])
    everything = len(column(page, "trial"))
    label = "canvas[aria-label^='Score of each trial']"
    before = page.locator(label).get_attribute("aria-label")
    page.locator("[data-word=stopped]").click()
    assert set(column(page, "word")) == {"stopped"}
    assert 0 < len(column(page, "trial")) < everything
    assert page.locator(label).get_attribute("aria-label") != before
    page.locator("[data-word=stopped]").click()
    loss, word = column(page, "loss")[0], column(page, "word")[0]
    page.locator("#filter").fill(f"{loss} {word}")
    assert set(column(page, "loss")) == {loss}
    assert set(column(page, "word")) == {word}
    page.locator("#filter").fill("nothing like this")
    assert "No trial matches" in page.locator(".board").inner_text()
    page.locator("#filter").fill("")
    assert len(column(page, "trial")) == everything
    assert visit.complaints == []


def test_failed_and_collapsed_trials_stand_there_with_their_reason(
    visit: Visit, pages: dict[str, str]
) -> None:
    page = visit.open(pages["mixed"])
    lost = page.locator(".lost")
    assert "FloatingPointError: loss is NaN at step 4 <b>&amp;</b>" in lost.inner_text()
    assert "All embeddings in one place" in lost.inner_text()
    assert visit.complaints == []


def canvas(page: Any, label: str) -> Any:
    found = page.locator(f"canvas[aria-label^='{label}']").first
    found.scroll_into_view_if_needed()
    return found


def test_a_chart_tells_of_a_point_under_the_pointer(visit: Visit, pages: dict[str, str]) -> None:
    page = visit.open(pages["mixed"])
    chart = canvas(page, "Score of each trial")
    spot = chart.evaluate("c => c.plot.spots.find(Boolean)")
    chart.hover(position=spot)
    page.wait_for_selector(".tip.on")
    assert page.locator(".tip").inner_text().startswith("Trial")
    chart.click(position=spot)
    page.wait_for_selector("dialog[open]")
    assert page.locator("#drawer-title").inner_text().startswith("Trial")
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog:not([open])", state="attached")
    assert visit.complaints == []


def test_a_chart_zooms_by_a_dragged_box_and_back(visit: Visit, pages: dict[str, str]) -> None:
    page = visit.open(pages["mixed"])
    chart = canvas(page, "Learning curves")
    whole = chart.evaluate("c => c.plot.views().x")
    box = chart.bounding_box()
    page.mouse.move(box["x"] + 200, box["y"] + 80)
    page.mouse.down()
    page.mouse.move(box["x"] + 500, box["y"] + 240, steps=4)
    page.mouse.up()
    near = chart.evaluate("c => c.plot.views().x")
    assert near[1] - near[0] < (whole[1] - whole[0]) / 2
    chart.dblclick(position={"x": 300, "y": 100})
    assert chart.evaluate("c => c.plot.views().x") == whole
    assert visit.complaints == []


def test_a_chart_is_read_by_keyboard_alone(visit: Visit, pages: dict[str, str]) -> None:
    page = visit.open(pages["mixed"])
    chart = canvas(page, "Score of each trial")
    chart.focus()
    page.keyboard.press("ArrowRight")
    first = page.locator(".tip.on").inner_text()
    page.keyboard.press("ArrowRight")
    assert page.locator(".tip.on").inner_text() != first
    whole = chart.evaluate("c => c.plot.views().x")
    page.keyboard.press("+")
    assert chart.evaluate("c => c.plot.views().x") != whole
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog[open]")
    page.keyboard.press("Escape")
    assert visit.complaints == []


def test_parallel_coordinates_keep_a_brushed_part(visit: Visit, pages: dict[str, str]) -> None:
    page = visit.open(pages["mixed"])
    chart = canvas(page, "Parallel coordinates")
    kept = "c => c.plot.trials.filter((t) => c.plot.isKept(t)).length"
    everything = chart.evaluate(kept)
    x = chart.evaluate("c => c.plot.axisX(c.plot.axes.length - 1)")
    box = chart.bounding_box()
    page.mouse.move(box["x"] + x, box["y"] + 52)
    page.mouse.down()
    page.mouse.move(box["x"] + x, box["y"] + 150, steps=4)
    page.mouse.up()
    assert 0 < chart.evaluate(kept) < everything
    page.get_by_role("button", name="clear the brushes").click()
    assert chart.evaluate(kept) == everything
    assert visit.complaints == []


def test_map_shows_the_picture_of_a_point_and_marks_its_class(
    visit: Visit, pages: dict[str, str]
) -> None:
    page = visit.open(pages["trained"])
    chart = canvas(page, "t-SNE map")
    spot = chart.evaluate("c => c.plot.spots[0]")
    chart.hover(position=spot)
    page.wait_for_selector(".tip.on .thumb")
    image = page.locator(".tip .thumb").evaluate("n => getComputedStyle(n).backgroundImage")
    assert image.startswith('url("data:image/webp;base64,')
    chart.click(position=spot)
    page.get_by_role("button", name="Unmark").wait_for()
    page.get_by_role("button", name="PCA").click()
    assert canvas(page, "PCA map").is_visible()
    page.get_by_role("button", name="pictures").click()
    assert visit.complaints == []


def test_colours_follow_the_system_until_they_are_chosen(
    browser: Any, pages: dict[str, str]
) -> None:
    visit = Visit(browser, scheme="dark")
    page = visit.open(pages["mixed"])
    background = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(background)
    page.locator("#theme").click()
    light = page.evaluate(background)
    assert light != dark
    page.emulate_media(color_scheme="light")
    page.locator("#theme").click()
    assert page.evaluate(background) == dark
    visit.context.close()
    assert visit.complaints == []


def test_a_served_page_shows_new_trials_and_keeps_what_was_chosen(
    visit: Visit, images: Path, tmp_path: Path
) -> None:
    from told_studies import told_study

    study = told_study(tmp_path / "live", images, ["done", "stopped"])
    space = study.space
    with report_server(LiveContent(study, with_model=False)) as address:
        page = visit.open(address)
        assert page.locator("#live").is_visible()
        page.locator('[data-sort="trial"]').click()
        page.locator("#filter").fill("done")
        page.locator("#filter").focus()
        tell(study, space, "done", 0.9)
        playwright.expect(page.locator(".count")).to_have_text(
            "2 of 3 trials, here and in every chart", timeout=PATIENCE_MS
        )
        assert column(page, "trial") == ["0", "2"]
        assert page.evaluate("document.activeElement.id") == "filter"
        assert page.locator("#filter").input_value() == "done"
    assert visit.complaints == []
