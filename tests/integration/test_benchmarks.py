"""The benchmarks run and print their tables; what they measure is for people to read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


@pytest.mark.parametrize(
    ("script", "arguments", "rows"),
    [
        ("chain.py", ["--steps", "3", "--rounds", "1"], ["first run", "cached run", "durable step"]),
        ("petrol.py", ["--rounds", "1"], ["bare script", "headrace run, until its results are shown", "headrace run, cached"]),
        ("intervals.py", ["--sizes", "3", "6", "--rounds", "1"], ["3", "6"]),
        ("ingest.py", ["--rows", "2000", "--users", "100", "--rounds", "1"], ["0.1 %", "10 %", "100 %"]),
        ("json_lines.py", ["--rows", "6000", "--rounds", "1"], ["headrace", "headrace, one array"]),
        (
            "bucket.py",
            ["--rows", "4800", "--rounds", "1", "--intervals", "3"],
            ["from nothing", "one hour more, no cache", "again, nothing changed", "again, nothing changed: 2 steps"],
        ),
        ("on_airflow.py", ["--steps", "20", "--rounds", "1"], ["a pipeline of 20 steps, over that", "a step, over both"]),
    ],
)
def test_a_benchmark_prints_its_table(project: Path, script: str, arguments: list[str], rows: list[str]) -> None:
    done = subprocess.run([sys.executable, f"benchmarks/{script}", *arguments], cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    told = [line.split("|")[1].strip() for line in done.stdout.splitlines() if line.startswith("|")]
    assert set(rows) <= set(told)
