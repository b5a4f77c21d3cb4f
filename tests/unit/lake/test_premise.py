"""A commit is put only where what its work was built on is still so when its files are there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from headrace.backends.stores.memory import MemoryStore
from headrace.core.errors import LostRaceError
from headrace.core.interval import Interval
from headrace.core.manifest import Content, Manifest
from headrace.core.ports import JSON
from headrace.lake.commit import Attempt
from headrace.lake.log import DatasetLog
from headrace.lake.premise import Premise


@dataclass
class Rule:
    """What is asked for: how it is now, and how often it was asked for."""

    now: str = "nobody"
    asked: int = 0

    def __call__(self) -> str:
        self.asked += 1
        return self.now


@dataclass
class Work:
    """Writes down the rule as it is when the work is done; and then each of `changes` changes it, or fails."""

    rule: Rule
    changes: list[str] = field(default_factory=list[str])
    fails: bool = False

    def __call__(self, attempt: Attempt, _: Manifest | None) -> tuple[Content, Mapping[str, JSON]]:
        text = self.rule.now
        attempt.file("rows", layer="gold").write_bytes(text.encode())
        if self.changes:
            self.rule.now = self.changes.pop(0)
            if self.fails:
                raise FileNotFoundError("collected")
        return Content("data", "table", (attempt.part("rows", "gold", rows=1),), fingerprint=text), {}


def test_work_whose_premise_stands_is_committed_and_asks_once_more_than_it_is_known(log: DatasetLog, hour: Interval) -> None:
    rule = Rule()
    premise = Premise(rule)
    for number in range(1, 4):
        assert log.commit(hour, Work(Rule(f"rows {number}")), premise=premise).version == number
        assert rule.asked == 1 + number


@pytest.mark.parametrize("fails", [False, True])
def test_work_whose_premise_changed_is_done_again_and_leaves_nothing(
    log: DatasetLog, hour: Interval, store: MemoryStore, fails: bool
) -> None:
    rule = Rule()
    made = log.commit(hour, Work(rule, ["anna"], fails), premise=Premise(rule))
    assert (made.version, made.content.fingerprint) == (1, "anna")
    assert [listed.key for listed in store.list("gold/")] == [file.key for part in made.content.parts for file in part.files]


def test_what_is_known_from_before_makes_an_attempt_start_over_and_no_more(log: DatasetLog, hour: Interval) -> None:
    rule = Rule()
    premise = Premise(rule)
    assert premise.known() == "nobody"
    rule.now = "anna"
    assert log.commit(hour, Work(rule), premise=premise).version == 1
    assert (premise.known(), rule.asked) == ("anna", 4)


def test_a_premise_that_never_stands_is_a_lost_race(log: DatasetLog, hour: Interval) -> None:
    rule = Rule()
    with pytest.raises(LostRaceError, match=r"Run again\."):
        log.commit(hour, Work(rule, ["a", "b", "c"]), premise=Premise(rule))
    assert log.versions() == {}


def test_what_was_made_before_is_not_committed_under_another_premise(log: DatasetLog, hour: Interval) -> None:
    rule = Rule("anna")
    with pytest.raises(LostRaceError):
        log.commit(hour, Work(Rule("refused")), premise=Premise(rule).given("nobody"))
    assert log.versions() == {}
    assert log.commit(hour, Work(Rule("refused")), premise=Premise(rule).given("anna")).version == 1


def test_an_error_of_the_work_is_told_where_its_premise_stands(log: DatasetLog, hour: Interval) -> None:
    rule = Rule()
    with pytest.raises(FileNotFoundError):
        log.commit(hour, Work(rule, ["nobody"], fails=True), premise=Premise(rule))
