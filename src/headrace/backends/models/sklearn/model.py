"""A fitted estimator with its card, and what can be told of an estimator without fitting it: its task, its parts.

The invariant: the card is plain JSON and equal for equal training on equal versions; nothing in it depends on the process.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import sklearn
from sklearn.base import is_classifier, is_clusterer, is_regressor
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags

from headrace.core.errors import ModelError
from headrace.core.ports import JSON, Column, FittedModel
from headrace.core.step import ModelSpec

__all__ = ["FORMAT", "SklearnModel", "Task", "last_step", "make_card", "own", "task_of"]

FORMAT = 1

Task = Literal["regression", "classification", "clustering"]
Estimator = Any  # scikit-learn ships no types: an object with fit and predict


@dataclass(frozen=True)
class SklearnModel:
    """A fitted estimator and its card."""

    estimator: Estimator
    card: Mapping[str, JSON]

    @property
    def task(self) -> str:
        return str(self.card["task"])

    @property
    def features(self) -> tuple[Column, ...]:
        listed: Any = self.card["features"]
        return tuple(Column(feature["name"], feature["type"]) for feature in listed)

    @property
    def takes_series(self) -> bool:
        """Whether the features are one Series (a text) and not a frame."""
        return bool(self.card["is_series"])

    @property
    def target(self) -> Column | None:
        listed: Any = self.card["target"]
        return Column(listed["name"], listed["type"]) if listed else None


def own(model: FittedModel) -> SklearnModel:
    """The model as this flavour's own; ModelError for another's."""
    if not isinstance(model, SklearnModel):
        raise ModelError(
            f"The sklearn flavour was given a {type(model).__name__}, which another flavour made. Use the flavour named in the model's card."
        )
    return model


def task_of(estimator: Estimator, spec: ModelSpec) -> Task:
    """What an estimator is for; ModelError when that and the declared target do not go together."""
    if not (hasattr(estimator, "fit") and hasattr(estimator, "get_params")):
        raise ModelError(
            f"The model function returned {_said(estimator)}, and a scikit-learn estimator (an object with `fit`) was expected. "
            "Return the estimator itself, such as `RandomForestRegressor()` or `make_pipeline(StandardScaler(), KMeans(5))`."
        )
    if isinstance(estimator, type):
        raise ModelError(
            f"The model function returned the class `{estimator.__name__}` and not an object of it. Write `{estimator.__name__}()`."
        )
    found = _kind_of(estimator)
    name = type(last_step(estimator)).__name__
    if found == "clustering":
        _check_clusterer(estimator, name, spec)
    elif spec.target is None:
        raise ModelError(f'`{name}` learns a target ({found}), and the model declares none. Say which column: target="...".')
    return found


def _kind_of(estimator: Estimator) -> Task:
    if is_regressor(estimator):
        return "regression"
    if is_classifier(estimator):
        return "classification"
    if is_clusterer(estimator) or get_tags(estimator).estimator_type == "density_estimator":
        return "clustering"
    name = type(last_step(estimator)).__name__
    raise ModelError(
        f"`{name}` is neither a regressor, a classifier nor a clusterer, so it can't be measured. End the Pipeline with one of these."
    )


def _check_clusterer(estimator: Estimator, name: str, spec: ModelSpec) -> None:
    if not hasattr(estimator, "predict"):
        raise ModelError(
            f"`{name}` has no `predict`, so it can't number new rows. Use KMeans, MiniBatchKMeans, BisectingKMeans, MeanShift or GaussianMixture."
        )
    if spec.target is not None:
        raise ModelError(f"`{name}` groups rows and learns no target, but the model declares target={spec.target!r}. Leave the target out.")
    if spec.cv is not None:
        raise ModelError(
            f"`{name}` groups rows: cross-validation (cv={spec.cv}) has nothing to compare with. Leave cv out, or split the table."
        )


def last_step(estimator: Estimator) -> Estimator:
    """The estimator at the end of (nested) Pipelines."""
    while isinstance(estimator, Pipeline):
        estimator = estimator.steps[-1][1]
    return estimator


def make_card(
    estimator: Estimator,
    task: Task,
    spec: ModelSpec,
    columns: Mapping[str, Column],
    *,
    rows: Mapping[str, int],
    metrics: Mapping[str, float],
    measured_on: str,
) -> dict[str, JSON]:
    """What is told about a fitted model, beside it."""
    target = columns[spec.target] if spec.target else None
    return {
        "format": FORMAT,
        "flavour": "sklearn",
        "task": task,
        "estimator": re.sub(r" at 0x[0-9a-f]+", "", repr(estimator))[:2000],
        "features": [{"name": name, "type": columns[name].type} for name in spec.feature_names],
        "is_series": isinstance(spec.features, str),
        "target": {"name": target.name, "type": target.type} if target else None,
        "classes": _classes(estimator) if task == "classification" else None,
        "has_probability": task == "classification" and hasattr(estimator, "predict_proba"),
        "rows": dict(rows),
        "metrics": dict(metrics),
        "measured_on": measured_on,
        "versions": {"python": platform.python_version(), "scikit-learn": sklearn.__version__, "numpy": np.__version__},
    }


def _classes(estimator: Estimator) -> Sequence[JSON]:
    classes: Sequence[JSON] = np.asarray(estimator.classes_).tolist()
    return classes


def _said(value: object) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"
