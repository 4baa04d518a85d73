"""YAML as plain data with line numbers, and the error that names file, line, rule and fix.

YAML 1.2: `1e-3` is a number, `yes` and `no` are words, a key stands once in a mapping.
"""

import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

Value = bool | int | float | str | None
Plain = Value | list["Plain"] | dict[str, "Plain"]

MAX_PROBLEMS = 10
"""How many problems of a file are listed; of more, the number is said."""

MAX_VALUES = 10_000
"""Values that a file may have, an alias counted wherever it is used; a space has hundreds."""

_TAG = "tag:yaml.org,2002:"


@dataclass(frozen=True)
class Problem:
    """A rule that a file breaks.

    Attributes:
        line: From 1; None where the value comes from no line of the file.
        path: Dotted path of the value; empty for the file itself.
        text: "rule, got value; fix".
    """

    line: int | None
    path: str
    text: str

    def located(self, origin: str) -> str:
        """The problem as one line that begins with its place."""
        place = origin if self.line is None else f"{origin}:{self.line}"
        return ": ".join(part for part in (place, self.path, self.text) if part)


class SpaceError(ValueError):
    """A space or recipe file that cannot be used; one line for each problem."""

    @classmethod
    def of(cls, problems: Iterable[Problem], origin: str) -> "SpaceError":
        """The error that lists the problems by line.

        Args:
            problems: At least one; the first `MAX_PROBLEMS` are written out.
            origin: The file as the user named it.
        """
        ordered = sorted(problems, key=lambda problem: problem.line or 0)
        lines = [problem.located(origin) for problem in ordered[:MAX_PROBLEMS]]
        if len(ordered) > MAX_PROBLEMS:
            lines.append(f"{origin}: and {len(ordered) - MAX_PROBLEMS} more problems")
        return cls("\n".join(lines))


@dataclass(frozen=True)
class Source:
    """A file as plain data.

    Attributes:
        data: Nested mappings, lists and scalars.
        lines: Line, from 1, of each dotted path.
        origin: The file as the user named it, for messages.
    """

    data: dict[str, Plain]
    lines: Mapping[str, int]
    origin: str


def read_file(path: Path) -> str:
    """The text of a file.

    Raises:
        SpaceError: If there is no such file, it is a folder, cannot be read, or is not UTF-8.
    """
    origin = str(path)
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        text = "there is no such file; check the path"
    except IsADirectoryError:
        text = "must be a YAML file, got a folder; name a file in it"
    except UnicodeDecodeError as error:
        text = f"must be UTF-8 text, got {error.reason} at byte {error.start}; save it as UTF-8"
    except OSError as error:
        text = f"cannot be read, got {error.strerror}; check its permissions"
    raise SpaceError.of([Problem(None, "", text)], origin)


def read_source(text: str, origin: str) -> Source:
    """The YAML text as plain data with the line of every path.

    Args:
        text: One YAML document, a mapping.
        origin: The file as the user named it, for messages.

    Raises:
        SpaceError: If it is no YAML, is empty or no mapping, or a key stands twice in a mapping.
    """
    yaml = YAML(typ="safe", pure=True)
    try:
        root = yaml.compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        raise SpaceError.of([Problem(line, "", _explain(error))], origin) from error
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        got = f"the control character {error.character!r}"
        fault = f"is not YAML, got {got}; save it as plain text"
        raise SpaceError.of([Problem(line, "", fault)], origin) from error
    if root is None:
        text = "must be a mapping, got an empty file; write sections such as objective:"
        raise SpaceError.of([Problem(None, "", text)], origin)
    if not isinstance(root, MappingNode):
        got = "a list" if isinstance(root, SequenceNode) else repr(root.value)
        text = f"must be a mapping, got {got}; write sections such as objective:"
        raise SpaceError.of([Problem(root.start_mark.line + 1, "", text)], origin)
    reader = _Reader(yaml)
    data = reader.mapping(root, ())
    if reader.problems:
        raise SpaceError.of(reader.problems, origin)
    return Source(data, reader.lines, origin)


def write_yaml(data: Mapping[str, Plain]) -> str:
    """The data as YAML text that `read_source` reads back to equal data."""
    yaml = YAML()
    yaml.width = 1 << 20  # one line a value: long paths are never folded
    buffer = io.StringIO()
    yaml.dump(_laid_out(data), buffer)
    return buffer.getvalue()


