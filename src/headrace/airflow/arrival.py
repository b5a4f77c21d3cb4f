"""Sources that wait under Airflow: its triggerer looks for their files or datasets, and no worker is held.

What is awaited and how it is looked for is `headrace.run.arrival`'s. The invariant: a wait ends, and the source then takes its turn
whatever came of it, so that what is missing is told by the source itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from airflow.triggers.base import BaseTrigger, TriggerEvent

from headrace.airflow.base import PipelineOperator
from headrace.airflow.connections import lake_connection
from headrace.core.arrival import Awaited, Late, Sight, Vigil
from headrace.core.graph import Pair
from headrace.core.ports import JSON
from headrace.core.redaction import public
from headrace.run.arrival import awaited_by, look_for, look_from_afar
from headrace.run.redaction import redacted
from headrace.run.session import Session
from headrace.run.task import Turn

__all__ = ["ArrivalTrigger", "wait_for_arrival"]

_GRACE = timedelta(minutes=5)  # for a triggerer that is busy or starts late
_MOST_FAILURES = 6  # in a row, of one look


def wait_for_arrival(operator: PipelineOperator, session: Session, turn: Turn, event: Mapping[str, object]) -> dict[Pair, Late]:
    """Give the worker back until what a source waits for is there. When it was waited for, as `event` says: what did not come in time."""
    waiting = awaited_by(session, turn.decisions)
    if event.get("arrival") == turn.step:
        return {(what.step, what.interval): late for what, late in _came_to(event) if (what.step, what.interval) in waiting}
    absent = [(what, sight) for what in waiting.values() if not Vigil().after(sight := _sight(session, what)).has_arrived]
    if absent:
        what, sight = absent[0]
        more = f", and {len(absent) - 1} more" if len(absent) > 1 else ""
        operator.log.info(
            "headrace: `%s` waits up to %.0f s, without a worker: %s%s", turn.step, what.longest_s, redacted(sight.said), more
        )
        trigger = ArrivalTrigger([one.as_json() for one, _ in absent], datetime.now(UTC).isoformat())
        operator.defer(trigger=trigger, method_name="arrive", timeout=timedelta(seconds=what.longest_s) + _GRACE)
    return {}


class ArrivalTrigger(BaseTrigger):
    """Fires when all that is `awaited` is there, or its time is up, counted from `since`, or when it can't be looked for."""

    def __init__(self, awaited: Sequence[Mapping[str, JSON]], since: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.awaited = [dict(one) for one in awaited]
        self.since = since

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The class and its arguments, as Airflow keeps them."""
        return "headrace.airflow.arrival.ArrivalTrigger", {"awaited": self.awaited, "since": self.since}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look again and again, with longer and longer pauses; one event: which step it is about, and what did not come."""
        watched = [_Watched(Awaited.from_json(one)) for one in self.awaited]
        since = datetime.fromisoformat(self.since)
        while True:
            for one in watched:
                if one.is_open:
                    await one.look()
            pending = [one for one in watched if one.is_open]
            left_s = min((one.what.longest_s for one in pending), default=0.0) - (datetime.now(UTC) - since).total_seconds()
            if not pending or left_s <= 0:
                late: list[JSON] = [one.as_json() for one in watched if not one.vigil.has_arrived]
                yield TriggerEvent({"arrival": watched[0].what.step, "since": self.since, "late": late})  # type: ignore[no-untyped-call]
                return
            await asyncio.sleep(min(left_s, *(one.vigil.pause_s for one in pending)))


@dataclass
class _Watched:
    what: Awaited
    vigil: Vigil = field(default_factory=Vigil)
    failures: int = 0
    trouble: str = ""

    @property
    def is_open(self) -> bool:
        return not self.vigil.has_arrived and self.failures < _MOST_FAILURES

    async def look(self) -> None:
        try:
            way_in = await lake_connection(self.what.connection) if self.what.connection else None
            sight = await asyncio.to_thread(look_from_afar, self.what, now=datetime.now(UTC), connection=way_in)
            self.failures, self.trouble = 0, ""
        except Exception as problem:  # noqa: BLE001  # what can't be reached now may be reached later; the step tells what it was
            self.failures, self.trouble = self.failures + 1, redacted(f"{type(problem).__name__}: {problem}")
            sight = Sight(None, "")
        self.vigil = self.vigil.after(sight)

    def as_json(self) -> dict[str, JSON]:
        said = self.vigil.last.said if self.vigil.last else ""
        what = replace(self.what, location=public(self.what.location))  # an event is kept as it is: no secret of an address is in it
        return {"what": what.as_json(), "said": said, "is_changing": self.vigil.is_changing, "trouble": self.trouble}


def _sight(session: Session, what: Awaited) -> Sight:
    """A look by the worker. What it can't look at, the source tells itself, in its turn."""
    try:
        return look_for(session, what)
    except Exception:  # noqa: BLE001
        return Sight("unknown", "", is_settled=True)


def _came_to(event: Mapping[str, object]) -> list[tuple[Awaited, Late]]:
    since = datetime.fromisoformat(str(event["since"]))
    found = []
    for one in cast(Sequence[Mapping[str, JSON]], event["late"]):
        what = Awaited.from_json(cast(Mapping[str, JSON], one["what"]))
        trouble = (
            f"{one['trouble']} (Airflow's triggerer needs the files, the lake and their credentials as the workers do.)"
            if one["trouble"]
            else ""
        )
        found.append((what, Late(str(one["said"]), since, what.longest_s, is_changing=bool(one["is_changing"]), trouble=trouble)))
    return found
