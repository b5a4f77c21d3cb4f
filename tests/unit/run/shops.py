"""A shop whose sales lie in files by the day, over a lake in a folder, out of which people are forgotten."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zipfile
from pathlib import Path
from typing import Any

from pyarrow import parquet
from pydantic import BaseModel, Field

import headrace as hr
from headrace.config import read_config
from headrace.core.interval import parse_time
from headrace.run.backfill import carry_out
from headrace.run.forgetting import Forgot, Outlook, forget, outlook
from headrace.run.holding import wanted_of
from headrace.run.observe import Request
from headrace.run.session import Session, open_lake_at

DAY, NEXT = "2026-05-01", "2026-05-02"
ANNA = b"anna@a.org"


class Sale(BaseModel):
    who: str = Field(alias="Who")
    price: float = Field(alias="Price", ge=0)


FILE = b'Who,Price\nanna@a.org,2.5\nben,3\nanna@a.org,cheap\n"cleo\nx",oops\nben,-1\nanna@a.org,1,2,3\nben,4\n'


class Shop:
    """A pipeline over a lake in a folder, as its file says it now."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, data: bytes = FILE, name: str = f"{DAY}.csv") -> Path:
        path = self.folder / "in" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        return path

    def pipeline(self, contract: type[BaseModel] | None = Sale, location: str = "{start:%Y-%m-%d}.csv", **options: Any) -> hr.Pipeline:
        own = {name: options.pop(name) for name in ("max_rejected", "unique") if name in options}
        shop = hr.Pipeline("shop", schedule="@daily", start=DAY)
        shop.source("sales", hr.csv(str(self.folder / "in" / location), **options), contract=contract, **{"max_rejected": 9, **own})

        @shop.table
        def spending(sales):
            return "select who, sum(price) as spent from sales group by who"

        @shop.table
        def totals(spending):
            return "select sum(spent) as spent from spending"

        return shop

    def session(self, pipeline: hr.Pipeline | None = None) -> Session:
        config = read_config(self.folder / "x.py", environment={}, overrides={"lake": str(self.folder / "lake"), "tracking": "none"})
        graph = (pipeline or self.pipeline()).graph()
        return Session(graph, config, open_lake_at(str(self.folder / "lake")), sleep=lambda _: None, who="test")

    def run(self, *days: str, pipeline: hr.Pipeline | None = None, **request: Any) -> dict[tuple[str, str], Any]:
        session = self.session(pipeline)
        runs = [session.graph.grid.at(parse_time(day)) for day in days or (DAY,)]
        ran = carry_out(session, Request(runs, **request), jobs=1)
        for error in ran.outcome.errors.values():
            raise error
        return {(receipt.step, receipt.interval.label): receipt for receipt in ran.receipts}

    def forget(self, pipeline: hr.Pipeline | None = None, **key: str) -> Forgot:
        session = self.session(pipeline)
        return forget(session, wanted_of(session, key or {"who": ANNA.decode()}))

    def look(self, pipeline: hr.Pipeline | None = None, **key: str) -> Outlook:
        session = self.session(pipeline)
        return outlook(session, wanted_of(session, key or {"who": ANNA.decode()}))

    def rows(self, name: str, at: str = DAY) -> list[tuple[Any, ...]]:
        return sorted(tuple(row.values()) for row in hr.open_lake(self.folder / "lake").read(f"shop.{name}", at).to_pylist())

    def raw(self, at: str = DAY, name: str = "sales") -> list[bytes]:
        lake = hr.open_lake(self.folder / "lake")
        return [path.read_bytes() for path in lake._lake.read_paths(lake.manifest(f"shop.{name}", at), "raw", verify=True)]

    def telling(self, what: bytes = ANNA) -> list[str]:
        """The files of the lake that hold a text, also packed."""
        return [str(path.relative_to(self.folder)) for path in (self.folder / "lake").rglob("*") if path.is_file() and what in told(path)]


def told(path: Path) -> bytes:
    data = path.read_bytes()
    if data.startswith(b"PAR1"):
        return repr(parquet.read_table(path).to_pylist()).encode()
    if data.startswith(b"\x1f\x8b"):
        return gzip.decompress(data)
    if data.startswith(b"PK"):
        with zipfile.ZipFile(path) as archive:
            return b"\n".join(map(archive.read, archive.namelist()))
    return bz2.decompress(data) if data.startswith(b"BZh") else lzma.decompress(data) if data.startswith(b"\xfd7zXZ") else data
