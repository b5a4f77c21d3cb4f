"""What was counted of a text while it landed, up to the ends of some of its records: whoever cuts the same text again need not count it again.

It is kept in memory from the landing of a file to its reading, and nowhere else. The invariant: a count is that of landing, which knows nothing
of what a parser keeps; it is held against what was read, so bytes that were changed meanwhile are found out.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from dataclasses import replace
from typing import NamedTuple, Protocol, runtime_checkable

from headrace.core.dialect import Dialect

__all__ = ["Counted", "Known", "KnowsWhatItCounted", "counted_by"]

_APART = 512 * 1024  # bytes


class Known(NamedTuple):
    """How many records and line ends are in a text up to one of its bytes, where a record ends."""

    end: int
    records: int
    line_ends: int


class Counted:
    """Places in a text, as UTF-8, that is read by one dialect. They are not near each other, so they take no memory to speak of."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = _of_text(dialect)
        self._ends, self._records, self._line_ends = array("q"), array("q"), array("q")

    def add(self, known: Known) -> None:
        """A place after those that were added."""
        if known.end - (self._ends[-1] if self._ends else 0) >= _APART:
            self._ends.append(known.end)
            self._records.append(known.records)
            self._line_ends.append(known.line_ends)

    def is_of(self, dialect: Dialect) -> bool:
        """Whether records are marked so in the text that was counted, whatever its encoding."""
        return _of_text(dialect) == self._dialect

    def last_in(self, begin: int, end: int) -> Known | None:
        """The last place after one byte, and not after another."""
        at = bisect_right(self._ends, end) - 1
        return Known(self._ends[at], self._records[at], self._line_ends[at]) if at >= 0 and self._ends[at] > begin else None


@runtime_checkable
class KnowsWhatItCounted(Protocol):
    """A counter of records that says what it counted up to where."""

    counted: Counted | None


def counted_by(counter: object) -> Counted | None:
    """What a counter knows of the text that it counted, if it does."""
    return counter.counted if isinstance(counter, KnowsWhatItCounted) else None


def _of_text(dialect: Dialect) -> Dialect:
    return replace(dialect, encoding="utf-8")
