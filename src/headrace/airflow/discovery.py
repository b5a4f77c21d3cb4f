"""Which files of a folder Airflow reads: those that call `airflow_dag`. Airflow is not imported here.

`headrace airflow up` gives `calls_airflow_dag` to Airflow as its `[core] might_contain_dag_callable`. The invariant: only texts are
looked at, nothing is imported.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

__all__ = ["IGNORED", "calls_airflow_dag", "pipeline_files", "unsearched"]

IGNORED = ("__pycache__", "node_modules", "site-packages")
_CALL = re.compile(rb"\bairflow_dag\s*\(")
_LAKE = "headrace.json"  # what `headrace.lake.layout` calls LAKE_KEY


def calls_airflow_dag(file_path: str, zip_file: ZipFile | None = None) -> bool:
    """Whether a file's text calls `airflow_dag`; in an archive, one of that name. As Airflow asks it."""
    if zip_file is not None:
        return _CALL.search(zip_file.read(file_path)) is not None
    path = Path(file_path)
    return path.suffix == ".py" and _CALL.search(path.read_bytes()) is not None


def pipeline_files(folder: Path) -> list[Path]:
    """The files in a folder and below that call `airflow_dag`, relative to it, sorted."""
    return sorted(file.relative_to(folder) for file in _python_files(folder) if calls_airflow_dag(str(file)))


def unsearched(folder: Path) -> list[Path]:
    """The folders that hold no pipelines: lakes and virtual environments, relative to `folder`; hidden ones are left out anyway."""
    found = []
    for root, folders, _ in os.walk(folder):
        skipped = [name for name in folders if _is_other(Path(root, name))]
        found += [Path(root, name).relative_to(folder) for name in skipped if not _is_hidden(name)]
        folders[:] = [name for name in folders if name not in skipped]
    return sorted(found)


def _python_files(folder: Path) -> Iterator[Path]:
    for root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not _is_other(Path(root, name))]
        yield from (Path(root, name) for name in files if name.endswith(".py"))


def _is_other(folder: Path) -> bool:
    return _is_hidden(folder.name) or (folder / "pyvenv.cfg").exists() or (folder / _LAKE).exists()


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name in IGNORED
