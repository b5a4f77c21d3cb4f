"""Attempts: their files, their number, and what happens when the store does not answer."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from headrace.backends.stores.memory import MemoryStore
from headrace.core.errors import DamageError, LakeError, TransientError, UnknownNameError
from headrace.core.interval import Interval
from headrace.core.manifest import Content, Manifest
from headrace.lake.files import VanishedError
from headrace.lake.lake import Lake
from headrace.lake.log import DatasetLog

Make = Callable[..., Manifest]


class Deaf(MemoryStore):
    """Answers the first puts of entries with an error, after doing what was asked, or not."""

    def __init__(self, *, does: list[bool]) -> None:
        super().__init__()
        self.does = does

    def create(self, key: str, data: bytes) -> bool:
        if key.startswith("log/") and self.does:
            if self.does.pop(0):
                super().create(key, data)
            raise TransientError("no answer")
        return super().create(key, data)


def deaf_log(*does: bool) -> tuple[Deaf, DatasetLog]:
    store = Deaf(does=list(does))
    return store, Lake.open(store, clock=lambda: datetime(2026, 11, 20, tzinfo=UTC)).log("shop", "sums")


def test_parts_in_several_layers_are_described_by_one_manifest(log: DatasetLog, lake: Lake, hour: Interval) -> None:
    attempt = log.attempt(hour)
    for number, text in enumerate((b"first", b"second")):
        attempt.file("rows", layer="silver", number=number).write_bytes(text)
    attempt.file("raw", layer="bronze", name="export of monday.csv.gz").write_bytes(b"raw")
    rows = attempt.part("rows", "silver", file_rows=[3, 4])
    made = attempt.commit(Content("data", parts=(rows, attempt.part("raw", "bronze"))), {"host": "mine", "note": "x"})
    assert (rows.rows, [file.name for file in rows.files]) == (7, ["rows-0000.parquet", "rows-0001.parquet"])
    assert [path.read_bytes() for path in lake.read_paths(made, "rows", verify=True)] == [b"first", b"second"]
    assert lake.read_paths(made, "raw")[0].read_bytes() == b"raw"
    assert (made.receipt["note"], made.base, made.receipt["created_at"]) == ("x", 0, "2026-11-20T12:00:00Z")
    assert made.receipt["host"] != "mine", "an attempt's own fields are not the caller's to set"
    assert log.manifest(hour, 1).to_json() == made.to_json()


def test_digests_that_are_known_are_not_computed_again(log: DatasetLog, hour: Interval) -> None:
    attempt = log.attempt(hour)
    attempt.file("rows", layer="gold").write_bytes(b"x")
    assert attempt.part("rows", "gold", sha256=["ab" * 32]).files[0].sha256 == "ab" * 32


def test_a_copied_file_keeps_its_digest_and_rows_and_outlives_the_old_one(
    log: DatasetLog, lake: Lake, hour: Interval, make: Make, store: MemoryStore
) -> None:
    old = make(log, hour).content.parts[0].files[0]
    attempt = log.attempt(hour)
    attempt.copy(old, "rows", layer="gold")
    part = attempt.part("rows", "gold")
    made = attempt.commit(Content("data", parts=(part,)))
    store.delete(old.key)
    assert (part.files[0].sha256, part.rows) == (old.sha256, old.rows)
    assert lake.read_paths(made, verify=True)[0].read_bytes() == b"rows"


def test_copying_what_was_collected_is_said(log: DatasetLog, hour: Interval, make: Make, store: MemoryStore) -> None:
    old = make(log, hour).content.parts[0].files[0]
    store.delete(old.key)
    with pytest.raises(VanishedError, match=r"was to be copied into version 2"):
        log.attempt(hour).copy(old, "rows", layer="gold")


def test_a_file_that_was_never_written_is_named(log: DatasetLog, hour: Interval) -> None:
    attempt = log.attempt(hour)
    attempt.file("rows", layer="gold")
    with pytest.raises(LakeError, match=r"rows-0000.parquet` was staged for version 1 of shop.sums and never written"):
        attempt.part("rows", "gold")


def test_a_commit_names_all_its_files_and_no_others(log: DatasetLog, hour: Interval, make: Make) -> None:
    other = make(log, hour).content.parts
    with pytest.raises(ValueError, match=r"its own staged files"):
        log.attempt(hour).commit(Content("data", parts=other))
    attempt = log.attempt(hour)
    attempt.file("rows", layer="gold").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"its own staged files"):
        attempt.commit(Content("data"))


def test_the_same_name_twice_and_a_name_with_a_slash_are_refused(log: DatasetLog, hour: Interval) -> None:
    attempt = log.attempt(hour)
    attempt.file("rows", layer="gold")
    with pytest.raises(ValueError, match=r"already has a file 'rows-0000.parquet' in gold"):
        attempt.file("rows", layer="gold")
    with pytest.raises(ValueError, match=r"it has a slash"):
        attempt.file("rows", layer="gold", name="a/b")


def test_an_attempt_is_committed_once(log: DatasetLog, hour: Interval) -> None:
    attempt = log.attempt(hour)
    attempt.commit(Content("data"))
    with pytest.raises(ValueError, match=r"committed once, and this one is won"):
        attempt.commit(Content("data"))


def test_a_put_whose_answer_was_lost_is_found_by_its_nonce(hour: Interval) -> None:
    _, log = deaf_log(True)
    assert log.attempt(hour).commit(Content("data")).version == 1
    assert log.versions_of(hour) == (1,)


def test_a_put_that_did_not_land_is_put_again(hour: Interval) -> None:
    _, log = deaf_log(False, False)
    assert log.attempt(hour).commit(Content("data")).version == 1


def test_an_unknown_outcome_leaves_the_files_even_when_told_to_discard(hour: Interval) -> None:
    store, log = deaf_log(False, False, False)
    attempt = log.attempt(hour)
    attempt.file("rows", layer="gold").write_bytes(b"x")
    with pytest.raises(TransientError, match=r"not known whether it is there"):
        attempt.commit(Content("data", parts=(attempt.part("rows", "gold"),)))
    attempt.discard()
    assert len(list(store.keys("gold/"))) == 1


def test_a_winner_keeps_its_files_when_told_to_discard(log: DatasetLog, lake: Lake, hour: Interval) -> None:
    attempt = log.attempt(hour)
    attempt.file("rows", layer="gold").write_bytes(b"x")
    made = attempt.commit(Content("data", parts=(attempt.part("rows", "gold"),)))
    attempt.discard()
    assert lake.read_paths(made, verify=True)


def test_an_error_that_is_not_passing_is_not_tried_again(hour: Interval, log: DatasetLog, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []

    def full(key: str, data: bytes) -> bool:
        tries.append(key)
        raise LakeError("no space left")

    monkeypatch.setattr(log._store, "create", full)
    with pytest.raises(LakeError, match=r"no space left"):
        log.attempt(hour).commit(Content("data"))
    assert len(tries) == 1


def test_a_changed_file_is_damage(log: DatasetLog, lake: Lake, hour: Interval, make: Make, store: MemoryStore) -> None:
    made = make(log, hour, "rows")
    key = made.content.parts[0].files[0].key
    store.path(key).write_bytes(b"wors")
    assert lake.read_paths(made)
    with pytest.raises(DamageError, match=r"has the SHA-256"):
        lake.read_paths(made, verify=True)
    store.path(key).write_bytes(b"longer")
    with pytest.raises(DamageError, match=r"has 6 bytes, and the manifest says 4.*headrace clear shop.sums"):
        lake.read_paths(made)


def test_an_unknown_part_is_named_with_the_nearest(log: DatasetLog, lake: Lake, hour: Interval, make: Make) -> None:
    with pytest.raises(UnknownNameError, match=r"has no part `row`. Did you mean `rows`"):
        lake.read_paths(make(log, hour), "row")
