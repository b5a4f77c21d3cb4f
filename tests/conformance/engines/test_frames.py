"""Every kind of frame, out of the lake and back into it, with its types."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headrace.core.errors import DataError
from headrace.core.frame import Frame
from headrace.core.interval import Interval
from headrace.core.ports import Column, Engine, FrameKind, InputFiles, Schema, WriteOrder

DAY = Interval.of("2026-11-20", "2026-11-21")
SCHEMA: Schema = (
    Column("id", "BIGINT"),
    Column("visits", "BIGINT"),
    Column("is_new", "BOOLEAN"),
    Column("fare", "DOUBLE"),
    Column("price", "DECIMAL(18,2)"),
    Column("name", "VARCHAR"),
    Column("at", "TIMESTAMP WITH TIME ZONE"),
    Column("local", "TIMESTAMP"),
    Column("day", "DATE"),
    Column("tags", "VARCHAR[]"),
)
ROWS = [
    {
        "id": 1,
        "visits": 2**60 + 1,
        "is_new": True,
        "fare": 1.5,
        "price": Decimal("10.25"),
        "name": "ab",
        "at": datetime(2026, 11, 20, 8, 30, 0, 5, tzinfo=UTC),
        "local": datetime(2026, 11, 20, 8, 30),
        "day": date(2026, 11, 20),
        "tags": ["x", "y"],
    },
    {
        "id": 2,
        "visits": None,
        "is_new": None,
        "fare": None,
        "price": None,
        "name": None,
        "at": None,
        "local": None,
        "day": None,
        "tags": None,
    },
    {
        "id": 3,
        "visits": 0,
        "is_new": False,
        "fare": -0.0,
        "price": Decimal("-1.00"),
        "name": "",
        "at": datetime(1969, 12, 31, tzinfo=UTC),
        "local": datetime(1970, 1, 1),
        "day": date(1, 1, 1),
        "tags": [],
    },
]
KINDS: tuple[FrameKind, ...] = ("frame", "duckdb", "arrow", "polars", "polars_lazy", "pandas", "ibis")


def arrow_rows() -> pa.Table:
    types = [pa.int64(), pa.int64(), pa.bool_(), pa.float64(), pa.decimal128(18, 2), pa.string()]
    types += [pa.timestamp("us", "UTC"), pa.timestamp("us"), pa.date32(), pa.list_(pa.string())]
    return pa.Table.from_pylist(ROWS, pa.schema([(column.name, kind) for column, kind in zip(SCHEMA, types, strict=True)]))


@pytest.fixture
def rows_file(tmp_path: Path) -> Path:
    pq.write_table(arrow_rows(), tmp_path / "rows.parquet")
    return tmp_path / "rows.parquet"


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_frame_goes_out_and_comes_back_with_its_types(
    engine: Engine, rows_file: Path, tmp_path: Path, kind: FrameKind
) -> None:
    target = tmp_path / "out.parquet"
    with engine.session(work=tmp_path) as session:
        frame = session.give(InputFiles("trips", ((DAY, (rows_file,)),), SCHEMA), kind)
        written = session.write(frame, WriteOrder({"rows": target}), values={})
    assert written.schema == SCHEMA
    assert written.rows == {"rows": 3}
    found = sorted(pq.read_table(target).to_pylist(), key=lambda row: row["id"])
    assert found == ROWS


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_frame_can_be_empty(engine: Engine, tmp_path: Path, kind: FrameKind) -> None:
    with engine.session(work=tmp_path) as session:
        frame = session.give(InputFiles("trips", ((DAY, ()),), SCHEMA, stamped=True), kind)
        written = session.write(frame, WriteOrder({"rows": tmp_path / "out.parquet"}), values={})
    assert written.rows == {"rows": 0}
    assert [c.type for c in written.schema] == [*(c.type for c in SCHEMA), "TIMESTAMP WITH TIME ZONE"]


@pytest.mark.parametrize("kind", KINDS)
def test_history_is_stamped_with_the_end_of_each_rows_interval(engine: Engine, rows_file: Path, tmp_path: Path, kind: FrameKind) -> None:
    later = Interval.of("2026-11-21", "2026-11-22")
    pq.write_table(arrow_rows().slice(0, 1), tmp_path / "later.parquet")
    pq.write_table(arrow_rows().slice(1, 1), tmp_path / "later2.parquet")
    files = (
        (DAY, (rows_file,)),
        (Interval.of("2026-11-22", "2026-11-23"), ()),
        (later, (tmp_path / "later.parquet", tmp_path / "later2.parquet")),
    )
    with engine.session(work=tmp_path) as session:
        frame = session.give(InputFiles("trips", files, SCHEMA, stamped=True), kind)
        session.write(frame, WriteOrder({"rows": tmp_path / "out.parquet"}), values={})
    found = sorted((row["interval_end"], row["id"]) for row in pq.read_table(tmp_path / "out.parquet").to_pylist())
    assert found == [(DAY.end, 1), (DAY.end, 2), (DAY.end, 3), (later.end, 1), (later.end, 2)]


def _pandas(table: pa.Table) -> object:
    return table.to_pandas().set_index("id")


def _foreign(table: pa.Table) -> object:
    import duckdb

    return duckdb.connect().from_arrow(table)


def _memtable(table: pa.Table) -> object:
    import ibis

    return ibis.memtable(table)


def _lazy(table: pa.Table) -> object:
    import polars as pl

    return pl.DataFrame(table).lazy().filter(pl.col("id") > 0)


MAKERS: dict[str, Callable[[pa.Table], object]] = {
    "arrow table": lambda table: table,
    "arrow reader": lambda table: table.to_reader(),
    "arrow batch": lambda table: table.to_batches()[0],
    "pandas with a named index": _pandas,
    "relation of another connection": _foreign,
    "ibis memtable": _memtable,
    "polars lazy": _lazy,
    "list of dicts": lambda table: table.to_pylist(),
    "dict of lists": lambda table: table.to_pydict(),
}


@pytest.mark.parametrize("name", MAKERS)
def test_what_a_function_makes_itself_is_written(engine: Engine, tmp_path: Path, name: str) -> None:
    table = arrow_rows().select(["id", "fare", "name", "at"])
    with engine.session(work=tmp_path) as session:
        written = session.write(MAKERS[name](table), WriteOrder({"rows": tmp_path / "out.parquet"}), values={})
    assert [(column.name, column.type) for column in written.schema] == [(c.name, c.type) for c in SCHEMA if c.name in table.column_names]
    assert sorted(pq.read_table(tmp_path / "out.parquet").to_pylist(), key=lambda row: row["id"]) == table.to_pylist()
    assert [path.name for path in tmp_path.iterdir()] == ["out.parquet"]


@pytest.mark.parametrize("result", [None, 5, object(), b"select 1", {1, 2}])
def test_what_is_no_table_is_refused_saying_what_is_accepted(engine: Engine, tmp_path: Path, result: object) -> None:
    with engine.session(work=tmp_path) as session, pytest.raises(DataError, match="A table returns SQL, a DuckDB relation, an Arrow table"):
        session.write(result, WriteOrder({"rows": tmp_path / "out.parquet"}), values={})


def test_a_lazy_frame_that_fails_when_it_is_evaluated_is_a_data_error(engine: Engine, tmp_path: Path) -> None:
    import polars as pl

    with (
        engine.session(work=tmp_path) as session,
        pytest.raises(DataError, match="Polars could not evaluate the frame: ColumnNotFoundError"),
    ):
        session.write(pl.LazyFrame({"a": [1]}).select("b"), WriteOrder({"rows": tmp_path / "out.parquet"}), values={})


def test_a_frame_names_its_columns_and_writes_itself_into_sql(engine: Engine, rows_file: Path, tmp_path: Path) -> None:
    with engine.session(work=tmp_path) as session:
        frame = session.give(InputFiles("my trips", ((DAY, (rows_file,)),), SCHEMA), "frame")
        assert isinstance(frame, Frame)
        written = session.write(f"select count(*) as n from {frame}", WriteOrder({"rows": tmp_path / "out.parquet"}), values={})
    assert frame.columns[:2] == ("id", "visits")
    assert written.schema == (Column("n", "BIGINT"),)


def test_intervals_that_disagree_about_a_type_are_named(engine: Engine, tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1]}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"a": [1.5]}), tmp_path / "2.parquet")
    files = ((DAY, (tmp_path / "1.parquet",)), (Interval.of("2026-11-21", "2026-11-22"), (tmp_path / "2.parquet",)))
    with (
        engine.session(work=tmp_path) as session,
        pytest.raises(DataError, match=r"its column `a` is DOUBLE in \[2026-11-21, 2026-11-22\), and BIGINT elsewhere"),
    ):
        session.give(InputFiles("trips", files, (Column("a", "BIGINT"),)), "frame")


def test_files_that_lack_a_column_are_counted(engine: Engine, tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1], "b": [1]}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"a": [1]}), tmp_path / "2.parquet")
    files = ((DAY, (tmp_path / "1.parquet", tmp_path / "2.parquet")),)
    with engine.session(work=tmp_path) as session, pytest.raises(DataError, match="1 of its 2 files lack the column `b`"):
        session.give(InputFiles("trips", files, (Column("a", "BIGINT"), Column("b", "BIGINT"))), "frame")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "frame"])
def test_files_are_read_as_one_table_of_any_kind(engine: Engine, rows_file: Path, kind: FrameKind) -> None:
    frame = engine.read([rows_file, rows_file], kind)
    count = {
        "duckdb": lambda: frame.to_arrow_table().num_rows,
        "arrow": lambda: frame.num_rows,
        "polars": lambda: frame.height,
        "polars_lazy": lambda: frame.collect().height,
        "pandas": lambda: len(frame),
        "ibis": lambda: frame.count().to_pyarrow().as_py(),
    }
    assert count[kind]() == 6


def test_paths_with_signs_of_patterns_are_read_as_they_are(engine: Engine, tmp_path: Path) -> None:
    folder = tmp_path / "it's a [1]* folder?"
    folder.mkdir()
    with engine.session(work=tmp_path) as session:
        session.write([{"a": 1}], WriteOrder({"rows": folder / "x'y.parquet"}), values={})
        session.give(InputFiles("t", ((DAY, (folder / "x'y.parquet",) * 2),), (Column("a", "BIGINT"),)), "frame")
        written = session.write("select * from t", WriteOrder({"rows": tmp_path / "out.parquet"}, key=()), values={})
    assert written.rows == {"rows": 2}


@pytest.mark.parametrize("kinds", [("frame", "duckdb"), ("duckdb", "frame")])
def test_a_relation_may_query_the_frame_that_is_given_beside_it(
    engine: Engine, rows_file: Path, tmp_path: Path, kinds: tuple[FrameKind, FrameKind]
) -> None:
    with engine.session(work=tmp_path) as session:
        given = {kind: session.give(InputFiles(kind, ((DAY, (rows_file,)),), SCHEMA), kind) for kind in kinds}
        relation: Any = given["duckdb"]
        joined = relation.query("r", f"select count(*) as n from r join {given['frame']} using (id)")
        session.write(joined, WriteOrder({"rows": tmp_path / "out.parquet"}), values={})
    assert pq.read_table(tmp_path / "out.parquet").to_pylist() == [{"n": 3}]
