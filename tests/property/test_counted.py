"""A file is read alike whether what landing counted of it is known or not; and bytes that were changed meanwhile are found out."""

from __future__ import annotations

import gzip
from collections import Counter as Tally
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from headrace.backends.sources.csv import landing
from headrace.backends.sources.csv import open as open_csv
from headrace.backends.sources.json import open as open_json
from headrace.backends.sources.logs import open as open_logs
from headrace.backends.texts import incoming, outline
from headrace.backends.texts import lines as text_lines
from headrace.core import counted, sniffing
from headrace.core.contract import Contract, ContractField
from headrace.core.counted import counted_by
from headrace.core.errors import SourceError
from headrace.core.ports import JSON, Landed, SourceFormat

CONTRACT = Contract("Sale", (ContractField("n", "n", "int", ge=0), ContractField("text", "text", "str", nullable=True)))

_RECORDS = st.sampled_from(
    [
        "1,a",
        "2,é",
        "3,",
        "-4,b",
        '5,"a,b"',
        '6,"two\nlines"',
        '7,"say ""hi"""',
        '8,"x\r\ny"',
        "9,a,b",
        '10,"a"b',
        '11, "c"',
        "# no",
        '#"',
        "",
        "",
    ]
)
_ENDS = ["\n", "\r\n", "\r"]
_OPTIONS: list[dict[str, JSON]] = [
    {}, {}, {"comment": "#"}, {"skip": 2}, {"quote": None}, {"names": ["n", "text"]}, {"delimiter": "auto"}, {"quote": "auto"},
]  # fmt: skip


@contextmanager
def small(*, piece: int, apart: int = 1, is_large: bool = False) -> Iterator[None]:
    """A few bytes are a large file: cut often, and counted up to many places."""
    with pytest.MonkeyPatch.context() as patch:
        for module, name, value in (
            (incoming, "PIECE_BYTES", piece * 3), (landing, "PIECE_BYTES", piece * 2), (landing, "_FIRST_BYTES", piece), (counted, "_APART", apart),
            (sniffing, "SAMPLE_BYTES", 200), (text_lines, "_PIECE_BYTES", piece * 2), (text_lines, "_FIRST_BYTES", piece), (outline, "_LARGE", 0 if is_large else 16 * 1024),
        ):  # fmt: skip
            patch.setattr(module, name, value)
        yield


def land(path: Path, data: bytes, options: Mapping[str, JSON], chunk: int) -> Landed:
    path.write_bytes(data)
    counter = landing.Counter(path.name, options)
    for at in range(0, len(data), chunk):
        counter.feed(data[at : at + chunk])
    return Landed(str(path), path, sha256(data).hexdigest(), len(data), counter.finish(), counted=counter.counted)


def read(landed: Landed, contract: Contract | None, options: Mapping[str, JSON]) -> tuple[object, bytes, bytes]:
    rows, quarantine = landed.path.with_name("rows.parquet"), landed.path.with_name("quarantine.parquet")
    result = open_csv().read([landed], contract=contract, options=options, rows=rows, quarantine=quarantine)
    return result, rows.read_bytes(), quarantine.read_bytes()


def cuts(landed: Landed, options: Mapping[str, JSON]) -> object:
    try:
        found = landing.cut(landed.path, options, name="f", counted=landed.counted)
        pieces = [(piece, piece.line_ends, piece.comments) for piece in found.pieces]
    except SourceError as error:
        return str(error)
    return found.names, found.header, pieces, found.comments, found.read_as


@st.composite
def texts(draw: st.DrawFn) -> str:
    ends = st.sampled_from([draw(st.sampled_from(_ENDS))] * 9 + _ENDS)
    before = draw(st.sampled_from(["", "", "title\n,\n", "\n"]))
    body = "".join(record + draw(ends) for record in draw(st.lists(_RECORDS, min_size=1, max_size=50)))
    filler, last = draw(st.sampled_from([0, 460, 470])) * "0,filler\n", draw(st.sampled_from(["", "", "1,last", '1,"open']))
    return f"{before}n,text\n{filler}{body}{last}"


