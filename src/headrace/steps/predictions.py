"""Predictions: all rows of a table's interval through the champion as of that interval.

Which champion that is, the registry says; nothing here decides. The invariant: each row tells the version of the model that predicted it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from headrace.core.errors import DataError, ModelError, StepError
from headrace.core.interval import Interval
from headrace.core.ports import FittedModel, ModelBackend
from headrace.core.step import Predictions
from headrace.lake.chain import Decision
from headrace.lake.commit import Attempt
from headrace.steps.made import Made

__all__ = ["make_predictions", "model_version"]

_LAYER = "gold"


def make_predictions(
    step: Predictions,
    interval: Interval,
    *,
    attempt: Attempt,
    backend: ModelBackend,
    model: FittedModel,
    decision: Decision,
    files: Sequence[Path],
    columns: Sequence[str],
) -> Made:
    """Write the part `rows`: `columns` of the data, `prediction`, `probability` (classifiers), `model_version`.

    `decision` is the one that made `model` the champion; cluster numbers are shown as it says.
    """
    relabel = decision.verdict.get("relabel")
    try:
        written = backend.predict(
            model,
            files,
            target=attempt.file("rows", layer=_LAYER),
            columns=columns,
            version=model_version(decision),
            relabel=relabel if isinstance(relabel, Mapping) else None,
        )
    except (DataError, ModelError, StepError) as error:
        raise type(error)(f"Step `{step.name}` ({interval.label}): {error}") from error.__cause__
    rows = written.rows["rows"]
    return Made(
        parts=(attempt.part("rows", _LAYER, rows=rows),),
        schema={"rows": written.schema},
        details={**written.details, "model": {"interval": str(decision.model), "version": decision.version, "digest": decision.digest}},
        rows_read=rows,
        rows_kept=rows,
    )


def model_version(decision: Decision) -> str:
    """How rows name the model that predicted them: its interval and version, such as `2011-01-15 v1`."""
    return f"{decision.model.label} v{decision.version}"
