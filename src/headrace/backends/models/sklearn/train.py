"""Training: check, seed, fit on the train side, measure on the test side; and measuring again on other rows.

The invariant: only rows of the train side are ever fitted (of all rows when the table has no split), and equal rows, estimator
and seed give an equal model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from inspect import Parameter, signature
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # scikit-learn's own dependency

from headrace.backends.models.sklearn import checks, rows
from headrace.backends.models.sklearn.metrics import measured
from headrace.backends.models.sklearn.model import Estimator, SklearnModel, Task, last_step, make_card, task_of
from headrace.backends.models.sklearn.rows import Rows
from headrace.core.errors import DataError, ModelError
from headrace.core.ports import Trained
from headrace.core.step import ModelSpec

__all__ = ["measure", "train"]


def train(made: object, spec: ModelSpec, sides: Mapping[str, Sequence[Path]], *, seed: int, is_fitted: bool) -> Trained:
    """Fit an estimator and measure it; see the port."""
    estimator: Estimator = made
    task = task_of(estimator, spec)
    checks.check_portable(estimator)
    train_files = sides["train"] if "train" in sides else sides["rows"]
    training = rows.read(train_files, spec, side="train")
    if is_fitted:
        _check_fitted(estimator, spec)
    else:
        checks.check_rows(estimator, task, spec, training, "train")
        estimator = seeded(clone(estimator), seed)
    held = _held(sides, spec, estimator, task)
    found: dict[str, float] = {}
    notes: list[str] = []
    measured_on = ""
    if spec.cv:
        found, notes, measured_on = _cross_validated(estimator, task, spec, training, held, sides, seed)
    if not is_fitted:
        estimator = fit(estimator, spec, training)
    if not spec.cv:
        found, notes = _measured(estimator, task, spec, training if held is None else held, seed)
        measured_on = f"{len(training):,} rows it was fitted on" if held is None else f"{len(held):,} test rows"
    if held is None and not spec.cv:
        notes.append("measured on the rows it was fitted on: give the table a split, or the model cv=, to know how it does on others")
    counted = {side: rows.count(files) for side, files in sides.items()}
    card = make_card(estimator, task, spec, rows.columns_of(train_files), rows=counted, metrics=found, measured_on=measured_on)
    return Trained(SklearnModel(estimator, card), found, tuple(notes))


def measure(model: SklearnModel, spec: ModelSpec, files: Sequence[Path], *, seed: int) -> dict[str, float]:
    """The metrics of a fitted model on other rows."""
    side = rows.read(files, spec, side="test")
    checks.check_rows(model.estimator, task_of(model.estimator, spec), spec, side, "test")
    return _measured(model.estimator, task_of(model.estimator, spec), spec, side, seed)[0]


def seeded(estimator: Estimator, seed: int) -> Estimator:
    """The estimator with `random_state` set wherever it has one, however deep, and the user left it None."""
    parameters = estimator.get_params(deep=True)
    free = [name for name, value in parameters.items() if value is None and name.rpartition("__")[2] == "random_state"]
    return estimator.set_params(**dict.fromkeys(free, seed % 2**32))


def fit(estimator: Estimator, spec: ModelSpec, training: Rows) -> Estimator:
    """Fit in place, with the weights at the last step; what scikit-learn refuses is said in words."""
    given = {} if spec.weight is None else {_weight_parameter(estimator, spec.weight): training.weight}
    given |= {} if spec.target is None else {"y": training.target}
    try:
        with _one_thread(estimator):
            return _without_times(estimator.fit(training.features, **given))
    except Exception as error:
        raise checks.refusal(error, estimator, training.features, f"Fitting on {len(training):,} rows") from error


def _one_thread(estimator: Estimator) -> Any:
    """K-means adds up per thread, in no fixed order: on one thread equal rows give equal centres."""
    return threadpool_limits(limits=1, user_api="openmp") if hasattr(last_step(estimator), "n_clusters") else nullcontext()


def _without_times(estimator: Estimator) -> Estimator:
    """A search keeps how long its fits took, which differs between equal trainings: zeros in their place."""
    search = last_step(estimator)
    if hasattr(search, "cv_results_") and hasattr(search, "refit_time_"):
        search.refit_time_ = 0.0
        search.cv_results_ |= {name: np.zeros_like(times) for name, times in search.cv_results_.items() if name.endswith("_time")}
    return estimator


def _weight_parameter(estimator: Estimator, column: str) -> str:
    parameters = signature(last_step(estimator).fit).parameters
    if "sample_weight" not in parameters and not any(p.kind is Parameter.VAR_KEYWORD for p in parameters.values()):
        raise ModelError(
            f"`{type(last_step(estimator)).__name__}` takes no weights, and the model declares weight={column!r}. Leave the weight out, or take another estimator."
        )
    path = ""
    while isinstance(estimator, Pipeline):
        name, estimator = estimator.steps[-1]
        path += f"{name}__"
    return path + "sample_weight"


def _check_fitted(estimator: Estimator, spec: ModelSpec) -> None:
    if spec.cv:
        raise ModelError(
            f"cv={spec.cv} fits the estimator again and again, and the model function returned one that it fitted itself. Leave cv out, or return an unfitted estimator."
        )
    try:
        check_is_fitted(estimator)
    except NotFittedError:
        name = type(estimator).__name__
        raise ModelError(
            f"The model function reads its training rows but returned an unfitted `{name}`. Fit it there, or drop the data parameter: headrace fits then."
        ) from None


def _held(sides: Mapping[str, Sequence[Path]], spec: ModelSpec, estimator: Estimator, task: Task) -> Rows | None:
    if "test" not in sides:
        return None
    held = rows.read(sides["test"], spec, side="test")
    checks.check_rows(estimator, task, spec, held, "test")
    return held


def _measured(estimator: Estimator, task: Task, spec: ModelSpec, side: Rows, seed: int) -> tuple[dict[str, float], list[str]]:
    try:
        return measured(estimator, task, spec, side, seed=seed)
    except Exception as error:
        raise checks.refusal(error, estimator, side.features, f"Measuring on {len(side):,} rows") from error


def _cross_validated(
    estimator: Estimator, task: Task, spec: ModelSpec, training: Rows, held: Rows | None, sides: Mapping[str, Sequence[Path]], seed: int
) -> tuple[dict[str, float], list[str], str]:
    """Metrics as the mean over folds of all sides' rows, with `<metric>_std`. A key is never in two folds."""
    files = [path for side in ("train", "valid", "test", "rows") for path in sides.get(side, ())]
    everything = training if held is None and "valid" not in sides else rows.read(files, spec, side="cross-validation")
    folds = _folds(task, spec, everything, seed)
    found: list[dict[str, float]] = []
    notes: dict[str, None] = {}
    for kept, out in folds:
        fitted = fit(clone(estimator), spec, _part(everything, kept))
        values, said = _measured(fitted, task, spec, _part(everything, out), seed)
        found.append(values)
        notes |= dict.fromkeys(said)
    whole = [name for name in found[0] if all(name in values for values in found)]
    means = {name: float(np.mean([values[name] for values in found])) for name in whole}
    spread = {f"{name}_std": float(np.std([values[name] for values in found])) for name in whole}
    return means | spread, list(notes), f"{spec.cv}-fold cross-validation over {len(everything):,} rows"


