"""The surface: what a pipeline file declares becomes steps, and what is wrong with it is told with its line."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import pytest
from pydantic import AfterValidator, BaseModel

import headrace as hr
from headrace.core.errors import ConfigurationError, PipelineError
from headrace.core.step import Predictions, Promotion, Source, Table, TrainedModel, is_published, published_to

if TYPE_CHECKING:
    import polars as pl

    from headrace import Interval


def line_here() -> int:
    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    return frame.f_back.f_lineno


def pipeline(**options: str) -> hr.Pipeline:
    return hr.Pipeline("shop", **{"start": "2026-01-01", **options})  # type: ignore[arg-type]


def with_rows(**options: str) -> hr.Pipeline:
    shop = pipeline(**options)
    shop.source("rows_", "rows.csv")
    return shop


def refused(shop: hr.Pipeline) -> str:
    with pytest.raises(PipelineError) as caught:
        shop.graph()
    return str(caught.value)


# ---------------------------------------------------------------- the one rule of parameters


def test_a_parameter_without_default_is_data_with_one_is_a_setting_and_an_interval_is_the_interval() -> None:
    shop = with_rows()

    @shop.table
    def spending(rows_, when: Interval, quoted: hr.Interval, least: int = 5, *, ratio=0.5, names=("a", "b"), note: str | None = None):
        return "select 1"

    step = shop.graph().step("spending")
    assert isinstance(step, Table)
    assert [i.dataset for i in step.inputs] == ["rows_"]
    assert step.interval_parameters == ("when", "quoted")
    assert {s.name: s.default for s in step.settings} == {"least": 5, "ratio": 0.5, "names": ("a", "b"), "note": None}


def test_an_annotation_under_type_checking_asks_for_its_frame() -> None:
    shop = with_rows()

    @shop.table
    def lazy(rows_: pl.LazyFrame):
        return rows_

    @shop.table
    def framed(rows_: hr.Frame, lazy: hr.Frame):
        return "select 1"

    assert shop.graph().step("lazy").inputs[0].frame == "polars_lazy"
    assert [i.frame for i in shop.graph().step("framed").inputs] == ["frame", "frame"]


def test_an_annotation_in_a_notebook_is_known_by_what_its_names_are_now() -> None:
    shop = pipeline()
    shop.source("rows_", "rows.csv")
    cell = "from __future__ import annotations\nimport headrace as h\nimport pandas as frames\n"
    cell += "def spending(rows_: frames.DataFrame, when: h.Interval): ...\n"
    names: dict[str, object] = {}
    exec(compile(cell, "<cell 1>", "exec"), names)
    function = names["spending"]
    assert callable(function)
    shop.table(function)
    step = shop.graph().step("spending")
    assert isinstance(step, Table)
    assert (step.inputs[0].frame, step.interval_parameters) == ("pandas", ("when",))


def test_a_decorated_function_has_the_parameters_of_the_one_inside() -> None:
    def loud(function: Callable[..., object]) -> Callable[..., object]:
        @functools.wraps(function)
        def wrapper(*args: object, **kwargs: object) -> object:
            return function(*args, **kwargs)

        return wrapper

    shop = with_rows()

    @shop.table
    @loud
    def spending(rows_, least: int = 5):
        return "select $start"

    step = shop.graph().step("spending")
    assert [i.dataset for i in step.inputs] == ["rows_"]
    assert [s.name for s in step.settings] == ["least"]


def test_a_decorated_function_stays_callable_as_it_is() -> None:
    shop = with_rows()

    @shop.table(key="id")
    def spending(rows_, least: int = 5):
        return [rows_, least]

    assert spending("a") == ["a", 5]


@pytest.mark.parametrize("text", ["*rows", "**rows", "rows, /"])
def test_parameters_that_cannot_be_given_by_name_are_refused(text: str) -> None:
    shop = pipeline()
    names: dict[str, object] = {}
    exec(f"def spending({text}): ...", names)
    shop.table(names["spending"])  # type: ignore[type-var]
    assert f"`spending` has `{text}`; a step's parameters are named one by one" in refused(shop)


def test_a_default_that_is_no_plain_value_is_refused() -> None:
    shop = pipeline()

    @shop.table
    def spending(one={}, two=float("inf"), three=[1, object()], four=float):  # noqa: B006, B008
        return "select 1"

    text = refused(shop)
    found = [line.partition("the default of ")[2].partition(";")[0] for line in text.splitlines()[1:]]
    assert found == ["`one` is a dict", "`two` is inf", "`three` is a list", "`four` is a type"]


# ---------------------------------------------------------------- what is declared


def test_a_model_brings_its_promotion_and_predictions_have_the_key_of_their_rows() -> None:
    shop = with_rows()

    @shop.table(key=["id", "day"])
    def spending(rows_):
        return "select 1"

    @shop.model(spending, features=["a"], every="7d")
    def groups():
        return None

    found = shop.predict(groups, spending, columns="spent")
    graph = shop.graph()
    assert list(graph.steps) == ["rows_", "spending", "groups", "groups.promotion", "groups_predictions"]
    assert str(found) == "shop.groups_predictions"
    trained, promotion, predicted = graph.step("groups"), graph.step("groups.promotion"), graph.step("groups_predictions")
    assert isinstance(trained, TrainedModel)
    assert isinstance(promotion, Promotion)
    assert isinstance(predicted, Predictions)
    assert trained.inputs[0].is_newest
    assert trained.spec.key == ("id", "day")
    assert predicted.columns == ("id", "day", "spent")
    assert promotion.grid == trained.grid != predicted.grid


def test_a_reader_on_another_grid_gets_the_newest_of_a_coarser_and_all_of_a_finer_one() -> None:
    shop = pipeline(schedule="@daily")
    shop.source("hours", "h.csv", every="1h")
    shop.source("weeks", "w.csv", every="7d")
    shop.source("mornings", "m.csv", every="0 6 * * *")

    @shop.table
    def days(hours, weeks, mornings):
        return "select 1"

    reads = {i.dataset: (i.is_within, i.is_newest) for i in shop.graph().step("days").inputs}
    assert reads == {"hours": (True, False), "weeks": (False, True), "mornings": (False, True)}


def test_a_table_reads_predictions_on_the_grid_of_their_rows() -> None:
    shop = with_rows(schedule="@daily")

    @shop.table(every="7d")
    def weekly(rows_):
        return "select 1"

    @shop.model(weekly, features=["a"], every="7d")
    def groups():
        return None

    found = shop.predict(groups, weekly, name="found")
    assert found.name == "found"

    @shop.table
    def report(found):
        return "select 1"

    assert shop.graph().step("report").inputs[0].is_newest


def test_a_source_keeps_what_it_was_told() -> None:
    shop = pipeline()
    shop.source("a", "{start:%Y-%m-%d}.csv", missing="empty", max_rejected="10%", timeout="90s", retries=0)
    shop.source("b", "b.csv", max_rejected=10)
    a, b = shop.graph().step("a"), shop.graph().step("b")
    assert isinstance(a, Source)
    assert isinstance(b, Source)
    assert (a.missing, a.max_rejected, a.policy.timeout_s, a.policy.retries, a.policy.has_own_process) == ("empty", 0.1, 90.0, 0, True)
    assert b.max_rejected == 10


def test_steps_may_be_named_by_text_dataset_or_function() -> None:
    shop = pipeline()
    rows = shop.source("rows_", "rows.csv")

    @shop.model(rows, features="text", name="a")
    def first():
        return None

    @shop.model("rows_", features="text")
    def b(rows_):
        return None

    shop.predict("a", rows)
    shop.predict(first, "rows_", name="again")
    model = shop.graph().step("b")
    assert isinstance(model, TrainedModel)
    assert model.data_parameter == "rows_"
    assert {s.model for s in shop.graph().steps.values() if isinstance(s, Predictions)} == {"a"}


# ---------------------------------------------------------------- what is refused


def test_every_problem_is_told_at_once_with_its_line_in_the_order_of_the_file() -> None:
    shop = hr.Pipeline("shop", schedule="now and then", start="soon")
    first = line_here() - 1
    shop.source("rows_", "rows.csv", every="sometimes", max_rejected="many", timeout="long")
    second = line_here() - 1

    @shop.table(history={"other": "30d", "rows_": ("1d", "2d")})
    def spending(rows_, tripss):
        return "select 1"

    third = line_here() - 4
    with pytest.raises(PipelineError) as caught:
        shop.graph()
    places = [p.where.line for p in caught.value.problems if p.where]
    assert places == [first] * 2 + [second] * 3 + [third] * 3
    assert {Path(p.where.file).name for p in caught.value.problems if p.where} == {"test_pipeline.py"}
    assert str(caught.value).startswith(f"8 problems in the pipeline:\n  test_pipeline.py:{first}: ")


@pytest.mark.parametrize(
    ("declare", "text"),
    [
        (lambda p: p.source("x", "x.csv", missing="emtpy"), "missing='emtpy' is not known. Did you mean `empty`?"),
        (lambda p: p.table(layer="bronze")(lambda rows_: ""), "layer='bronze' is not known. Known: gold, silver."),
        (lambda p: p.source("x", "x.csv", retries=-1), "retries=-1: it is how often a step is tried again, 0 or more."),
        (lambda p: p.source("x", "x.csv", max_rejected=1.5), "max_rejected=1.5: a share lies between 0 and 1"),
        (lambda p: p.source("x", "x.csv", max_rejected=-1), "max_rejected=-1: a share lies between 0 and 1"),
        (lambda p: p.model("rows_", features=[])(lambda: None), "has no features"),
        (lambda p: p.model("rows_", features="a", gate="r2 > 0.5")(lambda: None), "gate='r2 > 0.5': write at_least('r2', 0.5)"),
        (lambda p: p.model("rows_", features="a", metrics=["r2"])(lambda: None), "metrics='r2': write a function of two columns"),
        (lambda p: p.model("rows_", features="a")(lambda other: None), "a model's function reads only its own data, `rows_`"),
        (lambda p: p.model(len, features="a")(lambda: None), "`len` is not a step of `shop`. Decorate it with @shop.table"),
        (lambda p: p.predict("x", hr.Pipeline("taxi").source("y", "y.csv")), "`taxi.y` belongs to another pipeline than `shop`"),
        (lambda p: p.table(lambda rows_: ""), "`<lambda>` can't name a step"),
    ],
)
def test_a_wrong_declaration_is_told_when_the_graph_is_asked_for(declare: Callable[[hr.Pipeline], object], text: str) -> None:
    shop = with_rows()
    declare(shop)
    assert text in refused(shop)


def test_what_is_no_function_is_refused_at_once() -> None:
    with pytest.raises(ConfigurationError, match="A step is a plain function; got a int"):
        pipeline().table(5)  # type: ignore[type-var]


def test_a_graph_is_checked_anew_after_another_declaration() -> None:
    shop = with_rows()
    assert list(shop.graph().steps) == ["rows_"]
    shop.source("more", "more.csv")
    assert list(shop.graph().steps) == ["rows_", "more"]


@pytest.mark.parametrize(
    ("publish", "is_asset", "place"), [(False, False, None), (True, True, None), ("s3://for-others/tables", True, "s3://for-others/tables")]
)
def test_a_dataset_is_published_as_an_asset_and_with_a_place_copied_there(publish: bool | str, is_asset: bool, place: str | None) -> None:
    shop = with_rows()

    @shop.table(publish=publish)
    def sums(rows_):
        return "select * from rows_"

    step = shop.graph().step("sums")
    assert (is_published(step), published_to(step)) == (is_asset, place)


@pytest.mark.parametrize("publish", ["", None, 1.5])
def test_a_place_that_is_none_is_refused(publish: object) -> None:
    shop = with_rows()

    @shop.table(publish=publish)  # type: ignore[call-overload]
    def sums(rows_):
        return "select * from rows_"

    assert "write True, or where the rows are copied to" in refused(shop)


def test_a_contract_with_validators_is_of_files_only() -> None:
    class Word(BaseModel):
        word: Annotated[str, AfterValidator(str.upper)]

    words = hr.Pipeline("words", schedule="@daily", start="2026-01-01")
    words.source("said", "said.csv", contract=Word)
    words.source("theirs", hr.dataset("others.words"), contract=Word)

    @words.table(contract=Word)
    def loud(said: str) -> str:
        return "select * from said"

    with pytest.raises(PipelineError) as caught:
        words.graph()
    told = sorted(problem.message.partition(";")[2] for problem in caught.value.problems)
    assert told == [" a table's rows are made by its function: check them there.", " another pipeline's rows are taken as they are."]
