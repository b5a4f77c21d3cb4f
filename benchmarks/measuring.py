"""What the benchmarks share: a process measured from outside, and a table printed."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

HEADRACE = str(Path(sys.executable).with_name("headrace"))


@dataclass(frozen=True)
class Usage:
    """What a process and its children took. `shown_s` is the wall time until it printed what was waited for, else until its end; `output` all that it
    printed."""

    cpu_s: float
    wall_s: float
    peak_mb: float
    shown_s: float
    output: str = ""


def measured(*command: str, cwd: Path | None = None, environment: Mapping[str, str] | None = None, until: str | None = None) -> Usage:
    """Run a command to its end. Its output is shown only if it fails, or never says `until`, which ends the benchmark.

    Python may keep its bytecode, as it does by default: the first round of a benchmark fills that cache and is not counted.
    """
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    output, shown = bytearray(), None
    started = time.perf_counter()
    with subprocess.Popen(
        command, cwd=cwd, env={**kept, **(environment or {})}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            output += line
            if until and shown is None and until.encode() in line:
                shown = time.perf_counter() - started
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode or (until and shown is None):
        sys.exit(f"$ {' '.join(command)}\nended with {process.returncode}\n{output.decode(errors='replace')}")
    peak_mb = usage.ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)
    return Usage(usage.ru_utime + usage.ru_stime, wall, peak_mb, wall if shown is None else shown, output.decode(errors="replace"))


def middle(values: Sequence[float]) -> float:
    return statistics.median(values)


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A Markdown table, so that it can be quoted in the docs as it was printed."""
    lines = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    print(f"\n{title}")
    print(
        f"(Python {platform.python_version()}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f})\n"
    )
    for number, line in enumerate(lines):
        print(
            "| "
            + " | ".join(cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(line, widths, strict=True)))
            + " |"
        )
        if number == 0:
            print("| " + " | ".join("-" * w if i == 0 else "-" * (w - 1) + ":" for i, w in enumerate(widths)) + " |")
    sys.stdout.flush()
