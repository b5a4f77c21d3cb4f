"""A source without a contract: its columns are recorded once, later files are held against them, and a person accepts others."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from labs import going_on, planned, ran, said, versions
from pydantic import BaseModel

import headrace as hr
from headrace.core.errors import ColumnsChangedError, ConfigurationError, NotReadyError, PipelineError, SourceError
from headrace.core.manifest import Manifest
from headrace.core.step import Source
from headrace.run import recorded
from headrace.run.failure import failure_of
from headrace.run.recorded import Accepted, accept
from headrace.testing import Lab

ONE, TWO, THREE = "2026-05-01", "2026-05-02", "2026-05-03"


class Bench:
    """A folder of files, one a day, and a pipeline that reads them without a contract."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lab = Lab(self.pipeline(), now="2026-05-09")

    def pipeline(self, **said: Any) -> hr.Pipeline:
        shop = hr.Pipeline("shop", schedule="@daily", start=ONE)
        shop.source("sales", hr.csv(f"{self.folder}/{{start:%Y-%m-%d}}.csv", **said.pop("options", {})), **said)
        return shop

    def declare(self, **said: Any) -> None:
        self.lab = going_on(self.lab, self.pipeline(**said), now="2026-05-09")

    def write(self, **files: str) -> None:
        for day, text in files.items():
            (self.folder / f"2026-05-0{day[1:]}.csv").write_text(text)

    def run(self, *days: str, **options: Any) -> dict[str, str]:
        """What became of each day."""
        done = ran(self.lab, *days, **options)
        return {r.interval.label: r.error.partition("\n")[0] if r.error else r.state for r in done.receipts}

    def error(self, day: str) -> BaseException:
        (found,) = ran(self.lab, day).outcome.errors.values()
        return found

    def accept(self, day: str, since: str | None = None) -> Accepted:
        step = self.lab.graph.steps["sales"]
        assert isinstance(step, Source)
        return accept(self.lab.session, step, self.lab.interval(day), since and self.lab.interval(since))

    def current(self, day: str) -> Manifest | None:
        return self.lab._lake.log("shop", "sales").current(self.lab.interval(day))

    def types(self, day: str) -> dict[str, str]:
        manifest = self.current(day)
        assert manifest is not None
        return {column.name: column.type for column in manifest.content.columns}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_later_files_are_read_by_what_the_first_one_had_whatever_they_show(bench: Bench) -> None:
    bench.write(d1="id,price,at\n1,2.5,2026-01-01\n", d2="price,at,id\n3,,4\n", d3="id,price,at\n,,\n")
    assert bench.run(ONE, TWO, THREE) == {ONE: "made", TWO: "made", THREE: "made"}
    assert bench.types(ONE) == bench.types(TWO) == bench.types(THREE) == {"id": "BIGINT", "price": "DOUBLE", "at": "DATE"}
    assert bench.lab.read("sales", TWO) == [{"id": 4, "price": 3.0, "at": None}]


def test_files_that_do_not_fit_are_refused_with_the_difference_and_what_to_type(bench: Bench) -> None:
    bench.write(d1="id,price,name\n1,2,a\n", d2="id,price,title,x\n1,2.5,a,3\n")
    bench.run(ONE)
    error = bench.error(TWO)
    assert isinstance(error, ColumnsChangedError)
    assert str(error).splitlines() == [
        f"Source `sales` [{TWO}, {THREE}): its columns are not those that are recorded (changed: price; renamed: name; added: x):",
        "  column         recorded  found",
        "  price          int       float  changed, first at 2026-05-02.csv:2",
        "  name -> title  str       str    renamed, as it seems: the same place and type",
        "  x              -         int    added",
        (
            f"Recorded is what {ONE} had, which was read first. Nothing was committed. If the files are right, accept their columns from this "
            "interval on, and run it again:"
        ),
        f"  headrace contract FILE sales --accept --at {TWO}",
        "If they are not, mend them at their origin. A source with a contract takes what its contract says.",
    ]
    assert TWO not in versions(bench.lab, "sales")
    fix = failure_of(error, pipeline="shop", step="sales", file=Path("shop.py"), run=bench.lab.interval(TWO), session=bench.lab.session).fix
    assert fix == "accept the columns, by the command above, or mend the files at their origin, then clear the task."


