"""No row is lost: every record of a file is kept or quarantined, once, whatever the bytes are."""

from __future__ import annotations

import bz2
import gzip
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from headrace.backends.sources.csv import open as open_csv
from headrace.backends.sources.csv.loading import load_exactly, load_piece, screen
from headrace.backends.texts.opened import settled
from headrace.backends.texts.room import Room, opened_room
from headrace.core.contract import Contract, ContractField
from headrace.core.dialect import Dialect
from headrace.core.errors import SourceError
from headrace.core.ports import Landed
from headrace.core.records import Piece, Scanner

CONTRACT = Contract("Sale", (ContractField("n", "n", "int", ge=0), ContractField("text", "text", "str", nullable=True)))


def land(path: Path, data: bytes, options: Mapping[str, str]) -> Landed:
    path.write_bytes(data)
    counter = open_csv().counter(path.name, options)
    counter.feed(data)
    return Landed(str(path), path, sha256(data).hexdigest(), len(data), counter.finish())


def read(
    folder: Path, data: bytes, contract: Contract | None, options: Mapping[str, str] = MappingProxyType({})
) -> tuple[Landed, list[dict[str, object]], list[dict[str, object]]]:
    landed = land(folder / "file.csv", data, options)
    rows, quarantine = folder / "rows.parquet", folder / "quarantine.parquet"
    open_csv().read([landed], contract=contract, options=options, rows=rows, quarantine=quarantine)
    return landed, parquet.read_table(rows).to_pylist(), parquet.read_table(quarantine).to_pylist()


_GOOD = [b"%d,x", b'%d,"a,b"', b'%d,"two\nlines"', b'"%d","say ""hi"""', b"%d,", b'%d,""']
_BAD = [b"-%d,x", b"%dx,y", b"%d", b"%d,x,y", b',"%d"', b'%d,"x"y', b"%d,x,"]
_ENDS = [b"\n", b"\r\n", b"\r"]


@given(
    plan=st.lists(st.tuples(st.booleans(), st.integers(0, 6)), max_size=40),
    end=st.sampled_from(_ENDS),
    odd_ends=st.sets(st.integers(0, 39), max_size=2),
    has_last_end=st.booleans(),
)
@settings(max_examples=40)
def test_planted_defects_are_found_each_at_its_line_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, plan: list[tuple[bool, int]], end: bytes, odd_ends: set[int], has_last_end: bool
) -> None:
    records = [(_GOOD[kind % 6] if good else _BAD[kind]) % n for n, (good, kind) in enumerate(plan, 1)]
    ends = [_ENDS[n % 3] if n in odd_ends else end for n in range(len(records))]
    data, line, bad, kept = b"n,text" + end, 2, [], []
    for n, (record, own_end, (good, _)) in enumerate(zip(records, ends, plan, strict=True), 1):
        if good:
            kept.append(n)
        else:
            bad.append((line, record))
        data += record + own_end
        line += 1 + record.count(b"\n")
    if not has_last_end:
        data = data.removesuffix(ends[-1] if ends else end)
    landed, rows, quarantine = read(tmp_path_factory.mktemp("planted"), data, CONTRACT)
    assert landed.records == len(records)
    assert [row["n"] for row in rows] == kept
    assert [(row["line"], row["raw"]) for row in quarantine] == bad


