"""Whatever arrives, changes, goes and comes again, and whoever is killed or runs at the same time: each file is in one interval, once.

A run is killed at a call of the lake's store, before or after it is done; or another run comes in between there. After each act, what is
current is looked at; at the end all is run once more, with nobody in the way, and whatever lies there has to have been taken.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

import headrace as hr
from headrace.lake.lake import Lake
from headrace.run.backfill import carry_out
from headrace.run.observe import Request
from headrace.steps.landing import marks_of
from headrace.testing import Lab

START = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = range(5)
CALLS = ("create", "get", "keys", "publish", "copy", "paths", "stage", "list")


class Sale(BaseModel):
    n: int


class SaleAndNote(BaseModel):
    n: int
    note: str | None = None


class Killed(BaseException):
    """The process is gone."""


class Troubled:
    """A store in which something happens at one call."""

    def __init__(self, store: Any, at: int, what: Callable[[], None], *, is_after: bool) -> None:
        self._store, self._left, self._what, self._is_after = store, at, what, is_after

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if name not in CALLS:
            return found

        def call(*arguments: Any, **options: Any) -> Any:
            self._left -= 1
            is_now = self._left == 0
            if is_now and not self._is_after:
                self._what()
            given = found(*arguments, **options)
            given = iter(list(given)) if name in ("keys", "list") else given
            if is_now and self._is_after:
                self._what()
            return given

        return call


class World:
    """A folder that files are dropped into, and one lake. `rows` knows what is in each version of a file that there ever was."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: dict[tuple[str, str], int] = {}
        self.bytes: dict[tuple[str, str], tuple[str, int]] = {}
        self.contract: type[BaseModel] = Sale
        self.store = self.lab()._lake.store

    def pipeline(self) -> hr.Pipeline:
        shop = hr.Pipeline("shop", schedule="@daily", start="2026-01-01")
        shop.source("sales", hr.csv(str(self.folder / "*.csv"), only_new=True), contract=self.contract, missing="empty", retries=0)
        return shop

    def lab(self, store: Any = None) -> Lab:
        lab = Lab(self.pipeline(), now="2026-02-01")
        store = store or getattr(self, "store", None)
        if store is not None:
            lab._lake = Lake(store, clock=lab._clock)
            lab.session = lab._session()
        return lab

    # ------------------------------------------------ acts

    def write(self, name: str, day: int, _: int) -> None:
        """A file arrives, or changes, with a time of that day."""
        n = len(self.rows)
        time = START + timedelta(days=day, seconds=n)
        self._put(name, f"n\n{n:05}\n", int(time.timestamp()) * 10**9)
        path = self.folder / name
        seen = path.stat()
        known = (str(path), f"{seen.st_size}-{seen.st_mtime_ns}")
        self.rows[known], self.bytes[known] = n, (f"n\n{n:05}\n", seen.st_mtime_ns)

    def restore(self, name: str, _: int, which: int) -> None:
        """A file is as it was once."""
        versions = [known for known in self.bytes if known[0] == str(self.folder / name)]
        if versions:
            self._put(name, *self.bytes[versions[which % len(versions)]])

    def remove(self, name: str, _: int, __: int) -> None:
        (self.folder / name).unlink(missing_ok=True)

    def edit(self, _: str, __: int, ___: int) -> None:
        """The contract changes, so that what is made is made again where it is asked for."""
        self.contract = SaleAndNote if self.contract is Sale else Sale

    def run(self, _: str, day: int, __: int, store: Any = None, *, is_forced: bool = False) -> None:
        lab = self.lab(store)
        forced = frozenset({"sales"}) if is_forced else frozenset[str]()
        ran = carry_out(lab.session, Request([self.interval(lab, day)], forced=forced), jobs=1)
        assert store is not None or not ran.outcome.errors, ran.outcome.errors

    def force(self, _: str, day: int, __: int) -> None:
        self.run(_, day, __, is_forced=True)

    def clear(self, _: str, day: int, __: int) -> None:
        lab = self.lab()
        log, interval = lab._lake.log("shop", "sales"), self.interval(lab, day)
        if log.versions_of(interval):
            log.clear(interval, why="test", who="test")

    def kill_before(self, _: str, day: int, at: int) -> None:
        self._killed(day, at, is_after=False)

    def kill_after(self, _: str, day: int, at: int) -> None:
        self._killed(day, at, is_after=True)

    def meet(self, name: str, day: int, at: int) -> None:
        """Another run of the same interval comes in between, after a file has arrived that the first may not have seen."""

        def other() -> None:
            self.write(name, min(day, at % 5), 0)
            self.run("", day, 0)

        self.run("", day, 0, Troubled(self.store, at, other, is_after=at % 2 == 0))

    def overtake(self, name: str, day: int, at: int) -> None:
        """A run of the next interval comes in between."""

        def other() -> None:
            self.write(name, day, 0)
            self.run("", day + 1, 0)

        self.run("", day, 0, Troubled(self.store, at, other, is_after=at % 2 == 0))

    # ------------------------------------------------ what holds

    def check(self) -> Counter[tuple[str, str]]:
        """Each file at most once, and each interval has the rows of its files."""
        lab = self.lab()
        log = lab._lake.log("shop", "sales")
        found: Counter[tuple[str, str]] = Counter()
        for interval in log.versions(None):
            current = log.current(interval)
            if current is None or current.kind != "data":
                continue
            taken = list(marks_of(current).items())
            found.update(taken)
            assert [row["n"] for row in lab.read("sales", interval.start)] == [self.rows[known] for known in taken]
        assert not found or max(found.values()) == 1, found
        return found

    def end(self) -> None:
        """An interval that nobody asked for before takes what is left, and those that were cleared are made again."""
        lab = self.lab()
        last = max(DAYS) + 2
        ran = carry_out(lab.session, Request([self.interval(lab, day) for day in range(last + 1)], is_backfill=True), jobs=1)
        assert not ran.outcome.errors
        found = self.check()
        for path in self.folder.iterdir():
            seen = path.stat()
            assert found[(str(path), f"{seen.st_size}-{seen.st_mtime_ns}")] == 1

    def interval(self, lab: Lab, day: int) -> Any:
        return lab.interval(START + timedelta(days=day))

    def _put(self, name: str, text: str, time_ns: int) -> None:
        path = self.folder / name
        path.write_text(text)
        os.utime(path, ns=(time_ns, time_ns))

    def _killed(self, day: int, at: int, *, is_after: bool) -> None:
        def die() -> None:
            raise Killed

        with contextlib.suppress(Killed):
            self.run("", day, 0, Troubled(self.store, at, die, is_after=is_after))


