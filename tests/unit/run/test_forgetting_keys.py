"""A person whose keys a source remembers over history: the intervals that remember them hold them, current or not, and are made again too."""

from __future__ import annotations

from pathlib import Path

import pytest
from shops import ANNA, DAY, NEXT, Shop

import headrace as hr
from headrace.core.interval import parse_time
from headrace.lake.collect import collect, plan_erasure
from headrace.lake.layout import Slot

LAST = "2026-05-03"
DAYS = (DAY, NEXT, LAST)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def put(shop: Shop, *files: str) -> None:
    for day, rows in zip(DAYS, files, strict=True):
        shop.put("\n".join(["Who,Price", *rows.split(), ""]).encode(), f"{day}.csv")


def once(shop: Shop, *columns: str, over: str = "history") -> hr.Pipeline:
    return shop.pipeline(unique=hr.unique(*columns, over=over), max_rejected=1.0)


def held(shop: Shop, pipeline: hr.Pipeline) -> list[tuple[str, str, int, int]]:
    holders = [one for one in shop.look(pipeline).holding.holders if one.slot.dataset == "sales"]
    return sorted((one.slot.interval.label, one.part, one.slot.version, one.count) for one in holders)


def versions(shop: Shop, name: str, day: str) -> tuple[int, ...]:
    session = shop.session()
    return session.lake.log("shop", name).versions_of(session.graph.grid.at(parse_time(day)))


def test_intervals_that_remember_the_key_hold_it_and_are_made_again_without_it(shop: Shop) -> None:
    pipeline = once(shop, "who")
    put(shop, "anna@a.org,1 ben,2", "anna@a.org,3 cleo,4", "ben,5 dora,6")
    shop.run(*DAYS, pipeline=pipeline)
    assert held(shop, pipeline) == [
        (DAY, "keys", 1, 1),
        (DAY, "raw", 1, 1),
        (DAY, "rows", 1, 1),
        (NEXT, "keys", 1, 1),
        (NEXT, "quarantine", 1, 1),
        (NEXT, "raw", 1, 1),
        (LAST, "keys", 1, 1),
    ]
    done = shop.forget(pipeline)
    assert not done.left
    assert shop.telling() == []
    assert [shop.rows("sales", day) for day in DAYS] == [[("ben", 2.0)], [("cleo", 4.0)], [("dora", 6.0)]]
    assert {slot.interval.label for slot in done.collected if slot.dataset == "sales"} == set(DAYS)
    assert shop.forget(pipeline).outlook.is_nothing
    assert all(receipt.state == "cached" for receipt in shop.run(*DAYS, pipeline=pipeline).values())


def test_what_reads_rows_that_stay_the_same_is_not_made_again(shop: Shop) -> None:
    pipeline = once(shop, "who")
    put(shop, "anna@a.org,1 ben,2", "cleo,4", "dora,6")
    shop.run(*DAYS, pipeline=pipeline)
    done = shop.forget(pipeline)
    assert not done.left
    assert shop.telling() == []
    assert [versions(shop, "spending", day) for day in DAYS] == [(1, 2), (1,), (1,)]
    assert shop.rows("spending", LAST) == [("dora", 6.0)]


def test_a_record_that_was_in_quarantine_is_remembered_by_nobody(shop: Shop) -> None:
    pipeline = once(shop, "who")
    put(shop, "anna@a.org,oops ben,2", "cleo,4", "dora,6")
    shop.run(*DAYS, pipeline=pipeline)
    assert not shop.forget(pipeline).left
    assert shop.telling() == []
    assert [versions(shop, "sales", day) for day in DAYS] == [(1, 2), (1,), (1,)]


def test_versions_of_before_hold_it_too(shop: Shop) -> None:
    pipeline = once(shop, "who")
    put(shop, "anna@a.org,1 ben,2", "cleo,4", "dora,6")
    shop.run(*DAYS, pipeline=pipeline)
    put(shop, "ben,2", "cleo,4 eve,5", "dora,6")
    shop.run(*DAYS, pipeline=pipeline)
    assert held(shop, pipeline)[-2:] == [(NEXT, "keys", 1, 1), (LAST, "keys", 1, 1)]
    assert not shop.forget(pipeline).left
    assert shop.telling() == []
    assert [versions(shop, "sales", day) for day in DAYS] == [(1, 2)] * 3


