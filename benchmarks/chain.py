"""A chain of no-op Python steps that commit small tables: what headrace itself costs.

    python benchmarks/chain.py [--steps 20] [--rounds 5]

Whole processes are measured by the CPU time that they and their children took; single steps inside one process, each one
followed by as many bare fsyncs as it made itself, since a disk's speed varies tenfold. Medians of the rounds; for single steps the
quietest tenth beside them, which says more on a machine that others use.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from measuring import HEADRACE, measured, middle, print_table

AT = "2026-01-05"


def pipeline_text(steps: int) -> str:
    """A pipeline in which each step reads the one before, and whose rows depend on the interval, so that none is copied."""
    parts = ['import headrace as hr\n\nchain = hr.Pipeline("chain", start="2026-01-01")\n']
    for n in range(steps):
        before = f"step_{n - 1:02}: hr.Frame, " if n else ""
        parts.append(
            f'\n\n@chain.table\ndef step_{n:02}({before}when: hr.Interval) -> list[dict[str, object]]:\n    return [{{"n": {n}, "day": when.label}}]\n'
        )
    return "".join(parts)


def plain_text(steps: int) -> str:
    """The same functions, called one after the other: what it costs to do nothing."""
    calls = "".join(
        f'\ndef step_{n:02}(before):\n    return [{{"n": {n}, "day": "{AT}"}}]\n\nrows = step_{n:02}({"rows" if n else "None"})\n'
        for n in range(steps)
    )
    return calls.lstrip()


def processes(folder: Path, steps: int, rounds: int) -> list[list[object]]:
    """CPU seconds of whole processes, all of them once a round; the first round is not counted."""
    (folder / "plain.py").write_text(plain_text(steps))
    file = str(folder / "chain.py")
    python = sys.executable
    taken: dict[str, list[float]] = {}
    for number in range(rounds + 1):
        run = (HEADRACE, "run", file, "--at", AT, "--lake", str(folder / f"lake-{number}"), "--json")
        commands = {
            "python -c pass": (python, "-c", "pass"),
            "plain calls": (python, str(folder / "plain.py")),
            "import headrace": (python, "-c", "import headrace"),
            "headrace --help": (HEADRACE, "--help"),
            "headrace run --help": (HEADRACE, "run", "--help"),
            "first run": run,
            "cached run": run,
        }
        for name, command in commands.items():
            usage = measured(*command)
            if number:
                taken.setdefault(name, []).append(usage.cpu_s)
    medians = {name: middle(values) for name, values in taken.items()}
    budgets = {"import headrace": 0.040, "headrace --help": 0.150, "headrace run --help": 0.150, "first run": 0.5, "cached run": 0.25}
    bare = medians["python -c pass"]
    rows: list[list[object]] = []
    for name, value in medians.items():
        counted = value - bare if name == "import headrace" else value
        label = f"{name}, over bare Python" if name == "import headrace" else name
        budget = budgets.get(name)
        rows.append(
            [
                label,
                f"{counted:.3f}",
                f"{budget:.3f}" if budget else "",
                f"{counted / budget:.2f}" if budget else "",
                f"{value / medians['plain calls']:.1f}",
            ]
        )
    return rows


@contextmanager
def counted_fsyncs() -> Iterator[list[float]]:
    """The seconds of each fsync that is made inside."""
    real, taken = os.fsync, []

    def fsync(descriptor: int) -> None:
        started = time.perf_counter()
        real(descriptor)
        taken.append(time.perf_counter() - started)

    os.fsync = fsync  # type: ignore[assignment]
    try:
        yield taken
    finally:
        os.fsync = real


def bare_fsyncs(file: Path, count: int) -> float:
    """Seconds that `count` times writing a little and waiting for the disk take."""
    started = time.perf_counter()
    for number in range(count):
        with file.with_suffix(f".{number}").open("wb") as opened:
            opened.write(b"x" * 1000)
            opened.flush()
            os.fsync(opened.fileno())
    return time.perf_counter() - started


def single_steps(folder: Path, rounds: int) -> list[list[object]]:
    """Milliseconds of a step in a process that is warm: made durable, and found to be there already."""
    from headrace.config import read_config
    from headrace.core.interval import Interval, parse_time
    from headrace.run.execute import execute_step
    from headrace.run.loading import load_pipeline
    from headrace.run.observe import Request, make_plan
    from headrace.run.session import Session, open_lake_at

    loaded = load_pipeline(folder / "chain.py")
    config = read_config(loaded.file, environment={}, overrides={"lake": str(folder / "lake-steps")})
    session = Session(loaded.graph, config, open_lake_at(config.lake_uri), file=loaded.file)
    first = parse_time(AT)
    days = [Interval(first + timedelta(days=d), first + timedelta(days=d + 1)) for d in range(rounds + 1)]
    durable: list[tuple[float, float, float, float]] = []
    cached: list[float] = []
    for number, day in enumerate(days):
        for name in loaded.graph.steps:
            with counted_fsyncs() as own:
                started, busy = time.perf_counter(), time.process_time()
                execute_step(session, name, day)
                wall, cpu = time.perf_counter() - started, time.process_time() - busy
            bare = bare_fsyncs(folder / "bare", len(own))
            if number:  # the first day loads the engine
                durable.append((wall, sum(own), bare, cpu))
        fresh = Session(loaded.graph, config, open_lake_at(config.lake_uri), file=loaded.file)
        started = time.perf_counter()
        plan = make_plan(fresh, Request([day]))
        cached.append((time.perf_counter() - started) / len(loaded.graph.steps))
        assert not plan.to_run, "a step that was just made is not found again"
    wall, own_waits, bare, cpu = (1e3 * middle(values) for values in zip(*durable, strict=True))
    beside = [1e3 * (step - waits) for step, waits, _, _ in durable]
    found = [1e3 * seconds for seconds in cached[1:]]
    return [
        ["durable step", *(f"{value:.2f}" for value in (wall, cpu, own_waits, bare)), *_against(beside, 4)],
        ["cached step", f"{middle(found):.2f}", "", "", "", *_against(found, 1)],
    ]


def _against(values: list[float], budget: float) -> list[str]:
    return [f"{sorted(values)[len(values) // 10]:.2f}", f"{middle(values):.2f}", f"{budget:.2f}", f"{middle(values) / budget:.2f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as name:
        folder = Path(name)
        (folder / "chain.py").write_text(pipeline_text(options.steps))
        rows = processes(folder, options.steps, options.rounds)
        print_table(f"Whole processes, {options.steps} steps: CPU seconds", ["", "CPU s", "budget", "of budget", "x plain calls"], rows)
        rows = single_steps(folder, options.rounds)
        print_table(
            "One step in a warm process: milliseconds",
            ["", "wall", "CPU", "its fsyncs", "as many bare ones", "beside its fsyncs: quietest tenth", "median", "budget", "of budget"],
            rows,
        )


if __name__ == "__main__":
    main()
