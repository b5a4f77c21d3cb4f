"""Which interval a run of Airflow is about: pure, and without Airflow."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace import Pipeline
from headrace.airflow.interval import RunTimes, interval_of
from headrace.core.errors import ConfigurationError
from headrace.core.graph import Graph
from headrace.core.interval import Grid, Interval, parse_time

NOW = parse_time("2026-03-01T12:30")
SCHEDULES = ["@hourly", "@daily", "@weekly", "@monthly", "15m", "30 2 * * *", "15 * * * *", "2d"]


def graph(schedule: str = "@daily", start: str | None = "2026-01-01") -> Graph:
    pipeline = Pipeline("shop", schedule=schedule, start=start)
    pipeline.source("x", "x.csv")
    return pipeline.graph()


def times(run_after: str = "2026-03-01T10:00", **known: object) -> RunTimes:
    return RunTimes(run_after=parse_time(run_after), **known)  # type: ignore[arg-type]


def found(known: RunTimes, schedule: str = "@daily") -> str:
    return interval_of(graph(schedule), known, now=NOW).label


def test_a_partition_is_the_interval_that_its_key_names() -> None:
    assert found(times(partition_key="2026-02-03T00:00:00")) == "2026-02-03"
    assert found(times(partition_key="2026-02-03T07:00:00", partition_date=parse_time("2026-02-03T07")), "@hourly") == "2026-02-03T07"


def test_a_key_within_an_interval_means_the_whole_of_it() -> None:
    assert found(times(partition_key="2026-02-03T07:20:00")) == "2026-02-03"


def test_a_date_in_another_zone_is_read_in_utc() -> None:
    tokyo = datetime.fromisoformat("2026-02-03T07:00:00+09:00")
    assert found(times(partition_date=tokyo)) == "2026-02-02"


def test_a_classic_run_is_its_data_interval() -> None:
    known = times(data_interval=(parse_time("2026-02-03"), parse_time("2026-02-04")), logical_date=parse_time("2026-02-03"))
    assert found(known) == "2026-02-03"


def test_an_empty_data_interval_says_nothing_so_it_is_the_last_complete_one() -> None:
    """A plain cron string gives such intervals, and so do manual runs of partitioned DAGs."""
    moment = parse_time("2026-02-03T09:00")
    assert found(times(data_interval=(moment, moment), logical_date=moment)) == "2026-02-02"


def test_a_data_interval_off_the_grid_means_the_last_whole_one_in_it() -> None:
    assert found(times(data_interval=(parse_time("2026-02-03T09"), parse_time("2026-02-04T09")))) == "2026-02-03"


def test_a_manual_run_is_the_last_complete_interval_as_of_when_it_was_asked_for() -> None:
    """Not as of now: the tasks of one run, and their second tries on the next day, mean the same."""
    assert found(times("2026-02-10T15:00")) == "2026-02-09"


def test_what_a_person_asked_for_wins() -> None:
    assert found(times(at="2026-02-01", partition_key="2026-02-03T00:00:00", logical_date=NOW)) == "2026-02-01"


def test_a_scheduled_run_is_not_refused_for_a_clock_that_is_behind() -> None:
    known = times("2026-03-02T00:00", partition_key="2026-03-01T00:00:00")
    assert interval_of(graph(), known, now=NOW).label == "2026-03-01"


@pytest.mark.parametrize(
    ("known", "said"),
    [
        (times(partition_key="north"), "The partition key `north` names no interval"),
        (times(partition_key="2026-03-01T00:00:00"), "The interval .* is not over yet. The last complete one is 2026-02-28"),
        (times(partition_key="2025-12-31T00:00:00"), "partition 2025-12-31T00:00:00 is before pipeline `shop` starts, at 2026-01-01"),
        (times(at="soon"), "`soon` is not a time"),
        (times("2026-01-01T08:00"), "run of 2026-01-01T08:00:00.00:00 is before pipeline `shop` starts"),
    ],
)
def test_a_time_that_names_no_interval_is_refused_with_what_would(known: RunTimes, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        interval_of(graph(), known, now=NOW)


moments = st.datetimes(datetime(2026, 1, 1), datetime(2026, 6, 1), timezones=st.just(UTC))
maybe = st.none() | moments


@given(
    st.sampled_from(SCHEDULES),
    moments,
    maybe.map(lambda t: t and t.isoformat()),
    maybe,
    maybe,
    st.none() | st.tuples(moments, st.integers(0, 5000)).map(lambda t: (t[0], t[0] + timedelta(minutes=t[1]))),
)
def test_an_interval_is_always_a_whole_one_of_the_grid_that_is_over(
    schedule: str, after: datetime, at: str | None, date: datetime | None, logical: datetime | None, data: tuple[datetime, datetime] | None
) -> None:
    known = RunTimes(run_after=after, at=at, partition_date=date, data_interval=data, logical_date=logical)
    made = graph(schedule, start=None)
    try:
        interval = interval_of(made, known, now=NOW)
    except ConfigurationError as error:
        assert "not over yet" in str(error)  # noqa: PT017
        return
    assert made.grid.holds(interval)
    assert interval.end <= max(NOW, after)


ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Apia")


@given(st.sampled_from(SCHEDULES), moments, st.sampled_from(ZONES), st.sampled_from(["after", "date", "logical", "data"]))
def test_the_zone_in_which_a_run_says_its_time_makes_no_difference(schedule: str, moment: datetime, zone: str, kind: str) -> None:
    made = graph(schedule, start=None)
    end = moment + made.grid.nominal
    found = []
    for known, later in ((moment, end), (moment.astimezone(ZoneInfo(zone)), end.astimezone(ZoneInfo(zone)))):
        told = {
            "after": RunTimes(known),
            "date": RunTimes(later, partition_date=known),
            "logical": RunTimes(later, logical_date=known),
            "data": RunTimes(later, data_interval=(known, later)),
        }
        found.append(interval_of(made, told[kind], now=moment + 3 * made.grid.nominal))
    assert found[0] == found[1]
    assert found[1].start.utcoffset() == timedelta(0)


@given(st.sampled_from(SCHEDULES), moments)
def test_the_key_of_a_scheduled_run_and_its_classic_interval_mean_the_same(schedule: str, moment: datetime) -> None:
    made = graph(schedule, start=None)
    interval: Interval = made.grid.at(moment)
    after = interval.end
    by_key = interval_of(made, RunTimes(after, partition_key=f"{interval.start:%Y-%m-%dT%H:%M:%S}"), now=NOW)
    by_data = interval_of(made, RunTimes(after, data_interval=(interval.start, interval.end), logical_date=interval.start), now=NOW)
    by_hand = interval_of(made, RunTimes(after), now=NOW)
    assert by_key == by_data == by_hand == interval


@given(st.sampled_from([*SCHEDULES, "5m", "20m", "6h", "12h", "0 6 * * 1", "40 */6 * * *", "7d", "90m", "36h"]))
def test_a_grid_said_as_cron_is_the_same_grid(schedule: str) -> None:
    grid = Grid.parse(schedule, start=parse_time("2026-01-01"))
    if grid.cron is None:
        assert schedule in ("2d", "90m", "36h")
        return
    assert Grid.parse(grid.cron).at(NOW) == grid.at(NOW)
