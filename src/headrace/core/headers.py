"""Whether the first record of a file is its header: told from what stands in it and in the records below.

Pure. A file that has no header, read as if it had one, would lose its first record; so in doubt it is not read. The invariant: a record whose
every field could be a value of its column, and one of which says so, is never taken for a header without being told.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

__all__ = ["Verdict", "header_among"]

Kind = Literal["nothing", "a number", "a date", "true or false", "text"]

_NUMBER = re.compile(r"[+-]?(\d[\d.,_ ']*|[.,]\d+)([eE][+-]?\d+)?%?|nan|[+-]?inf", re.IGNORECASE)
_DATE = re.compile(r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}([T ].*)?|\d{1,2}:\d\d(:\d\d.*)?", re.IGNORECASE)
_TRUTH = re.compile(r"true|false", re.IGNORECASE)
_WHOLE = re.compile(r"\d{1,9}")
_NO_VALUE = frozenset({"na", "n/a", "null", "none", "nil", "-", "--", "?", ".", "unknown", "missing", "#n/a", "\\n"})
_FEWEST_IN_LINE = 3


@dataclass(frozen=True)
class Verdict:
    """Whether the first record is the header, and why: or, where nobody can tell, why not."""

    is_header: bool
    because: str


def header_among(first: Sequence[str], below: Sequence[Sequence[str]]) -> Verdict:
    """What the first fields of a file are, given its next records.

    >>> header_among(["id", "name"], [["1", "Ana"], ["2", "Ben"]])
    Verdict(is_header=True, because="'id' is no number, as those below it are")
    >>> header_among(["5.1", "setosa"], [["4.9", "setosa"]]).because
    "'5.1' is a number, as those below it are"
    """
    columns = [[row[n] for row in below if n < len(row)] for n in range(len(first))]
    kinds = [_kind_of(values) for values in columns]
    for text, kind in zip(first, kinds, strict=True):
        if kind not in ("nothing", "text") and _kind(text) == "text" and text.strip().casefold() not in _NO_VALUE:
            return Verdict(True, f"{_short(text)} is no {_bare(kind)}, as those below it are")
    in_line = _in_line(first) if any(_kind(text) in ("text", "nothing") for text in first) else frozenset[int]()
    in_line -= {n for row in below for n in _in_line(row)}
    for n, text in enumerate(first):
        own = _kind(text)
        if n in in_line or own == "text" or (own == "nothing" and (kinds[n] == "nothing" or _counts(columns[n]))):
            continue
        if own == "nothing":
            return Verdict(False, f"field {n + 1} is empty, and those below it are not")
        return Verdict(False, f"{_short(text)} is {own}{', as those below it are' if kinds[n] == own else ''}")
    named = [(text, values) for text, values in zip(first, columns, strict=True) if text.strip()]
    if below and named and all(text in values for text, values in named):
        return Verdict(False, f"{_short(first[0])} and all its other fields stand among the values below them, too")
    return Verdict(True, "nothing in it is a value")


def _kind(text: str) -> Kind:
    bare = text.strip()
    if not bare:
        return "nothing"
    if _DATE.fullmatch(bare):
        return "a date"
    if _NUMBER.fullmatch(bare):
        return "a number"
    return "true or false" if _TRUTH.fullmatch(bare) else "text"


def _kind_of(values: Sequence[str]) -> Kind:
    """What all values of a column are, empty ones apart."""
    kinds = {_kind(value) for value in values} - {"nothing"}
    if not kinds:
        return "nothing"
    return kinds.pop() if len(kinds) == 1 else "text"


def _in_line(first: Sequence[str]) -> frozenset[int]:
    """The fields that count: three whole numbers or more, beside each other, that rise by as much each time, such as years or hours.

    Beside a field that is no number, and where no record below counts there, they are names.
    """
    found: set[int] = set()
    for start in range(len(first) - _FEWEST_IN_LINE + 1):
        run = range(start, start + _FEWEST_IN_LINE)
        if all(_WHOLE.fullmatch(first[n].strip()) for n in run):
            numbers = [int(first[n]) for n in run]
            steps = {after - before for before, after in pairwise(numbers)}
            if len(steps) == 1 and steps.pop() > 0:
                found.update(run)
    return frozenset(found)


def _counts(values: Sequence[str]) -> bool:
    """Whether a column without a name counts its rows, from 0 or 1: other tools write their index so."""
    return any(all(value.strip() == str(start + n) for n, value in enumerate(values)) for start in (0, 1))


def _bare(kind: Kind) -> str:
    return kind.removeprefix("a ")


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:39]}…")
