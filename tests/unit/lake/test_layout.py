"""Keys, in both directions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.core.interval import Interval
from headrace.core.key import check_key
from headrace.lake.layout import (
    LAYERS,
    attempt_folder,
    chain_key,
    champion_folder,
    check_name,
    interval_prefix,
    month_prefixes,
    owner_key,
    parse_attempt,
    parse_chain,
    parse_champion,
    parse_slot,
    slot_key,
)

names = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,8}", fullmatch=True)
datasets = st.one_of(names, names.map(lambda name: f"{name}.refused"))
minutes = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)).map(lambda t: t.replace(second=0, microsecond=0, tzinfo=UTC))
intervals = st.builds(lambda start, length: Interval(start, start + timedelta(minutes=length)), minutes, st.integers(1, 60 * 24 * 31))
versions = st.integers(1, 2_000_000)
nonces = st.binary(min_size=16, max_size=16).map(bytes.hex)


@given(names, datasets, intervals, versions)
def test_a_slot_is_found_again_in_its_key(pipeline: str, dataset: str, interval: Interval, version: int) -> None:
    key = check_key(slot_key(pipeline, dataset, interval, version))
    assert parse_slot(key) == (pipeline, dataset, interval, version)
    assert key.startswith(interval_prefix(pipeline, dataset, interval))
    assert [prefix for prefix in month_prefixes(pipeline, dataset, interval) if key.startswith(prefix)]


@given(st.sampled_from(LAYERS), names, datasets, intervals, versions, nonces)
def test_an_attempt_is_found_again_in_its_files_key(
    layer: str, pipeline: str, dataset: str, interval: Interval, version: int, nonce: str
) -> None:
    key = check_key(f"{attempt_folder(layer, pipeline, dataset, interval, version, nonce)}/rows-0000.parquet")
    assert parse_attempt(key) == (layer, pipeline, dataset, interval, version, nonce)


@given(names, names, st.integers(1, 10**9), nonces)
def test_a_decision_and_its_champion_are_found_again(pipeline: str, model: str, number: int, nonce: str) -> None:
    assert parse_chain(check_key(chain_key(pipeline, model, number))) == number
    assert parse_champion(check_key(f"{champion_folder(pipeline, model, number, nonce)}/m.skops")) == (pipeline, model, number, nonce)


@given(intervals, intervals)
def test_no_two_intervals_share_a_prefix(one: Interval, other: Interval) -> None:
    assert (one == other) == interval_prefix("p", "d", one).startswith(interval_prefix("p", "d", other))


@pytest.mark.parametrize(
    "key",
    [
        owner_key("shop", "sums"),
        owner_key("shop", "sums.refused"),
        "log/shop/sums/2026/11/20T0800-60m",
        "log/shop/sums/2026/11/20T0800-60m.",
        "log/shop/sums/2026/11/20T0800-60.000001",
        "log/shop/sums/2026/11/31T0800-60m.000001",
        "log/shop/sums/2026-11-20T0800-60m.000001",
        "log/shop/sums/2026/11/20T0800-0m.000001",
        "gold/shop/sums/2026/11/20T0800-60m.000001",
        "headrace.json",
        "",
    ],
)
def test_another_key_is_no_slot(key: str) -> None:
    assert parse_slot(key) is None
    assert parse_attempt(key) is None
    assert parse_champion(key) is None


def test_an_impossible_time_is_no_attempt() -> None:
    assert parse_attempt(f"gold/shop/sums/2026/13/20/08/00-60m.000001-{'9f' * 16}/a") is None
    assert parse_attempt(f"cache/shop/sums/2026/11/20/08/00-60m.000001-{'9f' * 16}/a") is None


def test_intervals_that_are_not_whole_minutes_are_refused() -> None:
    for odd in (Interval.of("2026-11-20T08:00:30", "2026-11-20T09:00:30"), Interval.of("2026-11-20T08", "2026-11-20T08:00:30")):
        with pytest.raises(ValueError, match=r"whole minutes"):
            slot_key("shop", "sums", odd, 1)


@pytest.mark.parametrize("name", ["", "a/b", "..", ".a", "-a", "a b", "ä", "x" * 129])
def test_names_that_keys_cannot_carry_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"can't be the name of a dataset"):
        check_name(name, "dataset")


def test_a_pipeline_has_no_dot_and_a_dataset_may() -> None:
    assert check_name("sums.refused", "dataset") == "sums.refused"
    with pytest.raises(ValueError, match=r"can't be the name of a pipeline"):
        check_name("shop.sums", "pipeline")


def test_an_unknown_layer_is_refused_with_the_list() -> None:
    with pytest.raises(ValueError, match=r"the layers are bronze, silver, gold, quarantine, models"):
        attempt_folder("golden", "p", "d", Interval.of("2026", "2027"), 1, "0" * 32)
