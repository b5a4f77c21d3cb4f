"""The usual text of a time, read without a pattern: `2026-11-20T08:15:00`.

DuckDB's reader of a given form takes more than `core.casts` does: numbers of fewer digits, and blanks at both ends. A text as long as the form with
no blank at either end has all its digits, though, since no number may have more of them. The invariant: what is read here has the value that the table of
casts says; what is not may have one.
"""

from __future__ import annotations

__all__ = ["usual_time", "usual_time_sql"]

_FORM, _LENGTH = "%Y-%m-%dT%H:%M:%S", len("2026-11-20T08:15:00")


def usual_time(text: str) -> tuple[str, str]:
    """SQL of the time without a zone that a VARCHAR expression says, and of whether it is as long as the form. If it is and there is a time, that is right."""
    is_whole = f"strlen({text}) = {_LENGTH} AND {text} >= '0001' AND {text} < ':' AND substr({text}, {_LENGTH}, 1) >= '0'"
    return f"TRY_STRPTIME({text}, '{_FORM}')", is_whole


def usual_time_sql(text: str) -> str:
    """SQL of the time; NULL where it is not written so. It takes half of what a pattern and a cast do."""
    value, is_whole = usual_time(text)
    return f"CASE WHEN {is_whole} THEN {value} END"
