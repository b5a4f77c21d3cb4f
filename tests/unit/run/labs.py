"""Labs to try the runner in: runs that go on from one another, and plans as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import headrace as hr
from headrace.core.plan import Plan
from headrace.core.receipt import Receipt
from headrace.run.backfill import Ran, carry_out
from headrace.run.observe import Request, make_plan
from headrace.testing import Lab


def going_on(lab: Lab, pipeline: hr.Pipeline | None = None, **options: Any) -> Lab:
    """Another command about the same lake: with a changed pipeline, other settings, a later time."""
    following = Lab(pipeline or lab, **options) if pipeline is not None else _again(lab, **options)
    following._lake = lab._lake
    following.session = following._session()
    return following


def states(receipts: Sequence[Receipt]) -> dict[str, str]:
    return {r.step: r.state for r in receipts}


def request(lab: Lab, *ats: str, forced: Sequence[str] = (), steps: Sequence[str] | None = None, is_backfill: bool = False) -> Request:
    return Request([lab.interval(at) for at in ats], None if steps is None else frozenset(steps), frozenset(forced), is_backfill)


def planned(lab: Lab, *ats: str, **options: Any) -> Plan:
    lab.session = lab._session()
    return make_plan(lab.session, request(lab, *ats, **options))


def said(plan: Plan) -> dict[tuple[str, str], str]:
    """What a plan decides, as `action: reason` by step and interval."""
    return {(d.step, d.interval.label): f"{d.action}: {d.reason}" for d in plan.decisions}


def ran(lab: Lab, *ats: str, jobs: int = 1, **options: Any) -> Ran:
    """Carry out a request, whatever fails."""
    lab.session = lab._session()
    asked = request(lab, *ats, **options)
    return carry_out(lab.session, asked, jobs=jobs)


def versions(lab: Lab, dataset: str) -> dict[str, tuple[int, ...]]:
    return {i.label: v for i, v in lab._lake.log(lab.graph.name, dataset).versions(None).items()}


def _again(lab: Lab, *, settings: Mapping[str, Any] | None = None, now: str | None = None) -> Lab:
    class Same:
        def graph(self) -> Any:
            return lab.graph

    return Lab(Same(), now=now, settings=settings)
