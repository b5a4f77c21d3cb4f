from __future__ import annotations

import json

import pytest
from sklearn.cluster import KMeans
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline

from headrace.core.step import ModelSpec


def plotted(backend, write, made, spec, rows):
    sides = {"train": [write("train", rows)], "test": [write("test", rows)]}
    trained = backend.train(made, spec, sides, seed=1, is_fitted=False)
    found = backend.plots(trained.model, spec, sides, seed=1)
    assert found == json.loads(json.dumps(found, allow_nan=False))
    assert {name: plot for name, plot in backend.plots(trained.model, spec, sides, seed=1).items() if name != "importance"} == {
        name: plot for name, plot in found.items() if name != "importance"
    }
    return found


def test_a_regression_is_drawn_from_a_bounded_sample(backend, write):
    found = plotted(backend, write, LinearRegression(), ModelSpec(("a", "b"), "y"), write.numbers(700))

    assert set(found) == {"predicted", "residuals", "importance"}
    assert len(found["predicted"]["actual"]) == len(found["residuals"]["residual"]) == 500
    assert found["predicted"]["rows"] == 700


def test_the_feature_that_matters_more_is_told_so(backend, write):
    found = plotted(backend, write, LinearRegression(), ModelSpec(("b", "a"), "y"), write.numbers(300))["importance"]

    assert found["features"] == ["b", "a"]
    assert found["mean"][1] > found["mean"][0] > 0


def test_a_classification_is_drawn_by_its_classes(backend, write):
    found = plotted(backend, write, RandomForestClassifier(3), ModelSpec(("a", "b"), "y"), write.numbers(300, classes=["n", "y"]))

    assert found["confusion"]["classes"] == ["n", "y"]
    assert sum(map(sum, found["confusion"]["counts"])) == 300
    (curve,) = found["roc"]["curves"]
    assert curve["class"] == "y"
    assert len(curve["fpr"]) == len(curve["tpr"]) <= 200


def test_clusters_are_drawn_flat(backend, write):
    found = plotted(backend, write, KMeans(3), ModelSpec(("a", "b")), write.numbers(600))

    assert sum(found["sizes"]["rows"]) == 600
    assert len(found["projection"]["x"]) == len(found["projection"]["cluster"]) == 500


@pytest.mark.parametrize("made", [make_pipeline(TfidfVectorizer(), LogisticRegression())])
def test_the_importance_of_a_single_text_is_skipped_with_the_reason(backend, write, made):
    found = plotted(backend, write, made, ModelSpec("w", "y"), {"w": ["good", "bad"] * 20, "y": [1, 0] * 20})

    assert "skipped" in found["importance"]
