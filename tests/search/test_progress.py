"""The progress of a decoding, in a terminal and piped."""

import io

from rich.console import Console

from tripletune.search.progress import decoding_progress


def test_a_pipe_gets_ten_plain_lines() -> None:
    file = io.StringIO()
    with decoding_progress(Console(file=file, width=80)) as show:
        for done in range(1, 1001):
            show(done, 1000)
    lines = file.getvalue().splitlines()
    assert lines[0] == "decoding: 100 of 1000 images"
    assert lines[-1] == "decoding: 1000 of 1000 images"
    assert len(lines) == 10


def test_a_terminal_gets_a_bar_that_goes_away() -> None:
    file = io.StringIO()
    with decoding_progress(Console(file=file, force_terminal=True, width=80)) as show:
        show(250, 500)
        show(500, 500)
        show(1, 300)  # the next data section of a space
    text = file.getvalue()
    assert "decoding" in text
    assert "\x1b[2K" in text  # the line is erased


def test_nothing_to_decode_shows_nothing() -> None:
    file = io.StringIO()
    with decoding_progress(Console(file=file, force_terminal=True)):
        pass
    assert file.getvalue() == ""


def test_a_console_that_is_gone_does_not_stop_the_decoding() -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError("gone")

    console = Console(file=Gone())
    with decoding_progress(console) as show:
        show(5, 10)
        show(10, 10)
    assert console.quiet
