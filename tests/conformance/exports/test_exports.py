"""What every export must do: a table holds the current rows of each interval, whatever was sent how often and by whom."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.backends import exports
from headrace.core.errors import DataError
from headrace.core.interval import Interval
from headrace.core.outward import ExportedRows

DAYS = [Interval.of(f"2026-05-0{n}", f"2026-05-0{n + 1}") for n in range(1, 5)]


@pytest.fixture
def rows(tmp_path: Path) -> Callable[..., ExportedRows]:
    return lambda *arguments, **more: made(tmp_path, *arguments, **more)


def made(
    folder: Path, x: list[Any] | pa.Table, version: int = 1, *, day: Interval = DAYS[0], dataset: str = "shop.sums", **sides: list[Any]
) -> ExportedRows:
    """Rows of one column `x` of whole numbers, or a table as it is; by side where sides are given."""
    tables = {side: pa.table({"x": pa.array(values, pa.int64())}) for side, values in sides.items()}
    tables = tables or {"rows": x if isinstance(x, pa.Table) else pa.table({"x": pa.array(x, pa.int64())})}
    paths: Mapping[str, tuple[Path, ...]] = {side: (folder / f"{id(tables)}-{day.label}-{version}-{side}.parquet",) for side in tables}
    for side, table in tables.items():
        pq.write_table(table, paths[side][0])
    return ExportedRows(dataset, day, version, f"digest of {version}", lambda: paths)


def held(case, export) -> dict[str, list[Any]]:
    """What the table holds, by interval."""
    found: dict[str, list[Any]] = {}
    for row in case.read(export).to_pylist():
        found.setdefault(f"{row['interval_start']:%Y-%m-%d}", []).append(row["x"])
    return {day: sorted(found[day]) for day in sorted(found)}


def test_every_flavour_has_a_case() -> None:
    flavours = {path.stem for folder in exports.__path__ for path in Path(folder).glob("*.py")} - {"__init__"}
    assert flavours == {path.stem for path in (Path(__file__).parent / "cases").glob("*.py")}


def test_what_was_sent_is_read_with_its_interval(case, export, rows) -> None:
    assert export.send(rows([1, 2])) == "written"
    assert export.send(rows([3], day=DAYS[1])) == "written"
    assert held(case, export) == {"2026-05-01": [1, 2], "2026-05-02": [3]}
    assert case.read(export).schema.field("interval_start").type == pa.timestamp("us", "UTC")


def test_the_same_version_again_does_nothing_and_asks_for_no_file(case, export, rows) -> None:
    export.send(rows([1]))
    before = case.writes(export)

    def files() -> Mapping[str, tuple[Path, ...]]:
        raise AssertionError("nothing is fetched that is not written")

    assert export.send(ExportedRows("shop.sums", DAYS[0], 1, "digest of 1", files)) == "standing"
    assert case.writes(export) == before


def test_a_newer_version_replaces_its_interval_and_no_other(case, export, rows) -> None:
    export.send(rows([1, 2]))
    export.send(rows([3], day=DAYS[1]))
    before = case.writes(export)
    assert export.send(rows([4, 5, 6], 2)) == "written"
    assert case.writes(export) == before + 1
    assert held(case, export) == {"2026-05-01": [4, 5, 6], "2026-05-02": [3]}


def test_an_older_version_is_told_and_left(case, export, rows) -> None:
    export.send(rows([2], 2))
    assert export.send(rows([1], 1)) == "newer"
    assert held(case, export) == {"2026-05-01": [2]}


def test_an_interval_without_rows_is_held_as_one(case, export, rows) -> None:
    assert export.send(rows([])) == "written"
    assert export.send(rows([])) == "standing"
    export.send(rows([1], day=DAYS[1]))
    assert export.send(rows([], 2, day=DAYS[1])) == "written"
    assert case.read(export).num_rows == 0


def test_the_sides_of_a_split_are_told_apart(case, export, rows) -> None:
    export.send(rows([], train=[1, 2], test=[3]))
    found = sorted((row["split"], row["x"]) for row in case.read(export).to_pylist())
    assert found == [("test", 3), ("train", 1), ("train", 2)]


def test_a_table_that_is_split_later_keeps_its_older_rows(case, export, rows) -> None:
    export.send(rows([1]))
    export.send(rows([], day=DAYS[1], train=[2], test=[3]))
    export.send(rows([4], 2, day=DAYS[1]))
    assert [(r["split"], r["x"]) for r in case.read(export).sort_by("x").to_pylist()] == [(None, 1), (None, 4)]


def test_a_new_column_is_null_in_older_rows(case, export, rows) -> None:
    export.send(rows([1]))
    export.send(rows(pa.table({"x": [2], "y": ["new"]}), day=DAYS[1]))
    assert [(r["x"], r["y"]) for r in case.read(export).sort_by("x").to_pylist()] == [(1, None), (2, "new")]


def test_a_column_of_another_type_is_refused_and_never_cast(case, export, rows) -> None:
    export.send(rows([1]))
    with pytest.raises(DataError, match=r"its column `x` is double, and long in the table"):
        export.send(rows(pa.table({"x": [1.5]}), 2))
    assert held(case, export) == {"2026-05-01": [1]}


@pytest.mark.parametrize("name", ["interval_start", "Split"])
def test_a_column_that_the_export_adds_is_refused_among_the_rows(export, rows, name: str) -> None:
    with pytest.raises(DataError, match=f"it has a column `{name.lower()}`"):
        export.send(ExportedRows("shop.sums", DAYS[0], 1, "", with_column(rows([], train=[1], test=[2]), name)))


def with_column(sent: ExportedRows, name: str) -> Callable[[], Mapping[str, tuple[Path, ...]]]:
    for (path,) in sent.files().values():
        pq.write_table(pq.read_table(path).append_column(name, pa.array([1])), path)
    return sent.files


def test_another_dataset_is_refused(export, rows) -> None:
    export.send(rows([1]))
    with pytest.raises(DataError, match=r"is of `shop\.sums`, and `shop\.other` was to be exported"):
        export.send(rows([1], dataset="shop.other"))


def test_a_type_that_the_table_lacks_is_told_by_its_column(export, rows) -> None:
    with pytest.raises(DataError, match=r"no type for its column `at` \(time64\[us\]\)"):
        export.send(rows(pa.table({"x": [1], "at": pa.array([dt.time(1)], pa.time64("us"))})))


def test_types_and_nulls_come_through(case, export, rows) -> None:
    moment = dt.datetime(2026, 5, 1, 12, 30, 15, 123456)
    table = pa.table(
        {
            "moment": pa.array([moment.replace(tzinfo=dt.UTC), None], pa.timestamp("us", "UTC")),
            "local": pa.array([moment, None], pa.timestamp("us")),
            "day": pa.array([dt.date(1969, 12, 31), None]),
            "price": pa.array([Decimal("-123456789012345678.90"), None], pa.decimal128(20, 2)),
            "text": ["déjà\n,\"'", None],
            "flag": [True, None],
            "small": pa.array([-128, None], pa.int8()),
            "real": pa.array([0.1, None], pa.float32()),
            "bytes": [b"\x00\xff", None],
            "many": [[1, None], None],
            "pair": [{"a": 1}, None],
        }
    )
    export.send(rows(table))
    found = case.read(export)
    for name in table.column_names:
        assert found.column(name).to_pylist() == table.column(name).to_pylist(), name


def test_unsigned_numbers_are_kept_whole(case, export, rows) -> None:
    top = {bits: 2**bits - 1 for bits in (8, 16, 32, 64)}
    export.send(rows(pa.table({f"u{bits}": pa.array([value, None], f"uint{bits}") for bits, value in top.items()})))
    found = case.read(export)
    assert {bits: found.column(f"u{bits}").to_pylist() for bits in top} == {bits: [value, None] for bits, value in top.items()}


sends = st.lists(st.tuples(st.sampled_from(range(3)), st.integers(1, 4), st.lists(st.integers(0, 9), max_size=3)), min_size=1, max_size=8)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sends)
def test_whatever_is_sent_in_whatever_order_each_interval_has_the_rows_of_its_highest_version(case, tmp_path_factory, sent) -> None:
    folder = tmp_path_factory.mktemp("export")
    export = case.fresh(folder)
    wanted: dict[int, tuple[int, list[int]]] = {}
    for day, version, x in sent:
        told = export.send(made(folder, x, version, day=DAYS[day]))
        known = wanted.get(day, (0, []))[0]
        assert told == ("written" if version > known else "standing" if version == known else "newer")
        if version > known:
            wanted[day] = (version, sorted(x))
    assert held(case, export) == {f"2026-05-0{day + 1}": x for day, (_, x) in sorted(wanted.items()) if x}


def test_of_many_at_once_each_version_of_each_interval_is_written_by_one(case, export, tmp_path: Path) -> None:
    """Also the first ones, who all find no table."""
    work = [(day, version) for day in range(3) for version in (1, 2)] * 2
    gate = threading.Barrier(len(work))

    def one(number: int) -> str:
        day, version = work[number]
        (tmp_path / str(number)).mkdir()
        sent = made(tmp_path / str(number), [day, version], version, day=DAYS[day])
        mine = case.fresh(tmp_path)
        gate.wait()
        return f"{day} v{version} {mine.send(sent)}"

    with ThreadPoolExecutor(len(work)) as pool:
        told = list(pool.map(one, range(len(work))))
    assert held(case, export) == {f"2026-05-0{day + 1}": sorted([day, 2]) for day in range(3)}
    assert case.writes(export) == len([word for word in told if word.endswith("written")])
    assert all(told.count(f"{day} v2 written") == 1 and told.count(f"{day} v1 written") <= 1 for day in range(3))
