"""A source that remembers keys is, after somebody was forgotten, as if they had never come: whatever it remembers, whatever was run before."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet
from pydantic import BaseModel

import headrace as hr
from headrace.config import read_config
from headrace.core.interval import parse_time
from headrace.core.keys import Unique
from headrace.run.backfill import carry_out
from headrace.run.forgetting import forget, outlook
from headrace.run.holding import wanted_of
from headrace.run.observe import Request
from headrace.run.session import Session, open_lake_at

DAYS = ["2026-05-01", "2026-05-02", "2026-05-03", "2026-05-04"]
ANNA = "anna@a.org"
Row = tuple[str, str]
Days = Sequence[Sequence[Row]]
ROWS = st.lists(st.tuples(st.sampled_from([ANNA, "ben", "cleo"]), st.sampled_from(["1", "2", "3", "oops"])), max_size=4)


class Sale(BaseModel):
    who: str
    number: int


def session_of(folder: Path, unique: Unique) -> Session:
    shop = hr.Pipeline("shop", schedule="@daily", start=DAYS[0])
    shop.source("sales", str(folder / "{start:%Y-%m-%d}.csv"), contract=Sale, max_rejected=1.0, unique=unique)

    @shop.table
    def spending(sales):
        return "select who as client, count(*) as n from sales group by who order by who"

    config = read_config(folder / "x.py", environment={}, overrides={"lake": str(folder / "lake"), "tracking": "none"})
    return Session(shop.graph(), config, open_lake_at(str(folder / "lake")), sleep=lambda _: None)


def run(folder: Path, unique: Unique, days: Sequence[str]) -> None:
    session = session_of(folder, unique)
    runs = [session.graph.grid.at(parse_time(day)) for day in days]
    assert not carry_out(session, Request(runs, is_backfill=True), jobs=1).outcome.errors


def write(folder: Path, days: Days) -> None:
    for day, rows in zip(DAYS, days, strict=True):
        (folder / f"{day}.csv").write_text("who,number\n" + "".join(f"{who},{number}\n" for who, number in rows))


def content(folder: Path) -> dict[tuple[str, str], list[tuple[str, list[str]]]]:
    """The digests of all files of the source's days and of what is made of them."""
    lake = hr.open_lake(folder / "lake")
    found = {(name, day): lake.manifest(f"shop.{name}", day).content.parts for name in ("sales", "spending") for day in DAYS}
    return {key: sorted((part.name, [file.sha256 for file in part.files]) for part in parts) for key, parts in found.items()}


def telling(folder: Path) -> list[str]:
    return [str(path) for path in (folder / "lake").rglob("*") if path.is_file() and ANNA.encode() in told(path)]


def told(path: Path) -> bytes:
    data = path.read_bytes()
    return repr(parquet.read_table(path).to_pylist()).encode() if data.startswith(b"PAR1") else data


@given(
    rounds=st.lists(st.tuples(st.lists(ROWS, min_size=4, max_size=4), st.sets(st.sampled_from(DAYS))), min_size=1, max_size=2),
    columns=st.sampled_from([("who",), ("number",), ("who", "number")]),
    over=st.sampled_from(["history", "2d"]),
)
@settings(max_examples=6, deadline=None)
def test_a_lake_is_as_if_they_had_never_come_and_no_file_of_it_holds_them(
    tmp_path_factory: pytest.TempPathFactory, rounds: list[tuple[Days, set[str]]], columns: tuple[str, ...], over: str
) -> None:
    folder, fresh, unique = tmp_path_factory.mktemp("theirs"), tmp_path_factory.mktemp("fresh"), hr.unique(*columns, over=over)
    for days, again in rounds:
        write(folder, days)
        run(folder, unique, DAYS if days is rounds[0][0] else sorted(again | {DAYS[0]}))
    session = session_of(folder, unique)
    wanted = wanted_of(session, {"who": ANNA})
    assert not forget(session, wanted).left
    assert telling(folder) == []
    assert outlook(session_of(folder, unique), wanted).is_nothing
    run(folder, unique, DAYS)
    write(fresh, [[row for row in rows if row[0] != ANNA] for rows in rounds[-1][0]])
    run(fresh, unique, DAYS)
    assert content(folder) == content(fresh)
    assert telling(folder) == []
