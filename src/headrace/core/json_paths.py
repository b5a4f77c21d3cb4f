"""Where in a JSON object a value lies, as it is written in a contract's alias: `customer.addresses[0].city`.

A path is names of keys with dots between them, each perhaps followed by the place in an array, from 0, in brackets. A key that is
called like the whole path goes before it. The invariant: a text that is no path is a plain key and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["at_path", "path_of"]

_PART = r"[^.\[\]]+(?:\[\d{1,9}\])*"
_PATH = re.compile(rf"{_PART}(?:\.{_PART})*")
_STEP = re.compile(r"\[(\d+)\]|([^.\[\]]+)")

Path = tuple[str | int, ...]


def path_of(alias: str) -> Path | None:
    """The steps of a path; None for a plain key.

    >>> path_of("customer.addresses[0].city")
    ('customer', 'addresses', 0, 'city')
    >>> path_of("city"), path_of("Total [EUR]")
    (None, None)
    """
    if not _PATH.fullmatch(alias):
        return None
    steps = tuple(int(place) if place else name for place, name in _STEP.findall(alias))
    return steps if len(steps) > 1 else None


def at_path(record: Mapping[str, object], alias: str, path: Path) -> object:
    """The value at a path, or under the key that is called like it; None where there is none.

    >>> at_path({"a": {"b": [1, 2]}}, "a.b[1]", path_of("a.b[1]") or ())
    2
    """
    if alias in record:
        return record[alias]
    found: object = record
    for step in path:
        if isinstance(step, int):
            if not isinstance(found, list) or step >= len(found):
                return None
            found = found[step]
        else:
            if not isinstance(found, dict):
                return None
            found = found.get(step)
    return found
