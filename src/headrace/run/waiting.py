"""The waiting room: pairs of a plan whose source is not there yet, looked for again and again while other steps go on.

It holds no worker. The invariant: a pair leaves the room once, because what it waited for arrived or because its time was up.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from headrace.core.arrival import Awaited, Late, Sight, Vigil
from headrace.core.errors import is_transient
from headrace.core.graph import Pair
from headrace.core.plan import Decision
from headrace.run.arrival import awaited_by, look_for
from headrace.run.session import Session

__all__ = ["WaitingRoom"]


@dataclass
class _Guest:
    decision: Decision
    what: Awaited
    since: datetime
    until_s: float
    next_s: float = 0.0
    vigil: Vigil = field(default_factory=Vigil)


class WaitingRoom:
    """Pairs that wait. `tell` hears of a pair that begins to wait, or that waits for something else now: a decision to `wait`, with why."""

    def __init__(self, session: Session, tell: Callable[[Decision], None]) -> None:
        self._session = session
        self._tell = tell
        self._guests: dict[Pair, _Guest] = {}
        self._passed: set[Pair] = set()
        self._slept_s = 0.0
        self.late: dict[Pair, Late] = {}

    def __bool__(self) -> bool:
        return bool(self._guests)

    def holds(self, decision: Decision) -> bool:
        """Whether a pair has to wait: it is looked for, and kept here unless it is there."""
        what = None if decision.pair in self._passed else awaited_by(self._session, [decision]).get(decision.pair)
        if what is None:
            return False
        guest = _Guest(decision, what, self._session.clock(), self._now_s() + what.longest_s)
        if self._may_go(guest):
            return False
        self._guests[decision.pair] = guest
        return True

    def leaving(self) -> list[Decision]:
        """Those that may start now: what they waited for is there, or their time is up. Looks for those whose turn it is."""
        now_s = self._now_s()
        gone = [guest for guest in self._guests.values() if guest.next_s <= now_s and self._may_go(guest)]
        for guest in gone:
            del self._guests[guest.decision.pair]
        return [guest.decision for guest in gone]

    @property
    def pause_s(self) -> float | None:
        """How long until somebody's next look; None when nobody waits."""
        return max(0.0, min(guest.next_s for guest in self._guests.values()) - self._now_s()) if self._guests else None

    def sleep(self) -> None:
        """Sleep until the next look."""
        pause_s = self.pause_s or 0.0
        before = time.monotonic()
        self._session.sleep(pause_s)
        self._slept_s += max(0.0, pause_s - (time.monotonic() - before))  # a test's sleep takes no time, and counts all the same

    # ------------------------------------------------ the work

    def _may_go(self, guest: _Guest) -> bool:
        try:
            sight = look_for(self._session, guest.what)
        except Exception as error:  # noqa: BLE001  # the step meets it again, and tells it
            if not is_transient(error):
                return self._passes(guest)
            sight = Sight(None, f"{guest.what} can't be looked for: {error}")
        said = guest.vigil.last.said if guest.vigil.last else ""
        guest.vigil = guest.vigil.after(sight)
        now_s = self._now_s()
        if guest.vigil.has_arrived:
            return self._passes(guest)
        if now_s >= guest.until_s:
            self.late[guest.decision.pair] = Late(sight.said, guest.since, guest.what.longest_s, guest.vigil.is_changing)
            return self._passes(guest)
        guest.next_s = min(now_s + guest.vigil.pause_s, guest.until_s)
        if sight.said != said:
            self._tell(replace(guest.decision, action="wait", reason=f"waiting up to {guest.what.longest}: {sight.said}"))
        return False

    def _passes(self, guest: _Guest) -> bool:
        self._passed.add(guest.decision.pair)
        return True

    def _now_s(self) -> float:
        return time.monotonic() + self._slept_s
