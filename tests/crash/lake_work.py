"""What the crash tests do to a lake, and what a reader and a rerun must find there afterwards."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from headrace.backends.stores import local
from headrace.core.errors import Where
from headrace.core.interval import Grid, Interval
from headrace.core.manifest import Content, InputRef, Manifest
from headrace.core.ports import Column, EngineSession
from headrace.core.source_options import dataset
from headrace.core.step import Source
from headrace.lake.collect import collect, plan_collection
from headrace.lake.commit import Attempt
from headrace.lake.lake import Lake
from headrace.lake.log import DatasetLog
from headrace.run.catalog import Catalog
from headrace.run.upstream import look_upstream
from headrace.steps.datasets import take_rows

HOUR = Interval.of("2026-11-20T08", "2026-11-20T09")
PARTS = ("rows", "quarantine")


def open_lake(folder: Path) -> Lake:
    return Lake.open(local.open(str(folder)), clock=lambda: datetime.now(UTC))


def log_of(lake: Lake) -> DatasetLog:
    return lake.log("shop", "sums")


def text_of(part: str, code: str) -> bytes:
    return f"{part} by {code}, ".encode() * 50


def commit(folder: Path, code: str, interval: Interval = HOUR) -> Manifest:
    """What a run does: open the lake, claim the dataset, commit two parts in two layers made from an input, or adopt what is there."""
    lake = open_lake(folder)
    log = log_of(lake)
    log.claim({"step": "table"})

    def work(attempt: Attempt, current: Manifest | None):
        if current and current.content.fingerprint == code:
            return None
        made = []
        for part in PARTS:
            layer = "quarantine" if part == "quarantine" else "gold"
            attempt.file(part, layer=layer).write_bytes(text_of(part, code))
            made.append(attempt.part(part, layer, rows=50))
        return Content("data", parts=tuple(made), fingerprint=code, inputs=_inputs(lake)), {}

    return log.commit(interval, work)


def make_input(folder: Path) -> Manifest:
    log = open_lake(folder).log("shop", "purchases")

    def work(attempt: Attempt, current: Manifest | None):
        attempt.file("rows", layer="silver").write_bytes(b"input")
        return Content("data", parts=(attempt.part("rows", "silver"),), fingerprint="input"), {}

    return log.commit(HOUR, work)


def _inputs(lake: Lake) -> tuple[InputRef, ...]:
    found = lake.log("shop", "purchases").current(HOUR)
    return (InputRef.of("shop.purchases", HOUR, [(HOUR, found.version, found.content.digest)]),) if found else ()


def collect_all(folder: Path) -> None:
    lake = open_lake(folder)
    collect(lake, plan_collection(lake, keep=0, polite=timedelta(0)))


def read(folder: Path, interval: Interval = HOUR) -> str | None:
    """The code that made what a reader gets now; None when there is nothing. Everything that it opens is verified."""
    try:
        lake = Lake.open(local.open(str(folder)), clock=lambda: datetime.now(UTC), read_only=True)
    except LookupError:
        return None
    log = log_of(lake)
    if log.current(interval) is None:
        return None

    def use(manifest: Manifest) -> str:
        for part in PARTS:
            (path,) = lake.read_paths(manifest, part, verify=True)
            assert path.read_bytes() == text_of(part, manifest.content.fingerprint)
        return manifest.content.fingerprint

    return log.read(interval, use)


def check_whole(folder: Path) -> None:
    """Versions without holes; every input that an entry names is there."""
    lake = open_lake(folder)
    for name in lake.datasets():
        log = lake.log(*name.split("."))
        for interval, versions in log.versions().items():
            assert versions == tuple(range(1, len(versions) + 1))
            for manifest in log.history(interval):
                for ref in manifest.content.inputs:
                    for read_interval, version in ref.versions_of().items():
                        lake.log(*ref.dataset.split(".")).manifest(read_interval, version)


def files_in(folder: Path) -> set[str]:
    """The data files in a lake, whatever names them."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*.parquet")}


# ---------------------------------------------------------------- another pipeline's dataset as a source


SOURCE = Source("sums", Where("crm.py", 1), Grid.parse("@hourly"), dataset("shop.purchases"))


def make_upstream(folder: Path, text: str) -> Manifest:
    """A version of the dataset that `take` reads: two sides of a split."""
    log = open_lake(folder).log("shop", "purchases")
    log.claim({"step": "purchases", "kind": "table", "every": "1h"})

    def work(attempt: Attempt, current: Manifest | None):
        parts = []
        for side in ("test", "train"):
            attempt.file(side, layer="silver").write_bytes(f"{side} of {text}".encode())
            parts.append(attempt.part(side, "silver", rows=2))
        schema = dict.fromkeys(("test", "train"), (Column("id", "BIGINT"),))
        return Content("data", "table", tuple(parts), schema, fingerprint=text), {}

    return log.commit(HOUR, work)


def take(folder: Path) -> Manifest:
    """What a run of a source does whose location is another pipeline's dataset."""
    lake = open_lake(folder)
    log = lake.log("crm", "sums")
    log.claim({"step": "sums"})

    def work(attempt: Attempt, current: Manifest | None):
        upstream = look_upstream(Catalog(lake, "shop"), "shop.purchases", HOUR)
        if current and current.content.fingerprint == upstream.digest:
            return None
        made = take_rows(SOURCE, HOUR, attempt=attempt, upstream=upstream, paths=lake.read_paths, engine=_no_engine)
        return Content("data", "source", made.parts, made.schema, fingerprint=upstream.digest, inputs=(upstream.ref,)), {}

    return log.commit(HOUR, work)


def taken(folder: Path) -> list[bytes] | None:
    """What a reader of that source gets: the bytes of its files, verified."""
    lake = open_lake(folder)
    current = lake.log("crm", "sums").current(HOUR)
    return None if current is None else [path.read_bytes() for path in lake.read_paths(current, "rows", verify=True)]


def _no_engine() -> EngineSession:
    raise AssertionError("rows are copied, and not read")
