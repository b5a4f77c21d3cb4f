"""A file that is one array of JSON: each element is a record, wherever line ends stand, and keeps its place in the file."""

from __future__ import annotations

import json
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from headrace.backends.sources import json as json_format
from headrace.backends.sources.json.arrays import ElementLines
from headrace.core.contract import Contract, ContractField
from headrace.core.errors import SourceError
from headrace.core.ports import JSON, Landed

CONTRACT = Contract("C", (ContractField("v", "v", "int"), ContractField("s", "s", "str", nullable=True, has_default=True)))
_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text('ab"\\[]{},:\n é', max_size=6)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text('k"]', max_size=2), inner, max_size=3)),
    max_leaves=8,
)
_SPACES = st.text(" \t\r\n", max_size=3)


@st.composite
def arrays(draw: st.DrawFn) -> tuple[list[Any], bytes]:
    """Values, and a text of an array of them."""
    values = draw(st.lists(_VALUES, max_size=5))
    indent = draw(st.sampled_from([None, 1]))
    texts = [draw(_SPACES) + json.dumps(value, ensure_ascii=False, indent=indent) + draw(_SPACES) for value in values]
    mark = draw(st.sampled_from(["", "\ufeff"]))
    return values, f"{mark}{draw(_SPACES)}[{','.join(texts) or draw(_SPACES)}]{draw(_SPACES)}".encode()


def made_of(text: bytes, cuts: list[int]) -> bytes:
    maker = ElementLines("a.json")
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    return b"".join(maker.feed(text[begin:end]) for begin, end in pairwise(places)) + maker.finish()


@given(array=arrays(), cuts=st.lists(st.integers(0, 200), max_size=8))
def test_each_element_is_a_line_at_its_own_place_however_the_bytes_come(array: tuple[list[Any], bytes], cuts: list[int]) -> None:
    values, text = array
    made = made_of(text, cuts)
    lines = [line for line in made.removeprefix(b"\xef\xbb\xbf").split(b"\n") if line]
    assert len(made) == len(text)
    assert list(map(json.loads, lines)) == values
    assert all(own == given or own in b" \n" for own, given in zip(made, text, strict=True))


@given(text=st.text('[]{}",:\\ \n1a', max_size=30), cuts=st.lists(st.integers(0, 30), max_size=4))
def test_any_text_is_kept_byte_by_byte_or_refused(text: str, cuts: list[int]) -> None:
    data = text.encode()
    try:
        made = made_of(data, cuts)
    except SourceError:
        assert data.lstrip().startswith(b"[")
        return
    assert len(made) == len(data)
    assert made == data or data.lstrip().startswith(b"[")


@given(
    text=arrays().map(lambda array: array[1].decode()) | st.text('[]{}",:\\ \n\r1a', max_size=60),
    cuts=st.lists(st.integers(0, 200), max_size=4),
    window=st.integers(2, 60),
)
def test_elements_that_are_told_at_once_are_what_they_are_one_by_one(text: str, cuts: list[int], window: int) -> None:
    def made(window: int, cuts: list[int]) -> bytes | str:
        with patch("headrace.backends.sources.json.arrays._WINDOW", window):
            try:
                return made_of(text.encode(), cuts)
            except SourceError as error:
                return str(error)

    assert made(window, cuts) == made(1_000_000, []) == made(1, [])


@given(array=arrays(), out=st.sets(st.integers(0, 4)), piece=st.integers(1, 60))
def test_records_can_be_taken_out_where_they_stand(
    tmp_path_factory: pytest.TempPathFactory, array: tuple[list[Any], bytes], out: set[int], piece: int
) -> None:
    values, text = array
    path = tmp_path_factory.mktemp("array") / "a.json"
    path.write_bytes(text)
    with patch("headrace.backends.texts.lines._PIECE_BYTES", piece):
        records = list(json_format.open().records(path, {}))
    assert [record.line for record in records] == [n + 1 for n in range(len(values))]
    found = [text[record.offset : record.offset + len(record.raw)].rstrip(b", \t\r\n") for record in records]
    assert list(map(json.loads, found)) == values
    for n in sorted(out & set(range(len(values))), reverse=True):
        begin = records[n].offset
        text = text[:begin] + text[begin + len(records[n].raw) :]
    left = [line for line in made_of(text, []).removeprefix(b"\xef\xbb\xbf").split(b"\n") if line]
    assert list(map(json.loads, left)) == [value for n, value in enumerate(values) if n not in out]


def read(data: bytes, folder: Path, **options: JSON) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    path = folder / "a.json"
    path.write_bytes(data)
    format_ = json_format.open()
    counter = format_.counter(path.name, options)
    for at in range(0, len(data), 7):
        counter.feed(data[at : at + 7])
    landed = Landed(str(path), path, sha256(data).hexdigest(), len(data), counter.finish())
    result = format_.read([landed], contract=CONTRACT, options=options, rows=folder / "rows", quarantine=folder / "quarantine")
    rows, quarantine = (parquet.read_table(folder / name).to_pylist() for name in ("rows", "quarantine"))
    assert landed.records == result.rows_read == len(rows) + len(quarantine)
    assert not landed.records or result.read_as["a.json"]["shape"] == "one array"
    return rows, quarantine


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-8-sig"])
def test_an_array_is_read_as_lines_are(tmp_path: Path, encoding: str) -> None:
    text = '[\n  {\n    "v": 1,\n    "s": "é,]"\n  },\n  {"v": "x"}, 5,\n  {"v": 2,\n   "s": null}\n]\n'
    rows, quarantine = read(text.encode(encoding), tmp_path)
    assert rows == [{"v": 1, "s": "é,]"}, {"v": 2, "s": None}]
    assert [(row["line"], row["reasons"]) for row in quarantine] == [
        (2, ["v: 'x' is not an integer of 64 bits or fewer"]),
        (3, ["record is no JSON object but a number"]),
    ]
    (first, second) = quarantine
    raw = text.encode(encoding)
    own = encoding if encoding != "utf-16" else "utf-16-le"
    assert raw[first["byte_offset"] :].decode(own).startswith('{"v": "x"}')
    assert raw[second["byte_offset"] :].decode(own).startswith("5,")
    assert first["raw"].decode(own).strip() == '{"v": "x"}'


@pytest.mark.parametrize("text", ["[]", " [ \n ] \n", "[,]"])
def test_an_empty_array_has_no_records(tmp_path: Path, text: str) -> None:
    assert read(text.encode(), tmp_path) == ([], [])


def test_a_large_array_is_read_in_pieces(tmp_path: Path) -> None:
    values = [{"v": n, "s": "x" * (n % 300)} for n in range(30_000)]
    rows, _ = read(json.dumps(values).encode(), tmp_path)
    assert rows == values


def test_long_records_are_given_back_whole_and_on_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b'[\n {"v": 1,\n  "s": "a"},\n {"v": 2,\n  "s": "b"}\n]')
    format_ = json_format.open()
    second = list(format_.records(path, {}))[1]
    (given,) = format_.bytes_at(path, {}, [(second.offset, len(second.raw))])
    assert json.loads(given) == {"v": 2, "s": "b"}
    assert b"\n" not in given
