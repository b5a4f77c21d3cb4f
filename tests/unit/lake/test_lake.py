"""The lake's own record, and what is in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from headrace.backends.stores import memory
from headrace.backends.stores.memory import MemoryStore
from headrace.core.errors import DamageError, LakeError, NewerFormatError, UnknownNameError
from headrace.core.interval import Interval
from headrace.core.manifest import Manifest
from headrace.lake.chain import Decision
from headrace.lake.lake import Lake


def open_lake(store: MemoryStore, *, read_only: bool = False) -> Lake:
    return Lake.open(store, clock=lambda: pytest.fail("nobody asked for the time"), read_only=read_only)


def test_the_first_opening_makes_the_record_and_the_next_finds_it(store: MemoryStore) -> None:
    assert open_lake(store).uri == "memory:"
    assert store.get("headrace.json") == b'{"format":1,"oldest_reader":1}'
    open_lake(store)
    open_lake(store, read_only=True)


def test_a_reader_makes_no_lake(store: MemoryStore) -> None:
    with pytest.raises(UnknownNameError, match=r"There is no lake at memory:"):
        open_lake(store, read_only=True)
    assert list(store.keys("")) == []


@pytest.mark.parametrize(("written", "oldest", "may_read"), [(2, 1, True), (2, 2, False)])
def test_a_newer_lake_is_not_written_and_read_only_if_it_allows_that(
    *, written: int, oldest: int, may_read: bool, store: MemoryStore
) -> None:
    store.create("headrace.json", b'{"format":%d,"oldest_reader":%d}' % (written, oldest))
    with pytest.raises(NewerFormatError, match=f"has format {written} .* Upgrade headrace here. Nothing was written"):
        open_lake(store)
    if may_read:
        open_lake(store, read_only=True)
    else:
        with pytest.raises(NewerFormatError):
            open_lake(store, read_only=True)


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"format":"x","oldest_reader":1}', b"null"])
def test_another_record_is_damage(data: bytes, store: MemoryStore) -> None:
    store.create("headrace.json", data)
    with pytest.raises(DamageError, match=r"is not a lake's record"):
        open_lake(store)


def test_datasets_and_chains_are_listed_in_order(lake: Lake, hour: Interval, make: Callable[..., Manifest]) -> None:
    for pipeline, dataset in (("shop", "sums"), ("shop", "sums.refused"), ("shop", "sum"), ("a", "_runs")):
        log = lake.log(pipeline, dataset)
        log.claim({"step": dataset})
        files = make(log, hour, dataset, "models").content.parts[0].files
    lake.chain("shop", "groups").append(Decision("promote", hour, 1, "d", "run", "so"), after=None, files=files)
    assert sorted(lake.datasets()) == ["a._runs", "shop.sum", "shop.sums", "shop.sums.refused"]
    assert sorted(lake.datasets("shop")) == ["shop.sum", "shop.sums", "shop.sums.refused"]
    assert lake.chains() == lake.chains("shop") == ["shop.groups"]
    assert lake.datasets("none") == []


def test_a_log_is_the_same_object_each_time(lake: Lake) -> None:
    assert lake.log("shop", "sums") is lake.log("shop", "sums")
    with pytest.raises(ValueError, match=r"can't be the name of a pipeline"):
        lake.log("shop.sums", "x")


def test_listing_datasets_does_not_list_their_slots(lake: Lake, make: Callable[..., Manifest], monkeypatch: pytest.MonkeyPatch) -> None:
    for hour in range(20):
        make(lake.log("shop", "sums"), Interval.of(f"2026-11-20T{hour:02d}", f"2026-11-20T{hour + 1:02d}"))
    listings, keys = [], memory.MemoryStore.keys
    monkeypatch.setattr(memory.MemoryStore, "keys", lambda *args, **more: listings.append(args) or keys(*args, **more))
    assert lake.datasets() == ["shop.sums"]
    assert len(listings) == 2


def test_a_dataset_is_known_by_its_own_log_alone(store: MemoryStore, lake: Lake, hour: Interval, make: Callable[..., Manifest]) -> None:
    make(lake.log("shop", "sums"), hour)
    listed: list[str] = []
    keys = store.keys
    store.keys = lambda prefix, *, start_after="": listed.append(prefix) or keys(prefix, start_after=start_after)  # type: ignore[method-assign, func-returns-value]
    assert [lake.has("shop", name) for name in ("sums", "sum", "no name", "")] == [True, False, False, False]
    assert listed == ["log/shop/sums/", "log/shop/sum/"]


def test_who_may_not_list_the_lake_gets_no_names_for_a_hint(store: MemoryStore, lake: Lake) -> None:
    def refused(prefix: str, *, start_after: str = "") -> Iterator[str]:
        raise LakeError(f"{prefix} may not be listed")

    assert lake.names_for_hint() == []
    store.keys = refused  # type: ignore[method-assign]
    assert lake.names_for_hint() is None
