from __future__ import annotations

import json
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression

from headrace.backends.models import sklearn as flavour
from headrace.backends.stores.memory import MemoryStore
from headrace.core.errors import DataError, ModelError, StepError, Where
from headrace.core.interval import Grid, Interval
from headrace.core.manifest import Content
from headrace.core.ports import Column, InputFiles
from headrace.core.split import by_key, by_time
from headrace.core.step import Input, ModelSpec, Predictions, TrainedModel
from headrace.lake.lake import Lake
from headrace.steps.champions import open_champion
from headrace.steps.models import make_model, split_text
from headrace.steps.predictions import make_predictions
from headrace.steps.registry import Challenge, promote

DAY = Interval.of("2026-11-20", "2026-11-21")
GRID = Grid.parse("@daily")
NOW = datetime(2026, 12, 1, tzinfo=UTC)


class Session:
    """An engine's session that hands over what it was asked for."""

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        pass

    def give(self, source, kind):
        (_, paths), *_ = source.files
        return (kind, pa.concat_tables([pq.read_table(path) for path in paths]))


class Engine:
    name = "handing"

    def session(self, *, work):
        return Session()


@pytest.fixture
def lake():
    return Lake.open(MemoryStore(), clock=lambda: NOW)


@pytest.fixture
def sides(tmp_path):
    random = np.random.default_rng(0)
    found = {}
    for side, count in (("train", 40), ("test", 10)):
        a = random.normal(size=count)
        found[side] = [tmp_path / f"{side}.parquet"]
        pq.write_table(pa.table({"id": np.arange(count), "a": a, "y": 2 * a}), found[side][0])
    return found


def model(function, **said):
    return TrainedModel("price", Where("p.py", 1), GRID, function, "rows", ModelSpec(("a",), "y"), **{"inputs": (), **said})


def made(lake, step, sides, tmp_path, *, settings=None, split=None):
    attempt = lake.log("shop", "price").attempt(DAY)
    schema = (Column("id", "BIGINT"), Column("a", "DOUBLE"), Column("y", "DOUBLE"))
    inputs = {"rows": InputFiles("rows", ((DAY, tuple(path for files in sides.values() for path in files)),), schema)}
    found = make_model(
        step,
        DAY,
        attempt=attempt,
        backend=flavour.open(),
        engine=Engine(),
        inputs=inputs,
        sides=sides,
        settings=settings or {},
        seed=7,
        work=tmp_path,
        split=split,
    )
    content = Content("data", "model", found.parts, found.schema, "f", metrics=found.metrics, details=found.details)
    return found, attempt.commit(content)


def test_a_model_is_trained_saved_promoted_opened_and_used(lake, sides, tmp_path):
    step = model(lambda: LinearRegression())
    found, manifest = made(lake, step, sides, tmp_path)
    decision = promote(lake, Challenge(step, manifest, sides), flavour.open(), who="run")
    champion = open_champion(lake, "shop", "price", decision, flavour.open())
    attempt = lake.log("shop", "prices").attempt(DAY)
    predictions = make_predictions(
        Predictions("prices", Where("p.py", 9), GRID, "price", "rows", ("id",), inputs=()),
        DAY,
        attempt=attempt,
        backend=flavour.open(),
        model=champion,
        decision=decision,
        files=sides["test"],
        columns=("id",),
    )
    manifest = attempt.commit(Content("data", "predictions", predictions.parts, predictions.schema, "f", details=predictions.details))

    (path,) = lake.read_paths(manifest)
    rows = pq.read_table(path)
    assert found.metrics["r2"] == pytest.approx(1)
    assert found.schema == {"model": (Column("a", "DOUBLE"),)}
    assert (found.rows_read, found.details["rows"]) == (50, {"train": 40, "test": 10})
    assert rows["prediction"].to_pylist() == pytest.approx(pq.read_table(sides["test"][0])["y"].to_pylist())
    assert rows["model_version"][0].as_py() == "2026-11-20 v1"
    assert predictions.rows_kept == 10


def test_equal_trainings_have_an_equal_content(lake, sides, tmp_path):
    first = made(lake, model(lambda: RandomForestRegressor(3)), sides, tmp_path)[1]
    second = made(lake, model(lambda: RandomForestRegressor(3)), sides, tmp_path)[1]

    assert (first.version, second.version) == (1, 2)
    assert first.content.digest == second.content.digest


def test_the_function_is_given_its_settings_and_interval(lake, sides, tmp_path):
    given = {}

    def price(positive, when):
        given.update(positive=positive, when=when)
        return LinearRegression(positive=positive)

    found, _ = made(lake, model(price, interval_parameters=("when",)), sides, tmp_path, settings={"positive": True})

    assert given == {"positive": True, "when": DAY}
    assert found.details["settings"] == {"positive": True}


def test_a_function_that_reads_rows_gets_the_train_side_alone_in_the_kind_it_asks(lake, sides, tmp_path):
    seen = []

    def price(rows):
        kind, table = rows
        seen.append((kind, table.num_rows))
        return LinearRegression().fit(table.select(["a"]).to_pandas(), table["y"].to_pandas())

    made(lake, model(price, data_parameter="rows", inputs=(Input("rows", "rows", "arrow"),)), sides, tmp_path)

    assert seen == [("arrow", 40)]


def test_the_users_error_stays_the_cause(lake, sides, tmp_path):
    def price():
        raise KeyError("no such preset")

    with pytest.raises(StepError) as caught:
        made(lake, model(price), sides, tmp_path)
    assert isinstance(caught.value.__cause__, KeyError)


def test_what_a_model_cannot_work_with_names_step_and_interval(lake, sides, tmp_path):
    pq.write_table(pa.table({"a": [1.0, 2.0], "y": [5.0, 5.0]}), sides["train"][0])
    with pytest.raises(DataError, match=r"Step `price` \(2026-11-20\): The target `y` is a constant on the train side"):
        made(lake, model(lambda: LinearRegression()), sides, tmp_path)


def test_a_function_that_returns_no_estimator_is_told_what_to_return(lake, sides, tmp_path):
    with pytest.raises(ModelError, match=r"Step `price` \(2026-11-20\): The model function returned nothing"):
        made(lake, model(lambda: None), sides, tmp_path)


def test_the_card_lies_beside_the_model(lake, sides, tmp_path):
    _, manifest = made(lake, model(lambda: LinearRegression()), sides, tmp_path)

    card = next(path for path in lake.read_paths(manifest, "model", verify=True) if path.name == "model.json")
    assert json.loads(card.read_text())["features"] == [{"name": "a", "type": "DOUBLE"}]


@pytest.mark.parametrize(
    ("split", "text"),
    [
        (None, None),
        (by_key(("a", "b"), test=0.2, valid=0.1), "by_key a,b test=0.2 valid=0.1"),
        (by_time(test="7d", gap="1d"), "by_time test=7 days, 0:00:00 valid=None gap=1 day, 0:00:00"),
    ],
)
def test_a_split_is_told_by_all_that_decides_on_sides(split, text):
    assert split_text(split) == text
