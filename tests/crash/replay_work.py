"""What the crash test of replaying does, and what a reader finds there."""

from __future__ import annotations

from pathlib import Path

import duckdb  # noqa: F401  # before a process forks, so that not each child imports it
import pyarrow as pa  # noqa: F401
from pydantic import BaseModel, Field

import headrace as hr
from headrace.config import read_config
from headrace.run import replaying
from headrace.run.execute import execute_step
from headrace.run.mending import export_to_mend
from headrace.run.quarantined import quarantine_at
from headrace.run.session import Session, open_lake_at

DAY = "2026-05-01"


class Sale(BaseModel):
    item: str
    price: float = Field(ge=0)


def session_of(folder: Path) -> Session:
    shop = hr.Pipeline("shop", schedule="@daily", start=DAY)
    shop.source("sales", str(folder / "{start:%Y-%m-%d}.csv"), contract=Sale, max_rejected="90%")
    config = read_config(folder / "pipeline.py", environment={}, overrides={"lake": str(folder / "lake")})
    return Session(shop.graph(), config, open_lake_at(str(folder / "lake")))


def make(folder: Path) -> None:
    """A version with a record in quarantine, and the mended file."""
    folder.mkdir()
    (folder / f"{DAY}.csv").write_text("item,price\ntea,2.5\ncake,cheap\n")
    session = session_of(folder)
    execute_step(session, "sales", session.graph.first)
    export_to_mend(session, "sales", quarantine_at(session, "sales", DAY), folder / "mended.csv")
    (folder / "mended.csv").write_text("item,price\ncake,4\n")


def replay(folder: Path) -> None:
    replaying.replay(session_of(folder), "sales", folder / "mended.csv")


def state(folder: Path) -> tuple[int, list[str], int]:
    """The current version as any reader has it, all its files compared with what their manifest says."""
    lake = hr.open_lake(folder / "lake")
    manifest = lake.manifest("shop.sales", DAY)
    for part in manifest.content.parts:
        lake._lake.read_paths(manifest, part.name, verify=True)
    rows = [row["item"] for row in lake.read("shop.sales", DAY).to_pylist()]
    return manifest.version, rows, lake.read("shop.sales.quarantine", DAY).num_rows
