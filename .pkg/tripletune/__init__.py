"""Search for the siamese or triplet model that suits your data, judged by one-shot accuracy.

The package is made of four rooms: ``spaces`` (what may be tried), ``trainables`` (what one trial
does), ``cluster`` (where it runs) and ``search`` (what to try next and what was learned). The
names below are the Python API; each is imported at its first use, so that ``import tripletune``
stays fast.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .search.runner import resume, run_search
    from .search.study import Study
    from .spaces import Recipe, Space
    from .trainables.embedder import load
    from .trainables.recognizer import Recognizer

__version__ = "0.1.0"

__all__ = ["Recipe", "Recognizer", "Space", "Study", "load", "resume", "run_search"]

# No name here may be that of a room: Python binds ``tripletune.search`` to the room when anything
# imports it, so a function of that name would come and go with the order of imports.
_MODULE_OF = {
    "Recipe": ".spaces",
    "Recognizer": ".trainables.recognizer",
    "Space": ".spaces",
    "Study": ".search.study",
    "load": ".trainables.embedder",
    "resume": ".search.runner",
    "run_search": ".search.runner",
}


if not TYPE_CHECKING:  # or a type checker would take any name

    def __getattr__(name: str) -> object:
        module = _MODULE_OF.get(name)
        if module is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value: object = getattr(import_module(module, __name__), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
