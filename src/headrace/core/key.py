"""What a key in a store may be. Pure; every store checks with this, so that what works in one works in all."""

from __future__ import annotations

import re

__all__ = ["check_key"]

_PART = r"[^./\\\x00-\x1f\x7f][^/\\\x00-\x1f\x7f]*"
_KEY = re.compile(rf"{_PART}(?:/{_PART})*")
_LONGEST = 900  # bytes: S3 allows 1,024 for a key with its bucket's prefix


def check_key(key: str) -> str:
    """The key itself. Raises ValueError for one that is absolute, climbs (`..`), is hidden, empty or too long.

    >>> check_key("gold/shop/sums.json")
    'gold/shop/sums.json'
    """
    if not _KEY.fullmatch(key) or len(key.encode()) > _LONGEST:
        raise ValueError(
            f"{key!r} is not a key: parts joined by single `/`, none empty, none beginning with a dot, "
            f"without backslashes or control characters, at most {_LONGEST} bytes."
        )
    return key
