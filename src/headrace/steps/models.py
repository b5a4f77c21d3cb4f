"""Models: the user's function gives an estimator, the backend fits and measures it, and its files become the part `model`.

Training is a function of its inputs alone: whether the model serves is decided by `registry`, later and in order. The invariant: what
is saved is what was measured, and a function that reads rows gets those of the train side and no others.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from headrace.core.errors import DataError, ModelError, StepError
from headrace.core.interval import Interval
from headrace.core.ports import JSON, Column, Engine, FittedModel, FrameKind, InputFiles, ModelBackend, Schema, Trained
from headrace.core.split import Split
from headrace.core.step import TrainedModel
from headrace.lake.commit import Attempt
from headrace.steps.boundary import call_user
from headrace.steps.champions import PART
from headrace.steps.made import Made

__all__ = ["make_model", "split_text"]

_LAYER = "models"


def make_model(
    step: TrainedModel,
    interval: Interval,
    *,
    attempt: Attempt,
    backend: ModelBackend,
    engine: Engine,
    inputs: Mapping[str, InputFiles],
    sides: Mapping[str, Sequence[Path]],
    settings: Mapping[str, JSON],
    seed: int,
    work: Path,
    split: Split | None = None,
) -> Made:
    """Train a model of an interval and stage its files.

    `sides` are the files of the table's sides (`rows` alone without a split); `inputs` gives the schema for a function that reads the
    rows itself; `split` is the table's, told in the details, since models of different splits can't be compared.
    """
    estimator = _estimator(step, interval, engine, inputs, sides, settings, work)
    with _about(step, interval):
        trained = backend.train(estimator, step.spec, sides, seed=seed, is_fitted=step.data_parameter is not None)
        _save(trained.model, step, attempt, backend, work)
    rows = _rows(trained.model)
    return Made(
        parts=(attempt.part(PART, _LAYER),),
        schema={PART: _features(trained.model)},
        metrics=trained.metrics,
        details=_details(step, trained, settings, seed, split),
        rows_read=sum(rows.values()),
        rows_kept=sum(rows.values()),
        notes=trained.notes,
    )


def split_text(split: Split | None) -> str | None:
    """All that decides on which side a row is, as text: models of equal texts are measured on comparable rows.

    >>> from headrace.core.split import by_key
    >>> split_text(by_key("customer_id", test=0.2))
    'by_key customer_id test=0.2 valid=0.0'
    """
    if split is None:
        return None
    if split.kind == "key":
        return f"by_key {','.join(split.key)} test={split.test_share!r} valid={split.valid_share!r}".replace("  ", " ")
    return f"by_time test={split.test_length} valid={split.valid_length} gap={split.gap}"


def _estimator(
    step: TrainedModel,
    interval: Interval,
    engine: Engine,
    inputs: Mapping[str, InputFiles],
    sides: Mapping[str, Sequence[Path]],
    settings: Mapping[str, JSON],
    work: Path,
) -> object:
    """What the user's function returns: an unfitted estimator, or a fitted one when it reads the training rows."""
    arguments: dict[str, object] = {**settings, **dict.fromkeys(step.interval_parameters, interval)}
    if step.data_parameter is None:
        return call_user(step.name, interval, step.function, arguments)
    kinds: list[FrameKind] = [read.frame for read in step.inputs if read.parameter == step.data_parameter]
    known = inputs.get(step.data_parameter)
    training = tuple(sides["train"] if "train" in sides else sides["rows"])
    rows = InputFiles(step.data_parameter, ((interval, training),), known.schema if known else ())
    with engine.session(work=work) as session:
        return call_user(
            step.name, interval, step.function, {**arguments, step.data_parameter: session.give(rows, kinds[0] if kinds else "frame")}
        )


def _save(model: FittedModel, step: TrainedModel, attempt: Attempt, backend: ModelBackend, work: Path) -> None:
    with tempfile.TemporaryDirectory(dir=work) as folder:
        for name in backend.save(model, Path(folder), trust=step.trust, is_pickle_allowed=step.is_pickle_allowed):
            shutil.move(Path(folder, name), attempt.file(PART, layer=_LAYER, name=name))


def _details(step: TrainedModel, trained: Trained, settings: Mapping[str, JSON], seed: int, split: Split | None) -> dict[str, JSON]:
    card = trained.model.card
    return {
        "about": {"task": card["task"], "features": list(step.spec.feature_names), "target": step.spec.target, "split": split_text(split)},
        "estimator": card["estimator"],
        "measured_on": card["measured_on"],
        "rows": dict(_rows(trained.model)),
        "settings": dict(settings),
        "seed": seed,
        "notes": list(trained.notes),
    }


def _rows(model: FittedModel) -> dict[str, int]:
    """Rows by side, as the backend counted them."""
    counted = model.card["rows"]
    return {side: count for side, count in counted.items() if isinstance(count, int)} if isinstance(counted, Mapping) else {}


def _features(model: FittedModel) -> Schema:
    listed = model.card["features"]
    features = listed if isinstance(listed, Sequence) else ()
    return tuple(Column(str(feature["name"]), str(feature["type"])) for feature in features if isinstance(feature, Mapping))


@contextmanager
def _about(step: TrainedModel, interval: Interval) -> Iterator[None]:
    """Errors of the backend say which step and interval they are about; the cause stays the user's."""
    try:
        yield
    except (DataError, ModelError, StepError) as error:
        raise type(error)(f"Step `{step.name}` ({interval.label}): {error}") from error.__cause__
