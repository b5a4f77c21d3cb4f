"""The table of casts for values that have a type in their file: what each kind becomes in each type of a contract, and what does not fit."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from uuid import UUID

import pyarrow as pa
import pytest
from pyarrow import parquet

from headrace.backends.sources.parquet import open as open_parquet
from headrace.core.contract import Contract, ContractField
from headrace.core.ports import Landed

D = Decimal
NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
MISFIT = object()
BIG = 2**63


def kept(folder: Path, column: pa.Array, field: ContractField, options: dict[str, object] | None = None) -> tuple[list[object], list[str]]:
    """What a column becomes, with MISFIT where a record was quarantined; and the reasons."""
    path = folder / "file.parquet"
    parquet.write_table(pa.table({"v": column, "n": range(len(column))}), path, store_schema=True)
    counter = open_parquet().counter(path.name, {})
    counter.feed(path.read_bytes())
    landed = Landed(str(path), path, sha256(path.read_bytes()).hexdigest(), path.stat().st_size, counter.finish())
    rows, quarantine = folder / "rows.parquet", folder / "quarantine.parquet"
    contract = Contract("C", (field, ContractField("n", "n", "int")))
    open_parquet().read([landed], contract=contract, options=options or {}, rows=rows, quarantine=quarantine)
    values: list[object] = [MISFIT] * len(column)
    for row in parquet.read_table(rows).to_pylist():
        values[row["n"]] = row["v"]
    return values, [reason for row in parquet.read_table(quarantine).to_pylist() for reason in row["reasons"]]


def a(type_: str, **more: object) -> ContractField:
    return ContractField("v", "v", type_, **{"nullable": True, **more})


TABLE = {
    "unsigned to int": (pa.array([1, 2**64 - 1], pa.uint64()), a("int"), [1, MISFIT]),
    "small int to int": (pa.array([-1, None], pa.int8()), a("int"), [-1, None]),
    "int to float": (pa.array([3], pa.int32()), a("float"), [3.0]),
    "int to Decimal": (pa.array([3, 2**62]), a("Decimal", max_digits=4, decimal_places=2), [D("3.00"), MISFIT]),
    "int to bool": (pa.array([0, 1, 2]), a("bool"), [False, True, MISFIT]),
    "int to str": (pa.array([7]), a("str"), ["7"]),
    "int to times": (pa.array([1609459200]), a("datetime"), [MISFIT]),
    "float to int": (pa.array([17850.0, 1.5, 1e300, -0.0, 2.0**62, float(BIG)]), a("int"), [17850, MISFIT, MISFIT, 0, 2**62, MISFIT]),
    "NaN is missing": (pa.array([float("nan"), 1.0]), a("float"), [None, 1.0]),
    "NaN is missing in an int": (pa.array([float("nan"), 1.0]), a("int"), [None, 1]),
    "NaN and no None": (pa.array([float("nan")]), a("float", nullable=False), [MISFIT]),
    "inf": (pa.array([float("inf")]), a("float"), [float("inf")]),
    "inf that has to be finite": (pa.array([float("inf"), float("nan")]), a("float", is_finite=True), [MISFIT, None]),
    "float to Decimal": (pa.array([0.1, 1e-30, float("inf")]), a("Decimal"), [D("0.100000000"), MISFIT, MISFIT]),
    "float to str": (pa.array([1.5, 2.0]), a("str"), ["1.5", "2.0"]),
    "half to float": (pa.array([1.5], pa.float16()), a("float"), [1.5]),
    "Decimal to itself": (pa.array([D("2.50")], pa.decimal128(10, 2)), a("Decimal", max_digits=12, decimal_places=3), [D("2.500")]),
    "Decimal to fewer places": (
        pa.array([D("2.500"), D("2.505")], pa.decimal128(10, 3)),
        a("Decimal", max_digits=10, decimal_places=2),
        [D("2.50"), MISFIT],
    ),
    "wide Decimal": (pa.array([D("1.5"), D("9" * 45)], pa.decimal256(50, 2)), a("Decimal"), [D("1.500000000"), MISFIT]),
    "Decimal to int": (pa.array([D("2.00"), D("2.01")], pa.decimal128(10, 2)), a("int"), [2, MISFIT]),
    "Decimal to float": (pa.array([D("2.50")], pa.decimal128(10, 2)), a("float"), [2.5]),
    "Decimal to str": (pa.array([D("2.50")], pa.decimal128(10, 2)), a("str"), ["2.50"]),
    "bool to bool": (pa.array([True, False, None]), a("bool"), [True, False, None]),
    "bool to int": (pa.array([True]), a("int"), [MISFIT]),
    "bool to str": (pa.array([True]), a("str"), ["true"]),
    "date to date": (pa.array([date(2026, 7, 1)]), a("date"), [date(2026, 7, 1)]),
    "date of no calendar": (pa.array([2**31 - 1, -(2**31)], pa.int32()).view(pa.date32()), a("date"), [MISFIT, MISFIT]),
    "date to datetime": (pa.array([date(2026, 7, 1)]), a("datetime"), [datetime(2026, 7, 1, tzinfo=UTC)]),
    "date to int": (pa.array([date(2026, 7, 1)]), a("int"), [MISFIT]),
    "midnight to date": (
        pa.array([datetime(2026, 7, 1), datetime(2026, 7, 1, 0, 0, 1)], pa.timestamp("ms")),
        a("date"),
        [date(2026, 7, 1), MISFIT],
    ),
    "time with zone": (pa.array([NOON], pa.timestamp("ms", "Europe/London")), a("datetime"), [NOON]),
    "time without zone": (pa.array([NOON.replace(tzinfo=None)], pa.timestamp("us")), a("datetime"), [NOON]),
    "nanoseconds are cut": (
        pa.array([1_000_000_999, -1], pa.timestamp("ns", "UTC")),
        a("datetime"),
        [datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC), datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)],
    ),
    "times beyond the calendar": (pa.array([2**62, -(2**62)], pa.timestamp("ms")), a("datetime"), [MISFIT, MISFIT]),
    "times beyond the calendar, with zone": (pa.array([2**62, -(2**62)], pa.timestamp("us", "UTC")), a("datetime"), [MISFIT, MISFIT]),
    "time to str": (pa.array([NOON.replace(tzinfo=None)], pa.timestamp("us")), a("str"), ["2026-07-01 12:00:00"]),
    "time with zone to str": (pa.array([NOON], pa.timestamp("us", "UTC")), a("str"), ["2026-07-01 12:00:00+00"]),
    "time of day to str": (pa.array([time(8, 30)], pa.time64("us")), a("str"), ["08:30:00"]),
    "time of day": (pa.array([time(8, 30), None], pa.time32("s")), a("time"), [time(8, 30), None]),
    "time of day, nanoseconds cut": (pa.array([999, 86_399_999_999_999], pa.time64("ns")), a("time"), [time(0), time(23, 59, 59, 999999)]),
    "time to time of day": (pa.array([NOON.replace(tzinfo=None)], pa.timestamp("us")), a("time"), [MISFIT]),
    "int to UUID": (pa.array([1]), a("UUID"), [MISFIT]),
    "duration": (pa.array([90, -1, None], pa.duration("s")), a("timedelta"), [90_000_000, -1_000_000, None]),
    "duration of nanoseconds": (pa.array([1999, -1999], pa.duration("ns")), a("timedelta"), [1, -1]),
    "duration beyond 64 bits": (
        pa.array([2**62, -(2**62), 2**63 // 1000], pa.duration("ms")),
        a("timedelta"),
        [MISFIT, MISFIT, 2**63 // 1000 * 1000],
    ),
    "duration to int": (pa.array([1], pa.duration("s")), a("int"), [MISFIT]),
    "int to duration": (pa.array([1]), a("timedelta"), [MISFIT]),
    "text to duration": (pa.array(["PT1M30S", "90"]), a("timedelta"), [90_000_000, MISFIT]),
    "duration within bounds": (pa.array([1, 3], pa.duration("s")), a("timedelta", le=timedelta(seconds=2)), [1_000_000, MISFIT]),
    "duration to str": (pa.array([timedelta(hours=1)], pa.duration("us")), a("str"), ["01:00:00"]),
    "bytes to str": (pa.array([b"tea", b"\xff"], pa.binary()), a("str"), ["tea", MISFIT]),
    "dictionary": (pa.array(["a", None, "a"]).dictionary_encode(), a("str"), ["a", None, "a"]),
    "dictionary of texts to int": (pa.array(["1", "x"]).dictionary_encode(), a("int"), [1, MISFIT]),
    "uuid to str": (pa.array([UUID(int=1).bytes, None], pa.uuid()), a("str"), [str(UUID(int=1)), None]),
    "struct to str": (pa.array([{"a": 1, "b": None}]), a("str"), ['{"a":1,"b":null}']),
    "list to str": (pa.array([[1, 2], None]), a("str"), ["[1,2]", None]),
    "map to str": (pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())), a("str"), ['{"k":1}']),
    "list to int": (pa.array([[1]]), a("int"), [MISFIT]),
    "nothing but NULL": (pa.nulls(1), a("int"), [None]),
    "text to int": (pa.array(["007", "x", "", None]), a("int"), [7, MISFIT, None, None]),
    "empty text": (pa.array(["", None]), a("str"), ["", None]),
    "text to datetime": (pa.array(["2026-07-01T12:00:00Z"]), a("datetime"), [NOON]),
}


@pytest.mark.parametrize("name", TABLE)
def test_a_value_is_cast_exactly_or_quarantined(tmp_path: Path, name: str) -> None:
    column, field, expected = TABLE[name]
    assert kept(tmp_path, column, field)[0] == expected


def test_a_time_without_a_zone_is_in_the_sources(tmp_path: Path) -> None:
    noon = [datetime(2026, 7, 1, 13)]
    assert kept(tmp_path, pa.array(noon, pa.timestamp("ns")), a("datetime"), {"timezone": "Europe/London"})[0] == [NOON]
    assert kept(tmp_path, pa.array(["2026-07-01 13:00"]), a("datetime"), {"timezone": "Europe/London"})[0] == [NOON]
    assert kept(tmp_path, pa.array([NOON], pa.timestamp("us", "UTC")), a("datetime"), {"timezone": "Europe/London"})[0] == [NOON]


def test_texts_follow_the_options_of_texts(tmp_path: Path) -> None:
    assert kept(tmp_path, pa.array(["1,5", "NA"]), a("float"), {"decimal": ",", "null_words": ["NA"]})[0] == [1.5, None]
    assert kept(tmp_path, pa.array(["1/7/26"]), a("date"), {"date_format": "%d/%m/%y"})[0] == [date(2026, 7, 1)]


def test_what_does_not_fit_is_told_in_the_words_of_texts(tmp_path: Path) -> None:
    reasons = kept(tmp_path, pa.array([1.5, -2.0, None]), a("int", nullable=False, ge=0))[1]
    assert reasons == ["v: '1.5' is not an integer of 64 bits or fewer", "v: -2.0 is below 0 (ge=0)", "v: missing"]
    assert kept(tmp_path, pa.array(["x"]), a("str", min_length=2))[1] == ["v: 'x' is shorter than 2 (min_length=2)"]
    assert kept(tmp_path, pa.array([date(2026, 7, 1)]), a("float"))[1] == ["v: '2026-07-01' is not a number"]


def test_a_default_stands_for_what_is_missing(tmp_path: Path) -> None:
    field = ContractField("v", "v", "int", has_default=True, default=9)
    assert kept(tmp_path, pa.array([None, float("nan"), 1.0]), field)[0] == [9, 9, 1]
