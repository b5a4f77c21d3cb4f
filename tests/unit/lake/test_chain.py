"""Chains of decisions: order, holds, rollbacks, champions as of a time."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from headrace.backends.stores.memory import MemoryStore
from headrace.core.errors import DamageError, NewerFormatError, TransientError
from headrace.core.interval import Interval, parse_time
from headrace.core.manifest import FileEntry, Manifest
from headrace.lake.chain import Chain, Decision, DecisionKind
from headrace.lake.files import VanishedError
from headrace.lake.lake import Lake

DAYS = [Interval.of(f"2026-11-{day:02d}", f"2026-11-{day + 1:02d}") for day in range(1, 9)]


@pytest.fixture
def chain(lake: Lake) -> Chain:
    return lake.chain("shop", "groups")


@pytest.fixture
def decide(chain: Chain, lake: Lake, make: Callable[..., Manifest]) -> Callable[..., Decision | None]:
    def decide(kind: DecisionKind, day: int = 0, *, by_hand: bool = False, after: Decision | str | None = "head") -> Decision | None:
        crowning = kind in ("promote", "rollback")
        log = lake.log("shop", "groups")
        model = log.current(DAYS[day]) or make(log, DAYS[day], f"model of day {day}", "models")
        decision = Decision(kind, DAYS[day], model.version, model.content.digest, who="ada", why="so", verdict={"r2": 0.5}, by_hand=by_hand)
        before = chain.head() if after == "head" else after
        return chain.append(decision, after=before, files=model.content.parts[0].files if crowning else ())

    return decide


def test_an_empty_chain_has_no_head_and_no_champion(chain: Chain) -> None:
    assert chain.head() is None
    assert chain.champion() is None
    assert chain.champion_as_of(DAYS[-1].end) is None
    assert chain.entries() == []


def test_a_promotion_copies_the_model_and_is_read_back(chain: Chain, decide, store: MemoryStore) -> None:
    made = decide("promote")
    assert chain.head() == made
    assert (made.number, made.serving, made.previous, made.is_held) == (1, 1, None, False)
    assert made.champion.startswith("champions/shop/groups/00000001-")
    assert store.get(made.files[0].key) == b"model of day 0"
    assert Decision.from_json(made.to_json(), 1) == made


def test_a_rejection_changes_nothing_but_the_number(chain: Chain, decide) -> None:
    decide("promote", 0)
    rejected = decide("reject", 1)
    assert (rejected.number, rejected.serving, rejected.previous, rejected.champion) == (2, 1, 1, None)
    assert chain.champion().number == 1


def test_of_two_decisions_judged_against_the_same_head_the_second_is_refused_and_leaves_nothing(
    chain: Chain, decide, store: MemoryStore
) -> None:
    first = decide("promote", 0)
    assert decide("promote", 1, after=first)
    assert decide("promote", 2, after=first) is None
    assert len(list(store.keys("champions/"))) == 2
    assert [entry.number for entry in chain.entries()] == [1, 2]


def test_a_run_never_promotes_over_a_later_model(chain: Chain, decide) -> None:
    decide("promote", 3)
    assert chain.objection(DAYS[1], after=chain.head()) == "the champion is of a later interval, [2026-11-04, 2026-11-05)"
    assert chain.objection(DAYS[3], after=chain.head()) is None
    with pytest.raises(ValueError, match=r"a run can't promote the model of"):
        decide("promote", 1)
    assert decide("promote", 1, by_hand=True).serving == 2


def test_after_a_hold_or_rollback_runs_only_challenge_until_a_release(chain: Chain, decide) -> None:
    decide("promote", 0)
    decide("promote", 1)
    rolled_back = decide("rollback", 0, by_hand=True)
    assert (rolled_back.serving, rolled_back.previous, rolled_back.is_held) == (3, 2, True)
    decide("reject", 2)
    assert chain.objection(DAYS[3], after=chain.head()) == "a person's rollback stands: release it first (headrace release)"
    with pytest.raises(ValueError, match=r"a person's rollback stands"):
        decide("promote", 3)
    decide("release", 3, by_hand=True)
    assert decide("promote", 3).serving == 6
    decide("hold", 3, by_hand=True)
    assert chain.objection(DAYS[4], after=chain.head()) == "a person's hold stands: release it first (headrace release)"


def test_only_a_person_rolls_back_holds_or_releases(decide) -> None:
    for kind in ("rollback", "hold", "release"):
        with pytest.raises(ValueError, match=f"only a person can {kind}"):
            decide(kind)


def test_a_decision_without_its_files_is_refused(chain: Chain) -> None:
    with pytest.raises(ValueError, match=r"comes with the files of the model"):
        chain.append(Decision("promote", DAYS[0], 1, "d", "run", "so"), after=None)
    with pytest.raises(ValueError, match=r"comes without files"):
        chain.append(Decision("reject", DAYS[0], 1, "d", "run", "so"), after=None, files=[FileEntry("a/b", "", 0)])
    with pytest.raises(ValueError, match=r"the kinds are promote"):
        chain.append(Decision("crown", DAYS[0], 1, "d", "run", "so"), after=None)  # type: ignore[arg-type]


def test_the_champion_as_of_a_time_had_ended_by_then(chain: Chain, decide) -> None:
    decide("promote", 0)
    decide("promote", 2)
    decide("reject", 3)
    decide("promote", 4)
    assert chain.champion_as_of(DAYS[0].start) is None
    assert [chain.champion_as_of(DAYS[day].end).model for day in range(6)] == [DAYS[n] for n in (0, 0, 2, 2, 4, 4)]
    decide("rollback", 2, by_hand=True)
    assert chain.champion_as_of(DAYS[5].end).model == DAYS[2]
    assert chain.champion_as_of(parse_time("2026-11-02T12")).model == DAYS[0]


def test_a_model_that_was_collected_meanwhile_is_said(chain: Chain, store: MemoryStore) -> None:
    with pytest.raises(VanishedError, match=r"was to become a champion of shop.groups"):
        chain.append(Decision("promote", DAYS[0], 1, "d", "run", "so"), after=None, files=[FileEntry("models/gone", "", 0)])
    assert chain.head() is None


def test_an_unanswered_decision_leaves_its_files(chain: Chain, decide, store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def create(key: str, data: bytes) -> bool:
        raise TransientError("no answer")

    decide("promote", 0)
    head, files = chain.head(), chain.head().files
    monkeypatch.setattr(store, "create", create)
    with pytest.raises(TransientError, match=r"not known"):
        chain.append(Decision("promote", DAYS[1], 1, "d", "run", "so"), after=head, files=files)
    assert len(list(store.keys("champions/"))) == 2


def test_what_is_no_decision_is_damage_and_what_is_newer_is_refused() -> None:
    with pytest.raises(DamageError, match=r"is not a decision"):
        Decision.from_json(b"{}", 1)
    with pytest.raises(NewerFormatError):
        Decision.from_json(b'{"format":2}', 1)


def test_an_entry_deleted_by_hand_is_damage(chain: Chain, decide, store: MemoryStore) -> None:
    decide("promote", 0)
    decide("reject", 1)
    store.delete("chain/shop/groups/00000001")
    with pytest.raises(DamageError, match=r"has no entry 1: it was deleted by hand"):
        chain.entries()
