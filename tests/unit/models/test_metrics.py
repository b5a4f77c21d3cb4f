from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk
from sklearn.cluster import KMeans
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from headrace.backends.models.sklearn import metrics
from headrace.core.errors import StepError
from headrace.core.gate import METRICS
from headrace.core.step import ModelSpec


def trained(backend, write, made, spec, train, test):
    return backend.train(made, spec, {"train": [write("train", train)], "test": [write("test", test)]}, seed=1, is_fitted=False)


CLASSES = ModelSpec(("a", "b"), "y")


def test_a_binary_classifier_counts_the_greater_class_as_positive(backend, write):
    train, test = write.numbers(200, classes=["ham", "spam"]), write.numbers(50, seed=3, classes=["ham", "spam"])
    found = trained(backend, write, LogisticRegression(), CLASSES, train, test)

    predicted = found.model.estimator.predict(pd.DataFrame(test)[["a", "b"]])
    assert set(found.metrics) == {"accuracy", "f1", "roc_auc", "log_loss"}
    assert found.metrics["f1"] == sk.f1_score(test["y"], predicted, pos_label="spam")


@pytest.mark.parametrize(
    ("spec", "made"), [(CLASSES, LogisticRegression()), (CLASSES, LinearRegression()), (ModelSpec(("a", "b")), KMeans(2))]
)
def test_what_is_measured_is_what_a_gate_may_name(backend, write, spec, made):
    rows = write.numbers(60, classes=[0, 1])
    assert set(trained(backend, write, made, spec, rows, rows).metrics) <= set(METRICS)


def test_many_classes_are_averaged(backend, write):
    found = trained(
        backend, write, LogisticRegression(), CLASSES, write.numbers(300, classes=[1, 2, 3]), write.numbers(60, seed=2, classes=[1, 2, 3])
    )

    assert found.metrics["accuracy"] > 0.8
    assert found.metrics["roc_auc"] > 0.9


def test_without_probabilities_there_is_no_log_loss(backend, write):
    found = trained(backend, write, LinearSVC(), CLASSES, write.numbers(200, classes=[0, 1]), write.numbers(50, classes=[0, 1]))

    assert set(found.metrics) == {"accuracy", "f1", "roc_auc"}


def test_a_class_that_the_test_side_lacks_leaves_roc_auc_out_and_says_so(backend, write):
    test = {**write.numbers(5), "y": ["n"] * 5}
    found = trained(backend, write, LogisticRegression(), CLASSES, write.numbers(50, classes=["n", "y"]), test)

    assert "roc_auc" not in found.metrics
    assert found.notes == ("roc_auc is not defined: no row is of the class 'y'",)


def test_a_class_that_was_never_fitted_leaves_out_what_needs_its_probability(backend, write):
    test = {**write.numbers(4), "y": ["n", "y", "z", "z"]}
    found = trained(backend, write, LogisticRegression(), CLASSES, write.numbers(50, classes=["n", "y"]), test)

    assert set(found.metrics) == {"accuracy", "f1"}
    assert "the classes 'z' are not in the rows that were fitted" in found.notes[0]


def test_r2_is_left_out_where_the_target_does_not_vary(backend, write):
    found = trained(backend, write, LinearRegression(), CLASSES, write.numbers(50), {**write.numbers(3), "y": [1.0] * 3})

    assert set(found.metrics) == {"mae", "rmse"}
    assert "r2 is not defined" in found.notes[0]


def test_clusters_are_measured_where_the_clusterer_saw_them(backend, write):
    random = np.random.default_rng(0)
    rows = {"a": np.r_[random.normal(0, 1, 50), random.normal(9, 1, 50)], "b": random.normal(0, 1000, 100)}
    found = trained(backend, write, make_pipeline(StandardScaler(), KMeans(2)), ModelSpec(("a", "b")), rows, rows)

    scaled = StandardScaler().fit_transform(np.c_[rows["a"], rows["b"]])
    labels = found.model.estimator[-1].labels_
    assert found.metrics["silhouette"] == pytest.approx(sk.silhouette_score(scaled, labels))
    assert found.metrics["inertia"] == pytest.approx(found.model.estimator[-1].inertia_)
    assert found.metrics["smallest_cluster"] + found.metrics["largest_cluster"] == 100


def test_a_cluster_without_a_test_row_counts_as_empty(backend, write):
    rows = {"a": [0.0, 0.1, 5.0, 5.1], "b": [0.0] * 4}
    found = trained(backend, write, KMeans(2), ModelSpec(("a", "b")), rows, {"a": [0.0, 0.1], "b": [0.0, 0.0]})

    assert found.metrics["smallest_cluster"] == 0
    assert "silhouette is not defined" in found.notes[0]


def test_silhouette_is_sampled_with_the_seed_above_its_bound(backend, write, monkeypatch):
    monkeypatch.setattr(metrics, "SILHOUETTE_ROWS", 30)
    rows = {name: write.numbers(90)[name] for name in ("a", "b")}
    spec = ModelSpec(("a", "b"))
    found = trained(backend, write, KMeans(2), spec, rows, rows)

    again = backend.measure(found.model, spec, [write("test", rows)], seed=1)
    other = backend.measure(found.model, spec, [write("test", rows)], seed=2)
    assert found.notes == ("silhouette is measured on a sample of 30 of 90 rows",)
    assert again == found.metrics
    assert other["silhouette"] != found.metrics["silhouette"]


def test_own_metrics_are_given_truth_and_predictions_or_the_model(backend, write):
    spec = ModelSpec(
        ("a", "b"),
        "y",
        metrics={
            "worst": lambda truth, predicted: np.abs(truth - predicted).max(),
            "coefficients": lambda model, x, y: len(model.coef_),
            "scorer": sk.get_scorer("neg_mean_absolute_error"),
        },
    )
    found = trained(backend, write, LinearRegression(), spec, write.numbers(50), write.numbers(20))

    assert found.metrics["coefficients"] == 2
    assert found.metrics["scorer"] == -found.metrics["mae"]
    assert found.metrics["worst"] >= found.metrics["mae"]


def test_an_own_metric_that_fails_names_itself(backend, write):
    spec = ModelSpec(("a", "b"), "y", metrics={"profit": lambda truth, predicted: 1 / 0})
    with pytest.raises(StepError, match="The metric `profit` failed on 20 rows: ZeroDivisionError"):
        trained(backend, write, LinearRegression(), spec, write.numbers(50), write.numbers(20))


def test_a_metric_that_is_not_a_number_is_left_out_and_told(backend, write):
    spec = ModelSpec(("a", "b"), "y", metrics={"odd": lambda truth, predicted: float("nan")})
    found = trained(backend, write, LinearRegression(), spec, write.numbers(50), write.numbers(20))

    assert "odd" not in found.metrics
    assert found.notes == ("odd is nan on these rows, so it is left out",)
