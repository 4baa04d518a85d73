import re
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tripletune.spaces import Space, SpaceError
from tripletune.spaces.source import Plain, read_source, write_yaml

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(st.characters(codec="utf-8")),
)
KEYS = st.from_regex(r"[a-z_]{1,8}", fullmatch=True)
DATA: st.SearchStrategy[dict[str, Plain]] = st.dictionaries(
    KEYS,
    st.recursive(
        st.one_of(SCALARS, st.lists(SCALARS, max_size=3)),
        lambda inner: st.dictionaries(KEYS, inner, max_size=3),
        max_leaves=8,
    ),
    min_size=1,
)


@settings(deadline=None, max_examples=25)
@given(DATA)
@example({"next_line": "a\x85", "separator": "\u2028b", "mark": "\ufeff", "escape": "\x1b\x7f"})
@example({"numbers": [1e-5, 1e16, -0.0, 5e-324, 1.7976931348623157e308], "text": "1e-3"})
def test_data_read_back_from_the_yaml_they_are_written_as(data: dict[str, Plain]) -> None:
    again = read_source(write_yaml(data), "data.yaml").data
    assert repr(again) == repr(data)  # tells 1 from 1.0 and from true, and 0.0 from -0.0


def test_scalars_mean_what_yaml_1_2_says() -> None:
    text = "a: [1e-3, 1E5, .5, 10, yes, no, true, null, '1e-3', 2024-01-31]"
    values = [1e-3, 1e5, 0.5, 10, "yes", "no", True, None, "1e-3", "2024-01-31"]
    assert repr(read_source(text, "data.yaml").data["a"]) == repr(values)


def test_every_path_has_the_line_of_its_key() -> None:
    source = read_source("# first\na:\n  b: 1\n  c:\n    d: 2\ne: {f: 3}\n", "data.yaml")
    assert source.lines == {"a": 2, "a.b": 3, "a.c": 4, "a.c.d": 5, "e": 6, "e.f": 6}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "f.yaml: must be a mapping, got an empty file; write sections"),
        ("# only a comment\n", "f.yaml: must be a mapping, got an empty file"),
        ("- a\n- b\n", "f.yaml:1: must be a mapping, got a list"),
        ("word\n", "f.yaml:1: must be a mapping, got 'word'"),
        ("a:\n\tb: 1\n", "f.yaml:2: must be indented with spaces, got a tab"),
        ("a: 1\nb: [1,\n", "is not YAML, got"),
        ("a: b: c\n", "f.yaml:1: is not YAML, got mapping values are not allowed here"),
        ("a: 1\n---\nb: 2\n", "f.yaml:2: must be one document, got a second one"),
        ("a:\n  b: 1\n  b: 2\n", "f.yaml:3: a.b: stands twice, got a first one in line 2"),
        ("a: 1\n2: 3\n", "f.yaml:2: must have words as keys, got '2'"),
        ("a: 1\n<<: {b: 1}\n", "f.yaml:2: must be written out, got"),
        ("a: !!python/object:os.system x\n", "f.yaml:1: a: must be a plain value, got the tag"),
        ("a: &a [*a]\n", "must not hold itself, got an endless alias"),
        ("a: 1\nb: \x01\n", "f.yaml:2: is not YAML, got the control character"),
    ],
)
def test_what_is_no_mapping_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(SpaceError, match=re.escape(message)) as caught:
        read_source(text, "f.yaml")
    assert len(str(caught.value).splitlines()) == 1


def test_a_bomb_of_aliases_is_refused_at_once() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    with pytest.raises(SpaceError, match="got more; cut it"):
        read_source("\n".join(lines), "f.yaml")


def test_a_file_that_cannot_be_read_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"data: \xe9t\xe9\n")
    for path, message in [
        (tmp_path / "absent.yaml", "there is no such file"),
        (tmp_path, "must be a YAML file, got a folder"),
        (tmp_path / "latin.yaml", "must be UTF-8 text, got"),
        (tmp_path / "latin.yaml" / "x.yaml", "cannot be read, got Not a directory"),
    ]:
        with pytest.raises(SpaceError, match=re.escape(f"{path}: {message}")):
            Space.load(path)


def test_a_byte_order_mark_and_windows_lines_are_read(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(b"\xef\xbb\xbfobjective:\r\n  loss: {name: supcon}\r\n")
    assert Space.load(path).name == "mine"
