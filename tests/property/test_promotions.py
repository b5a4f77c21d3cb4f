"""Who is champion, in any order of judgements, backfills and decisions by hand: pure, over decisions as the chain would hold them."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from headrace.core.interval import Interval
from headrace.lake.chain import Decision
from headrace.steps.champions import champion_as_of

DAYS = 9


def day(number: int) -> Interval:
    return Interval.of(f"2026-11-{number:02d}", f"2026-11-{number + 1:02d}")


class Chain:
    """A chain as the lake keeps it, in a list."""

    def __init__(self) -> None:
        self.entries: list[Decision] = []

    def add(self, decision: Decision) -> None:
        head = self.entries[-1] if self.entries else None
        before = head.serving if head else None
        number = len(self.entries) + 1
        held = {"rollback": True, "hold": True, "release": False}.get(decision.kind, bool(head and head.is_held))
        serving = number if decision.kind in ("promote", "rollback") else before
        self.entries.append(replace(decision, number=number, serving=serving, previous=before, is_held=held))

    @property
    def serving(self) -> Decision | None:
        number = self.entries[-1].serving if self.entries else None
        return self.entries[number - 1] if number else None

    @property
    def is_held(self) -> bool:
        return bool(self.entries and self.entries[-1].is_held)

    def run(self, number: int, *, passes: bool) -> None:
        """What a run does with the model of a day."""
        kind, verdict = "promote", {}
        is_later = self.serving is not None and self.serving.model.start > day(number).start
        if not passes or self.is_held:
            kind = "reject"
        elif is_later:
            kind, verdict = "reject", {"late": True}
        self.add(Decision(kind, day(number), 1, f"{number}", "run", "", verdict))

    def person(self, kind: str) -> None:
        serving = self.serving
        if serving is None:
            return
        if kind == "rollback":
            crowned = (entry for entry in reversed(self.entries) if entry.kind in ("promote", "rollback"))
            target = next((entry for entry in crowned if entry.model.start < serving.model.start), None)
            if target is None:
                return
            serving = target
        self.add(Decision(kind, serving.model, 1, serving.digest, "ann", "", by_hand=True))

    def as_of(self, number: int) -> int | None:
        found = champion_as_of(reversed(self.entries), day(number).end)
        return found.model.start.day if found else None


passing = st.sets(st.integers(1, DAYS))
orders = st.permutations(range(1, DAYS + 1))
actions = st.lists(
    st.one_of(st.tuples(st.just("run"), st.integers(1, DAYS), st.booleans()), st.sampled_from(["rollback", "hold", "release"])), max_size=25
)


@given(passing, orders)
def test_the_order_of_a_backfill_never_changes_who_is_champion_of_a_time(passed, order):
    chain = Chain()
    for number in order:
        chain.run(number, passes=number in passed)

    for number in range(1, DAYS + 1):
        assert chain.as_of(number) == max((n for n in passed if n <= number), default=None)


def played(actions) -> Chain:
    chain = Chain()
    judged = set()
    for action in actions:
        if isinstance(action, str):
            chain.person(action)
        elif action[1] not in judged:
            judged.add(action[1])
            chain.run(action[1], passes=action[2])
    return chain


@given(actions)
def test_no_model_of_a_later_interval_is_ever_champion_of_a_time(actions):
    chain = played(actions)

    for number in range(1, DAYS + 1):
        assert (chain.as_of(number) or 0) <= number


@given(actions)
def test_at_the_end_of_time_the_champion_is_who_serves(actions):
    chain = played(actions)

    assert chain.as_of(DAYS) == (chain.serving.model.start.day if chain.serving else None)


@given(actions, st.lists(st.tuples(st.integers(1, DAYS), st.booleans()), max_size=9))
def test_while_a_person_holds_runs_change_nobodys_champion(actions, runs):
    chain = played(actions)
    chain.person("hold")
    before = [chain.as_of(number) for number in range(1, DAYS + 1)]
    if chain.is_held:
        for number, passes in runs:
            chain.run(number, passes=passes)

        assert [chain.as_of(number) for number in range(1, DAYS + 1)] == before


@given(actions)
def test_a_rollback_stands_for_all_times_since_its_models(actions):
    chain = played(actions)
    chain.person("rollback")
    head = chain.entries[-1] if chain.entries else None
    if head and head.kind == "rollback":
        assert {chain.as_of(number) for number in range(head.model.start.day, DAYS + 1)} == {head.model.start.day}
