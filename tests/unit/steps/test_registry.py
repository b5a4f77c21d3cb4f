"""The registry over a real lake in memory, with a backend whose models are one number each: the metric it has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from model_world import World, day

from headrace.core.errors import DamageError, LostRaceError, ModelError, StepError, UnknownNameError
from headrace.core.gate import at_least, no_worse
from headrace.lake.chain import Chain
from headrace.steps.champions import open_champion
from headrace.steps.overrides import hold, promote_by_hand, release, rollback
from headrace.steps.registry import Challenge, promote

ANN = {"who": "ann", "why": "it is better"}


@pytest.fixture
def world() -> World:
    return World()


def test_the_first_model_that_passes_becomes_champion(world):
    decision = world.judge(1, 0.9)

    assert (decision.kind, decision.number, decision.who) == ("promote", 1, "run")
    assert decision.verdict["text"] == "r2 0.9 >= 0.5"
    assert open_champion(world.lake, "shop", "price", decision, world.backend).value == 0.9


def test_a_failed_gate_is_a_verdict_and_the_champion_stays(world):
    world.judge(1, 0.9)
    decision = world.judge(2, 0.3)

    assert (decision.kind, decision.why) == ("reject", "failed: r2 0.3 < 0.5")
    assert world.serving() == day(1)


def test_the_champion_is_measured_on_the_challengers_rows(world):
    world.step = replace(world.step, gates=(no_worse("r2"),))
    world.judge(1, 0.9)
    decision = world.judge(2, 0.8, test=0.2)

    assert decision.kind == "promote"
    assert decision.verdict["champion"]["metrics"]["r2"] == pytest.approx(0.7)
    assert decision.verdict["text"] == "r2 0.8 is no worse than the champion's 0.7"


def test_a_model_worse_than_the_champion_is_rejected(world):
    world.step = replace(world.step, gates=(no_worse("r2"),))
    world.judge(1, 0.9)

    assert world.judge(2, 0.8).why == "failed: r2 0.8 is worse than the champion's 0.9"


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({"features": ["a", "b"]}, "its features was a, and is a, b now"),
        ({"target": "z"}, "its target was y, and is z now"),
        ({"split": "by_key id test=0.3"}, "its split was none, and is by_key id test=0.3 now"),
    ],
)
def test_a_champion_that_is_not_comparable_is_said_to_be_so(world, about, said):
    world.step = replace(world.step, gates=(no_worse("r2"),))
    world.judge(1, 0.9)
    decision = world.judge(2, 0.6, **about)

    assert decision.kind == "promote"
    assert decision.verdict["champion"]["metrics"] is None
    assert decision.verdict["champion"]["not_comparable"] == said


def test_under_cross_validation_both_are_measured_on_the_same_rows(world):
    world.step = replace(world.step, spec=replace(world.step.spec, cv=3), gates=(no_worse("r2"),))
    world.judge(1, 0.9)
    decision = world.judge(2, 0.95, test=0.5)

    assert decision.verdict["text"] == "r2 0.45 is no worse than the champion's 0.4"


def test_a_model_is_decided_about_once(world):
    manifest = world.train(1, 0.9)
    challenge = Challenge(world.step, manifest, {"rows": [Path("0")]})

    first = promote(world.lake, challenge, world.backend, who="run")
    assert promote(world.lake, challenge, world.backend, who="another run") == first
    assert len(world.chain.entries()) == 1


def test_a_model_that_other_gates_rejected_is_judged_again(world):
    world.step = replace(world.step, gates=(at_least("r2", 0.9),))
    model = world.train(1, 0.6)
    challenge = Challenge(world.step, model, {"rows": [Path("0")]})
    first = promote(world.lake, challenge, world.backend, who="run")
    assert (first.kind, first.verdict["gates"]) == ("reject", [["at_least", "r2", 0.9]])
    assert promote(world.lake, challenge, world.backend, who="run") == first
    mended = replace(challenge, step=replace(world.step, gates=(at_least("r2", 0.5),)))
    second = promote(world.lake, mended, world.backend, who="run")
    assert (second.kind, second.number) == ("promote", 2)
    assert promote(world.lake, challenge, world.backend, who="run") == second


def test_a_mended_gate_changes_nothing_for_what_a_person_decided_or_was_late(world):
    challenge = Challenge(replace(world.step, gates=(at_least("r2", 0.9),)), world.train(1, 0.6), {"rows": [Path("0")]})
    promote(world.lake, challenge, world.backend, who="run")
    by_hand = promote_by_hand(world.lake, "shop", "price", day(1), **ANN)
    mended = replace(challenge, step=world.step)
    assert promote(world.lake, mended, world.backend, who="run") == by_hand
    world.judge(5, 0.7)
    late = world.judge(3, 0.6)
    world.step = replace(world.step, gates=(at_least("r2", 0.1),))
    again = Challenge(world.step, world.lake.log("shop", "price").current(day(3)), {"rows": [Path("0")]})
    assert late.verdict["late"] is True
    assert promote(world.lake, again, world.backend, who="run") == late


def test_an_earlier_model_never_displaces_a_later_one_and_stands_in_its_own_time(world):
    world.judge(1, 0.9)
    world.judge(5, 0.8)
    decision = world.judge(3, 0.99)

    assert decision.kind == "reject"
    assert decision.why == "r2 0.99 >= 0.5, but the champion is of a later interval, [2026-11-05, 2026-11-06)"
    assert world.serving() == day(5)
    assert [world.as_of(number) for number in (1, 2, 3, 4, 5, 6)] == [day(1), day(1), day(3), day(3), day(5), day(5)]


def test_a_late_model_is_compared_with_the_champion_of_its_own_time(world):
    world.step = replace(world.step, gates=(no_worse("r2"),))
    world.judge(1, 0.6)
    world.judge(5, 0.9)

    assert world.judge(3, 0.7).verdict["champion"]["interval"] == str(day(1))
    assert world.as_of(4) == day(3)


def test_a_late_model_serves_from_the_files_of_its_training(world):
    world.judge(5, 0.9)
    decision = world.judge(3, 0.7)

    assert open_champion(world.lake, "shop", "price", decision, world.backend).value == 0.7


def test_nobody_is_champion_before_the_first_model_ended(world):
    world.judge(5, 0.9)

    assert world.as_of(4) is None


def test_approval_waits_for_a_person(world):
    world.step = replace(world.step, needs_approval=True)
    decision = world.judge(1, 0.9)

    assert decision.kind == "reject"
    assert decision.why.startswith("waits for a person: headrace approve FILE price --why")
    assert decision.verdict["pending"] is True

    by_hand = promote_by_hand(world.lake, "shop", "price", day(1), **ANN)
    assert (by_hand.kind, by_hand.by_hand, by_hand.who, by_hand.why) == ("promote", True, "ann", "it is better")
    assert "pending" not in by_hand.verdict


def test_cluster_numbers_are_carried_in_the_decision(world):
    world.judge(1, 0.9, task="clustering")

    assert world.judge(2, 0.9, task="clustering").verdict["relabel"] == {"0": 2, "1": 0}


def test_equal_models_of_two_days_are_not_measured_again(world):
    first = world.train(1, 0.9)
    world.step = replace(world.step, gates=(no_worse("r2"),))
    promote(world.lake, Challenge(world.step, first, {"rows": [Path("0")]}), world.backend, who="run")
    log = world.lake.log("shop", "price")
    attempt = log.attempt(day(2))
    attempt.copy(first.content.part("model").files[0], "model", layer="models")
    same = attempt.commit(replace(first.content, parts=(attempt.part("model", "models"),)))

    decision = promote(world.lake, Challenge(world.step, same, {"rows": [Path("not a number")]}), world.backend, who="run")

    assert decision.kind == "promote"
    assert decision.model == day(2)


def test_a_rollback_stands_until_it_is_released(world):
    world.judge(1, 0.8)
    world.judge(2, 0.9)

    back = rollback(world.lake, "shop", "price", **ANN)
    assert (back.kind, back.model, world.serving()) == ("rollback", day(1), day(1))
    assert world.judge(3, 0.99).why == "r2 0.99 >= 0.5, but a person's rollback stands: release it first (headrace release)"
    assert world.as_of(4) == day(1)

    release(world.lake, "shop", "price", **ANN)
    assert world.judge(4, 0.9).kind == "promote"
    assert world.serving() == day(4)
    assert world.as_of(3) == day(1)


def test_a_hold_keeps_the_champion(world):
    world.judge(1, 0.8)
    hold(world.lake, "shop", "price", **ANN)

    assert world.judge(2, 0.9).kind == "reject"
    assert world.serving() == day(1)


def test_a_second_rollback_goes_further_back(world):
    for number in (1, 2, 3):
        world.judge(number, 0.9)

    assert rollback(world.lake, "shop", "price", **ANN).model == day(2)
    assert rollback(world.lake, "shop", "price", **ANN).model == day(1)
    with pytest.raises(ModelError, match="has had no champion before"):
        rollback(world.lake, "shop", "price", **ANN)


def test_a_rollback_to_a_numbered_decision(world):
    for number in (1, 2, 3):
        world.judge(number, 0.9)

    assert rollback(world.lake, "shop", "price", to=1, **ANN).model == day(1)


def test_a_rollback_takes_the_trained_files_when_the_champions_copy_was_collected(world):
    first = world.judge(1, 0.8)
    world.judge(2, 0.9)
    world.lake.store.delete(first.files[0].key)

    back = rollback(world.lake, "shop", "price", **ANN)

    assert open_champion(world.lake, "shop", "price", back, world.backend).value == 0.8


def test_a_rollback_to_files_that_are_gone_is_refused(world):
    first = world.judge(1, 0.8)
    world.judge(2, 0.9)
    world.lake.store.delete(first.files[0].key)
    world.lake.store.delete(world.lake.log("shop", "price").current(day(1)).content.part("model").files[0].key)

    with pytest.raises(ModelError, match=r"The files of decision 1 .* were collected"):
        rollback(world.lake, "shop", "price", **ANN)


@pytest.mark.parametrize(
    ("act", "error", "said"),
    [
        (lambda lake: rollback(lake, "shop", "price", **ANN), ModelError, "has had no champion before"),
        (lambda lake: rollback(lake, "shop", "price", to=1, **ANN), ModelError, "is of the model that serves now"),
        (lambda lake: rollback(lake, "shop", "price", to=9, **ANN), UnknownNameError, "Decision 9 .* made no champion; those that did: 1"),
        (lambda lake: release(lake, "shop", "price", **ANN), ModelError, "is not held, so there is nothing to release"),
        (lambda lake: promote_by_hand(lake, "shop", "price", day(1), **ANN), ModelError, "is the champion already"),
        (
            lambda lake: promote_by_hand(lake, "shop", "price", day(9), **ANN),
            ModelError,
            "There is no model `shop.price` of .*headrace run FILE --at 2026-11-09",
        ),
        (lambda lake: hold(lake, "shop", "price", who="ann", why=" "), ModelError, "says who decides and why; got who='ann', why=' '"),
        (lambda lake: hold(lake, "shop", "other", **ANN), ModelError, "has no champion yet, so there is nothing to hold"),
    ],
)
def test_a_decision_that_would_change_nothing_is_refused(world, act, error, said):
    world.judge(1, 0.9)
    with pytest.raises(error, match=said):
        act(world.lake)
    assert len(world.chain.entries()) == 1


def test_a_gate_that_raises_names_itself_and_what_it_was_given(world):
    def twice_as_good(metrics, champion):
        return metrics["r2"] > 2 * champion["r2"]

    world.step = replace(world.step, gates=(twice_as_good,))
    with pytest.raises(StepError, match=r"The gate `twice_as_good` of `price` raised TypeError: .*the metrics r2 and no champion \(None\)"):
        world.judge(1, 0.9)


def test_a_second_hold_is_refused(world):
    world.judge(1, 0.9)
    hold(world.lake, "shop", "price", **ANN)
    with pytest.raises(ModelError, match="is held already"):
        hold(world.lake, "shop", "price", **ANN)


def test_a_model_whose_bytes_changed_is_not_loaded(world):
    decision = world.judge(1, 0.9)
    world.lake.store.path(decision.files[0].key).write_text('{"value": 1.0}')

    with pytest.raises(DamageError, match="is not what its entry says"):
        open_champion(world.lake, "shop", "price", decision, world.backend)


def test_a_lost_race_is_judged_again_against_the_new_head(world, monkeypatch):
    world.step = replace(world.step, gates=(no_worse("r2"),))
    world.judge(1, 0.6)
    manifest, real, raced = world.train(3, 0.8), Chain.append, []

    def append(chain, decision, *, after, files=()):
        if not raced:
            raced.append(decision)
            world.judge(2, 0.9)
        return real(chain, decision, after=after, files=files)

    monkeypatch.setattr(Chain, "append", append)
    decision = promote(world.lake, Challenge(world.step, manifest, {"rows": [Path("0")]}), world.backend, who="run")

    assert raced[0].kind == "promote"
    assert decision.why == "failed: r2 0.8 is worse than the champion's 0.9"
    assert [entry.number for entry in world.chain.entries()] == [1, 2, 3]


def test_races_that_are_lost_again_and_again_end(world, monkeypatch):
    monkeypatch.setattr(Chain, "append", lambda chain, decision, **rest: None)
    with pytest.raises(LostRaceError, match=r"Decided about `shop\.price` 5 times"):
        world.judge(1, 0.9)
