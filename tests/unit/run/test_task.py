"""One task of an orchestrator does what a run would have done for that step, and says what it can't."""

from __future__ import annotations

import json
import time

import pytest
from labs import ran, states

import headrace as hr
from headrace.core.errors import NotReadyError
from headrace.core.receipt import Receipt
from headrace.run.task import Ended, brief, close_run, is_due, look, take
from headrace.testing import Lab


def made() -> hr.Pipeline:
    days = hr.Pipeline("days", schedule="@daily", start="2026-01-01")

    @days.table
    def events(when: hr.Interval) -> list[dict[str, int]]:
        return [{"day": when.start.day}]

    @days.table(history={"events": "2d"})
    def recent(events: hr.Frame) -> str:
        return f"select * from {events}"

    @days.table(every="3d")
    def counted(events: hr.Frame) -> str:
        return f"select count(*) as n from {events}"

    @days.table
    def both(recent: hr.Frame, counted: hr.Frame) -> str:
        return f"select r.day, c.n from {recent} r, {counted} c"

    @days.table(every="12h")
    def halves(when: hr.Interval) -> list[dict[str, int]]:
        return [{"hour": when.start.hour}]

    return days


@pytest.fixture
def lab() -> Lab:
    return Lab(made(), now="2026-01-20")


def run_all(lab: Lab, at: str) -> dict[str, list[Receipt]]:
    """Each step's turn, as an orchestrator would take them."""
    run = lab.interval(at)
    found = {}
    for name in lab.graph.steps:
        lab.session = lab._session()
        turn = look(lab.session, name, run)
        found[name] = [] if turn.idle else take(lab.session, turn)
    return found


def test_turns_leave_what_a_run_leaves(lab: Lab) -> None:
    other = Lab(made(), now="2026-01-20")
    for day in ("2026-01-01", "2026-01-02", "2026-01-03", "2026-01-04"):
        run_all(lab, day)
        ran(other, day)
    digests = [
        {
            f"{name} {interval.label} v{v}": log.manifest(interval, v).content.digest
            for name in one.graph.steps
            for log in [one._lake.log("days", name)]
            for interval, versions in log.versions(None).items()
            for v in versions
        }
        for one in (lab, other)
    ]
    assert digests[0] == digests[1]
    assert "both 2026-01-03 v1" in digests[0]


def test_a_coarser_step_is_due_in_the_run_in_which_its_interval_ends(lab: Lab) -> None:
    due = [day for day in range(1, 10) if is_due(lab.graph, lab.graph.steps["counted"], lab.interval(f"2026-01-0{day}"))]
    assert due == [3, 6, 9]


def test_a_step_that_is_not_due_is_idle_and_says_which_interval_is_next(lab: Lab) -> None:
    idle = look(lab.session, "counted", lab.interval("2026-01-05")).idle
    assert "[2026-01-01, 2026-01-04), is the business of an earlier run" in idle
    assert "[2026-01-04, 2026-01-07) is not over" in idle
    assert "none of its intervals since the pipeline's start" in look(lab.session, "counted", lab.interval("2026-01-01")).idle


def test_a_finer_step_takes_all_its_intervals_in_one_turn(lab: Lab) -> None:
    receipts = take(lab.session, look(lab.session, "halves", lab.interval("2026-01-02")))
    assert [(r.interval.label, r.state) for r in receipts] == [("2026-01-02", "made"), ("2026-01-02T12", "made")]
    told = brief(lab.session, "halves", receipts)
    assert (told["intervals"], told["state"], told["rows_kept"]) == (["2026-01-02", "2026-01-02T12"], "made", 2)


def test_a_past_that_is_not_made_is_named_and_taking_the_turn_all_the_same_is_refused(lab: Lab) -> None:
    take(lab.session, look(lab.session, "events", lab.interval("2026-01-05")))
    turn = look(lab.session, "recent", lab.interval("2026-01-05"))
    assert [(step, interval.label) for step, interval in turn.past] == [("events", "2026-01-04")]
    with pytest.raises(NotReadyError, match="--from 2026-01-04 --to 2026-01-04"):
        take(lab.session, turn)


def test_a_turn_that_was_taken_is_taken_again_without_work_and_by_force_with(lab: Lab) -> None:
    run = lab.interval("2026-01-01")
    (first,) = take(lab.session, look(lab.session, "events", run))
    (again,) = take(lab.session, look(lab.session, "events", run))
    assert (first.state, again.state, again.why) == ("made", "cached", "nothing changed")
    assert look(lab.session, "events", run, is_forced=True).decisions[0].reason == "forced"


def test_what_a_turn_tells_is_small(lab: Lab) -> None:
    long = Receipt("events", "table", lab.interval("2026-01-01"), "made", "because " * 500, metrics={f"m{i}": 0.5 for i in range(500)})
    assert len(json.dumps(brief(lab.session, "events", [long]))) < 3000


def test_the_end_of_a_run_tells_how_each_step_ended_and_records_what_stands(lab: Lab) -> None:
    run = lab.interval("2026-01-01")
    (receipt,) = take(lab.session, look(lab.session, "events", run))
    ended = {
        "events": Ended("done", brief(lab.session, "events", [receipt])),
        "recent": Ended("failed", error="it broke"),
        "both": Ended("blocked", error="something that it reads failed"),
    }
    receipts, story = close_run(lab.session, run, ended, started=time.time())
    assert states(receipts) == {"events": "made", "recent": "failed", "both": "blocked", "halves": "skipped"}
    assert next(r.error for r in receipts if r.step == "recent") == "it broke"
    record = lab._lake.log("days", "_runs").current(run)
    assert record is not None
    assert list(record.content.details["steps"]) == ["events"]  # type: ignore[call-overload]
    assert story.lines
