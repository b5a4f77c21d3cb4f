"""What is told of a failure: who, when, what, and what to type."""

from __future__ import annotations

from pathlib import Path

import pytest

import headrace as hr
from headrace.core.errors import ConfigurationError, DataError, LostRaceError, NotReadyError
from headrace.run.failure import LONGEST, Failure, failure_of
from headrace.run.task import look, take
from headrace.testing import Lab


@pytest.fixture
def lab() -> Lab:
    days = hr.Pipeline("days", schedule="@daily", start="2026-01-01")

    @days.table
    def events(when: hr.Interval) -> list[dict[str, int]]:
        return [{"day": when.start.day}]

    @days.table(history={"events": "2d"})
    def recent(events: hr.Frame) -> str:
        return f"select * from {events}"

    return Lab(days, now="2026-01-20")


def told(lab: Lab, error: Exception, **more: object) -> Failure:
    given = {"run": lab.interval("2026-01-05"), "session": lab.session} | more
    return failure_of(error, pipeline="days", step="recent", file=Path("/dags/days.py"), **given)  # type: ignore[arg-type]


def test_an_error_of_the_step_is_seen_by_running_it_alone(lab: Lab) -> None:
    found = told(lab, DataError("no such column"))
    assert found.fix.startswith("headrace run days.py --at 2026-01-05 --only recent shows it on your machine")
    assert found.text.startswith("Pipeline `days`: `recent` (2026-01-05) failed.\nno such column\nWhat to do: headrace run")
    assert not found.is_transient


def test_a_missing_past_is_made_by_the_command_that_makes_it(lab: Lab) -> None:
    take(lab.session, look(lab.session, "events", lab.interval("2026-01-05")))
    turn = look(lab.session, "recent", lab.interval("2026-01-05"))
    with pytest.raises(NotReadyError, match="1 interval of an earlier run that is not made: `events` 2026-01-04") as raised:
        take(lab.session, turn)
    assert told(lab, raised.value, turn=turn).fix == "headrace backfill FILE --from 2026-01-04 --to 2026-01-04, then clear the task."


def test_what_may_pass_is_said_to_be_tried_again(lab: Lab) -> None:
    found = told(lab, LostRaceError("again and again"))
    assert found.is_transient
    assert found.fix.startswith("it is tried again by itself")


def test_settings_are_looked_at_without_running(lab: Lab) -> None:
    assert told(lab, ConfigurationError("no such profile")).fix.startswith("headrace plan days.py shows it without running anything")
    before = told(lab, DataError("x"), run=None, session=None)
    assert (before.interval, before.fix.startswith("headrace plan")) == ("", True)


def test_a_task_that_is_no_step_can_not_be_run_by_its_name(lab: Lab) -> None:
    found = failure_of(
        OSError("the disk is full"),
        pipeline="days",
        step="run-record",
        file=Path("d.py"),
        run=lab.interval("2026-01-05"),
        session=lab.session,
    )
    assert found.fix == "mend it, then clear the task; what the steps made stands."


def test_a_long_error_is_cut_and_a_secret_is_not_told(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_PASSWORD", "hunter2hunter2")
    found = told(lab, DataError("at postgresql://me:hunter2hunter2@db " + "x" * 9000))
    assert "hunter2" not in found.text
    assert len(found.error) == LONGEST
    assert found.as_json()["text"] == found.text
