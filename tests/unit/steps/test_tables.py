"""Making a table: what the function is called with, what becomes of its errors, what is staged."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from headrace.backends.engines.duckdb import open as open_engine
from headrace.backends.stores.memory import open as open_store
from headrace.core.errors import DataError, NotReadyError, StepError, Where
from headrace.core.interval import Grid, Interval
from headrace.core.ports import Column, Engine, InputFiles
from headrace.core.split import by_key
from headrace.core.step import Input, Setting, Table
from headrace.lake.lake import Lake
from headrace.steps.boundary import call_user
from headrace.steps.made import Made
from headrace.steps.splits import likeness
from headrace.steps.tables import make_table

DAY = Interval.of("2026-11-20", "2026-11-21")
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def engine() -> Engine:
    return open_engine(threads=1)


class Maker:
    """Makes a table of a function over three purchases, in a lake of its own."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine, self.folder = engine, folder
        self.store = open_store()
        self.attempt = Lake.open(self.store, clock=lambda: NOON).log("shop", "sums").attempt(DAY)
        self.made = Made(())
        with engine.session(work=folder) as session:
            from headrace.core.ports import WriteOrder

            path = folder / "purchases.parquet"
            rows = [{"id": 1, "spent": 2.0}, {"id": 1, "spent": 3.0}, {"id": 2, "spent": 7.0}]
            schema = session.write(rows, WriteOrder({"rows": path}), values={}).schema
        self.purchases = InputFiles("shop.purchases", ((DAY, (path,)),), schema)

    def __call__(self, function: Any, *, settings: dict[str, Any] | None = None, frame: Any = "frame", **step: Any) -> Made:
        inputs = (Input("purchases", "purchases", frame),) if "purchases" in function.__code__.co_varnames else ()
        declared = tuple(Setting(name, value) for name, value in (settings or {}).items())
        table = Table("sums", Where("shop.py", 3), Grid.parse("@daily"), function, inputs, declared, **step)
        given = {"purchases": self.purchases}
        self.made = make_table(
            table, DAY, attempt=self.attempt, engine=self.engine, inputs=given, settings=settings or {}, work=self.folder
        )
        return self.made

    def path(self, name: str) -> Path:
        (part,) = [part for part in self.made.parts if part.name == name]
        return self.store.stage(part.files[0].key)

    def rows(self, part: str) -> list[dict[str, Any]]:
        return pq.read_table(self.path(part)).to_pylist()


@pytest.fixture
def make(engine: Engine, tmp_path: Path) -> Maker:
    return Maker(engine, tmp_path)


def test_a_function_gets_data_settings_and_interval_by_name(make: Maker) -> None:
    seen: dict[str, object] = {}

    def sums(purchases: Any, least: int, when: Interval) -> str:
        seen.update(columns=purchases.columns, least=least, when=when)
        return f"select id, sum(spent) as spent, $least as least, $start as at from {purchases} group by id order by id"

    made = make(sums, settings={"least": 4}, interval_parameters=("when",), key=("id",))
    assert seen == {"columns": ("id", "spent"), "least": 4, "when": DAY}
    assert make.rows("rows") == [
        {"id": 1, "spent": 5.0, "least": 4, "at": DAY.start},
        {"id": 2, "spent": 7.0, "least": 4, "at": DAY.start},
    ]
    (part,) = made.parts
    assert (part.name, part.layer, part.rows, made.rows_read, made.rows_kept) == ("rows", "silver", 2, 2, 2)
    assert made.schema["rows"][:2] == (Column("id", "BIGINT"), Column("spent", "DOUBLE"))


def test_a_split_table_has_a_part_for_each_side(make: Maker) -> None:
    made = make(lambda: "select range as id, range / 2 as half from range(100)", key=("id",), split=by_key(test=0.3))
    assert [part.name for part in made.parts] == ["train", "test"]
    assert sum(part.rows or 0 for part in made.parts) == made.rows_kept == 100
    assert set(made.schema) == {"train", "test"}


def test_the_kind_of_frame_that_was_asked_for_is_given(make: Maker) -> None:
    def sums(purchases: Any) -> Any:
        assert type(purchases).__module__.startswith("polars")
        return purchases.group_by("id").sum()

    make(sums, frame="polars_lazy")
    assert make.rows("rows") == [{"id": 1, "spent": 5.0}, {"id": 2, "spent": 7.0}]


def test_what_the_function_raises_becomes_a_step_error_with_its_cause(make: Maker) -> None:
    def sums() -> str:
        raise KeyError("spent")

    with pytest.raises(
        StepError, match=r"Step `sums` \[2026-11-20, 2026-11-21\): `.*sums` raised KeyError: 'spent' \(test_tables.py:\d+\)"
    ) as caught:
        make(sums)
    assert isinstance(caught.value.__cause__, KeyError)


def test_what_is_wrong_with_the_result_names_the_table_and_the_interval(make: Maker) -> None:
    with pytest.raises(
        DataError, match=r"Table `sums` \[2026-11-20, 2026-11-21\): The SQL names the column `spnt`.*\n  line 1: select spnt"
    ):
        make(lambda purchases: "select spnt from purchases")


class Panic(BaseException):
    """As Polars raises them."""


def test_inputs_without_a_row_are_named_when_there_is_too_little_to_split(make: Maker) -> None:
    def sums(purchases):
        return "select id from purchases where false"

    def refused() -> str:
        with pytest.raises(DataError) as caught:
            make(sums, key=("id",), split=by_key(test=0.5))
        make.attempt = Lake.open(make.store, clock=lambda: NOON).log("shop", "sums").attempt(DAY)
        return str(caught.value)

    assert refused().endswith("Read more history, or change the shares.")
    make.purchases = replace(make.purchases, rows=3)
    assert refused().endswith("Read more history, or change the shares.")
    make.purchases = replace(make.purchases, rows=0)
    assert refused().endswith(
        "There were no rows in `purchases` from 2026-11-20 to 2026-11-20. If there should be some, their sources may lie elsewhere: "
        "see the locations in headrace show FILE."
    )


def test_a_panic_is_a_step_error_and_an_interrupt_is_not() -> None:
    def raising(error: BaseException) -> None:
        raise error

    with pytest.raises(StepError, match="raised Panic"):
        call_user("s", DAY, raising, {"error": Panic()})
    for error in (KeyboardInterrupt(), SystemExit(1), NotReadyError("later")):
        with pytest.raises(type(error)):
            call_user("s", DAY, raising, {"error": error})


def test_a_function_whose_body_would_run_later_is_refused() -> None:
    async def waits() -> None: ...

    def yields() -> Iterator[int]:
        yield 1

    async def both() -> AsyncIterator[int]:
        yield 1

    for function, found in ((waits, "is `async`"), (yields, "has a `yield`"), (both, "has a `yield`")):
        with pytest.raises(DataError, match=found):
            call_user("s", DAY, function, {})


def test_the_likeness_of_sides_names_the_columns_that_are_far_apart(make: Maker, engine: Engine) -> None:
    sql = "select range as id, if(substr(md5(range::varchar), 1, 8) < '80000000', 1.0, 0.0) as leak from range(200)"
    make(lambda: sql, key=("id",), split=by_key(test=0.5))
    files = {side: [make.path(side)] for side in ("train", "test")}
    told: Any = likeness(engine, files)
    assert told["shares"]["train"] + told["shares"]["test"] == 1
    assert "id" not in told["far"]
