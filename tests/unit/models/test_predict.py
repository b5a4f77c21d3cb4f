from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.cluster import KMeans
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.svm import LinearSVC

from headrace.backends.models.sklearn import rows
from headrace.core.errors import DataError
from headrace.core.ports import Column
from headrace.core.step import ModelSpec


def model(backend, write, made, *, classes=None, spec=None):
    sides = {"rows": [write("rows", write.numbers(60, classes=classes))]}
    return backend.train(made, spec or ModelSpec(("a", "b"), "y"), sides, seed=1, is_fitted=False).model


def predicted(backend, found, files, folder, columns=("id",), relabel=None):
    written = backend.predict(found, files, target=folder / "out.parquet", columns=columns, version="2026-11-20 v1", relabel=relabel)
    return written, pq.read_table(folder / "out.parquet").to_pydict()


def test_a_classifier_writes_the_class_its_probability_and_the_model(backend, write, tmp_path):
    found = model(backend, write, LogisticRegression(), classes=["n", "y"])
    written, out = predicted(backend, found, [write("new", write.numbers(7, seed=2))], tmp_path)

    assert written.rows == {"rows": 7}
    assert written.schema == (
        Column("id", "BIGINT"),
        Column("prediction", "VARCHAR"),
        Column("probability", "DOUBLE"),
        Column("model_version", "VARCHAR"),
    )
    assert out["id"] == list(range(7))
    assert set(out["prediction"]) <= {"n", "y"}
    assert min(out["probability"]) >= 0.5
    assert set(out["model_version"]) == {"2026-11-20 v1"}


@pytest.mark.parametrize(
    ("made", "classes", "type_"),
    [(LinearRegression(), None, "DOUBLE"), (LinearSVC(), [1, 2], "BIGINT"), (LinearSVC(), [False, True], "BOOLEAN")],
)
def test_a_prediction_has_the_targets_type_and_no_probability_without_one(backend, write, tmp_path, made, classes, type_):
    written, _ = predicted(backend, model(backend, write, made, classes=classes), [write("new", write.numbers(3))], tmp_path)

    assert [column.type for column in written.schema] == ["BIGINT", type_, "VARCHAR"]


def test_predictions_do_not_depend_on_the_batches(backend, write, tmp_path, monkeypatch):
    found = model(backend, write, LogisticRegression(), classes=["n", "y"])
    files = [write("new", write.numbers(500, seed=2)), write("more", write.numbers(40, seed=3))]
    whole = predicted(backend, found, files, tmp_path)[1]
    batches = rows.batches
    monkeypatch.setattr(rows, "batches", lambda files, columns: batches(files, columns, rows=17))

    pieces = predicted(backend, found, files, tmp_path)[1]
    assert pieces["prediction"] == whole["prediction"]
    assert pieces["probability"] == pytest.approx(whole["probability"], rel=1e-12)  # the order of sums is the linear algebra's


def test_clusters_are_shown_under_the_champions_numbers(backend, write, tmp_path):
    found = model(backend, write, KMeans(2), spec=ModelSpec(("a", "b")))
    new = [write("new", write.numbers(20, seed=2))]
    plain = predicted(backend, found, new, tmp_path)[1]["prediction"]

    shown = predicted(backend, found, new, tmp_path, relabel={"0": 7, "1": 0})[1]["prediction"]

    assert shown == [{0: 7, 1: 0}[number] for number in plain]


def test_no_rows_give_an_empty_file_with_its_columns(backend, write, tmp_path):
    found = model(backend, write, LogisticRegression(), classes=["n", "y"])
    none = {name: pa.array([], type=pa.int64() if name == "id" else pa.float64()) for name in ("id", "a", "b")}

    written, out = predicted(backend, found, [write("none", none)], tmp_path)

    assert written.rows == {"rows": 0}
    assert list(out) == ["id", "prediction", "probability", "model_version"]


def test_a_missing_feature_is_told(backend, write, tmp_path):
    with pytest.raises(DataError, match="The model needs `b`, and the rows to predict have no such column"):
        predicted(backend, model(backend, write, LinearRegression()), [write("new", {"id": [1], "a": [1.0]})], tmp_path)


def test_a_feature_of_another_type_is_told(backend, write, tmp_path):
    with pytest.raises(DataError, match="`a` is VARCHAR in the rows to predict, and the model was trained on DOUBLE"):
        predicted(backend, model(backend, write, LinearRegression()), [write("new", {"id": [1], "a": ["1"], "b": [1.0]})], tmp_path)


def test_whole_numbers_stand_in_for_fractions(backend, write, tmp_path):
    written, _ = predicted(backend, model(backend, write, LinearRegression()), [write("new", {"id": [1], "a": [1], "b": [2]})], tmp_path)

    assert written.rows == {"rows": 1}


def test_nulls_that_the_model_refuses_are_counted(backend, write, tmp_path):
    new = {"id": [1, 2, 3], "a": [1.0, None, None], "b": [1.0, 1.0, 1.0]}
    with pytest.raises(DataError, match="Predicting 3 rows was refused because of nulls: `a` is null in 2 of 3 rows"):
        predicted(backend, model(backend, write, LinearRegression()), [write("new", new)], tmp_path)


def test_a_column_that_predictions_add_themselves_is_refused(backend, write, tmp_path):
    new = {"prediction": [1], "a": [1.0], "b": [1.0]}
    with pytest.raises(DataError, match="The column `prediction` would be written twice"):
        predicted(backend, model(backend, write, LinearRegression()), [write("new", new)], tmp_path, columns=("prediction",))
