"""Waiting for the past without holding a worker: it looks into the lake from Airflow's triggerer, until all is there or time is up.

It knows the lake by its URI and the id of its connection, as a triggerer on another machine does. The invariant: it only looks, and it ends: with what is
still missing when time is up, or with the reason why it can't look. What follows is decided by the step, which takes its turn again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from headrace.core.connection import Connection
from headrace.core.interval import Interval
from headrace.run.redaction import redacted

__all__ = ["CommitsTrigger"]

_FIRST_PAUSE_S = 2.0
_LONGEST_PAUSE_S = 30.0
_MORE = 1.5
_MOST_FAILURES = 6  # in a row: about half a minute in which the lake can't be reached


class CommitsTrigger(BaseTrigger):
    """Fires when each of `missing` (dataset, start, end) is in the lake, or at the time `until`, or when it can't look.

    A dataset `model.promotion` is there when a run has judged the model of that interval.
    """

    def __init__(
        self, lake: str, pipeline: str, missing: list[list[str]], until: str, connection: str = "", access: dict[str, Any] | None = None
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.lake = lake
        self.connection = connection
        self.access = access or {}
        self.pipeline = pipeline
        self.missing = missing
        self.until = until

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The class and its arguments, as Airflow keeps them."""
        arguments = {name: getattr(self, name) for name in ("lake", "pipeline", "missing", "until", "connection", "access")}
        return "headrace.airflow.trigger.CommitsTrigger", arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look again and again, with longer and longer pauses; one event: how many are missing, and what was in the way."""
        until = datetime.fromisoformat(self.until)
        pause_s, failures, still, error = _FIRST_PAUSE_S, 0, len(self.missing), ""
        look = None
        while True:
            try:
                if look is None:
                    look = _Look(self.lake, await self._way_in(), self.access, self.pipeline, self.missing)
                still = await asyncio.to_thread(look)
                failures, error = 0, ""
            except Exception as problem:  # noqa: BLE001  # a lake that can't be reached now may be reached later; the step tells what it was
                look = None  # what it was opened with may have been renewed
                failures, error = failures + 1, redacted(f"{type(problem).__name__}: {problem}")
            left_s = (until - datetime.now(UTC)).total_seconds()
            if not still or left_s <= 0 or failures >= _MOST_FAILURES:
                yield TriggerEvent({"missing": still, "error": error})  # type: ignore[no-untyped-call]
                return
            await asyncio.sleep(min(pause_s, left_s))
            pause_s = min(pause_s * _MORE, _LONGEST_PAUSE_S)

    async def _way_in(self) -> Connection | None:
        """The connection with which the lake is reached, by its id: no secret is among the trigger's arguments."""
        if not self.connection:
            return None
        from headrace.airflow.connections import lake_connection

        return await lake_connection(self.connection)


class _Look:
    """Looks into a lake that is opened once."""

    def __init__(self, lake: str, connection: Connection | None, access: dict[str, Any], pipeline: str, missing: list[list[str]]) -> None:
        self._lake = lake
        self._connection = connection
        self._access = access
        self._pipeline = pipeline
        self._pairs = [(dataset, Interval.of(start, end)) for dataset, start, end in missing]
        self._needs: Any = None

    def __call__(self) -> int:
        """How many are still missing."""
        if self._needs is None:
            from headrace.run.access import access_from_afar
            from headrace.run.past import Needs
            from headrace.run.session import open_lake_at

            access = access_from_afar(self._access, self._connection)
            self._needs = Needs(open_lake_at(self._lake, read_only=True, access=access), self._pipeline, self._pairs)
        return len(self._needs.look())
