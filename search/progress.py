"""How far the decoding is: a bar in a terminal, a plain line every tenth where it is piped."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

LINES = 10
"""Plain lines of a whole decoding."""


@contextmanager
def decoding_progress(
    console: Console, what: str = "decoding"
) -> Iterator[Callable[[int, int], None]]:
    """A function that is told how many images of how many are done; it shows nothing before.

    Args:
        console: Where to show it. One that cannot be written any more goes quiet.
        what: Stands in front.
    """
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
    shown = 0

    def show(done: int, total: int) -> None:
        nonlocal shown
        if console.is_terminal:
            if not bar.tasks:
                bar.start()
                bar.add_task(what)
            task = bar.tasks[0].id
            is_next = done < (bar.tasks[0].completed or 0)  # the space's next data section
            bar.update(task, completed=done, total=total)
            if is_next:
                bar.reset(task, completed=done, total=total)
            return
        tenth = done * LINES // max(1, total)
        if tenth != shown:
            shown = tenth
            console.print(f"{what}: {done} of {total} images", markup=False, highlight=False)

    def survive(done: int, total: int) -> None:
        try:
            show(done, total)
        except (OSError, SystemExit):  # rich raises SystemExit when a pipe's reader is gone
            console.quiet = True

    try:
        yield survive
    finally:
        if bar.tasks:
            bar.stop()
