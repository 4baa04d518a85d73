"""The commands that explain: describe, schema."""

import json
from pathlib import Path
from typing import Annotated

import typer

from ..folder import write_text
from .app import app


@app.command()
def describe(
    space: Annotated[str | None, typer.Argument(help="A space file or a preset.")] = None,
    losses: Annotated[
        bool, typer.Option("--losses", help="Print losses and miners, and what fits with what.")
    ] = False,
    encoders: Annotated[
        bool, typer.Option("--encoders", help="Print encoders and heads.")
    ] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="As the page of the docs.")] = False,
) -> None:
    """Print a space as a tree, with the number of parameters of each branch.

    Example: tripletune describe quickstart
    """
    from ... import spaces
    from ...spaces import Space, preset_names, render_tree

    if losses:
        page = spaces.render_losses_page if markdown else spaces.render_losses
        typer.echo(page(), nl=False)
    if encoders:
        page = spaces.render_encoders_page if markdown else spaces.render_encoders
        typer.echo(page(), nl=False)
    if space is not None:
        typer.echo(render_tree(Space.load(space)))
    elif not (losses or encoders):
        raise ValueError(
            f"SPACE must be a file or one of the presets {', '.join(preset_names())}, got none; "
            "name one, or ask for --losses or --encoders"
        )


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
