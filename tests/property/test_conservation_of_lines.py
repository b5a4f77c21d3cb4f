"""No line is lost: of JSON Lines and of logs each is kept or quarantined, once, at its own place, whatever the bytes are."""

from __future__ import annotations

import gzip
import importlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from headrace.backends.sources.json.records import NoRecordError, object_in, text_of
from headrace.core.contract import Contract, ContractField
from headrace.core.errors import SourceError
from headrace.core.ports import JSON, Landed

CONTRACT = Contract("Event", (ContractField("n", "n", "int", ge=0), ContractField("text", "text", "str", nullable=True)))
_ENDS = [b"\n", b"\r\n", b"\r"]


@dataclass(frozen=True)
class Lines:
    """How a format writes a good record of a number, and one with a defect."""

    flavour: str
    options: Mapping[str, JSON]
    good: Sequence[bytes]
    bad: Sequence[bytes]


FORMATS = {
    "json": Lines(
        "json",
        {},
        [b'{"n": %d, "text": "x"}', b'{"n":"%d"}', b' {"text": {"a": "}\\n"}, "n": %d.0}\t', b'{"n": %d, "text": null, "more": [1, "]"]}'],
        [b'{"n": -%d}', b'{"n": %d', b'{"m": %d}', b"[%d]", b'{"n": %d} {"n": 1}', b'{"n": %d, "n": 1}', b"%d", b'{"n": {"a": %d}}'],
    ),
    "logs": Lines(
        "logs",
        {"pattern": r'n=(?P<n>\S*) "(?P<text>[^"]*)"'},
        [b'n=%d "x"', b'n=%d ""', b'n=%d "a, {} b"'],
        [b'n=-%d "x"', b'n=%d "x', b'n=%d "x" y', b'n=x%d "x"', b'n= "%d"', b"%d", b'n=%d "x""', b" %d "],
    ),
}


def read(
    folder: Path, lines: Lines, data: bytes, contract: Contract | None, name: str = "file.x"
) -> tuple[Landed, list[dict[str, object]], list[dict[str, object]]]:
    format_ = importlib.import_module(f"headrace.backends.sources.{lines.flavour}").open()
    path, rows, quarantine = folder / name, folder / "rows.parquet", folder / "quarantine.parquet"
    path.write_bytes(data)
    counter = format_.counter(name, lines.options)
    for at in range(0, len(data), 1000):
        counter.feed(data[at : at + 1000])
    landed = Landed(str(path), path, sha256(data).hexdigest(), len(data), counter.finish())
    result = format_.read([landed], contract=contract, options=lines.options, rows=rows, quarantine=quarantine)
    assert (
        result.rows_read == landed.records == result.rows_kept + result.rows_quarantined == sum(result.reasons.values()) + result.rows_kept
    )
    return landed, parquet.read_table(rows).to_pylist(), parquet.read_table(quarantine).to_pylist()


@pytest.mark.parametrize("lines", FORMATS.values(), ids=FORMATS.keys())
@given(
    count=st.integers(0, 600),
    bad=st.sampled_from([0.0, 0.01, 0.1, 0.5, 1.0]),
    seed=st.randoms(use_true_random=False),
    end=st.sampled_from(_ENDS),
    is_even=st.booleans(),
    ends_at_once=st.booleans(),
    is_packed=st.booleans(),
)
@settings(max_examples=25)
def test_planted_defects_are_found_each_at_its_place_and_nothing_else(
    lines: Lines, tmp_path_factory: pytest.TempPathFactory, count, bad, seed, end, is_even, ends_at_once, is_packed
) -> None:
    data, line, kept, wanted = b"", 1, [], []
    for n in range(1, count + 1):
        own_end = end if is_even else seed.choice(_ENDS)
        if not is_even and seed.random() < 0.1 and not data.endswith(b"\r"):
            data, line = data + b"\n", line + 1  # a blank line is no record
        if seed.random() < bad:
            record = seed.choice(lines.bad) % n
            wanted.append((line, len(data), record))
        else:
            record = seed.choice(lines.good) % n
            kept.append(n)
        data += record + own_end
        line += 1
    if ends_at_once:
        data = data.removesuffix(b"\n").removesuffix(b"\r")
    if not data.strip():
        return
    if lines.flavour == "json" and not kept and not any(b'"n"' in record for _, _, record in wanted):
        return  # not one record has the column: the file is refused as a whole
    packed = gzip.compress(data) if is_packed else data
    with patch("headrace.backends.texts.lines._PIECE_BYTES", 700):
        refused = ""
        try:
            landed, rows, quarantine = read(tmp_path_factory.mktemp("planted"), lines, packed, CONTRACT)
        except SourceError as error:
            refused = str(error)
    if refused:
        assert data.lstrip().startswith(b"[") if " array " in refused else ("Every record" in refused and not kept)
        return
    assert landed.records == count
    assert [row["n"] for row in rows] == kept
    assert [(row["line"], row["byte_offset"], row["raw"]) for row in quarantine] == wanted


_SCRAPS = [
    b'{"n": 1}',
    b'{"n":',
    b'"a"',
    b"1",
    b"}",
    b"{",
    b"[",
    b"]",
    b",",
    b":",
    b"\n",
    b"\r",
    b" ",
    b"n=1",
    b'"',
    b"\\",
    b"\\ud800",
    "é".encode(),
]
_SCRAPS += [b"\x00", b"\xff", b"NaN", b"-", b"null", b"\x0b", b"\xc2\x85", b"<a>"]


@pytest.mark.parametrize("lines", FORMATS.values(), ids=FORMATS.keys())
@given(data=st.lists(st.sampled_from(_SCRAPS), max_size=40).map(b"".join))
@settings(max_examples=60)
def test_any_bytes_are_refused_or_accounted_for(lines: Lines, tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    for contract in (CONTRACT, None):
        try:
            _, _, quarantine = read(tmp_path_factory.mktemp("bytes"), lines, data, contract)
        except SourceError:
            continue
        assert contract or all(row["columns"] == [] for row in quarantine), "an inferred type rejects nothing"


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5).filter(lambda text: text.isprintable()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3).filter(str.isprintable), inner, max_size=3),
    max_leaves=8,
)


@given(record=st.dictionaries(st.text(max_size=3).filter(str.isprintable), _VALUES, max_size=4), is_ascii=st.booleans())
def test_what_was_written_is_read_and_its_text_is_json_again(record: dict[str, object], is_ascii: bool) -> None:
    found = object_in(json.dumps(record, ensure_ascii=is_ascii))
    assert json.loads(text_of(found)) == record
    assert list(found) == list(record)


@given(
    text=st.lists(st.sampled_from([scrap.decode("utf-8", "replace") for scrap in _SCRAPS if scrap not in b"\n\r"]), max_size=12).map(
        "".join
    )
)
def test_a_line_is_a_record_where_pythons_own_parser_finds_an_object_that_can_be_read_in_one_way(text: str) -> None:
    try:
        plain = json.loads(text.strip(" \t"))
    except ValueError:
        plain = None
    try:
        found = object_in(text)
    except NoRecordError as error:
        found, why = None, str(error)
    if found is None:
        assert not isinstance(plain, dict) or "twice" in why or "surrogate" in why
    else:
        assert list(found) == list(plain)
