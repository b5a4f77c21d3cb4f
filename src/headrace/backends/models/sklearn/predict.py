"""Predictions: rows streamed through a fitted model into Parquet, a batch at a time.

The invariant: a row's prediction depends on that row and the model alone, and rows come out in the order they went in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from headrace.backends.models.sklearn import rows
from headrace.backends.models.sklearn.checks import refusal
from headrace.backends.models.sklearn.model import SklearnModel
from headrace.core.errors import DataError
from headrace.core.ports import JSON, Column, Written

__all__ = ["predict", "predicted", "shown"]

_ADDED = ("prediction", "probability", "model_version")


def predict(
    model: SklearnModel, files: Sequence[Path], *, target: Path, columns: Sequence[str], version: str, relabel: Mapping[str, JSON] | None
) -> Written:
    """Write `columns`, `prediction`, `probability` (classifiers) and `model_version` for each row; see the port."""
    check_features(model, files)
    schema = _schema(model, files, columns)
    wanted = list(dict.fromkeys((*columns, *(feature.name for feature in model.features))))
    written = 0
    with pq.ParquetWriter(target, schema, compression="zstd") as writer:
        for batch in rows.batches(files, wanted):
            table = pa.Table.from_batches([batch])
            writer.write_table(_with_predictions(model, table, schema, columns, version, relabel))
            written += table.num_rows
    return Written({"rows": written}, tuple(Column(field.name, rows.type_name(field.type), field.nullable) for field in schema))


def check_features(model: SklearnModel, files: Sequence[Path]) -> None:
    """DataError when a feature is missing, or of another family of types than it was trained on."""
    found = rows.columns_of(files)
    rows.check_columns(found, [feature.name for feature in model.features], "the rows to predict")
    for feature in model.features:
        here = found[feature.name].type
        if rows.family(here) != rows.family(feature.type):
            raise DataError(
                f"The feature `{feature.name}` is {here} in the rows to predict, and the model was trained on {feature.type}. "
                "Give the table the type it had, or train the model again on what it has now."
            )


def predicted(model: SklearnModel, table: pa.Table) -> tuple[Any, Any]:
    """The predictions for a batch, and the probability of each (None when the model has none)."""
    names = tuple(feature.name for feature in model.features)
    features = rows.features_of(rows.plain(table.select(list(names))).to_pandas(), names[0] if model.takes_series else names)
    try:
        values = np.asarray(model.estimator.predict(features))
        probability = model.estimator.predict_proba(features).max(axis=1) if model.card["has_probability"] else None
    except Exception as error:
        raise refusal(error, model.estimator, features, f"Predicting {table.num_rows:,} rows") from error
    return values, probability


def shown(values: Any, relabel: Mapping[str, JSON] | None) -> Any:
    """Cluster numbers as they are shown: under the champion's numbers where they were matched."""
    if not relabel:
        return values
    known, places = np.unique(values, return_inverse=True)
    return np.array([relabel.get(str(number), int(number)) for number in known.tolist()], dtype=np.int64)[places]


def _schema(model: SklearnModel, files: Sequence[Path], columns: Sequence[str]) -> pa.Schema:
    rows.check_columns(rows.columns_of(files), columns, "the rows to predict")
    taken = sorted(set(columns) & set(_ADDED))
    if taken:
        raise DataError(
            f"The column `{taken[0]}` would be written twice: predictions add {', '.join(_ADDED)}. Leave it out of columns=, or rename it in the table."
        )
    source = pq.read_schema(files[0])
    fields = [source.field(name) for name in columns] + [pa.field("prediction", _prediction_type(model))]
    fields += [pa.field("probability", pa.float64())] if model.card["has_probability"] else []
    return pa.schema([*fields, pa.field("model_version", pa.string())])


def _prediction_type(model: SklearnModel) -> pa.DataType:
    if model.task == "clustering":
        return pa.int64()
    if model.task == "regression":
        return pa.float64()
    return pa.array(np.asarray(model.estimator.classes_).tolist()).type


def _with_predictions(
    model: SklearnModel, table: pa.Table, schema: pa.Schema, columns: Sequence[str], version: str, relabel: Mapping[str, JSON] | None
) -> pa.Table:
    values, probability = predicted(model, table) if table.num_rows else (np.array([]), np.array([]))
    kept = [table.column(name) for name in columns]
    kept.append(pa.array(shown(values, relabel).tolist(), type=schema.field("prediction").type))
    if model.card["has_probability"]:
        kept.append(pa.array(probability, type=pa.float64()))
    kept.append(pa.array([version]).take(pa.array(np.zeros(table.num_rows, dtype=np.int64))))
    return pa.Table.from_arrays(kept, schema=schema)
