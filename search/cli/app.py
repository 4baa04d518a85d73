"""The application that commands join, and how errors leave it."""

import sys
from typing import Annotated

import typer
from rich.console import Console

from ... import __version__
from ...cluster.jobs import JobError
from ...cluster.storage import StorageError
from ..folder import StudyError

app = typer.Typer(
    name="tripletune",
    help="Finds the best siamese or triplet model for your data, judged by one-shot accuracy on "
    "classes that it never saw.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"tripletune {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of errors.")] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; foreign errors end here as one message and an exit status."""
    debug = "--debug" in sys.argv
    try:
        app(standalone_mode=True)
    except (ValueError, FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        _fail(error, debug, status=2)
    except (StudyError, StorageError, JobError, OSError, RuntimeError, ArithmeticError) as error:
        _fail(error, debug, status=1)


def _fail(error: BaseException, debug: bool, *, status: int) -> None:
    if debug:
        raise error
    complain(f"error: {error}")
    raise SystemExit(status)


def complain(text: str) -> None:
    """Print a line on standard error."""
    Console(stderr=True, highlight=False, markup=False, soft_wrap=True).print(text)
