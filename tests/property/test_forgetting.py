"""Whoever is forgotten is nowhere in the lake, and everybody else is as before: over any files, of any format, packed or not, any versions."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet
from pydantic import BaseModel, Field

import headrace as hr
from headrace.config import read_config
from headrace.run.backfill import carry_out
from headrace.run.forgetting import forget, outlook
from headrace.run.holding import wanted_of
from headrace.run.observe import Request
from headrace.run.session import Session, open_lake_at

DAY = "2026-05-01"
PEOPLE = ["anna@a.org", "anna@a.organ", "ben", 'say "cleo"', "dóra", "two words"]
Row = tuple[str, str]


class Sale(BaseModel):
    who: str
    price: float = Field(ge=0)


def csv(rows: Sequence[Row]) -> bytes:
    lines = ['"' + who.replace('"', '""') + '",' + price for who, price in rows]
    return ("\r\n".join(["who,price", *lines]) + "\r\n").encode()


def jsonl(rows: Sequence[Row]) -> bytes:
    return "".join(json.dumps({"who": who, "price": price}, ensure_ascii=False) + "\n" for who, price in rows).encode() or b"\n"


WAYS: dict[str, tuple[Callable[[Sequence[Row]], bytes], Callable[[str], object]]] = {
    "csv": (csv, hr.csv),
    "csv.gz": (lambda rows: gzip.compress(csv(rows)), hr.csv),
    "utf16.csv": (lambda rows: csv(rows).decode().encode("utf-16"), hr.csv),
    "jsonl": (jsonl, hr.json),
}


def session_of(folder: Path, options: object) -> Session:
    shop = hr.Pipeline("shop", schedule="@daily", start=DAY)
    shop.source("sales", options, contract=Sale, max_rejected=1.0)  # type: ignore[arg-type]

    @shop.table
    def spending(sales):
        return "select who as client, sum(price) as spent from sales group by who"

    config = read_config(folder / "x.py", environment={}, overrides={"lake": str(folder / "lake"), "tracking": "none"})
    return Session(shop.graph(), config, open_lake_at(str(folder / "lake")), sleep=lambda _: None)


def run(session: Session) -> None:
    assert not carry_out(session, Request([session.graph.first]), jobs=1).outcome.errors


def everybody(folder: Path) -> list[tuple[str, float]]:
    return sorted((row["who"], row["price"]) for row in hr.open_lake(folder / "lake").read("shop.sales", DAY).to_pylist())


def telling(folder: Path, word: str) -> list[Path]:
    forms = {word.encode(), word.encode("utf-16-le"), json.dumps(word).encode(), word.replace('"', '""').encode()}
    return [path for path in (folder / "lake").rglob("*") if path.is_file() and any(form in told(path) for form in forms)]


def told(path: Path) -> bytes:
    data = path.read_bytes()
    if data.startswith(b"PAR1"):
        rows = parquet.read_table(path).to_pylist()
        return "\n".join(str(value) for row in rows for value in row.values() if not isinstance(value, bytes)).encode() + b"\n".join(
            value for row in rows for value in row.values() if isinstance(value, bytes)
        )
    return gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data


@given(
    versions=st.lists(
        st.lists(st.tuples(st.sampled_from(PEOPLE), st.sampled_from(["1", "2.5", "-1", "cheap"])), min_size=1, max_size=12),
        min_size=1,
        max_size=3,
    ),
    who=st.sampled_from(PEOPLE[1:]),
    way=st.sampled_from(sorted(WAYS)),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=15, deadline=None)
def test_nobody_who_is_forgotten_is_left_and_everybody_else_is_as_before(
    tmp_path_factory: pytest.TempPathFactory, versions: list[list[Row]], who: str, way: str, seed: int
) -> None:
    folder, (write, declare) = tmp_path_factory.mktemp("forgetting"), WAYS[way]
    (folder / "in").mkdir()
    options = declare(str(folder / "in" / f"*.{way}"))
    for rows in versions:
        half = random.Random(seed).randint(0, len(rows))
        for name, part in (("a", rows[:half]), ("b", rows[half:])):
            (folder / "in" / f"{name}.{way}").write_bytes(write(part))
        run(session_of(folder, options))
    session = session_of(folder, options)
    wanted = wanted_of(session, {"who": who})
    expected = sorted((name, float(price)) for name, price in versions[-1] if name != who and price in ("1", "2.5"))
    done = forget(session, wanted)
    assert not done.left
    assert everybody(folder) == expected
    assert telling(folder, who) == []
    assert outlook(session_of(folder, options), wanted).is_nothing
    (folder / "in" / f"b.{way}").write_bytes(write([*versions[-1], ("eve", "9")]))
    (folder / "in" / f"a.{way}").unlink()
    run(session_of(folder, options))
    assert everybody(folder) == sorted([*expected, ("eve", 9.0)])
    assert telling(folder, who) == []
