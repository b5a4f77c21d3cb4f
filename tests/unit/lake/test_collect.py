"""Collections: what is kept, what goes, and why."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.backends.stores import local, memory
from headrace.backends.stores.memory import MemoryStore
from headrace.core.interval import Interval
from headrace.core.manifest import Content, Manifest
from headrace.lake.chain import Decision
from headrace.lake.collect import collect, plan_collection
from headrace.lake.lake import Lake
from headrace.lake.layout import Slot, attempt_folder
from headrace.lake.log import DatasetLog

Make = Callable[..., Manifest]


def texts(store: MemoryStore, layer: str = "gold") -> list[bytes]:
    return [store.get(key) for key in store.keys(f"{layer}/")]


def test_the_current_version_and_the_last_before_it_are_kept(
    lake: Lake, log: DatasetLog, hour: Interval, make: Make, store: MemoryStore
) -> None:
    for text in ("a", "b", "c", "d"):
        make(log, hour, text)
    plan = plan_collection(lake, keep=1)
    assert [(leftover.of.version, leftover.reason) for leftover in plan.leftovers] == [(1, "superseded"), (2, "superseded")]
    assert plan.size_bytes == 2
    assert texts(store) == [b"a", b"b", b"c", b"d"], "a plan deletes nothing"
    assert collect(lake, plan) == plan
    assert texts(store) == [b"c", b"d"]
    assert log.versions_of(hour) == (1, 2, 3, 4), "entries stay"
    assert plan_collection(lake, keep=1).leftovers == ()


def test_what_is_pinned_is_kept(lake: Lake, log: DatasetLog, hour: Interval, make: Make, store: MemoryStore) -> None:
    for text in ("a", "b", "c"):
        make(log, hour, text)
    collect(lake, plan_collection(lake, keep=0, pinned=[Slot("shop", "sums", hour, 1)]))
    assert texts(store) == [b"a", b"c"]


def test_what_was_cleared_can_be_gone_back_to_and_what_expired_is_gone(
    lake: Lake, log: DatasetLog, hour: Interval, make: Make, store: MemoryStore
) -> None:
    make(log, hour, "a")
    log.clear(hour, why="wrong", who="ada")
    collect(lake, plan_collection(lake, keep=1))
    assert texts(store) == [b"a"]
    log.expire(hour, why="old", who="ada")
    collect(lake, plan_collection(lake, keep=1))
    assert texts(store) == []


def test_an_attempt_without_an_entry_is_fenced_and_deleted_and_its_writer_starts_over(
    lake: Lake, log: DatasetLog, hour: Interval, store: MemoryStore
) -> None:
    collected = []

    def work(attempt, current):
        attempt.file("rows", layer="gold").write_bytes(b"slow")
        part = attempt.part("rows", "gold")
        if not collected:
            store.publish([part.files[0].key])
            plan = plan_collection(lake)
            collected.append(plan.leftovers[0].reason)
            collect(lake, plan)
        return Content("data", parts=(part,), fingerprint="x"), {}

    made = log.commit(hour, work)
    assert (made.version, made.base, collected) == (2, 1, ["unfinished"])
    assert log.history(hour)[0].kind == "fence"
    assert texts(store) == [b"slow"]


def test_an_attempt_that_became_an_entry_since_the_plan_is_left(lake: Lake, log: DatasetLog, hour: Interval, store: MemoryStore) -> None:
    attempt = log.attempt(hour)
    attempt.file("rows", layer="gold").write_bytes(b"just in time")
    part = attempt.part("rows", "gold")
    store.publish([part.files[0].key])
    plan = plan_collection(lake)
    made = attempt.commit(Content("data", parts=(part,)))
    assert collect(lake, plan).leftovers == ()
    assert log.current(hour) == made
    assert texts(store) == [b"just in time"]


def test_the_files_of_a_loser_go(lake: Lake, log: DatasetLog, hour: Interval, make: Make, store: MemoryStore) -> None:
    attempt = log.attempt(hour)
    attempt.file("rows", layer="gold").write_bytes(b"lost")
    store.publish([attempt.part("rows", "gold").files[0].key])
    make(log, hour, "won")
    plan = plan_collection(lake)
    assert [leftover.reason for leftover in plan.leftovers] == ["lost"]
    collect(lake, plan)
    assert texts(store) == [b"won"]


def test_a_folder_far_ahead_of_its_log_is_not_fenced(lake: Lake, log: DatasetLog, hour: Interval, store: MemoryStore) -> None:
    store.create(f"{attempt_folder('gold', 'shop', 'sums', hour, 9, '9f' * 16)}/rows", b"made by hand")
    store.create("gold/notes.txt", b"not ours")
    assert plan_collection(lake).leftovers == ()


def test_young_attempts_are_left_alone(tmp_path: Path, hour: Interval) -> None:
    now = datetime.now(UTC)
    lake = Lake.open(local.open(str(tmp_path)), clock=lambda: now)
    lake.log("shop", "sums").attempt(hour).file("rows", layer="gold").write_bytes(b"at work")
    assert plan_collection(lake).leftovers == ()
    later = Lake.open(lake.store, clock=lambda: now + timedelta(days=2))
    assert [leftover.reason for leftover in plan_collection(later).leftovers] == ["unfinished"]


def test_the_last_champions_are_kept_and_one_on_its_way_too(lake: Lake, make: Make, store: MemoryStore) -> None:
    chain, log = lake.chain("shop", "groups"), lake.log("shop", "groups")
    for day in range(1, 6):
        interval = Interval.of(f"2026-11-{day:02d}", f"2026-11-{day + 1:02d}")
        files = make(log, interval, f"model {day}", "models").content.parts[0].files
        chain.append(Decision("promote", interval, 1, "d", "run", "so"), after=chain.head(), files=files)
    store.create(f"champions/shop/groups/00000006-{'9f' * 16}/m", b"on its way")
    store.create(f"champions/shop/groups/00000003-{'9f' * 16}/m", b"lost")
    collect(lake, plan_collection(lake, champions=2))
    assert texts(store, "champions") == [b"model 4", b"model 5", b"on its way"]
    assert chain.champion().number == 5


@given(st.lists(st.sampled_from(["data", "fence", "cleared", "expired", "lost"]), max_size=8), st.integers(0, 3))
def test_a_collection_deletes_all_but_what_is_kept(kinds: list[str], keep: int) -> None:
    """Against a plain reading of the rule, for any history."""
    store = memory.open()
    lake = Lake.open(store, clock=lambda: datetime(2026, 11, 20, tzinfo=UTC))
    log, interval = lake.log("shop", "sums"), Interval.of("2026-11-20", "2026-11-21")
    for kind in kinds:
        attempt = log.attempt(interval)
        if kind in ("data", "lost"):
            attempt.file("rows", layer="gold").write_bytes(b"x")
        parts = (attempt.part("rows", "gold"),) if attempt._staged else ()
        if kind == "lost":
            store.publish([parts[0].files[0].key])
        else:
            attempt.commit(Content(kind, parts=parts))
    standing = [manifest for manifest in log.history(interval) if manifest.kind != "fence"]
    before = [manifest for manifest in standing[:-1] if manifest.kind == "data"]
    kept = standing[-1:] + (before[-keep:] if keep and standing[-1].kind != "expired" else []) if standing else []
    collect(lake, plan_collection(lake, keep=keep))
    assert sorted(store.keys("gold/")) == sorted(file.key for manifest in kept for part in manifest.content.parts for file in part.files)
    store.close()


@pytest.mark.parametrize("keep", [0, 1])
def test_collecting_twice_is_the_same_as_once(
    keep: int, lake: Lake, log: DatasetLog, hour: Interval, make: Make, store: MemoryStore
) -> None:
    for text in ("a", "b", "c"):
        make(log, hour, text)
    plan = plan_collection(lake, keep=keep)
    collect(lake, plan)
    left = texts(store)
    collect(lake, plan)
    assert texts(store) == left