NAMES = st.sampled_from(["a.csv", "b.csv", "c.csv"])
WHEN = st.sampled_from(DAYS)
acts = st.one_of(
    st.tuples(st.sampled_from(["write", "write", "restore", "remove"]), NAMES, WHEN, st.integers(0, 5)),
    st.tuples(st.sampled_from(["run", "run", "force", "edit", "clear"]), st.just(""), WHEN, st.just(0)),
    st.tuples(st.sampled_from(["kill_before", "kill_after", "meet", "overtake"]), NAMES, WHEN, st.integers(1, 40)),
)


@settings(max_examples=25, deadline=None)
@given(history=st.lists(acts, max_size=9))
@example(history=[("write", "a.csv", 0, 0), ("kill_after", "", 0, 20), ("write", "b.csv", 0, 0), ("run", "", 1, 0)])
@example(history=[("write", "a.csv", 0, 0), ("run", "", 0, 0), ("write", "a.csv", 1, 0), ("run", "", 1, 0), ("restore", "a.csv", 0, 0)])
@example(
    history=[
        ("write", "a.csv", 0, 0),
        ("run", "", 2, 0),
        ("clear", "", 1, 0),
        ("write", "b.csv", 0, 0),
        ("run", "", 3, 0),
        ("run", "", 1, 0),
    ]
)
@example(
    history=[
        ("write", "a.csv", 0, 0),
        ("run", "", 0, 0),
        ("write", "b.csv", 0, 0),
        ("run", "", 1, 0),
        ("edit", "", 0, 0),
        ("run", "", 0, 0),
    ]
)
@example(history=[("write", "a.csv", 0, 0), ("meet", "b.csv", 0, 12), ("overtake", "c.csv", 1, 15)])
@example(history=[("write", "a.csv", 0, 0), ("run", "", 3, 0), ("clear", "", 2, 0), ("force", "", 3, 0)])
@example(history=[("write", "a.csv", 0, 0), ("run", "", 0, 0), ("overtake", "c.csv", 3, 36), ("edit", "", 4, 0), ("clear", "", 3, 0)])
def test_each_file_is_in_one_interval_once(history: list[tuple[str, str, int, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        for act, name, day, number in history:
            getattr(world, act)(name, day, number)
            world.check()
        world.end()
