"""JSON Lines are read in two ways, by patterns that are learned and by a parser; whatever stands in a line, both say the same of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from hashlib import sha256
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.backends.sources.json import splitting
from headrace.backends.sources.json.landing import keys_of
from headrace.backends.sources.json.loading import OpenedJson
from headrace.backends.sources.json.records import NoRecordError, object_in
from headrace.backends.texts.opened import settled
from headrace.backends.texts.room import Room, opened_room
from headrace.core.errors import SourceError
from headrace.core.json_paths import at_path, path_of
from headrace.core.ports import Landed

# ---------------------------------------------------------------- lines as texts, sound and unsound

_NUMBERS = ["0", "-0", "7", "-12", "1.10", "0.1", "1e5", "1E+400", "-1.5e-10", "123456789012345678901234567890", "9007199254740993"]
_NUMBERS += ["01", "-", "1.", ".5", "1e", "+1", "0x1", "1_0", "NaN", "-Infinity", "Infinity"]
_WORDS = ["true", "false", "null", "True", "nul", ""]
_SIGNS = ["a", "null", "n/a", " ", ", ", ": ", "é", "😀", "\u2028", "\x85", "\x7f", "{", "}", "[", "]", "0"]
_SIGNS += ['\\"', "\\\\", "\\/", "\\n", "\\t", "\\u00e9", "\\u0000", "\\u001f", "\\ud83d\\ude00", "\\uD83D\\uDE00"]
_RARE_SIGNS = ["\\ud83d", "\\ude00", "\\udfff", "\\x", "\\u12", "\\", "\t", "\x1f", '"']
_KEYS = ["a", "b", "c", "a.b", "a b", "größe", "b.c", "A", "d", "\\u0061", 'q\\"']
_NAMES = ["a", "b", "c", "a.b", "a.c", "b.c", "b.c.d", "a[0]", "d", "größe", "a b", "z"]

_texts = st.lists(st.sampled_from(_SIGNS) | st.sampled_from(_SIGNS) | st.sampled_from(_RARE_SIGNS), max_size=4).map(
    lambda parts: f'"{"".join(parts)}"'
)
_sound_texts = st.lists(st.sampled_from(_SIGNS), max_size=4).map(lambda parts: f'"{"".join(parts)}"')
_scalars = (
    st.sampled_from(_NUMBERS[:11])
    | st.sampled_from(_NUMBERS)
    | st.sampled_from(_WORDS[:3])
    | st.sampled_from(_WORDS)
    | _sound_texts
    | _texts
)


def _array(items: list[str], spaces: tuple[str, str, str]) -> str:
    comma, _, edge = spaces
    return f"[{edge}{f'{comma}'.join(items)}{edge}]"


def _object(members: list[tuple[str, str]], spaces: tuple[str, str, str]) -> str:
    comma, colon, edge = spaces
    written = comma.join(f'"{key}"{colon}{value}' for key, value in members)
    return f"{{{edge}{written}{edge}}}"


_SPACES = st.sampled_from([(", ", ": ", ""), (",", ":", ""), (",", ": ", ""), (" ,\t", " :  ", " "), (", ", ":", "\t")])


@st.composite
def _values(draw: st.DrawFn, spaces: tuple[str, str, str], levels: int = 2) -> str:
    kind = draw(st.integers(0, 5)) if levels else 0
    if kind == 4:
        return _array(draw(st.lists(_values(spaces, levels - 1), max_size=3)), spaces)
    if kind == 5:
        return _object(draw(st.lists(st.tuples(st.sampled_from(_KEYS), _values(spaces, levels - 1)), max_size=3)), spaces)
    return draw(_scalars)


@st.composite
def _lines(draw: st.DrawFn) -> list[str]:
    """Lines that are much alike, as those of a file are: the same keys in the same order, mostly, and few values of each; some are damaged."""
    spaces = draw(_SPACES)
    keys = draw(st.lists(st.sampled_from(_KEYS), unique=True, max_size=5))
    choices = {key: draw(st.lists(_values(spaces), min_size=1, max_size=3)) for key in keys}
    lines = ["{}"]  # a file that begins with a bracket is an array, or refused
    for _ in range(draw(st.integers(1, 8))):
        own = draw(_SPACES) if draw(st.integers(0, 9)) == 0 else spaces
        members = [(key, draw(st.sampled_from(choices[key]))) for key in keys if draw(st.integers(0, 9))]
        change = draw(st.integers(0, 9))
        if change == 0:
            members = draw(st.permutations(members))
        elif change == 1:
            members.append((draw(st.sampled_from(_KEYS)), draw(_values(own))))
        line = _object(members, own)
        if change == 2:
            at, cut = draw(st.integers(0, len(line))), draw(st.integers(0, 2))
            line = line[:at] + draw(st.sampled_from(["", ",", "}", "{", '"', " ", "\t", "x", "\\", "0", "//"])) + line[at + cut :]
        elif change == 3:
            line = draw(
                st.sampled_from(
                    [f" {line}\t", f"{line},", f"{line} {line}", f"[{line}]", "null", " ", "{}", "{ }", f"\x0b{line}", f"\xa0{line}"]
                )
            )
        if line:
            lines.append(line)
    return lines


# ---------------------------------------------------------------- both ways


@contextmanager
def quick(stretch: int = 300) -> Iterator[None]:
    """Patterns are learned at once, from a few lines, and stretches are short."""
    with (
        patch.object(splitting, "_FEWEST", 1),
        patch.object(splitting, "_SAMPLE", 3),
        patch.object(splitting, "_MANY", 1000),
        patch.object(splitting, "_STRETCH", stretch),
    ):
        yield


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    with opened_room(tmp_path_factory.mktemp("room")) as room:
        yield room


def landed(path: Path, data: bytes) -> Landed:
    path.write_bytes(data)
    return Landed(path.name, path, sha256(data).hexdigest(), len(data), 0)


def rows_in(room: Room) -> list[tuple[object, ...]]:
    return room.connection.execute("SELECT * FROM piece ORDER BY n").fetchall()


@given(
    lines=_lines(),
    names=st.lists(st.sampled_from(_NAMES), unique=True, max_size=5),
    nulls=st.sampled_from([[], ["n/a", "0", "null", "true", "{}"]]),
    stretch=st.sampled_from([20, 150, 10_000]),
)
@settings(max_examples=400, deadline=None)
def test_patterns_and_parser_say_the_same_of_every_line(
    room: Room, lines: list[str], names: list[str], nulls: list[str], stretch: int
) -> None:
    file = landed(room.file.with_name("lines.jsonl"), "\n".join(lines).encode())
    opened = OpenedJson(file, {"null_words": nulls}, names)
    expected_odd, expected, keys = {}, [], {}
    with quick(stretch):
        (piece,) = opened.pieces()
        loaded = piece.load(room, range(len(names)))
        found = settled(room, loaded)
    assert loaded is found, "DuckDB finds as many rows as there are"
    quick_rows = rows_in(room)
    for n, line in enumerate(lines, 1):
        try:
            record = object_in(line)
        except NoRecordError as error:
            expected_odd[n] = f"record {error}"
            continue
        keys.update(dict.fromkeys(record))
        expected.append(record)
    assert loaded.odd == expected_odd
    exact = loaded.exactly() if loaded.exactly else loaded
    assert exact.odd == expected_odd
    assert quick_rows == rows_in(room)
    values = {
        name: [record.get(name) if path_of(name) is None else at_path(record, name, path_of(name)) for record in expected] for name in names
    }
    assert set(opened.quoted) == {name for name in names if any(type(value) is str for value in values[name])}
    present = [name for name in names if any(value is not None for value in values[name]) or name in keys]
    undeclared = [key for key in keys if key not in {*names, *(str(path[0]) for path in map(path_of, names) if path)}]
    assert opened.found == (tuple(names) if not keys else (*present, *undeclared))


@given(lines=_lines(), stretch=st.sampled_from([20, 10_000]))
@settings(max_examples=200, deadline=None)
def test_the_keys_of_a_file_are_those_of_its_records_in_order(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], stretch: int
) -> None:
    path = tmp_path_factory.mktemp("keys") / "lines.jsonl"
    landed(path, "\n".join(lines).encode())
    keys: dict[str, None] = {}
    is_odd = False
    for line in lines:
        try:
            keys.update(dict.fromkeys(object_in(line)))
        except NoRecordError:
            is_odd = True
    is_refused = not all(keys) or (is_odd and not keys)
    with quick(stretch), pytest.raises(SourceError) if is_refused else nullcontext():
        assert keys_of(path, {}, name="f") == tuple(keys)


# ---------------------------------------------------------------- that the quick way is gone at all


@pytest.mark.parametrize("separators", [(", ", ": "), (",", ":"), (" , ", " : ")])
def test_lines_alike_are_not_parsed_one_by_one(tmp_path: Path, room: Room, separators: tuple[str, str]) -> None:
    def record(n: int) -> dict[str, object]:
        found: dict[str, object] = {
            "id": n,
            "name": f'Zoë "{n}" \n' if n % 2 else None,
            "price": n / 7,
            "of": {"city": "Rome", "at": [n, {"x": True}]},
        }
        return found if n % 3 else {key: value for key, value in found.items() if key != "price"}

    lines = [json.dumps(record(n), separators=separators, ensure_ascii=n % 5 == 0) for n in range(2000)]
    file = landed(tmp_path / "lines.jsonl", "\n".join(lines).encode())
    opened = OpenedJson(file, {}, ["id", "name", "price", "of.city", "of.at"])
    with patch.object(splitting, "object_in", side_effect=AssertionError("a line was parsed")):
        for piece in opened.pieces():
            loaded = settled(room, piece.load(room, range(5)))
            assert not loaded.is_slow
    assert opened.found == ("id", "name", "price", "of.city", "of.at")
