"""What the crash test of forgetting does, and what a reader finds there."""

from __future__ import annotations

from pathlib import Path

import duckdb  # noqa: F401  # before a process forks, so that not each child imports it
import pyarrow as pa  # noqa: F401
from pyarrow import parquet
from pydantic import BaseModel, Field

import headrace as hr
from headrace.config import read_config
from headrace.core.interval import parse_time
from headrace.run import forgetting
from headrace.run.backfill import carry_out
from headrace.run.forgotten import record_of
from headrace.run.holding import wanted_of
from headrace.run.observe import Request
from headrace.run.session import Session, open_lake_at

DAY, NEXT = "2026-05-01", "2026-05-02"


class Sale(BaseModel):
    who: str
    price: float = Field(ge=0)


def session_of(folder: Path) -> Session:
    shop = hr.Pipeline("shop", schedule="@daily", start=DAY)
    shop.source("sales", str(folder / "{start:%Y-%m-%d}.csv"), contract=Sale, max_rejected="90%", unique=hr.unique("who", over="history"))

    @shop.table
    def spending(sales):
        return "select who, sum(price) as spent from sales group by who"

    config = read_config(folder / "pipeline.py", environment={}, overrides={"lake": str(folder / "lake"), "tracking": "none"})
    return Session(shop.graph(), config, open_lake_at(str(folder / "lake")), sleep=lambda _: None)


def make(folder: Path) -> None:
    """Two versions of the source and of what is made of it, each with a record in quarantine, and a day after it that remembers who was there."""
    folder.mkdir()
    (folder / f"{NEXT}.csv").write_text("who,price\ndora,4\n")
    for more in ("", "eve,1\n"):
        (folder / f"{DAY}.csv").write_text(f"who,price\nanna@a.org,2.5\nanna@a.org,cheap\nben,3\ncleo,x\n{more}")
        session = session_of(folder)
        days = [session.graph.grid.at(parse_time(day)) for day in (DAY, NEXT)]
        assert not carry_out(session, Request(days), jobs=1).outcome.errors


def forget(folder: Path) -> None:
    session = session_of(folder)
    done = forgetting.forget(session, wanted_of(session, {"who": "anna@a.org"}))
    assert not done.left


def state(folder: Path) -> dict[str, list[tuple[object, ...]]]:
    """The current rows of each dataset as any reader has them, all their files compared with what their manifests say."""
    lake, found = hr.open_lake(folder / "lake"), {}
    for name, day in (("sales", DAY), ("sales.quarantine", DAY), ("spending", DAY), ("sales", NEXT), ("spending", NEXT)):
        manifest = lake.manifest(f"shop.{name.partition('.')[0]}", day)
        for part in manifest.content.parts:
            lake._lake.read_paths(manifest, part.name, verify=True)
        rows = lake.read(f"shop.{name}", day).to_pylist()
        found[f"{name} {day}"] = sorted((row["raw"],) if "raw" in row else tuple(row.values()) for row in rows)
    return found


def is_done(folder: Path) -> bool:
    record = record_of(open_lake_at(str(folder / "lake")), "shop")
    return record is not None and [entry.state for entry in record.entries] == ["done"]


def telling(folder: Path) -> list[str]:
    """The files of the lake that hold the value, those too that no manifest names."""
    found = []
    for path in (folder / "lake").rglob("*"):
        data = path.read_bytes() if path.is_file() else b""
        if data.startswith(b"PAR1"):
            data = repr(parquet.read_table(path).to_pylist()).encode()
        if b"anna@a.org" in data:
            found.append(str(path))
    return found