def show(value: Plain, *, is_bare: bool = False) -> str:
    """The value as it is written in YAML, for messages: true, null, 0.001, 'text'.

    Args:
        value: Any plain data.
        is_bare: Leave out the quotes of a text.
    """
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {show(v, is_bare=True)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(show(item, is_bare=True) for item in value) + "]"
    if isinstance(value, str):
        return value if is_bare else f"'{value}'"
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value)


class _Reader:
    """Turns YAML nodes into plain data; collects lines and problems."""

    def __init__(self, yaml: YAML) -> None:
        self.lines: dict[str, int] = {}
        self.problems: list[Problem] = []
        self._construct = yaml.constructor.construct_object
        self._open: list[Node] = []
        self._num_values = 0

    def mapping(self, node: MappingNode, path: tuple[str, ...]) -> dict[str, Plain]:
        data: dict[str, Plain] = {}
        first_lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            key = self._key(key_node, path)
            if key is None:
                continue
            inner = (*path, key)
            if key in data:
                text = f"stands twice, got a first one in line {first_lines[key]}; remove one"
                self._refuse(line, inner, text)
                continue
            first_lines[key] = line
            self.lines[".".join(inner)] = line
            data[key] = self._value(value_node, inner)
        return data

    def _key(self, node: Node, path: tuple[str, ...]) -> str | None:
        line = node.start_mark.line + 1
        if not isinstance(node, ScalarNode) or node.tag != f"{_TAG}str":
            is_merge = isinstance(node, ScalarNode) and node.value == "<<"
            if is_merge:
                text = (
                    "must be written out, got a merge key <<, which is not YAML 1.2; copy the keys"
                )
            else:
                got = f"'{node.value}'" if isinstance(node, ScalarNode) else "a list or mapping"
                text = f"must have words as keys, got {got}; check the indentation"
            self._refuse(line, path, text)
            return None
        return str(node.value)

    def _value(self, node: Node, path: tuple[str, ...]) -> Plain:
        line = node.start_mark.line + 1
        self._num_values += 1
        if self._num_values > MAX_VALUES:
            if self._num_values == MAX_VALUES + 1:
                self._refuse(line, path, f"must be one of {MAX_VALUES} values, got more; cut it")
            return None
        if any(node is outer for outer in self._open):
            self._refuse(line, path, "must not hold itself, got an endless alias; write it out")
            return None
        if isinstance(node, ScalarNode):
            return self._scalar(node, path)
        self._open.append(node)
        try:
            if isinstance(node, MappingNode):
                return self.mapping(node, path)
            return [self._value(item, (*path, str(i))) for i, item in enumerate(node.value)]
        finally:
            self._open.pop()

    def _scalar(self, node: ScalarNode, path: tuple[str, ...]) -> Plain:
        kind = str(node.tag).removeprefix(_TAG)
        if kind in ("str", "timestamp"):  # a date is no value here: it stays the text it is
            return str(node.value)
        if kind in ("int", "float", "bool", "null"):
            value: Value = self._construct(node)
            return float(value) if kind == "float" and value is not None else value
        text = f"must be a plain value, got the tag {node.tag}; remove the tag"
        self._refuse(node.start_mark.line + 1, path, text)
        return None

    def _refuse(self, line: int, path: tuple[str, ...], text: str) -> None:
        self.problems.append(Problem(line, ".".join(path), text))


def _explain(error: MarkedYAMLError) -> str:
    problem = str(error.problem or error.context)
    if "'\\t'" in problem:
        return "must be indented with spaces, got a tab; replace it by spaces"
    if "another document" in problem:
        return "must be one document, got a second one; remove the line ---"
    if "mapping values are not allowed" in problem:
        return f"is not YAML, got {problem}; check the indentation, or quote the value"
    return f"is not YAML, got {problem}; check brackets, quotes and indentation"


def _laid_out(data: Plain | Mapping[str, Plain]) -> object:
    """The data with their style: on one line, a mapping that holds a list; quoted, odd text.

    ruamel.yaml would write some characters that are no printable ones as they are, and read them
    back as line breaks or not at all; between double quotes it escapes them.
    """
    if isinstance(data, str) and not data.isprintable():
        return DoubleQuotedScalarString(data)
    if isinstance(data, list):
        return [_laid_out(item) for item in data]
    if not isinstance(data, Mapping):
        return data
    node = CommentedMap()
    for key, value in data.items():
        node[key] = _laid_out(value)
    if any(isinstance(value, list) for value in data.values()) or not data:
        node.fa.set_flow_style()
    return node
