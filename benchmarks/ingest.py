"""Files to typed rows and a quarantine, and on to features and a split, against a hand-written DuckDB script that loses nothing either.

    python benchmarks/ingest.py [--rows 2000000] [--users 1000000] [--rounds 3] [--alone] [--folder /tmp/…]

At each density of bad purchases headrace and the script run one after the other, each a process of its own; of several rounds the one with the least CPU counts, for
others may use the machine. What both kept, quarantined and computed is compared row by row. Readers as their users write them are measured
as well, with what they lose.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import duckdb
from measuring import HEADRACE, Usage, measured, print_table
from purchases import DENSITIES, INGEST, PIPELINE, READERS, WHOLE, bad_rows, write_purchases, write_users

Result = TypeVar("Result")
ALONE = "reading alone"
BUDGET_INGEST, BUDGET_WHOLE, BUDGET_MB = 1.50, 1.25, 512


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=None, help="where the files are made, which are deleted afterwards")
    parser.add_argument("--only", choices=list(DENSITIES), default=None)
    parser.add_argument("--no-readers", action="store_true")
    parser.add_argument("--alone", action="store_true", help="reading alone, and no features of what was read")
    options = parser.parse_args()
    densities = {name: every for name, every in DENSITIES.items() if options.only in (None, name)}
    with tempfile.TemporaryDirectory(prefix="headrace-bench-", dir=options.folder) as name:
        folder = Path(name)
        (folder / "pipeline.py").write_text(PIPELINE)
        apart(write_users, folder / "users.csv", options.users)
        made: list[list[object]] = []
        lost: list[list[object]] = []
        size = 0.0
        for density, every in densities.items():
            apart(write_purchases, folder / "purchases.csv", options.rows, every, options.users)
            size = (folder / "purchases.csv").stat().st_size / 1e6
            made += compared(folder, density, options.rounds, is_alone=options.alone)
            if not options.no_readers:
                lost += readers(folder, density, options.rows, apart(bad_rows, options.rows, every), options.rounds)
    told = f"{options.rows:,} purchases ({size:,.0f} MB), {options.users:,} users, the best of {options.rounds}"
    header = [
        "bad",
        "work",
        "DuckDB CPU s",
        "headrace CPU s",
        "x DuckDB",
        "budget",
        "DuckDB wall s",
        "headrace wall s",
        "DuckDB peak MB",
        "headrace peak MB",
        "budget",
        "rows that differ",
    ]
    print_table(f"Against a DuckDB script that loses nothing: {told}", header, made)
    if lost:
        print_table(f"Readers as their users write them: {told}", ["bad", "reader", "CPU s", "peak MB", "what it loses"], lost)


def apart(do: Callable[..., Result], *given: object) -> Result:
    """Work of the benchmark's own, in a process of its own: the memory of a process counts for those that it starts."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(do, *given).result()


def compared(folder: Path, density: str, rounds: int, *, is_alone: bool) -> list[list[object]]:
    """A line for reading alone, and one for all of the work unless that is not wanted."""
    lines: list[list[object]] = []
    works: list[tuple[str, str, tuple[str, ...], float]] = [(ALONE, INGEST, ("--only", "purchases"), BUDGET_INGEST)]
    if not is_alone and density != "100 %":  # then there is nothing to make features of
        works.append(("and features, split", WHOLE, (), BUDGET_WHOLE))
    for work, script, step, budget in works:
        theirs, ours = best_of(rounds, partial(run_script, folder, script), partial(run_headrace, folder, step))
        differ = apart(differences, folder, work)
        lines.append(
            [
                density,
                work,
                f"{theirs.cpu_s:.2f}",
                f"{ours.cpu_s:.2f}",
                f"{ours.cpu_s / theirs.cpu_s:.2f}",
                f"{budget:.2f}",
                f"{theirs.wall_s:.1f}",
                f"{ours.wall_s:.1f}",
                f"{theirs.peak_mb:.0f}",
                f"{ours.peak_mb:.0f}",
                BUDGET_MB if step else "",
                differ,
            ]
        )
    return lines


def best_of(rounds: int, *runs: Callable[[], Usage]) -> list[Usage]:
    """The least CPU of each, run one after the other so that both meet the same machine."""
    taken = [[run() for run in runs] for _ in range(rounds)]
    return [min((one[n] for one in taken), key=lambda usage: usage.cpu_s) for n in range(len(runs))]


