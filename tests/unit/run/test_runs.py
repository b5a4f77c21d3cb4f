"""Runs on a lake in memory: what is made, copied, cached, left alone, and made again."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from labs import going_on, planned, ran, said, states, versions
from pydantic import BaseModel, Field

import headrace as hr
from headrace.core.errors import DataError, NotReadyError, SourceError, UnknownNameError
from headrace.testing import Lab


def counting(schedule: str = "@daily", step: int = 1, every: str | None = None) -> hr.Pipeline:
    """A table of one row for each interval, and one that sums the last three."""
    numbers = hr.Pipeline("numbers", schedule=schedule, start="2026-01-01")

    @numbers.table(every=every)
    def ones(when: hr.Interval):
        return [{"day": when.start.day, "value": step}]

    @numbers.table(history={"ones": "3d"})
    def sums(ones):
        return "select sum(value)::int as value, count(distinct interval_end)::int as days from ones"

    return numbers


# ---------------------------------------------------------------- history


def test_a_run_makes_the_history_that_it_reads() -> None:
    lab = Lab(counting())
    receipts = lab.run("2026-01-10")
    assert lab.read("sums") == [{"value": 3, "days": 3}]
    assert list(versions(lab, "ones")) == ["2026-01-08", "2026-01-09", "2026-01-10"]
    assert [(r.step, r.interval.label) for r in receipts if r.step == "sums"] == [("sums", "2026-01-10")]


def test_history_near_the_start_is_shorter() -> None:
    lab = Lab(counting())
    lab.run("2026-01-02")
    assert lab.read("sums") == [{"value": 2, "days": 2}]


def test_nothing_is_planned_before_the_start() -> None:
    assert said(planned(Lab(counting()), "2025-12-31")) == {}


def test_a_second_run_does_nothing_and_says_so() -> None:
    lab = Lab(counting())
    lab.run("2026-01-03")
    assert states(lab.run("2026-01-03")) == {"ones": "cached", "sums": "cached"}
    assert said(planned(lab, "2026-01-03"))["sums", "2026-01-03"] == "skip: nothing changed"
    assert versions(lab, "sums") == {"2026-01-03": (1,)}


def test_a_lag_reads_the_days_before_the_last_and_waits_until_there_are_any() -> None:
    numbers = hr.Pipeline("numbers", start="2026-01-01")

    @numbers.table
    def ones(when: hr.Interval):
        return [{"day": when.start.day}]

    @numbers.table(history={"ones": ("3d", "1d")})
    def earlier(ones):
        return "select list(day order by day) as days from ones"

    lab = Lab(numbers)
    receipts = {r.step: r for r in lab.run("2026-01-01")}
    assert (receipts["earlier"].state, receipts["earlier"].why) == ("skipped", "`ones` has no interval that ended by then")
    lab.run("2026-01-04")
    assert lab.read("earlier") == [{"days": [2, 3]}]


def test_a_month_reads_all_of_its_days() -> None:
    numbers = counting()

    @numbers.table(every="@monthly")
    def months(ones):
        return "select count(*)::int as days from ones"

    lab = Lab(numbers)
    lab.run("2026-02-28")
    assert lab.read("months") == [{"days": 28}]


# ---------------------------------------------------------------- other grids


def weekly() -> hr.Pipeline:
    numbers = counting()

    @numbers.table(every="7d")
    def weeks(when: hr.Interval):
        return [{"week": when.label}]

    @numbers.table
    def days(weeks):
        return "select week from weeks"

    return numbers


def test_a_coarser_step_is_made_once_and_read_when_it_has_ended() -> None:
    lab = Lab(weekly())
    first = {r.step: r for r in lab.run("2026-01-06")}
    assert first["days"].state == "skipped"
    assert "weeks" not in first
    assert states(lab.run("2026-01-07"))["weeks"] == "made"
    assert lab.read("days") == [{"week": "2026-01-01"}]
    assert states(lab.run("2026-01-08"))["weeks"] == "cached"
    assert list(versions(lab, "weeks")) == ["2026-01-01"]


def test_a_finer_step_is_run_for_all_of_the_interval_and_recorded_so() -> None:
    lab = Lab(counting(every="12h"))
    receipts = ran(lab, "2026-01-01").receipts
    assert [r.interval.label for r in receipts if r.step == "ones"] == ["2026-01-01", "2026-01-01T12"]
    record = lab._lake.log("numbers", "_runs").current(lab.interval("2026-01-01"))
    assert record is not None
    assert len(record.receipt["receipts"]) == 3  # type: ignore[arg-type]


# ---------------------------------------------------------------- equal work


def snapshot(file: Path) -> hr.Pipeline:
    rows = hr.Pipeline("rows", schedule="@hourly", start="2026-01-01")
    rows.source("given", str(file))

    @rows.table
    def doubled(given):
        return "select x * 2 as x from given"

    return rows


def test_an_unchanged_snapshot_is_copied_in_the_next_hour_and_so_is_all_made_from_it(tmp_path: Path) -> None:
    file = tmp_path / "given.csv"
    file.write_text("x\n1\n2\n")
    lab = Lab(snapshot(file))
    assert states(lab.run("2026-01-01T00")) == {"given": "made", "doubled": "made"}
    copied = lab.run("2026-01-01T01")
    assert states(copied) == {"given": "copied", "doubled": "copied"}
    assert [r.why for r in copied] == ["its files are those of the interval before", "equal work was done for 2026-01-01"]
    assert lab.read("doubled", "2026-01-01T01") == [{"x": 2}, {"x": 4}]


def test_a_snapshot_with_other_bytes_makes_all_anew_and_with_the_same_is_only_noted(tmp_path: Path) -> None:
    file = tmp_path / "given.csv"
    file.write_text("x\n1\n")
    lab = Lab(snapshot(file))
    lab.run("2026-01-01T00")
    os.utime(file, (1, 1))
    same = lab.run("2026-01-01T00")
    assert [(r.state, r.version, r.why) for r in same] == [
        ("made", 2, "its files were written again, with the same bytes"),
        ("cached", 1, "its inputs have equal contents"),
    ]
    assert planned(lab, "2026-01-01T00").to_run == ()
    file.write_text("x\n5\n")
    changed = lab.run("2026-01-01T00")
    assert [(r.state, r.version) for r in changed] == [("made", 3), ("made", 2)]
    assert lab.read("doubled") == [{"x": 10}]


def test_a_new_version_with_equal_rows_runs_no_reader(tmp_path: Path) -> None:
    file = tmp_path / "given.csv"
    file.write_text("x\n1\n")
    lab = Lab(snapshot(file))
    lab.run("2026-01-01T00")
    file.write_text('x\n"1"\n')
    plan = said(planned(lab, "2026-01-01T00"))
    assert plan["given", "2026-01-01"].startswith("run: 1 file at the origin is new or changed")
    receipts = {r.step: r for r in lab.run("2026-01-01T00")}
    assert receipts["given"].version == 2
    assert said(planned(lab, "2026-01-01T00")) == {
        ("given", "2026-01-01"): "skip: nothing changed",
        ("doubled", "2026-01-01"): "skip: nothing changed",
    }


class Sold(BaseModel):
    item: str
    quantity: int = 0


class SoldStrictly(BaseModel):
    item: str = Field(min_length=4)


def sold(folder: Path, contract: type[BaseModel], *, location: str = "{start:%Y-%m-%d}*.csv", missing: Any = "fail") -> hr.Pipeline:
    shop = hr.Pipeline("shop", schedule="@daily", start="2026-01-01")
    shop.source("sales", str(folder / location), contract=contract, missing=missing, max_rejected=1.0)
    return shop


@pytest.mark.parametrize("missing", ["fail", "empty"])
def test_another_contract_is_laid_on_the_bytes_in_the_lake_when_the_files_are_gone(tmp_path: Path, missing: str) -> None:
    for name, item in (("b", "tea"), ("a", "coffee")):
        (tmp_path / f"2026-01-01-{name}.csv").write_text(f"item,quantity\n{item},2\n")
    lab = Lab(sold(tmp_path, Sold, missing=missing))
    lab.run("2026-01-01")
    first = lab.lake.manifest("shop.sales")
    for file in tmp_path.iterdir():
        file.unlink()
    changed = going_on(lab, sold(tmp_path, SoldStrictly, missing=missing))
    (receipt,) = changed.run("2026-01-01")
    assert (receipt.state, receipt.why, receipt.rows_kept, receipt.rows_quarantined) == (
        "made",
        "its declaration changed; read again from the bytes in the lake",
        1,
        1,
    )
    assert changed.read("sales") == [{"item": "coffee"}]
    second = changed.lake.manifest("shop.sales")
    assert [(f.name, f.sha256, f.rows) for f in second.content.part("raw").files] == [
        (f.name, f.sha256, f.rows) for f in first.content.part("raw").files
    ]
    assert second.receipt["origin"] == {**first.receipt["origin"], "read_again_from_version": 1}
    assert [r.state for r in changed.run("2026-01-01")] == ["cached"]


def test_bytes_in_the_lake_are_not_taken_for_files_that_changed_or_lie_elsewhere(tmp_path: Path) -> None:
    file = tmp_path / "2026-01-01.csv"
    file.write_text("item,quantity\ntea,2\n")
    lab = Lab(sold(tmp_path, Sold))
    lab.run("2026-01-01")
    same = going_on(lab, sold(tmp_path, SoldStrictly))
    assert [r.why for r in same.run("2026-01-01")] == ["its declaration changed; read again from the bytes in the lake"]
    elsewhere = going_on(same, sold(tmp_path, Sold, location="{start:%Y%m%d}.csv"))
    with pytest.raises(SourceError, match="There is no file at"):
        elsewhere.run("2026-01-01")
    file.write_text("item,quantity\ncocoa,3\n")
    changed = going_on(same, sold(tmp_path, Sold))
    assert "new or changed" in changed.run("2026-01-01")[0].why
    assert changed.read("sales") == [{"item": "cocoa", "quantity": 3}]


def test_a_backfill_leaves_snapshots_alone_that_were_taken(tmp_path: Path) -> None:
    file = tmp_path / "given.csv"
    file.write_text("x\n1\n")
    lab = Lab(snapshot(file))
    lab.run("2026-01-01T00")
    file.write_text("x\n5\n")
    assert planned(lab, "2026-01-01T00", is_backfill=True).to_run == ()


def test_an_interval_without_a_file_is_empty_only_if_that_was_declared(tmp_path: Path) -> None:
    from pydantic import BaseModel

    class Row(BaseModel):
        x: int

    def reading(missing: str) -> hr.Pipeline:
        rows = hr.Pipeline("rows", start="2026-01-01")
        rows.source("given", str(tmp_path / "{start:%Y-%m-%d}.csv"), contract=Row, missing=missing)  # type: ignore[arg-type]
        return rows

    lab = Lab(reading("empty"))
    lab.run("2026-01-01")
    assert lab.read("given") == []
    (tmp_path / "2026-01-01.csv").write_text("x\n7\n")
    assert states(lab.run("2026-01-01")) == {"given": "made"}
    assert lab.read("given") == [{"x": 7}]
    with pytest.raises(SourceError, match="The nearest interval that has one is 2026-01-01"):
        Lab(reading("fail")).run("2026-01-02")


def test_a_source_that_is_placed_by_interval_from_outside_is_one(tmp_path: Path) -> None:
    rows = hr.Pipeline("rows", start="2026-01-01")
    rows.source("given", "nowhere.csv")
    for day in (1, 2):
        (tmp_path / f"2026-01-0{day}.csv").write_text(f"x\n{day}\n")
    lab = Lab(rows, locations={"given": tmp_path / "{start:%Y-%m-%d}.csv"})
    lab.run("2026-01-01")
    lab.run("2026-01-02")
    assert lab.read("given", "2026-01-01") + lab.read("given", "2026-01-02") == [{"x": 1}, {"x": 2}]
    (tmp_path / "2026-01-02.csv").write_text("x\n9\n")
    assert planned(lab, "2026-01-02", is_backfill=True).to_run


# ---------------------------------------------------------------- changes


def test_a_change_runs_what_was_asked_for_and_counts_the_past() -> None:
    lab = Lab(counting())
    for day in (1, 2, 3, 4):
        lab.run(f"2026-01-0{day}")
    changed = going_on(lab, counting(step=5))
    plan = planned(changed, "2026-01-04")
    assert [d.pair[0] for d in plan.to_run] == ["ones", "sums"]
    assert said(plan)["ones", "2026-01-03"] == "skip: made"
    assert [i.label for i in plan.stale["ones"]] == ["2026-01-01", "2026-01-02", "2026-01-03"]
    changed.run("2026-01-04")
    assert changed.read("sums") == [{"value": 7, "days": 3}]


def test_a_new_interval_counts_the_past_that_older_code_made() -> None:
    lab = Lab(counting())
    lab.run("2026-01-01")
    lab.run("2026-01-02")
    changed = going_on(lab, counting(step=5))
    assert [i.label for i in planned(changed, "2026-01-03").stale["ones"]] == ["2026-01-01", "2026-01-02"]
    assert planned(lab, "2026-01-03").stale == {}


def test_a_backfill_makes_the_stale_past_again_and_then_nothing() -> None:
    lab = Lab(counting())
    ran(lab, "2026-01-01", "2026-01-02", "2026-01-03")
    changed = going_on(lab, counting(step=5))
    days = ("2026-01-01", "2026-01-02", "2026-01-03")
    receipts = ran(changed, *days, is_backfill=True).receipts
    assert {r.state for r in receipts} == {"made"}
    assert changed.read("sums") == [{"value": 15, "days": 3}]
    assert planned(changed, *days, is_backfill=True).to_run == ()


def test_a_setting_that_is_a_tuple_changes_nothing_by_itself() -> None:
    pairs = hr.Pipeline("pairs", start="2026-01-01")

    @pairs.table
    def made(both=(1, 2)):
        return [{"is_tuple": isinstance(both, tuple), "last": both[-1]}]

    lab = Lab(pairs)
    lab.run("2026-01-01")
    assert planned(lab, "2026-01-01").to_run == ()
    other = going_on(lab, settings={"made.both": "[1, 3]"})
    assert said(planned(other, "2026-01-01")) == {("made", "2026-01-01"): "run: setting `both` [1, 2] -> [1, 3]"}
    other.run("2026-01-01")
    assert other.read("made") == [{"is_tuple": True, "last": 3}]


def test_steps_may_be_asked_for_alone() -> None:
    lab = Lab(counting())
    assert list(said(planned(lab, "2026-01-01", steps=["ones"]))) == [("ones", "2026-01-01")]
    with_what_it_needs = said(planned(lab, "2026-01-01", steps=["sums"]))
    assert with_what_it_needs["ones", "2026-01-01"] == "run: not made yet, and read by what was asked for"


# ---------------------------------------------------------------- by hand


def test_a_cleared_interval_is_made_again_and_an_expired_one_is_not() -> None:
    lab = Lab(counting())
    ran(lab, "2026-01-01", "2026-01-02", "2026-01-03")
    log = lab._lake.log("numbers", "ones")
    log.clear(lab.interval("2026-01-01"), why="test", who="test")
    log.expire(lab.interval("2026-01-02"), why="test", who="test")
    days = ("2026-01-01", "2026-01-02", "2026-01-03")
    plan = said(planned(lab, *days, forced=["ones"]))
    assert plan["ones", "2026-01-01"] == "run: not made yet"
    assert plan["ones", "2026-01-02"] == "skip: gone by retention"
    assert plan["ones", "2026-01-03"] == "run: forced"
    ran(lab, *days)
    assert versions(lab, "ones") == {"2026-01-01": (1, 2, 3), "2026-01-02": (1, 2), "2026-01-03": (1,)}


def test_history_goes_on_over_what_is_gone_by_retention() -> None:
    lab = Lab(counting())
    lab.run("2026-01-01")
    lab._lake.log("numbers", "ones").expire(lab.interval("2026-01-01"), why="test", who="test")
    receipts = ran(lab, "2026-01-01", "2026-01-02").receipts
    assert [(r.step, r.interval.label, r.state) for r in receipts] == [
        ("ones", "2026-01-01", "cached"),
        ("sums", "2026-01-01", "cached"),
        ("ones", "2026-01-02", "made"),
        ("sums", "2026-01-02", "made"),
    ]
    assert lab.read("sums", "2026-01-02") == [{"value": 1, "days": 1}]


def test_forcing_makes_a_new_version_only_of_other_content() -> None:
    lab = Lab(counting())
    lab.run("2026-01-01")
    receipts = {r.step: r for r in ran(lab, "2026-01-01", forced=["ones"]).receipts}
    assert (receipts["ones"].state, receipts["ones"].why) == ("cached", "forced, and equal to version 1")
    assert versions(lab, "ones") == {"2026-01-01": (1,)}


# ---------------------------------------------------------------- the lab itself


def test_a_lab_reads_what_it_was_given() -> None:
    lab = Lab(counting())
    for day in (1, 2, 3):
        lab.put("ones", [{"day": day, "value": day}], f"2026-01-0{day}")
    assert lab.step("sums", {"ones": [{"day": 3, "value": 10}]}, "2026-01-03") == [{"value": 10, "days": 1}]
    with pytest.raises(NotReadyError, match=r"reads `ones`, and no rows were given for it"):
        lab.step("sums", {}, "2026-01-03")
    with pytest.raises(UnknownNameError, match="Did you mean `sums`"):
        lab.put("sum", [])


def test_a_lab_without_a_time_runs_the_first_interval_from_the_start() -> None:
    late = hr.Pipeline("late", start="2026-01-01T05")

    @late.table
    def made(when: hr.Interval):
        return [{"day": when.label}]

    lab = Lab(late)
    lab.run()
    assert lab.read("made") == [{"day": "2026-01-02"}]
    assert Lab(late, now="2026-01-20T12").interval().label == "2026-01-19"


def test_a_leap_day_can_be_read() -> None:
    leap = hr.Pipeline("leap", start="2028-02-29")

    @leap.table
    def made(when: hr.Interval):
        return [{"day": when.label}]

    lab = Lab(leap)
    lab.run("2028-02-29")
    assert lab.read("made", "2028-02-29") == [{"day": "2028-02-29"}]
    assert lab.lake.read("leap.made", datetime(2028, 2, 29, tzinfo=UTC)).num_rows == 1


def test_a_history_without_any_file_is_told_where_its_rows_are_missed(tmp_path: Path) -> None:
    class Sale(BaseModel):
        customer: int

    shop = hr.Pipeline("shop", schedule="@daily", start="2026-01-01")
    shop.source("sales", str(tmp_path / "{start:%Y-%m-%d}.csv"), contract=Sale, missing="empty")

    @shop.table(key="customer", history={"sales": "3d"}, split=hr.by_key(test=0.5))
    def spending(sales):
        return "select distinct customer from sales"

    with pytest.raises(DataError, match=r"There were no rows in `sales` from 2026-01-03 to 2026-01-05\. .* may lie elsewhere"):
        Lab(shop).run("2026-01-05")


def test_a_file_a_month_is_read_by_the_days_after_it(tmp_path: Path) -> None:
    (tmp_path / "2026-01.csv").write_text("item\ntea\n")
    shop = hr.Pipeline("shop", schedule="@daily", start="2026-01-01")
    shop.source("prices", str(tmp_path / "{start:%Y-%m}.csv"), every="@monthly")

    @shop.table
    def listed(prices):
        return "select item from prices"

    lab = Lab(shop)
    assert {r.step: r.interval.label for r in lab.run("2026-02-14")} == {"prices": "2026-01-01", "listed": "2026-02-14"}
    assert lab.read("listed", "2026-02-14") == [{"item": "tea"}]
