"""Names of columns: which of them can be stored, on which engine whatsoever.

The invariant: what passes here is one column for every reader, whether or not case counts for it.
"""

from __future__ import annotations

from collections.abc import Sequence

from headrace.backends.engines.duckdb.text import listed
from headrace.core.errors import DataError

__all__ = ["SIDE", "check_names"]

SIDE = "headrace side"  # the column of a file that is still to be split


def check_names(names: Sequence[str]) -> None:
    """Whether columns can be stored under these names; DataError naming one that cannot, or that is there twice."""
    seen: dict[str, str] = {}
    for name in names:
        if name.lower() in seen:
            pair = listed(sorted({name, seen[name.lower()]}))
            raise DataError(f"The result has the column {pair} more than once (case does not count in SQL). Name each one with `as`.")
        if not name.strip() or not name.isprintable() or name.lower() == SIDE or '"' in name:
            raise DataError(f"The result has a column named {name!r}, which cannot be stored. Name it with `as`.")
        seen[name.lower()] = name
