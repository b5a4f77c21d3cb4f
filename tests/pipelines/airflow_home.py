"""An Airflow for tests: a home of its own with a migrated database, and processes that use it. Nothing listens anywhere."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent

needs_airflow = pytest.mark.skipif(
    importlib.util.find_spec("airflow.dag_processing") is None if importlib.util.find_spec("airflow") else True,
    reason="Airflow is not installed: pip install 'headrace[airflow]'",
)


def is_airflow(least: str) -> bool:
    """Whether the Airflow that is installed is of that version, such as 3.3, or later."""
    try:
        found = importlib.metadata.version("apache-airflow-core")
    except importlib.metadata.PackageNotFoundError:
        return False
    return tuple(map(int, found.split(".")[:2])) >= tuple(map(int, least.split(".")))


@dataclass(frozen=True)
class Home:
    """Where Airflow keeps its things; the DAG files are in `dags`, the lake in `lake`. `more` goes into the environment of its processes."""

    folder: Path
    more: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def dags(self) -> Path:
        return self.folder / "dags"

    def environment(self, **more: str) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "HEADRACE_"))}
        return kept | {
            "AIRFLOW_HOME": str(self.folder),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__DATABASE__LOAD_DEFAULT_CONNECTIONS": "False",
            "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
            "HEADRACE_LAKE": str(self.folder / "lake"),
            "HEADRACE_TRACKING": "none",
            "NO_COLOR": "1",
            **self.more,
            **more,
        }

    def parse(self, **more: str) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, str(HERE / "airflow_parse.py"), str(self.dags)],
            env=self.environment(**more),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]

    def start(self, file: str, *runs: dict[str, Any]) -> subprocess.Popen[str]:
        """Run DAGs of a file, one run after the other, in a process that is handed back."""
        asked = {"file": str(self.dags / file), "answer": str(self.folder / "answer"), "runs": runs}
        (self.folder / "asked").write_text(json.dumps(asked))
        with (self.folder / "log").open("w") as log:
            command = [sys.executable, str(HERE / "airflow_runs.py"), str(self.folder / "asked")]
            return subprocess.Popen(command, env=self.environment(), stdout=log, stderr=log, text=True, cwd=self.folder)

    def answer(self, started: subprocess.Popen[str]) -> tuple[list[dict[str, Any]], list[str]]:
        """What came of the runs: their states and tasks, and the log of each."""
        code = started.wait(240)
        log = (self.folder / "log").read_text()
        assert code == 0, log[-6000:]
        return json.loads((self.folder / "answer").read_text()), log.split("=== run ")[1:]

    def run(self, file: str, *runs: dict[str, Any]) -> tuple[list[dict[str, Any]], list[str]]:
        return self.answer(self.start(file, *runs))


def make_home(folder: Path, template: Path | None = None) -> Home:
    """A home with a migrated database: made anew (six seconds), or a copy of another's."""
    home = Home(folder)
    home.dags.mkdir(parents=True)
    if template is not None:
        shutil.copy(template / "airflow.db", folder / "airflow.db")
        return home
    done = subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"], env=home.environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return home
