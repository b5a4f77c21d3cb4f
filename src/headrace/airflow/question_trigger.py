"""Waiting for a person without holding a worker, and without waiting longer than the question is open.

It looks for the answer in Airflow and for what closes the question in the lake's chain: a newer challenger, an answer given elsewhere, a
rollback. The invariant: it only looks; an answer that came first is told as one, and headrace decides what it is worth.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from airflow.providers.standard.triggers.hitl import HITLTrigger
from airflow.triggers.base import BaseTrigger, TriggerEvent

from headrace.run.redaction import redacted

if TYPE_CHECKING:
    from headrace.core.connection import Connection
    from headrace.run.decisions import Decisions

__all__ = ["QuestionTrigger"]

_FIRST_PAUSE_S = 3.0
_LONGEST_PAUSE_S = 60.0
_MORE = 1.3
_AGAIN_S = 15.0  # after Airflow could not be asked


class QuestionTrigger(BaseTrigger):
    """Fires with a person's answer to task instance `ti`, with `closed` once decision `number` of a model asks nobody any more, or at `until`."""

    def __init__(
        self,
        ti: str,
        lake: str,
        pipeline: str,
        model: str,
        number: int,
        until: str | None,
        connection: str = "",
        access: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.ti = ti
        self.lake = lake
        self.pipeline = pipeline
        self.model = model
        self.number = number
        self.until = until
        self.connection = connection
        self.access = access or {}
        self._decisions: Decisions | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The class and its arguments, as Airflow keeps them."""
        names = ("ti", "lake", "pipeline", "model", "number", "until", "connection", "access")
        return "headrace.airflow.question_trigger.QuestionTrigger", {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """One event, of what comes first."""
        answered = asyncio.ensure_future(self._answered())
        closed = asyncio.ensure_future(self._closed())
        try:
            await asyncio.wait({answered, closed}, return_when=asyncio.FIRST_COMPLETED)
            yield answered.result() if answered.done() else closed.result()
        finally:
            answered.cancel()
            closed.cancel()

    async def _answered(self) -> TriggerEvent:
        """Airflow's own trigger looks for the answer; when it breaks (the API is away, or none is there, as in `dag.test()`), it looks again."""
        until = None if self.until is None else datetime.fromisoformat(self.until)
        while True:
            # What was answered is checked where it is carried out, so that a form that was filled in badly does not end the wait.
            hitl = HITLTrigger(ti_id=UUID(self.ti), options=[], params={}, timeout_datetime=until)
            try:
                return await anext(hitl.run())
            except Exception as error:  # noqa: BLE001
                self.log.warning("headrace: can't look for an answer in Airflow: %s", redacted(f"{type(error).__name__}: {error}"))
            left_s = _AGAIN_S if until is None else (until - datetime.now(UTC)).total_seconds()
            if left_s <= 0:
                return TriggerEvent({"error": "time is up", "error_type": "timeout"})  # type: ignore[no-untyped-call]
            await asyncio.sleep(min(left_s, _AGAIN_S))

    async def _closed(self) -> TriggerEvent:
        """Look again and again, with longer and longer pauses. A lake that can't be reached now may be reached later."""
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                if self._decisions is None:
                    self._decisions = await asyncio.to_thread(self._open, await self._way_in())
                reason = await asyncio.to_thread(self._look, self._decisions)
            except Exception as error:  # noqa: BLE001
                self._decisions = None  # what the lake was opened with may have been renewed
                self.log.warning("headrace: can't look whether the question is open: %s", redacted(f"{type(error).__name__}: {error}"))
                reason = ""
            if reason:
                return TriggerEvent({"closed": reason})  # type: ignore[no-untyped-call]
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * _MORE, _LONGEST_PAUSE_S)

    async def _way_in(self) -> Connection | None:
        """The connection with which the lake is reached, by its id: no secret is among the trigger's arguments."""
        if not self.connection:
            return None
        from headrace.airflow.connections import lake_connection

        return await lake_connection(self.connection)

    def _open(self, connection: Connection | None) -> Decisions:
        from headrace.run.access import access_from_afar
        from headrace.run.decisions import Decisions
        from headrace.run.session import open_lake_at

        return Decisions(open_lake_at(self.lake, read_only=True, access=access_from_afar(self.access, connection)), self.pipeline)

    def _look(self, decisions: Decisions) -> str:
        """Why the question is closed; empty while it is open. What was read once is not read again."""
        from headrace.steps.questions import question

        found = question(decisions.newest_first(self.model), self.number)
        return "its chain of decisions was replaced" if found is None else found.closed
