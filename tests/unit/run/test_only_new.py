"""A source that takes each file once: what an interval takes, what it leaves, what it is made of again, and what it needs."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from labs import going_on, planned, said
from pydantic import BaseModel

import headrace as hr
from headrace.core.errors import ConfigurationError, DamageError, NotReadyError, PipelineError, SourceError
from headrace.core.past import needs_past
from headrace.core.ports import RawFile
from headrace.core.taken import choose, pack, unpack
from headrace.run.inputs import missing_inputs
from headrace.run.task import look, take
from headrace.testing import Lab

D1, D2, D3, D4 = "2026-01-01", "2026-01-02", "2026-01-03", "2026-01-04"


class Sale(BaseModel):
    item: str


class SaleAndNote(BaseModel):
    item: str
    note: str | None = None


class Inbox:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def drop(self, name: str, item: str, at: str) -> Path:
        path = self.folder / name
        path.write_text(f"item\n{item}\n")
        time = datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp()
        os.utime(path, (time, time))
        return path

    def pipeline(self, contract: type[BaseModel] = Sale, pattern: str = "*.csv", *, start: str = D1, **options: Any) -> hr.Pipeline:
        shop = hr.Pipeline("shop", schedule="@daily", start=start)
        shop.source("sales", hr.csv(str(self.folder / pattern), only_new=True), contract=contract, **options)
        return shop


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    return Inbox(tmp_path / "inbox")


def items(lab: Lab, day: str) -> list[str]:
    return [row["item"] for row in lab.read("sales", day)]


def current(lab: Lab, day: str) -> Any:
    return lab._lake.log("shop", "sales").current(lab.interval(day))


# ---------------------------------------------------------------- what an interval takes


def test_each_interval_takes_what_was_written_before_its_end_and_was_not_taken(inbox: Inbox) -> None:
    inbox.drop("a.csv", "tea", "2025-12-24T10:00")
    inbox.drop("b.csv", "salt", "2026-01-01T10:00")
    inbox.drop("c.csv", "rice", "2026-01-02T10:00")
    lab = Lab(inbox.pipeline())
    (first,) = lab.run(D1)
    assert (first.rows_kept, items(lab, D1)) == (2, ["tea", "salt"])
    assert first.notes == (f"`{inbox.folder}/c.csv` came at or after 2026-01-02T00:00:00Z and is left for the next interval",)
    assert first.why == "2 new, 1 left for the next interval"
    (second,) = lab.run(D2)
    assert (items(lab, D2), second.why, second.notes) == (["rice"], "1 new", ())
    assert current(lab, D2).receipt["origin"]["new"] == 1


def test_what_is_written_on_the_stroke_of_the_end_is_of_the_next_interval(inbox: Inbox) -> None:
    inbox.drop("a.csv", "tea", "2026-01-01T23:59:59.999")
    inbox.drop("b.csv", "salt", "2026-01-02T00:00")
    lab = Lab(inbox.pipeline())
    lab.run(D2)
    assert (items(lab, D1), items(lab, D2)) == (["tea"], ["salt"])


def test_an_interval_without_a_new_file_is_empty_and_says_so(inbox: Inbox) -> None:
    inbox.drop("a.csv", "tea", "2026-01-01T10:00")
    lab = Lab(inbox.pipeline())
    lab.run(D1)
    (receipt,) = lab.run(D2)
    assert (receipt.state, receipt.rows_kept, items(lab, D2)) == ("made", 0, [])
    assert receipt.why == "no new file"
    assert receipt.notes == ("no file is new: the interval is empty",)


def test_a_file_that_changed_is_taken_again_and_that_is_said(inbox: Inbox) -> None:
    inbox.drop("a.csv", "tea", "2026-01-01T10:00")
    lab = Lab(inbox.pipeline())
    lab.run(D1)
    inbox.drop("a.csv", "coffee", "2026-01-02T10:00")
    (receipt,) = lab.run(D2)
    assert (items(lab, D1), items(lab, D2)) == (["tea"], ["coffee"])
    assert "a.csv` had been taken before and changed since" in receipt.notes[0]
    assert [current(lab, D2).receipt["origin"][kind] for kind in ("new", "changed", "left")] == [0, 1, 0]


def test_a_file_that_is_as_it_was_once_is_not_taken_again(inbox: Inbox) -> None:
    inbox.drop("a.csv", "tea", "2026-01-01T10:00")
    lab = Lab(inbox.pipeline())
    lab.run(D1)
    inbox.drop("a.csv", "milk", "2026-01-02T10:00")
    lab.run(D2)
    inbox.drop("a.csv", "tea", "2026-01-01T10:00")
    lab.run(D3)
    assert [items(lab, day) for day in (D1, D2, D3)] == [["tea"], ["milk"], []]


def test_a_file_that_comes_late_with_an_old_time_is_taken_by_the_next_interval_that_is_made(inbox: Inbox) -> None:
    lab = Lab(inbox.pipeline(missing="empty"))
    lab.run(D2)
    inbox.drop("a.csv", "tea", "2026-01-01T10:00")
    lab.run(D3)
    assert [items(lab, day) for day in (D1, D2, D3)] == [[], [], ["tea"]]


def test_a_location_that_names_nothing_at_all_is_taken_for_a_slip(inbox: Inbox) -> None:
    with pytest.raises(SourceError, match=r'Is the location right\?.*declare missing="empty"'):
        Lab(inbox.pipeline()).run(D1)
    lab = Lab(inbox.pipeline(missing="empty"))
    assert lab.run(D1)[0].rows_kept == 0


def test_emptied_after_it_was_read_it_is_no_slip(inbox: Inbox) -> None:
    path = inbox.drop("a.csv", "tea", "2026-01-01T10:00")
    lab = Lab(inbox.pipeline())
    lab.run(D1)
    path.unlink()
    assert lab.run(D2)[0].rows_kept == 0


# ---------------------------------------------------------------- what it needs


def test_the_intervals_before_are_made_first_however_many(inbox: Inbox) -> None:
    inbox.drop("a.csv", "tea", "2026-01-02T10:00")
    lab = Lab(inbox.pipeline(missing="empty"))
    assert said(planned(lab, D3)) == {
        ("sales", D1): "run: not made yet, and read by what was asked for",
        ("sales", D2): "run: not made yet, and read by what was asked for",
        ("sales", D3): "run: not made yet",
    }
    lab.run(D3)
    assert [items(lab, day) for day in (D1, D2, D3)] == [[], ["tea"], []]
    assert len(planned(lab, "2030-01-01").to_run) > 1400


def test_a_task_of_an_orchestrator_waits_for_the_interval_before(inbox: Inbox) -> None:
    inbox.drop("a.csv", "tea", "2026-01-01T10:00")
    lab = Lab(inbox.pipeline())
    assert needs_past(lab.graph, lab.graph.step("sales"))
    turn = look(lab.session, "sales", lab.interval(D2))
    assert turn.past == (("sales", lab.interval(D1)),)
    with pytest.raises(NotReadyError, match="headrace backfill FILE --from 2026-01-01 --to 2026-01-01"):
        take(lab.session, turn)
    for day in (D1, D2):
        lab.session = lab._session()
        assert take(lab.session, look(lab.session, "sales", lab.interval(day)))[0].state == "made"


def test_a_task_makes_all_intervals_of_a_finer_grid_one_after_another(inbox: Inbox) -> None:
    inbox.drop("a.csv", "tea", "2026-01-01T10:30")
    lab = Lab(inbox.pipeline(every="1h", missing="empty"), now="2026-01-05")
    turn = look(lab.session, "sales", lab.interval(D1))
    receipts = take(lab.session, turn)
    assert [receipt.rows_kept for receipt in receipts] == [0] * 10 + [1] + [0] * 13


def test_once_it_is_made_nothing_is_missing(inbox: Inbox) -> None:
    lab = Lab(inbox.pipeline(missing="empty"))
    lab.run(D1)
    assert missing_inputs(lab.session, lab.graph.step("sales"), lab.interval(D2)) == []


def test_a_pipeline_that_begins_later_than_it_did_goes_on_from_what_was_taken(inbox: Inbox) -> None:
    inbox.drop("a.csv", "tea", "2026-01-01T10:00")
    lab = Lab(inbox.pipeline())
    lab.run(D1)
    inbox.drop("b.csv", "salt", "2026-01-03T10:00")
    later = going_on(lab, inbox.pipeline(start=D3))
    later.run(D3)
    assert items(later, D3) == ["salt"]


def test_a_pipeline_that_begins_earlier_than_it_did_takes_nothing_twice(inbox: Inbox) -> None:
    inbox.drop("a.csv", "tea", "2026-01-01T10:00")
    lab = Lab(inbox.pipeline(start=D3))
    lab.run(D3)
    with pytest.raises(ConfigurationError, match=r'shop\.sales has taken files since 2026-01-03.*Set start="2026-01-03" again'):
        going_on(lab, inbox.pipeline(start=D1)).run(D1)


# ---------------------------------------------------------------- made again


def test_it_is_made_again_of_the_files_that_it_took_and_of_no_others(inbox: Inbox) -> None:
    inbox.drop("a.csv", "tea", "2026-01-01T10:00")
    lab = Lab(inbox.pipeline())
    lab.run(D2)
    inbox.drop("a.csv", "other", "2026-01-01T11:00")
    inbox.drop("b.csv", "late", "2026-01-01T12:00")
    assert said(planned(lab, D1)) == {("sales", D1): "skip: nothing changed"}
    changed = going_on(lab, inbox.pipeline(SaleAndNote))
    (receipt,) = changed.run(D1)
    assert (receipt.version, receipt.why) == (2, "read again from the bytes in the lake")
    assert changed.read("sales", D1) == [{"item": "tea", "note": None}]
    changed.run(D3)
    assert sorted(items(changed, D3)) == ["late", "other"]


def test_a_later_version_says_the_same_of_what_was_taken(inbox: Inbox) -> None:
    inbox.drop("a.csv", "tea", "2026-01-01T10:00")
    lab = Lab(inbox.pipeline())
    lab.run(D1)
    first = current(lab, D1)
    going_on(lab, inbox.pipeline(SaleAndNote)).run(D1)
    second = current(lab, D1)
    assert second.version == 2
    assert [file.sha256 for file in first.content.part("taken").files] == [file.sha256 for file in second.content.part("taken").files]


def test_an_interval_that_was_cleared_takes_what_it_took(inbox: Inbox) -> None:
    path = inbox.drop("a.csv", "tea", "2026-01-01T10:00")
    lab = Lab(inbox.pipeline())
    lab.run(D2)
    lab._lake.log("shop", "sales").clear(lab.interval(D1), why="test", who="test")
    path.unlink()
    inbox.drop("b.csv", "salt", "2026-01-01T11:00")
    again = going_on(lab)
    again.run(D3)
    again.run(D1)
    assert [items(again, day) for day in (D1, D2, D3)] == [["tea"], [], ["salt"]]


def test_bytes_that_are_gone_from_the_lake_come_from_the_origin_or_are_missed(inbox: Inbox) -> None:
    path = inbox.drop("a.csv", "tea", "2026-01-01T10:00")
    lab = Lab(inbox.pipeline())
    lab.run(D1)
    log = lab._lake.log("shop", "sales")
    raw = current(lab, D1).content.part("raw")
    log.clear(lab.interval(D1), why="test", who="test")
    lab._lake.store.delete(*(file.key for file in raw.files))
    again = going_on(lab)
    again.run(D1)
    assert (current(again, D1).version, items(again, D1)) == (3, ["tea"])
    log.clear(lab.interval(D1), why="test", who="test")
    lab._lake.store.delete(*(file.key for file in current_raw(log, lab)))
    path.unlink()
    with pytest.raises(SourceError, match=r"This interval took `.*a\.csv`, whose bytes are gone from the lake"):
        going_on(lab).run(D1)


def current_raw(log: Any, lab: Lab) -> Any:
    return log.manifest(lab.interval(D1), 3).content.part("raw").files


def test_from_a_source_that_was_a_snapshot_goes_on_what_that_had_read(inbox: Inbox) -> None:
    inbox.drop("a.csv", "tea", "2026-01-01T10:00")
    shop = hr.Pipeline("shop", schedule="@daily", start=D1)
    shop.source("sales", str(inbox.folder / "*.csv"), contract=Sale)
    lab = Lab(shop)
    lab.run(D1)
    inbox.drop("b.csv", "salt", "2026-01-01T10:00")
    once = going_on(lab, inbox.pipeline())
    once.run(D2)
    assert items(once, D2) == ["salt"]


# ---------------------------------------------------------------- declared wrongly


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ({"pattern": "{start:%Y-%m-%d}.csv"}, "only_new is for a location without a time"),
        ({"contract": None}, "so it needs a contract="),
        ({"wait": "1h"}, "there is nothing to wait for"),
    ],
)
def test_what_does_not_go_with_it_is_told(inbox: Inbox, declared: dict[str, Any], said: str) -> None:
    with pytest.raises(PipelineError, match=said):
        inbox.pipeline(**declared).graph()


def test_it_needs_a_beginning(inbox: Inbox) -> None:
    shop = hr.Pipeline("shop", schedule="@daily")
    shop.source("sales", hr.csv("inbox/*.csv", only_new=True), contract=Sale)
    with pytest.raises(PipelineError, match="so the pipeline needs a start="):
        shop.graph()


def test_a_file_of_which_nothing_tells_when_it_was_written_is_refused() -> None:
    file = RawFile("https://example.org/a.csv", 7, "")
    with pytest.raises(SourceError, match="can't be taken once"):
        choose([file], set(), datetime(2026, 1, 1, tzinfo=UTC))


# ---------------------------------------------------------------- the record


def test_the_record_of_a_hundred_thousand_files_is_small_and_quick() -> None:
    taken = {(f"s3://shop/inbox/2026/{n:06}-part.csv", f'"{n * 7919:032x}"') for n in range(100_000)}
    packed = pack(taken)
    assert len(packed) < 4_000_000
    assert unpack(packed, source="here") == taken


def test_the_record_is_equal_for_equal_sets_and_keeps_odd_names() -> None:
    odd = [("s3://b/\u2028\n\t\udce4.csv", '"1"'), ("b", "2")]
    assert pack(odd) == pack(reversed(odd))
    assert unpack(pack(odd), source="here") == set(odd)


@pytest.mark.parametrize("data", [b"", b"no", pack({("a", "1")})[:-9], b"\x1f\x8b", pack([])[:5]])
def test_what_is_no_record_is_damage(data: bytes) -> None:
    with pytest.raises(DamageError, match="here is no record of the files that were taken"):
        unpack(data, source="here")
