"""Models in runs: copied when nothing changed, trained on a grid of their own, judged in time's order, and left alone by experiments."""

from __future__ import annotations

from pathlib import Path

import pytest
from labs import going_on, planned, ran, said, states, versions

import headrace as hr
from headrace.run.backfill import carry_out, experiment_of
from headrace.run.observe import Request
from headrace.testing import Lab

pytest.importorskip("sklearn")


def trained(file: Path | str, *, schedule: str = "@daily", every: str | None = None, gate: hr.Check | None = None) -> hr.Pipeline:
    steps = hr.Pipeline("steps", schedule=schedule, start="2026-01-01")
    steps.source("given", str(file))

    @steps.table(key="id")
    def rows_(given):
        return "select id, x, x * 3 as y from given"

    @steps.model(rows_, features=["x"], target="y", every=every, gate=gate or hr.at_least("r2", 0.5))
    def line(is_sloped: bool = True):
        from sklearn.dummy import DummyRegressor
        from sklearn.linear_model import LinearRegression

        return LinearRegression() if is_sloped else DummyRegressor()

    steps.predict(line, rows_, name="guesses")
    return steps


def written(folder: Path, name: str = "given.csv", slope: int = 1) -> Path:
    (folder / name).write_text("id,x\n" + "".join(f"{n},{n * slope}\n" for n in range(30)))
    return folder / name


def test_a_model_is_copied_for_an_hour_in_which_nothing_changed(tmp_path: Path) -> None:
    lab = Lab(trained(written(tmp_path), schedule="@hourly"))
    first = {r.step: r for r in lab.run("2026-01-01T00")}
    assert {n: r.state for n, r in first.items()} == dict.fromkeys(first, "made")
    second = {r.step: r for r in lab.run("2026-01-01T01")}
    assert {n: r.state for n, r in second.items() if n != "line.promotion"} == {
        "given": "copied",
        "rows_": "copied",
        "line": "copied",
        "guesses": "copied",
    }
    assert lab.lake.manifest("steps.line", "2026-01-01T01").content.digest == lab.lake.manifest("steps.line", "2026-01-01").content.digest
    assert set(states(lab.run("2026-01-01T01")).values()) == {"cached"}


def test_a_weekly_model_is_trained_when_its_week_has_ended_and_serves_the_days_after(tmp_path: Path) -> None:
    for day in range(6, 10):
        written(tmp_path, f"2026-01-{day:02d}.csv", slope=day)
    lab = Lab(trained(tmp_path / "{start:%Y-%m-%d}.csv", every="7d"))
    before = {r.step: r for r in lab.run("2026-01-06")}
    assert (before["guesses"].state, before["guesses"].why) == ("skipped", "`line` has no interval that ended by then")
    assert "line" not in before
    ending = {r.step: r for r in lab.run("2026-01-07")}
    assert ending["line"].interval.label == "2026-01-01"
    assert ending["guesses"].state == "made"
    after = {r.step: r for r in lab.run("2026-01-08")}
    assert (after["line"].state, after["line.promotion"].state, after["guesses"].state) == ("cached", "cached", "made")
    assert lab.read("guesses", "2026-01-08")[1]["prediction"] == pytest.approx(3 * 8)
    (read,) = lab.lake.manifest("steps.line").content.inputs
    assert [i.label for i in read.versions_of()] == ["2026-01-07"]


def test_a_failed_gate_is_a_verdict_and_what_reads_the_champion_is_skipped(tmp_path: Path) -> None:
    lab = Lab(trained(written(tmp_path), gate=hr.at_least("r2", 2)))
    receipts = {r.step: r for r in lab.run("2026-01-01")}
    assert (receipts["line"].state, receipts["line.promotion"].state) == ("made", "made")
    assert receipts["line.promotion"].why.startswith("not promoted")
    assert (receipts["guesses"].state, receipts["guesses"].why) == ("skipped", "no model of `line` was promoted for 2026-01-01")
    assert set(states(lab.run("2026-01-01")).values()) == {"cached", "skipped"}


def test_a_mended_gate_judges_a_rejected_model_again_without_training_it(tmp_path: Path) -> None:
    file = written(tmp_path)
    lab = Lab(trained(file, gate=hr.at_least("r2", 2)))
    lab.run("2026-01-01")
    mended = going_on(lab, trained(file, gate=hr.at_least("r2", 0.9)))
    plan = said(planned(mended, "2026-01-01"))
    assert plan["line.promotion", "2026-01-01"] == "run: it was rejected by other gates than today's"
    assert states(mended.run("2026-01-01")) == {
        "given": "cached",
        "rows_": "cached",
        "line": "cached",
        "line.promotion": "made",
        "guesses": "made",
    }
    assert set(states(mended.run("2026-01-01")).values()) == {"cached"}
    stricter = going_on(mended, trained(file, gate=hr.at_least("r2", 2)))
    assert set(states(stricter.run("2026-01-01")).values()) == {"cached"}


def test_a_backfill_judges_in_times_order_and_runs_again_as_nothing(tmp_path: Path) -> None:
    days = [f"2026-01-0{day}" for day in range(1, 5)]
    for number, day in enumerate(days, 1):
        written(tmp_path, f"{day}.csv", slope=number)
    lab = Lab(trained(tmp_path / "{start:%Y-%m-%d}.csv"))
    assert ran(lab, *days, jobs=3, is_backfill=True).outcome.errors == {}
    assert [(d.kind, d.model.label) for d in lab.lake.decisions("steps.line")] == [("promote", day) for day in days]
    assert planned(lab, *days, is_backfill=True).to_run == ()
    assert len(lab.lake.decisions("steps.line")) == 4


def test_an_experiment_is_trained_beside_and_never_judged(tmp_path: Path) -> None:
    lab = Lab(trained(written(tmp_path)))
    lab.run("2026-01-01")
    tried = going_on(lab, settings={"line.is_sloped": False})
    session = experiment_of(tried.session, frozenset({"line"}))
    receipts = {r.step: r for r in carry_out(session, Request([lab.interval("2026-01-01")]), jobs=1).receipts}
    assert receipts["line"].state == "made"
    assert (receipts["line.promotion"].state, receipts["line.promotion"].why) == (
        "skipped",
        "an experiment's model is not judged; with --keep it is",
    )
    assert len(lab.lake.decisions("steps.line")) == 1
    assert versions(lab, "line") == {"2026-01-01": (1,)}
    assert planned(lab, "2026-01-01").to_run == ()


def test_a_champion_that_changed_makes_predictions_again_and_nothing_else(tmp_path: Path) -> None:
    lab = Lab(trained(written(tmp_path)))
    lab.run("2026-01-01")
    kept = going_on(lab, settings={"line.is_sloped": False})
    plan = said(planned(kept, "2026-01-01"))
    assert plan["line", "2026-01-01"] == "run: setting `is_sloped` true -> false"
    assert plan["guesses", "2026-01-01"] == "run: `line.promotion` will be made"
    receipts = {r.step: r for r in kept.run("2026-01-01")}
    assert (receipts["line"].version, receipts["line.promotion"].why.startswith("not promoted")) == (2, True)
    assert (receipts["guesses"].state, receipts["guesses"].why) == ("cached", "its inputs have equal contents")
