"""Of any grid: every time is in exactly one interval, and windows that follow each other share none and miss none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import assume, given
from hypothesis import strategies as st

from headrace.core.interval import Grid, Interval, parse_time

times = st.datetimes(datetime(1950, 1, 1), datetime(2150, 1, 1)).map(lambda t: t.replace(tzinfo=UTC))
minutes = times.map(lambda t: t.replace(second=0, microsecond=0))
durations = st.builds("{}{}".format, st.integers(1, 99), st.sampled_from("mhdw"))
crons = st.one_of(
    st.builds("{} * * * *".format, st.integers(0, 59)),
    st.builds("*/{} * * * *".format, st.sampled_from([1, 2, 5, 15, 30])),
    st.builds("{} */{} * * *".format, st.integers(0, 59), st.sampled_from([2, 3, 4, 6, 8, 12])),
    st.builds("{} {} * * *".format, st.integers(0, 59), st.integers(0, 23)),
    st.builds("{} {} * * {}".format, st.integers(0, 59), st.integers(0, 23), st.integers(0, 7)),
)
schedules = st.one_of(st.sampled_from(["@hourly", "@daily", "@weekly", "@monthly", "0 0 1 * *"]), durations, crons)
grids = st.builds(lambda schedule, start: Grid.parse(schedule, start=start), schedules, minutes)


@given(grids, times)
def test_every_time_is_in_exactly_one_interval(grid: Grid, time: datetime) -> None:
    own = grid.at(time)
    assert own.contains(time)
    assert not grid.next(own).contains(time)
    assert not grid.previous(own).contains(time)


@given(grids, times)
def test_intervals_follow_each_other_without_gap_and_next_undoes_previous(grid: Grid, time: datetime) -> None:
    own = grid.at(time)
    assert grid.next(own).start == own.end
    assert grid.previous(own).end == own.start
    assert grid.next(grid.previous(own)) == own == grid.previous(grid.next(own))
    assert grid.holds(own)


@given(grids, times)
def test_an_interval_is_found_again_by_its_label(grid: Grid, time: datetime) -> None:
    own = grid.at(time)
    assert grid.at(parse_time(own.label)) == own


@given(grids, times)
def test_the_last_complete_interval_has_ended_and_the_one_after_it_has_not(grid: Grid, now: datetime) -> None:
    last = grid.last_complete(now)
    assert last.end <= now < grid.next(last).end
    assert grid.last_ended_by(now) == last


@given(grids, times)
def test_the_first_interval_from_a_time_starts_no_earlier_and_the_one_before_it_does(grid: Grid, time: datetime) -> None:
    first = grid.first_from(time)
    assert grid.previous(first).start < time <= first.start


@given(grids, times, st.integers(1, 40), st.integers(0, 10**6))
def test_windows_name_what_they_say(grid: Grid, start: datetime, count: int, shift: int) -> None:
    window = Interval(start, start + grid.nominal * count + timedelta(seconds=shift % int(grid.nominal.total_seconds())))
    near = [grid.at(start)]
    while near[-1].start < window.end:
        near.append(grid.next(near[-1]))
    near.insert(0, grid.previous(near[0]))
    assert list(grid.within(window)) == [i for i in near if window.contains(i)]
    assert list(grid.starting_in(window)) == [i for i in near if window.contains(i.start)]
    assert list(grid.ending_in(window)) == [i for i in near if window.start < i.end <= window.end]


@given(grids, times, st.lists(st.integers(1, 5 * 24 * 60), min_size=2, max_size=6))
def test_each_interval_ends_in_exactly_one_of_windows_that_follow_each_other(grid: Grid, start: datetime, lengths: list[int]) -> None:
    assume(grid.nominal >= timedelta(minutes=15))
    windows, reached = [], start
    for length in lengths:
        windows.append(Interval(reached, reached + timedelta(minutes=length)))
        reached = windows[-1].end
    apart = [interval for window in windows for interval in grid.ending_in(window)]
    assert apart == list(grid.ending_in(Interval(start, reached)))
