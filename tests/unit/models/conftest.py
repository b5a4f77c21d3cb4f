"""Small tables on disk, and the backend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headrace.backends.models import sklearn as flavour
from headrace.backends.models.sklearn import SklearnBackend


class Write:
    """Writes columns as Parquet files into a folder of the test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, name: str, columns: Mapping[str, Any]) -> Path:
        path = self.folder / f"{name}.parquet"
        pq.write_table(pa.table(dict(columns)), path)
        return path

    @staticmethod
    def numbers(count: int, *, seed: int = 0, classes: Sequence[Any] | None = None) -> dict[str, Any]:
        """Rows with two features and a target that depends on them."""
        random = np.random.default_rng(seed)
        a, b = random.normal(size=(2, count))
        y: Any = 3 * a - b + random.normal(scale=0.1, size=count)
        if classes is not None:
            y = [classes[place] for place in np.digitize(y, np.quantile(y, np.linspace(0, 1, len(classes) + 1)[1:-1]))]
        return {"id": np.arange(count), "a": a, "b": b, "y": y}


@pytest.fixture
def backend() -> SklearnBackend:
    return flavour.open()


@pytest.fixture
def write(tmp_path: Path) -> Write:
    return Write(tmp_path)
