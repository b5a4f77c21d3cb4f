"""A lake in memory with a fixed clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from headrace.backends.stores import memory
from headrace.backends.stores.memory import MemoryStore
from headrace.core.interval import Interval
from headrace.core.manifest import Content, Manifest
from headrace.lake.lake import Lake
from headrace.lake.log import DatasetLog

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def store() -> Iterator[MemoryStore]:
    store = memory.open()
    yield store
    store.close()


@pytest.fixture
def lake(store: MemoryStore) -> Lake:
    return Lake.open(store, clock=lambda: NOON)


@pytest.fixture
def log(lake: Lake) -> DatasetLog:
    return lake.log("shop", "sums")


@pytest.fixture
def hour() -> Interval:
    return Interval.of("2026-11-20T08", "2026-11-20T09")


@pytest.fixture
def make() -> Callable[..., Manifest]:
    """Commit one file of text, whatever is there."""

    def make(log: DatasetLog, interval: Interval, text: str = "rows", layer: str = "gold") -> Manifest:
        def work(attempt, _):
            attempt.file("rows", layer=layer).write_bytes(text.encode())
            return Content("data", "table", (attempt.part("rows", layer, rows=len(text)),), fingerprint=text), {}

        return log.commit(interval, work)

    return make
