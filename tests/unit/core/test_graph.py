"""The graph: what can be wrong with it, and which intervals its steps read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import islice, pairwise

import pytest
from declared import DAILY, HOURLY, days, graph, model, predictions, problems, promotion, source, table

from headrace.core.errors import UnknownNameError
from headrace.core.gate import METRICS, Gate, at_least, at_most, no_worse
from headrace.core.interval import Grid, Interval, parse_time
from headrace.core.location import resolve
from headrace.core.source_problems import template_length
from headrace.core.split import by_key, by_time
from headrace.core.step import Input

WEEKLY = Grid.parse("7d", start=parse_time("2026-01-01"))


def iterate(grid: Grid) -> Iterator[Interval]:
    interval = grid.at(parse_time("2026-01-01"))
    while True:
        yield interval
        interval = grid.next(interval)


def one(found: list[str]) -> str:
    assert len(found) == 1, found
    return found[0]


# ---------------------------------------------------------------- problems


def test_a_sound_pipeline_has_no_problems() -> None:
    groups = model("groups", "spending")
    steps = [source("purchases"), table("spending", "purchases"), groups, promotion(groups), predictions("found", "groups", "spending")]
    assert problems(*steps) == []


@pytest.mark.parametrize("name", ["9lives", "a-b", "a.b", "naïve", "", "_hidden", "a b", "x" * 64, 'a"b', "../up"])
def test_a_name_that_sql_and_paths_cannot_carry_is_refused(name: str) -> None:
    assert f"`{name}` can't name a step" in one(problems(source(name, line=4)))


@pytest.mark.parametrize("name", ["order", "Select", "user_", "interval"])
def test_a_word_of_sql_is_refused_with_another_to_take(name: str) -> None:
    found = problems(source(name))
    assert (found == []) == (name == "user_")
    assert all(f"Choose another, such as `{name}_rows`" in text for text in found)


@pytest.mark.parametrize("name", ["", "9", "a/b", "a b", "ü"])
def test_a_pipeline_whose_name_paths_cannot_carry_is_refused(name: str) -> None:
    assert f"`{name}` can't name a pipeline" in one(problems(source("rows_"), name=name))


def test_two_steps_of_one_name_are_told_with_the_place_of_the_other() -> None:
    assert one(problems(source("trips", line=3), table("trips", line=9))) == (
        "pipeline.py:9: Two steps are called `trips`; the other is at pipeline.py:3. Rename one, or give it name=."
    )


def test_names_that_differ_only_in_case_are_refused() -> None:
    assert "differ only in case" in one(problems(source("trips"), source("Trips", line=2)))


def test_a_misspelt_dataset_is_told_with_the_nearest() -> None:
    text = one(problems(source("trips"), table("clean", "trip", line=7)))
    assert text.startswith("pipeline.py:7: step `clean` reads `trip`, but no step or source makes it. Did you mean `trips`?")


def test_a_misspelt_dataset_is_never_told_to_be_a_model() -> None:
    trained = model("trips", "rows_")
    assert "Did you mean" not in one(problems(source("rows_"), trained, promotion(trained), table("clean", "tripss")))


def test_a_table_that_reads_a_model_is_told_to_read_its_predictions() -> None:
    groups = model("groups", "spending", line=5)
    text = one(problems(source("spending"), groups, promotion(groups), table("report", "groups", line=8)))
    assert (
        text == "pipeline.py:8: step `report` reads `groups`, which is a model (pipeline.py:5). Read its predictions: predict(groups, …)."
    )


def test_a_model_of_a_model_is_refused_once() -> None:
    a, b = model("a", "rows_"), model("b", "a", line=2)
    assert "model `b` is trained on `a`, which is no table" in one(problems(source("rows_"), a, promotion(a), b, promotion(b)))


def test_predictions_of_what_is_no_model_are_refused_once() -> None:
    text = one(problems(source("spending", line=2), predictions("found", "spending", "spending", line=3)))
    assert text == "pipeline.py:3: predictions `found`: `spending` is not a model but a source (pipeline.py:2)."


def test_predictions_of_an_unknown_model_name_the_nearest_model() -> None:
    groups = model("groups", "spending")
    text = one(problems(source("spending"), groups, promotion(groups), predictions("found", "gruops", "spending")))
    assert "there is no model `gruops`. Did you mean `groups`?" in text


def test_predictions_about_a_model_are_refused() -> None:
    groups = model("groups", "spending")
    text = one(problems(source("spending"), groups, promotion(groups), predictions("found", "groups", "groups")))
    assert "`groups` is not a table but a model" in text


def test_a_circle_is_told_as_a_path() -> None:
    text = one(problems(table("a", "c", line=1), table("b", "a", line=2), table("c", "b", line=3), table("d", "c", line=4)))
    assert "in a circle: `a` -> `c` -> `b` -> `a`" in text
    assert "`b` -> `b`" in one(problems(table("b", "b")))


def test_a_target_or_weight_among_the_features_is_refused() -> None:
    leaking = model("m", "rows_", "price", "size", target="price", weight="size")
    found = problems(source("rows_"), leaking, promotion(leaking))
    assert ["target `price` is also a feature" in found[0], "weight `size` is also a feature" in found[1]] == [True, True]


def test_a_feature_named_twice_and_one_fold_are_refused() -> None:
    doubled = model("m", "rows_", "a", "b", "a", cv=1)
    found = problems(source("rows_"), doubled, promotion(doubled))
    assert [text.partition(": ")[2] for text in found] == [
        "model `m` names a feature twice: a.",
        "model `m`: cv=1 is no cross-validation; it takes at least 2 folds.",
    ]


def test_splits_need_a_key_or_a_time() -> None:
    assert "is split by_key but has no key" in one(problems(table("t", split=by_key(test=0.2))))
    assert "is split by_time but has no time column" in one(problems(table("t", split=by_time(test="7d"))))
    assert problems(table("t", split=by_key("id", test=0.2)), table("u", key=("id",), split=by_key(test=0.2))) == []


def test_history_needs_a_start() -> None:
    steps = [source("rows_"), table("t", Input("rows_", "rows_", reach=days(30)))]
    assert problems(*steps) == []
    assert 'needs a start=: Pipeline(…, start="2026-01-01")' in one(problems(*steps, start=None))


def test_history_that_no_interval_fits_in_is_refused() -> None:
    text = one(problems(source("weekly", grid=WEEKLY), table("t", Input("weekly", "weekly", reach=days(3)), line=2)))
    assert "reads 3d of history of `weekly`, which has one interval every 7d: none would ever fit in" in text
    assert "none would ever fit in" in one(problems(source("rows_", grid=WEEKLY), table("t", Input("rows_", "rows_", reach=days(12, 6)))))


def test_a_start_within_a_minute_is_refused() -> None:
    assert "is no whole minute" in one(problems(source("rows_"), start="2026-01-01T00:00:30"))


def test_all_problems_come_in_one_list_in_the_order_of_the_file() -> None:
    steps = [source("trips", line=30), table("clean", "trip", line=20), table("select", "trips", line=10), table("clean", "trips", line=40)]
    lines = [int(text.partition(":")[2].partition(":")[0]) for text in problems(*steps, name="a b")]
    assert lines == [1, 10, 20, 40]


def test_a_gate_on_a_metric_that_nobody_measures_is_told_the_nearest() -> None:
    def gated(*gates: Gate, **spec: object) -> list[str]:
        return problems(table("rows_", key=("id",)), replace(model("groups", "rows_", **spec), gates=gates))

    assert one(gated(at_least("acuracy", 0.9))) == (
        "pipeline.py:1: model `groups`: its gate at_least('acuracy', 0.9) asks for a metric that is not measured. Did you mean `accuracy`? "
        "One of your own is given to the model by metrics=."
    )
    assert "Did you mean `mae`?" in one(gated(at_most("mae_std", 2)))
    assert gated(at_most("mae_std", 2), cv=5) == []
    assert gated(no_worse("profit"), metrics={"profit": max}) == []
    assert gated(*(at_least(name, 0) for name in METRICS), lambda metrics, champion: True) == []


# ---------------------------------------------------------------- locations


@pytest.mark.parametrize(
    ("location", "length"),
    [
        ("rows.csv", None),
        ("{start}.csv", timedelta(days=1)),
        ("{start:%Y-%m-%d}.csv", timedelta(days=1)),
        ("{start:%Y}/{start:%m}/{start:%d}.csv", timedelta(days=1)),
        ("{start:%Y-%m-%dT%H}.csv", timedelta(hours=1)),
        ("{start:%Y%m%d}/{end:%H%M}.csv", timedelta(minutes=1)),
        ("{start:%F_%T}.csv", timedelta(minutes=1)),
        ("{start:%G-%V}.csv", timedelta(days=7)),
        ("{start:%Y-%m}.csv", timedelta(days=28)),
        ("{start:%Y}.csv", timedelta(days=365)),
    ],
)
def test_a_location_says_how_much_time_a_file_is_about(location: str, length: timedelta | None) -> None:
    assert template_length(location) == length


@pytest.mark.parametrize("location", ["{start:%Y-%m-%d}.csv", "{start}.csv"])
def test_a_location_coarser_than_the_grid_is_refused_with_the_step_to_take(location: str) -> None:
    text = one(problems(source("rows_", location, grid=HOURLY)))
    assert "names a file for every 1d, but the step runs every 1h, so each row would be read many times" in text
    assert 'Give it every="1d"' in text


@pytest.mark.parametrize(
    ("location", "period", "step"),
    [
        ("{start:%Y-%m}.csv", "month", 'Give it every="@monthly"'),
        ("{start:%G-%V}.csv", "7d", 'Give it every="0 0 * * 1"'),
        ("{start:%Y-%U}.csv", "7d", 'Give it every="@weekly"'),
        ("{start:%Y}.csv", "year", "No step runs once a year: give it a finer location."),
    ],
)
def test_a_location_of_the_calendar_is_told_a_grid_of_the_calendar(location: str, period: str, step: str) -> None:
    text = one(problems(source("rows_", location)))
    assert f"names a file for every {period}, but the step runs every 1d" in text
    assert step in text


@pytest.mark.parametrize(("location", "every"), [("{start:%Y-%m}.csv", "@monthly"), ("{start:%G-%V}.csv", "0 0 * * 1")])
def test_the_grid_that_is_told_is_right_for_the_location(location: str, every: str) -> None:
    grid = Grid.parse(every)
    assert problems(source("rows_", location, grid=grid)) == []
    named = {i: resolve(location, i) for i in islice(iterate(grid), 60)}
    assert len(set(named.values())) == 60
    assert all(resolve(location, DAILY.at(i.end - timedelta(days=1))) == name for i, name in named.items())


@pytest.mark.parametrize("location", ["{start:%Y-%m-%dT%H}.csv", "{start:%Y-%m-%d}.csv", "rows.csv"])
def test_a_location_as_fine_as_the_grid_or_finer_is_fine(location: str) -> None:
    assert problems(source("rows_", location, grid=DAILY)) == []


def test_an_unknown_field_of_a_location_is_refused() -> None:
    assert "`{date}` in `{date}.csv` is not known" in one(problems(source("rows_", "{date}.csv")))


# ---------------------------------------------------------------- walking


def test_steps_come_after_what_they_read_whatever_the_order_of_the_file() -> None:
    found = graph(table("c", "a", "b"), table("b", "a"), source("a"))
    assert list(found.steps) == ["a", "b", "c"]
    assert found.downstream_of(["b"]) == {"b", "c"}
    assert found.upstream_of(["b"]) == {"a", "b"}
    assert [s.name for s in found.readers_of("a")] == ["b", "c"]


def test_an_unknown_step_is_told_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"has no step `spendin`\. Did you mean `spending`"):
        graph(source("spending")).step("spendin")


def reads(step: str, interval: Interval, *steps: object, **options: object) -> list[str]:
    found = graph(*steps, **options)  # type: ignore[arg-type]
    ((_, intervals),) = found.reads(found.step(step), interval)
    return [str(i) for i in intervals]


JAN_10 = Interval.of("2026-01-10", "2026-01-11")


def test_a_step_reads_its_own_interval_unless_told() -> None:
    assert reads("t", JAN_10, source("a"), table("t", "a")) == ["[2026-01-10, 2026-01-11)"]


def test_history_counts_back_from_the_end_and_never_before_the_start() -> None:
    steps = [source("a"), table("t", Input("a", "a", reach=days(3)))]
    assert [text[1:11] for text in reads("t", JAN_10, *steps)] == ["2026-01-08", "2026-01-09", "2026-01-10"]
    assert [text[1:11] for text in reads("t", JAN_10, *steps, start="2026-01-09")] == ["2026-01-09", "2026-01-10"]


def test_a_lag_leaves_the_newest_out_and_may_leave_nothing() -> None:
    steps = [source("a"), table("t", Input("a", "a", reach=days(4, 2)))]
    assert [text[1:11] for text in reads("t", JAN_10, *steps)] == ["2026-01-07", "2026-01-08"]
    assert reads("t", JAN_10, *steps, start="2026-01-10") == []


def test_the_newest_of_a_coarser_grid_has_ended_by_the_end_of_the_reader() -> None:
    steps = [source("w", grid=WEEKLY), table("t", Input("w", "w", is_newest=True))]
    newest = [reads("t", DAILY.at(parse_time(f"2026-01-{day:02d}")), *steps) for day in (6, 7, 8, 14)]
    assert newest == [[], ["[2026-01-01, 2026-01-08)"], ["[2026-01-01, 2026-01-08)"], ["[2026-01-08, 2026-01-15)"]]


def test_a_month_reads_each_of_its_days_and_no_other() -> None:
    steps = [source("a"), table("t", Input("a", "a", is_within=True), grid=Grid.parse("@monthly"))]
    for month, length in (("2026-01", 31), ("2026-02", 28), ("2026-04", 30)):
        found = reads("t", Grid.parse("@monthly").at(parse_time(month)), *steps)
        assert len(found) == length
        assert all(text.startswith(f"[{month}-") for text in found)


def test_an_uneven_finer_grid_is_read_once_by_the_days_that_follow() -> None:
    sevens = Grid.parse("7h", start=parse_time("2026-01-01"))
    steps = [source("a", grid=sevens), table("t", Input("a", "a", is_within=True))]
    week = list(DAILY.within(Interval.of("2026-01-01", "2026-01-08")))
    read = [text for day in week for text in reads("t", day, *steps)]
    assert len(read) == len(set(read)) == 24
    ordered = [sevens.at(parse_time(text[1:].partition(",")[0])) for text in read]
    assert all(a.end == b.start for a, b in pairwise(ordered))


def test_a_run_is_about_the_newest_of_a_coarser_step_and_all_of_a_finer_one() -> None:
    found = graph(source("w", grid=WEEKLY), source("h", grid=Grid.parse("6h")), source("d"))
    assert [str(i) for i in found.intervals_for(found.step("w"), JAN_10)] == ["[2026-01-01, 2026-01-08)"]
    assert [i.label for i in found.intervals_for(found.step("h"), JAN_10)] == [
        "2026-01-10",
        "2026-01-10T06",
        "2026-01-10T12",
        "2026-01-10T18",
    ]
    assert found.intervals_for(found.step("d"), JAN_10) == (JAN_10,)


def test_nothing_is_asked_for_before_the_start() -> None:
    found = graph(source("d"), source("w", grid=WEEKLY), start="2026-01-03T05")
    assert found.first == Interval.of("2026-01-04", "2026-01-05")
    assert found.intervals_for(found.step("d"), Interval.of("2026-01-03", "2026-01-04")) == ()
    assert found.intervals_for(found.step("w"), Interval.of("2026-01-09", "2026-01-10")) == ()
    assert graph(source("d"), start=None).first is None
