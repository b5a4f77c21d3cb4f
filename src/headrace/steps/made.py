"""What carrying out a step yields, before it is committed. A plain value; nothing here acts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from headrace.core.manifest import Part
from headrace.core.ports import JSON, Schema

__all__ = ["Made"]


@dataclass(frozen=True)
class Made:
    """The parts of one attempt and the figures that its manifest and receipt tell.

    `columns` is the digest of those that a source without contract was read by, where its files do not show them by themselves.
    `details` enters the manifest's content and must be equal for equal work; `origin` is told in the receipt section only
    (times, places, marks), `remarks` by the receipt of the run that made it.
    """

    parts: tuple[Part, ...]
    schema: Mapping[str, Schema] = field(default_factory=dict[str, Schema])
    metrics: Mapping[str, float] = field(default_factory=dict[str, float])
    details: Mapping[str, JSON] = field(default_factory=dict[str, JSON])
    origin: Mapping[str, JSON] = field(default_factory=dict[str, JSON])
    rows_read: int = 0
    rows_kept: int = 0
    rows_quarantined: int = 0
    notes: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    columns: str = ""
