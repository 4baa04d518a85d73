"""The page: template, styles, script and the study's content in one file."""

import json
from collections.abc import Mapping
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

from ..folder import write_text
from ..study import Study
from .content import study_content
from .model import BestModel, best_model

SCRIPTS = (
    "kit.js",
    "state.js",
    "plot.js",
    "overview.js",
    "leaderboard.js",
    "trial.js",
    "parallel.js",
    "parameters.js",
    "curves.js",
    "tradeoffs.js",
    "collapse.js",
    "map.js",
    "model.js",
    "about.js",
    "main.js",
)
"""In the order in which they are joined; each may use what stands above."""

NO_MODEL = BestModel(None, "Left out of this report.")


def write_report(study: Study, path: Path, *, with_model: bool = True) -> None:
    """Write a study's page, whole or not at all.

    Args:
        study: What to show.
        path: Of the file.
        with_model: Whether to look into the best model; that decodes the images, where they are
            not in the cache, and runs the encoder over the validation classes.
    """
    model = best_model(study) if with_model else NO_MODEL
    write_text(path, render(page_content(study, model)))


def page_content(study: Study, model: BestModel) -> dict[str, Any]:
    """What the page's script reads."""
    return study_content(study) | {"model": model.content, "model_missing": model.reason}


def render(content: Mapping[str, Any], *, live: bool = False) -> str:
    """The whole page as text.

    Args:
        content: From `page_content`.
        live: Whether the page asks its server for newer content.
    """
    script = "\n".join(_asset(name) for name in SCRIPTS)
    values = {
        "TITLE": escape(f"{content['study']} - tripletune"),
        "STYLE": _asset("page.css"),
        "SCRIPT": f'(() => {{\n"use strict";\n{script}\n}})();',
        "CONTENT": as_script_data(content),
        "LIVE": "true" if live else "false",
    }
    # Split, not replaced: the content may hold the marks of other values.
    parts = _asset("page.html").split("%%")
    return "".join(values[part] if place % 2 else part for place, part in enumerate(parts))


def as_script_data(content: Mapping[str, Any]) -> str:
    """JSON that cannot end the script element that holds it."""
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _asset(name: str) -> str:
    return (resources.files(__package__) / "assets" / name).read_text(encoding="utf-8")
