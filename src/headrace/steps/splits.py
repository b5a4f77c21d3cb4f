"""Splits: how alike the sides of a table came out, for the report.

Which side a row is on is decided by the engine while it writes. The invariant: nothing here changes a committed row, and what
it tells is bounded whatever the size of the table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from headrace.core.ports import JSON, Engine

__all__ = ["likeness"]

_FAR = 0.25
"""A distance of means, in standard deviations, that is worth a word: the usual bound for covariate balance (Stuart 2010)."""


def likeness(engine: Engine, sides: Mapping[str, Sequence[Path]]) -> Mapping[str, JSON]:
    """Rows and shares of each side, figures by column and side, and `far`: the columns whose means differ by a quarter deviation or more.

    Costs one scan of the files; columns beyond the sixtieth are left out.
    """
    told = engine.profile(sides)
    columns = told.get("columns")
    far: dict[str, float] = {}
    for name, by_side in columns.items() if isinstance(columns, Mapping) else ():
        distance = max((_distance(figures) for figures in by_side.values()), default=0.0) if isinstance(by_side, Mapping) else 0.0
        if distance >= _FAR:
            far[name] = distance
    farthest_first = sorted(far, key=lambda name: -far[name])
    return {**told, "far": {name: far[name] for name in farthest_first}}


def _distance(figures: JSON) -> float:
    value = figures.get("distance") if isinstance(figures, Mapping) else None
    return abs(value) if isinstance(value, float) else 0.0
