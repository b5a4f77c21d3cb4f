"""A source that is another pipeline's dataset always has that one's rows: whatever was made anew, cleared or collected in between."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import headrace as hr
from headrace.config import read_config
from headrace.core.errors import NotReadyError
from headrace.core.interval import Grid, Interval
from headrace.core.manifest import Content, Manifest
from headrace.core.ports import JSON, WriteOrder
from headrace.lake.collect import collect, plan_collection
from headrace.lake.commit import Attempt
from headrace.lake.lake import Lake
from headrace.run.backfill import carry_out
from headrace.run.observe import Request, make_plan
from headrace.run.session import Session, open_lake_at

DAYS = [Interval.of(f"2026-01-0{n}", f"2026-01-0{n + 1}") for n in (5, 6)]
GRIDS = {every: Grid.parse(every) for every in ("12h", "1d", "2d")}

Made = tuple[int, Sequence[int]]  # which interval of the producer, and its rows
rows = st.lists(st.integers(0, 9), max_size=4)
at_first = st.one_of(
    st.tuples(rows, rows, rows, rows).map(lambda made: list(enumerate(made))), st.lists(st.tuples(st.integers(0, 3), rows), max_size=3)
)
rounds = st.lists(st.lists(st.one_of(st.tuples(st.integers(0, 3), rows), st.just("collect")), max_size=3), min_size=1, max_size=3)


def consumer(lake: Lake) -> Session:
    crm = hr.Pipeline("crm", schedule="@daily", start="2026-01-01")
    crm.source("rows", hr.dataset("shop.rows"))
    config = read_config(None, environment={}, overrides={"lake": "memory://", "tracking": "none"})
    return Session(crm.graph(), config, lake, file=Path("crm.py"), sleep=lambda _: None)


def put(lake: Lake, session: Session, every: str, interval: Interval, rows: Sequence[int], folder: Path) -> None:
    """Make an interval of the producer, as its table would: the odd rows on one side of a split, the even ones on the other."""
    sides = {"train": [n for n in rows if n % 2], "test": [n for n in rows if not n % 2]}

    def work(attempt: Attempt, _: Manifest | None) -> tuple[Content, Mapping[str, JSON]]:
        parts = []
        for side, own in sides.items():
            with session.engine.session(work=folder) as engine:
                written = engine.write(
                    f"select unnest({own}::bigint[]) as n", WriteOrder({"rows": attempt.file(side, layer="silver")}), values={}
                )
            parts.append(attempt.part(side, "silver", rows=written.rows["rows"]))
        return Content("data", "table", tuple(parts), dict.fromkeys(sides, written.schema), fingerprint=attempt.nonce), {}

    log = lake.log("shop", "rows")
    log.claim({"step": "rows", "kind": "table", "every": every})
    log.commit(interval, work)


def read(lake: Lake, name: str, interval: Interval) -> Counter[int]:
    manifest = lake.log(*name.split(".")).current(interval)
    assert manifest is not None
    found: Counter[int] = Counter()
    for part in manifest.content.parts:
        for path in lake.read_paths(manifest, part.name, verify=True):
            found.update(n for (n,) in _query(path))
    return found


def _query(path: Path) -> list[tuple[int]]:
    import duckdb

    return duckdb.connect().execute("select n from read_parquet($1)", [str(path)]).fetchall()


def wanted(every: str, day: Interval, known: Mapping[Interval, Sequence[int]]) -> list[Interval]:
    """The definition, said another way: all that ends in the day on a finer grid, since the producer's first; else the last that has ended."""
    length = GRIDS[every].nominal
    if length < day.length:
        first = min(known, default=day)
        halves = [Interval(day.start, day.start + length), Interval(day.start + length, day.end)]
        return [half for half in halves if half >= first] or halves
    return [max(one for one in slots_of(every, 12) if one.end <= day.end)]


def slots_of(every: str, count: int) -> list[Interval]:
    """Intervals that follow each other: of the two days on the fine grid, else from some before them."""
    found = [GRIDS[every].at(DAYS[0].start - (timedelta(0) if every == "12h" else 2 * GRIDS[every].nominal))]
    while len(found) < count:
        found.append(GRIDS[every].next(found[-1]))
    return found


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(every=st.sampled_from(sorted(GRIDS)), first=at_first, more=rounds)
def test_the_rows_of_a_source_are_those_of_the_dataset_as_it_is_when_it_runs(
    every: str, first: list[Made], more: list[list[Made | str]]
) -> None:
    lake = open_lake_at("memory://")
    slots = slots_of(every, 4)
    known: dict[Interval, Sequence[int]] = {}
    with TemporaryDirectory() as folder:
        for event in [*first, "run", *(event for events in more for event in (*events, "run"))]:
            session = consumer(lake)
            if isinstance(event, tuple):
                known[slots[event[0]]] = event[1]
                put(lake, session, every, slots[event[0]], event[1], Path(folder))
            elif event == "collect":
                collect(lake, plan_collection(lake, keep=0, polite=timedelta(0)))
            else:
                for day in DAYS:
                    _check_run(lake, session, every, day, known)


def _check_run(lake: Lake, session: Session, every: str, day: Interval, known: Mapping[Interval, Sequence[int]]) -> None:
    was_made = lake.log("crm", "rows").current(day) is not None
    asked = wanted(every, day, known)
    ran = carry_out(session, Request([day]), jobs=1)
    if all(one in known for one in asked):
        assert not ran.outcome.errors
        assert read(lake, "crm.rows", day) == sum((Counter(known[one]) for one in asked), Counter[int]())
        assert [d.reason for d in make_plan(consumer(lake), Request([day])).decisions] == ["nothing changed"]
    elif not was_made:
        assert all(isinstance(error, NotReadyError) for error in ran.outcome.errors.values())
        assert lake.log("crm", "rows").current(day) is None
