"""Texts of durations as microseconds, in SQL: ISO 8601's form and the one of clocks; and durations as a text that a person reads.

A duration is kept as a BIGINT of microseconds: Parquet's own INTERVAL holds milliseconds, and not every reader takes it. The invariant: a text
is taken only if its length is fixed, so not with months and years; what is smaller than a microsecond is rounded in ISO 8601's form, where it
may be a part of an hour, and cut in a clock's. What is shown says the same duration when it is read again.
"""

from __future__ import annotations

from datetime import timedelta

__all__ = ["duration_sql", "duration_text", "duration_text_sql", "microseconds"]

_MOST_HOURS = 2_400_000_000  # pydantic's own limit
_AMOUNT = r"0*\d{1,10}(?:[.,]\d*)?"
_ISO_PARTS = (("w", "W", 604_800), ("d", "D", 86_400), ("h", "H", 3600), ("m", "M", 60), ("s", "S", 1))
_MINUTE, _SECONDS = r"[0-5]\d", r"[0-5]\d([.,]\d+)?"
_DAYS = r"(\d{1,10}) ?(?:d|D)(?:ay|AY)?[sS]?"


def microseconds(duration: timedelta) -> int:
    return duration // timedelta(microseconds=1)


def duration_text(duration: timedelta) -> str:
    """As Python writes it, but with the sign before the whole: Python's own text of -5 minutes is read as a day and 23:55:00, less than zero.

    >>> duration_text(timedelta(days=1, hours=2)), duration_text(timedelta(minutes=-5))
    ('1 day, 2:00:00', '-0:05:00')
    """
    return f"-{-duration}" if duration < timedelta(0) else str(duration)


def duration_text_sql(value: str) -> str:
    """SQL of the same text of a number of microseconds."""
    days = "CASE us // 86400000000 WHEN 0 THEN '' WHEN 1 THEN '1 day, ' ELSE (us // 86400000000) || ' days, ' END"
    clock = "printf('%d:%02d:%02d', us // 3600000000 % 24, us // 60000000 % 60, us // 1000000 % 60)"
    fraction = "CASE WHEN us % 1000000 = 0 THEN '' ELSE printf('.%06d', us % 1000000) END"
    amount = f"list_transform([abs(CAST({value} AS HUGEINT))], lambda us: {days} || {clock} || {fraction})[1]"
    return f"CASE WHEN {value} < 0 THEN '-' ELSE '' END || {amount}"


def duration_sql(text: str) -> str:
    """SQL of the microseconds that a text says: NULL where it says none, or more than 64 bits hold."""
    return f"CASE WHEN contains({text}, 'P') THEN {_iso(text)} ELSE {_clock(text)} END"


def _iso(text: str) -> str:
    """Each part is exact to twelve decimals; the last may have a fraction, as in `PT1.5H`."""
    week, day, hour, minute, second = (f"(?:({_AMOUNT}){letter})?" for _, letter, _ in _ISO_PARTS)
    pattern = rf"^([+-])?P{week}{day}(?:T{hour}{minute}{second})?$"
    total = " + ".join(
        f"CASE WHEN m.{name} = '' THEN 0 ELSE TRY_CAST(replace(m.{name}, ',', '.') AS DECIMAL(25,12)) * {seconds * 1_000_000} END"
        for name, _, seconds in _ISO_PARTS
    )
    names = ("sign", *(name for name, _, _ in _ISO_PARTS))
    is_one = rf"regexp_matches({text}, '{pattern}') AND regexp_matches({text}, '^[^.,]*\d([.,]\d*)?[WDHMS]T?$')"
    return f"CASE WHEN {is_one} THEN {_signed(text, pattern, names, f'CAST({total} AS DECIMAL(38,12))')} END"


def _clock(text: str) -> str:
    """A number of days, hours with minutes, or both; beside days the hours are those of a day, alone they may be more."""
    alone = rf"[+-]?(\d{{2,10}}:{_MINUTE}|\d{{1,10}}:{_MINUTE}:{_SECONDS})"
    of_a_day = rf"(0*([01]\d|2[0-3]|0\d):{_MINUTE}|0*([01]?\d|2[0-3]):{_MINUTE}:{_SECONDS})"
    pattern = rf"^([+-])?(?:{_DAYS},? ?)?(?:(\d+):(\d\d)(?::(\d\d)(?:[.,](\d{{1,6}})\d*)?)?)?$"
    parts = (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1))
    seconds = " + ".join(f"coalesce(TRY_CAST(m.{name} AS HUGEINT), 0) * {size}" for name, size in parts)
    exact = f"1000000 * ({seconds}) + coalesce(TRY_CAST(rpad(m.f, 6, '0') AS HUGEINT), 0)"
    total = f"CASE WHEN coalesce(TRY_CAST(m.h AS BIGINT), 0) <= {_MOST_HOURS} THEN {exact} END"
    amount = _signed(text, pattern, ("sign", "d", "h", "m", "s", "f"), total)
    return f"CASE WHEN regexp_full_match({text}, '{alone}|[+-]?{_DAYS}(,? ?{of_a_day}|,? ?)') THEN {amount} END"


def _signed(text: str, pattern: str, names: tuple[str, ...], total: str) -> str:
    """The text taken apart once, and put together as a number that may be below zero; 64 bits or NULL."""
    found = f"regexp_extract({text}, '{pattern}', [{', '.join(map(repr, names))}])"
    amount = f"TRY_CAST(round(CASE WHEN m.sign = '-' THEN -1 ELSE 1 END * ({total})) AS BIGINT)"
    return f"list_transform([{found}], lambda m: {amount})[1]"
