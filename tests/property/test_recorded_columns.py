"""Whatever files come, in whatever order their intervals are made and however many at once: all are read by what is recorded, or refused.

Each day has a file of its own columns. They are run in any order, some of them at the same time, and between the runs people accept columns.
At the end each day that has rows has those of its file, every value of them, by the columns that hold for the day.
"""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

import headrace as hr
from headrace.core.errors import ColumnsChangedError
from headrace.core.manifest import Manifest
from headrace.core.step import Source
from headrace.run.backfill import Ran, carry_out
from headrace.run.observe import Request
from headrace.run.recorded import accept, record_of
from headrace.testing import Lab

DAYS = ("2026-05-01", "2026-05-02", "2026-05-03", "2026-05-04")
VALUES = {
    "int": ("1", "-20", "0"),
    "float": ("1.5", "2", "-3e2"),
    "date": ("2026-01-02", "1999-12-31"),
    "time": ("2026-01-02 03:04:05", "1999-12-31T00:00:00"),
    "bool": ("true", "false"),
    "text": ("x", "007", "1"),
    "nothing": ("",),
}

Columns = dict[str, list[str]]


@st.composite
def tables(draw: st.DrawFn) -> Columns:
    """The columns of a file, by name: mostly the same ones, in any order."""
    names = draw(st.permutations(draw(st.sampled_from([["a", "b"], ["a", "b"], ["a", "b"], ["a", "c"], ["a"], ["a", "b", "c"]]))))
    count = draw(st.integers(1, 3))
    kinds = {name: draw(st.sampled_from(sorted(VALUES))) for name in names}
    values = {name: draw(st.lists(st.sampled_from([*VALUES[kinds[name]], ""]), min_size=count, max_size=count)) for name in names}
    return {**values, "key": [f"k{n}" for n in range(count)]}


acts = st.lists(
    st.one_of(
        st.tuples(st.just("run"), st.lists(st.sampled_from(DAYS), min_size=1, max_size=4, unique=True), st.sampled_from([1, 3])),
        st.tuples(st.just("accept"), st.sampled_from(DAYS), st.sampled_from(DAYS)),
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=25, deadline=None)
@given(st.lists(tables(), min_size=4, max_size=4), acts)
def test_every_interval_is_read_by_what_is_recorded_or_refused_and_no_value_is_lost(files: list[Columns], todo: list[Any]) -> None:
    with TemporaryDirectory() as folder:
        for day, columns in zip(DAYS, files, strict=True):
            write(Path(folder) / f"{day}.csv", columns)
        shop = hr.Pipeline("shop", schedule="@daily", start=DAYS[0])
        shop.source("sales", hr.csv(f"{folder}/{{start:%Y-%m-%d}}.csv"))
        lab = Lab(shop, now="2026-05-09")
        step = lab.graph.steps["sales"]
        assert isinstance(step, Source)
        for what, *words in todo:
            if what == "run":
                ran(lab, *words[0], jobs=words[1])
            elif words[1] <= words[0] and record_of(lab.session, step, lab.interval(words[0])):
                accept(lab.session, step, lab.interval(words[0]), lab.interval(words[1]))
        before = {day: current(lab, day) for day in DAYS}
        done = ran(lab, *DAYS)
        for day, columns in zip(DAYS, files, strict=True):
            error = done.outcome.errors.get(("sales", lab.interval(day)))
            now, record = current(lab, day), record_of(lab.session, step, lab.interval(day))
            if error is not None:
                assert isinstance(error, ColumnsChangedError)
                assert now == before[day]
                continue
            assert now is not None
            assert record is not None
            assert now.content.columns == record.contract.schema
            assert [texts_of(row) for row in lab.read("sales", day)] == [texts_of(row) for row in rows_of(columns, record.contract.schema)]
        assert {r.state for r in ran(lab, *DAYS).receipts} <= {"cached", "failed"}


def ran(lab: Lab, *days: str, jobs: int = 1) -> Ran:
    lab.session = lab._session()
    return carry_out(lab.session, Request([lab.interval(day) for day in days]), jobs=jobs)


def current(lab: Lab, day: str) -> Manifest | None:
    return lab._lake.log("shop", "sales").current(lab.interval(day))


def write(path: Path, columns: Columns) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    path.write_text(text.getvalue())


def rows_of(columns: Columns, schema: Any) -> list[dict[str, Any]]:
    """The rows that a file has, by the types that its columns are to have."""
    return [{c.name: value_of(columns[c.name][n], c.type) for c in schema} for n in range(len(columns["key"]))]


def value_of(text: str, type_: str) -> Any:
    if not text:
        return None
    if type_ == "TIMESTAMP WITH TIME ZONE":
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    by_type = {"BIGINT": int, "DOUBLE": float, "BOOLEAN": lambda one: one == "true", "DATE": date.fromisoformat, "VARCHAR": str}
    return by_type[type_](text)


def texts_of(row: dict[str, Any]) -> dict[str, str]:
    return {name: str(value.astimezone(UTC) if isinstance(value, datetime) else value) for name, value in row.items()}
