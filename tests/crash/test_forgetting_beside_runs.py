"""A key is forgotten while a run is at work that would land it, at every call of the run that reaches the disk: whichever ends first, nobody is
left whom nobody tells of. And the other way round.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from pydantic import BaseModel

sys.path.insert(0, str(Path(__file__).parent))

from disk import Shim
from forget_work import telling

import headrace as hr
from headrace.backends.stores import local
from headrace.config import read_config
from headrace.core.errors import LostRaceError
from headrace.core.interval import parse_time
from headrace.run.backfill import carry_out
from headrace.run.forgetting import Forgot, forget
from headrace.run.holding import wanted_of
from headrace.run.observe import Request
from headrace.run.session import Session, open_lake_at

DAY, LAST = "2026-05-01", "2026-05-02"


class Sale(BaseModel):
    who: str
    price: float


def session_of(folder: Path, *, has_memory: bool) -> Session:
    shop = hr.Pipeline("shop", schedule="@daily", start=DAY)
    unique = hr.unique("who", over="history") if has_memory else None
    shop.source("sales", str(folder / "{start:%Y-%m-%d}.csv"), contract=Sale, max_rejected="90%", unique=unique)

    @shop.table
    def spending(sales):
        return "select who as client, sum(price) as spent from sales group by who"

    config = read_config(folder / "pipeline.py", environment={}, overrides={"lake": str(folder / "lake"), "tracking": "none"})
    return Session(shop.graph(), config, open_lake_at(str(folder / "lake")), sleep=lambda _: None)


def run(folder: Path, *days: str, has_memory: bool) -> None:
    session = session_of(folder, has_memory=has_memory)
    errors = carry_out(session, Request([session.graph.grid.at(parse_time(day)) for day in days or (DAY, LAST)]), jobs=1).outcome.errors
    assert [error for error in errors.values() if not isinstance(error, LostRaceError)] == []


def forgotten(folder: Path, *, has_memory: bool) -> Forgot:
    session = session_of(folder, has_memory=has_memory)
    return forget(session, wanted_of(session, {"who": "anna@a.org"}), is_key_only=True)


def prepare(folder: Path, *, has_memory: bool) -> None:
    """A lake that holds the key on one day, and the file of a day that has it, too, and is to be read for the first time."""
    folder.mkdir()
    (folder / f"{DAY}.csv").write_text("who,price\nanna@a.org,2.5\nben,3\n")
    run(folder, DAY, has_memory=has_memory)
    (folder / f"{LAST}.csv").write_text("who,price\nflo,4\nanna@b.org,5\nanna@a.org,5\n")


@contextmanager
def in_between(number: int, what: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Do something right before a call that reaches the disk, the first of which is 1; what is given gets the names of all calls."""
    is_inside = False
    names: list[str] = []

    def before(_number: int, name: str, _args: object) -> None:
        nonlocal is_inside
        if is_inside:
            return
        names.append(name)
        if len(names) == number:
            is_inside = True
            what()
            is_inside = False

    with monkeypatch.context() as patch:
        patch.setattr(local, "os", Shim(before))
        yield names


def moments(folder: Path, of: Callable[[Path], object], which: str, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The calls of what is done alone before which the other is to be done: those that make an entry exist, and those
    that make room for the first file of an attempt or for an entry; or many."""
    with in_between(0, lambda: None, monkeypatch) as names:
        of(folder)
    if which == "many":
        return list(range(1, len(names) + 1, 19))
    return [number for number, name in enumerate(names, 1) if name == "link" or (name == "mkdir" and names[number - 2] != "mkdir")]


@pytest.mark.parametrize("which", ["entries", pytest.param("many", marks=pytest.mark.integration)])
@pytest.mark.parametrize(("inner", "has_memory"), [("forget", False), ("forget", True), ("run", False)])
def test_of_a_run_and_forgetting_at_once_nobody_is_left_or_it_is_told(
    inner: str, has_memory: bool, which: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, before = tmp_path / "shop", tmp_path / "before"
    prepare(folder, has_memory=has_memory)
    shutil.copytree(folder, before)
    ways = {"run": partial(run, has_memory=has_memory), "forget": partial(forgotten, has_memory=has_memory)}
    outer = ways["run" if inner == "forget" else "forget"]
    found = moments(folder, outer, which, monkeypatch)
    assert len(found) > 5
    lefts = set[bool]()
    for number in found:
        shutil.rmtree(folder)
        shutil.copytree(before, folder)  # where the pipeline's files were when it was made
        done: list[Forgot | None] = []
        with in_between(number, lambda done=done: done.append(ways[inner](folder)), monkeypatch):
            done.append(outer(folder))
        (once,) = [one for one in done if one]
        assert once.left or telling(folder) == [], number
        lefts.add(bool(once.left))
        if once.left:
            assert not forgotten(folder, has_memory=has_memory).left
        run(folder, has_memory=has_memory)
        assert telling(folder) == []
        assert [row["who"] for row in hr.open_lake(folder / "lake").read("shop.sales", LAST).to_pylist()] == ["flo", "anna@b.org"]
    assert False in lefts
