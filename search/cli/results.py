"""The commands that look into a study: leaderboard."""

from pathlib import Path

from ..folder import find_study
from .app import app
from .arguments import JsonOption, RunsOption, StudyArgument
from .output import print_leaderboard


@app.command()
def leaderboard(
    study: StudyArgument,
    runs: RunsOption = Path("runs"),
    as_json: JsonOption = False,
) -> None:
    """Print the trials of a study, ranked by one-shot accuracy.

    Example: tripletune leaderboard omniglot-20261123-101500 --json
    """
    from ..study import Study

    print_leaderboard(Study.open(find_study(study, runs)), as_json)
