"""Half-open UTC intervals, and the grids that they lie on.

An interval `[start, end)` is what one run is about; it is named by its start. A grid says which intervals there are:
uniform steps from an anchor, or calendar months. The one invariant: all times are aware and in UTC, and two intervals of
one grid never overlap.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from headrace.core.errors import ConfigurationError

__all__ = ["Grid", "Interval", "parse_duration", "parse_time", "to_utc"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, order=True)
class Interval:
    """A half-open stretch of UTC time, `start <= t < end`.

    >>> day = Interval.of("2026-11-20", "2026-11-21")
    >>> print(day, day.label)
    [2026-11-20, 2026-11-21) 2026-11-20
    """

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ValueError(f"an interval needs aware times, got {self.start!r} and {self.end!r}")
        if self.start.tzinfo is not UTC or self.end.tzinfo is not UTC:
            object.__setattr__(self, "start", self.start.astimezone(UTC))
            object.__setattr__(self, "end", self.end.astimezone(UTC))
        if self.end <= self.start:
            raise ValueError(f"an interval must end after it starts, got {self.start} and {self.end}")

    @classmethod
    def of(cls, start: str | datetime, end: str | datetime) -> Interval:
        """From times or ISO texts; naive ones are UTC."""
        return cls(parse_time(start), parse_time(end))

    @property
    def length(self) -> timedelta:
        return self.end - self.start

    @property
    def minutes(self) -> int:
        return int(self.length / _MINUTE)

    @property
    def label(self) -> str:
        """The start, as short as it can be said: what `--at` takes."""
        return short_time(self.start)

    def contains(self, other: Interval | datetime) -> bool:
        if isinstance(other, Interval):
            return self.start <= other.start and other.end <= self.end
        return self.start <= other < self.end

    def __str__(self) -> str:
        return f"[{short_time(self.start)}, {short_time(self.end)})"


@dataclass(frozen=True)
class Grid:
    """The intervals that a step has: `step` long each, one of them starting at `anchor`; `step` None means calendar months.

    >>> hourly = Grid.parse("@hourly")
    >>> print(hourly.at(parse_time("2026-11-20T08:20")))
    [2026-11-20T08, 2026-11-20T09)
    """

    anchor: datetime
    step: timedelta | None

    @classmethod
    def parse(cls, text: str, *, start: datetime | None = None) -> Grid:
        """A grid from a preset (`@hourly`), a duration (`15m`, `7d`) or a cron expression that is uniform.

        A duration that divides a day is aligned to midnight UTC; a longer one is counted from `start`.
        Raises ConfigurationError, with the forms that are understood.
        """
        text = text.strip()
        if text == "@monthly":
            return cls(_EPOCH, None)
        if text == "@weekly":
            return cls(_EPOCH + timedelta(days=3), timedelta(days=7))
        if text in ("@hourly", "@daily"):
            return cls(_EPOCH, timedelta(hours=1) if text == "@hourly" else timedelta(days=1))
        if " " in text:
            return _parse_cron(text)
        step = parse_duration(text)
        if timedelta(days=1) % step:
            return cls(start or _EPOCH, step)
        return cls(_EPOCH, step)

    @property
    def label(self) -> str:
        if self.step is None:
            return "monthly"
        return format_duration(self.step)

    def at(self, time: datetime) -> Interval:
        """The interval that holds `time`."""
        time = to_utc(time)
        if self.step is None:
            start = datetime(time.year, time.month, 1, tzinfo=UTC)
            return Interval(start, _next_month(start))
        start = self.anchor + self.step * ((time - self.anchor) // self.step)
        return Interval(start, start + self.step)

    def next(self, interval: Interval) -> Interval:
        return self.at(interval.end)

    def previous(self, interval: Interval) -> Interval:
        return self.at(interval.start - timedelta(microseconds=1))

    def last_complete(self, now: datetime) -> Interval:
        """The newest interval that has ended by `now`."""
        return self.previous(self.at(now))

    def last_ended_by(self, time: datetime) -> Interval:
        """The newest interval whose end is not after `time`."""
        return self.previous(self.at(time))

    def first_from(self, time: datetime) -> Interval:
        """The first interval that starts at `time` or after it."""
        interval = self.at(time)
        return interval if interval.start == to_utc(time) else self.next(interval)

    def within(self, window: Interval) -> Iterator[Interval]:
        """The intervals that lie wholly inside `window`, in time's order."""
        interval = self.first_from(window.start)
        while interval.end <= window.end:
            yield interval
            interval = self.next(interval)

    def starting_in(self, window: Interval) -> Iterator[Interval]:
        """The intervals that start inside `window`, in time's order."""
        interval = self.first_from(window.start)
        while interval.start < window.end:
            yield interval
            interval = self.next(interval)

    def ending_in(self, window: Interval) -> Iterator[Interval]:
        """The intervals whose last moment lies inside `window`, in time's order: windows that follow each other share none and miss none."""
        interval = self.at(window.start)
        while interval.end <= window.end:
            yield interval
            interval = self.next(interval)

    def holds(self, interval: Interval) -> bool:
        return self.at(interval.start) == interval

    def is_coarser_than(self, other: Grid) -> bool:
        return self.nominal > other.nominal

    @property
    def cron(self) -> str | None:
        """The cron expression, in UTC, that ticks at the start of each interval; None where cron can't say it (`90m`, `2d`).

        >>> Grid.parse("6h").cron, Grid.parse("30 2 * * *").cron, Grid.parse("2d").cron
        ('0 */6 * * *', '30 2 * * *', None)
        """
        return _cron_of(self.anchor, self.step)

    @property
    def nominal(self) -> timedelta:
        """A typical length, for comparing grids."""
        return self.step or timedelta(days=30)


