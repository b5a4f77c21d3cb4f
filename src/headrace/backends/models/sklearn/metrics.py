"""Metrics of a fitted estimator on rows it is shown: the built-in ones of its task, and the user's own.

Nothing here fits. The invariant: a metric that is not defined on these rows is left out and a note says why; it is never NaN.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sklearn import metrics as sk
from sklearn.pipeline import Pipeline

from headrace.backends.models.sklearn.model import Estimator, Task, last_step
from headrace.backends.models.sklearn.rows import Rows
from headrace.core.errors import StepError
from headrace.core.step import ModelSpec

__all__ = ["SILHOUETTE_ROWS", "measured", "scored_features"]

SILHOUETTE_ROWS = 10_000  # silhouette compares all pairs: above this, a seeded sample is measured

Measured = tuple[dict[str, float], list[str]]


def measured(estimator: Estimator, task: Task, spec: ModelSpec, rows: Rows, *, seed: int) -> Measured:
    """The metrics on `rows`, and notes on those that are not defined there."""
    predicted = np.asarray(estimator.predict(rows.features))
    if task == "regression":
        found, notes = _regression(rows.target, predicted)
    elif task == "classification":
        found, notes = _classification(estimator, rows, predicted)
    else:
        found, notes = _clustering(estimator, rows, predicted, seed)
    for name, function in spec.metrics.items():
        found[name] = _own(name, function, estimator, rows, predicted, task)
    for name in [name for name, value in found.items() if not math.isfinite(value)]:
        notes.append(f"{name} is {found.pop(name)} on these rows, so it is left out")
    return found, notes


def _regression(truth: Any, predicted: Any) -> Measured:
    truth = np.asarray(truth, dtype=float)
    found = {"mae": float(sk.mean_absolute_error(truth, predicted)), "rmse": float(sk.root_mean_squared_error(truth, predicted))}
    if len(truth) < 2 or np.ptp(truth) == 0:
        return found, [f"r2 is not defined: the target is the same in all {len(truth)} rows"]
    return {"r2": float(sk.r2_score(truth, predicted)), **found}, []


def _classification(estimator: Estimator, rows: Rows, predicted: Any) -> Measured:
    classes = np.asarray(estimator.classes_)
    truth = np.asarray(rows.target)
    found = {"accuracy": float(sk.accuracy_score(truth, predicted)), "f1": _f1(truth, predicted, classes)}
    notes = []
    unknown = sorted(set(truth.tolist()) - set(classes.tolist()), key=str)
    if unknown:
        return found, [f"roc_auc and log_loss are not defined: the classes {_names(unknown)} are not in the rows that were fitted"]
    scores = _scores(estimator, rows.features, classes)
    absent = sorted(set(classes.tolist()) - set(truth.tolist()), key=str)
    if absent:
        notes.append(f"roc_auc is not defined: no row is of the class {_names(absent)}")
    elif scores is not None:
        found["roc_auc"] = float(sk.roc_auc_score(truth, scores, multi_class="ovr", average="macro", labels=classes))
    if hasattr(estimator, "predict_proba"):
        found["log_loss"] = float(sk.log_loss(truth, estimator.predict_proba(rows.features), labels=classes))
    return found, notes


def _f1(truth: Any, predicted: Any, classes: Any) -> float:
    if len(classes) == 2:
        return float(sk.f1_score(truth == classes[1], predicted == classes[1], zero_division=0))
    return float(sk.f1_score(truth, predicted, average="macro", zero_division=0))


def _scores(estimator: Estimator, features: Any, classes: Any) -> Any:
    """What roc_auc ranks by: the greater class's score, or all probabilities when there are more than two."""
    if hasattr(estimator, "predict_proba"):
        probability = estimator.predict_proba(features)
        return probability[:, 1] if len(classes) == 2 else probability
    if len(classes) == 2 and hasattr(estimator, "decision_function"):
        return estimator.decision_function(features)
    return None


def _names(values: list[Any]) -> str:
    return ", ".join(repr(value) for value in values[:5])


def scored_features(estimator: Estimator, features: Any) -> Any:
    """The features as the last step of a Pipeline sees them: where distances between rows are measured."""
    return estimator[:-1].transform(features) if isinstance(estimator, Pipeline) and len(estimator.steps) > 1 else features


def _clustering(estimator: Estimator, rows: Rows, predicted: Any, seed: int) -> Measured:
    last = last_step(estimator)
    seen = scored_features(estimator, rows.features)
    known = getattr(last, "cluster_centers_", None)
    sizes = np.bincount(predicted, minlength=len(known) if known is not None else int(getattr(last, "n_components", 0) or 0))
    found = {"smallest_cluster": float(sizes.min()), "largest_cluster": float(sizes.max())}
    if hasattr(last, "inertia_") and hasattr(last, "score"):
        found["inertia"] = -float(estimator.score(rows.features))
    chosen = _sample(len(rows), SILHOUETTE_ROWS, seed)
    labels = predicted[chosen]
    if not 2 <= len(np.unique(labels)) < len(labels):
        return found, [f"silhouette is not defined: {len(labels):,} rows are in {len(np.unique(labels)):,} cluster(s)"]
    found["silhouette"] = float(sk.silhouette_score(_take(seen, chosen), labels))
    notes = [f"silhouette is measured on a sample of {SILHOUETTE_ROWS:,} of {len(rows):,} rows"] if len(chosen) < len(rows) else []
    return found, notes


def _sample(rows: int, most: int, seed: int) -> Any:
    if rows <= most:
        return np.arange(rows)
    return np.sort(np.random.default_rng(seed).choice(rows, size=most, replace=False))


def _take(features: Any, chosen: Any) -> Any:
    return features.iloc[chosen] if hasattr(features, "iloc") else features[chosen]


def _own(name: str, function: Callable[..., float], estimator: Estimator, rows: Rows, predicted: Any, task: Task) -> float:
    """The user's own metric. By the number of parameters that it requires: (truth, predictions), or like a scorer (model, features, truth)."""
    truth = rows.features if task == "clustering" else rows.target
    try:
        if _required(function) >= 3:
            return float(function(estimator, rows.features, rows.target))
        return float(function(truth, predicted))
    except Exception as error:
        raise StepError(f"The metric `{name}` failed on {len(rows):,} rows: {type(error).__name__}: {error}") from error


def _required(function: Callable[..., float]) -> int:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters: Mapping[str, inspect.Parameter] = inspect.signature(function).parameters
    return sum(parameter.kind in kinds and parameter.default is parameter.empty for parameter in parameters.values())
