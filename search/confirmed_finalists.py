"""The confirmed rows of a leaderboard, where there are any."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .confirmation import Confirmed


def confirmed_finalists(folder: Path) -> "tuple[Confirmed, ...]":
    """Finalists of a study's `confirm` folder, best first; scipy is imported only for some."""
    if not folder.is_dir():
        return ()
    from .confirmation import ConfirmFolder, confirmed

    return confirmed(ConfirmFolder(folder))