def test_what_was_accepted_holds_from_then_on_and_the_past_stays(bench: Bench) -> None:
    bench.write(d1="id\n1\n", d2="id,x\n1,2\n", d3="id,x\n1,2\n")
    bench.run(ONE)
    done = bench.accept(TWO)
    assert done.difference is not None
    assert done.difference.words() == "added: x"
    assert bench.run(ONE, TWO, THREE) == {ONE: "cached", TWO: "made", THREE: "made"}
    assert bench.types(THREE) == {"id": "BIGINT", "x": "BIGINT"}
    entry = bench.lab._lake.log("shop", "sales._columns").current(bench.lab.interval(TWO))
    assert entry is not None
    assert entry.receipt["who"] == "test"
    assert not bench.accept(TWO).is_new


@pytest.mark.parametrize(
    ("first", "second", "line"),
    [("1", "2\n3\nx\n4", 4), ("2026-01-02 03:04:05", "2026-01-02\n\nsoon", 4), ("1.5", "2\n'a\nb'\n3", 3), ("true", "1\ntrue", 2)],
)
def test_a_changed_column_is_told_with_the_line_where_it_is_seen(bench: Bench, first: str, second: str, line: int) -> None:
    quoted = second.replace("'", '"')
    bench.write(d1=f"x\n{first}\n", d2=f"x\n{quoted}\n")
    bench.run(ONE)
    assert f"changed, first at 2026-05-02.csv:{line}\n" in str(bench.error(TWO))


def test_an_acceptance_is_taken_back_by_clearing_it(bench: Bench) -> None:
    bench.write(d1="id\n1\n", d2="id,x\n1,2\n")
    bench.run(ONE)
    bench.accept(TWO)
    bench.lab._lake.log("shop", "sales._columns").clear(bench.lab.interval(TWO), why="a slip", who="test")
    assert "added: x" in bench.run(TWO)[TWO]
    bench.accept(TWO)
    assert bench.run(TWO) == {TWO: "made"}


def test_sql_is_bound_to_what_is_recorded_before_anything_runs(bench: Bench) -> None:
    bench.write(d1="id\n1\n", d2="id,x\n1,2\n")
    bench.run(ONE)
    shop = bench.pipeline()

    @shop.table
    def sums(sales):
        return "select x from sales"

    lab = going_on(bench.lab, shop, now="2026-05-09")
    with pytest.raises(PipelineError, match="The SQL names the column `x`, which is not there"):
        ran(lab, TWO)
    bench.accept(TWO)
    assert [r.state for r in ran(lab, TWO).receipts] == ["made", "made"]


def test_a_wider_type_can_hold_for_the_past_as_well(bench: Bench) -> None:
    bench.write(d1="id,price\n1,2\n", d2="id,price\n1,2.5\n")
    bench.run(ONE)
    bench.accept(TWO, since=ONE)
    assert said(planned(bench.lab, ONE)) == {("sales", ONE): "run: its accepted columns changed"}
    (bench.folder / f"{ONE}.csv").unlink()  # its bytes are in the lake
    assert bench.run(ONE, TWO) == {ONE: "made", TWO: "made"}
    assert bench.types(ONE) == bench.types(TWO) == {"id": "BIGINT", "price": "DOUBLE"}
    assert said(planned(bench.lab, ONE, TWO)) == {("sales", ONE): "skip: nothing changed", ("sales", TWO): "skip: nothing changed"}


def test_an_acceptance_before_a_backfill_holds_for_all_of_it(bench: Bench) -> None:
    bench.write(d1="id\n1\n", d2="id\nx1\n", d3="id\n7\n")
    bench.run(ONE)
    bench.accept(TWO)
    assert bench.run(THREE, TWO, jobs=2) == {THREE: "made", TWO: "made"}
    assert bench.types(THREE) == {"id": "VARCHAR"}


