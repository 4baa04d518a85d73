"""Makes the pictures of the README from a study: its terminal, and its report.

    python docs/images/make.py runs/STUDY

The terminal is the leaderboard as `tripletune leaderboard` prints it, kept by rich as SVG. The
report is opened in a headless Chromium by Playwright, light and dark, and kept as PNG.
"""

import argparse
import io
import re
import shutil
import tempfile
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.terminal_theme import MONOKAI

from tripletune.search.folder import find_study
from tripletune.search.report.page import write_report
from tripletune.search.study import Study

FOLDER = Path(__file__).parent
FONTS = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
WIDTH, HEIGHT = 1440, 900
COLORS = 192
"""Of a picture: flat areas and text lose nothing, and the file is a third."""


def main() -> None:
    """Write every picture and say where."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("study", help="a study's folder")
    study = Study.open(find_study(parser.parse_args().study, Path("runs")))
    terminal(study, FOLDER / "terminal.svg")
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        write_report(study, page)
        for scheme in ("light", "dark"):
            photograph(page, scheme)
    for path in sorted(FOLDER.glob("*.[ps][nv]g")):
        print(f"{path.relative_to(Path.cwd())}  {path.stat().st_size:,} bytes")  # noqa: T201


def terminal(study: Study, path: Path) -> None:
    """The command and what it prints, without the fonts that rich would fetch."""
    console = Console(record=True, width=80, force_terminal=True, file=io.StringIO())
    console.print(f"[bold green]$[/] tripletune leaderboard {study.name}", highlight=False)
    study.leaderboard().render_table(console)
    drawn = console.export_svg(title="tripletune", theme=MONOKAI, unique_id="terminal")
    drawn = re.sub(r"@font-face \{.*?\}", "", drawn, flags=re.DOTALL)
    drawn = drawn.replace("Fira Code, monospace", FONTS).replace("font-family: arial;", "")
    drawn = re.sub(r"<!--.*?-->\s*", "", drawn, flags=re.DOTALL)
    path.write_text(re.sub(r"[ \t]+\n", "\n", drawn))


def photograph(page: Path, scheme: str) -> None:
    """The first screen of the report, and what its best model sees."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        size = {"width": WIDTH, "height": HEIGHT}
        context = browser.new_context(viewport=size, color_scheme=scheme)  # type: ignore[arg-type]
        tab = context.new_page()
        tab.goto(page.as_uri())
        tab.wait_for_selector("html[data-ready=true]", timeout=120_000)
        _keep(tab.screenshot(), FOLDER / f"report-{scheme}.png")
        tab.get_by_role("button", name="pictures").click()
        tab.evaluate("document.documentElement.style.scrollBehavior = 'auto'")
        chart = tab.locator("canvas[aria-label*=' map of ']")
        chart.evaluate("c => c.closest('.card').scrollIntoView({block: 'start'})")
        tab.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done, 300)))")
        _keep(tab.screenshot(), FOLDER / f"model-{scheme}.png")
        browser.close()


def _keep(png: bytes, path: Path) -> None:
    with Image.open(io.BytesIO(png)) as image:
        image.convert("RGB").quantize(COLORS, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    main()
