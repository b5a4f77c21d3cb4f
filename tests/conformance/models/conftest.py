"""The modelling libraries that the suite runs on: each says here how it makes one model of each task, and inherits every test."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from headrace.core.ports import ModelBackend


@dataclass(frozen=True)
class Flavour:
    """A backend, and what a user's function would return in it: one call makes one unfitted estimator."""

    backend: ModelBackend
    regressor: Callable[[], object]
    classifier: Callable[[], object]
    clusterer: Callable[[int], object]
    text_classifier: Callable[[], object]
    suffix: str


def sklearn() -> Flavour:
    from sklearn.cluster import KMeans
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return Flavour(
        importlib.import_module("headrace.backends.models.sklearn").open(),
        regressor=lambda: make_pipeline(StandardScaler(), RandomForestRegressor(10)),
        classifier=lambda: make_pipeline(StandardScaler(), RandomForestClassifier(10)),
        clusterer=lambda clusters: make_pipeline(StandardScaler(), KMeans(clusters)),
        text_classifier=lambda: make_pipeline(TfidfVectorizer(), LogisticRegression()),
        suffix="skops",
    )


FLAVOURS = {"sklearn": sklearn}


@pytest.fixture(scope="session", params=FLAVOURS)
def flavour(request: pytest.FixtureRequest) -> Flavour:
    return FLAVOURS[request.param]()
