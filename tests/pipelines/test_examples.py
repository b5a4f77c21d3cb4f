"""The examples do what they say: each is run as a user runs it, and its numbers are checked against plain scripts."""

from __future__ import annotations

import csv
import hashlib
from collections import defaultdict
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from commands import headrace

import headrace as hr
from headrace.run.loading import load_pipeline
from headrace.testing import Lab, run_step

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def test_tumours_runs_from_the_package_to_predictions_and_a_report(tmp_path: Path) -> None:
    said = headrace("run", EXAMPLES / "tumours.py", "--lake", tmp_path / "lake", "--at", "2026-11-01", "--json", cwd=tmp_path)
    assert said.code == 0, said.err
    assert said.receipt("measured")["rows_read"] == 569
    assert said.receipt("forest.promotion")["verdict"]["decision"] == "promote"
    assert said.receipt("forest")["metrics"]["roc_auc"] > 0.95
    lake = hr.open_lake(tmp_path / "lake")
    diagnoses = lake.read("tumours.diagnoses")
    assert diagnoses.num_rows == 569
    assert diagnoses.column_names == ["tumour", "benign", "prediction", "probability", "model_version"]
    report = Path(said.document["report"]).read_text(encoding="utf-8")
    assert "forest" in report
    assert len(report) < 1_000_000
    assert "http://" not in report.replace("http://www.w3.org", "")
    again = headrace("run", EXAMPLES / "tumours.py", "--lake", tmp_path / "lake", "--at", "2026-11-01", "--json", cwd=tmp_path)
    assert {r["state"] for r in again.document["receipts"]} == {"cached"}


@pytest.mark.data
def test_petrol_gives_the_metrics_of_bare_scikit_learn_on_the_same_rows(shared_data: Path, tmp_path: Path) -> None:
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    lab = Lab(_pipeline("petrol"), locations={"states": shared_data / "petrol" / "petrol_consumption.csv"})
    receipts = {r.step: r for r in lab.run("2026-11-20T08")}
    features = ["petrol_tax", "average_income", "paved_highways", "licensed_share"]
    train, test = (lab.lake.read(f"petrol.consumption.{side}", to="pandas") for side in ("train", "test"))
    seed: Any = lab.lake.manifest("petrol.forest").content.details["seed"]
    bare = make_pipeline(StandardScaler(), RandomForestRegressor(20, random_state=seed)).fit(train[features], train["consumption"])
    guessed = bare.predict(test[features])
    ours = receipts["forest"].metrics
    assert ours["r2"] == pytest.approx(r2_score(test["consumption"], guessed), abs=1e-9)
    assert ours["mae"] == pytest.approx(mean_absolute_error(test["consumption"], guessed), abs=1e-9)
    assert ours["rmse"] == pytest.approx(root_mean_squared_error(test["consumption"], guessed), abs=1e-9)


@pytest.mark.data
def test_petrol_publishes_under_the_execution_date_and_copies_an_hour_in_which_nothing_changed(shared_data: Path, tmp_path: Path) -> None:
    env = {"HEADRACE_SOURCES_STATES": str(shared_data / "petrol" / "petrol_consumption.csv")}
    lake = tmp_path / "lake"
    first, second = (
        headrace(
            "run", EXAMPLES / "petrol.py", "--lake", lake, "--at", f"2026-11-20T0{hour}", "--json", "--no-report", cwd=tmp_path, env=env
        )
        for hour in (7, 8)
    )
    assert first.code == second.code == 0, first.err + second.err
    assert {s: first.receipt(s)["state"] for s in ("states", "consumption", "forest")} == dict.fromkeys(
        ("states", "consumption", "forest"), "made"
    )
    assert {s: second.receipt(s)["state"] for s in ("states", "consumption", "forest")} == dict.fromkeys(
        ("states", "consumption", "forest"), "copied"
    )
    published = [p.relative_to(lake).as_posix() for p in (lake / "models").rglob("model.skops")]
    assert sorted(p[: len("models/petrol/forest/2026/11/20/08")] for p in published) == [
        f"models/petrol/forest/2026/11/20/0{h}" for h in (7, 8)
    ]
    model: Any = hr.open_lake(lake).model("petrol.forest", at="2026-11-20T08")
    assert len(model) == 2
    assert type(model[0]).__name__ == "StandardScaler"