def test_who_is_second_reads_by_what_the_first_recorded_meanwhile(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.write(d1="id\n1\n", d2="id\n2.5\n")
    first = recorded._record_first

    def raced(*arguments: Any) -> Any:
        monkeypatch.setattr(recorded, "_record_first", first)
        assert bench.run(TWO) == {TWO: "made"}
        return first(*arguments)

    monkeypatch.setattr(recorded, "_record_first", raced)
    assert bench.run(ONE) == {ONE: "made"}
    assert bench.types(ONE) == bench.types(TWO) == {"id": "DOUBLE"}


def test_a_run_that_is_refused_records_nothing(bench: Bench) -> None:
    bench.write(d1="id,x\n1\n2\n3,4\n", d2="id\n1\n")
    assert "were rejected" in bench.run(ONE)[ONE]
    assert bench.run(TWO) == {TWO: "made"}


def test_in_a_lake_of_before_what_was_read_is_recorded_and_nothing_is_made_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.write(d1="id\n1\n", d2="id\n2.5\n", d3="id\nx\n")
    with monkeypatch.context() as patch:
        patch.setattr(recorded, "_has_record", lambda step: False)
        bench.run(ONE, TWO)
    before = bench.current(TWO)
    assert bench.run(ONE, TWO) == {ONE: "cached", TWO: "cached"}
    assert "changed: id" in bench.run(THREE)[THREE]
    assert f"what {TWO} had" in str(bench.error(THREE))
    assert bench.run(ONE, TWO) == {ONE: "cached", TWO: "cached"}
    assert bench.current(TWO) == before
    assert bench.run(ONE, forced=["sales"]) == {ONE: "made"}
    assert bench.types(ONE) == bench.types(TWO) == {"id": "DOUBLE"}


def test_the_fingerprint_is_that_of_the_files_alone_where_they_show_the_columns(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.write(d1="id\n1\n", d2="id\n2\n")
    bench.run(ONE, TWO)
    with monkeypatch.context() as patch:
        patch.setattr(recorded, "_has_record", lambda step: False)
        assert bench.run(ONE, TWO, forced=["sales"]) == {ONE: "cached", TWO: "cached"}


def test_other_options_give_other_columns_and_have_a_record_of_their_own(bench: Bench) -> None:
    bench.write(d1="id,at\n1,31.12.2025\n", d2="id,at\n1,01.01.2026\n", d3="id,at\n1,soon\n")
    bench.run(ONE, TWO)
    assert bench.types(ONE)["at"] == "VARCHAR"
    bench.declare(options={"date_format": "%d.%m.%Y"})
    assert bench.run(ONE, TWO) == {ONE: "made", TWO: "made"}
    assert bench.types(ONE)["at"] == bench.types(TWO)["at"] == "DATE"
    assert "changed: at" in bench.run(THREE)[THREE]
    bench.declare()
    assert bench.run(THREE) == {THREE: "made"}


def test_an_interval_without_a_file_has_the_columns_that_are_recorded(bench: Bench) -> None:
    bench.write(d1="id\n1\n")
    bench.declare(missing="empty")
    assert "nobody knows the columns" in bench.run(TWO)[TWO]
    assert bench.run(ONE, TWO) == {ONE: "made", TWO: "made"}
    assert bench.types(TWO) == {"id": "BIGINT"}
    assert bench.lab.read("sales", TWO) == []


def test_a_file_of_several_that_lacks_a_column_is_named(tmp_path: Path) -> None:
    for name, text in (("a", "id,x\n1,2\n"), ("b", "id\n1\n"), ("c", "id,x\n1,2\n")):
        (tmp_path / f"{name}.csv").write_text(text)
    shop = hr.Pipeline("shop", schedule="@daily", start=ONE)
    shop.source("sales", hr.csv(f"{tmp_path}/*.csv"))
    with pytest.raises(SourceError, match=r"The files have different columns \(x\): `b.csv` lacks `x`\."):
        Lab(shop, now="2026-05-09").run(ONE)


def test_a_snapshot_that_did_not_change_is_copied_only_where_it_is_read_alike(tmp_path: Path) -> None:
    path = tmp_path / "all.csv"
    path.write_text("id\n1\n")
    before = path.stat()
    shop = hr.Pipeline("shop", schedule="@daily", start=ONE)
    shop.source("sales", hr.csv(str(path)))
    lab = Lab(shop, now="2026-05-09")
    assert outcome(lab, ONE) == "made"
    path.write_text("id\n1.5\n")
    step = lab.graph.steps["sales"]
    assert isinstance(step, Source)
    accept(lab.session, step, lab.interval(TWO))
    path.write_text("id\n1\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert [outcome(lab, TWO), outcome(lab, THREE)] == ["made", "copied"]
    found = [lab._lake.log("shop", "sales").current(lab.interval(day)) for day in (ONE, TWO, THREE)]
    assert [one.content.columns[0].type for one in found if one] == ["BIGINT", "DOUBLE", "DOUBLE"]


def test_with_a_contract_nothing_is_recorded_and_nothing_can_be_accepted(bench: Bench) -> None:
    class Sale(BaseModel):
        id: int
        x: int = 0

    bench.write(d1="id\n1\n", d2="id,x\n1,2\n")
    bench.declare(contract=Sale)
    assert bench.run(ONE, TWO) == {ONE: "made", TWO: "made"}
    assert versions(bench.lab, "sales._columns") == {}
    with pytest.raises(ConfigurationError, match="change the contract"):
        bench.accept(TWO)


def test_what_can_not_be_accepted_is_said(bench: Bench) -> None:
    bench.write(d1="id\n1\n", d2="id,x\n1,2\n")
    with pytest.raises(NotReadyError, match="Nothing is recorded"):
        bench.accept(ONE)
    bench.run(ONE)
    with pytest.raises(ConfigurationError, match="--since 2026-05-03 is after 2026-05-02"):
        bench.accept(TWO, since=THREE)
    with pytest.raises(SourceError, match="There is no file"):
        bench.accept(THREE)


# ---------------------------------------------------------------- other formats


def of_format(folder: Path, location: str) -> Lab:
    shop = hr.Pipeline("shop", schedule="@daily", start=ONE)
    shop.source("sales", f"{folder}/{location}")
    return Lab(shop, now="2026-05-09")


def outcome(lab: Lab, day: str) -> str:
    (receipt,) = ran(lab, day).receipts
    return (receipt.error or receipt.state).partition("\n")[0]


def parquet(folder: Path, day: str, columns: Mapping[str, pa.Array]) -> None:
    pq.write_table(pa.table(dict(columns)), folder / f"{day}.parquet")


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (pa.array([1.5]), pa.array([2]), "made"),
        (pa.array([1]), pa.array([2.5]), "changed: x"),
        (pa.array([1]), pa.array([None, float("nan")], pa.float64()), "made"),
        (pa.array([1]), pa.array([None], pa.null()), "made"),
        (pa.array([1]), pa.array([b"x"]), "changed: x"),
        (pa.array([1]), pa.array([None], pa.binary()), "made"),
        (pa.array(["a"]), pa.array([1]), "changed: x"),
        (pa.array([1], pa.int16()), pa.array([2], pa.int64()), "made"),
        (pa.array([1], pa.timestamp("us")), pa.array([2], pa.timestamp("ms", "UTC")), "made"),
        (pa.array([1], pa.timestamp("us")), pa.array([2], pa.date32()), "made"),
        (pa.array([{"a": 1}]), pa.array(["a"]), "changed: x"),
        (pa.array([{"a": 1}]), pa.array([{"a": 2}]), "made"),
        (pa.array([[1.5], None]), pa.array([[2]]), "made"),
    ],
    ids=str,
)
def test_parquet_columns_fit_by_their_types_and_without_a_value_by_any(
    tmp_path: Path, first: pa.Array, second: pa.Array, expected: str
) -> None:
    parquet(tmp_path, ONE, {"x": first})
    parquet(tmp_path, TWO, {"x": second})
    lab = of_format(tmp_path, "{start:%Y-%m-%d}.parquet")
    assert outcome(lab, ONE) == "made"
    assert expected in outcome(lab, TWO)
    if expected == "made":
        made = [lab._lake.log("shop", "sales").current(lab.interval(day)) for day in (ONE, TWO)]
        assert made[0] is not None
        assert made[1] is not None
        assert made[0].content.columns == made[1].content.columns
        assert len(lab.read("sales", TWO)) == len(second)


def test_json_keys_that_come_and_go_are_a_difference_and_numbers_fit_a_column_of_texts(tmp_path: Path) -> None:
    for day, text in ((ONE, '{"a": "x", "b": 1}\n'), (TWO, '{"b": 2, "a": 7}\n'), (THREE, '{"a": "x"}\n')):
        (tmp_path / f"{day}.jsonl").write_text(text)
    lab = of_format(tmp_path, "{start:%Y-%m-%d}.jsonl")
    assert [outcome(lab, day) for day in (ONE, TWO)] == ["made", "made"]
    assert lab.read("sales", TWO) == [{"a": "7", "b": 2}]
    assert "missing: b" in outcome(lab, THREE)
