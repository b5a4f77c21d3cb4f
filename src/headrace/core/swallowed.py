"""Records that a stray quote may have swallowed: one value of many lines, which look like records themselves.

A quote that is no quote, at the start of a field, opens one; the next quote, far below, closes it, and what is between is a single value. Nobody
can tell it from a value that was meant so, so it is not kept as one in silence. The invariant: a value is named only if nearly all of its whole
lines have as many delimiters as a record of the file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from headrace.core.dialect import grammar_of
from headrace.core.records import Piece, Record

__all__ = ["KIND", "Swallowed", "swallowed"]

KIND = (
    "a quote closes many lines after it opened, and the lines between look like records. Mend the quote, or read the file with quote=None"
)
_FEWEST, _FEWEST_DELIMITERS = 5, 30
_NEARLY_ALL = 0.9


@dataclass(frozen=True)
class Swallowed:
    """A record with such a value: the line on which its quote opens, and how many whole lines in it look like records."""

    line: int
    records: int

    @property
    def reason(self) -> str:
        return f"{KIND} ({self.records} lines, from the quote on line {self.line})"


def swallowed(piece: Piece, width: int, *, is_long: Callable[[int], bool] | None = None) -> dict[int, Swallowed]:
    """The records of a piece that hold such a value, by number, in a file of `width` columns. Of one column every line looks like a record, so none.

    `is_long` says whether a record of it may have more than so many line ends, where that can be told sooner than by splitting it.
    """
    dialect, data = piece.dialect, piece.data
    if width < 2 or not dialect.quote or dialect.quote not in data:
        return {}
    fewest = max(_FEWEST, _FEWEST_DELIMITERS // (width - 1))  # a line of a text has one comma by chance more often than ten
    line_ends = data.count(b"\n") + data.count(b"\r") if piece.line_ends is None or b"\r" in data else piece.line_ends
    if line_ends - piece.records <= fewest or (is_long and not is_long(fewest)):
        return {}
    long = {n for n, text in enumerate(piece.texts(), 1) if text.count(b"\n") > fewest or text.count(b"\r") > fewest}
    return {n: found for n, record in piece.split(long) if (found := _in_record(record, piece, width, fewest))} if long else {}


def _in_record(record: Record, piece: Piece, width: int, fewest: int) -> Swallowed | None:
    for value in grammar_of(piece.dialect).value.finditer(record.raw):
        lines = [line for line in value[1].splitlines()[1:-1] if line]
        alike = sum(line.count(piece.dialect.delimiter) == width - 1 for line in lines)
        if alike >= max(fewest, _NEARLY_ALL * len(lines)):
            return Swallowed(record.line + len(record.raw[: value.start(1)].splitlines()) - 1, alike)
    return None
