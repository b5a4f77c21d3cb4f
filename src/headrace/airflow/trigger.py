"""Waiting for commits without holding a worker: it looks into the lake from Airflow's triggerer, until all are there or time is up.

The invariant: it only looks. What is still missing when time is up is told by the step itself, which takes its turn again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from headrace.core.interval import Interval

__all__ = ["CommitsTrigger"]

_PAUSE_S = 10.0


class CommitsTrigger(BaseTrigger):
    """Fires when every one of `missing` (dataset, start, end) has a commit in the lake, or at the time `until`."""

    def __init__(self, lake: str, pipeline: str, missing: list[list[str]], until: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.lake = lake
        self.pipeline = pipeline
        self.missing = missing
        self.until = until

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The class and its arguments, as Airflow keeps them."""
        arguments = {"lake": self.lake, "pipeline": self.pipeline, "missing": self.missing, "until": self.until}
        return "headrace.airflow.trigger.CommitsTrigger", arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look again and again; one event."""
        until = datetime.fromisoformat(self.until)
        while True:
            still = await asyncio.to_thread(self._still_missing)
            left_s = (until - datetime.now(UTC)).total_seconds()
            if not still or left_s <= 0:
                yield TriggerEvent({"missing": still})  # type: ignore[no-untyped-call]
                return
            await asyncio.sleep(min(_PAUSE_S, left_s))

    def _still_missing(self) -> int:
        from headrace.run.session import open_lake_at

        lake = open_lake_at(self.lake, read_only=True)
        found = 0
        for dataset, start, end in self.missing:
            manifest = lake.log(self.pipeline, dataset).current(Interval.of(start, end))
            found += manifest is not None and manifest.kind in ("data", "expired")
        return len(self.missing) - found
