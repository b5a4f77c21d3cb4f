"""headrace: from raw files to a gated, published model in one file of plain functions.

Public names are loaded when they are first used, so that importing the package costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headrace.airflow import airflow_dag as airflow_dag
    from headrace.core.errors import HeadraceError as HeadraceError
    from headrace.core.frame import Frame as Frame
    from headrace.core.gate import at_least as at_least
    from headrace.core.gate import at_most as at_most
    from headrace.core.gate import no_worse as no_worse
    from headrace.core.interval import Interval as Interval
    from headrace.core.keys import references as references
    from headrace.core.keys import unique as unique
    from headrace.core.receipt import Receipt as Receipt
    from headrace.core.source_options import avro as avro
    from headrace.core.source_options import csv as csv
    from headrace.core.source_options import dataset as dataset
    from headrace.core.source_options import json as json
    from headrace.core.source_options import logs as logs
    from headrace.core.source_options import parquet as parquet
    from headrace.core.split import by_key as by_key
    from headrace.core.split import by_time as by_time
    from headrace.pipeline import Dataset as Dataset
    from headrace.pipeline import Pipeline as Pipeline
    from headrace.run.reading import OpenLake as OpenLake
    from headrace.run.reading import open_lake as open_lake

__version__ = "0.1.0"

_HOMES = {
    "Dataset": "headrace.pipeline",
    "Frame": "headrace.core.frame",
    "HeadraceError": "headrace.core.errors",
    "Interval": "headrace.core.interval",
    "OpenLake": "headrace.run.reading",
    "Pipeline": "headrace.pipeline",
    "Receipt": "headrace.core.receipt",
    "airflow_dag": "headrace.airflow",
    "at_least": "headrace.core.gate",
    "at_most": "headrace.core.gate",
    "avro": "headrace.core.source_options",
    "by_key": "headrace.core.split",
    "by_time": "headrace.core.split",
    "csv": "headrace.core.source_options",
    "dataset": "headrace.core.source_options",
    "json": "headrace.core.source_options",
    "logs": "headrace.core.source_options",
    "no_worse": "headrace.core.gate",
    "open_lake": "headrace.run.reading",
    "parquet": "headrace.core.source_options",
    "references": "headrace.core.keys",
    "unique": "headrace.core.keys",
}

__all__ = [
    "Dataset",
    "Frame",
    "HeadraceError",
    "Interval",
    "OpenLake",
    "Pipeline",
    "Receipt",
    "airflow_dag",
    "at_least",
    "at_most",
    "avro",
    "by_key",
    "by_time",
    "csv",
    "dataset",
    "json",
    "logs",
    "no_worse",
    "open_lake",
    "parquet",
    "references",
    "unique",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'headrace' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
