"""How numbers are written in texts, where a source says so: the sign before their decimals, and the one between their thousands.

Pure. The invariant: a text that is not a number in the way that was said becomes NULL, never another number.
"""

from __future__ import annotations

from collections.abc import Mapping

from headrace.core.ports import JSON

__all__ = ["THOUSANDS", "plain_number_sql", "signs_problem"]

THOUSANDS = (",", ".", " ", "'", "’", "\u00a0", "\u202f")
"""The signs that may stand between the thousands of a number; the last two are spaces that do not break."""


def plain_number_sql(text: str, options: Mapping[str, JSON]) -> str:
    """SQL of a VARCHAR expression with a point before its decimals and nothing between its thousands; NULL where it has no such form."""
    thousands, decimal = options.get("thousands"), options.get("decimal", ".")
    if isinstance(thousands, str):
        sign = thousands.replace("'", "''")
        text = f"CASE WHEN NOT contains({text}, '{sign}') OR regexp_full_match({text}, '{_grouped(sign)}') THEN replace({text}, '{sign}', '') END"
    if decimal == ",":
        text = f"CASE WHEN NOT contains({text}, '.') THEN replace({text}, ',', '.') END"
    return text


def signs_problem(decimal: JSON, thousands: JSON) -> str:
    """Why two options can't be the signs in numbers; empty when they can."""
    if decimal not in (".", ","):
        return f'decimal={decimal!r} has to be "." or ","'
    if thousands is not None and thousands not in THOUSANDS:
        return f"thousands={thousands!r} has to be one of {', '.join(map(repr, THOUSANDS))}"
    return f"decimal and thousands have to differ, and both are {decimal!r}" if thousands == decimal else ""


def _grouped(sign: str) -> str:
    """A number in groups: the last of three digits, those before it of two or three, as in India and elsewhere; then no such sign again."""
    own = f"\\x{{{ord(sign[0]):x}}}"
    return rf"\s*[+-]?\d{{1,3}}({own}\d{{2,3}})*{own}\d{{3}}([^0-9{own}][^{own}]*)?"
