"""Splits: what must hold whatever the keys, the shares and the times."""

from __future__ import annotations

import hashlib
import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import assume, example, given, reject
from hypothesis import strategies as st

from headrace.backends.engines.duckdb import open as open_engine
from headrace.core.errors import DataError
from headrace.core.interval import Interval, parse_time
from headrace.core.ports import WriteOrder
from headrace.core.split import Split, by_key, by_time

END = parse_time("2026-11-21")
DAY = Interval(END - timedelta(days=1), END)
Sides = Mapping[str, list[dict[str, Any]]]
Splitter = Callable[..., Sides]

keys = st.one_of(
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=30, max_size=60),
    st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20), min_size=30, max_size=60),
)
shares = st.floats(0.2, 0.6)


@pytest.fixture(scope="module")
def split_rows() -> Iterator[Splitter]:
    engine = open_engine(threads=2)
    with tempfile.TemporaryDirectory() as folder:

        def run(rows: object, split: Split, **order: Any) -> Sides:
            paths = {side: Path(folder, f"{side}.parquet") for side in split.parts}
            with engine.session(work=Path(folder)) as session:
                try:
                    written = session.write(rows, WriteOrder(paths, split=split, interval=DAY, **order), values={})
                except DataError as error:
                    if "Not enough data" not in str(error):
                        raise
                    reject()
            found = {side: pq.read_table(path).to_pylist() for side, path in paths.items()}
            assert {side: len(rows) for side, rows in found.items()} == written.rows
            return found

        yield run


def side_by_hand(split: Split, values: Sequence[object]) -> str:
    """The definition, in Python alone."""
    digits = hashlib.md5("\x1f".join(map(str, values)).encode()).hexdigest()[:8]
    test, valid = split.cuts
    return "test" if digits < test else "valid" if digits < valid else "train"


@given(found=keys, test=shares, valid=st.sampled_from([0.0, 0.3]))
@example(found=[*range(40), 10**15, -5], test=0.5, valid=0.0)
def test_a_side_is_the_one_that_the_definition_says(split_rows: Splitter, found: list[object], test: float, valid: float) -> None:
    split = by_key("k", test=test, valid=valid)
    for side, rows in split_rows({"k": found}, split).items():
        assert {side_by_hand(split, [row["k"]]) for row in rows} == {side}


@given(pairs=st.lists(st.tuples(st.integers(0, 9), st.text("ab\x1fc", max_size=4)), min_size=30, max_size=60), test=shares)
def test_several_columns_are_joined_by_a_separator(split_rows: Splitter, pairs: list[tuple[int, str]], test: float) -> None:
    split = by_key(("a", "b"), test=test)
    sides = split_rows({"a": [a for a, _ in pairs], "b": [b for _, b in pairs]}, split)
    for side, rows in sides.items():
        assert {side_by_hand(split, [row["a"], row["b"]]) for row in rows} == {side}


@given(found=keys, more=st.integers(1, 30), test=shares)
def test_no_key_is_on_two_sides_and_none_moves_when_rows_are_added(split_rows: Splitter, found: list[Any], more: int, test: float) -> None:
    split = by_key("k", test=test)
    before = split_rows({"k": found}, split)
    added = [type(found[0])(n) for n in range(more)] + found[: more // 2]
    after = split_rows({"k": [*added, *found]}, split)
    ids = {side: {row["k"] for row in rows} for side, rows in after.items()}
    assert not ids["train"] & ids["test"]
    assert all({row["k"] for row in rows} <= ids[side] for side, rows in before.items())


@given(number=st.integers(0, 10**9), test=st.sampled_from([0.05, 0.2, 0.5]))
def test_shares_are_within_five_deviations(split_rows: Splitter, number: int, test: float) -> None:
    count = 5000
    sides = split_rows(f"select {number} + range as k from range({count})", by_key("k", test=test))
    assert abs(len(sides["test"]) - count * test) <= 5 * math.sqrt(count * test * (1 - test))


@given(found=st.lists(st.integers(-(2**53), 2**53), min_size=30, max_size=40, unique=True))
def test_a_key_that_became_a_float_stays_on_its_side(split_rows: Splitter, found: list[int]) -> None:
    whole = [n for n in found if abs(n) < 10**15]
    assume(len(whole) > 25)
    split = by_key("k", test=0.5)
    as_integers = split_rows({"k": whole}, split)
    as_floats = split_rows({"k": [float(n) for n in whole]}, split)
    assert {row["k"] for row in as_floats["test"]} == {row["k"] for row in as_integers["test"]}


minutes = st.lists(st.integers(0, 10 * 24 * 60), min_size=20, max_size=80)


@given(
    ages=minutes, test=st.integers(1, 60), valid=st.one_of(st.none(), st.integers(1, 60)), gap=st.integers(0, 30), is_naive=st.booleans()
)
def test_nothing_in_training_is_later_than_what_follows_less_the_gap(
    split_rows: Splitter, ages: list[int], test: int, valid: int | None, gap: int, is_naive: bool
) -> None:
    split = by_time(test=f"{test}h", valid=f"{valid}h" if valid else None, gap=f"{gap}h" if gap else None)
    times = [END - timedelta(minutes=age) for age in ages]
    rows = [{"n": n, "t": time.replace(tzinfo=None) if is_naive else time} for n, time in enumerate(times)]
    sides = split_rows(rows, split, time="t")
    test_start = END - timedelta(hours=test)
    edges = {"test": (test_start, datetime.max)}
    if valid:
        valid_end = test_start - timedelta(hours=gap)
        edges["valid"] = (valid_end - timedelta(hours=valid), valid_end)
    edges["train"] = (datetime.min, min(start for start, _ in edges.values()) - timedelta(hours=gap))
    for side, (start, end) in edges.items():
        expected = [n for n, time in enumerate(times) if start.replace(tzinfo=None) <= time.replace(tzinfo=None) < end.replace(tzinfo=None)]
        assert sorted(row["n"] for row in sides[side]) == expected