def run_script(folder: Path, script: str) -> Usage:
    work = folder / "script"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    for name in ("purchases.csv", "users.csv"):
        (work / name).symlink_to(folder / name)
    return measured(sys.executable, "-c", script, cwd=work)


def run_headrace(folder: Path, step: Sequence[str]) -> Usage:
    shutil.rmtree(folder / "lake", ignore_errors=True)
    command = (HEADRACE, "run", "pipeline.py", "--no-report", *step, "--lake", str(folder / "lake"))
    return measured(*command, cwd=folder, environment={"HEADRACE_TRACKING": "none"})


def differences(folder: Path, work: str) -> int:
    """Rows that only one of the two has: kept, quarantined by line and bytes, and features by side, whose sums may differ in the last digits."""
    script, lake = folder / "script", folder / "lake"
    rows = "id, user_id, item, quantity, price, bought_at"
    pairs = [
        (f"SELECT {rows} FROM '{script}/purchases.parquet'", f"SELECT {rows} FROM '{lake}/silver/bench/purchases/**/rows-*.parquet'"),
        (f"SELECT line, raw FROM '{script}/purchases.rejected.parquet'", f"SELECT line, decode(raw) FROM {quarantine(lake)}"),
    ]
    if work != ALONE:
        columns = "user_id, country, orders, pieces, round(spent, 4), dearest, items, last_at"
        pairs += [
            (
                f"SELECT {columns} FROM '{script}/{side}.parquet'",
                f"SELECT {columns} FROM '{lake}/silver/bench/features/**/{side}-*.parquet'",
            )
            for side in ("train", "test")
        ]
    count = 0
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")
        connection.execute("SET TimeZone = 'UTC'")
        for theirs, ours in pairs:
            for one, other in ((theirs, ours), (ours, theirs)):
                count += connection.execute(f"SELECT count(*) FROM ({one} EXCEPT ALL {other})").fetchall()[0][0]
    return count


def quarantine(lake: Path) -> str:
    found = list(lake.glob("quarantine/bench/purchases/**/*.parquet"))
    return f"'{found[0]}'" if found else "(SELECT 0 AS line, ''::BLOB AS raw WHERE false)"


# ---------------------------------------------------------------- readers that lose rows


def readers(folder: Path, density: str, rows: int, bad: int, rounds: int) -> list[list[object]]:
    work = folder / "readers"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    (work / "purchases.csv").symlink_to(folder / "purchases.csv")
    lines: list[list[object]] = []
    for name, script in READERS.items():
        (work / "rows.parquet").unlink(missing_ok=True)
        failed = subprocess.run([sys.executable, "-c", script], cwd=work, capture_output=True, text=True, check=False)
        if failed.returncode:
            lines.append([density, name, "", "", f"the whole file: {failed.stderr.strip().splitlines()[-1][:80]}"])
            continue
        (usage,) = best_of(rounds, partial(measured, sys.executable, "-c", script, cwd=work))
        lines.append([density, name, f"{usage.cpu_s:.2f}", f"{usage.peak_mb:.0f}", apart(loss, work / "rows.parquet", rows, bad)])
    return lines


def loss(path: Path, rows: int, bad: int) -> str:
    """What became of the bad rows, of which a reader that loses nothing would tell each with its line."""
    count, holes, fractions, below = duckdb.execute(
        f"SELECT count(*), count(*) FILTER (quantity IS NULL OR price IS NULL OR bought_at IS NULL), count(*) FILTER (quantity % 1 <> 0), "
        f"count(*) FILTER (quantity < 1) FROM '{path}'"
    ).fetchall()[0]
    told = [f"{rows - count:,} rows gone" if count < rows else "", f"{holes:,} values turned to NULL" if holes else ""]
    told += [f"{fractions:,} fractions kept" if fractions else "", f"{below:,} below their bound kept" if below else ""]
    rounded = bad - (rows - count) - holes - fractions - below
    told += [f"{rounded:,} fractions rounded" if rounded > 0 else ""]
    return ", ".join(one for one in told if one) or "nothing"


if __name__ == "__main__":
    main()
