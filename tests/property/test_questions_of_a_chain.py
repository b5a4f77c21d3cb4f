"""Which question is open, in any order of challengers and decisions: pure, over decisions as the chain would hold them."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from headrace.core.interval import Interval
from headrace.lake.chain import Decision
from headrace.steps.questions import is_waiting, open_question, question

DAYS = 5

days = st.integers(1, DAYS)
actions = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["asks", "fails", "run promotes"]), days),
        st.tuples(st.sampled_from(["yes", "no", "rollback", "hold", "release"]), st.just(1)),
        st.tuples(st.just("another by hand"), days),
    ),
    max_size=30,
)


def day(number: int) -> Interval:
    return Interval.of(f"2026-11-{number:02d}", f"2026-11-{number + 1:02d}")


def played(actions) -> list[Decision]:
    """A chain, oldest first. A run asks only when no challenger of a later interval waits, as the registry does."""
    chain: list[Decision] = []
    for place, (what, about) in enumerate(actions):
        found = open_question(reversed(chain))
        decision = Decision("reject", day(about), 1, f"model {place}", "run", "")
        if what == "asks":
            is_first = found is None or found.asked.model.start <= decision.model.start
            decision = replace(decision, verdict={"pending": is_first})
        elif what == "run promotes":
            decision = replace(decision, kind="promote")
        elif what in ("yes", "no"):
            if found is None:
                continue
            decision = replace(found.asked, kind="promote" if what == "yes" else "reject", by_hand=True, verdict={}, who="ann")
        elif what != "fails":
            decision = replace(decision, kind="promote" if what == "another by hand" else what, by_hand=True, who="ann")
        chain.append(replace(decision, number=len(chain) + 1))
    return chain


def is_settling(decision: Decision) -> bool:
    return decision.by_hand or decision.kind != "reject"


@given(actions)
def test_a_question_is_open_exactly_when_it_is_the_one_that_waits(actions):
    chain = played(actions)
    found = open_question(reversed(chain))

    for decision in chain:
        asked = question(reversed(chain), decision.number)
        assert (asked is not None) == is_waiting(decision)
        if asked:
            assert asked.is_open == (found is not None and found.number == decision.number) == (asked.closed == "")


@given(actions)
def test_nothing_is_decided_by_a_person_after_an_open_question(actions):
    chain = played(actions)
    found = open_question(reversed(chain))

    if found:
        assert not any(is_settling(later) or is_waiting(later) for later in chain[found.number :])


@given(actions)
def test_the_open_question_is_about_the_latest_interval_that_was_asked_about_since(actions):
    chain = played(actions)
    found = open_question(reversed(chain))

    if found:
        settled = max((decision.number for decision in chain if is_settling(decision)), default=0)
        judged_again = {d.model for d in chain[found.number :]}
        asked = [d.model.start for d in chain[settled:] if is_waiting(d) and d.model not in judged_again]
        assert found.asked.model.start == max(asked)


@given(actions)
def test_a_closed_question_never_opens_again_and_its_closer_never_changes(actions):
    chain = played(actions)

    for decision in chain:
        closers = [question(reversed(chain[:length]), decision.number) for length in range(decision.number, len(chain) + 1)]
        told = [asked.closer.number for asked in closers if asked and asked.closer]
        assert len(set(told)) <= 1
        assert [bool(asked and asked.closer) for asked in closers] == sorted(bool(asked and asked.closer) for asked in closers)


@given(actions)
def test_each_question_has_at_most_one_answer(actions):
    chain = played(actions)
    answers = [asked.answer.number for d in chain if (asked := question(reversed(chain), d.number)) and asked.answer]

    assert len(answers) == len(set(answers))
    assert all(chain[number - 1].by_hand for number in answers)
