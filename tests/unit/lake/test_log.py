"""The log of a dataset: versions, what is current, commits, adoption, clearing, retention."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from headrace.backends.stores.memory import MemoryStore
from headrace.core.errors import (
    DamageError,
    LakeError,
    LostRaceError,
    NewerFormatError,
    NotReadyError,
    TransientError,
    UnknownNameError,
)
from headrace.core.interval import Interval
from headrace.core.manifest import Content, InputRef, Manifest
from headrace.lake.commit import Lost
from headrace.lake.files import VanishedError
from headrace.lake.lake import Lake
from headrace.lake.layout import slot_key
from headrace.lake.log import DatasetLog

Make = Callable[..., Manifest]


def test_the_first_commit_is_version_one_and_the_next_is_two(log: DatasetLog, hour: Interval, make: Make) -> None:
    assert [make(log, hour, "a").version, make(log, hour, "b").version] == [1, 2]
    assert log.versions() == {hour: (1, 2)}
    assert [manifest.content.fingerprint for manifest in log.history(hour)] == ["a", "b"]
    assert log.current(hour).base == 1


def test_nothing_made_has_no_current(log: DatasetLog, hour: Interval) -> None:
    assert log.current(hour) is None
    assert log.versions() == {}
    assert log.history(hour) == []


def test_a_fence_is_not_current(log: DatasetLog, hour: Interval, make: Make) -> None:
    made = make(log, hour)
    log.fence(hour, 2, why="test")
    assert log.current(hour) == made
    assert log.versions_of(hour) == (1, 2)
    assert make(log, hour, "again").version == 3


def test_a_fence_on_a_slot_that_is_taken_changes_nothing(log: DatasetLog, hour: Interval, make: Make) -> None:
    made = make(log, hour)
    assert log.fence(hour, 1, why="test") == made


def test_versions_of_a_window_are_of_the_intervals_that_start_in_it(log: DatasetLog, make: Make) -> None:
    days = [Interval.of(f"2026-{month}-01", f"2026-{month}-02") for month in ("10", "11", "12")]
    for day in days:
        make(log, day)
    assert list(log.versions(Interval.of("2026-10-15", "2026-12-01"))) == days[1:2]
    assert list(log.versions(Interval.of("2026-10-01", "2026-12-02"))) == days
    assert list(log.versions()) == days


def test_intervals_of_different_lengths_do_not_mix(log: DatasetLog, hour: Interval, make: Make) -> None:
    quarter, day = Interval.of("2026-11-20T08:00", "2026-11-20T08:15"), Interval.of("2026-11-20", "2026-11-21")
    for interval in (hour, quarter, day):
        assert make(log, interval).version == 1
    assert list(log.versions()) == [day, quarter, hour]


def test_a_version_that_is_not_there_is_named(log: DatasetLog, hour: Interval) -> None:
    with pytest.raises(UnknownNameError, match=r"shop\.sums \[2026-11-20T08, 2026-11-20T09\) has no version 7 in memory:"):
        log.manifest(hour, 7)


def test_an_entry_moved_by_hand_is_damage(log: DatasetLog, hour: Interval, make: Make, store: MemoryStore, lake: Lake) -> None:
    make(log, hour)
    store.create(slot_key("shop", "other", hour, 1), store.get(slot_key("shop", "sums", hour, 1)))
    with pytest.raises(DamageError, match=r"holds the manifest of shop.sums"):
        lake.log("shop", "other").current(hour)


def test_a_writer_stops_at_an_entry_of_a_newer_format(log: DatasetLog, hour: Interval, make: Make, store: MemoryStore) -> None:
    make(log, hour)
    store.create(slot_key("shop", "sums", hour, 2), b'{"content":{"format":99}}')
    with pytest.raises(NewerFormatError):
        log.attempt(hour)
    assert log.versions_of(hour) == (1, 2)


# ---------------------------------------------------------------- owners


def test_the_same_claim_again_is_fine_and_another_names_both(log: DatasetLog) -> None:
    log.claim({"step": "table", "grid": "1h"})
    log.claim({"grid": "1h", "step": "table"})
    with pytest.raises(LakeError, match=r"shop\.sums in memory: belongs to grid 1h, step table, and this is grid 1d, step table"):
        log.claim({"step": "table", "grid": "1d"})


# ---------------------------------------------------------------- commits


def test_work_that_returns_nothing_adopts_what_is_current(log: DatasetLog, hour: Interval, make: Make) -> None:
    made = make(log, hour)
    assert log.commit(hour, lambda attempt, current: None) == made
    assert log.versions_of(hour) == (1,)
    with pytest.raises(ValueError, match=r"no version of shop.sums"):
        log.commit(Interval.of("2026-11-21", "2026-11-22"), lambda attempt, current: None)


def test_work_that_fails_leaves_nothing(log: DatasetLog, hour: Interval, store: MemoryStore) -> None:
    def work(attempt, current):
        attempt.file("rows", layer="gold").write_bytes(b"half")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        log.commit(hour, work)
    assert list(store.keys("gold/")) == []
    assert log.versions() == {}


def test_a_loser_adopts_equal_work_and_deletes_its_own(log: DatasetLog, hour: Interval, make: Make, store: MemoryStore) -> None:
    def work(attempt, current):
        if current is None:
            make(log, hour, "same")
        attempt.file("rows", layer="gold").write_bytes(b"same")
        return Content("data", parts=(attempt.part("rows", "gold"),), fingerprint="same"), {}

    adopted = log.commit(hour, work)
    assert (adopted.version, log.versions_of(hour)) == (1, (1,))
    assert list(store.keys("gold/")) == [adopted.content.parts[0].files[0].key]


def test_a_loser_of_other_work_starts_over_with_a_new_base(log: DatasetLog, hour: Interval, make: Make) -> None:
    bases = []

    def work(attempt, current):
        bases.append(attempt.base)
        if current is None:
            make(log, hour, "theirs")
        attempt.file("rows", layer="gold").write_bytes(b"mine")
        return Content("data", parts=(attempt.part("rows", "gold"),), fingerprint="mine"), {}

    assert log.commit(hour, work).version == 2
    assert bases == [0, 1]


def test_three_losses_are_a_transient_error(log: DatasetLog, hour: Interval, make: Make) -> None:
    def work(attempt, current):
        make(log, hour, f"theirs {attempt.base}")
        return Content("data", fingerprint="mine"), {}

    with pytest.raises(LostRaceError, match=r"first at shop.sums .* 3 times. Run again") as caught:
        log.commit(hour, work)
    assert caught.value.is_transient
    assert log.versions_of(hour) == (1, 2, 3)


def test_work_whose_files_were_collected_meanwhile_starts_over(log: DatasetLog, hour: Interval) -> None:
    def work(attempt, current):
        if attempt.base == 0:
            log.fence(hour, 1, why="a collection")
            raise FileNotFoundError
        return Content("data", fingerprint="mine"), {}

    assert log.commit(hour, work).version == 2


def test_an_attempt_that_lost_names_the_winner(log: DatasetLog, hour: Interval, make: Make) -> None:
    attempt = log.attempt(hour)
    made = make(log, hour)
    assert attempt.rival() == made
    with pytest.raises(Lost, match=r"Another writer committed shop.sums") as caught:
        attempt.commit(Content("data"))
    assert caught.value.winner == made


def test_a_version_is_never_made_from_an_older_input_than_the_one_before(log: DatasetLog, lake: Lake, hour: Interval, make: Make) -> None:
    source = lake.log("shop", "purchases")
    old, new = make(source, hour, "a"), make(source, hour, "b")

    def commit(made_from: Manifest) -> Manifest:
        ref = InputRef.of("shop.purchases", hour, [(hour, made_from.version, made_from.content.digest)])
        return log.commit(hour, lambda attempt, _: (Content("data", fingerprint=str(attempt.base), inputs=(ref,)), {}))

    commit(new)
    with pytest.raises(TransientError, match=r"from shop.purchases .* v1, but v1 was made from v2 of it: the listing that was used is old"):
        commit(old)
    assert commit(new).version == 2


# ---------------------------------------------------------------- reading


def test_a_reader_lists_again_when_a_file_is_gone(log: DatasetLog, hour: Interval, make: Make) -> None:
    make(log, hour, "a")

    def use(manifest: Manifest) -> str:
        if manifest.version == 1:
            make(log, hour, "b")
            raise VanishedError("gone")
        return manifest.content.fingerprint

    assert log.read(hour, use) == "b"


def test_a_reader_that_is_overtaken_three_times_says_so(log: DatasetLog, hour: Interval, make: Make) -> None:
    make(log, hour, "0")

    def use(manifest: Manifest) -> None:
        make(log, hour, str(manifest.version))
        raise VanishedError("gone")

    with pytest.raises(TransientError, match=r"Each of 3 versions of shop.sums"):
        log.read(hour, use)


def test_a_current_version_whose_files_are_gone_is_damage(
    log: DatasetLog, lake: Lake, hour: Interval, make: Make, store: MemoryStore
) -> None:
    store.delete(make(log, hour).content.parts[0].files[0].key)
    with pytest.raises(DamageError, match=r"names `gold/shop/sums/.*deleted by hand"):
        log.read(hour, lambda manifest: lake.read_paths(manifest))


def test_what_cannot_be_read_says_why(log: DatasetLog, hour: Interval, make: Make) -> None:
    with pytest.raises(NotReadyError, match=r"has not been made in memory:. Make it: headrace run --at 2026-11-20T08"):
        log.read(hour, lambda manifest: manifest)
    make(log, hour)
    log.clear(hour, why="wrong", who="ada")
    with pytest.raises(NotReadyError, match=r"was cleared in version 2"):
        log.read(hour, lambda manifest: manifest)
    log.expire(hour, why="old", who="ada")
    with pytest.raises(NotReadyError, match=r"gone by retention since version 3"):
        log.read(hour, lambda manifest: manifest)


def test_clearing_twice_adds_one_entry_and_says_who(log: DatasetLog, hour: Interval, make: Make) -> None:
    make(log, hour)
    cleared = log.clear(hour, why="wrong", who="ada")
    assert log.clear(hour, why="again", who="bob") == cleared
    assert cleared.content.details == {"why": "wrong", "who": "ada"}
    assert log.current(hour).kind == "cleared"


def test_what_was_never_made_cannot_be_cleared(log: DatasetLog, hour: Interval) -> None:
    with pytest.raises(UnknownNameError, match=r"nothing to mark as cleared"):
        log.clear(hour, why="wrong", who="ada")
