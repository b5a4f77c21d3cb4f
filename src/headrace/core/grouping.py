"""Steps that share a task: under an orchestrator, those of one `group=` are carried out by one task, in the graph's order.

`headrace run` knows nothing of it. The invariant: in a graph without problems the units can be put into an order in which each
comes after all that it reads, so a group never has to stop in its middle for a step outside.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from headrace.core.errors import Problem
from headrace.core.step import Promotion, Step

__all__ = ["Unit", "group_problems", "units_of"]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")


@dataclass(frozen=True)
class Unit:
    """What one task carries out: a step by itself, or the steps of a group in the graph's order. `reads` names the units before it."""

    name: str
    steps: tuple[str, ...]
    reads: tuple[str, ...] = ()
    is_group: bool = False


def units_of(steps: Mapping[str, Step]) -> dict[str, Unit]:
    """The units of a graph's steps by name, each where its first step is."""
    unit_of = {step.name: step.policy.group or step.name for step in steps.values()}
    members: dict[str, list[Step]] = {}
    for step in steps.values():
        members.setdefault(unit_of[step.name], []).append(step)
    units = {}
    for name, found in members.items():
        reads = dict.fromkeys(unit_of[i.dataset] for step in found for i in step.inputs if i.dataset in unit_of)
        is_group = found[0].policy.group is not None
        units[name] = Unit(name, tuple(step.name for step in found), tuple(read for read in reads if read != name), is_group)
    return units


def group_problems(steps: Iterable[Step]) -> Iterator[Problem]:
    """What is wrong with the groups of steps that are in order otherwise: their names, and groups that wait for each other."""
    known = {step.name: step for step in steps}
    named = {step.policy.group: step for step in reversed(known.values()) if step.policy.group is not None}
    for group, first in sorted(named.items()):
        if not _NAME.fullmatch(group):
            yield Problem(f"group={group!r} can't name a group of steps. Use letters, digits and `_`, starting with a letter.", first.where)
        elif group in known:
            text = f"group={group!r} is also the name of a step, and one task can't be both. Give the group another name."
            yield Problem(text, first.where)
    circle = _circle(units_of(known))
    if circle:
        yield _between(circle, known)


def _circle(units: Mapping[str, Unit]) -> tuple[str, ...]:
    """Units that wait for each other, in the order in which the data would flow; empty if there are none."""
    waiting = dict(units)
    while waiting:
        ready = [name for name, unit in waiting.items() if not any(read in waiting for read in unit.reads)]
        if not ready:
            return _walk(waiting)
        for name in ready:
            del waiting[name]
    return ()


def _walk(waiting: Mapping[str, Unit]) -> tuple[str, ...]:
    path = [next(iter(waiting))]
    while True:
        before = next(read for read in waiting[path[-1]].reads if read in waiting)
        if before in path:
            return tuple(reversed(path[path.index(before) :]))
        path.append(before)


def _between(circle: tuple[str, ...], known: Mapping[str, Step]) -> Problem:
    """The problem of a circle: which group would have to stop in its middle, and for which steps."""
    at = next(place for place, name in enumerate(circle) if name not in known)
    group, *others = circle[at:] + circle[:at]
    inside = [step for step in known.values() if step.policy.group == group]
    outside = [step for step in known.values() if (step.policy.group or step.name) in others]
    ours, theirs = {step.name for step in inside}, {step.name for step in outside}
    first, read = next((step, i.dataset) for step in outside for i in step.inputs if i.dataset in ours)
    last, made = next((step, i.dataset) for step in inside for i in step.inputs if i.dataset in theirs)
    told = f"`{first.name}`" if len(others) == 1 and first.policy.group is None else ", ".join(f"`{name}`" for name in others)
    shown = last.model if isinstance(last, Promotion) else last.name
    return Problem(
        f"group={group!r} can't be one task: `{first.name}` reads `{read}` of the group, and `{last.name}` of the group reads `{made}`, so it "
        f"would have to stop in its middle for {told}. Put {told} into the group too, or take `{shown}` out of it.",
        last.where,
    )
