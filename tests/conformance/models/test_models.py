"""What every modelling library does, in the words of the port."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headrace.core.errors import DataError, ModelError
from headrace.core.step import ModelSpec

NUMBERS = ModelSpec(("a", "b"), "y")


@pytest.fixture
def sides(tmp_path):
    """Rows whose targets follow from their features, split 80 to 20."""
    random = np.random.default_rng(0)
    a, b = random.normal(size=(2, 100))
    group = np.where(a > 0, "high", "low")
    table = pa.table(
        {"id": range(100), "a": a + 4 * (a > 0), "b": b, "y": 5 * a + b, "group": group, "words": [f"word {name}" for name in group]}
    )
    pq.write_table(table.slice(0, 80), tmp_path / "train.parquet")
    pq.write_table(table.slice(80), tmp_path / "test.parquet")
    return {"train": [tmp_path / "train.parquet"], "test": [tmp_path / "test.parquet"]}


CASES = {
    "regressor": (NUMBERS, {"r2", "mae", "rmse"}),
    "classifier": (ModelSpec(("a", "b"), "group"), {"accuracy", "f1", "roc_auc", "log_loss"}),
    "text_classifier": (ModelSpec("words", "group"), {"accuracy", "f1", "roc_auc", "log_loss"}),
    "clusterer": (ModelSpec(("a", "b")), {"silhouette", "smallest_cluster", "largest_cluster", "inertia"}),
}


def trained(flavour, case, sides, *, seed=1):
    make = getattr(flavour, case)
    return flavour.backend.train(make(2) if case == "clusterer" else make(), CASES[case][0], sides, seed=seed, is_fitted=False)


@pytest.mark.parametrize("case", CASES)
def test_a_task_has_its_metrics_and_they_are_numbers(flavour, case, sides):
    metrics = trained(flavour, case, sides).metrics

    assert set(metrics) == CASES[case][1]
    assert all(np.isfinite(value) for value in metrics.values())


@pytest.mark.parametrize("case", CASES)
def test_measuring_again_on_the_test_rows_gives_the_same_metrics(flavour, case, sides):
    found = trained(flavour, case, sides)

    assert flavour.backend.measure(found.model, CASES[case][0], sides["test"], seed=1) == found.metrics


@pytest.mark.parametrize("case", CASES)
def test_equal_training_gives_equal_files(flavour, case, sides, tmp_path):
    written = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        names = flavour.backend.save(trained(flavour, case, sides).model, tmp_path / name, trust=(), is_pickle_allowed=False)
        written.append([(tmp_path / name / file).read_bytes() for file in names])

    assert written[0] == written[1]


@pytest.mark.parametrize("case", CASES)
def test_a_loaded_model_predicts_as_before_it_was_saved(flavour, case, sides, tmp_path):
    model = trained(flavour, case, sides).model
    names = flavour.backend.save(model, tmp_path, trust=(), is_pickle_allowed=False)
    again = flavour.backend.load(tmp_path, trust=(), is_pickle_allowed=False)

    assert set(names) == {f"model.{flavour.suffix}", "model.json"}
    outs = []
    for used in (model, again):
        flavour.backend.predict(used, sides["test"], target=tmp_path / "out.parquet", columns=("id",), version="v1")
        outs.append(pq.read_table(tmp_path / "out.parquet"))
    assert outs[0].equals(outs[1])


@pytest.mark.parametrize("case", CASES)
def test_the_card_is_plain_json_with_what_a_user_of_the_model_needs(flavour, case, sides):
    card = trained(flavour, case, sides).model.card

    assert json.loads(json.dumps(card)) == card
    assert {"format", "flavour", "task", "features", "target", "classes", "metrics", "measured_on", "rows", "versions"} <= set(card)


@pytest.mark.parametrize("case", CASES)
def test_plots_are_plain_and_bounded(flavour, case, sides):
    found = flavour.backend.plots(trained(flavour, case, sides).model, CASES[case][0], sides, seed=1)

    assert found
    assert len(json.dumps(found, allow_nan=False)) < 100_000


@pytest.mark.parametrize(
    ("case", "columns"), [("regressor", {"prediction"}), ("classifier", {"prediction", "probability"}), ("clusterer", {"prediction"})]
)
def test_predictions_hold_the_columns_asked_for_and_those_of_the_task(flavour, case, columns, sides, tmp_path):
    written = flavour.backend.predict(
        trained(flavour, case, sides).model, sides["test"], target=tmp_path / "out.parquet", columns=("id",), version="v1"
    )

    assert written.rows == {"rows": 20}
    assert {column.name for column in written.schema} == {"id", "model_version"} | columns
    assert pq.read_table(tmp_path / "out.parquet")["id"].to_pylist() == list(range(80, 100))


def test_clusters_keep_the_numbers_of_the_champion(flavour, sides, tmp_path):
    champion, challenger = (trained(flavour, "clusterer", sides, seed=seed).model for seed in (1, 2))
    relabel = flavour.backend.match_clusters(champion, challenger, sides["train"], relabel=None)
    shown = []
    for model, mapping in ((champion, None), (challenger, relabel)):
        flavour.backend.predict(model, sides["train"], target=tmp_path / "out.parquet", columns=(), version="v1", relabel=mapping)
        shown.append(pq.read_table(tmp_path / "out.parquet")["prediction"].to_pylist())

    assert shown[0] == shown[1]


def test_a_missing_target_is_a_data_error_that_names_it(flavour, sides):
    with pytest.raises(DataError, match="`price`"):
        flavour.backend.train(flavour.regressor(), ModelSpec(("a",), "price"), sides, seed=1, is_fitted=False)


def test_what_is_no_model_is_refused(flavour, sides):
    with pytest.raises(ModelError):
        flavour.backend.train(object(), NUMBERS, sides, seed=1, is_fitted=False)


def test_a_folder_without_a_model_is_refused(flavour, tmp_path):
    with pytest.raises(ModelError):
        flavour.backend.load(tmp_path, trust=(), is_pickle_allowed=False)
