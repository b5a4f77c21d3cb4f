"""A small pipeline for whole runs, and what a lake says to its readers after them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from headrace.run.session import open_lake_at

STEPS = """\
import time
from pathlib import Path

import headrace as hr

steps = hr.Pipeline("steps", start="2026-01-01")
steps.source("given", str(Path(__file__).parent / "given" / "{start:%Y-%m-%d}.csv"))


@steps.table(key="id")
def doubled(given):
    return "select id, x * 2 as x, id % 2 as y from given"


@steps.table(history={"doubled": "3d"})
def summed(doubled):
    return "select id, sum(x)::bigint as x from doubled group by id order by id"


@steps.table
def slow(doubled):
    (Path(__file__).parent / "started").touch()
    if (Path(__file__).parent / "wait").exists():
        time.sleep(2)
    return [{"x": 1}]
"""
MODEL = """

@steps.model(doubled, features=["x"], target="y", gate=hr.at_least("r2", -9))
def line():
    from sklearn.linear_model import LinearRegression

    return LinearRegression()


steps.predict(line, doubled)
"""
DAYS = [f"2026-01-{day:02d}" for day in range(1, 7)]


def make_folder(folder: Path, *, has_model: bool = False) -> Path:
    (folder / "given").mkdir(parents=True)
    for number, day in enumerate(DAYS):
        rows = "".join(f"{n},{n * number}\n" for n in range(40))
        (folder / "given" / f"{day}.csv").write_text(f"id,x\n{rows}")
    (folder / "steps.py").write_text(STEPS + (MODEL if has_model else ""))
    return folder


def left(uri: str) -> Mapping[str, object]:
    """What a lake says to its readers: the content of every current version, and what was decided about each model."""
    lake = open_lake_at(uri, read_only=True)
    found: dict[str, object] = {}
    for name in lake.datasets():
        pipeline, _, dataset = name.partition(".")
        log = lake.log(pipeline, dataset)
        for interval, versions in log.versions(None).items():
            current = log.current(interval, versions=versions)
            assert versions == tuple(range(1, len(versions) + 1))
            if current is not None and not dataset.startswith("_"):
                found[f"{dataset} {interval.label}"] = current.content.digest
                for part in current.content.parts:
                    lake.read_paths(current, part.name, verify=True)
    decided = [(d.kind, d.model.label) for d in lake.chain("steps", "line").entries()]
    return {**found, "decided": decided}
