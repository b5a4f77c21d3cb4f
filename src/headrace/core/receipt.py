"""Receipts: what one step did, in plain values. A receipt tells; it never decides anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from headrace.core.interval import Interval
from headrace.core.ports import JSON

__all__ = ["Receipt", "State"]

State = Literal["made", "copied", "cached", "skipped", "failed", "blocked"]


@dataclass(frozen=True)
class Receipt:
    """What one step did for one interval.

    `state`: `made` (computed and committed), `copied` (equal to the interval before), `cached` (nothing to do), `skipped`
    (nothing to do yet, which `why` explains), `failed`, `blocked` (something it reads failed). `seconds` is wall time.
    """

    step: str
    kind: str
    interval: Interval
    state: State
    why: str = ""
    version: int | None = None
    rows_read: int = 0
    rows_kept: int = 0
    rows_quarantined: int = 0
    size_bytes: int = 0
    seconds: float = 0.0
    metrics: Mapping[str, float] = field(default_factory=dict[str, float])
    verdict: Mapping[str, JSON] = field(default_factory=dict[str, JSON])
    location: str | None = None
    notes: tuple[str, ...] = ()
    error: str | None = None
    attempts: int = 1

    @property
    def is_cached(self) -> bool:
        return self.state in ("cached", "copied")

    def as_json(self) -> dict[str, JSON]:
        """The receipt as `headrace run --json` prints it."""
        return {
            "step": self.step,
            "kind": self.kind,
            "interval": self.interval.label,
            "interval_end": self.interval.end.isoformat(),
            "state": self.state,
            "cached": self.is_cached,
            "why": self.why,
            "version": self.version,
            "rows_read": self.rows_read,
            "rows_kept": self.rows_kept,
            "rows_quarantined": self.rows_quarantined,
            "size_bytes": self.size_bytes,
            "seconds": round(self.seconds, 4),
            "metrics": dict(self.metrics),
            "verdict": dict(self.verdict),
            "location": self.location,
            "notes": list(self.notes),
            "error": self.error,
            "attempts": self.attempts,
        }
