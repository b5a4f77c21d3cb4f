"""Carrying out plans: in order and in parallel, with retries, and with failures that stop what depends on them and nothing else."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from labs import going_on, planned, ran, states

import headrace as hr
from headrace.core.errors import DataError, HeadraceError, LostRaceError, StepError, TransientError, UnknownNameError, Where
from headrace.core.graph import Pair
from headrace.core.interval import Grid, Interval, parse_time
from headrace.core.plan import Decision, Plan
from headrace.core.receipt import Receipt
from headrace.core.step import Promotion, Table
from headrace.run import execute, executor
from headrace.run.backfill import carry_out, chosen_steps, experiment_of
from headrace.run.executor import Outcome, run_plan
from headrace.run.observe import Request
from headrace.run.session import Session
from headrace.steps.made import Made
from headrace.steps.tables import make_table
from headrace.testing import Lab

DAYS = [Grid.parse("@daily").at(parse_time(f"2026-01-{day:02d}")) for day in range(1, 5)]

# ---------------------------------------------------------------- plans of any shape, with steps that fail


def carried_out(plan: Plan, fails: set[Pair], *, jobs: int, promotions: set[str] = frozenset()) -> tuple[Outcome, list[Pair]]:  # type: ignore[assignment]
    """Run a plan whose steps do nothing but note that they ran, or fail."""
    order: list[Pair] = []
    lock = threading.Lock()

    def execute(_: object, step: str, interval: Interval, *, is_forced: bool) -> Receipt:
        with lock:
            order.append((step, interval))
        if (step, interval) in fails:
            raise DataError("as planned")
        return Receipt(step, "table", interval, "made", version=1)

    names = {d.step for d in plan.decisions}
    here, daily = Where("steps.py", 1), Grid.parse("@daily")
    steps = {n: Promotion(n, here, daily, "model") if n in promotions else Table(n, here, daily, print, ()) for n in names}
    session = SimpleNamespace(graph=SimpleNamespace(steps=steps), config=SimpleNamespace(number=lambda _: None), sleep=pytest.fail)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(executor, "execute_step", execute)
        return run_plan(cast(Session, session), plan, jobs=jobs), order


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    decisions: list[Decision] = []
    for number in range(draw(st.integers(1, 10))):
        earlier = [d.pair for d in decisions]
        reads = draw(st.lists(st.sampled_from(earlier), unique=True, max_size=3)) if earlier else []
        decisions.append(Decision(f"s{number}", "table", draw(st.sampled_from(DAYS)), "run", "not made yet", reads=tuple(reads)))
    return Plan("p", tuple(decisions))


@given(plans(), st.data(), st.sampled_from([1, 3]))
def test_each_pair_ends_with_one_receipt_and_a_failure_stops_what_reads_it_and_nothing_else(
    plan: Plan, data: st.DataObject, jobs: int
) -> None:
    pairs = [d.pair for d in plan.decisions]
    fails = data.draw(st.sets(st.sampled_from(pairs), max_size=3))
    outcome, order = carried_out(plan, fails, jobs=jobs)
    expected: dict[Pair, str] = {}
    for decision in plan.decisions:
        is_stopped = any(expected[r] != "made" for r in decision.reads)
        expected[decision.pair] = "blocked" if is_stopped else "failed" if decision.pair in fails else "made"
    assert [(r.step, r.interval) for r in outcome.receipts] == pairs
    assert {(r.step, r.interval): r.state for r in outcome.receipts} == expected
    assert set(outcome.errors) == {p for p, state in expected.items() if state == "failed"}
    assert len(order) == len(set(order))
    places = {pair: place for place, pair in enumerate(order)}
    assert all(places[r] < places[d.pair] for d in plan.decisions if d.pair in places for r in d.reads)


def trainings() -> Plan:
    decisions: list[Decision] = []
    for day in DAYS:
        decisions.append(Decision("model", "model", day, "run", "not made yet"))
        decisions.append(Decision("model.promotion", "promotion", day, "run", "not made yet", reads=(("model", day),)))
        decisions.append(Decision("found", "predictions", day, "run", "not made yet", reads=(("model.promotion", day),)))
    return Plan("p", (*decisions[6:], *decisions[:6]))


@pytest.mark.parametrize("jobs", [1, 3])
def test_promotions_are_judged_in_times_order_whatever_the_order_of_the_plan(jobs: int) -> None:
    _, order = carried_out(trainings(), set(), jobs=jobs, promotions={"model.promotion"})
    assert [i for step, i in order if step == "model.promotion"] == DAYS


@pytest.mark.parametrize("jobs", [1, 3])
@pytest.mark.parametrize("failing", ["model", "model.promotion"])
def test_a_training_that_fails_stops_no_later_promotion(failing: str, jobs: int) -> None:
    outcome, order = carried_out(trainings(), {(failing, DAYS[1])}, jobs=jobs, promotions={"model.promotion"})
    told = {(r.step, r.interval): r.state for r in outcome.receipts}
    assert told[failing, DAYS[1]] == "failed"
    assert told["found", DAYS[1]] == "blocked"
    assert [told["found", day] for day in (DAYS[0], *DAYS[2:])] == ["made"] * 3
    judged = [i for step, i in order if step == "model.promotion"]
    assert judged == (DAYS if failing == "model.promotion" else [DAYS[0], *DAYS[2:]])


@given(st.permutations(range(4)), st.sets(st.integers(0, 3)))
def test_promotions_keep_times_order_whichever_trainings_fail_first(order_of_days: list[int], failing: set[int]) -> None:
    by_day = [d for n in order_of_days for d in trainings().decisions if d.interval == DAYS[n]]
    plan = Plan("p", tuple(by_day))
    outcome, order = carried_out(plan, {("model", DAYS[n]) for n in failing}, jobs=1, promotions={"model.promotion"})
    assert [i for step, i in order if step == "model.promotion"] == [day for n, day in enumerate(DAYS) if n not in failing]
    assert len(outcome.receipts) == len(by_day)


# ---------------------------------------------------------------- real steps


def one_step(body: Callable[[], object], **options: Any) -> Lab:
    made = hr.Pipeline("made", start="2026-01-01")

    def rows_():
        return body()

    made.table(**options)(rows_)
    return Lab(made)


def test_independent_steps_run_at_the_same_time() -> None:
    both = threading.Barrier(2, timeout=20)
    pair = hr.Pipeline("pair", start="2026-01-01")

    @pair.table
    def one():
        both.wait()
        return [{"x": 1}]

    @pair.table
    def two():
        both.wait()
        return [{"x": 2}]

    assert states(ran(Lab(pair), "2026-01-01", jobs=2).receipts) == {"one": "made", "two": "made"}


def test_a_failing_step_blocks_its_readers_and_a_run_again_goes_on() -> None:
    is_broken = True
    steps = hr.Pipeline("steps", start="2026-01-01")

    @steps.table
    def first():
        return [{"x": 1}]

    @steps.table
    def broken(first):
        if is_broken:
            raise ValueError("no luck today")
        return "select * from first"

    @steps.table
    def after(broken):
        return "select * from broken"

    @steps.table
    def beside(first):
        return "select * from first"

    lab = Lab(steps)
    outcome = ran(lab, "2026-01-01").outcome
    assert states(outcome.receipts) == {"first": "made", "broken": "failed", "after": "blocked", "beside": "made"}
    told = {r.step: r for r in outcome.receipts}
    assert told["after"].why == "`broken` (2026-01-01) failed"
    assert "ValueError: no luck today" in str(told["broken"].error)
    (error,) = outcome.errors.values()
    assert isinstance(error, StepError)
    assert isinstance(error.__cause__, ValueError)
    is_broken = False
    assert states(ran(lab, "2026-01-01").outcome.receipts) == {"first": "cached", "broken": "made", "after": "made", "beside": "cached"}


def test_rows_that_do_not_bind_are_told_before_anything_runs() -> None:
    steps = hr.Pipeline("steps", start="2026-01-01")

    @steps.table
    def first():
        return [{"price": 1}]

    @steps.table
    def second(first):
        return "select prise from first"

    lab = Lab(steps)
    ran(lab, "2026-01-01", steps=["first"])
    with pytest.raises(HeadraceError, match="price"):
        lab.run("2026-01-01")


# ---------------------------------------------------------------- trying again


def with_pauses(lab: Lab) -> list[float]:
    pauses: list[float] = []
    lab.session = replace(lab.session, sleep=pauses.append)
    return pauses


def attempted(body: Callable[[], object], **options: Any) -> tuple[Receipt, list[float]]:
    lab = one_step(body, **options)
    pauses = with_pauses(lab)
    outcome = carry_out(lab.session, Request([lab.interval("2026-01-01")]), jobs=1).outcome
    return outcome.receipts[0], pauses


@pytest.mark.parametrize("error", [ConnectionError("reset"), TimeoutError("slow"), TransientError("busy"), LostRaceError("lost")])
def test_what_may_pass_is_tried_again_with_longer_pauses(error: Exception) -> None:
    left = [error, error]

    def body() -> object:
        if left:
            raise left.pop()
        return [{"x": 1}]

    receipt, pauses = attempted(body)
    assert (receipt.state, receipt.attempts) == ("made", 3)
    assert 0.25 <= pauses[0] <= 0.5 <= pauses[1] <= 1.0


def test_it_is_tried_no_more_often_than_was_declared() -> None:
    def body() -> object:
        raise ConnectionError("reset")

    receipt, pauses = attempted(body, retries=3)
    assert (receipt.state, receipt.attempts, len(pauses)) == ("failed", 4, 3)
    receipt, pauses = attempted(body, retries=0)
    assert (receipt.state, receipt.attempts, len(pauses)) == ("failed", 1, 0)


@pytest.mark.parametrize("error", [ValueError("wrong"), DataError("wrong"), OSError("disk"), MemoryError()])
def test_what_will_not_pass_is_not_tried_again(error: Exception) -> None:
    def body() -> object:
        raise error

    receipt, pauses = attempted(body)
    assert (receipt.state, receipt.attempts, pauses) == ("failed", 1, [])


def test_an_interrupt_ends_the_run_and_every_pair_is_told() -> None:
    steps = hr.Pipeline("steps", start="2026-01-01")

    @steps.table
    def first():
        return [{"x": 1}]

    @steps.table
    def second(first):
        raise KeyboardInterrupt

    @steps.table
    def third(second):
        return "select * from second"

    lab = Lab(steps)
    outcome = ran(lab, "2026-01-01").outcome
    assert outcome.is_interrupted
    assert outcome.failed
    assert states(outcome.receipts) == {"first": "made", "second": "skipped", "third": "skipped"}
    assert outcome.receipts[1].why == "interrupted before it was made"
    assert lab._lake.log("steps", "second").versions(None) == {}


# ---------------------------------------------------------------- two at once


def test_who_loses_to_equal_work_adopts_it_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = one_step(lambda: [{"x": 1}])
    rivals = [going_on(lab)]

    def make_after_the_rival(*args: Any, **options: Any) -> Made:
        if rivals:
            rivals.pop().run("2026-01-01")
        return make_table(*args, **options)

    monkeypatch.setattr(execute, "make_table", make_after_the_rival)
    receipt = lab.run("2026-01-01")[0]
    assert (receipt.state, receipt.why, receipt.version) == ("cached", "another run made it meanwhile", 1)
    assert lab.read("rows_") == [{"x": 1}]


# ---------------------------------------------------------------- experiments


def scaled() -> hr.Pipeline:
    steps = hr.Pipeline("steps", start="2026-01-01")

    @steps.table
    def base():
        return [{"x": 1}]

    @steps.table
    def scaled(base, by: int = 2):
        return "select x * $by as x from base"

    @steps.table
    def after(scaled):
        return "select x from scaled"

    return steps


def test_an_experiment_is_written_beside_and_changes_nothing_current() -> None:
    lab = Lab(scaled())
    lab.run("2026-01-01")
    tried = going_on(lab, settings={"scaled.by": 10})
    session = experiment_of(tried.session, frozenset({"scaled"}))
    outcome = carry_out(session, Request([lab.interval("2026-01-01")]), jobs=1).outcome
    assert states(outcome.receipts) == {"base": "cached", "scaled": "made", "after": "made"}
    assert (lab.read("after"), lab.read("after.experiment")) == ([{"x": 2}], [{"x": 10}])
    again = carry_out(session, Request([lab.interval("2026-01-01")]), jobs=1).outcome
    assert set(states(again.receipts).values()) == {"cached"}
    assert planned(lab, "2026-01-01").to_run == ()


def test_with_keep_it_becomes_current() -> None:
    lab = Lab(scaled())
    lab.run("2026-01-01")
    kept = going_on(lab, settings={"scaled.by": 10})
    assert states(kept.run("2026-01-01")) == {"base": "cached", "scaled": "made", "after": "made"}
    assert lab.read("after") == [{"x": 10}]


def test_only_names_steps_that_are_there() -> None:
    lab = Lab(scaled())
    assert chosen_steps(lab.session, ["scaled"]) == {"scaled"}
    assert chosen_steps(lab.session, []) is None
    with pytest.raises(UnknownNameError, match=r"--only scale: pipeline `steps` has no step of that name\. Did you mean `scaled`"):
        chosen_steps(lab.session, ["scale"])
