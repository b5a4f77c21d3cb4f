"""What importing loads: the package itself next to nothing, the command line nothing heavy."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {
    "airflow",
    "boto3",
    "deltalake",
    "duckdb",
    "ibis",
    "mlflow",
    "narwhals",
    "numpy",
    "pandas",
    "polars",
    "pyarrow",
    "pydantic",
    "pyspark",
    "rich",
    "sklearn",
    "skops",
    "urllib3",
}


def loaded_by(statement: str) -> set[str]:
    """The modules that a statement loads in a fresh process, beyond those of a bare one."""
    code = f"import sys\nbefore = set(sys.modules)\n{statement}\nprint(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_headrace_loads_itself_and_the_standard_library_only() -> None:
    loaded = loaded_by("import headrace")
    assert {name for name in loaded if name.startswith("headrace")} == {"headrace"}
    assert {name.partition(".")[0] for name in loaded} <= {"headrace", *sys.stdlib_module_names}


@pytest.mark.parametrize(
    "statement",
    [
        "import headrace.cli.main",
        "import headrace; headrace.Pipeline('p')",
        "import headrace; headrace.Frame, headrace.Interval, headrace.by_key(test=0.2), headrace.at_least('r2', 0)",
        "import headrace.run.starter",
    ],
)
def test_nothing_heavy_is_loaded_before_it_is_used(statement: str) -> None:
    assert {name.partition(".")[0] for name in loaded_by(statement)} & HEAVY == set()
