"""A key over history is kept once, where it came first, whatever is run in whatever order, and whatever changed in the past."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

import headrace as hr
from headrace.run.backfill import carry_out
from headrace.run.observe import Request, make_plan
from headrace.testing import Lab

DAYS = ["2026-05-01", "2026-05-02", "2026-05-03", "2026-05-04"]
IDS = st.lists(st.none() | st.integers(0, 6), max_size=5)
Days = Sequence[Sequence[int | None]]


class Order(BaseModel):
    n: int
    id: int | None = None


def write(folder: Path, day: str, ids: Sequence[int | None], *, hour: int = 12) -> None:
    folder.mkdir(exist_ok=True)
    path = folder / f"{day}.csv"
    path.write_text("n,id\n" + "".join(f"{n},{'' if own is None else own}\n" for n, own in enumerate(ids)))
    stamp = (datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(hours=hour)).timestamp()
    os.utime(path, (stamp, stamp))


def pipeline(folder: Path, over: str, *, only_new: bool = False, has_key: bool = True) -> hr.Pipeline:
    shop = hr.Pipeline("shop", schedule="@daily", start=DAYS[0])
    where: Any = hr.csv(str(folder / "*.csv"), only_new=True) if only_new else str(folder / "{start:%Y-%m-%d}.csv")
    shop.source("orders", where, contract=Order, max_rejected=1.0, unique=hr.unique("id", over=over) if has_key else None)
    return shop


def expected(days: Days, reach: int | None) -> list[list[int]]:
    """Which records of each day are kept: those whose key no kept record has, of the same day or of one that counts."""
    kept: list[list[int]] = []
    seen: list[tuple[int, int]] = []
    for day, ids in enumerate(days):
        counting = {own for own, when in seen if reach is None or when > day - reach}
        here = []
        for n, own in enumerate(ids):
            if own is not None and own in counting:
                continue
            here.append(n)
            if own is not None:
                counting.add(own)
                seen.append((own, day))
        kept.append(here)
    return kept


def read(lab: Lab, day: str) -> list[int]:
    return [row["n"] for row in lab.read("orders", day)]


def requested(lab: Lab, days: Sequence[str], *, jobs: int = 1) -> None:
    lab.session = lab._session()
    ran = carry_out(lab.session, Request([lab.interval(day) for day in days], is_backfill=True), jobs=jobs)
    assert not ran.outcome.errors


@given(
    days=st.lists(IDS, min_size=4, max_size=4),
    over=st.sampled_from([("history", None), ("2d", 2), ("3d", 3)]),
    only_new=st.booleans(),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=12, deadline=None)
def test_what_is_kept_is_the_same_in_whatever_order_days_are_asked_for(
    tmp_path_factory: pytest.TempPathFactory, days: Days, over: tuple[str, int | None], only_new: bool, seed: int
) -> None:
    folder, chance = tmp_path_factory.mktemp("history") / "in", random.Random(seed)
    for day, ids in zip(DAYS, days, strict=True):
        write(folder, day, ids)
    lab = Lab(pipeline(folder, over[0], only_new=only_new), now="2026-05-05")
    asked = chance.sample(DAYS, len(DAYS))
    for part in (asked[:2], asked[2:]):
        requested(lab, sorted(part), jobs=chance.choice([1, 2]))
    assert [read(lab, day) for day in DAYS] == expected(days, over[1])
    told = [row["reasons"][0] for day in DAYS for row in lab.read("orders.quarantine", day)]
    assert all("is not unique: " in reason for reason in told)


@given(
    days=st.lists(IDS, min_size=4, max_size=4), changed=IDS, which=st.integers(0, 3), over=st.sampled_from([("history", None), ("2d", 2)])
)
@settings(max_examples=12, deadline=None)
def test_a_past_that_changed_is_what_the_days_after_it_are_made_from(
    tmp_path_factory: pytest.TempPathFactory, days: Days, changed: Sequence[int | None], which: int, over: tuple[str, int | None]
) -> None:
    folder = tmp_path_factory.mktemp("changed") / "in"
    for day, ids in zip(DAYS, days, strict=True):
        write(folder, day, ids)
    lab = Lab(pipeline(folder, over[0]), now="2026-05-05")
    requested(lab, DAYS)
    write(folder, DAYS[which], changed, hour=13)  # a file of equal size is known to be another by its time
    now = [changed if n == which else ids for n, ids in enumerate(days)]
    requested(lab, DAYS)
    assert [read(lab, day) for day in DAYS] == expected(now, over[1])
    fresh = Lab(pipeline(folder, over[0]), now="2026-05-05")
    requested(fresh, DAYS)
    for day in DAYS:
        old, new = (one.lake.manifest("shop.orders", day).content for one in (lab, fresh))
        assert (old.digest, old.fingerprint) == (new.digest, new.fingerprint)
        keys = [[file.sha256 for file in one.part("keys").files] for one in (old, new)]  # type: ignore[union-attr]
        assert keys[0] == keys[1]


COMMANDS = st.tuples(st.booleans(), st.sets(st.sampled_from(DAYS), min_size=1))


@given(before=st.lists(COMMANDS, max_size=3), asked=st.sets(st.sampled_from(DAYS), min_size=1), over=st.sampled_from(["history", "2d"]))
@settings(max_examples=12, deadline=None)
def test_a_plan_foresees_what_a_run_fails_of_where_the_past_was_made_with_and_without_the_key(
    tmp_path_factory: pytest.TempPathFactory, before: Sequence[tuple[bool, set[str]]], asked: set[str], over: str
) -> None:
    folder = tmp_path_factory.mktemp("foreseen") / "in"
    for day in DAYS:
        write(folder, day, [1, 2])
    lab = Lab(pipeline(folder, over), now="2026-05-05")
    declared = [pipeline(folder, over, has_key=False).graph(), lab.graph]
    for has_key, days in before:
        lab.graph = declared[has_key]
        lab.session = lab._session()
        carry_out(lab.session, Request([lab.interval(day) for day in sorted(days)], is_backfill=True))
    lab.graph = declared[True]
    lab.session = lab._session()
    request = Request([lab.interval(day) for day in sorted(asked)], is_backfill=True)
    plan = make_plan(lab.session, request)
    outcome = carry_out(lab.session, request).outcome
    assert {d.pair: d.obstacle for d in plan.to_run if d.obstacle and not d.is_blocked} == {p: str(e) for p, e in outcome.errors.items()}
    assert {d.pair for d in plan.to_run if d.is_blocked} == {(r.step, r.interval) for r in outcome.receipts if r.state == "blocked"}
