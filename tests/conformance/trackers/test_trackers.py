"""What every tracker keeps to: a note may come twice, in pieces, late, and MLflow says the same."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headrace.core.ports import RunNote


def a_note(place, **changes) -> RunNote:
    note = RunNote(
        identity=f"{place.pipeline}/groups/2011-01-10/000001",
        pipeline=place.pipeline,
        model="groups",
        interval="2011-01-10",
        version=1,
        parameters={"clusters": 5, "names": ["a", "b"], "größe (m)": None},
        metrics={"silhouette": 0.5, "inertia": 40.25, "broken": float("nan")},
        tags={"fingerprint": "abc", "git_commit": "0123abcd"},
        location="/lake/models/groups/x/model.skops",
        is_champion=True,
        started_at="2026-11-20T08:00:00+00:00",
        ended_at="2026-11-20T08:00:02.500000+00:00",
    )
    return replace(note, **changes)


@pytest.fixture
def model(place) -> str:
    return f"{place.pipeline}.groups"


def test_a_note_becomes_a_finished_run_with_its_parameters_metrics_and_tags(place):
    place.tracker().send([a_note(place)])

    (run,) = place.runs()
    assert run["status"] == "FINISHED"
    assert (run["start"], run["end"]) == (1795161600000, 1795161602500)
    assert run["params"] == {"clusters": "5", "names": "['a', 'b']", "gr__e _m_": "None"}
    assert run["metrics"] == {"silhouette": 0.5, "inertia": 40.25}
    tags = run["tags"]
    assert tags["headrace.interval"] == "2011-01-10"
    assert tags["headrace.fingerprint"] == "abc"
    assert tags["headrace.location"] == "/lake/models/groups/x/model.skops"
    assert tags["headrace.unmeasured"] == "broken"
    assert tags["mlflow.source.git.commit"] == "0123abcd"


def test_a_note_becomes_a_version_of_the_model_under_its_alias(place, model):
    place.tracker().send([a_note(place)])
    (version,) = place.versions(model)
    assert version["source"].endswith("/lake/models/groups/x/model.skops")
    assert place.aliases(model) == {"champion": "1"}


def test_the_same_note_again_makes_nothing_new(place, model):
    place.tracker().send([a_note(place)])
    place.tracker().send([a_note(place), a_note(place)])
    assert len(place.runs()) == 1
    assert len(place.versions(model)) == 1


def test_a_note_that_was_told_in_part_is_told_to_the_end(place, model, monkeypatch):
    tracker = place.tracker()
    for step in ("log", "model_version", "model", "point", "finish"):
        note = a_note(place, identity=f"{place.pipeline}/{step}")

        def cut(*_, **__):
            raise ConnectionError

        with monkeypatch.context() as patch:
            patch.setattr(tracker._api, step, cut)
            with pytest.raises(ConnectionError):
                tracker.send([note])
        tracker.send([note])
    assert len(place.runs()) == 5
    assert len(place.versions(model)) == 5
    assert all(run["status"] == "FINISHED" for run in place.runs())


def test_a_model_that_was_not_promoted_is_the_challenger(place, model):
    place.tracker().send([a_note(place), a_note(place, identity="two", is_champion=False)])
    assert place.aliases(model) == {"champion": "1", "challenger": "2"}


def test_a_challenger_that_is_promoted_later_becomes_the_champion(place, model):
    challenger = a_note(place, identity="two", is_champion=False)
    place.tracker().send([a_note(place), challenger, replace(challenger, is_champion=True)])
    assert place.aliases(model) == {"champion": "2"}
    assert len(place.versions(model)) == 2


def test_an_old_note_that_comes_again_does_not_take_the_alias_back(place, model):
    old, new = a_note(place), a_note(place, identity="two")
    place.tracker().send([old, new, old])
    assert place.aliases(model) == {"champion": "2"}


def test_a_later_decision_of_the_chain_wins_in_whatever_order_it_is_told(place, model):
    first, second = a_note(place, tags={"chain": "1"}), a_note(place, identity="two", tags={"chain": "2"})
    place.tracker().send([second, first])
    assert place.aliases(model) == {"champion": "1"}  # version 1 is the second decision, told first


def test_a_rollback_points_the_alias_to_the_older_version(place, model):
    first, second = a_note(place, tags={"chain": "1"}), a_note(place, identity="two", tags={"chain": "2"})
    place.tracker().send([first, second, replace(first, tags={"chain": "3"})])
    assert place.aliases(model) == {"champion": "1"}
    assert len(place.versions(model)) == 2


def test_many_parameters_and_long_values_are_taken(place):
    parameters = {f"p{index}": index for index in range(230)} | {"long": "x" * 20_000}
    place.tracker().send([a_note(place, parameters=parameters, tags={"note": "y" * 20_000})])
    (run,) = place.runs()
    assert len(run["params"]) == 231


def test_an_identity_with_a_quote_is_found_again(place):
    note = a_note(place, identity="/lake/ana's/groups")
    place.tracker().send([note])
    place.tracker().send([note])
    assert len(place.runs()) == 1
