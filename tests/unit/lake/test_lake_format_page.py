"""The page about the lake's format shows what the code writes: every key, and one whole manifest."""

from __future__ import annotations

import json
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from headrace.backends.stores import memory
from headrace.core.interval import Interval
from headrace.core.manifest import Column, Content, InputRef, Manifest
from headrace.lake.chain import Decision
from headrace.lake.lake import Lake

DAY = Interval.of("2026-11-20", "2026-11-21")


@pytest.fixture
def page(project: Path) -> str:
    return (project / "docs" / "reference" / "lake-format.md").read_text(encoding="utf-8")


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Everything in the lake of the page's example."""
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(nodename="worker-7"))
    store = memory.open()
    nonces = iter(f"{n:02x}" * 16 for n in (0x1C, 0x9F, 0x3A))
    lake = Lake.open(store, clock=lambda: datetime(2026, 11, 21, 0, 5, tzinfo=UTC), nonces=lambda: next(nonces))
    _commit_table(lake)
    _commit_model(lake)
    objects = {key: store.get(key) for key in store.keys("")}
    store.close()
    return objects


def _commit_table(lake: Lake) -> None:
    log = lake.log("shop", "spending")
    log.claim({"grid": "1d", "parts": ["test", "train"], "step": "table"})
    attempt = log.attempt(DAY)
    for part, rows in (("test", 8), ("train", 31)):
        attempt.file(part, layer="gold").write_bytes(f"{part} rows, as Parquet".encode())
        assert attempt.part(part, "gold", rows=rows).rows == rows
    days = [Interval.of(f"2026-11-{day:02d}", f"2026-11-{day + 1:02d}") for day in range(1, 21)]
    purchases = InputRef.of(
        "shop.purchases", Interval.of("2026-11-01", "2026-11-21"), [(d, 2 if d.start.day == 3 else 1, "…") for d in days]
    )
    schema = (Column("customer_id", "BIGINT", nullable=False), Column("spent", "DOUBLE"))
    content = Content(
        kind="data",
        step_kind="table",
        parts=(attempt.part("test", "gold", rows=8), attempt.part("train", "gold", rows=31)),
        schema={"test": schema, "train": schema},
        fingerprint="5d0c7a91e2b34f68",
        fingerprint_parts={"code": "88ad03c1", "settings": {}},
        inputs=(purchases,),
        details={"split": "by_key customer_id, test 0.2"},
    )
    attempt.commit(content, {"headrace": "0.1.0", "python": "3.11.7", "libraries": {"duckdb": "2.0.0"}, "timings": {"seconds": 0.31}})


def _commit_model(lake: Lake) -> Manifest:
    attempt = lake.log("shop", "groups").attempt(DAY)
    attempt.file("model", layer="models", name="model.skops").write_bytes(b"a fitted pipeline")
    made = attempt.commit(Content("data", "model", (attempt.part("model", "models"),), metrics={"silhouette": 0.41}))
    decision = Decision("promote", DAY, 1, made.content.digest, who="a run", why="passed its gate", verdict={"silhouette >= 0.3": True})
    lake.chain("shop", "groups").append(decision, after=None, files=made.content.parts[0].files)
    return made


def test_the_keys_on_the_page_are_those_that_the_code_writes(page: str, keys: dict[str, bytes]) -> None:
    block = re.search(r"```text\n(chain/.*?)```", page, re.DOTALL)
    assert block
    assert [line.split()[0] for line in block[1].splitlines()] == sorted(keys)


@pytest.mark.parametrize(
    "key", ["log/shop/spending/2026/11/20T0000-1440m.000001", "chain/shop/groups/00000001", "headrace.json", "log/shop/spending/owner"]
)
def test_the_entries_on_the_page_are_what_the_code_writes(key: str, page: str, keys: dict[str, bytes]) -> None:
    blocks = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", page, re.DOTALL)]
    assert json.loads(keys[key]) in blocks


def test_every_field_of_an_entry_is_explained(page: str, keys: dict[str, bytes]) -> None:
    manifest = json.loads(keys["log/shop/spending/2026/11/20T0000-1440m.000001"])
    own = {"nonce", "base", "created_at", "host", "paths", "slot"}
    for field in {*manifest["content"], *own, *json.loads(keys["chain/shop/groups/00000001"])}:
        assert f"| `{field}` |" in page, field
