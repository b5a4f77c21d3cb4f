"""What a run's step needs of earlier runs: looked for cheaply, waited for in time's order, and made by the command that is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from labs import going_on

import headrace as hr
from headrace.core.interval import Interval
from headrace.core.past import needs_past
from headrace.run.execute import execute_step
from headrace.run.past import Needs, backfill_command, named
from headrace.run.task import look, take
from headrace.testing import Lab


def made() -> hr.Pipeline:
    days = hr.Pipeline("days", schedule="@daily", start="2026-01-01")

    @days.table
    def events(when: hr.Interval) -> list[dict[str, int]]:
        return [{"day": when.start.day}]

    @days.table(history={"events": "5d"})
    def recent(events: hr.Frame) -> str:
        return f"select * from {events}"

    @days.table(every="3d")
    def counted(events: hr.Frame) -> str:
        return f"select count(*) as n from {events}"

    @days.table
    def both(events: hr.Frame, counted: hr.Frame) -> str:
        return f"select e.day, c.n from {events} e, {counted} c"

    @days.table(every="12h")
    def halves(when: hr.Interval) -> list[dict[str, int]]:
        return [{"hour": when.start.hour}]

    @days.table
    def whole(halves: hr.Frame) -> str:
        return f"select * from {halves}"

    return days


@pytest.fixture
def lab() -> Lab:
    return Lab(made(), now="2026-01-20")


def day(number: int, length: int = 1) -> Interval:
    return Interval.of(f"2026-01-{number:02}", f"2026-01-{number + length:02}")


def test_history_and_coarser_grids_need_the_past_and_what_one_run_makes_does_not(lab: Lab) -> None:
    assert {name for name, step in lab.graph.steps.items() if needs_past(lab.graph, step)} == {"recent", "counted", "both"}


def test_a_need_is_met_by_its_commit_and_not_looked_for_again(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    needs = Needs(lab._lake, "days", [("events", day(n)) for n in range(1, 5)])
    listed: list[str] = []
    keys = lab._lake.store.keys
    monkeypatch.setattr(lab._lake.store, "keys", lambda prefix, **more: listed.append(prefix) or keys(prefix, **more))
    assert len(needs.look()) == 4
    assert len(listed) == 1
    for n in (2, 3):
        execute_step(lab.session, "events", day(n))
    assert needs.look() == (("events", day(1)), ("events", day(4)))
    for n in (1, 4):
        execute_step(lab.session, "events", day(n))
    assert needs.look() == ()
    listed.clear()
    assert needs.look() == ()
    assert listed == []


def test_what_was_cleared_is_missing_and_what_retention_took_is_not(lab: Lab) -> None:
    for n in (1, 2):
        execute_step(lab.session, "events", day(n))
    lab._lake.log("days", "events").clear(day(1), why="wrong", who="me")
    lab._lake.log("days", "events").expire(day(2), why="old", who="me")
    assert Needs(lab._lake, "days", [("events", day(1)), ("events", day(2))]).look() == (("events", day(1)),)


@pytest.mark.parametrize(
    ("pairs", "command"),
    [
        ([("events", day(4)), ("events", day(2))], "headrace backfill FILE --from 2026-01-02 --to 2026-01-04"),
        ([("counted", day(4, 3))], "headrace backfill FILE --from 2026-01-04 --to 2026-01-06"),
        ([("halves", Interval.of("2026-01-05", "2026-01-05T12"))], "headrace backfill FILE --from 2026-01-05 --to 2026-01-05"),
    ],
)
def test_the_command_names_the_pipelines_own_intervals(lab: Lab, pairs: list[tuple[str, Interval]], command: str) -> None:
    assert backfill_command(lab.session, pairs) == command


def test_the_command_makes_what_was_missing(lab: Lab) -> None:
    take(lab.session, look(lab.session, "events", day(7)))
    turn = look(lab.session, "both", day(7))
    assert turn.past == (("counted", day(4, 3)),)
    for n in range(4, 7):
        lab.run(f"2026-01-0{n}")
    lab = going_on(lab)
    assert look(lab.session, "both", day(7)).past == ()


def test_pairs_are_named_by_dataset_and_cut(lab: Lab) -> None:
    pairs = [("events", day(n)) for n in range(1, 9)] + [("counted", day(4, 3))]
    assert named(pairs, most=2) == "`events` 2026-01-01, 2026-01-02 and 6 more; `counted` 2026-01-04"


# ---------------------------------------------------------------- promotions


def modelled(file: Path) -> hr.Pipeline:
    days = hr.Pipeline("days", schedule="@daily", start="2026-01-01")
    days.source("given", str(file))

    @days.table(key="id")
    def rows_(given: hr.Frame) -> str:
        return f"select id, x, x * 3 as y from {given}"

    @days.model(rows_, features=["x"], target="y", gate=hr.at_least("r2", 0.5))
    def line():
        from sklearn.linear_model import LinearRegression

        return LinearRegression()

    return days


@pytest.fixture
def models(tmp_path: Path) -> Lab:
    pytest.importorskip("sklearn")
    (tmp_path / "given.csv").write_text("id,x\n" + "".join(f"{n},{n}\n" for n in range(30)))
    return Lab(modelled(tmp_path / "given.csv"), now="2026-01-20")


def train(lab: Lab, *days: int) -> Lab:
    for number in days:
        for step in ("given", "rows_", "line"):
            execute_step(lab.session, step, day(number))
    return going_on(lab)


def promotion(lab: Lab, number: int) -> tuple[tuple[str, Interval], ...]:
    return look(lab.session, "line.promotion", day(number)).unjudged


def test_a_promotion_waits_for_models_that_are_trained_and_not_judged(models: Lab) -> None:
    lab = train(models, 1, 3, 5)
    assert promotion(lab, 5) == (("line.promotion", day(1)), ("line.promotion", day(3)))
    needs = Needs(lab._lake, "days", promotion(lab, 5))
    execute_step(lab.session, "line.promotion", day(1))
    assert needs.look() == (("line.promotion", day(3)),)
    execute_step(lab.session, "line.promotion", day(3))
    assert needs.look() == ()
    assert promotion(going_on(lab), 5) == ()


def test_a_promotion_does_not_wait_for_an_interval_that_was_never_run(models: Lab) -> None:
    assert promotion(train(models, 5), 5) == ()


def test_a_promotion_that_went_on_without_an_earlier_one_lets_later_ones_go_on(models: Lab) -> None:
    lab = train(models, 1, 2, 3)
    execute_step(lab.session, "line.promotion", day(2))
    assert promotion(going_on(lab), 3) == ()


def test_a_promotion_of_the_past_does_not_wait_for_a_later_one(models: Lab) -> None:
    assert promotion(train(models, 2, 3), 2) == ()
