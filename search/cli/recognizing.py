"""The commands that use a model: identify, gallery add, gallery remove, gallery list."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from .app import app, complain
from .arguments import JsonOption

if TYPE_CHECKING:
    from ...trainables import Answer, Recognizer

gallery_app = typer.Typer(
    help="Keep a gallery of named images for a model.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(gallery_app, name="gallery")

ModelArgument = Annotated[Path, typer.Argument(metavar="MODEL", help="An exported folder.")]
GalleryArgument = Annotated[
    Path, typer.Argument(metavar="GALLERY", help="A file that `gallery add` writes.")
]


@app.command()
def identify(
    model: ModelArgument,
    queries: Annotated[list[Path], typer.Argument(metavar="QUERY...", help="Images to name.")],
    gallery: Annotated[
        Path, typer.Option("--gallery", help="Folder of NAME/image, or a saved gallery.")
    ],
    false_accept: Annotated[
        float | None,
        typer.Option("--false-accept", help="Share of strangers who may pass, as calibrated."),
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(help="Distance of unknown, in place of the calibrated one.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Name who or what is on images, or say unknown.

    Example: tripletune identify model --gallery people/ who.jpg
    """
    from ...trainables import Recognizer
    from ...trainables.gallery_folder import enrol_folder

    if gallery.is_dir():
        recognizer = Recognizer(model, threshold=threshold, false_accept_rate=false_accept)
        enrol_folder(recognizer, gallery)
    else:
        recognizer = Recognizer.load(
            gallery, model, threshold=threshold, false_accept_rate=false_accept
        )
    answers, faults = _identify(recognizer, queries)
    if as_json:
        typer.echo(json.dumps(_as_json(recognizer, answers, faults), indent=2))
    else:
        _print_table(answers)
        typer.echo(_rule(recognizer, is_given=threshold is not None))
    for fault in faults.values():
        complain(f"error: {fault}")
    if faults:
        raise typer.Exit(1)


def _identify(
    recognizer: "Recognizer", queries: list[Path]
) -> "tuple[dict[Path, Answer], dict[Path, str]]":
    """An answer for each readable query, and what is wrong with the others."""
    faults: dict[Path, str] = {}
    embeddings = {}
    for query in queries:
        try:
            embeddings[query] = recognizer.model.embed([query])[0]
        except (ValueError, OSError) as error:
            faults[query] = str(error)
    if not embeddings:
        return {}, faults
    import numpy as np

    answers = recognizer.identify_embeddings(np.stack(list(embeddings.values())))
    return dict(zip(embeddings, answers, strict=True)), faults


def _as_json(
    recognizer: "Recognizer", answers: "dict[Path, Answer]", faults: dict[Path, str]
) -> dict[str, Any]:
    return {
        "names": len(recognizer.names),
        "images": len(recognizer.gallery),
        "threshold": recognizer.threshold,
        "answers": [{"query": str(query), **one.to_dict()} for query, one in answers.items()],
        "errors": [{"query": str(query), "error": fault} for query, fault in faults.items()],
    }


def _print_table(answers: "dict[Path, Answer]") -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    table.add_column("query", overflow="fold")
    table.add_column("answer", overflow="fold")
    table.add_column("distance", justify="right", no_wrap=True)
    table.add_column("nearest", overflow="fold")
    table.add_column("runner-up", overflow="fold")
    table.add_column("distance", justify="right", no_wrap=True)
    for query, one in answers.items():
        has_next = one.runner_up_distance is not None
        table.add_row(
            Text(str(query)),
            Text(str(one), style="" if one.is_known else "dim"),
            f"{one.distance:.4f}",
            Text(one.nearest),
            Text(one.runner_up or "-"),
            f"{one.runner_up_distance:.4f}" if has_next else "-",
        )
    Console().print(table)


def _rule(recognizer: "Recognizer", *, is_given: bool) -> str:
    text = f"unknown from {recognizer.threshold:.4f} on"
    if is_given:
        return text
    entry, calibration = recognizer.calibrated, recognizer.model.calibration
    if entry.images < len(recognizer.gallery):
        return (
            f"{text}, calibrated for {entry.images} images: of {len(recognizer.gallery)} more "
            "strangers pass"
        )
    rate = recognizer.false_accept_rate
    how = "measured" if entry.is_measured else "extrapolated from pairs"
    return (
        f"{text}: {rate:.1%} of strangers pass, {how} on {calibration.num_classes} validation "
        "classes"
    )


@gallery_app.command(name="add")
def gallery_add(
    gallery: GalleryArgument,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Whose images.")] = None,
    images: Annotated[
        list[Path] | None, typer.Argument(metavar="[IMAGE...]", help="To enrol under it.")
    ] = None,
    model: Annotated[Path | None, typer.Option("--model", help="An exported folder.")] = None,
    folder: Annotated[
        Path | None, typer.Option("--from", help="Enrol a folder of NAME/image instead.")
    ] = None,
) -> None:
    """Enrol images under a name; the file is made, or replaced whole.

    Example: tripletune gallery add people --model model ann ann1.jpg ann2.jpg
    """
    from ...trainables import Recognizer
    from ...trainables.gallery_folder import enrol_folder

    if model is None:
        raise ValueError("--model must be an exported folder, got none")
    if (folder is None) != bool(name and images):
        raise ValueError("gallery add takes NAME IMAGE..., or --from FOLDER, and not both")
    with _claimed(gallery):
        recognizer = Recognizer.load(gallery, model) if gallery.exists() else Recognizer(model)
        if folder is not None:
            enrol_folder(recognizer, folder)
        else:
            recognizer.enrol(str(name), images or [])
        recognizer.save(gallery)
    typer.echo(
        f"{gallery} holds {len(recognizer.gallery)} images of {len(recognizer.names)} names"
    )


@gallery_app.command(name="remove")
def gallery_remove(
    gallery: GalleryArgument,
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="To forget.")],
) -> None:
    """Remove names and their images; all of them or, after an error, none.

    Example: tripletune gallery remove people ann
    """
    from ...trainables.gallery import load_gallery

    with _claimed(gallery):
        content, model = load_gallery(gallery)
        for name in names:
            if name not in content.names:
                known = ", ".join(content.names[:5]) or "nobody"
                raise ValueError(f"NAME must be in {gallery}, got {name!r}: it holds {known}")
            content = content.removed(name)
        content.save(gallery, model)
    typer.echo(f"{gallery} holds {len(content)} images of {len(content.names)} names")


@gallery_app.command(name="list")
def gallery_list(gallery: GalleryArgument, as_json: JsonOption = False) -> None:
    """Print the names of a gallery and how many images each has.

    Example: tripletune gallery list people
    """
    from ...trainables.gallery import load_gallery

    content, model = load_gallery(gallery)
    if as_json:
        typer.echo(json.dumps({"model": model, "images": content.counts()}, indent=2))
        return
    for name, count in content.counts().items():
        typer.echo(f"{count:5d}  {name}")


@contextmanager
def _claimed(gallery: Path) -> Iterator[None]:
    """Hold a gallery, so that of two changes at once none is lost."""
    from filelock import FileLock

    if not gallery.parent.is_dir():
        raise FileNotFoundError(f"GALLERY must lie in a folder, got {gallery}: it does not exist")
    with FileLock(gallery.with_name(f".{gallery.name}.lock")):
        yield
