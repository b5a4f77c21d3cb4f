"""A model that a person promotes, on a real Airflow, driven through its REST API."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from datetime import timedelta

import pytest
from airflow_server import Airflow, airflow_server
from approval_flow import APPROVAL, DAG, asking, decisions, pipeline, question_of, respond, shown, train, wait_until_asked

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(importlib.util.find_spec("airflow") is None, reason="Airflow is not installed: pip install 'headrace[airflow]'"),
]

QUICK = pipeline(timedelta(seconds=30)).replace('hr.Pipeline("leaks"', 'hr.Pipeline("quick"')


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    with airflow_server(tmp_path_factory.mktemp("approval"), {"leaks.py": pipeline(), "quick.py": QUICK}) as started:
        for dag in (DAG, APPROVAL, "quick", "quick.loss.approval"):
            started.dag(dag)
        yield started


def test_a_person_approves_rejects_and_is_asked_about_the_newest_challenger_only(airflow: Airflow) -> None:
    """In order, since decisions are: approved, superseded, rejected; each model's run is over before anyone answers."""
    assert airflow.dag(APPROVAL)["is_paused"] is False

    first = train(airflow, 1)
    assert airflow.states(DAG, first)["losses"] == "skipped"
    asked = question_of(airflow, 1)
    form = shown(airflow, asked)
    assert form["subject"] == "Shall leaks.loss of 2026-05-01 v1 serve?"
    assert form["options"] == ["Approve", "Reject"]
    for said in ("How much a pipe loses in a year.", "| r2 |", "champion now: none", "✓ r2 0."):
        assert said in form["body"]
    respond(airflow, asked, "Approve", "compared with the meters")
    assert airflow.wait(APPROVAL, asked) == "success"
    assert airflow.told(APPROVAL, asked, "decision")["decision"] == "promote"
    promoted = decisions(airflow)[-1]
    assert (promoted.kind, promoted.by_hand, promoted.why) == ("promote", True, "compared with the meters")
    assert promoted.who == form_user(shown(airflow, asked))

    second = train(airflow, 2)
    assert airflow.states(DAG, second)["losses"] == "success"  # by the champion that was approved
    older = question_of(airflow, 2)
    assert "champion now: [2026-05-01, 2026-05-02) v1 (decision 2)" in shown(airflow, older)["body"]
    airflow.clear(DAG, second, "ask-about-loss")
    train(airflow, 3)
    newer = question_of(airflow, 3)
    assert airflow.wait(APPROVAL, older) == "success"
    assert airflow.states(APPROVAL, older) == {"question": "skipped", "decision": "skipped"}
    assert "the newer challenger of 2026-05-03 v1 superseded it" in airflow.log(APPROVAL, older, "question")
    respond_too_late(airflow, older)
    assert len(airflow.runs(APPROVAL)) == 3

    respond(airflow, newer, "Reject")
    assert airflow.wait(APPROVAL, newer) == "success"
    rejected = decisions(airflow)[-1]
    assert (rejected.kind, rejected.by_hand, rejected.why) == ("reject", True, "no reason was given in Airflow")
    assert [one.kind for one in decisions(airflow)] == ["reject", "promote", "reject", "reject", "reject"]
    assert airflow.warnings == []


def form_user(form: dict) -> str:
    user = form["responded_by_user"]
    return str(user["name"] or user["id"])


def respond_too_late(airflow: Airflow, run: str) -> None:
    """Airflow takes an answer to a question that is closed; nothing is decided by it."""
    before = decisions(airflow)
    respond(airflow, run, "Approve", "too late")
    assert airflow.states(APPROVAL, run) == {"question": "skipped", "decision": "skipped"}
    assert decisions(airflow) == before


def test_a_question_that_nobody_answers_ends_without_a_promotion_and_can_be_asked_again(airflow: Airflow) -> None:
    approval = "quick.loss.approval"
    train(airflow, 1, "quick")
    run = asking(airflow, 1, approval)  # which may be over by now, where the machine is slow
    assert airflow.wait(approval, run) == "success"
    assert airflow.states(approval, run) == {"question": "skipped", "decision": "skipped"}
    assert "nobody answered within 0:00:30; the challenger waits on" in airflow.log(approval, run, "question")
    assert [one.kind for one in decisions(airflow, "quick")] == ["reject"]

    again = airflow.trigger(approval)
    wait_until_asked(airflow, again, approval)
    respond(airflow, again, "Approve", approval=approval)
    assert airflow.wait(approval, again) == "success"
    assert [one.kind for one in decisions(airflow, "quick")] == ["reject", "promote"]