_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(days=7)}


def parse_duration(text: str) -> timedelta:
    """A whole number of minutes, hours, days or weeks: `15m`, `6h`, `30d`, `2w`.

    >>> parse_duration("30d").days
    30
    """
    found = re.fullmatch(r"([0-9]{1,5})([mhdw])", text.strip())
    if not found or int(found[1]) == 0:
        raise ConfigurationError(
            f"`{text}` is not a duration. Write a whole number and a unit: 15m, 6h, 30d or 2w; "
            "as a schedule also @hourly, @daily, @weekly, @monthly or a uniform cron expression such as `15 * * * *`."
        )
    return int(found[1]) * _UNITS[found[2]]


def format_duration(step: timedelta) -> str:
    for unit in "dhm":
        if not step % _UNITS[unit]:
            return f"{step // _UNITS[unit]}{unit}"
    return f"{step.total_seconds():g}s"


def parse_time(text: str | date) -> datetime:
    """A time in UTC from ISO text, as short as `2026`, `2026-11`, `2026-11-20T08`, or a date; a naive time is UTC.

    >>> parse_time("2026-11-20T08").isoformat()
    '2026-11-20T08:00:00+00:00'
    """
    if isinstance(text, datetime):
        return to_utc(text)
    if isinstance(text, date):
        return datetime(text.year, text.month, text.day, tzinfo=UTC)
    padded = text.strip().replace(" ", "T")
    if re.fullmatch(r"\d{4}(-\d{2})?", padded):
        padded += "-01" * (2 if len(padded) == 4 else 1)
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}T\d{2}", padded):
        padded += ":00"
    try:
        return to_utc(datetime.fromisoformat(padded))
    except (ValueError, OverflowError):
        raise ConfigurationError(f"`{text}` is not a time. Write it like 2026-11-20, 2026-11-20T08 or 2026-11-20T08:15 (UTC).") from None


def to_utc(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def short_time(time: datetime) -> str:
    """ISO text in UTC without the parts that are zero.

    >>> short_time(parse_time("2026-11-20T08:00"))
    '2026-11-20T08'
    """
    if time.second or time.microsecond:
        return time.replace(tzinfo=None).isoformat()
    if time.minute:
        return f"{time:%Y-%m-%dT%H:%M}"
    return f"{time:%Y-%m-%dT%H}" if time.hour else f"{time:%Y-%m-%d}"


def _next_month(start: datetime) -> datetime:
    return start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)


def _parse_cron(text: str) -> Grid:
    fields = text.split()
    refused = ConfigurationError(
        f"The schedule `{text}` has no intervals of equal length. Write a preset (@hourly, @daily, @weekly, @monthly), a duration (15m, 6h, 1d), "
        "or a cron expression such as `15 * * * *`, `*/20 * * * *`, `0 */6 * * *`, `30 2 * * *`, `0 6 * * 1` or `0 0 1 * *`."
    )
    if fields == ["0", "0", "1", "*", "*"]:
        return Grid(_EPOCH, None)
    if len(fields) != 5 or fields[2] != "*" or fields[3] != "*":
        raise refused
    minute, hour, weekday = fields[0], fields[1], fields[4]
    every = _repeats(minute, 60)
    if every and hour == weekday == "*":
        return Grid(_EPOCH, timedelta(minutes=every))
    if not _is_below(60, minute):
        raise refused
    anchor = _EPOCH + timedelta(minutes=int(minute))
    every = 1 if hour == "*" else _repeats(hour, 24)
    if every and weekday == "*":
        return Grid(anchor, timedelta(hours=every))
    if not _is_below(24, hour):
        raise refused
    anchor += timedelta(hours=int(hour))
    if weekday == "*":
        return Grid(anchor, timedelta(days=1))
    if not _is_below(8, weekday):
        raise refused
    return Grid(anchor + timedelta(days=3 + int(weekday) % 7), timedelta(days=7))


def _cron_of(anchor: datetime, step: timedelta | None) -> str | None:
    if step is None:
        return "0 0 1 * *"
    minutes, at = step // _MINUTE, (anchor - _EPOCH) // _MINUTE
    if 60 % minutes == 0 and minutes < 60:
        return f"{_each(minutes)} * * * *"
    minute, hour = at % 60, at // 60 % 24
    if minutes % 60 == 0 and 24 % (minutes // 60) == 0 and minutes < 24 * 60:
        return f"{minute} {_each(minutes // 60)} * * *"
    if minutes == 24 * 60:
        return f"{minute} {hour} * * *"
    return f"{minute} {hour} * * {(anchor.weekday() + 1) % 7}" if minutes == 7 * 24 * 60 else None


def _each(every: int) -> str:
    return "*" if every == 1 else f"*/{every}"


def _repeats(field: str, whole: int) -> int | None:
    """The n of a field `*/n`, if it divides the whole evenly."""
    found = re.fullmatch(r"\*/([0-9]{1,2})", field)
    every = int(found[1]) if found else 0
    return every if every and whole % every == 0 else None


def _is_below(bound: int, field: str) -> bool:
    return re.fullmatch(r"[0-9]{1,2}", field) is not None and int(field) < bound
