"""Of any plan: what runs comes after what it reads, each pair has one decision and a reason, and nothing changed means nothing runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from headrace.core.interval import Grid, parse_time
from headrace.core.plan import Seen, decide

DAYS = [Grid.parse("@daily").at(parse_time(f"2026-11-{day:02d}")) for day in range(1, 4)]


@st.composite
def looks(draw: st.DrawFn) -> list[Seen]:
    """Pairs that read only pairs before them, in any state."""
    found: list[Seen] = []
    for number in range(draw(st.integers(1, 12))):
        earlier = [s.pair for s in found]
        found.append(
            Seen(
                f"s{number}",
                "table",
                draw(st.sampled_from(DAYS)),
                is_target=draw(st.booleans()),
                is_forced=draw(st.booleans()),
                version=draw(st.none() | st.integers(1, 3)),
                changes=draw(st.sampled_from([(), ("it changed",)])),
                absent=draw(st.sampled_from([None, None, None, "too early"])),
                settled=draw(st.sampled_from([None, None, None, "gone"])),
                reads=tuple(draw(st.lists(st.sampled_from(earlier), unique=True, max_size=3))) if earlier else (),
            )
        )
    return found


@given(looks())
def test_a_pair_that_runs_comes_after_all_that_it_reads(look: Sequence[Seen]) -> None:
    places = {d.pair: place for place, d in enumerate(decide("p", look).decisions)}
    for decision in decide("p", look).decisions:
        assert all(places[read] < places[decision.pair] for read in decision.reads)


@given(looks())
def test_each_pair_has_exactly_one_decision_with_a_reason(look: Sequence[Seen]) -> None:
    decisions = decide("p", [*look, *look]).decisions
    assert [d.pair for d in decisions] == [s.pair for s in look]
    assert all(d.reason for d in decisions)


@given(looks())
def test_nothing_runs_on_what_is_not_there(look: Sequence[Seen]) -> None:
    decided = {d.pair: d for d in decide("p", look).decisions}
    for decision in decided.values():
        if decision.action == "run":
            assert all(decided[read].action != "wait" for read in decision.reads)


@given(looks())
def test_a_plan_after_a_run_of_the_plan_is_empty(look: Sequence[Seen]) -> None:
    ran = {d.pair for d in decide("p", look).to_run}
    after = [replace(s, version=2, changes=(), is_forced=False) if s.pair in ran else replace(s, is_forced=False) for s in look]
    assert decide("p", after).to_run == ()


@given(looks())
def test_nothing_changed_means_nothing_runs(look: Sequence[Seen]) -> None:
    made = [replace(s, version=1, changes=(), is_forced=False) for s in look]
    assert decide("p", made).to_run == ()


@given(looks())
def test_a_change_runs_its_target_and_every_target_that_reads_from_it(look: Sequence[Seen]) -> None:
    made = [replace(s, version=1, changes=(), is_forced=False, is_target=True, absent=None, settled=None) for s in look]
    plan = decide("p", [replace(made[0], changes=("it changed",)), *made[1:]])
    reached = {made[0].pair}
    for one in made[1:]:
        if reached & set(one.reads):
            reached.add(one.pair)
    assert {d.pair for d in plan.to_run} == reached
