"""The same pipeline with its lake in a folder and in a bucket: what the bucket costs our process, and what goes over the line.

    python benchmarks/bucket.py [--rows 1000000] [--rounds 3] [--intervals 10000]

A day of visits to a web site is drawn, an hour a file: CSV, typed by a contract, cleaned with a split, and counted over 24 hours of history.
Each round runs it in a folder and in a bucket, one after the other, as whole processes: from nothing, one hour more, one more without the
cache, and again. The bucket is on a real S3 server (versitygw) on this machine, so a request takes no time on the way: that of a line comes
on top of the wall seconds, not of the CPU seconds. Requests and bytes are what headrace counts itself; in a last round they go through a
proxy, which counts what comes by, retries and all.

The second table is of a lake of many hours: it is filled in a folder, copied into the bucket as docs/how-to/move-your-lake-to-s3.md says,
and then read by a plan of all of them and a run of the next one.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import obstore
from intervals import PIPELINE, fill, session_of
from measuring import HEADRACE, Usage, measured, middle, print_table

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "integration"))
from object_proxy import object_proxy  # type: ignore[import-not-found]  # of the tests
from object_servers import S3Server, s3_server, why_no  # type: ignore[import-not-found]

from headrace.backends.buckets.address import parse_address
from headrace.backends.buckets.opening import open_client
from headrace.core.access import Access
from headrace.core.interval import Interval

VISITS = """
from datetime import datetime

from pydantic import BaseModel, Field

import headrace as hr

site = hr.Pipeline("site", schedule="@hourly", start="2026-01-01")


class Visit(BaseModel):
    visit: int
    visitor: int
    page: str
    seconds: float = Field(ge=0)
    seen_at: datetime


site.source("visits", "visits/{start:%Y-%m-%dT%H}.csv", contract=Visit)


@site.table(key="visit", split=hr.by_key("visitor", test=0.2))
def cleaned(visits: hr.Frame) -> str:
    return f"select *, seconds > 30 as is_long from {visits} where seconds < 300"


@site.table(key="visitor", history={"cleaned": "24h"})
def visitors(cleaned: hr.Frame) -> str:
    return f"select visitor, count(*) as visits, sum(seconds) as seconds, max(seen_at) as latest from {cleaned} group by visitor"