def test_keys_are_searched_where_what_they_came_from_was_collected(shop: Shop) -> None:
    pipeline = once(shop, "who")
    put(shop, "anna@a.org,1 ben,2", "cleo,4", "dora,6")
    shop.run(*DAYS, pipeline=pipeline)
    put(shop, "ben,2", "cleo,4", "dora,6")
    shop.run(DAY, pipeline=pipeline)
    session = shop.session(pipeline)
    first = Slot("shop", "sales", session.graph.grid.at(parse_time(DAY)), 1)
    collect(session.lake, plan_erasure(session.lake, "shop", {first}))
    assert held(shop, pipeline) == [(NEXT, "keys", 1, 1), (LAST, "keys", 1, 1)]
    assert not shop.forget(pipeline).left
    assert shop.telling() == []


def test_what_was_rejected_because_of_their_record_is_kept_as_if_it_had_never_come(shop: Shop) -> None:
    pipeline = once(shop, "price")
    put(shop, "anna@a.org,1 ben,2", "cleo,1 ben,2", "dora,1")
    shop.run(*DAYS, pipeline=pipeline)
    assert [shop.rows("sales", day) for day in DAYS] == [[("anna@a.org", 1.0), ("ben", 2.0)], [], []]
    shop.put(b"Who,Price\neve,9\n", f"{NEXT}.csv")  # what lies at the origin by now is for the next run
    assert not shop.forget(pipeline).left
    assert shop.telling() == []
    assert [shop.rows("sales", day) for day in DAYS] == [[("ben", 2.0)], [("cleo", 1.0)], []]
    assert shop.rows("spending", NEXT) == [("cleo", 1.0)]


def test_beyond_what_a_key_reaches_nothing_is_made_again(shop: Shop) -> None:
    pipeline = once(shop, "who", over="2d")
    put(shop, "anna@a.org,1 ben,2", "cleo,4", "dora,6")
    shop.put(b"Who,Price\neve,9\n", "2026-05-04.csv")
    days = (*DAYS, "2026-05-04")
    shop.run(*days, pipeline=pipeline)
    assert held(shop, pipeline)[-1][0] == NEXT
    assert not shop.forget(pipeline).left
    assert shop.telling() == []
    assert [versions(shop, "sales", day) for day in days] == [(1, 2), (1, 2), (1, 2), (1,)]
    assert all(receipt.state == "cached" for receipt in shop.run(*days, pipeline=pipeline).values())


def test_a_key_of_columns_is_found_by_the_name_that_one_of_them_has_in_the_files(shop: Shop) -> None:
    pipeline = shop.pipeline(unique=[hr.unique("price", over="history"), hr.unique("price", "who", over="history")], max_rejected=1.0)
    put(shop, "anna@a.org,1 ben,2", "cleo,4", "dora,6")
    shop.run(*DAYS, pipeline=pipeline)
    by_both = shop.look(pipeline, Who=ANNA.decode(), price="1").holding.holders
    assert [one.slot.interval.label for one in by_both if one.part == "keys"] == list(DAYS)
    assert [one[:2] for one in held(shop, pipeline) if one[1] == "keys"] == [(day, "keys") for day in DAYS]
    assert not shop.forget(pipeline).left
    assert shop.telling() == []


def test_an_interval_that_remembers_other_keys_than_are_declared_by_now_is_searched_by_its_own(shop: Shop) -> None:
    put(shop, "anna@a.org,1 ben,2", "cleo,4", "dora,6")
    shop.run(*DAYS, pipeline=once(shop, "who"))
    other = once(shop, "price")
    shop.run(DAY, pipeline=other)
    assert held(shop, other)[-1] == (LAST, "keys", 1, 1)
    assert not shop.forget(other).left
    assert shop.telling() == []


def test_where_the_past_was_made_with_other_keys_what_can_not_be_made_again_is_said_and_goes_on_when_it_was(shop: Shop) -> None:
    put(shop, "ben,2", "anna@a.org,1", "dora,6")
    shop.run(*DAYS, pipeline=once(shop, "who"))
    other = once(shop, "price")
    left = "\n".join(shop.forget(other).left)
    assert f"shop.sales [{NEXT}, {LAST}) v1 could not be made again: source `sales` ({NEXT}) has a key that is unique over history" in left
    assert "was made when other keys, or of other types, were declared" in left
    assert any("keys" in path for path in shop.telling())
    shop.run(DAY, pipeline=other)
    assert not shop.forget(other).left
    assert shop.telling() == []
