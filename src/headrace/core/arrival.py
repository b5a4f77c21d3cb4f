"""Waiting for what a source reads: what is awaited, what one look at it saw, and what follows from the looks so far. Pure.

Who can look is chosen by the kind of what is awaited, so that a new kind of source brings a way to look and nothing else. The
invariant: what still changes between two looks has not arrived.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, cast

from headrace.core.errors import HeadraceError, SourceError
from headrace.core.interval import Interval, format_duration
from headrace.core.ports import JSON
from headrace.core.redaction import public

__all__ = ["Awaited", "Late", "Sight", "Vigil", "told_late"]

Kind = Literal["files", "dataset"]

_FIRST_PAUSE_S = 1.0
_SETTLING_S = 2.0
_LONGEST_PAUSE_S = 30.0


@dataclass(frozen=True)
class Awaited:
    """What a source's interval waits for, at most `longest_s`, in plain texts: it can be handed to another process.

    `files`: those that `location` names, a path, pattern or address; a relative one starts at the folder `place`, and `connection` is the
    id of the one that it is reached with. `dataset`: the dataset that `location` names, in the lake `place`. `access` is what else is
    to be known to reach either, without secrets.
    """

    step: str
    interval: Interval
    kind: Kind
    location: str
    place: str
    longest_s: float
    connection: str = ""
    access: Mapping[str, JSON] = field(default_factory=dict[str, JSON])

    def __str__(self) -> str:
        return f"`{self.location}` ({self.interval.label})" if self.kind == "dataset" else f"`{public(self.location)}`"

    @property
    def longest(self) -> str:
        """How long, in words: `2h`."""
        return format_duration(timedelta(seconds=self.longest_s))

    def as_json(self) -> dict[str, JSON]:
        interval = [self.interval.start.isoformat(), self.interval.end.isoformat()]
        return {
            "step": self.step,
            "interval": interval,
            "kind": self.kind,
            "location": self.location,
            "place": self.place,
            "longest_s": self.longest_s,
            "connection": self.connection,
            "access": dict(self.access),
        }

    @classmethod
    def from_json(cls, told: Mapping[str, JSON]) -> Awaited:
        start, end = cast(Sequence[str], told["interval"])
        kind: Kind = "dataset" if told["kind"] == "dataset" else "files"
        longest_s = float(str(told["longest_s"]))
        connection = str(told.get("connection", ""))
        access = cast(Mapping[str, JSON], told.get("access", {}))
        return cls(
            str(told["step"]), Interval.of(start, end), kind, str(told["location"]), str(told["place"]), longest_s, connection, access
        )


@dataclass(frozen=True)
class Sight:
    """What one look saw. `mark` is None while something is missing, else a text that changes when what is there does.

    `is_settled` says that it can't change, as a commit, or has not for a while. `said` tells people what is missing or there.
    """

    mark: str | None
    said: str
    is_settled: bool = False


@dataclass(frozen=True)
class Vigil:
    """The looks so far.

    >>> looks = Vigil().after(Sight(None, "no file")).after(Sight("7 bytes", "7 bytes")).after(Sight("9 bytes", "9 bytes"))
    >>> looks.has_arrived, looks.is_changing, looks.after(Sight("9 bytes", "9 bytes")).has_arrived
    (False, True, True)
    """

    last: Sight | None = None
    has_arrived: bool = False
    alike: int = 0  # looks in a row that found nothing, or that found something

    def after(self, sight: Sight) -> Vigil:
        before = self.last.mark if self.last else None
        has_arrived = sight.mark is not None and (sight.is_settled or sight.mark == before)
        return Vigil(sight, has_arrived, self.alike + 1 if (before is None) == (sight.mark is None) else 1)

    @property
    def is_changing(self) -> bool:
        """Whether something is there that changed since the look before, or that was looked at once."""
        return self.last is not None and self.last.mark is not None and not self.has_arrived

    @property
    def pause_s(self) -> float:
        """How long until the next look."""
        first_s = _SETTLING_S if self.is_changing else _FIRST_PAUSE_S
        return float(min(_LONGEST_PAUSE_S, first_s * 2.0 ** min(max(0, self.alike - 1), 8)))


@dataclass(frozen=True)
class Late:
    """Time was up at the last look: `said` is what that one saw, `is_changing` that something was there and still changed.

    `trouble` is why nobody could look.
    """

    said: str
    since: datetime
    longest_s: float
    is_changing: bool = False
    trouble: str = ""

    def __str__(self) -> str:
        if self.trouble:
            return f"It was waited for since {self.since:%Y-%m-%dT%H:%M:%SZ}, and could not be looked for: {self.trouble}"
        waited = f"It was waited for since {self.since:%Y-%m-%dT%H:%M:%SZ}, as long as wait= allows ({format_duration(timedelta(seconds=self.longest_s))})."
        return f"{self.said[:1].upper()}{self.said[1:]}. {waited}" if self.is_changing else waited


@contextmanager
def told_late(late: Late | None, step: str, interval: Interval) -> Iterator[None]:
    """Within it a step does without what was waited for in vain: its error says so.

    SourceError at once for what is there and still changed: it is never read half.
    """
    if late is not None and late.is_changing:
        raise SourceError(f"Source `{step}` {interval}: {late} Let it be written elsewhere and moved, or wait longer.")
    try:
        yield
    except HeadraceError as error:
        if late is not None:
            error.args = (f"{error}\n{late}", *error.args[1:])
        raise
