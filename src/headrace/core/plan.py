"""The plan: which (step, interval) pairs run, which need not, and why, in words.

Deciding is pure: what was seen of each pair goes in, decisions come out, in an order in which they can be carried out. The
invariant: a pair that runs comes after every pair that it reads, and each decision has a reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from headrace.core.graph import Pair
from headrace.core.interval import Interval
from headrace.core.ports import JSON

__all__ = ["Decision", "Plan", "Seen", "decide"]

Action = Literal["run", "skip", "wait"]


@dataclass(frozen=True)
class Seen:
    """What was seen of one pair.

    `is_target` says that it was asked for itself, not only as something that a target reads. `version` is that of its current
    commit, None if there is none. `changes` tell why the commit is no longer what today's code would make. `absent` says why
    the pair can't exist at all (yet), `settled` why it is never made again, `unpublished` why a commit that stands is to be
    copied to others. `reads` are the pairs that it reads, and `unfit` those of them that it is not made from as they stand, each with
    what running it says then.
    """

    step: str
    kind: str
    interval: Interval
    is_target: bool = True
    is_forced: bool = False
    version: int | None = None
    changes: tuple[str, ...] = ()
    absent: str | None = None
    settled: str | None = None
    unpublished: str = ""
    reads: tuple[Pair, ...] = ()
    unfit: Mapping[Pair, str] = field(default_factory=dict[Pair, str])

    @property
    def pair(self) -> Pair:
        return self.step, self.interval


@dataclass(frozen=True)
class Decision:
    """What is to be done about one pair: `run` it, `skip` it since its commit stands, or `wait` since it can't be made yet.

    One that `is_standing` and runs all the same is only copied to others: who reads it has nothing new to read. `obstacle` is why one that
    runs will fail as things stand, in the words of its error, or `is_blocked` since something that it reads will.
    """

    step: str
    kind: str
    interval: Interval
    action: Action
    reason: str
    version: int | None = None
    is_target: bool = True
    is_forced: bool = False
    reads: tuple[Pair, ...] = ()
    is_standing: bool = False
    obstacle: str = ""
    is_blocked: bool = False

    @property
    def pair(self) -> Pair:
        return self.step, self.interval

    def as_json(self) -> dict[str, JSON]:
        return {
            "step": self.step,
            "kind": self.kind,
            "interval": self.interval.label,
            "action": self.action,
            "reason": self.reason,
            "version": self.version,
            "is_target": self.is_target,
            "obstacle": self.obstacle or None,
        }


@dataclass(frozen=True)
class Plan:
    """Decisions in an order in which they can be carried out. `stale` lists, by step, other intervals made by older code or settings."""

    pipeline: str
    decisions: tuple[Decision, ...]
    stale: Mapping[str, tuple[Interval, ...]] = field(default_factory=dict[str, tuple[Interval, ...]])

    @property
    def to_run(self) -> tuple[Decision, ...]:
        return tuple(d for d in self.decisions if d.action == "run")

    def as_json(self) -> dict[str, JSON]:
        return {
            "pipeline": self.pipeline,
            "decisions": [d.as_json() for d in self.decisions],
            "to_run": len(self.to_run),
            "stale_past_intervals": {
                step: {"count": len(stale), "first": stale[0].label, "last": stale[-1].label} for step, stale in self.stale.items()
            },
        }


def decide(pipeline: str, seen: Sequence[Seen], *, stale: Mapping[str, tuple[Interval, ...]] | None = None) -> Plan:
    """Decide about each pair. `seen` must list a pair after those that it reads."""
    decided: dict[Pair, Decision] = {}
    for one in seen:
        if one.pair in decided:
            continue
        action, reason = _action(one, decided)
        is_standing = action == "skip"
        if is_standing and one.unpublished:
            action, reason = "run", one.unpublished
        decision = Decision(
            one.step, one.kind, one.interval, action, reason, one.version, one.is_target, one.is_forced, one.reads, is_standing
        )
        decided[one.pair] = _foreseen(decision, one, decided)
    return Plan(pipeline, tuple(decided.values()), dict(stale or {}))


def _action(one: Seen, decided: Mapping[Pair, Decision]) -> tuple[Action, str]:
    if one.settled:
        return "skip", one.settled
    if one.absent:
        return "wait", one.absent
    waiting = next((decided[p] for p in one.reads if p in decided and decided[p].action == "wait"), None)
    if waiting is not None:
        return "wait", f"`{waiting.step}` is not there: {waiting.reason}"
    if one.version is None:
        return "run", "not made yet" if one.is_target else "not made yet, and read by what was asked for"
    if one.is_forced:
        return "run", "forced"
    if not one.is_target:
        return "skip", "made"
    if one.changes:
        return "run", "; ".join(one.changes)
    running = [p for p in one.reads if p in decided and decided[p].action == "run" and not decided[p].is_standing]
    if running:
        names = sorted({step for step, _ in running})
        return "run", f"{_listed(names)} will be made"
    return "skip", "nothing changed"


def _foreseen(decision: Decision, one: Seen, decided: Mapping[Pair, Decision]) -> Decision:
    """A decision with what running it will end in, where that can be told."""
    if decision.action != "run" or decision.is_standing:
        return decision
    running = [decided[p] for p in one.reads if p in decided and decided[p].action == "run" and not decided[p].is_standing]
    obstacle = next((words for pair, words in one.unfit.items() if pair not in [other.pair for other in running]), "")
    if obstacle:
        return replace(decision, obstacle=obstacle)
    failing = next((other for other in running if other.obstacle), None)
    if failing is None:
        return decision
    return replace(decision, obstacle=f"`{failing.step}` ({failing.interval.label}) will fail", is_blocked=True)


def _listed(names: Sequence[str]) -> str:
    quoted = [f"`{n}`" for n in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"
