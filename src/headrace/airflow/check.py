"""Whether Airflow can run a file, and what that costs: it is read twice, as Airflow reads it, and the readings are judged.

Airflow is imported by the children only. The second reading has another seed of hashes and another working folder, and reads the other
files of the folder, too. The invariant: nothing is written but into a temporary folder, whose Airflow home it is unless the user has one.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from headrace.airflow.findings import Finding, findings
from headrace.core.errors import HeadraceError, MissingLibraryError, PipelineError
from headrace.core.ports import JSON

__all__ = ["Checked", "check_file"]

_LONGEST_OUTPUT = 2000


@dataclass(frozen=True)
class Checked:
    """What was found. `dags`: id, tasks, schedule, start, params of each; `imports`: file, line, what, cpu_s, wall_s of each import statement."""

    file: Path
    airflow: str
    cpu_s: float
    wall_s: float
    limit_s: float
    dags: Sequence[Mapping[str, JSON]]
    imports: Sequence[JSON]
    findings: Sequence[Finding]

    @property
    def errors(self) -> int:
        return sum(finding.level == "error" for finding in self.findings)


def check_file(file: Path, *, folder: Path | None = None) -> Checked:
    """Read a file as Airflow does, and judge it. `folder` is the DAGs folder or bundle, by default that of the file.

    PipelineError when there is no such file, MissingLibraryError without Airflow, HeadraceError when a reading dies.
    """
    path = file.absolute()
    root = (folder or path.parent).absolute()
    if not path.is_file():
        raise PipelineError(f"There is no file {path} to check.")
    if not path.is_relative_to(root):
        raise PipelineError(f"{path} is not in the folder {root}, so Airflow would not find it there.")
    if not _has_airflow():
        raise MissingLibraryError(
            "`headrace airflow check` reads a file with Airflow, which is not installed: pip install 'headrace[airflow]'"
        )
    with tempfile.TemporaryDirectory(prefix="headrace-check-") as name:
        first, second = _read_twice(path, root, Path(name))
    return Checked(
        file=path,
        airflow=str(first["airflow"]),
        cpu_s=float(first["cpu_s"]),
        wall_s=float(first["wall_s"]),
        limit_s=float(first["limit_s"]),
        dags=[{key: dag[key] for key in ("id", "tasks", "schedule", "start", "params")} for dag in first["dags"]],
        imports=first["imports"],
        findings=findings(path, path.read_text(), first, second),
    )


def _has_airflow() -> bool:
    """Whether Airflow 3 is installed; looked for as a folder, since asking Python for `airflow.sdk` would import Airflow."""
    found = importlib.util.find_spec("airflow")
    return found is not None and any((Path(folder) / "sdk").is_dir() for folder in found.submodule_search_locations or ())


def _read_twice(file: Path, root: Path, scratch: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Both readings, at once."""
    home = Path(os.environ.get("AIRFLOW_HOME") or Path("~/airflow").expanduser())
    has_home = (home / "airflow.cfg").exists()
    environment = {**os.environ, **_settings(root)}
    started = []
    for number, cwd in enumerate((None, scratch)):
        command = [
            sys.executable,
            "-W",
            "default",
            "-m",
            "headrace.airflow.reading",
            str(file),
            str(root),
            str(scratch / f"answer-{number}"),
        ]
        with (scratch / f"output-{number}").open("wb") as output:
            started.append(
                subprocess.Popen(
                    [*command, "--others"] if number else command,
                    env=environment
                    | {"PYTHONHASHSEED": str(number + 1), "AIRFLOW_HOME": str(home if has_home else scratch / f"home-{number}")},
                    cwd=cwd,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                )
            )
    try:
        codes = [child.wait() for child in started]
    finally:
        for child in started:
            if child.poll() is None:
                child.kill()
                child.wait()
    return _answer(scratch, 0, codes[0]), _answer(scratch, 1, codes[1])


def _settings(root: Path) -> dict[str, str]:
    return {
        "AIRFLOW__CORE__DAGS_FOLDER": str(root),  # it is part of a serialized DAG
        "AIRFLOW__CORE__DAGBAG_IMPORT_ERROR_TRACEBACK_DEPTH": "100",
        "AIRFLOW__CORE__DAGBAG_IMPORT_ERROR_TRACEBACKS": "True",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }


def _answer(scratch: Path, number: int, code: int) -> dict[str, Any]:
    answer = scratch / f"answer-{number}"
    if code == 0 and answer.exists():
        return cast(dict[str, Any], json.loads(answer.read_text()))
    said = (scratch / f"output-{number}").read_text(errors="replace")[-_LONGEST_OUTPUT:]
    raise HeadraceError(f"Reading the file ended with exit code {code}, before Airflow could say what it found:\n{said}")
