"""A value that is planted anywhere in a lake is, when it is forgotten, in no file that is left, or told: which file, and which dataset and part."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pyarrow import parquet
from pydantic import BaseModel, Field

import headrace as hr
from headrace.config import read_config
from headrace.core.manifest import Manifest
from headrace.run.backfill import carry_out
from headrace.run.forgetting import forget, outlook
from headrace.run.holding import wanted_of
from headrace.run.mentions import Mentions
from headrace.run.observe import Request
from headrace.run.session import Session, open_lake_at

DAY = "2026-05-01"
VALUES = ["anna@a.org", 'say "cleo"', "dóra", "17850", "two words"]
PLACES = ["key", "note", "list", "extra", "comment", "broken", "bad", "member", "glued"]
Planted = Sequence[tuple[str, ...]]
"""A record, or a line that is none, for each: where the value is in it."""


class Sale(BaseModel):
    who: str
    price: float = Field(ge=0)
    note: str | None
    tags: list[str]


def line_of(places: tuple[str, ...], value: str) -> str:
    if "comment" in places:
        return f"# it was {value}, they say"
    if "broken" in places:
        return json.dumps({"who": "ben", "note": value}, ensure_ascii=False)[:-1]
    record = {
        "who": value if "key" in places else "ben",
        "price": "cheap" if "bad" in places else 1,
        "note": f"with {value}" if {"note", "bad"} & set(places) else f"x{value}x" if "glued" in places else None,
        "tags": ["a", value] if "list" in places else [],
        **({"extra": {"deep": [value]}} if "extra" in places else {}),
    }
    return json.dumps(record, ensure_ascii=len(places) % 2 == 0)


def plain(lines: Sequence[str], value: str, planted: Planted) -> bytes:  # as every way has it
    return ("\n".join([*lines, '{"who": "eve", "price": 2, "note": null, "tags": []}']) + "\n").encode()


def zipped(lines: Sequence[str], value: str, planted: Planted) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("sales.jsonl", plain(lines, value, planted))
        archive.writestr("read.me", f"ask {value}!" if any("member" in places for places in planted) else "ask ben!")
    return packed.getvalue()


WAYS: dict[str, tuple[Callable[[Sequence[str], str, Planted], bytes], dict[str, str]]] = {
    "jsonl": (plain, {}),
    "zip": (zipped, {"member": "sales.jsonl"}),
}


def session_of(folder: Path, way: str) -> Session:
    shop = hr.Pipeline("shop", schedule="@daily", start=DAY)
    shop.source("sales", hr.json(str(folder / "in" / f"*.{way}"), comment="#", **WAYS[way][1]), contract=Sale, max_rejected=1.0)  # type: ignore[arg-type]

    @shop.table
    def spending(sales):
        return "select who as client, tags, sum(price) as spent from sales group by all"

    @shop.table
    def notes(sales):
        return "select note as remark from sales"

    config = read_config(folder / "x.py", environment={}, overrides={"lake": str(folder / "lake"), "tracking": "none"})
    return Session(shop.graph(), config, open_lake_at(str(folder / "lake")), sleep=lambda _: None)


def saying(folder: Path, value: str) -> set[tuple[str, str]]:
    """The dataset and the part of each file of the lake that says a value as a word, by another search than the one that is tested."""
    lake = hr.open_lake(folder / "lake")._lake
    found = set()
    for name in lake.datasets("shop"):
        log = lake.log("shop", name.partition(".")[2])
        for interval, versions in log.versions(None).items():
            for manifest in (log.manifest(interval, version) for version in versions):
                found |= {(name, part) for part in parts_saying(folder, manifest, value)}
    return found


def parts_saying(folder: Path, manifest: Manifest, value: str) -> set[str]:
    found = set()
    for part in manifest.content.parts:
        for path in (folder / "lake" / file.key for file in part.files):
            if path.is_file() and says(path, value):
                found.add(part.name)
    return found


def says(path: Path, value: str) -> bool:
    data = path.read_bytes()
    if data.startswith(b"PAR1"):
        return any(is_there(row, value) for row in parquet.read_table(path).to_pylist())
    if data.startswith(b"PK"):
        with zipfile.ZipFile(path) as archive:
            data = b"\n".join(map(archive.read, archive.namelist()))
    return is_there(data, value)


def is_there(told: object, value: str) -> bool:
    if isinstance(told, dict):
        return any(is_there(inner, value) for inner in told.values())
    if isinstance(told, list):
        return any(is_there(inner, value) for inner in told)
    text = told.decode() if isinstance(told, bytes) else str(told)
    spelt = [value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]]
    return any(f"{before}{one}{after}" in f" {text} " for one in spelt for before in ' "' for after in ' ",!')


def told(found: Mentions | None) -> set[tuple[str, str]]:
    assert found is not None
    return {(one.dataset, one.part) for one in found.found}


@given(
    versions=st.lists(st.lists(st.lists(st.sampled_from(PLACES), max_size=2, unique=True).map(tuple), max_size=6), min_size=1, max_size=2),
    value=st.sampled_from(VALUES),
    way=st.sampled_from(sorted(WAYS)),
)
@example(versions=[[("member",)]], value="anna@a.org", way="zip")
@example(versions=[[(place,) for place in PLACES]], value="dóra", way="jsonl")
@settings(max_examples=10, deadline=None)
def test_what_is_planted_is_gone_or_told(tmp_path_factory: pytest.TempPathFactory, versions: list[Planted], value: str, way: str) -> None:
    folder = tmp_path_factory.mktemp("planted")
    (folder / "in").mkdir()
    for planted in versions:
        lines = [line_of(places, value) for places in planted]
        (folder / "in" / f"a.{way}").write_bytes(WAYS[way][0](lines, value, planted))
        session = session_of(folder, way)
        assert not carry_out(session, Request([session.graph.first]), jobs=1).outcome.errors
    session = session_of(folder, way)
    wanted = wanted_of(session, {"who": value})
    foretold = told(outlook(session, wanted).mentions)
    done = forget(session_of(folder, way), wanted)
    assert not done.left
    left = saying(folder, value)
    assert told(done.mentions) == left
    assert {of for of in left if of[0] == "shop.sales"} == {of for of in foretold if of[0] == "shop.sales"}
    assert told(outlook(session_of(folder, way), wanted).mentions) == left
    record = (folder / "lake" / "log" / "shop" / "_forgotten").rglob("*")
    assert not any(
        value.encode() in path.read_bytes() for path in record if path.is_file() and "owner" not in path.name and value != "17850"
    )
