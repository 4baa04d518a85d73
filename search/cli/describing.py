"""The commands that explain: describe, schema."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from ..folder import write_text
from .app import app
from .arguments import JsonOption, data_values, set_values

if TYPE_CHECKING:
    from ...spaces import DataConfig, Value


@app.command()
def describe(
    what: Annotated[
        str | None,
        typer.Argument(help="A space file or a preset; or data: a folder, a zip, a data set."),
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="Data to describe, where a preset has the same name.")
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--to", help="Also write the data card: .html, .png or .json.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Of the data: --set data.split.by=class"),
    ] = None,
    losses: Annotated[
        bool, typer.Option("--losses", help="Print losses and miners, and what fits with what.")
    ] = False,
    encoders: Annotated[
        bool, typer.Option("--encoders", help="Print encoders and heads.")
    ] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="As the page of the docs.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Print a space as a tree, or a card of a data set: classes, files, split, copies.

    Examples: tripletune describe quickstart; tripletune describe my_images --to card.html
    """
    from ... import spaces
    from ...spaces import Space, preset_names, render_tree

    if losses:
        page = spaces.render_losses_page if markdown else spaces.render_losses
        typer.echo(page(), nl=False)
    if encoders:
        page = spaces.render_encoders_page if markdown else spaces.render_encoders
        typer.echo(page(), nl=False)
    if data is None and what is not None and _is_data(what):
        what, data = None, what
    if data is not None:
        _describe_data(data, set_ or [], to, as_json)
    if what is not None:
        typer.echo(render_tree(Space.load(what)))
    elif data is None and not (losses or encoders):
        raise ValueError(
            f"WHAT must be a space file, one of the presets {', '.join(preset_names())}, or data, "
            "got none; name one, or ask for --losses or --encoders"
        )


def _is_data(what: str) -> bool:
    """Whether the argument names data and no space: a preset goes first."""
    from ...spaces import preset_names
    from ...trainables.data import DATASETS

    if what in preset_names():
        return False
    path = Path(what).expanduser()
    return what in DATASETS or path.is_dir() or path.suffix.lower() == ".zip"


def _describe_data(data: str, pairs: list[str], to: Path | None, as_json: bool) -> None:
    from ...trainables.data.card import make_card
    from ..card_page import FORMATS, card_lines, write_card
    from ..progress import decoding_progress

    if to is not None and to.suffix.lower() not in FORMATS:
        raise ValueError(f"--to must end in {', '.join(FORMATS)}, got {to}; name another file")
    config = _data_config({**_CARD, **data_values(data), **set_values(pairs)})
    with decoding_progress(Console(stderr=True)) as progress:
        card = make_card(config, progress=progress)
    if as_json:
        typer.echo(json.dumps(card.content, indent=2))
    else:
        typer.echo("\n".join(card_lines(card.content)))
    if to is not None:
        write_card(card, to)
        typer.echo(f"wrote {to}", err=as_json)


_CARD: "dict[str, Value]" = {
    "data.image_size": 64,
    "data.color": "rgb",
    "data.max_corrupt_share": 0.99,  # it says which are damaged; a search decides
}
"""How the images of a data card are decoded."""


def _data_config(values: "dict[str, Value]") -> "DataConfig":
    """The data section of these values, by the rules of a space."""
    from ...spaces import Space

    wrong = [key for key in values if not key.startswith("data.")]
    if wrong:
        raise ValueError(
            f"--set must be a value of the data, such as data.split.by, got {wrong[0]}"
        )
    space = Space.from_text("objective: {loss: {name: supcon}}", origin="describe")
    return space.with_values(values).data_configs()[0]


@app.command()
def schema(
    to: Annotated[Path | None, typer.Option("--to", help="File to write.")] = None,
) -> None:
    """Write the JSON schema of space files, for completion in editors.

    Example: tripletune schema --to space.schema.json
    """
    from ...spaces import space_schema

    text = json.dumps(space_schema(), indent=2)
    if to is None:
        typer.echo(text)
    else:
        write_text(to, text + "\n")
        typer.echo(f"wrote {to}")
