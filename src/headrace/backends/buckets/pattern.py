"""Keys by pattern: `*`, `?` and `[…]` within a name, `**` for any folders, and names that begin with a dot only where one is written.

Pure. The invariant: a pattern names the same keys of a bucket as it names files of a folder with the same tree (Python's `glob`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from fnmatch import translate

__all__ = ["is_pattern", "literal_prefix", "matcher"]

_MAGIC = re.compile(r"[*?[]")


def is_pattern(key: str) -> bool:
    """Whether a key has a sign in it that stands for others."""
    return _MAGIC.search(key) is not None


def literal_prefix(pattern: str) -> str:
    """What all keys begin with that a pattern names.

    >>> literal_prefix("in/2026-*.csv"), literal_prefix("in/*/a.csv"), literal_prefix("*.csv")
    ('in/2026-', 'in/', '')
    """
    return _MAGIC.split(pattern, maxsplit=1)[0]


def matcher(pattern: str) -> Callable[[str], bool]:
    """Whether a pattern names a key.

    >>> names = matcher("in/**/*.csv")
    >>> names("in/a.csv"), names("in/b/c/a.csv"), names("in/.b/a.csv"), names("a.csv")
    (True, True, False, False)
    """
    parts = [_part(text) for text in pattern.split("/")]
    return lambda key: _matches(parts, key.split("/"))


_Part = Callable[[str], bool] | None  # None for `**`


def _part(text: str) -> _Part:
    if text == "**":
        return None
    if not is_pattern(text):
        return text.__eq__
    like, is_hidden = re.compile(translate(text)).match, text.startswith(".")
    return lambda name: (is_hidden or not name.startswith(".")) and like(name) is not None


def _matches(parts: Sequence[_Part], names: Sequence[str]) -> bool:
    """Each name by its part; `**` takes any number of folders, and at the end of a pattern the file's name too: `a/**` is about what is below `a`."""
    reached = {0}  # how many names may have been taken by the parts so far
    for n, part in enumerate(parts):
        if part is not None:
            reached = {at + 1 for at in reached if at < len(names) and part(names[at])}
        elif reached:
            reached = _taken_by_any(names, min(reached), is_last=n == len(parts) - 1)
    return len(names) in reached


def _taken_by_any(names: Sequence[str], start: int, *, is_last: bool) -> set[int]:
    reached = set[int]() if is_last else {start}
    for at in range(start, len(names) if is_last else len(names) - 1):
        if names[at].startswith("."):
            break
        reached.add(at + 1)
    return reached