@given(
    data=st.lists(
        st.sampled_from([b'"', b",", b"\n", b"\r", b" ", b"a", b"1", b"\\", "é".encode(), b"\x00", b"\xff", b"#"]), max_size=40
    ).map(b"".join)
)
@settings(max_examples=60)
def test_any_bytes_are_refused_or_accounted_for(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = tmp_path_factory.mktemp("bytes")
    try:
        landed, rows, quarantine = read(folder, b"n,text\n" + data, CONTRACT)
    except SourceError:
        return
    assert landed.records == len(rows) + len(quarantine)
    try:
        landed, rows, quarantine = read(folder, data, None)
    except SourceError:
        return
    assert landed.records == len(rows) + len(quarantine)
    assert all(row["columns"] == [] for row in quarantine), "an inferred type rejects nothing"


@given(
    data=st.lists(st.sampled_from([b'"', b",", b";", b"\t", b"\n", b"\r\n", b"a;b\n", b"1;2\n", b"x,y\n"]), max_size=40).map(b"".join),
    pack=st.sampled_from([bytes, gzip.compress, bz2.compress]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    has_delimiter=st.booleans(),
)
@settings(max_examples=60)
def test_packed_texts_in_other_encodings_are_refused_or_accounted_for(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, pack: Callable[[bytes], bytes], encoding: str, has_delimiter: bool
) -> None:
    options = {} if has_delimiter else {"delimiter": "auto"}
    text = data.decode().encode(encoding)
    try:
        landed, rows, quarantine = read(tmp_path_factory.mktemp("packed"), pack(text), None, options)
    except SourceError:
        return
    assert landed.records == len(rows) + len(quarantine)
    for row in quarantine:
        offset, raw = row["byte_offset"], row["raw"]
        assert isinstance(offset, int)
        assert isinstance(raw, bytes)
        assert text[offset : offset + len(raw)] == raw


_COMMENTS = [b"#", b"# made on Monday", b'#"', b'#,"a', b'# "a, b",c', b"##", b'#1,"x"y']
_COMMENTED = [b"%d,x", b'"%d","a\n#b"', b'%d,"\r\n# no comment\r\n#"', b"%d,#x", b'"%d","#"']


@given(
    plan=st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=1, max_size=30),
    end=st.sampled_from(_ENDS),
    has_last_end=st.booleans(),
    is_packed=st.booleans(),
)
@settings(max_examples=60)
def test_comments_are_no_records_and_counted_wherever_they_stand_and_quoted_lines_are_none(
    tmp_path_factory: pytest.TempPathFactory, plan: list[tuple[bool, int]], end: bytes, has_last_end: bool, is_packed: bool
) -> None:
    lines = [_COMMENTS[kind] if is_comment else _COMMENTED[kind % 5] % n for n, (is_comment, kind) in enumerate(plan)]
    comments = [line for line, (is_comment, _) in zip(lines, plan, strict=True) if is_comment]
    records = [line for line, (is_comment, _) in zip(lines, plan, strict=True) if not is_comment]
    data = end.join([b"# first", b"", b"n,text", *lines]) + (end if has_last_end else b"")
    bare = end.join([b"n,text", *records]) + end
    folder = tmp_path_factory.mktemp("comments")
    landed, rows, quarantine = read(folder, gzip.compress(data) if is_packed else data, CONTRACT, {"comment": "#"})
    assert landed.records == len(records)
    assert not quarantine
    assert rows == read(tmp_path_factory.mktemp("bare"), bare, CONTRACT)[1]
    result = open_csv().read(
        [landed], contract=None, options={"comment": "#"}, rows=folder / "rows.parquet", quarantine=folder / "q.parquet"
    )
    assert result.read_as[landed.name]["comments"] == len(comments) + 1
    assert [record.raw for record in open_csv().records(landed.path, {"comment": "#"})] == records
    for record in open_csv().records(landed.path, {"comment": "#"}):
        assert data[record.offset : record.offset + len(record.raw)] == record.raw
        assert record.line == len(data[: record.offset].replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n"))


# ---------------------------------------------------------------- the fast way and the exact way read the same


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    with opened_room(tmp_path_factory.mktemp("room")) as opened:
        yield opened


def pieces(data: bytes, dialect: Dialect) -> list[Piece]:
    scanner = Scanner("file.csv", dialect)
    return [piece for piece in (scanner.feed(data), scanner.finish()) if piece]


@st.composite
def texts(draw: st.DrawFn) -> tuple[bytes, Dialect, int]:
    delimiter, quote = draw(st.sampled_from([b",", b";", b"\t", b"|", b" "])), draw(st.sampled_from([b'"', b"'", b""]))
    escape, comment = draw(st.sampled_from([b"", b"", b"\\"])) if quote else b"", draw(st.sampled_from([b"", b"#"]))
    dialect = Dialect(delimiter, quote, escape, comment=comment)
    inside = st.sampled_from([b"", b"a", b"a,b;c", b"a\nb", b"a\r\nb", b" a ", quote * 2, b"\\" + quote if dialect.escape else b"NA"])
    quoted = st.tuples(st.sampled_from([b"", b"", b" ", b"  "]), inside, st.sampled_from([b"", b"", b" ", b"x"])).map(
        lambda t: t[0] + quote + t[1] + quote + t[2]
    )
    bare = st.lists(st.sampled_from([b"a", b"1", b" ", b"\\", b"#", b"'", b'"', "é".encode(), b"NA", b"\t"]), max_size=3).map(b"".join)
    width = draw(st.integers(1, 3))
    rows = draw(
        st.lists(st.tuples(st.lists(quoted | bare, min_size=width, max_size=width), st.sampled_from([0] * 9 + [1])), min_size=1, max_size=6)
    )
    ends = st.sampled_from([draw(st.sampled_from(_ENDS))] * 9 + _ENDS)
    return b"".join(delimiter.join(fields + [b""] * extra) + draw(ends) for fields, extra in rows), dialect, width


@given(made=texts(), options=st.sampled_from([{}, {"null_words": ["NA"]}]))
@settings(max_examples=150)
def test_both_ways_of_reading_a_piece_give_the_same_texts(
    room: Room, made: tuple[bytes, Dialect, int], options: dict[str, list[str]]
) -> None:
    data, dialect, width = made
    try:
        found = pieces(data, dialect)
    except SourceError:
        return
    positions = tuple(range(width))
    for piece in found:
        settled(room, load_piece(room, positions, piece=piece, width=width, options=options))
        taken = room.connection.execute("SELECT * FROM piece ORDER BY n").fetchall()
        sound, odd = screen(piece, width)
        load_exactly(room, dialect, sound, positions, options)
        exact = room.connection.execute("SELECT * FROM piece ORDER BY n").fetchall()
        assert taken == exact
        assert len(exact) + len(odd) == piece.records
