"""What a report tells, as frozen plain values: the only thing that the page is made from.

Nothing here reads a lake or draws; the runner fills these in, `page.render_report` turns them into one HTML text. The
invariant: every text in here may be hostile (it comes from users' files and names), so only the page decides how it is shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from headrace.core.ports import JSON

__all__ = [
    "Edge",
    "GateLine",
    "Likeness",
    "ModelSection",
    "Node",
    "QuarantineSection",
    "QuarantinedRecord",
    "ReceiptRow",
    "ReportData",
    "Side",
    "SplitSection",
]


@dataclass(frozen=True)
class Node:
    """A step in the graph. `kind` is a step's kind, `layer` where its rows lie, `state` how it went (as in a receipt; empty before a run)."""

    name: str
    kind: str = ""
    layer: str = ""
    state: str = ""


@dataclass(frozen=True)
class Edge:
    """`target` reads `source`; `label` says which intervals of it, when not its own (`30d`)."""

    source: str
    target: str
    label: str = ""


@dataclass(frozen=True)
class ReceiptRow:
    """What one step did in one interval. `state` is a receipt's: made, cached, copied, skipped, failed or blocked."""

    step: str
    interval: str
    state: str
    rows_read: int = 0
    rows_kept: int = 0
    rows_quarantined: int = 0
    size_bytes: int = 0
    seconds: float = 0.0
    why: str = ""
    error: str = ""


@dataclass(frozen=True)
class QuarantinedRecord:
    """One record that was kept aside, as it stood in its file."""

    file: str
    line: int
    columns: tuple[str, ...]
    reasons: tuple[str, ...]
    raw: str = ""


@dataclass(frozen=True)
class QuarantineSection:
    """The quarantine of one source: how many records for which reason, and some of them.

    With `masked` columns no raw text of the source is shown at all, since a broken record may hold them anywhere, and no
    reason of a record in which one of them is at fault, since it may quote the value.
    """

    source: str
    rows_read: int
    rows_quarantined: int
    reasons: Mapping[str, int]
    samples: tuple[QuarantinedRecord, ...] = ()
    masked: tuple[str, ...] = ()


@dataclass(frozen=True)
class Side:
    """One side of a split. `wanted` is the share that was asked for, from 0 to 1."""

    name: str
    rows: int
    wanted: float | None = None


@dataclass(frozen=True)
class Likeness:
    """A numeric column's mean on each side, and its standard deviation over all rows."""

    column: str
    means: Mapping[str, float]
    deviation: float | None = None


@dataclass(frozen=True)
class SplitSection:
    """A table's split; `how` in words: `by key customer_id`."""

    table: str
    how: str
    sides: tuple[Side, ...]
    likeness: tuple[Likeness, ...] = ()


@dataclass(frozen=True)
class GateLine:
    """One check of a gate, in words."""

    passed: bool
    text: str


@dataclass(frozen=True)
class ModelSection:
    """A trained model beside its champion.

    `champion` holds the champion's metrics on the same rows, or None when there was none to compare with (`champion_note` may
    say why); `champion_label` names it (`2026-11-20T07 v1`). `decision` is what the chain says (promote, reject, hold, …); `passed` is None when
    nothing was judged. `plots` is what `ModelBackend.plots` gave.
    """

    name: str
    interval: str
    task: str
    metrics: Mapping[str, float]
    champion: Mapping[str, float] | None = None
    champion_label: str = ""
    champion_note: str = ""
    verdict: str = ""
    passed: bool | None = None
    decision: str = ""
    location: str = ""
    gates: tuple[GateLine, ...] = ()
    features: tuple[str, ...] = ()
    target: str = ""
    rows: Mapping[str, int] = field(default_factory=dict[str, int])
    settings: Mapping[str, JSON] = field(default_factory=dict[str, JSON])
    plots: Mapping[str, JSON] = field(default_factory=dict[str, JSON])
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReportData:
    """One run. `intervals` are labels, in time's order; times are ISO texts in UTC."""

    pipeline: str
    doc: str
    intervals: tuple[str, ...]
    started_at: str
    ended_at: str
    lake: str
    headrace_version: str
    seconds: float | None = None
    nodes: tuple[Node, ...] = ()
    edges: tuple[Edge, ...] = ()
    receipts: tuple[ReceiptRow, ...] = ()
    quarantine: tuple[QuarantineSection, ...] = ()
    splits: tuple[SplitSection, ...] = ()
    models: tuple[ModelSection, ...] = ()
    notes: tuple[str, ...] = ()
