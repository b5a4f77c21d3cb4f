"""The data behind a model's plots, for the report: bounded, sampled with a seed, measured on the test side.

Asked for after a run's results are shown, so nothing here enters a manifest. The invariant: no list is longer than its bound below,
and a plot that can't be drawn says why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from sklearn import metrics as sk

from headrace.backends.models.sklearn import rows
from headrace.backends.models.sklearn.metrics import scored_features
from headrace.backends.models.sklearn.model import SklearnModel
from headrace.backends.models.sklearn.rows import Rows
from headrace.core.ports import JSON
from headrace.core.step import ModelSpec

__all__ = ["plots"]

_POINTS = 500
_CURVE_POINTS = 200
_CLASSES = 20
_FEATURES = 30
_IMPORTANCE_ROWS = 1_000
_REPEATS = 3
_SECONDS = 0.5  # what permutation importance may take: a slow model's is skipped


def plots(model: SklearnModel, spec: ModelSpec, sides: Mapping[str, Sequence[Path]], *, seed: int) -> dict[str, JSON]:
    """The plots of a model's task; the port lists them."""
    files = sides["test"] if "test" in sides else sides["rows"]
    side = rows.read(files, spec, side="test")
    if len(side) == 0:
        return {}
    if model.task == "regression":
        found = _regression(model, side, seed)
    elif model.task == "classification":
        found = _classification(model, side)
    else:
        return _clustering(model, side, seed)
    return {**found, "importance": _importance(model, side, seed)}


def _sample(count: int, most: int, seed: int) -> Any:
    return np.arange(count) if count <= most else np.sort(np.random.default_rng(seed).choice(count, size=most, replace=False))


def _numbers(values: Any) -> list[JSON]:
    listed: list[JSON] = np.asarray(values, dtype=float).round(6).tolist()
    return listed


def _regression(model: SklearnModel, side: Rows, seed: int) -> dict[str, JSON]:
    chosen = _sample(len(side), _POINTS, seed)
    actual = np.asarray(side.target, dtype=float)[chosen]
    predicted = np.asarray(model.estimator.predict(side.features.iloc[chosen]), dtype=float)
    return {
        "predicted": {"actual": _numbers(actual), "predicted": _numbers(predicted), "rows": len(side)},
        "residuals": {"predicted": _numbers(predicted), "residual": _numbers(actual - predicted), "rows": len(side)},
    }


def _classification(model: SklearnModel, side: Rows) -> dict[str, JSON]:
    classes = np.asarray(model.estimator.classes_)
    if len(classes) > _CLASSES:
        said: JSON = {"skipped": f"{len(classes)} classes are more than the {_CLASSES} that can be read"}
        return {"confusion": said, "roc": said}
    counts = sk.confusion_matrix(side.target, model.estimator.predict(side.features), labels=classes)
    return {"confusion": {"classes": [str(name) for name in classes], "counts": counts.tolist()}, "roc": _roc(model, side, classes)}


def _roc(model: SklearnModel, side: Rows, classes: Any) -> JSON:
    estimator = model.estimator
    if hasattr(estimator, "predict_proba"):
        scores = estimator.predict_proba(side.features)
    elif hasattr(estimator, "decision_function") and len(classes) == 2:
        scores = np.stack([-(raw := estimator.decision_function(side.features)), raw], axis=1)
    else:
        return {"skipped": "the estimator gives no probabilities"}
    drawn = [1] if len(classes) == 2 else range(len(classes))
    curves = [_curve(side.target == classes[index], scores[:, index], str(classes[index])) for index in drawn]
    return {"curves": [curve for curve in curves if curve]}


def _curve(is_class: Any, scores: Any, name: str) -> dict[str, JSON] | None:
    if is_class.all() or not is_class.any():
        return None
    fpr, tpr, _ = sk.roc_curve(is_class, scores)
    kept = np.unique(np.linspace(0, len(fpr) - 1, _CURVE_POINTS).round().astype(int))
    return {"class": name, "fpr": _numbers(fpr[kept]), "tpr": _numbers(tpr[kept]), "auc": round(float(sk.auc(fpr, tpr)), 6)}


def _clustering(model: SklearnModel, side: Rows, seed: int) -> dict[str, JSON]:
    predicted = np.asarray(model.estimator.predict(side.features))
    clusters, sizes = np.unique(predicted, return_counts=True)
    return {"sizes": {"clusters": clusters.tolist(), "rows": sizes.tolist()}, "projection": _projection(model, side, predicted, seed)}


def _projection(model: SklearnModel, side: Rows, predicted: Any, seed: int) -> JSON:
    from sklearn.decomposition import PCA

    chosen = _sample(len(side), _POINTS, seed)
    seen = scored_features(model.estimator, side.features)
    sampled = seen.iloc[chosen] if hasattr(seen, "iloc") else seen[chosen]
    if min(sampled.shape) < 2:
        return {"skipped": "a projection needs two rows and two features"}
    flat = PCA(2, random_state=0, svd_solver="arpack" if hasattr(sampled, "tocsr") else "auto").fit(sampled)
    x, y = flat.transform(sampled).T
    return {
        "x": _numbers(x),
        "y": _numbers(y),
        "cluster": predicted[chosen].tolist(),
        "explained": _numbers(flat.explained_variance_ratio_),
    }


def _importance(model: SklearnModel, side: Rows, seed: int) -> JSON:
    """How much worse the model does when one feature is shuffled (Breiman, 2001), on at most a thousand rows."""
    names = [feature.name for feature in model.features]
    if model.takes_series or not 2 <= len(names) <= _FEATURES:
        return {"skipped": f"it is measured for 2 to {_FEATURES} features of a frame, and the model has {len(names)}"}
    chosen = _sample(len(side), _IMPORTANCE_ROWS, seed)
    features, truth = side.features.iloc[chosen].reset_index(drop=True), side.target[chosen]
    score = sk.accuracy_score if model.task == "classification" else sk.r2_score
    if len(truth) < 2:
        return {"skipped": "one row can't be shuffled"}
    began = perf_counter()
    whole = score(truth, model.estimator.predict(features))
    repeats = min(_REPEATS, int(_SECONDS / max(perf_counter() - began, 1e-6) / len(names)))
    if repeats == 0:
        return {"skipped": f"it would take more than {_SECONDS} s with this model"}
    random = np.random.default_rng(seed)
    lost = [[whole - score(truth, model.estimator.predict(_shuffled(features, name, random))) for _ in range(repeats)] for name in names]
    metric = "accuracy" if model.task == "classification" else "r2"
    return {
        "features": list(names),
        "mean": _numbers(np.mean(lost, axis=1)),
        "std": _numbers(np.std(lost, axis=1)),
        "metric": metric,
        "rows": len(truth),
    }


def _shuffled(features: Any, name: str, random: np.random.Generator) -> Any:
    return features.assign(**{name: features[name].to_numpy()[random.permutation(len(features))]})
