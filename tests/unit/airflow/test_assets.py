"""Names, URIs and keys of assets: from the dataset's name and the interval alone, and without Airflow."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.airflow.assets import key_of, uri_of
from headrace.airflow.interval import RunTimes, interval_of, is_too_early
from headrace.core.errors import ConfigurationError
from headrace.core.interval import Grid, Interval, parse_time
from headrace.pipeline import Pipeline

NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{0,20}\.[A-Za-z][A-Za-z0-9_]{0,20}", fullmatch=True)


@given(st.lists(NAMES, min_size=2, max_size=20, unique=True))
def test_two_datasets_never_share_a_uri(names: list[str]) -> None:
    assert len({uri_of(name) for name in names}) == len(names)


@pytest.mark.parametrize("name", ["shop", "shop.spending.experiment", "s3://shop/spending", "shop/spending", "", "shop.spend ing"])
def test_what_is_no_datasets_name_is_no_asset(name: str) -> None:
    with pytest.raises(ConfigurationError, match="asset"):
        uri_of(name)


@given(st.sampled_from(["@hourly", "@daily", "15m", "@monthly"]), st.datetimes(min_value=parse_time("2000-01-01").replace(tzinfo=None)))
def test_a_consumers_run_with_the_key_is_about_the_producers_interval(schedule: str, time: object) -> None:
    interval: Interval = Grid.parse(schedule).at(parse_time(str(time)))
    graph = Pipeline("taker", schedule=schedule).graph()
    later = interval.end
    assert interval_of(graph, RunTimes(later, partition_key=key_of(interval)), now=later) == interval


def test_what_others_made_before_a_consumer_starts_is_not_for_it() -> None:
    graph = Pipeline("taker", start="2026-01-05").graph()
    early = [
        day for day in range(1, 9) if is_too_early(graph, RunTimes(parse_time("2026-02-01"), partition_key=f"2026-01-{day:02}T00:00:00"))
    ]
    assert early == [1, 2, 3, 4]
    assert not is_too_early(Pipeline("always").graph(), RunTimes(parse_time("2026-02-01"), partition_key="1999-01-01T00:00:00"))
