"""How many requests a lake in a bucket costs: counted at the store's port, where each call but a long listing is one request.

That a call of the store is one request to the server is tested with a recording proxy (tests/integration/test_s3_requests_of_runs.py).
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

import headrace as hr
from headrace.backends.stores.memory import MemoryStore
from headrace.config import read_config
from headrace.core.interval import Interval
from headrace.core.manifest import Manifest, digest_of
from headrace.lake.lake import Lake
from headrace.lake.layout import slot_key
from headrace.run.backfill import carry_out
from headrace.run.observe import Request, make_plan
from headrace.run.session import Session

PAGE = 1000


class CountedStore(MemoryStore):
    """A store in memory that counts as S3 bills, and says that requests at once pay."""

    concurrency = 4

    def __init__(self) -> None:
        super().__init__("counted:")
        self.counts: Counter[str] = Counter()
        self._order: list[str] = []
        self._here: set[str] = set()

    def create(self, key: str, data: bytes) -> bool:
        self.counts["put"] += 1
        self._order = []
        return super().create(key, data)

    def get(self, key: str) -> bytes:
        self.counts["get"] += 1
        return super().get(key)

    def publish(self, keys: Any, *, digests: Any = None) -> None:
        self.counts["upload"] += len(keys)
        super().publish(keys)

    def path(self, key: str) -> Path:
        self.counts["download"] += key not in self._here  # a bucket's store keeps it here
        self._here.add(key)
        return super().path(key)

    def keys(self, prefix: str, *, start_after: str = "") -> Iterator[str]:
        self._order = self._order or sorted(self._objects)  # a list of all the keys, made once: 20,000 are listed often
        start = bisect_left(self._order, max(prefix, start_after))
        n = 0
        for n, key in enumerate(islice(self._order, start, None)):
            if not key.startswith(prefix):
                break
            if n % PAGE == 0:
                self.counts["list"] += 1
            if key > start_after:
                yield key
        if n == 0:
            self.counts["list"] += 1


def pipeline() -> hr.Pipeline:
    sums = hr.Pipeline("sums", schedule="@hourly", start="2025-01-01")

    @sums.table
    def numbers():
        return [{"n": 1}]

    @sums.table(history={"numbers": "720h"})
    def sums_of_a_month(numbers):
        return "select sum(n) as n from numbers"

    @sums.table
    def doubled(numbers):
        return "select 2 * n as n from numbers"

    return sums


def session(store: CountedStore, folder: Path) -> Session:
    clock = lambda: datetime(2026, 6, 1, tzinfo=UTC)  # noqa: E731
    config = read_config(folder / "sums.py", environment={})
    return Session(pipeline().graph(), config, Lake.open(store, clock=clock), clock=clock)


def asked(graph: Any, first: str, hours: int, *steps: str, is_backfill: bool = True) -> Request:
    runs = list(islice(graph.grid.within(Interval.of(first, "2026-06-01")), hours))
    return Request(runs, frozenset(steps), is_backfill=is_backfill)


@pytest.fixture
def store(tmp_path: Path) -> CountedStore:
    """A lake with one interval of `numbers`."""
    made = CountedStore()
    first = session(made, tmp_path)
    assert not carry_out(first, asked(first.graph, "2025-01-01", 1, "numbers")).outcome.errors
    made.counts.clear()
    return made


def cloned(store: CountedStore, hours: int) -> None:
    """The same commit, as if it had been made for the hours after it."""
    hour = Interval.of("2025-01-01", "2025-01-01T01")
    made, record = (Manifest.from_json(store.get(slot_key("sums", dataset, hour, 1))) for dataset in ("numbers", "_runs"))
    for interval in islice(pipeline().graph().grid.within(Interval.of("2025-01-01", "2026-06-01")), 1, hours):
        told = record.content.details["steps"]["numbers"]
        steps = {"numbers": {**told, "start": interval.start.isoformat(), "end": interval.end.isoformat()}}
        content = replace(record.content, fingerprint=digest_of(steps), details={"steps": steps})
        store.create(slot_key("sums", "numbers", interval, 1), replace(made, interval=interval).to_json())
        store.create(slot_key("sums", "_runs", interval, 1), replace(record, interval=interval, content=content).to_json())
    store.counts.clear()


def test_a_step_that_stands_costs_one_listing_and_one_manifest_of_its_own(store: CountedStore, tmp_path: Path) -> None:
    opened = session(store, tmp_path)
    store.counts.clear()
    plan = make_plan(opened, asked(opened.graph, "2025-01-01", 1, "numbers"))
    assert [decision.action for decision in plan.decisions] == ["skip"]
    assert store.counts == {"list": 1, "get": 1}


def test_a_step_that_stands_costs_one_listing_for_each_input_besides(store: CountedStore, tmp_path: Path) -> None:
    first = session(store, tmp_path)
    carry_out(first, asked(first.graph, "2025-01-01", 1, "numbers", "doubled"))
    opened = session(store, tmp_path)
    store.counts.clear()
    make_plan(opened, asked(opened.graph, "2025-01-01", 1, "doubled"))
    assert store.counts == {"list": 2, "get": 1}


def test_a_window_of_a_month_of_hours_is_two_listings_when_nothing_changed(store: CountedStore, tmp_path: Path) -> None:
    cloned(store, 1_000)
    first = session(store, tmp_path)
    ran = carry_out(first, asked(first.graph, "2025-02-10", 1, "sums_of_a_month"))
    assert not ran.outcome.errors
    opened = session(store, tmp_path)
    store.counts.clear()
    plan = make_plan(opened, asked(opened.graph, "2025-02-10", 1, "sums_of_a_month"))
    assert [d.action for d in plan.decisions if d.is_target] == ["skip"]
    assert store.counts == {"list": 3, "get": 1}  # its own month, and the two that the window is in


def test_a_commit_is_its_files_and_one_put(store: CountedStore, tmp_path: Path) -> None:
    opened = session(store, tmp_path)
    plan = make_plan(opened, asked(opened.graph, "2025-01-01", 1, "doubled"))
    opened.log("doubled")  # claims the dataset: once in its life
    store.counts.clear()
    from headrace.run.execute import execute_step

    (decision,) = [d for d in plan.decisions if d.is_target]
    assert execute_step(opened, "doubled", decision.interval).state == "made"
    # What it lists: its own slots before it begins, its input, and the month before for equal work; and who is forgotten, once in a session and
    # again when its files are there.
    assert dict(store.counts) == {"list": 3 + 2, "upload": 1, "put": 1, "download": 1}


def test_a_backfill_over_ten_thousand_intervals_that_stand_lists_months_and_not_intervals(store: CountedStore, tmp_path: Path) -> None:
    cloned(store, 10_000)
    opened = session(store, tmp_path)
    store.counts.clear()
    ran = carry_out(opened, asked(opened.graph, "2025-01-01", 10_000, "numbers"))
    assert len(ran.receipts) == 10_000
    assert {receipt.state for receipt in ran.receipts} == {"cached"}
    months = 14  # 10,000 hours; and one listing more where a month's keys fill a page
    assert store.counts["list"] <= 2 * months  # of the dataset and of the run records
    assert store.counts["get"] <= 2 * 10_000
    assert store.counts["put"] == store.counts["upload"] == 0


def test_planning_one_more_interval_beside_ten_thousand_costs_what_it_costs_beside_ten(store: CountedStore, tmp_path: Path) -> None:
    def cost() -> Counter[str]:
        opened = session(store, tmp_path)
        store.counts.clear()
        make_plan(opened, asked(opened.graph, "2026-02-21T17", 1, "numbers", is_backfill=False))
        return Counter(store.counts)

    cloned(store, 10)
    before = cost()
    cloned(store, 10_001)
    after = cost()
    assert before["list"] == after["list"]
    assert after["get"] <= before["get"] + 1  # the manifest of the interval before, which was not there
