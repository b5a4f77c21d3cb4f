"""What the crash tests of publishing do, and what a reader who trusts the mark finds there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import duckdb  # noqa: F401  # before a process forks, so that not each child imports it

import headrace as hr
from headrace.config import Value, read_config
from headrace.core.interval import Interval
from headrace.core.manifest import Content, Manifest
from headrace.core.ports import Column
from headrace.core.step import Step
from headrace.lake.commit import Attempt
from headrace.run import publishing
from headrace.run.session import Session, open_lake_at

DAY = Interval.of("2026-11-20", "2026-11-21")
FOLDER = "shop/sums/interval_start=2026-11-20"

shop = hr.Pipeline("shop")


@shop.table(publish=True)
def sums():
    return [{"x": 1}]


def session_of(folder: Path) -> Session:
    """A run's session: its lake, and beside it the place where its rows are published."""
    config = read_config(folder / "pipeline.py", environment={}, overrides={"lake": str(folder / "lake")})
    object.__setattr__(config, "published", {"sums": Value(str(folder / "published"), "the test")})
    return Session(shop.graph(), config, open_lake_at(str(folder / "lake")))


def text_of(part: str, version: int) -> bytes:
    return f"{part} of {version}, ".encode() * 5000


def commit(folder: Path, *parts: str) -> Manifest:
    """A new version of a table, with a file for each part. (No Parquet: nobody in between looks inside.)"""
    log = session_of(folder).log("sums")

    def work(attempt: Attempt, _: Manifest | None):
        for part in parts:
            attempt.file(part, layer="silver").write_bytes(text_of(part, attempt.version))
        made = tuple(attempt.part(part, "silver", rows=1) for part in parts)
        return Content("data", "table", made, dict.fromkeys(parts, (Column("x", "BIGINT"),)), f"code {attempt.version}"), {}

    return log.commit(DAY, work)


def publish(folder: Path) -> str | None:
    """What a run does after the commit, or when it finds that the commit stands."""
    session = session_of(folder)
    step: Step = session.graph.step("sums")
    manifest = session.log("sums").current(DAY)
    assert manifest is not None
    return publishing.publish(session, step, manifest)


def unpublished(folder: Path) -> str:
    """What the next run sees."""
    session = session_of(folder)
    manifest = session.log("sums").current(DAY)
    assert manifest is not None
    return publishing.unpublished(session, session.graph.step("sums"), manifest)


def trusted(folder: Path) -> int | None:
    """The version that the mark says is there, all its files compared with it; None where it says that none is."""
    mark = folder / "published" / FOLDER / "_SUCCESS"
    said = json.loads(mark.read_bytes()) if mark.exists() else {"complete": False}
    if not said["complete"]:
        return None
    assert {file["name"]: sha256(mark.with_name(file["name"])) for file in said["files"]} == {f["name"]: f["sha256"] for f in said["files"]}
    return said["version"]


def found(folder: Path) -> Mapping[str, str]:
    """Every file that is published, by its digest."""
    place = folder / "published" / FOLDER
    return {path.name: sha256(path) for path in sorted(place.glob("*"))}


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
