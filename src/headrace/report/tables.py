"""Tables of the report: a header, typed cells, and a cap on rows that is always said.

The invariant: a table never shows fewer rows than it was given without saying how many there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headrace.report.markup import Markup, tag

__all__ = ["Head", "capped", "count", "duration", "percent", "size", "table"]


@dataclass(frozen=True)
class Head:
    """A column: its title, whether it holds figures, and whether a phone shows it over the whole width."""

    title: str
    is_number: bool = False
    is_wide: bool = False
    class_: str = ""


def table(name: str, heads: Sequence[Head], rows: Sequence[Sequence[object]], *, is_narrow: bool = False) -> Markup:
    """Rows of cells; the first names its row. On a phone each row becomes a small list; an empty cell is left out there."""
    head = tag("tr", *(tag("th", column.title, scope="col", class_="n" if column.is_number else None) for column in heads))
    body = [
        tag("tr", *(_cell(column, value, is_first=at == 0) for at, (column, value) in enumerate(zip(heads, row, strict=True))))
        for row in rows
    ]
    whole = tag("table", tag("thead", head), tag("tbody", *body), class_="stack narrow" if is_narrow else "stack")
    return tag("div", whole, class_="scroll", tabindex="0", role="region", aria_label=name)


def _cell(head: Head, value: object, *, is_first: bool) -> Markup:
    if is_first:
        return tag("th", value, scope="row")
    is_nil = value in (None, "", "·")
    classes = " ".join(
        name for name in ("n" if head.is_number else "", head.class_, "wide-cell" if head.is_wide else "", "nil" if is_nil else "") if name
    )
    return tag("td", "·" if is_nil and head.is_number else value or "", class_=classes or None, data_label=head.title)


def capped(shown: int, total: int, what: str) -> Markup | None:
    """A sentence that says what was left out; None when nothing was."""
    if shown >= total:
        return None
    return tag("p", tag("small", f"{shown:,} of {total:,} {what} are shown."))


def count(value: int) -> str:
    """A count; nothing is shown as a dot, so that what is there stands out."""
    return f"{value:,}" if value else "·"


def duration(seconds: float) -> str:
    """A time as a person would say it.

    >>> [duration(s) for s in (0.0004, 0.034, 3.21, 75, 4000)]
    ['< 1 ms', '34 ms', '3.2 s', '1 min 15 s', '1 h 06 min']
    """
    if seconds < 0.001:
        return "< 1 ms" if seconds > 0 else "·"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    return f"{whole // 60} min {whole % 60:02d} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def size(size_bytes: int) -> str:
    """Bytes in the unit that gives a short figure.

    >>> [size(b) for b in (0, 812, 15_300, 2_500_000)]
    ['·', '812 B', '15.3 kB', '2.5 MB']
    """
    if size_bytes < 1000:
        return f"{size_bytes} B" if size_bytes else "·"
    step = next((step for step in (1, 2, 3) if size_bytes < 999.5 * 1000**step), 4)
    return f"{size_bytes / 1000**step:.3g} {('kB', 'MB', 'GB', 'TB')[step - 1]}"


def percent(share: float) -> str:
    """A share of 1 in per cent; a small one is not rounded to nothing.

    >>> [percent(s) for s in (0.2, 0.0004, 0.00001)]
    ['20 %', '0.04 %', '< 0.01 %']
    """
    if 0 < share < 0.0001:
        return "< 0.01 %"
    return f"{share * 100:.3g} %" if share < 0.9995 or share >= 1 else "> 99.9 %"
