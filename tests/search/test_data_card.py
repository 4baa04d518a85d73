"""The card of a data set: what it says, and its picture and page."""

import io
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from toy_search import write_images, write_space

from tripletune.search.card_page import card_lines, card_picture, write_card
from tripletune.search.cli import main
from tripletune.spaces import DataConfig, SplitConfig
from tripletune.trainables.data.card import DataCard, make_card


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """16 classes of 5 images: one larger picture, a damaged file, a copy and a note."""
    made = write_images(tmp_path_factory.mktemp("data") / "shells <&>")
    Image.open(made / "class03" / "015.png").resize((40, 30)).save(made / "class03" / "big.png")
    (made / "class05" / "damaged.png").write_bytes(b"not a picture")
    (made / "class07" / "copy.png").write_bytes((made / "class00" / "000.png").read_bytes())
    (made / "notes.txt").write_text("bought in 1987")
    return made


@pytest.fixture(scope="module")
def card(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> DataCard:
    """Its card."""
    config = DataConfig(
        name="folder",
        path=str(folder),
        image_size=32,
        color="rgb",
        max_corrupt_share=0.99,
        split=SplitConfig(by="class"),
    )
    return make_card(config, tmp_path_factory.mktemp("cache"))


def test_the_card_counts_classes_images_and_files(card: DataCard) -> None:
    content = card.content
    assert json.loads(json.dumps(content, allow_nan=False)) == content
    assert (content["images"], content["classes"], content["groups"]) == (82, 16, 1)
    counts = content["images_per_class"]
    assert (counts["smallest"], counts["median"], counts["largest"]) == (5, 5, 6)
    assert {name for name, _ in counts["most"][:2]} == {"class03", "class07"}
    assert counts["classes_by_count"] == {"5": 14, "6": 2}
    files = content["files"]
    assert files["formats"] == {"PNG L": 82}
    assert (files["widths"], files["heights"]) == ([16, 16, 40], [16, 16, 30])
    assert files["largest"] == "class03/big.png"
    assert files["damaged"] == ["class05/damaged.png (cannot identify image file)"]
    assert files["num_ignored"] == 1


def test_the_card_tells_the_split_and_its_copies(card: DataCard) -> None:
    split, copies = card.content["split"], card.content["copies"]
    assert split["by"] == "class"
    assert sum(side["classes"] for side in split["sides"].values()) == 16
    assert sum(side["images"] for side in split["sides"].values()) == 82
    assert copies["exact"] == 1
    assert copies["between_classes"]["images"] == 1
    assert copies["between_classes"]["examples"] == [
        ["class00 #1", "class07 #6"]
    ]  # by name, the copy is last


def test_the_pictures_are_of_training_and_validation_classes(card: DataCard, folder: Path) -> None:
    assert [strip.title for strip in card.strips][:4] == [
        "one image of some classes",
        "the class with the fewest images",
        "the class with the most images",
        "the darkest and the brightest",
    ]
    shown = {name.split(" #")[0] for strip in card.strips for name in strip.captions}
    sides = card.content["split"]["sides"]
    assert len(shown) <= sides["train"]["classes"] + sides["validation"]["classes"]
    for strip in card.strips:
        assert len(strip.images) == len(strip.captions) > 0


def test_the_picture_is_a_png_with_every_strip(card: DataCard) -> None:
    picture = Image.open(io.BytesIO(card_picture(card)))
    assert picture.format == "PNG"
    width, height = picture.size
    assert width > 1000
    assert height > 150 * len(card.strips)
    pixels = np.asarray(picture.convert("L"))
    assert pixels.std() > 10  # something is drawn


class Tags(HTMLParser):
    """Collects the tags of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[str] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.opened.append(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]


def test_the_page_needs_nothing_else_and_escapes_names(card: DataCard, tmp_path: Path) -> None:
    write_card(card, tmp_path / "cards" / "card.html")
    page = (tmp_path / "cards" / "card.html").read_text()
    tags = Tags()
    tags.feed(page)
    assert tags.opened.count("img") == 1
    assert all(source.startswith("data:image/png;base64,") for source in tags.sources)
    assert "shells &lt;&amp;&gt;" in page
    assert "shells <&>" not in page


def test_another_ending_is_refused(card: DataCard, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"--to must end in .html, .png, .json, got .*card.pdf"):
        write_card(card, tmp_path / "card.pdf")


def test_the_lines_fit_80_columns(card: DataCard) -> None:
    lines = card_lines({**card.content, "data": "shells", "notes": []})
    assert max(map(len, lines)) <= 80
    assert "damaged      class05/damaged.png (cannot identify image file)" in lines


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command in this process: exit status, standard output, standard error."""

    def run_command(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["tripletune", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "300")
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return run_command


def test_describe_tells_data_from_spaces(images: Path, workplace: Path, run: Run) -> None:
    code, out, _ = run("describe", str(images), "--to", "card.json")
    assert (code, "data         " in out, "wrote card.json" in out) == (0, True, True)
    assert "80 in 16 classes, 1 group" in out
    content = json.loads((workplace / "card.json").read_text())
    assert content["files"]["formats"] == {"PNG L": 80}
    code, out, _ = run("describe", str(images), "--json", "--set", "data.split.by=class")
    assert (code, json.loads(out)["split"]["by"]) == (0, "class")
    code, out, _ = run("describe", write_space(workplace))
    assert (code, "temperature" in out) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "nowhere"], "--data must be a folder, a zip or one of .*got nowhere"),
        (["glyphs", "--to", "card.pdf"], "--to must end in .html, .png, .json, got card.pdf"),
        (["glyphs", "--set", "budget.steps=3"], "--set must be a value of the data"),
        (["glyphs", "--set", "data.split.by=color"], "data.split.by: must be one of group"),
        ([], "WHAT must be a space file, one of the presets .*, or data"),
    ],
)
def test_describe_refuses_what_it_cannot_do(arguments: list[str], message: str, run: Run) -> None:
    code, _, err = run("describe", *arguments)
    assert code == 2
    assert re.search(message, " ".join(err.split())), err