@given(
    text=texts(),
    options=st.sampled_from(_OPTIONS),
    encoding=st.sampled_from(["utf-8", "utf-8", "utf-8-sig", "utf-16"]),
    pack=st.sampled_from([bytes, bytes, gzip.compress]),
    chunk=st.integers(1, 5_000),
    piece=st.integers(1, 400),
    apart=st.sampled_from([1, 30, 1000]),
    is_large=st.booleans(),
)
@settings(max_examples=40)
def test_a_text_is_cut_alike_whether_it_is_known_what_was_counted_or_not(
    tmp_path_factory: pytest.TempPathFactory,
    text: str,
    options: Mapping[str, JSON],
    encoding: str,
    pack: Callable[[bytes], bytes],
    chunk: int,
    piece: int,
    apart: int,
    is_large: bool,
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    with small(piece=piece, apart=apart, is_large=is_large):
        try:
            landed = land(folder / "file.csv", pack(text.encode(encoding)), options, chunk)
        except SourceError:
            return
        assert cuts(landed, options) == cuts(replace(landed, counted=None), options)


@given(
    text=texts(), options=st.sampled_from(_OPTIONS), chunk=st.integers(500, 5_000), piece=st.integers(50, 4000), has_contract=st.booleans()
)
@settings(max_examples=20)
def test_rows_and_quarantine_are_the_same_bytes_whether_it_is_known_or_not(
    tmp_path_factory: pytest.TempPathFactory, text: str, options: Mapping[str, JSON], chunk: int, piece: int, has_contract: bool
) -> None:
    folder, contract = tmp_path_factory.mktemp("read"), CONTRACT if has_contract else None
    with small(piece=piece):
        found = []
        for is_known in (True, False):
            try:
                landed = land(folder / "file.csv", text.encode(), options, chunk)
                found.append(read(landed if is_known else replace(landed, counted=None), contract, options))
            except SourceError as error:
                found.append((str(error), b"", b""))
    assert found[0] == found[1]


# ---------------------------------------------------------------- bytes that were changed after they were counted

_CHANGES = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.sampled_from([b"", b"\n", b"x", b"xx", b",", b"\r", b"\n\n"]), st.integers(0, 2)),
    min_size=1,
    max_size=4,
)


def changed(data: bytes, changes: list[tuple[float, bytes, int]], *, begin: int) -> bytes:
    for place, other, gone in changes:
        at = begin + int(place * (len(data) - begin))
        data = data[:at] + other + data[at + gone :]
    return data


