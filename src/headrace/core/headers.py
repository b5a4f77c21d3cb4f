"""Whether the first record of a file is its header: told from what stands in it and in the records below.

Pure. A file that has no header, read as if it had one, would lose its first record; so in doubt it is not read. What speaks for a record (a
number, an empty field) is held against how unlikely it is among the records below. The invariant: a record whose every field could be a value
of its column, and one of which says so, is never taken for a header without being told.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import nan
from typing import Literal

__all__ = ["Verdict", "header_among"]

Kind = Literal["nothing", "a number", "a date", "true or false", "text"]

_NUMBER = re.compile(r"[+-]?(\d[\d.,_ ']*|[.,]\d+)([eE][+-]?\d+)?%?|nan|[+-]?inf", re.IGNORECASE)
_DATE = re.compile(r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}([T ].*)?|\d{1,2}:\d\d(:\d\d.*)?", re.IGNORECASE)
_TRUTH = re.compile(r"true|false", re.IGNORECASE)
_WHOLE = re.compile(r"\d{1,9}")
_NO_VALUE = frozenset({"na", "n/a", "null", "none", "nil", "-", "--", "?", ".", "unknown", "missing", "#n/a", "\\n"})
_FEWEST_IN_LINE = 3
_YEARS = range(1800, 2200)
_UNLIKELY = 1e-3  # that a record has such fields: then it is none


@dataclass(frozen=True)
class Verdict:
    """Whether the first record is the header, and why: or, where nobody can tell, why not. `is_certain` where it could be no record."""

    is_header: bool
    because: str
    is_certain: bool = field(default=False, repr=False)


def header_among(first: Sequence[str], below: Sequence[Sequence[str]]) -> Verdict:
    """What the first fields of a file are, given its next records.

    >>> header_among(["id", "name"], [["1", "Ana"], ["2", "Ben"]])
    Verdict(is_header=True, because="'id' is no number, as those below it are")
    >>> header_among(["5.1", "setosa"], [["4.9", "setosa"]]).because
    "'5.1' is a number, as those below it are"
    """
    columns = [[row[n] for row in below if n < len(row)] for n in range(len(first))]
    kinds: list[Kind] = [_kind_of(values) for values in columns]
    in_line = _in_line(first) if any(_kind(text) in ("text", "nothing") for text in first) else frozenset[int]()
    in_line -= {n for row in below for n in _in_line(row)}
    against = [
        n for n, (text, kind) in enumerate(zip(first, kinds, strict=True)) if n not in in_line and not _may_name(text, kind, columns[n])
    ]
    if not any(_kind(first[n]) == kinds[n] and not _is_year(first[n]) for n in against):
        for text, kind in zip(first, kinds, strict=True):
            if kind not in ("nothing", "text") and _kind(text) == "text" and text.strip().casefold() not in _NO_VALUE:
                return Verdict(True, f"{_short(text)} is no {_bare(kind)}, as those below it are", is_certain=True)
    if _likelihood(first, columns, kinds) < _UNLIKELY:
        against = [n for n in against if not _is_odd(first[n], columns[n])]
    if against:
        n, own = against[0], _kind(first[against[0]])
        if own == "nothing":
            return Verdict(False, f"field {n + 1} is empty, and those below it are not")
        return Verdict(False, f"{_short(first[n])} is {own}{', as those below it are' if kinds[n] == own else ''}")
    named = [(text, values) for text, values in zip(first, columns, strict=True) if text.strip()]
    if below and named and all(text in values for text, values in named):
        return Verdict(False, f"{_short(first[0])} and all its other fields stand among the values below them, too")
    return Verdict(True, "nothing in it is a value")


def _may_name(text: str, kind: Kind, values: Sequence[str]) -> bool:
    """Whether a field speaks for no record by itself, over values of a kind."""
    return _kind(text) == "text" or (_kind(text) == "nothing" and (kind == "nothing" or _counts(values)))


def _is_odd(text: str, values: Sequence[str]) -> bool:
    """Whether a field is of a kind that no value below it is: empty, a number among texts, a year among shares."""
    own = _kind(text)
    return own == "nothing" or own not in {_kind(value) for value in values} or _is_year_alone(text, values)


def _likelihood(first: Sequence[str], columns: Sequence[Sequence[str]], kinds: Sequence[Kind]) -> float:
    """How likely a record among those below has such fields, as far as they tell, were its columns independent.

    What has never been seen in n records is seen in the next by about one in n + 2 (Laplace's rule of succession). Empty fields often come
    together: of all of them one counts.
    """
    found, of_empty = 1.0, 1.0
    for text, values, kind in zip(first, columns, kinds, strict=True):
        if _kind(text) == "text" and text in values:
            return 1  # names do not stand among values
        filled = [value for value in values if value.strip()]
        rare = 1 / (len(filled) + 2)
        if not text.strip():
            of_empty = min(of_empty, (len(values) - len(filled) + 1) / (len(values) + 2))
        elif _kind(text) == "text":
            found *= _of_text(text, filled) if kind == "text" else 1 if text.strip().casefold() in _NO_VALUE else rare
        elif _kind(text) not in {_kind(value) for value in filled}:
            found *= rare
        elif _is_year_alone(text, values):
            found *= 2 * rare
    return found * of_empty


def _of_text(text: str, values: Sequence[str]) -> float:
    """How likely a text is among others: as a new one, where most are seen again (Good and Turing's estimate), or as one of another shape."""
    counts = Counter(values)
    new = (sum(count == 1 for count in counts.values()) + 1) / (len(values) + 2)
    has_digit = any(sign.isdigit() for sign in text)
    with_digit = sum(any(sign.isdigit() for sign in value) for value in counts)
    alike = with_digit if has_digit else len(counts) - with_digit
    return min(new, (alike + 1) / (len(counts) + 2))


def _is_year_alone(text: str, values: Sequence[str]) -> bool:
    """Whether a number looks like a year, over numbers that are all smaller or all larger than years are."""
    if not _is_year(text):
        return False
    numbers = [_number(value) for value in values if _kind(value) == "a number"]
    below = sum(number < _YEARS.start for number in numbers)
    return below in (0, len(numbers)) and not any(_YEARS.start <= number < _YEARS.stop for number in numbers)


def _is_year(text: str) -> bool:
    return bool(_WHOLE.fullmatch(text.strip())) and int(text) in _YEARS


def _number(text: str) -> float:
    """About what a number is; nan where its signs can be read in several ways."""
    try:
        return float(text.strip().rstrip("%").replace(",", ""))
    except ValueError:
        return nan


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
    kinds: set[Kind] = {kind for value in values if (kind := _kind(value)) != "nothing"}
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