@pytest.mark.data
def test_shop_spending_equals_a_plain_script_over_the_same_files(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "online_retail_by_day"
    lab = Lab(_pipeline("shop"), locations={"purchases": folder / "{start:%Y-%m-%d}.csv"})
    receipts = {r.step: r for r in lab.run("2010-12-20")}
    days = [date(2010, 12, 1) + timedelta(days=n) for n in range(20)]
    invoices: dict[int, set[str]] = defaultdict(set)
    spent: dict[int, float] = defaultdict(float)
    read = 0
    for day in days:
        file = folder / f"{day}.csv"
        for row in csv.DictReader(file.read_text(encoding="utf-8").splitlines()) if file.is_file() else ():
            read += 1
            if row["CustomerID"]:
                customer = int(float(row["CustomerID"]))
                invoices[customer].add(row["InvoiceNo"])
                spent[customer] += int(row["Quantity"]) * float(row["UnitPrice"])
    found = {r["customer_id"]: (r["orders"], r["spent"]) for r in lab.read("spending", "2010-12-20")}
    assert found.keys() == invoices.keys()
    for customer, (orders, total) in found.items():
        assert orders == len(invoices[customer])
        assert total == pytest.approx(spent[customer], abs=1e-6)
    landed = [lab.lake.manifest("shop.purchases", f"2010-12-{n:02d}").content.details["counts"] for n in range(1, 21)]
    assert sum(c["read"] for c in landed) == read  # type: ignore[index,call-overload,misc]
    test_side = {r["customer_id"] for r in lab.read("spending.test", "2010-12-20")}
    assert test_side == {c for c in found if hashlib.md5(str(c).encode()).hexdigest()[:8] < "33333333"}
    assert receipts["groups"].interval.label == "2010-12-08"


@pytest.mark.data
@pytest.mark.integration
def test_shop_backfill_of_seven_months_is_resumable_and_keeps_cluster_numbers(shared_data: Path, tmp_path: Path) -> None:
    env = {"HEADRACE_SOURCES_PURCHASES": str(shared_data / "online_retail_by_day" / "{start:%Y-%m-%d}.csv")}
    lake = tmp_path / "lake"
    half = headrace("backfill", EXAMPLES / "shop.py", "--lake", lake, "--to", "2011-03-15", "--json", "--no-report", cwd=tmp_path, env=env)
    assert half.code == 0, half.err
    whole = headrace("backfill", EXAMPLES / "shop.py", "--lake", lake, "--to", "2011-06-30", "--json", "--no-report", cwd=tmp_path, env=env)
    assert whole.code == 0, whole.err
    states = defaultdict(int)
    for receipt in whole.document["receipts"]:
        states[receipt["state"], receipt["interval"] <= "2011-03-15"] += 1
    assert not states["made", True]
    assert not states["failed", False]
    opened = hr.open_lake(lake)
    read = opened.read("shop.purchases", at=("2010-12-01", "2011-07-01"))
    quarantined = sum(r["rows_quarantined"] for r in whole.document["receipts"] if r["step"] == "purchases")
    lines = sum(
        len(list(csv.reader(f.read_text(encoding="utf-8").splitlines()))) - 1 for f in (shared_data / "online_retail_by_day").glob("*.csv")
    )
    assert read.num_rows + quarantined == lines == 245_903
    decisions = opened.decisions("shop.groups")
    assert [d.model for d in decisions] == sorted(d.model for d in decisions)
    same = [_agreement(opened, str(d)) for d in _sundays()]
    assert sum(same) / len(same) > 0.6


def _agreement(opened: hr.OpenLake, day: str) -> float:
    """How many customers of two following days are in a group of the same number."""
    following = (datetime.fromisoformat(day) + timedelta(days=7)).date().isoformat()
    a, b = (opened.read("shop.customer_groups", at=d, to="pandas").set_index("customer_id")["prediction"] for d in (day, following))
    both = a.index.intersection(b.index)
    return float((a[both] == b[both]).mean())


def _sundays() -> list[date]:
    return [date(2011, 2, 6) + timedelta(days=7 * n) for n in range(18)]


def test_a_step_of_an_example_can_be_tested_on_literal_rows() -> None:
    rows = [
        {"invoice": "1", "quantity": 2, "unit_price": 1.5, "customer_id": 7, "invoiced_at": datetime(2010, 12, 1, 9)},
        {"invoice": "2", "quantity": -1, "unit_price": 1.5, "customer_id": 7, "invoiced_at": datetime(2010, 12, 1, 9)},
        {"invoice": "3", "quantity": 1, "unit_price": 9.0, "customer_id": None, "invoiced_at": datetime(2010, 12, 1, 9)},
        *(
            {"invoice": "4", "quantity": 1, "unit_price": 1.0, "customer_id": c, "invoiced_at": datetime(2010, 12, 1, 9)}
            for c in range(100, 130)
        ),
    ]
    spending = {r["customer_id"]: r for r in run_step(_pipeline("shop"), "spending", {"purchases": rows}, at="2010-12-20")}
    assert spending[7] == {"customer_id": 7, "orders": 2, "spent": 1.5}
    assert None not in spending


def _pipeline(name: str) -> Any:
    return getattr(load_pipeline(EXAMPLES / f"{name}.py").module, name)
