"""The decisions about a pipeline's models, read once per command and from the newest backwards.

The invariant: a decision never changes, so what was read is kept; only the head is asked for anew.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime

from headrace.core.interval import Interval
from headrace.lake.chain import Chain, Decision
from headrace.lake.lake import Lake
from headrace.steps.champions import champion_as_of

__all__ = ["Decisions"]

_PATIENCE = 64


class Decisions:
    """A reader of chains that remembers entries. Any number of threads may use one."""

    def __init__(self, lake: Lake, pipeline: str) -> None:
        self._lake = lake
        self._pipeline = pipeline
        self._entries: dict[tuple[str, int], Decision] = {}
        self._lock = threading.Lock()

    def chain(self, model: str) -> Chain:
        return self._lake.chain(self._pipeline, model)

    def about(self, model: str, interval: Interval, digest: str) -> Decision | None:
        """The newest decision of a run about one training's model. Looks back only as far as later intervals reach, and a little further."""
        earlier = 0
        for decision in self.newest_first(model):
            if decision.model == interval and decision.digest == digest and decision.kind in ("promote", "reject"):
                return decision
            earlier += decision.model.start < interval.start
            if earlier > _PATIENCE:
                return None
        return None

    def newest_first(self, model: str) -> Iterator[Decision]:
        head = self.chain(model).head()
        for number in range(head.number if head else 0, 0, -1):
            yield self._entry(model, number)

    def champion_as_of(self, model: str, time: datetime) -> Decision | None:
        """The champion for predictions about an interval that ends at `time`."""
        return champion_as_of(self.newest_first(model), time)

    def _entry(self, model: str, number: int) -> Decision:
        with self._lock:
            found = self._entries.get((model, number))
        if found is None:
            found = self.chain(model).entry(number)
            with self._lock:
                self._entries[model, number] = found
        return found