"""
FIRST = datetime(2026, 1, 1)  # noqa: DTZ001  # only ever written into names and rows
HOURS = 24
PHASES = {"from nothing": 23, "one hour more": 24, "one hour more, no cache": 25, "again, nothing changed": 25}


@dataclass(frozen=True)
class Lakes:
    """Where the pipeline is, and where its two lakes are in one round."""

    folder: Path
    s3: S3Server
    number: int

    @property
    def uris(self) -> Mapping[str, str]:
        return {"folder": str(self.folder / f"lake-{self.number}"), "bucket": f"s3://{self.s3.bucket}/round-{self.number}"}

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    def run(self, hour: int, where: str, *, endpoint: str = "") -> Usage:
        at = f"{FIRST + timedelta(hours=hour):%Y-%m-%dT%H}"
        environment = {**self.s3.environment, "HEADRACE_CACHE": str(self.cache), "HEADRACE_TRACKING": "none"}
        if endpoint:
            environment["AWS_ENDPOINT_URL"] = endpoint
        words = ("run", "visits.py", "--at", at, "--lake", self.uris[where], "--no-report", "--json")
        return measured(HEADRACE, *words, cwd=self.folder, environment=environment)


def draw_visits(folder: Path, rows: int) -> None:
    """The rows are of the first 24 hours, and the hours after them have as many."""
    draw = random.Random(0)
    each = rows // HOURS
    for hour in range(HOURS + 2):
        start = FIRST + timedelta(hours=hour)
        lines = ["visit,visitor,page,seconds,seen_at"]
        for n in range(each):
            at = start + timedelta(seconds=3600 * n / each)
            lines.append(
                f"{hour * each + n},{draw.randrange(rows // 5 + 1)},/page/{draw.randrange(500)},{draw.expovariate(1 / 40):.2f},{at:%Y-%m-%dT%H:%M:%S}"
            )
        (folder / f"{start:%Y-%m-%dT%H}.csv").write_text("\n".join([*lines, ""]))


def run_round(lakes: Lakes, taken: dict[tuple[str, str], list[Usage]]) -> None:
    shutil.rmtree(lakes.cache, ignore_errors=True)
    for phase, hour in PHASES.items():
        if phase.endswith("no cache"):
            shutil.rmtree(lakes.cache)
        for where in lakes.uris:
            taken[phase, where].append(lakes.run(hour, where))
    shutil.rmtree(lakes.uris["folder"])


def counted_by_proxy(lakes: Lakes) -> dict[str, int]:
    """The requests that came by in each phase of one more round."""
    found: dict[str, int] = {}
    shutil.rmtree(lakes.cache, ignore_errors=True)
    with object_proxy(lakes.s3) as proxy:
        for phase, hour in PHASES.items():
            if phase.endswith("no cache"):
                shutil.rmtree(lakes.cache)
            before = len(proxy.recorded())
            lakes.run(hour, "bucket", endpoint=proxy.address)
            found[phase] = len(proxy.recorded()) - before
    return found


def traffic_of(usage: Usage) -> Mapping[str, int]:
    told: Mapping[str, int] = json.loads(usage.output[usage.output.index("{\n") :])["traffic"]
    return told


def print_costs(rows: int, rounds: int, s3: S3Server) -> None:
    taken: dict[tuple[str, str], list[Usage]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as name:
        folder = Path(name)
        (folder / "visits.py").write_text(VISITS)
        (folder / "visits").mkdir()
        draw_visits(folder / "visits", rows)
        run_round(Lakes(folder, s3, 0), defaultdict(list))  # the first round warms the disk's cache
        for number in range(1, rounds + 1):
            run_round(Lakes(folder, s3, number), taken)
        seen = counted_by_proxy(Lakes(folder, s3, rounds + 1))
    lines: list[list[object]] = []
    for phase in PHASES:
        folder_s, bucket_s = (middle([u.cpu_s for u in taken[phase, where]]) for where in ("folder", "bucket"))
        walls = [middle([u.wall_s for u in taken[phase, where]]) for where in ("folder", "bucket")]
        told = traffic_of(taken[phase, "bucket"][-1])
        sizes = [f"{told[way] / 1e6:.1f}" for way in ("bytes_up", "bytes_down")]
        costs = [f"{folder_s:.2f}", f"{bucket_s:.2f}", f"{bucket_s / folder_s:.2f}", "2.00"]
        lines.append([phase, *costs, *(f"{wall:.2f}" for wall in walls), told["requests"], seen[phase], *sizes])
    header = [
        "",
        "folder CPU s",
        "bucket CPU s",
        "x",
        "budget",
        "folder wall s",
        "bucket wall s",
        "requests",
        "by proxy",
        "MB up",
        "MB down",
    ]
    print_table(f"{rows:,} rows in {HOURS} hours, medians of {rounds}", header, lines)


def copied(folder: Path, s3: S3Server, prefix: str) -> None:
    """A lake in a folder becomes one in a bucket: what entries name first, and then the entries."""
    client = open_client(parse_address(f"s3://{s3.bucket}/{prefix}"), Access(environment=s3.environment))
    keys = [file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()]
    entries = [key for key in keys if key.startswith(("log/", "chain/", "headrace.json"))]
    for part in (set(keys) - set(entries), entries):
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda key: obstore.put(client, key, folder / key), part))


def print_requests(intervals: int, s3: S3Server) -> None:
    lines: list[list[object]] = []
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as name:
        folder = Path(name)
        (folder / "counts.py").write_text(PIPELINE)
        session = session_of(folder)
        assert session.graph.start is not None
        grid = session.graph.grid
        hours: list[Interval] = [grid.at(session.graph.start)]
        while len(hours) < intervals + 1:
            hours.append(grid.at(hours[-1].end))
        fill(session, hours[:intervals])
        copied(folder / "lake", s3, "many")
        first, last, coming = hours[0].label, hours[intervals - 1].label, hours[intervals].label
        commands = {
            f"a backfill of {intervals:,} hours that are all there: 2 steps each": ("backfill", "--from", first, "--to", last),
            "the next hour: 2 commits, one over 24 hours of history": ("run", "--at", coming),
            "again, nothing changed: 2 steps": ("run", "--at", coming),
        }
        environment = {**s3.environment, "HEADRACE_CACHE": str(folder / "cache"), "HEADRACE_TRACKING": "none"}

        def run(command: str, *words: str) -> Usage:
            lake = ("--lake", f"s3://{s3.bucket}/many", "--no-report", "--json")
            return measured(HEADRACE, command, "counts.py", *words, *lake, cwd=folder, environment=environment)

        run("backfill", "--from", first, "--to", last)  # records each of the runs, which filling the lake did not
        for label, words in commands.items():
            usage = run(*words)
            told = traffic_of(usage)
            lines.append(
                [label, told["requests"], f"{told['bytes_up'] / 1e3:.0f}", f"{told['bytes_down'] / 1e3:.0f}", f"{usage.cpu_s:.2f}"]
            )
    print_table(f"A lake of {intervals:,} hours in a bucket", ["", "requests", "kB up", "kB down", "CPU s"], lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--intervals", type=int, default=10_000)
    options = parser.parse_args()
    if why_no("versitygw"):
        sys.exit(f"This benchmark {why_no('versitygw')}")
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as place, s3_server(Path(place)) as s3:
        print_costs(options.rows, options.rounds, s3)
        print_requests(options.intervals, s3)


if __name__ == "__main__":
    main()
