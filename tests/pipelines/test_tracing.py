"""Following a key: through the versions that were read, back to raw records, on to what was made."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import pytest
from commands import headrace
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.core.errors import NotReadyError, UnknownNameError
from headrace.core.interval import Interval
from headrace.run.backfill import carry_out
from headrace.run.observe import Request
from headrace.run.opening import open_pipeline
from headrace.run.session import Session
from headrace.run.tracing import Trace, traced

PIPELINE = """
from pydantic import BaseModel

import headrace as hr

till = hr.Pipeline("till", schedule="@daily", start="2026-05-01")


class Receipt(BaseModel):
    receipt: int
    customer: str
    note: str


till.source("receipts", "till/{start:%Y-%m-%d}-*.csv", contract=Receipt, max_rejected=1.0)


@till.table(key="customer", split=hr.by_key(test=0.5))
def counts(receipts):
    return "select customer, count(*) as n from receipts group by customer"


@till.table(history={"receipts": "2d"})
def totals(receipts):
    return "select count(*) as n from receipts"


@till.table
def notes(counts):
    return "select customer as who, n, customer from counts"
"""
FIRST, SECOND = Interval.of("2026-05-01", "2026-05-02"), Interval.of("2026-05-02", "2026-05-03")

Row = tuple[str, str, str]
OTHERS: list[Row] = [(str(n), f"other {n}", "a split needs some") for n in range(90, 100)]


def write(folder: Path, name: str, rows: Sequence[Row]) -> None:
    (folder / "till").mkdir(exist_ok=True)
    with (folder / "till" / f"{name}.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("receipt", "customer", "note"), *rows, *OTHERS])


def run(folder: Path, *intervals: Interval) -> Session:
    (folder / "till.py").write_text(PIPELINE)
    session = open_pipeline(folder / "till.py", lake=str(folder / "lake"))
    ran = carry_out(session, Request(list(intervals)), jobs=1)
    assert not ran.outcome.errors
    return session


def of(found: Sequence[Trace], dataset: str, interval: Interval = FIRST) -> Trace:
    return next(one for one in found if (one.dataset, one.interval) == (f"till.{dataset}", interval))


texts = st.text(st.sampled_from('ab,"\n\r ;é'), max_size=6)
rows = st.lists(st.tuples(st.sampled_from(["1", "2", "x", ""]), st.sampled_from(["anna", "ben"]), texts), min_size=1, max_size=8)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(rows, min_size=1, max_size=3))
def test_each_row_of_a_source_has_the_raw_record_that_it_was_made_of(
    tmp_path_factory: pytest.TempPathFactory, files: list[list[Row]]
) -> None:
    folder = tmp_path_factory.mktemp("till")
    for n, file in enumerate(files):
        write(folder, f"2026-05-01-{n}", [*file, ("7", "anna", "last")])
    found = traced(run(folder, FIRST), "receipts", FIRST, "customer", "anna", most=100)
    (here,) = [one for one in found if one.direction == "here"]
    good = [row for file in files for row in [*file, ("7", "anna", "last")] if row[0].isdigit() and row[1] == "anna" and row[2]]
    assert here.count == len(here.rows) == len(here.places)
    assert {(str(row["receipt"]), str(row["note"])) for row in here.rows} >= {(r, n) for r, _, n in good if n.strip('"')}
    for row, place in zip(here.rows, here.places, strict=True):
        ((receipt, customer, note),) = csv.reader(io.StringIO(place.raw.decode(), newline=""))
        assert (int(receipt), customer, note) == (row["receipt"], row["customer"], row["note"])
        data = (folder / "till" / place.file).read_bytes()
        assert data[place.byte_offset :].startswith(place.raw)


def test_upwards_are_the_versions_that_were_read_and_downwards_what_was_made(tmp_path: Path) -> None:
    write(tmp_path, "2026-05-01-a", [("1", "anna", "a"), ("2", "ben", "b")])
    write(tmp_path, "2026-05-02-a", [("3", "anna", "c")])
    session = run(tmp_path, FIRST, SECOND)
    found = traced(session, "counts", SECOND, "customer", "anna", most=5)
    assert [(one.direction, one.dataset, one.interval, one.count) for one in found] == [
        ("upstream", "till.receipts", SECOND, 1),
        ("here", "till.counts", SECOND, 1),
        ("downstream", "till.notes", SECOND, 1),
    ]
    assert found[1].part in ("train", "test")
    assert dict(found[0].rows[0]) == {"receipt": 3, "customer": "anna", "note": "c"}


def test_a_window_is_followed_to_each_of_its_intervals_and_a_dataset_without_the_column_says_so(tmp_path: Path) -> None:
    write(tmp_path, "2026-05-01-a", [("1", "anna", "a")])
    write(tmp_path, "2026-05-02-a", [("3", "anna", "c")])
    found = traced(run(tmp_path, FIRST, SECOND), "totals", SECOND, "customer", "anna", most=5)
    assert [(one.interval, one.count) for one in found if one.direction == "upstream"] == [(SECOND, 1), (FIRST, 1)]
    (here,) = [one for one in found if one.direction == "here"]
    assert (here.count, here.note) == (0, "it has no column `customer`")


def test_of_many_rows_the_first_are_shown_and_all_are_counted(tmp_path: Path) -> None:
    write(tmp_path, "2026-05-01-a", [(str(n), "anna", "a") for n in range(50)])
    here = of(traced(run(tmp_path, FIRST), "receipts", FIRST, "customer", "anna", most=3), "receipts")
    assert (here.count, [row["receipt"] for row in here.rows], [place.line for place in here.places]) == (50, [0, 1, 2], [2, 3, 4])


@pytest.mark.parametrize(
    ("column", "text", "count"), [("receipt", "1", 1), ("receipt", "01", 1), ("receipt", "one", 0), ("customer", "ann", 0)]
)
def test_a_key_is_a_value_of_its_columns_type(tmp_path: Path, column: str, text: str, count: int) -> None:
    write(tmp_path, "2026-05-01-a", [("1", "anna", "a"), ("2", "ben", "b")])
    found = traced(run(tmp_path, FIRST), "receipts", FIRST, column, text, most=5)
    assert sum(one.count for one in found if one.direction == "here") == count


def test_what_is_not_made_or_not_known_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, "2026-05-01-a", [("1", "anna", "a")])
    session = run(tmp_path, FIRST)
    with pytest.raises(NotReadyError, match="`counts` has no data for 2026-05-02"):
        traced(session, "counts", SECOND, "customer", "anna", most=5)
    with pytest.raises(UnknownNameError, match="Did you mean `counts`"):
        traced(session, "count", FIRST, "customer", "anna", most=5)


def test_a_mended_record_is_shown_where_it_was_mended(tmp_path: Path) -> None:
    write(tmp_path, "2026-05-01-a", [("1", "anna", "a"), ("x", "anna", "b"), ("3", "ben", "c")])
    run(tmp_path, FIRST)
    said = headrace("quarantine", "till.py", "receipts", "--at", "2026-05-01", "--export", "mended.csv", cwd=tmp_path)
    assert said.code == 0, said.err
    mended = (tmp_path / "mended.csv").read_text()
    (tmp_path / "mended.csv").write_text(mended.replace("x,anna,b", "2,anna,b"))
    said = headrace("replay", "till.py", "receipts", "mended.csv", "--at", "2026-05-01", cwd=tmp_path)
    assert said.code == 0, said.err
    session = open_pipeline(tmp_path / "till.py", lake=str(tmp_path / "lake"))
    here = of(traced(session, "receipts", FIRST, "customer", "anna", most=5), "receipts")
    assert [(row["receipt"], place.raw) for row, place in zip(here.rows, here.places, strict=True)] == [(1, b"1,anna,a"), (2, b"2,anna,b")]
    assert [place.file for place in here.places] == ["2026-05-01-a.csv", "mended-1-mended.csv"]
