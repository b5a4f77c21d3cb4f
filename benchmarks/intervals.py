"""Planning and running in a lake that already holds 10, 1,000 and 10,000 intervals: it should cost the same.

    python benchmarks/intervals.py [--sizes 10 1000 10000] [--rounds 3]

The lake is filled without waiting for the disk (that is not what is measured), through the same `execute_step` that a run uses.
`plan` and `run` are whole processes for the one interval after those; `all` is a plan of every interval, as a backfill makes it.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

from measuring import HEADRACE, measured, middle, print_table

from headrace.config import read_config
from headrace.core.interval import Interval
from headrace.run.execute import execute_step
from headrace.run.loading import load_pipeline
from headrace.run.observe import Request, make_plan
from headrace.run.session import Session, open_lake_at

PIPELINE = """
import headrace as hr

counts = hr.Pipeline("counts", schedule="@hourly", start="2020-01-01")


@counts.table
def hourly(when: hr.Interval) -> list[dict[str, object]]:
    return [{"hour": when.label, "n": when.start.hour}]


@counts.table(history={"hourly": "24h"})
def daily(hourly: hr.Frame) -> str:
    return "select count(*) as hours, sum(n) as n from hourly"
"""


def session_of(folder: Path) -> Session:
    loaded = load_pipeline(folder / "counts.py")
    config = read_config(loaded.file, environment={}, overrides={"lake": str(folder / "lake")})
    return Session(loaded.graph, config, open_lake_at(config.lake_uri), file=loaded.file)


def fill(session: Session, hours: list[Interval]) -> None:
    real = os.fsync
    os.fsync = lambda _: None  # type: ignore[assignment]
    try:
        for hour in hours:
            for step in session.graph.steps:
                execute_step(session, step, hour)
    finally:
        os.fsync = real


def row(size: int, rounds: int) -> list[object]:
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as name:
        folder = Path(name)
        (folder / "counts.py").write_text(PIPELINE)
        session = session_of(folder)
        assert session.graph.start is not None
        grid = session.graph.grid
        hours = [grid.at(session.graph.start)]
        while len(hours) < size + rounds + 1:
            hours.append(grid.at(hours[-1].end))
        fill(session, hours[:size])
        plans, runs = [], []
        for hour in hours[size:]:
            words = (str(folder / "counts.py"), "--at", hour.label, "--lake", str(folder / "lake"), "--json")
            plans.append(measured(HEADRACE, "plan", *words))
            runs.append(measured(HEADRACE, "run", *words))
        plans, runs = plans[1:], runs[1:]
        started = time.process_time()
        make_plan(session_of(folder), Request(hours[:size]))
        planned = time.process_time() - started
        return [
            f"{size:,}",
            f"{middle([u.cpu_s for u in plans]):.3f}",
            f"{middle([u.cpu_s for u in runs]):.3f}",
            f"{middle([u.wall_s for u in runs]):.3f}",
            f"{1e3 * planned / size:.3f}",
        ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 1_000, 10_000])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    rows = [row(size, options.rounds) for size in options.sizes]
    base = rows[0]
    for found in rows:
        found.append(" ".join(f"{float(str(found[i])) / float(str(base[i])):.2f}" for i in (1, 2, 4)))
    header = [
        "committed intervals",
        "plan CPU s",
        "run CPU s",
        "run wall s",
        "all: CPU ms an interval",
        f"x {base[0]} intervals: plan run all",
    ]
    print_table("One more interval in a growing lake", header, rows)


if __name__ == "__main__":
    main()