@given(
    lines=st.lists(st.sampled_from([b"a", b"bc", b"def"]), min_size=1, max_size=40),
    changes=_CHANGES,
    piece=st.integers(1, 30),
    columns=st.sampled_from([("text",), ("text", "more")]),
)
@settings(max_examples=40)
def test_of_a_file_that_was_changed_every_line_is_kept_or_it_is_refused(
    tmp_path_factory: pytest.TempPathFactory,
    lines: list[bytes],
    changes: list[tuple[float, bytes, int]],
    piece: int,
    columns: tuple[str, ...],
) -> None:
    end = b",1\n" if len(columns) > 1 else b"\n"
    start = ",".join(columns).encode() + b"\n" + (b"0" + end) * 2100
    with small(piece=piece):
        landed = land(tmp_path_factory.mktemp("changed") / "file.csv", start + b"".join(line + end for line in lines), {}, 4200)
        after = changed(landed.path.read_bytes(), changes, begin=len(start))
        landed.path.write_bytes(after)
        there = [line for line in after.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")[1:] if line]
        contract = Contract("Text", tuple(ContractField(name, name, "str", nullable=True) for name in columns))
        if len(there) != landed.records:
            with pytest.raises(SourceError, match=r"Its bytes were changed: run again\."):
                read(landed, contract, {})
            return
        read(landed, contract, {})
    kept = parquet.read_table(landed.path.with_name("rows.parquet")).to_pylist()
    rejected = [row["raw"] for row in parquet.read_table(landed.path.with_name("quarantine.parquet")).to_pylist()]
    assert Tally([",".join(row[name] or "" for name in columns).encode() for row in kept] + rejected) == Tally(there)


@given(text=texts(), changes=_CHANGES, quotes=st.integers(0, 2), piece=st.integers(1, 400))
@settings(max_examples=40)
def test_of_a_file_that_was_changed_the_pieces_have_all_of_its_bytes(
    tmp_path_factory: pytest.TempPathFactory, text: str, changes: list[tuple[float, bytes, int]], quotes: int, piece: int
) -> None:
    with small(piece=piece):
        try:
            landed = land(tmp_path_factory.mktemp("changed") / "file.csv", text.encode(), {"names": ["n", "text"]}, 4200)
        except SourceError:
            return
        after = changed(text.encode(), [*changes, *[(place, b'"', 0) for place, _, _ in changes[:quotes]]], begin=0)
        landed.path.write_bytes(after)
        try:
            found = landing.cut(landed.path, {"names": ["n", "text"]}, name="f", counted=landed.counted)
            pieces = list(found.pieces)
        except SourceError:
            return
        assert b"".join(piece.data for piece in pieces) == after
        for one in pieces:
            assert b"".join(one.lines()) == one.data


def test_a_quote_that_opens_in_changed_bytes_and_closes_in_no_piece_is_found_out(tmp_path: Path) -> None:
    data = b"n,text\n" + b"0,a\n" * 1100 + b'1,"b"\n' + b"2,c\n3,d\n"
    with small(piece=len(data) - 8):
        landed = land(tmp_path / "file.csv", data, {}, len(data) - 8)
        landed.path.write_bytes(data.replace(b'1,"b"\n2,c\n', b'1,"bb\n2,"\n'))
        with pytest.raises(SourceError, match=r"Its bytes were changed: run again\."):
            read(landed, CONTRACT, {})


@pytest.mark.parametrize("name", ["json", "logs"])
@given(
    lines=st.lists(st.sampled_from([b'{"a": 1}', b'{"a": "x"}', b"{}", b"no", b"", b'{"a": 10}']), min_size=1, max_size=40),
    changes=_CHANGES,
    end=st.sampled_from([b"\n", b"\r\n"]),
    piece=st.integers(20, 100),
)
@settings(max_examples=10)
def test_lines_are_read_alike_whether_it_is_known_what_was_counted_or_not_and_changed_ones_are_found_out(
    tmp_path_factory: pytest.TempPathFactory, name: str, lines: list[bytes], changes: list[tuple[float, bytes, int]], end: bytes, piece: int
) -> None:
    format_: SourceFormat = open_json() if name == "json" else open_logs()
    options: dict[str, JSON] = {} if name == "json" else {"pattern": "a=(?P<a>.*)"}
    contract = Contract("A", (ContractField("a", "a", "int", nullable=True),))
    path = tmp_path_factory.mktemp(name) / "file.txt"
    start, text = (b'{"a": 0}' + end) * 600, b"".join(line + end for line in lines)
    if name == "logs":
        start, text = ((b"a=0" + end) * 1500, text.replace(b'{"a": ', b"a="))
    path.write_bytes(start + text)

    def taken(landed: Landed) -> tuple[object, ...]:
        rows, quarantine = path.with_name("rows.parquet"), path.with_name("quarantine.parquet")
        result = format_.read([landed], contract=contract, options=options, rows=rows, quarantine=quarantine)
        return result.rows_read, result.notes, result.read_as, rows.read_bytes(), quarantine.read_bytes()

    with small(piece=piece):
        counter = format_.counter(path.name, options)
        for at in range(0, path.stat().st_size, 4200):
            counter.feed(path.read_bytes()[at : at + 4200])
        landed = Landed(str(path), path, "", path.stat().st_size, counter.finish(), counted=counted_by(counter))
        assert landed.counted is not None
        assert taken(landed) == taken(replace(landed, counted=None))
        after = changed(path.read_bytes(), changes, begin=len(start))
        path.write_bytes(after)
        if len([line for line in after.splitlines() if line]) != landed.records:
            with pytest.raises(SourceError, match=r"Its bytes were changed: run again\."):
                taken(landed)
