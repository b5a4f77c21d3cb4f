"""The question that a challenger puts to a person, over a real lake in memory: what is open, who answers, and what closes it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from model_world import World, day

from headrace.core.errors import ClosedQuestionError, ModelError, UnknownNameError
from headrace.lake.chain import Chain
from headrace.steps.champions import Past
from headrace.steps.overrides import answer, hold, promote_by_hand, release, rollback
from headrace.steps.questions import open_question, question

ANN = {"who": "ann", "why": "looks right"}
BOB = {"who": "bob", "why": "too early"}


@pytest.fixture
def world() -> World:
    world = World()
    world.step = replace(world.step, needs_approval=True)
    return world


def approve(world: World, number: int | None = None, **told: str):
    return answer(world.lake, "shop", "price", "promote", number=number, **(told or ANN))


def reject(world: World, number: int | None = None, **told: str):
    return answer(world.lake, "shop", "price", "reject", number=number, **(told or ANN))


def waiting(world: World) -> int | None:
    found = open_question(Past(world.chain))
    return found.number if found else None


def closed(world: World, number: int) -> str:
    found = question(Past(world.chain), number)
    assert found is not None
    return found.closed


def test_a_person_says_yes_and_the_challenger_serves(world):
    asked = world.judge(1, 0.9)
    decision = approve(world)

    assert (decision.kind, decision.number, decision.by_hand, decision.who, decision.why) == ("promote", 2, True, "ann", "looks right")
    assert decision.verdict["metrics"] == asked.verdict["metrics"]
    assert "pending" not in decision.verdict
    assert (world.serving(), waiting(world)) == (day(1), None)


def test_a_person_says_no_and_the_champion_stays(world):
    world.judge(1, 0.9)
    approve(world)
    world.judge(2, 0.95)
    decision = reject(world, **BOB)

    assert (decision.kind, decision.by_hand, decision.who) == ("reject", True, "bob")
    assert (world.serving(), waiting(world)) == (day(1), None)


def test_a_rejected_model_is_not_asked_about_again_and_can_be_promoted_by_hand(world):
    world.judge(1, 0.9)
    rejected = reject(world)

    assert world.judge(1, 0.9) == rejected
    assert waiting(world) is None
    assert promote_by_hand(world.lake, "shop", "price", day(1), **ANN).kind == "promote"


def test_a_newer_challenger_supersedes_the_question(world):
    world.judge(1, 0.9)
    world.judge(2, 0.95)

    assert waiting(world) == 2
    assert closed(world, 1) == "the newer challenger of 2026-11-02 v1 superseded it (decision 2)"
    with pytest.raises(ClosedQuestionError, match=r"decision 1 is closed: the newer challenger of 2026-11-02 v1 superseded it"):
        approve(world, 1)
    assert world.serving() is None
    assert approve(world, 2).model == day(2)


def test_a_challenger_that_fails_its_gate_leaves_the_older_question_open(world):
    world.judge(1, 0.9)
    world.judge(2, 0.1)

    assert waiting(world) == 1


def test_the_same_intervals_model_judged_again_closes_the_question(world):
    world.judge(1, 0.9)
    world.judge(1, 0.1)

    assert waiting(world) is None
    assert closed(world, 1).startswith("the model of 2026-11-01 was judged again (decision 2): failed")


def test_a_backfill_asks_nothing_about_the_past_while_a_later_challenger_waits(world):
    world.judge(3, 0.9)
    past = world.judge(1, 0.95)

    assert past.why == "r2 0.95 >= 0.5, but the challenger of a later interval, [2026-11-03, 2026-11-04), waits for a person"
    assert waiting(world) == 1


def test_a_backfill_promotes_nothing_in_its_own_time_without_a_person(world):
    world.judge(3, 0.9)
    approve(world)
    past = world.judge(1, 0.95)

    assert "the champion is of a later interval" in past.why
    assert (waiting(world), world.as_of(1), world.as_of(3)) == (None, None, day(3))


def test_the_same_answer_again_is_the_decision_that_stands(world):
    world.judge(1, 0.9)

    assert approve(world, 1) == approve(world, 1)
    assert world.chain.head().number == 2


@pytest.mark.parametrize("again", [approve, reject])
def test_the_second_of_two_persons_is_told_of_the_first(world, again):
    world.judge(1, 0.9)
    approve(world, 1)

    with pytest.raises(ClosedQuestionError, match=r"it was answered: ann decided to promote it \(decision 2\): looks right"):
        again(world, 1, **BOB)


def test_of_two_answers_at_once_one_counts(world, monkeypatch):
    world.judge(1, 0.9)
    append = Chain.append
    first = []

    def late(chain, decision, **options):
        if not first:
            first.append(None)
            reject(world, 1, **BOB)
        return append(chain, decision, **options)

    monkeypatch.setattr(Chain, "append", late)
    with pytest.raises(ClosedQuestionError, match="bob decided to reject it"):
        approve(world, 1)
    assert [entry.kind for entry in world.chain.entries()] == ["reject", "reject"]
    assert world.serving() is None


def test_a_challenger_that_comes_while_a_person_answers_supersedes_the_answer(world, monkeypatch):
    world.judge(1, 0.9)
    append = Chain.append
    first = []

    def late(chain, decision, **options):
        if not first:
            first.append(None)
            world.judge(2, 0.95)
        return append(chain, decision, **options)

    monkeypatch.setattr(Chain, "append", late)
    with pytest.raises(ClosedQuestionError, match="superseded"):
        approve(world, 1)
    assert (world.serving(), waiting(world)) == (None, 2)


def test_a_hold_makes_the_question_moot_and_asks_nothing_until_it_is_released(world):
    world.judge(1, 0.9)
    approve(world)
    asked = world.judge(2, 0.9)
    hold(world.lake, "shop", "price", **BOB)

    assert closed(world, asked.number) == "bob decided to hold 2026-11-01 v1 meanwhile (decision 4): too early"
    with pytest.raises(ClosedQuestionError, match="bob decided to hold"):
        approve(world, asked.number)
    assert "a person's hold stands" in world.judge(3, 0.9).why
    assert waiting(world) is None

    release(world.lake, "shop", "price", **BOB)
    assert world.judge(4, 0.9).number == waiting(world)


def test_a_rollback_makes_the_question_moot(world):
    for number in (1, 2):
        world.judge(number, 0.9)
        approve(world)
    asked = world.judge(3, 0.9)
    rollback(world.lake, "shop", "price", **BOB)

    assert "bob decided to rollback 2026-11-01 v1 meanwhile" in closed(world, asked.number)
    assert waiting(world) is None


def test_another_model_promoted_by_hand_makes_the_question_moot(world):
    world.judge(1, 0.9)
    reject(world)
    asked = world.judge(2, 0.9)
    promote_by_hand(world.lake, "shop", "price", day(1), **ANN)

    assert not question(Past(world.chain), asked.number).is_open


def test_an_answer_without_a_question_says_what_to_look_at(world):
    with pytest.raises(
        ClosedQuestionError, match=r"No challenger of `shop.price` waits for a person. What waits now: headrace pending FILE"
    ):
        approve(world)
    world.judge(1, 0.1)
    with pytest.raises(UnknownNameError, match=r"Decision 1 about `shop.price` left no challenger waiting"):
        approve(world, 1)


def test_an_answer_says_who_and_why(world):
    world.judge(1, 0.9)

    with pytest.raises(ModelError, match="says who decides and why"):
        approve(world, who="ann", why=" ")


def test_a_gate_that_was_changed_asks_anew(world):
    from headrace.core.gate import at_least

    world.judge(1, 0.9)
    world.step = replace(world.step, gates=(at_least("r2", 0.8),))
    again = world.judge(1, 0.9)

    assert (again.number, waiting(world)) == (2, 2)
    assert "superseded" in closed(world, 1)
