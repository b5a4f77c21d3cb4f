"""Intervals, grids and how they are written."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from headrace.core.errors import ConfigurationError
from headrace.core.interval import Grid, Interval, format_duration, parse_duration, parse_time


def texts(intervals: object) -> list[str]:
    return [str(interval) for interval in intervals]  # type: ignore[attr-defined]


# ---------------------------------------------------------------- times


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2026", "2026-01-01T00:00:00"),
        ("2026-11", "2026-11-01T00:00:00"),
        ("2026-11-20", "2026-11-20T00:00:00"),
        ("2026-11-20T08", "2026-11-20T08:00:00"),
        ("2026-11-20 08:15", "2026-11-20T08:15:00"),
        (" 2026-11-20T08Z ", "2026-11-20T08:00:00"),
        ("2026-11-20T08:15+02:00", "2026-11-20T06:15:00"),
        (date(2026, 11, 20), "2026-11-20T00:00:00"),
        (datetime(2026, 11, 20, 8), "2026-11-20T08:00:00"),
        (datetime(2026, 11, 20, 8, tzinfo=timezone(timedelta(hours=-5))), "2026-11-20T13:00:00"),
    ],
)
def test_a_time_is_read_as_utc(text: str | date, iso: str) -> None:
    assert parse_time(text).isoformat() == f"{iso}+00:00"


@pytest.mark.parametrize("text", ["", "soon", "2026-13", "2026-02-30", "2026-11-20T25", "0001-01-01T00+05:00", "9999-12-31T23:00-05:00"])
def test_what_is_no_time_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"is not a time\. Write it like 2026-11-20"):
        parse_time(text)


@pytest.mark.parametrize(("text", "minutes"), [("15m", 15), ("6h", 360), ("30d", 43200), ("2w", 20160), (" 1d ", 1440)])
def test_a_duration_is_a_whole_number_and_a_unit(text: str, minutes: int) -> None:
    assert parse_duration(text) == timedelta(minutes=minutes)


@pytest.mark.parametrize("text", ["", "0d", "1.5h", "-1d", "30", "d", "1y", "1M", "²d", "999999w"])
def test_what_is_no_duration_is_refused_with_the_forms(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"is not a duration\. Write a whole number and a unit"):
        parse_duration(text)


def test_a_duration_is_said_in_its_largest_whole_unit() -> None:
    assert [format_duration(timedelta(minutes=m)) for m in (15, 60, 90, 1440, 10080)] == ["15m", "1h", "90m", "1d", "7d"]


# ---------------------------------------------------------------- intervals


def test_an_interval_is_labelled_by_its_start_as_short_as_it_can_be_said() -> None:
    starts = ["2026-11-20", "2026-11-20T08", "2026-11-20T08:15"]
    assert [Interval.of(s, "2026-11-21").label for s in starts] == starts


def test_an_interval_holds_its_start_and_not_its_end() -> None:
    day = Interval.of("2026-11-20", "2026-11-21")
    assert day.contains(day.start)
    assert not day.contains(day.end)
    assert day.contains(Interval.of("2026-11-20T08", "2026-11-21"))
    assert not day.contains(Interval.of("2026-11-20T08", "2026-11-21T01"))


def test_an_interval_is_kept_in_utc_wherever_it_was_written() -> None:
    east = timezone(timedelta(hours=5))
    interval = Interval(datetime(2026, 11, 20, 5, tzinfo=east), datetime(2026, 11, 21, 5, tzinfo=east))
    assert str(interval) == "[2026-11-20, 2026-11-21)"
    assert interval == Interval.of("2026-11-20", "2026-11-21")


def test_an_interval_without_a_length_or_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="must end after it starts"):
        Interval.of("2026-11-20", "2026-11-20")
    with pytest.raises(ValueError, match="needs aware times"):
        Interval(datetime(2026, 11, 20), datetime(2026, 11, 21))


# ---------------------------------------------------------------- grids


@pytest.mark.parametrize(
    ("schedule", "holding_it"),
    [
        ("@hourly", "[2026-11-20T08, 2026-11-20T09)"),
        ("@daily", "[2026-11-20, 2026-11-21)"),
        ("@weekly", "[2026-11-15, 2026-11-22)"),
        ("@monthly", "[2026-11-01, 2026-12-01)"),
        ("15m", "[2026-11-20T08:15, 2026-11-20T08:30)"),
        ("6h", "[2026-11-20T06, 2026-11-20T12)"),
        ("15 * * * *", "[2026-11-20T08:15, 2026-11-20T09:15)"),
        ("*/20 * * * *", "[2026-11-20T08:20, 2026-11-20T08:40)"),
        ("30 2 * * *", "[2026-11-20T02:30, 2026-11-21T02:30)"),
        ("0 */6 * * *", "[2026-11-20T06, 2026-11-20T12)"),
        ("15 */12 * * *", "[2026-11-20T00:15, 2026-11-20T12:15)"),
        ("0 6 * * 1", "[2026-11-16T06, 2026-11-23T06)"),
        ("0 6 * * 0", "[2026-11-15T06, 2026-11-22T06)"),
        ("0 6 * * 7", "[2026-11-15T06, 2026-11-22T06)"),
        ("0 0 1 * *", "[2026-11-01, 2026-12-01)"),
    ],
)
def test_a_schedule_says_which_interval_holds_a_time(schedule: str, holding_it: str) -> None:
    assert str(Grid.parse(schedule).at(parse_time("2026-11-20T08:20"))) == holding_it


@pytest.mark.parametrize(
    "schedule",
    [
        "*/7 * * * *",
        "*/0 * * * *",
        "60 * * * *",
        "² * * * *",
        "0 24 * * *",
        "0 */5 * * *",
        "0 6 * * 8",
        "0 6 * * MON",
        "0 6 1-7 * 1",
        "0 6 * *",
        "* * * * *",
    ],
)
def test_a_cron_expression_without_equal_intervals_is_refused_with_examples(schedule: str) -> None:
    with pytest.raises(ConfigurationError, match=r"has no intervals of equal length.*`0 \*/6 \* \* \*`"):
        Grid.parse(schedule)


@pytest.mark.parametrize("schedule", ["@yearly", "daily", ""])
def test_an_unknown_schedule_is_refused_with_the_forms(schedule: str) -> None:
    with pytest.raises(ConfigurationError, match="as a schedule also @hourly, @daily, @weekly, @monthly or a uniform cron expression"):
        Grid.parse(schedule)


def test_a_duration_that_divides_no_day_is_counted_from_the_start() -> None:
    weekly = Grid.parse("7d", start=parse_time("2010-12-01"))
    assert str(weekly.at(parse_time("2010-12-09"))) == "[2010-12-08, 2010-12-15)"
    assert weekly.holds(Interval.of("2010-12-01", "2010-12-08"))
    assert not weekly.holds(Interval.of("2010-12-02", "2010-12-09"))


def test_a_duration_that_divides_a_day_is_aligned_to_midnight_whatever_the_start() -> None:
    assert str(Grid.parse("6h", start=parse_time("2026-11-20T05")).at(parse_time("2026-11-20T08"))) == "[2026-11-20T06, 2026-11-20T12)"


def test_months_are_calendar_months_over_the_year_and_leap_days() -> None:
    monthly = Grid.parse("@monthly")
    found = texts(monthly.within(Interval.of("2027-12-15", "2028-04-01")))
    assert found == ["[2028-01-01, 2028-02-01)", "[2028-02-01, 2028-03-01)", "[2028-03-01, 2028-04-01)"]
    assert monthly.at(parse_time("2028-02-29")).length == timedelta(days=29)


def test_the_last_complete_interval_has_ended_by_now_to_the_moment() -> None:
    hourly = Grid.parse("@hourly")
    assert hourly.last_complete(parse_time("2026-11-20T08:00")).label == "2026-11-20T07"
    assert hourly.last_complete(parse_time("2026-11-20T07:59:59")).label == "2026-11-20T06"
    assert hourly.last_ended_by(parse_time("2026-11-20T08")).label == "2026-11-20T07"


def test_the_first_interval_from_a_time_never_starts_before_it() -> None:
    daily = Grid.parse("@daily")
    assert daily.first_from(parse_time("2026-11-20")).label == "2026-11-20"
    assert daily.first_from(parse_time("2026-11-20T05")).label == "2026-11-21"


def test_windows_take_intervals_wholly_inside_or_by_their_start_or_by_their_end() -> None:
    sevens = Grid(datetime(2026, 1, 1, tzinfo=UTC), timedelta(hours=7))
    day = Interval.of("2026-01-02", "2026-01-03")
    assert texts(sevens.within(day)) == ["[2026-01-02T04, 2026-01-02T11)", "[2026-01-02T11, 2026-01-02T18)"]
    assert [i.label for i in sevens.starting_in(day)] == ["2026-01-02T04", "2026-01-02T11", "2026-01-02T18"]
    assert [i.label for i in sevens.ending_in(day)] == ["2026-01-01T21", "2026-01-02T04", "2026-01-02T11"]