def _folds(task: Task, spec: ModelSpec, everything: Rows, seed: int) -> list[tuple[Any, Any]]:
    from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold

    count = int(spec.cv or 0)
    units = len(everything) if everything.groups is None else len(np.unique(everything.groups))
    what = "rows" if everything.groups is None else "keys"
    if count < 2 or units < count:
        raise DataError(
            f"cv={count} needs at least 2 folds and a {what[:-1]} for each, and there are {units} {what}. Use a smaller cv, or give the table more rows."
        )
    if everything.groups is not None:
        return list(GroupKFold(count, shuffle=True, random_state=seed % 2**32).split(everything.target, groups=everything.groups))
    if task == "regression":
        return list(KFold(count, shuffle=True, random_state=seed % 2**32).split(everything.target))
    classes, counts = np.unique(everything.target, return_counts=True)
    if counts.min() < count:
        rare = classes.tolist()[int(counts.argmin())]
        raise DataError(
            f"cv={count} needs {count} rows of each class, and the class {rare!r} has {counts.min()}. Use a smaller cv, or leave the class out of the table."
        )
    return list(StratifiedKFold(count, shuffle=True, random_state=seed % 2**32).split(everything.target, everything.target))


def _part(everything: Rows, chosen: Any) -> Rows:
    return Rows(
        features=everything.features.iloc[chosen],
        target=everything.target[chosen],
        weight=None if everything.weight is None else everything.weight[chosen],
    )
