"""What is said before fitting, and after scikit-learn refused: errors that name the column, the count and what to do.

Nothing here changes data. The invariant: a check never refuses what the estimator would take.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from headrace.backends.models.sklearn.model import Estimator, Task, last_step
from headrace.backends.models.sklearn.rows import Rows
from headrace.core.errors import DataError, HeadraceError, ModelError, StepError
from headrace.core.step import ModelSpec

__all__ = ["check_portable", "check_rows", "refusal"]


def check_portable(estimator: Estimator) -> None:
    """Refuse functions that no file can hold, before time is spent on fitting."""
    for name, value in estimator.get_params(deep=True).items():
        if "<" in str(getattr(value, "__qualname__", "")):
            shown = "a lambda" if value.__name__ == "<lambda>" else f"`{value.__name__}`, which is defined inside another function"
            raise ModelError(
                f"The model's parameter `{name}` is {shown}: a model file holds functions by their name, so it could not be loaded again. "
                "Define the function at the top of a module with `def`, and name it in trust=."
            )


def check_rows(estimator: Estimator, task: Task, spec: ModelSpec, rows: Rows, side: str) -> None:
    """What can be said before fitting: enough rows, a target without nulls that can be learnt."""
    if len(rows) == 0:
        raise DataError(
            f"The {side} side has no rows, so there is nothing to {'fit' if side == 'train' else 'measure'}. Give the table more rows, or change its split."
        )
    if spec.weight:
        _check_weight(rows.weight, spec.weight, side)
    if spec.target:
        _check_target(rows.target, task, spec.target, side)
    if side == "train":
        _check_enough(estimator, task, spec, rows)


def _check_weight(weight: Any, name: str, side: str) -> None:
    bad = int((~(weight >= 0)).sum())
    if bad:
        raise DataError(
            f"The weight `{name}` is null or negative in {bad:,} of {len(weight):,} rows of the {side} side. Weights are numbers of at least 0."
        )


def _check_target(target: Any, task: Task, name: str, side: str) -> None:
    nulls = int(pd.isna(target).sum())
    if nulls:
        raise DataError(
            f"The target `{name}` is null in {nulls:,} of {len(target):,} rows of the {side} side. Leave these rows out of the table: `where {name} is not null`."
        )
    is_number = np.issubdtype(target.dtype, np.number) or np.issubdtype(target.dtype, np.bool_)
    if task == "regression" and not is_number:
        raise DataError(
            f"The target `{name}` holds {_said(target)} and a regressor learns numbers. Take a classifier, or make the target a number in the table."
        )
    if task == "classification" and np.issubdtype(target.dtype, np.floating) and (target != np.floor(target)).any():
        raise DataError(
            f"The target `{name}` has fractions such as {_fraction(target):g}, and a classifier learns classes. Take a regressor, or make classes in the table."
        )


def _said(target: Any) -> str:
    return "texts" if isinstance(target[0], str) else f"values of type {type(target[0]).__name__}"


def _fraction(target: Any) -> float:
    return float(target[target != np.floor(target)][0])


def _check_enough(estimator: Estimator, task: Task, spec: ModelSpec, rows: Rows) -> None:
    if spec.target and len(values := np.unique(rows.target)) < 2:
        what = "a single class" if task == "classification" else "a constant"
        raise DataError(
            f"The target `{spec.target}` is {what} on the train side: {values.tolist()[0]!r} in all {len(rows):,} rows, so there is nothing to learn. "
            "Give the table more rows, or change the split or the target."
        )
    last = last_step(estimator)
    wanted = getattr(last, "n_clusters", None) or getattr(last, "n_components", None)
    if task == "clustering" and isinstance(wanted, int) and len(rows) < wanted:
        raise DataError(
            f"{wanted} clusters need at least {wanted} rows, and the train side has {len(rows)}. Ask for fewer clusters, or give the table more rows."
        )


def refusal(error: Exception, estimator: Estimator, features: Any, doing: str) -> HeadraceError:
    """What scikit-learn's refusal most likely means: nulls, texts, or else its own words. Raise it from `error`."""
    if isinstance(error, HeadraceError):
        return error
    text = str(error)
    nulls = _nulls(features)
    name = type(last_step(estimator)).__name__
    if nulls and ("NaN" in text or "null" in text.lower() or "NoneType" in text or "float" in text):
        return DataError(
            f"{doing} was refused because of nulls: {_listed(nulls)} of {len(features):,} rows. `{name}` takes none here. "
            "Fill them in the model (`make_pipeline(SimpleImputer(), …)`), leave such rows out in the table, or take an estimator that takes nulls, such as HistGradientBoosting."
        )
    others = _not_numbers(features)
    if (
        others
        and isinstance(error, (ValueError, TypeError))
        and ("could not convert" in text or "float" in text or "not supported" in text)
    ):
        return DataError(
            f"{doing} was refused because these features are not numbers: {', '.join(others)}. `{name}` computes with numbers. "
            'Encode them in the model (`make_column_transformer((OneHotEncoder(handle_unknown="ignore"), [...]), remainder="passthrough")`), or leave them out of features=.'
        )
    return StepError(f"{doing} failed in `{name}`: {type(error).__name__}: {text}")


def _nulls(features: Any) -> dict[str, int]:
    frame = features.to_frame() if isinstance(features, pd.Series) else features
    counts = frame.isna().sum()
    return {str(name): int(count) for name, count in counts.items() if count}


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"`{name}` is null in {count:,}" for name, count in list(counts.items())[:8])


def _not_numbers(features: Any) -> list[str]:
    frame = features.to_frame() if isinstance(features, pd.Series) else features
    return [f"`{name}` ({dtype})" for name, dtype in frame.dtypes.items() if not (isinstance(dtype, np.dtype) and dtype.kind in "biuf")]
