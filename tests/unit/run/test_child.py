"""Steps in processes of their own: what they make is committed, and how they ended is told."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from headrace.config import read_config
from headrace.core.errors import StepError, StepTimeoutError, TransientError
from headrace.core.interval import Interval
from headrace.core.receipt import Receipt
from headrace.run import child
from headrace.run.backfill import Ran, carry_out
from headrace.run.loading import load_pipeline
from headrace.run.observe import Request
from headrace.run.reading import OpenLake
from headrace.run.session import Session, open_lake_at

PIPELINE = """\
import os, signal, time
import headrace as hr

apart = hr.Pipeline("apart", start="2026-01-01")


@apart.table(own_process=True)
def fine(by: int = 1):
    print("to nobody's answer")
    return [{"pid": os.getpid(), "by": by}]


@apart.table(own_process=True)
def raising():
    return int("no number")


@apart.table(own_process=True, retries=0)
def unreachable():
    raise ConnectionError("reset by peer")


@apart.table(own_process=True)
def killed():
    os.kill(os.getpid(), signal.SIGKILL)


@apart.table(timeout="3s")
def slow():
    time.sleep(600)
    return [{"x": 1}]


@apart.table
def after(slow):
    return "select x from slow"
"""
DAY = Interval.of("2026-01-01", "2026-01-02")


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    folder = tmp_path_factory.mktemp("apart")
    file = folder / "apart_steps.py"
    file.write_text(PIPELINE)
    config = read_config(file, environment={}, overrides={"lake": str(folder / "lake")})
    loaded = load_pipeline(file)
    return Session(loaded.graph, config, open_lake_at(config.lake_uri), file=Path(file), overrides={"fine": {"by": "7"}})


@pytest.fixture(scope="module")
def told(session: Session) -> Ran:
    return carry_out(session, Request([DAY]), jobs=5)


def receipt(told: Ran, step: str) -> Receipt:
    return next(r for r in told.receipts if r.step == step)


def error(told: Ran, step: str) -> BaseException:
    return told.outcome.errors[step, DAY]


def test_a_step_in_its_own_process_commits_what_it_made_with_the_settings_of_the_command(told: Ran, session: Session) -> None:
    made = receipt(told, "fine")
    assert (made.state, made.version, made.rows_kept) == ("made", 1, 1)
    row: dict[str, Any] = OpenLake(session.lake).read("apart.fine").to_pylist()[0]
    assert row["pid"] != os.getpid()
    assert row["by"] == 7


def test_what_it_raised_is_told_with_its_traceback(told: Ran) -> None:
    found = error(told, "raising")
    assert isinstance(found, StepError)
    assert "`raising` raised ValueError: invalid literal for int() with base 10: 'no number' (apart_steps.py:15)" in str(found)
    assert 'return int("no number")' in str(found.__cause__)


def test_what_may_pass_is_known_to_be_so_outside(told: Ran) -> None:
    assert isinstance(error(told, "unreachable"), TransientError)


def test_a_process_that_was_killed_is_told_with_the_signal_and_commits_nothing(told: Ran, session: Session) -> None:
    found = error(told, "killed")
    assert isinstance(found, StepError)
    assert "step `killed` (2026-01-01) ended by signal SIGKILL in its own process, without an answer; nothing of it was committed." in str(
        found
    )
    assert session.lake.log("apart", "killed").versions(None) == {}


def test_a_step_that_runs_too_long_is_ended_and_commits_nothing(told: Ran, session: Session) -> None:
    found = error(told, "slow")
    assert isinstance(found, StepTimeoutError)
    assert "step `slow` (2026-01-01) ran longer than its timeout of 3 s and was ended; nothing of it was committed." in str(found)
    assert receipt(told, "slow").attempts == 1
    assert session.lake.log("apart", "slow").versions(None) == {}
    assert receipt(told, "after").state == "blocked"


def test_a_child_whose_parent_is_gone_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []

    class Ended(BaseException):
        pass

    def end(code: int) -> None:
        ended.append(code)
        raise Ended

    monkeypatch.setattr(child.os, "_exit", end)
    with pytest.raises(Ended):
        child._end_with(os.getppid() + 1_000_000)
    assert ended == [1]
