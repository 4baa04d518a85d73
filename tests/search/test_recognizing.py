"""The commands that use a model: who is named, what is kept, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from toy import image_set
from toy_export import trained, write_export

from tripletune.search.cli import main

Outcome = tuple[int, str, str]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_export(trained(steps=60), tmp_path_factory.mktemp("export") / "model")


@pytest.fixture
def run(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Any:
    """Runs a command in this process: exit status, standard output, standard error."""

    def run_command(*arguments: str | Path) -> Outcome:
        monkeypatch.setattr("sys.argv", ["tripletune", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "80")
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return run_command


@pytest.fixture
def people(workplace: Path) -> Path:
    """Two pictures each of six names, and two of each to ask about in `asked`."""
    data = image_set(seed=7, groups=1, noise=8.0)
    for index, (pixels, label) in enumerate(zip(data.images, data.labels, strict=True)):
        number = index % 5
        folder = workplace / ("people" if number < 2 else "asked") / f"n{label}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[0]).save(folder / f"{number}.png")
    return workplace / "people"


def test_identify_names_the_images_of_a_folder_as_a_table_and_as_json(
    run: Any, model: Path, people: Path
) -> None:
    asked = sorted((people.parent / "asked").glob("*/*.png"))
    code, text, _ = run("identify", model, "--gallery", people, *asked, "--threshold", "9")
    assert code == 0
    assert text.splitlines()[0].split() == [
        *("query", "answer", "distance", "nearest", "runner-up", "distance")
    ]
    assert "unknown from 9.0000 on" in text
    assert max(len(line) for line in text.splitlines()) <= 80
    code, text, _ = run(
        "identify", model, "--gallery", people, *asked, "--threshold", "9", "--json"
    )
    content = json.loads(text)
    assert (code, content["names"], content["images"], content["errors"]) == (0, 6, 12, [])
    right = [Path(one["query"]).parent.name == one["name"] for one in content["answers"]]
    assert sum(right) / len(right) > 0.7
    code, text, _ = run("identify", model, "--gallery", people, *asked, "--threshold", "0")
    assert text.count("unknown") == len(asked) + 1


def test_identify_says_where_its_threshold_is_from(run: Any, model: Path, people: Path) -> None:
    query = people.parent / "asked" / "n0" / "3.png"
    code, text, _ = run("identify", model, "--gallery", people, query, "--false-accept", "0.1")
    assert code == 0
    assert "10.0% of strangers pass, measured on 18 validation classes" in text
    code, _, err = run("identify", model, "--gallery", people, query, "--false-accept", "0.3")
    assert (code, "rate must be one of" in err) == (2, True)


def test_an_unreadable_query_is_named_and_the_others_are_answered(
    run: Any, model: Path, people: Path
) -> None:
    bad = people.parent / "bad.png"
    bad.write_text("text")
    good = people / "n1" / "0.png"
    code, text, err = run(
        "identify", model, "--gallery", people, bad, good, "absent.png", "--json"
    )
    content = json.loads(text)
    assert code == 1
    assert [one["name"] for one in content["answers"]] == ["n1"]
    assert [one["query"] for one in content["errors"]] == [str(bad), "absent.png"]
    assert err.count("error: ") == 2
    assert "cannot identify image file" in err


def test_a_gallery_is_added_to_listed_and_removed_from(
    run: Any, model: Path, people: Path
) -> None:
    code, text, err = run("gallery", "add", "g", "--model", model, "--from", people)
    assert (code, text) == (0, "g holds 12 images of 6 names\n"), err
    query = people.parent / "asked" / "n0" / "3.png"
    assert run("gallery", "add", "g", "--model", model, "new one", query)[0] == 0
    code, text, _ = run("gallery", "list", "g", "--json")
    assert json.loads(text)["images"] == {**{f"n{n}": 2 for n in range(6)}, "new one": 1}
    code, text, _ = run("identify", model, "--gallery", "g", query, "--json")
    assert json.loads(text)["answers"][0]["name"] == "new one"
    assert run("gallery", "remove", "g", "n0", "new one")[0] == 0
    assert run("gallery", "list", "g")[1].split() == [
        *("2", "n1", "2", "n2", "2", "n3", "2", "n4", "2", "n5")
    ]
    before = Path("g").read_bytes()
    code, _, err = run("gallery", "remove", "g", "n1", "nobody")
    assert (code, "NAME must be in g, got 'nobody': it holds n2" in err) == (2, True)
    assert Path("g").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["g", "ann"], "takes NAME IMAGE..., or --from FOLDER"),
        (["g"], "takes NAME IMAGE..., or --from FOLDER"),
        (["absent/g", "ann", "x.png"], "GALLERY must lie in a folder"),
        (["g", "ann", "x.png"], "x.png does not exist"),
    ],
)
def test_wrong_use_of_gallery_add_is_one_message(
    run: Any, model: Path, arguments: list[str], message: str
) -> None:
    code, _, err = run("gallery", "add", *arguments, "--model", model)
    assert (code, err.count("error: ")) == (2, 1)
    assert message in err
    assert not Path("g").exists()


def test_a_folder_that_is_no_gallery_is_refused(run: Any, model: Path, people: Path) -> None:
    empty = people.parent / "empty"
    empty.mkdir()
    query = people / "n1" / "0.png"
    code, _, err = run("identify", model, "--gallery", empty, query)
    assert (code, "must hold pictures as NAME/picture" in err) == (2, True)
    code, _, err = run("identify", model, "--gallery", people.parent, query)
    assert (code, "two deep" in err) == (2, True)
    code, _, err = run("identify", people, "--gallery", people, query)
    assert (code, "folder must be an export of tripletune" in err) == (2, True)
    assert run("identify", model, "--gallery", "nowhere", query)[0] == 2


def test_a_link_out_of_the_gallery_is_not_followed(run: Any, model: Path, people: Path) -> None:
    (people / "n0" / "link.png").symlink_to(people.parent / "asked" / "n0" / "3.png")
    code, _, err = run("identify", model, "--gallery", people, people / "n1" / "0.png")
    assert (code, "a link to the outside" in err) == (2, True)
    (people / "n0" / "link.png").unlink()
    (people / "more").symlink_to(people.parent / "asked", target_is_directory=True)
    code, _, err = run("identify", model, "--gallery", people, people / "n1" / "0.png")
    assert (code, "a link to the outside" in err) == (2, True)
