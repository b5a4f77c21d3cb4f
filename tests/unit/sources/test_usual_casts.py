"""What is proven to be written as usual has the value that all the rules give it, and a file comes out the same by either way."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from headrace.backends.sources.csv import open as open_csv
from headrace.backends.texts import casting, reading
from headrace.core.casts import cast_sql
from headrace.core.contract import Contract, ContractField, ValueType
from headrace.core.ports import Landed, ReadResult
from headrace.core.usual_casts import usual_cast

TEXTS = [ast.literal_eval(line) for line in (Path(__file__).parent / "nasty_texts.txt").read_text().splitlines()]
TYPES: tuple[ValueType, ...] = ("str", "int", "float", "bool", "Decimal", "date", "datetime", "time", "timedelta", "UUID")
OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"decimal": ","},
    {"thousands": "."},
    {"timezone": "Europe/Berlin"},
    {"datetime_format": "%d.%m.%Y"},
)


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 1}) as opened:
        opened.execute("SET TimeZone = 'UTC'")
        opened.execute("SET disabled_optimizers = 'type_pushdown,scalar_fn_pushdown,statistics_propagation'")
        yield opened


def wrong(connection: duckdb.DuckDBPyConnection, type_: ValueType, texts: Sequence[str], **options: Any) -> list[tuple[object, ...]]:
    """The texts that are proven and whose value is none, or not that of all the rules."""
    field = ContractField("x", "x", type_)
    value, proof = usual_cast("t", "v", field, options)
    shown = "epoch_us({})" if type_ == "datetime" else "{}"
    cast = f"SELECT t, {value} AS v, {cast_sql('t', field, options)} AS whole FROM (SELECT unnest($1::VARCHAR[]) AS t)"
    differs = (
        "(v IS NULL OR whole IS NULL OR v <> whole OR isnan(CAST(v AS DOUBLE)))"
        if type_ == "float"
        else "(v IS NULL OR v IS DISTINCT FROM whole)"
    )
    found = f"SELECT t, {shown.format('v')}, {shown.format('whole')} FROM ({cast}) WHERE ({proof}) AND {differs}"
    return connection.execute(found, [list(texts)]).fetchall()


def test_there_is_a_usual_way_for_every_type_that_is_no_list() -> None:
    assert set(TYPES) | {"list", "model"} >= set(get_args(ValueType))


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("type_", TYPES)
def test_what_is_proven_has_the_value_of_all_the_rules(
    connection: duckdb.DuckDBPyConnection, type_: ValueType, options: dict[str, Any]
) -> None:
    texts = [
        *TEXTS,
        *(f"{around}{text}{after}" for text in TEXTS for around, after in (("", " "), (" ", ""), ("-", ""), ("0", ""), ("", "0"))),
    ]
    assert wrong(connection, type_, texts, **options) == []


SIGNS = st.text(st.sampled_from("0123456789+-_.,eExXbB:TZ '\t\u00a0\u0661aAnNiIfF"), max_size=20)


@given(st.lists(SIGNS | st.integers().map(str) | st.floats().map(str) | st.datetimes().map(lambda t: t.isoformat()), max_size=50))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_other_text_has_a_value_that_the_rules_do_not_give(connection: duckdb.DuckDBPyConnection, texts: list[str]) -> None:
    for type_ in TYPES:
        assert wrong(connection, type_, texts) == []


# ---------------------------------------------------------------- either way

CONTRACT = Contract(
    "Mixed",
    (
        ContractField("i", "i", "int", ge=0),
        ContractField("f", "f", "float", nullable=True, le=100.0),
        ContractField("n", "n", "int", has_default=True, default=7),
        ContractField("t", "t", "datetime", nullable=True),
        ContractField("s", "s", "str", max_length=5),
        ContractField("d", "d", "Decimal", nullable=True),
        ContractField("absent", "absent", "str", has_default=True, default="none"),
    ),
)
VALUES = {
    "i": (["5", "12", "0"], ["5.0", " 7", "1_000", "+3", "-1", "1.5", "x", "", '""', "1e3"]),
    "f": (["1.5", "", "100"], ["nan", " 2", "1e400", "101", "y", '""', "1_0.5", "inf"]),
    "n": (["1", ""], ["+1", "z", '""', "007"]),
    "t": (["2026-11-20T08:15:00", ""], ["2026-11-20", "2026-11-20 08:15:00.5", "2026-11-20T24:00:00", "soon", "2026-11-20T08:15:00+02:00"]),
    "s": (["ab", "é"], ["", '""', "too long", '"a,b"', '"a\nb"']),
    "d": (["1.25", ""], ["1e-30", "+0.10", "w"]),
}


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """Records of which some are unusual, in runs, so that stretches of a file differ; a few have a field too many."""
    lines = ["i,f,n,t,s,d"]
    for _ in range(draw(st.integers(1, 6))):
        odds = draw(st.sampled_from([0, 0, 5, 30, 100]))
        seed = draw(st.randoms(use_true_random=False))
        for _ in range(draw(st.sampled_from([1, 40, 200]))):
            record = ",".join(seed.choice(unusual if seed.randrange(100) < odds else usual) for usual, unusual in VALUES.values())
            lines.append(record + (",more" if seed.randrange(200) < odds // 5 else ""))
    return ("\n".join(lines) + "\n").encode()


def read(data: bytes, folder: Path, name: str) -> tuple[ReadResult, list[dict[str, Any]], list[dict[str, Any]]]:
    path = folder / "file.csv"
    path.write_bytes(data)
    counter = open_csv().counter(path.name, {})
    counter.feed(data)
    landed = Landed(path.name, path, "", len(data), counter.finish())
    rows, quarantine = folder / f"{name}.parquet", folder / f"{name}.rejected.parquet"
    result = open_csv().read([landed], contract=CONTRACT, options={}, rows=rows, quarantine=quarantine)
    return result, parquet.read_table(rows).to_pylist(), parquet.read_table(quarantine).to_pylist()


def either_way(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    data: bytes,
    sizes: tuple[int, int],
    *,
    one_task: bool,
    most: int = 80_000,
    mostly: float = 0.12,
) -> ReadResult:
    """Read a file in pieces of a size, told apart from a number of records on, and again with all records cast by all the rules."""
    with monkeypatch.context() as patched:
        patched.setattr("headrace.backends.sources.csv.landing._FIRST_BYTES", sizes[0])
        patched.setattr("headrace.backends.sources.csv.landing.PIECE_BYTES", sizes[0])
        patched.setattr(reading, "_TASK_WEIGHT", 10**6 if one_task else 2 * sizes[0])
        patched.setattr(reading, "_LATER_WEIGHT", 4 * sizes[0])
        patched.setattr(reading, "_FIRST_TASKS", 2)
        patched.setattr(casting, "_FEW", sizes[1])
        patched.setattr(casting, "_SAMPLE", 4)
        patched.setattr(casting, "_MOSTLY", mostly)
        patched.setattr(casting, "_MOST_UNUSUAL", most)
        told_apart = read(data, folder, "told")
        patched.setattr(casting.Casting, "is_usual", lambda *_: False)
        plain = read(data, folder, "plain")
    assert told_apart == plain
    return plain[0]


@given(
    files(), st.sampled_from([2, 10, 80_000]), st.sampled_from([(300, 3), (9000, 200)]), st.sampled_from([0.0, 0.12, 1.0]), st.booleans()
)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_file_comes_out_the_same_whether_its_usual_records_are_told_apart_or_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, most: int, sizes: tuple[int, int], mostly: float, one_task: bool
) -> None:
    result = either_way(monkeypatch, tmp_path, data, sizes, one_task=one_task, most=most, mostly=mostly)
    assert result.rows_read == data.count(b"\n") - 1 - data.count(b'"a\nb"')


def test_a_task_that_begins_with_a_few_usual_records_and_goes_on_with_bad_ones_keeps_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = "5,1.5,1,,far too long a text" + " indeed" * 100 + ",1.25\n" + "7.0,1.5,1,,ab,\n"
    data = ("i,f,n,t,s,d\n" + long * 20 + "x,1.5,1,,ab,1.25\n4.0,1.5,1,,ab,1.25\n" * 2000).encode()
    result = either_way(monkeypatch, tmp_path, data, (9000, 200), one_task=True)
    assert (result.rows_kept, result.rows_quarantined) == (2020, 2020)
