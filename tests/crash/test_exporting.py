"""Exports that are killed at any instant, and two at once: the table holds whole intervals only, and the next export ends it."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

import headrace as hr
from headrace.run.inline import run_inline

deltalake = pytest.importorskip("deltalake")

DAYS = [f"2026-01-{day:02d}" for day in range(1, 11)]
ROWS = 20_000

steps = hr.Pipeline("steps", start="2026-01-01")


@steps.table(split=hr.by_key("x", test=0.3))
def numbers(day: hr.Interval):
    return f"select range + {day.start.day} as x from range({ROWS})"


_EXPORTER = """
import sys
import headrace as hr
lake = hr.open_lake(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
done = lake.export("steps.numbers", sys.argv[2])
print(sum(one.was == "written" for one in done))
"""


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "lake"
    for day in DAYS:
        run_inline(steps.graph(), at=day, settings={}, lake=str(folder))
    return folder


def start(lake: Path, table: Path) -> subprocess.Popen[str]:
    exporter = subprocess.Popen(
        [sys.executable, "-c", _EXPORTER, str(lake), str(table)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert exporter.stdout
    assert exporter.stdout.readline() == "ready\n"
    return exporter


def held(table: Path) -> dict[str, int]:
    """How many rows the table has of each day; each a whole one."""
    if not deltalake.DeltaTable.is_deltatable(str(table)):
        return {}
    rows = deltalake.DeltaTable(table).to_pyarrow_table(columns=["interval_start"])
    counted = {f"{one['interval_start']:%Y-%m-%d}": one["x_count"] for one in _counted(rows)}
    assert set(counted.values()) <= {ROWS}
    return counted


def _counted(rows) -> list[dict]:
    counts = rows.group_by("interval_start").aggregate([("interval_start", "count")])
    return [{"interval_start": r["interval_start"], "x_count": r["interval_start_count"]} for r in counts.to_pylist()]


@pytest.mark.parametrize("seed", range(3))
def test_an_export_killed_at_any_instant_leaves_whole_intervals_and_the_next_one_ends_it(lake: Path, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    table = tmp_path / "table"
    for _ in range(3):
        exporter = start(lake, table)
        assert exporter.stdin
        exporter.stdin.write("go\n")
        exporter.stdin.flush()
        time.sleep(chance.uniform(0.05, 0.4))
        exporter.kill()
        exporter.communicate()
        before = held(table)
    done = hr.open_lake(lake).export("steps.numbers", table)
    assert sum(one.was == "standing" for one in done) == len(before)
    assert held(table) == dict.fromkeys(DAYS, ROWS)


def test_of_two_exports_at_once_each_interval_is_written_by_one(lake: Path, tmp_path: Path) -> None:
    both = [start(lake, tmp_path / "table") for _ in range(2)]
    for one in both:
        assert one.stdin
        one.stdin.write("go\n")
        one.stdin.flush()
    written = [int(one.communicate()[0]) for one in both]
    assert [one.returncode for one in both] == [0, 0]
    assert sum(written) == len(DAYS)
    assert held(tmp_path / "table") == dict.fromkeys(DAYS, ROWS)
