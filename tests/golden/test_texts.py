"""What people read: problems of a pipeline, refusals and plans, word for word."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from commands import Said

Headrace = Callable[..., Said]
Golden = Callable[[str], None]

SHOP = '''\
"""What customers spent."""
import headrace as hr

shop = hr.Pipeline("shop", schedule="@daily", start="2026-01-01")
shop.source("purchases", "purchases/{start:%Y-%m-%d}.csv")


@shop.table(key="customer", history={"purchases": "3d"})
def spending(purchases, least: float = 0):
    return "select customer, sum(price) as spent from purchases where price >= $least group by customer"


@shop.table(every="7d")
def weekly(spending):
    return "select customer, max(spent) as most from spending group by customer"


@shop.table
def both(spending, weekly):
    return "select customer, spent, most from spending join weekly using (customer)"
'''
WRONG = """\
import headrace as hr

shop = hr.Pipeline("the shop", start="2026-01-01")
shop.source("purchases", "purchases/{start:%Y-%m-%d}.csv", every="1h", missing="no")
shop.source("order", "{day}.csv", max_rejected=2.0, retries=-1)


@shop.table(history={"purchase": "30d"}, split=hr.by_key(test=0.2))
def spending(purchases, *more):
    return "select 1"


@shop.table(every="sometimes")
def monthly(spendings, least={}):
    return "select 1"


@shop.model(spending, features=["spent", "spent"], target="spent", cv=1, gate="r2 > 1")
def groups(other):
    return None


@shop.table
def report(groups):
    return "select 1"


@shop.table
def Report(chicken):
    return "select 1"


@shop.table
def chicken(egg):
    return "select 1"


@shop.table
def egg(chicken):
    return "select 1"


shop.predict("group", spending)
shop.predict(spending, groups, name="guesses")
"""


@pytest.fixture
def shop(folder: Path) -> Path:
    (folder / "shop.py").write_text(SHOP)
    (folder / "purchases").mkdir()
    for day in range(1, 9):
        (folder / "purchases" / f"2026-01-0{day}.csv").write_text(f"customer,price\na,{day}\nb,2.5\n")
    return folder


def test_every_problem_of_a_pipeline(headrace: Headrace, golden: Golden, folder: Path) -> None:
    (folder / "shop.py").write_text(WRONG)
    golden(headrace("plan", "shop.py").err)


def test_plan_of_an_empty_lake(headrace: Headrace, golden: Golden, shop: Path) -> None:
    golden(headrace("plan", "shop.py", "--at", "2026-01-08").out)


def test_plan_after_a_run_and_an_edit(headrace: Headrace, golden: Golden, shop: Path) -> None:
    assert headrace("backfill", "shop.py", "--to", "2026-01-08", "--no-report", "--json").code == 0
    (shop / "shop.py").write_text(SHOP.replace("sum(price)", "max(price)"))
    golden(headrace("plan", "shop.py", "--at", "2026-01-08").out)


def test_plan_of_an_experiment(headrace: Headrace, golden: Golden, shop: Path) -> None:
    assert headrace("run", "shop.py", "--at", "2026-01-08", "--no-report", "--json").code == 0
    golden(headrace("plan", "shop.py", "--at", "2026-01-08", "--set", "spending.least=3").out)


def test_run_from_an_empty_lake_and_again(headrace: Headrace, golden: Golden, shop: Path) -> None:
    first = headrace("run", "shop.py", "--at", "2026-01-08", "--no-report", "--jobs", "1")
    again = headrace("run", "shop.py", "--at", "2026-01-08", "--no-report", "--jobs", "1")
    golden(f"{first.out}\n{first.err}\n----\n{again.out}\n{again.err}")


def test_columns_that_are_not_there(headrace: Headrace, golden: Golden, shop: Path) -> None:
    assert headrace("run", "shop.py", "--at", "2026-01-08", "--no-report", "--json").code == 0
    (shop / "shop.py").write_text(SHOP.replace("max(spent)", "max(spend)").replace("$least", "$lest").replace("join weekly", "join weakly"))
    golden(headrace("plan", "shop.py", "--at", "2026-01-08").err)


def test_an_interval_without_a_file(headrace: Headrace, golden: Golden, shop: Path) -> None:
    said = headrace("run", "shop.py", "--at", "2026-01-09", "--no-report", "--jobs", "1")
    assert said.code == 1
    golden(said.err)


def test_a_past_that_is_missing(headrace: Headrace, golden: Golden, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from headrace.cli.opening import Where, open_session
    from headrace.core.errors import NotReadyError
    from headrace.run.execute import execute_step

    session = open_session(Where(shop / "shop.py"))
    day = session.graph.grid.at(session.graph.start) if session.graph.start else None
    assert day is not None
    with pytest.raises(NotReadyError) as missing:
        execute_step(session, "spending", session.graph.grid.next(session.graph.grid.next(day)))
    golden(str(missing.value))


def test_plan_and_run_where_the_past_was_made_without_a_key(headrace: Headrace, golden: Golden, shop: Path) -> None:
    assert headrace("backfill", "shop.py", "--to", "2026-01-07", "--no-report", "--json").code == 0
    (shop / "shop.py").write_text(SHOP.replace('.csv")', '.csv", max_rejected=1.0, unique=hr.unique("customer", over="history"))'))
    plan = headrace("plan", "shop.py", "--at", "2026-01-08")
    run = headrace("run", "shop.py", "--at", "2026-01-08", "--no-report", "--jobs", "1")
    assert run.code == 1
    assert run.err.strip().removeprefix("error: ") in plan.out
    golden(f"{plan.out}\n----\n{run.out}\n{run.err}")


PROD = """\
[prod]
lake = "s3://acme-lake/prod"

[prod.sources.states]
location = "s3://acme-raw/petrol/petrol_consumption.csv"

[prod.sources.purchases]
location = "s3://acme-raw/shop/{start:%Y-%m-%d}.csv"
"""


@pytest.mark.parametrize("example", ["petrol", "shop"])
def test_policies_of(headrace: Headrace, golden: Golden, folder: Path, project: Path, example: str) -> None:
    (folder / "headrace.toml").write_text(PROD)
    (folder / f"{example}.py").write_text((project / "examples" / f"{example}.py").read_text(encoding="utf-8"))
    golden(headrace("iam", f"{example}.py", "--profile", "prod").out)


def test_no_policy_for_a_folder(headrace: Headrace, golden: Golden, shop: Path) -> None:
    said = headrace("iam", "shop.py")
    assert said.code == 2
    golden(said.err)


def test_a_step_that_raises(headrace: Headrace, golden: Golden, shop: Path) -> None:
    (shop / "shop.py").write_text(
        SHOP.replace('    return "select customer, spent, most', '    1 / 0\n    return "select customer, spent, most')
    )
    said = headrace("run", "shop.py", "--at", "2026-01-08", "--no-report", "--jobs", "1")
    assert said.code == 1
    golden(said.err)
