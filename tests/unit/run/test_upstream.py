"""Datasets of other pipelines as sources: rows, versions, grids, parts, what is missing, and what a collection leaves."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import BaseModel, Field

import headrace as hr
from headrace.core.errors import ConfigurationError, DataError, NotReadyError, PipelineError, SourceError
from headrace.core.interval import Grid, Interval, parse_time
from headrace.core.receipt import Receipt
from headrace.lake.collect import collect, plan_collection
from headrace.run.session import open_lake_at
from headrace.steps.datasets import grid_from, intervals_read

DAY = "2026-01-05"


@pytest.fixture(autouse=True)
def no_tracking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_TRACKING", "none")


@pytest.fixture
def lake(tmp_path: Path) -> str:
    return str(tmp_path / "lake")


def producer(schedule: str = "@daily", *, rows: int = 50) -> hr.Pipeline:
    shop = hr.Pipeline("shop", schedule=schedule, start="2026-01-01")

    @shop.table(key="id", split=hr.by_key(test=0.4))
    def spending(most: int = rows):
        return "select range as id, range * 0.5 as spent, $start as at from range($most)"

    @shop.table
    def whole(spending):
        return "select * from spending"

    return shop


def consumer(location: object, schedule: str = "@daily", **options: object) -> hr.Pipeline:
    crm = hr.Pipeline("crm", schedule=schedule, start="2026-01-01")
    crm.source("spent", location, **options)  # type: ignore[arg-type]

    @crm.table
    def total(spent):
        return "select count(*) as n, sum(spent) as spent from spent"

    return crm


def run(pipeline: hr.Pipeline, lake: str, at: str = DAY) -> dict[str, Receipt]:
    return {receipt.step: receipt for receipt in pipeline.run(at, lake=lake)}


def rows(lake: str, name: str, at: str | tuple[str, str] = DAY) -> Counter[tuple[object, ...]]:
    return Counter(tuple(row.values()) for row in hr.open_lake(lake).read(name, at).to_pylist())


class TestRows:
    def test_are_those_of_the_other_dataset_all_sides_of_its_split_together(self, lake: str) -> None:
        run(producer(), lake)
        receipt = run(consumer(hr.dataset("shop.spending")), lake)["spent"]
        assert rows(lake, "crm.spent") == rows(lake, "shop.spending")
        assert (receipt.rows_read, receipt.rows_kept, receipt.rows_quarantined) == (50, 50, 0)

    def test_are_those_of_the_parts_that_are_named(self, lake: str) -> None:
        run(producer(), lake)
        run(consumer(hr.dataset("shop.spending", parts="test")), lake)
        assert rows(lake, "crm.spent") == rows(lake, "shop.spending.test")

    def test_are_not_moved_the_store_copies_their_files(self, lake: str) -> None:
        run(producer(), lake)
        run(consumer(hr.dataset("shop.whole")), lake)
        (theirs,) = Path(lake).glob("silver/shop/whole/**/*.parquet")
        (ours,) = Path(lake).glob("silver/crm/spent/**/*.parquet")
        assert ours.samefile(theirs)

    def test_a_dataset_that_another_pipeline_gave_back_is_a_location(self, lake: str, tmp_path: Path) -> None:
        (tmp_path / "x.csv").write_text("id,spent\n1,2.5\n")
        shop = hr.Pipeline("shop", start="2026-01-01")
        given = shop.source("orders", str(tmp_path / "x.csv"))
        run(shop, lake)
        run(consumer(given), lake)
        assert rows(lake, "crm.spent") == Counter({(1, 2.5): 1})

    def test_with_a_contract_are_checked_and_have_its_types(self, lake: str) -> None:
        class Spent(BaseModel):
            id: int
            spent: float = Field(ge=0)

        run(producer(), lake)
        run(consumer(hr.dataset("shop.whole"), contract=Spent), lake)
        assert [c.type for c in hr.open_lake(lake).manifest("crm.spent").content.columns][:2] == ["BIGINT", "DOUBLE"]
        assert sum(rows(lake, "crm.spent").values()) == 50

    def test_that_break_the_contract_stop_the_step(self, lake: str) -> None:
        class Spent(BaseModel):
            id: int
            spent: float = Field(ge=1)

        run(producer(), lake)
        with pytest.raises(DataError, match=r"(?s)`spent` \[2026-01-05, 2026-01-06\): `shop\.whole` is not what the contract says"):
            run(consumer(hr.dataset("shop.whole"), contract=Spent), lake)


class TestProvenance:
    def test_is_among_the_inputs_of_the_manifest(self, lake: str) -> None:
        run(producer(), lake)
        run(consumer(hr.dataset("shop.spending")), lake)
        opened = hr.open_lake(lake)
        (ref,) = opened.manifest("crm.spent").content.inputs
        day = Interval.of(DAY, "2026-01-06")
        assert (ref.dataset, ref.window, ref.versions_of()) == ("shop.spending", day, {day: 1})


class TestNewVersions:
    def test_of_the_other_dataset_make_the_source_run_again_and_the_plan_says_why(self, lake: str) -> None:
        run(producer(rows=50), lake)
        run(consumer(hr.dataset("shop.spending")), lake)
        run(producer(rows=60), lake)
        again = run(consumer(hr.dataset("shop.spending")), lake)
        assert (again["spent"].state, again["spent"].version) == ("made", 2)
        assert again["spent"].why == "`shop.spending` changed (2026-01-05 v1 -> v2)"
        assert rows(lake, "crm.spent") == rows(lake, "shop.spending")
        assert run(consumer(hr.dataset("shop.spending")), lake)["spent"].state == "cached"

    def test_with_equal_rows_re_run_nothing(self, lake: str) -> None:
        run(producer(rows=50), lake)
        run(consumer(hr.dataset("shop.spending")), lake)
        run(producer(rows=60), lake)
        run(producer(rows=50), lake)
        again = run(consumer(hr.dataset("shop.spending")), lake)["spent"]
        assert (again.state, again.version, again.why) == ("cached", 1, "nothing changed")

    def test_that_change_only_other_parts_re_run_nothing(self, lake: str) -> None:
        def rewritten(extra: str) -> hr.Pipeline:
            changed = hr.Pipeline("shop", schedule="@daily", start="2026-01-01")

            @changed.table(key="id", split=hr.by_key(test=0.4))
            def spending(more: str = extra):
                return "select range as id, case when range in (0, 2) then $more else '' end as spent from range(40)"

            return changed

        run(rewritten("a"), lake)
        source = hr.dataset("shop.spending", parts="test")
        pipeline = hr.Pipeline("crm", schedule="@daily", start="2026-01-01")
        pipeline.source("spent", source)
        run(pipeline, lake)
        before = rows(lake, "shop.spending.test")
        run(rewritten("b"), lake)
        assert rows(lake, "shop.spending.test") == before, "the fixture changes training rows alone"
        assert run(pipeline, lake)["spent"].why == "nothing changed"


class TestMissing:
    def test_names_dataset_interval_and_the_command_that_makes_it(self, lake: str) -> None:
        run(producer(), lake, "2026-01-04")
        with pytest.raises(NotReadyError) as caught:
            run(consumer(hr.dataset("shop.spending")), lake)
        assert str(caught.value) == (
            "source `spent` (2026-01-05) reads `shop.spending`: 1 of 1 intervals is not made: [2026-01-05, 2026-01-06). "
            "With the file of pipeline `shop`: headrace backfill FILE --from 2026-01-05 --to 2026-01-05 --only spending"
        )

    def test_a_name_that_is_not_in_the_lake_is_told_with_the_nearest(self, lake: str) -> None:
        run(producer(), lake)
        with pytest.raises(NotReadyError, match=r"has no dataset of that name\. Did you mean `shop\.spending`\?"):
            run(consumer(hr.dataset("shop.spendin")), lake)

    def test_makes_an_empty_table_where_that_is_declared_normal(self, lake: str) -> None:
        run(producer(), lake, "2026-01-04")
        first = run(consumer(hr.dataset("shop.spending"), missing="empty"), lake)
        assert (first["spent"].rows_kept, first["spent"].state) == (0, "made")
        run(producer(), lake)
        again = run(consumer(hr.dataset("shop.spending"), missing="empty"), lake)["spent"]
        assert (again.rows_kept, again.why) == (50, "`shop.spending` changed (2026-01-05 v0 -> v1)")

    def test_makes_an_empty_table_by_the_contract_before_there_is_any_dataset(self, lake: str) -> None:
        class Spent(BaseModel):
            id: int
            spent: float

        assert run(consumer(hr.dataset("shop.spending"), missing="empty", contract=Spent), lake)["spent"].rows_kept == 0
        with pytest.raises(SourceError, match="without a contract nobody knows the columns"):
            run(consumer(hr.dataset("shop.other"), missing="empty"), lake, "2026-01-06")

    def test_an_experiment_is_not_read(self, lake: str) -> None:
        producer().run(DAY, settings={"spending.most": 9}, lake=lake)
        with pytest.raises(NotReadyError):
            run(consumer(hr.dataset("shop.spending")), lake)

    def test_what_was_cleared_counts_as_missing_for_who_comes_later(self, lake: str) -> None:
        run(producer(), lake)
        run(consumer(hr.dataset("shop.spending")), lake)
        open_lake_at(lake).log("shop", "spending").clear(Interval.of(DAY, "2026-01-06"), why="test", who="test")
        assert run(consumer(hr.dataset("shop.spending")), lake)["spent"].why == "nothing changed"
        other = hr.Pipeline("other", start="2026-01-01")
        other.source("spent", hr.dataset("shop.spending"))
        with pytest.raises(NotReadyError):
            run(other, lake)


class TestGrids:
    def test_of_a_finer_producer_all_intervals_are_read(self, lake: str) -> None:
        for hour in (0, 6, 12, 18):
            run(producer("6h"), lake, f"{DAY}T{hour:02d}")
        run(consumer(hr.dataset("shop.spending")), lake)
        assert rows(lake, "crm.spent") == rows(lake, "shop.spending", (DAY, "2026-01-06"))
        assert hr.open_lake(lake).manifest("crm.spent").content.inputs[0].count == 4

    def test_of_a_finer_producer_none_may_be_missing(self, lake: str) -> None:
        for hour in (0, 12):
            run(producer("6h"), lake, f"{DAY}T{hour:02d}")
        with pytest.raises(NotReadyError, match=r"2 of 4 intervals are not made: \[2026-01-05T06, 2026-01-05T12\)"):
            run(consumer(hr.dataset("shop.spending")), lake)

    def test_of_a_coarser_producer_the_newest_that_ended_is_read(self, lake: str) -> None:
        for day in ("2026-01-04", DAY):
            run(producer(rows=10 * int(day[-1])), lake, day)
        hourly = consumer(hr.dataset("shop.spending"), "@hourly")
        assert run(hourly, lake, "2026-01-05T22")["spent"].rows_kept == 40
        assert run(hourly, lake, "2026-01-05T23")["spent"].rows_kept == 50

    def test_equal_work_of_the_interval_before_is_copied(self, lake: str) -> None:
        run(producer(), lake, "2026-01-04")
        hourly = consumer(hr.dataset("shop.spending"), "@hourly")
        run(hourly, lake, "2026-01-05T02")
        assert run(hourly, lake, "2026-01-05T03")["spent"].state == "copied"

    @pytest.mark.parametrize(
        ("every", "known", "asked", "read"),
        [
            ("1d", "2026-01-03", ("2026-01-05", "2026-01-06"), ["2026-01-05"]),
            ("6h", "2026-01-03", ("2026-01-05", "2026-01-06"), ["2026-01-05", "2026-01-05T06", "2026-01-05T12", "2026-01-05T18"]),
            ("7d", "2026-01-03", ("2026-01-12", "2026-01-13"), ["2026-01-03"]),
            ("1d", "2026-01-03T02:30", ("2026-01-05", "2026-01-06"), ["2026-01-04T02:30"]),
            ("monthly", "2025-12-01", ("2026-02-05", "2026-02-06"), ["2026-01-01"]),
            ("1d", "2026-02-01", ("2026-02-01", "2026-03-01"), [f"2026-02-{n:02d}" for n in range(1, 29)]),
        ],
    )
    def test_decide_which_intervals_are_read(self, every: str, known: str, asked: tuple[str, str], read: list[str]) -> None:
        start = parse_time(known)
        one = Interval(start, start + timedelta(days=1))
        assert [i.label for i in intervals_read(grid_from(every, one), one, Interval.of(*asked))] == read

    def test_that_a_source_says_and_are_not_so_are_an_error(self, lake: str) -> None:
        run(producer(), lake)
        with pytest.raises(ConfigurationError, match=r"`spent` says that `shop\.spending` is made every 1h, and it is made every 1d"):
            run(consumer(hr.dataset("shop.spending", every="1h")), lake)

    def test_finer_intervals_before_the_first_are_not_asked_for(self) -> None:
        hours = Grid.parse("@hourly")
        first = hours.at(parse_time("2026-01-05T20"))
        assert [i.label for i in intervals_read(hours, first, Interval.of(DAY, "2026-01-06"))] == [
            f"2026-01-05T{h}" for h in (20, 21, 22, 23)
        ]


class TestHistory:
    def test_reads_such_a_source_as_any_other(self, lake: str) -> None:
        for day in ("2026-01-03", "2026-01-04", DAY):
            run(producer(rows=10 * int(day[-1])), lake, day)
        crm = hr.Pipeline("crm", schedule="@daily", start="2026-01-03")
        crm.source("spent", hr.dataset("shop.spending"))

        @crm.table(history={"spent": "3d"})
        def counts(spent):
            return "select interval_end, count(*) as n from spent group by all"

        run(crm, lake)
        assert sorted(n for _, n in rows(lake, "crm.counts")) == [30, 40, 50]


class TestCollection:
    def test_of_the_other_dataset_takes_nothing_from_the_source(self, lake: str) -> None:
        run(producer(rows=50), lake)
        expected = rows(lake, "shop.spending")
        run(consumer(hr.dataset("shop.spending")), lake)
        run(producer(rows=60), lake)
        opened = open_lake_at(lake)
        done = collect(opened, plan_collection(opened, keep=0, polite=timedelta(0)))
        assert any(leftover.of.pipeline == "shop" for leftover in done.leftovers)
        assert rows(lake, "crm.spent") == expected


class TestColumns:
    def test_that_differ_between_the_hours_are_an_error_that_names_them(self, lake: str) -> None:
        run(producer("6h"), lake, f"{DAY}T00")
        other = hr.Pipeline("shop", schedule="6h", start="2026-01-01")

        @other.table(key="id", split=hr.by_key(test=0.4))
        def spending():
            return "select range::varchar as id, 1.5 as spent, $start as at from range(30)"

        for hour in (6, 12, 18):
            run(other, lake, f"{DAY}T{hour:02d}")
        with pytest.raises(DataError, match="`id` is BIGINT and VARCHAR") as caught:
            run(consumer(hr.dataset("shop.spending")), lake)
        assert "Make the older one again: headrace run FILE --at 2026-01-05 --only spending" in str(caught.value)

    def test_of_the_other_dataset_are_known_before_the_run(self, lake: str) -> None:
        run(producer(), lake)
        crm = hr.Pipeline("crm", schedule="@daily", start="2026-01-01")
        crm.source("spent", hr.dataset("shop.spending"))

        @crm.table
        def total(spent):
            return "select sum(spend) as spent from spent"

        with pytest.raises(PipelineError, match="spend"):
            run(crm, lake)


class TestPlaces:
    def test_settings_may_put_a_file_in_its_place(self, lake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "x.csv").write_text("id,spent\n1,2.5\n")
        monkeypatch.setenv("HEADRACE_SOURCES_SPENT", str(tmp_path / "x.csv"))
        assert run(consumer(hr.dataset("shop.spending")), lake)["spent"].rows_kept == 1

    def test_a_part_that_is_not_there_is_told_with_those_that_are(self, lake: str) -> None:
        run(producer(), lake)
        with pytest.raises(SourceError, match=r"has no part `train`; it holds rows\."):
            run(consumer(hr.dataset("shop.whole", parts="train")), lake)


@pytest.fixture
def pair(lake: str) -> tuple[hr.Pipeline, hr.Pipeline]:
    one, two = hr.Pipeline("one", start="2026-01-01"), hr.Pipeline("two", start="2026-01-01")
    one.source("b", hr.dataset("two.a"))
    two.source("a", hr.dataset("one.b"))
    return one, two


def test_two_pipelines_that_read_each_other_are_each_told_of_the_other(lake: str, pair: tuple[hr.Pipeline, hr.Pipeline]) -> None:
    for pipeline, other in zip(pair, ("two.a", "one.b"), strict=True):
        with pytest.raises(NotReadyError, match=rf"reads `{other}`"):
            run(pipeline, lake)
