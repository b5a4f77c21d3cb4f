"""Rows that hold a value, found in a file."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headrace.core.ports import Engine


@pytest.fixture
def file(tmp_path: Path) -> Path:
    days = [date(2026, 5, 1), None, date(2026, 5, 1)]
    table = pa.table({"n": [1, 2, 1], "Name": ["it's", None, "b"], "share": [0.5, 1.0, None], "day": days})
    pq.write_table(table, tmp_path / "rows.parquet")
    return tmp_path / "rows.parquet"


@pytest.mark.parametrize(
    ("column", "text", "numbers"),
    [
        ("n", "1", [0, 2]),
        ("n", " 1", [0, 2]),
        ("n", "one", []),
        ("Name", "it's", [0]),
        ("Name", "", []),
        ("share", "1", [1]),
        ("day", "2026-05-01", [0, 2]),
    ],
)
def test_rows_are_found_by_the_value_that_a_text_is_of_the_columns_type(
    engine: Engine, file: Path, column: str, text: str, numbers: list[int]
) -> None:
    found = engine.find(file, {column: text}, most=10)
    assert found is not None
    assert (found.count, [number for number, _ in found.rows]) == (len(numbers), numbers)


def test_no_more_rows_are_given_than_asked_for_and_all_are_counted(engine: Engine, file: Path) -> None:
    found = engine.find(file, {"n": "1"}, most=1)
    assert found is not None
    assert (found.count, len(found.rows)) == (2, 1)
    assert dict(found.rows[0][1]) == {"n": 1, "Name": "it's", "share": 0.5, "day": date(2026, 5, 1)}


def test_rows_are_given_with_their_times_and_with_what_is_nested_in_them(engine: Engine, tmp_path: Path) -> None:
    at = datetime(2026, 5, 1, 8, 30, tzinfo=UTC)
    path = tmp_path / "times.parquet"
    pq.write_table(pa.table({"at": [at], "stops": [[{"at": at, "n": 1}]]}), path)
    found = engine.find(path, {"at": "2026-05-01 08:30:00+00"}, most=1)
    assert found is not None
    assert found.rows == ((0, {"at": at, "stops": [{"at": at, "n": 1}]}),)


@pytest.mark.parametrize("column", ["nothing", "name", "file_row_number"])
def test_a_column_that_is_not_there_is_none(engine: Engine, file: Path, column: str) -> None:
    assert engine.find(file, {column: "1"}, most=10) is None
    assert engine.find(file, {"n": "1", column: "1"}, most=10) is None


def test_a_key_of_several_columns_is_held_by_rows_that_hold_all(engine: Engine, file: Path) -> None:
    found = engine.find(file, {"n": "1", "Name": "it's"}, most=10)
    assert found is not None
    assert [number for number, _ in found.rows] == [0]
