"""Parquet files joined by their row groups, and work whose results come in order."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from headrace.backends.texts.joining import join
from headrace.backends.texts.ordered import in_order
from headrace.backends.texts.thrift import read, written

COLUMNS = (
    "i AS a, (i % 7)::VARCHAR AS b, CASE WHEN i % 3 = 0 THEN NULL ELSE i / 7 END AS c, [i::VARCHAR, 'x'] AS d, (i::VARCHAR)::BLOB AS e, "
    "i % 2 = 0 AS f, TIMESTAMPTZ '2026-01-01 00:00:00+00' + to_seconds(i) AS g, (i / 3)::DECIMAL(38,9) AS h"
)


def parts(folder: Path, sizes: list[int]) -> list[Path]:
    made = [folder / f"part-{number}.parquet" for number in range(len(sizes))]
    begin = 0
    for path, size in zip(made, sizes, strict=True):
        duckdb.sql(f"COPY (SELECT {COLUMNS} FROM range({begin}, {begin + size}) t(i)) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")
        begin += size
    return made


@pytest.mark.parametrize("sizes", [[5], [3, 4], [130_000, 1, 250_000], [1] * 20])
def test_joined_files_have_the_rows_of_their_parts_in_order_for_every_reader(tmp_path: Path, sizes: list[int]) -> None:
    target = tmp_path / "whole.parquet"
    made = parts(tmp_path, sizes)
    join(made, target)
    want = duckdb.sql(f"SELECT {COLUMNS} FROM range({sum(sizes)}) t(i)").to_arrow_table()
    assert duckdb.sql(f"FROM read_parquet('{target}')").to_arrow_table().equals(want)
    assert pq.read_table(target).num_rows == sum(sizes)
    assert pq.read_table(target)["e"].cast(want["e"].type).equals(want["e"])
    assert not any(path.exists() for path in made)


def test_statistics_and_bloom_filters_of_a_joined_file_find_the_rows(tmp_path: Path) -> None:
    target = tmp_path / "whole.parquet"
    join(parts(tmp_path, [200_000, 200_000]), target)
    for number in (0, 122_881, 199_999, 200_000, 399_999):
        assert duckdb.sql(f"SELECT count(*) FROM read_parquet('{target}') WHERE a = {number}").fetchall() == [(1,)]
    assert duckdb.sql(f"SELECT count(*) FROM read_parquet('{target}') WHERE b = '8'").fetchall() == [(0,)]
    assert duckdb.sql(f"SELECT count(*) FROM read_parquet('{target}') WHERE b = '6'").fetchall() == [(57142,)]


def test_the_footer_of_a_file_is_written_as_it_was_read(tmp_path: Path) -> None:
    (part,) = parts(tmp_path, [300_000])
    data = part.read_bytes()
    footer = data[-8 - int.from_bytes(data[-8:-4], "little") : -8]
    assert written(read(footer)) == footer


def test_parts_with_other_columns_are_not_joined(tmp_path: Path) -> None:
    duckdb.sql(f"COPY (SELECT 1 AS a) TO '{tmp_path}/a.parquet'")
    duckdb.sql(f"COPY (SELECT 1 AS b) TO '{tmp_path}/b.parquet'")
    with pytest.raises(ValueError, match="other columns"):
        join([tmp_path / "a.parquet", tmp_path / "b.parquet"], tmp_path / "whole.parquet")


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_results_come_in_the_order_of_the_work_whoever_is_first(workers: int) -> None:
    turn = [threading.Event() for _ in range(21)]
    turn[20].set()

    def do(number: int) -> int:
        if workers > 1 and number % 2 == 0:
            turn[number + 1 if number < 20 else 20].wait(5)  # the one after it ends first
        turn[number].set()
        return number

    assert list(in_order(do, iter(range(20)), workers=workers)) == list(range(20))


@pytest.mark.parametrize("workers", [1, 3])
def test_what_fails_first_in_order_is_raised(workers: int) -> None:
    def works() -> Iterator[int]:
        yield from range(4)
        raise OSError("the fifth can't be cut")

    def do(number: int) -> int:
        if number == 3:
            raise ValueError("the fourth can't be read")
        return number

    found = in_order(do, works(), workers=workers)
    assert [next(found) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="fourth"):
        next(found)


def test_never_more_is_under_way_than_there_are_threads_and_one_to_follow() -> None:
    taken: list[int] = []

    def works() -> Iterator[int]:
        for number in range(50):
            taken.append(number)
            yield number

    for number in in_order(lambda one: one, works(), workers=3):
        assert len(taken) - number <= 4
