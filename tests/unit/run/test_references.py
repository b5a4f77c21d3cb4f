"""References of a source: records that name a row of another dataset which is not there, and the dataset as an input like any other."""

from __future__ import annotations

import os
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

import headrace as hr
from headrace.core.errors import NotReadyError, PipelineError, SourceError, TooManyRejectedError
from headrace.core.grouping import units_of
from headrace.run.execute import execute_step
from headrace.run.tracing import traced
from headrace.testing import Lab

from .labs import going_on, planned, ran, said

DAY, NEXT = "2026-05-01", "2026-05-02"


class Order(BaseModel):
    id: int
    customer_id: int | None = None
    shop: str | None = None


class Customer(BaseModel):
    id: int
    name: str


def write(path: Path, *lines: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "customers" / f"{DAY}.csv", "id,name", "1,Ana", "2,Ben")
    write(tmp_path / "orders" / f"{DAY}.csv", "id,customer_id,shop", "10,1,a", "11,3,a", "12,,b", "13,2,c")
    return tmp_path


def shop(folder: Path, references: Any = None, *, customers: Any = Customer, **declared: Any) -> hr.Pipeline:
    pipeline = hr.Pipeline("shop", schedule="@daily", start=DAY)
    own = pipeline.source("customers", str(folder / "customers" / "{start:%Y-%m-%d}.csv"), contract=customers, missing="fail")
    pipeline.source(
        "orders",
        str(folder / "orders" / "{start:%Y-%m-%d}.csv"),
        **{"contract": Order, "max_rejected": 1.0, "references": references or {"customer_id": hr.references(own, "id")}, **declared},
    )
    return pipeline


def orders(lab: Lab, day: str = DAY) -> tuple[list[int], list[tuple[int, list[str], list[str]]]]:
    kept = [row["id"] for row in lab.read("orders", day)]
    return kept, [(row["line"], row["columns"], row["reasons"]) for row in lab.read("orders.quarantine", day)]


def test_a_record_that_refers_to_no_row_is_in_quarantine_and_one_that_refers_to_nothing_is_kept(folder: Path) -> None:
    lab = Lab(shop(folder))
    receipts = {receipt.step: receipt for receipt in lab.run(DAY)}
    assert orders(lab) == ([10, 12, 13], [(3, ["customer_id"], ["customer_id: 3 is not in shop.customers.id"])])
    assert (receipts["orders"].rows_read, receipts["orders"].rows_kept, receipts["orders"].rows_quarantined) == (4, 3, 1)
    manifest = lab.lake.manifest("shop.orders", DAY)
    assert manifest.content.details["reasons"] == {"customer_id: is not in shop.customers.id": 1}
    assert [ref.dataset for ref in manifest.content.inputs] == ["shop.customers"]


def test_the_dataset_is_made_before_the_source_and_is_an_edge_of_every_graph(folder: Path) -> None:
    graph = shop(folder).graph()
    assert list(graph.steps) == ["customers", "orders"]
    assert units_of(graph.steps)["orders"].reads == ("customers",)
    assert graph.downstream_of(["customers"]) == {"customers", "orders"}


def test_the_source_is_made_again_when_what_it_refers_to_changed_and_the_plan_says_so(folder: Path) -> None:
    lab = Lab(shop(folder))
    lab.run(DAY)
    write(folder / "customers" / f"{DAY}.csv", "id,name", "1,Ana", "3,Cy")
    (folder / "orders" / f"{DAY}.csv").unlink()  # its bytes are in the lake
    assert said(planned(lab, DAY))["orders", DAY] == "run: `customers` will be made"
    (first, second) = lab.run(DAY)
    assert (first.step, second.step, second.state) == ("customers", "orders", "made")
    assert second.why == "what it refers to changed; read again from the bytes in the lake"
    assert orders(lab)[0] == [10, 11, 12]
    assert said(planned(lab, DAY))["orders", DAY] == "skip: nothing changed"
    lab.put("customers", [{"id": 2, "name": "Ben"}], DAY)
    assert said(planned(lab, DAY, steps=["orders"]))["orders", DAY] == f"run: `customers` changed ({DAY} v2 -> v3)"


def test_rows_that_are_as_they_were_make_nothing_again(folder: Path) -> None:
    lab = Lab(shop(folder))
    lab.run(DAY)
    write(folder / "customers" / f"{DAY}.csv", "id,name", "1,Ana", "2,Ben")
    assert {receipt.step: receipt.state for receipt in lab.run(DAY)}["orders"] != "made"
    assert orders(lab)[0] == [10, 12, 13]


def test_without_what_it_refers_to_the_source_is_not_ready(folder: Path) -> None:
    lab = Lab(shop(folder))
    with pytest.raises(NotReadyError, match=r"step `orders` .* reads `customers`: 1 of 1 intervals are not made"):
        execute_step(lab.session, "orders", lab.interval(DAY))


def test_a_record_that_breaks_two_references_has_two_reasons_and_holds_no_key(folder: Path) -> None:
    write(folder / "shops.csv", "shop", "a")
    write(folder / "orders" / f"{DAY}.csv", "id,customer_id,shop", "10,9,z", "10,1,a", "10,2,a")
    pipeline = shop(folder, {"customer_id": hr.references("customers", "id"), "shop": "shops"}, unique="id")
    pipeline.source("shops", str(folder / "shops.csv"))
    lab = Lab(pipeline)
    lab.run(DAY)
    assert lab.read("orders", DAY) == [{"id": 10, "customer_id": 1, "shop": "a"}]
    assert [row["reasons"] for row in lab.read("orders.quarantine", DAY)] == [
        ["customer_id: 9 is not in shop.customers.id", "shop: 'z' is not in shop.shops.shop"],
        ["id: 10 is not unique: it is also in 2026-05-01.csv:3, which was kept and differs in customer_id"],
    ]
    assert lab.read("orders.quarantine", DAY)[0]["columns"] == ["customer_id", "shop"]


def test_a_table_and_a_coarser_or_longer_past_are_referred_to_as_a_table_reads_them(folder: Path) -> None:
    write(folder / "customers" / f"{NEXT}.csv", "id,name", "3,Cy")
    write(folder / "orders" / f"{NEXT}.csv", "id,customer_id,shop", "20,1,a", "21,3,a", "22,4,a")
    history = Lab(shop(folder, {"customer_id": hr.references("customers", "id", history="2d")}))
    history.run(DAY)
    history.run(NEXT)
    assert orders(history, NEXT)[0] == [20, 21]
    weekly = hr.Pipeline("shop", schedule="@daily", start="2026-04-20")
    weekly.source("customers", str(folder / "customers" / f"{DAY}.csv"), contract=Customer, every="7d")
    weekly.source(
        "orders",
        str(folder / "orders" / "{start:%Y-%m-%d}.csv"),
        contract=Order,
        max_rejected=1.0,
        references={"customer_id": hr.references("known", "id")},
    )

    @weekly.table(every="7d")
    def known(customers):  # type: ignore[no-untyped-def]
        return "select id + 1 as id from customers"

    lab = Lab(weekly)
    ran(lab, NEXT)
    assert orders(lab, NEXT)[0] == [21]


def test_a_dataset_of_another_pipeline_is_referred_to_by_the_source_that_takes_it(folder: Path) -> None:
    def of_crm(refers_to: Any, *, is_taken: bool) -> hr.Pipeline:
        pipeline = hr.Pipeline("shop", schedule="@daily", start=DAY)
        pipeline.source(
            "orders",
            str(folder / "orders" / "{start:%Y-%m-%d}.csv"),
            contract=Order,
            max_rejected=1.0,
            references={"customer_id": refers_to},
        )
        if is_taken:
            pipeline.source("people", hr.dataset("crm.customers"))
        return pipeline

    crm = hr.Pipeline("crm", schedule="@daily", start=DAY)
    crm.source("customers", str(folder / "customers" / "{start:%Y-%m-%d}.csv"), contract=Customer)
    lab = Lab(crm)
    lab.run(DAY)
    for refers_to in ("crm.customers", hr.dataset("crm.customers"), hr.Dataset("crm", "customers"), "people"):
        own = going_on(lab, of_crm(hr.references(refers_to, "id"), is_taken=True))
        own.run(DAY)
        assert orders(own) == ([10, 12, 13], [(3, ["customer_id"], ["customer_id: 3 is not in crm.customers.id"])])
    assert (
        "`customer_id` refers to `crm.customers`, which is another pipeline's. Take it first, and refer to that: "
        "customers = shop.source('customers', hr.dataset('crm.customers'))"
    ) in problems(of_crm(hr.references("crm.customers", "id"), is_taken=False))


@pytest.mark.parametrize(
    ("named", "said"),
    [
        (
            "crm.customers.id",
            (
                "`customer_id` refers to `crm.customers.id`, and a dataset's full name has two parts; its column is named apart. Take the dataset first, and refer "
                "to that: customers = shop.source('customers', hr.dataset('crm.customers')), and references={'customer_id': hr.references(customers, 'id')}."
            ),
        ),
        ("people.id", "`customer_id` refers to `people.id`, and a dataset's column is named apart: hr.references('people', 'id')."),
        ("shop.people.id", "`customer_id` refers to `people.id`, and a dataset's column is named apart: hr.references('people', 'id')."),
        ("a.b.c.d", "`customer_id` refers to `a.b.c.d`, and a dataset's full name has two parts, as in 'shop.customers'."),
    ],
)
def test_a_column_that_is_named_after_its_dataset_as_in_sql_is_told_how_to_be_written(folder: Path, named: str, said: str) -> None:
    pipeline = hr.Pipeline("shop", schedule="@daily", start=DAY)
    pipeline.source("people", hr.dataset("crm.people"))
    pipeline.source("orders", str(folder / "{start:%Y-%m-%d}.csv"), contract=Order, references={"customer_id": named})
    assert said in problems(pipeline)


def test_no_rows_to_refer_to_let_go_of_every_record_that_refers_and_the_budget_tells(folder: Path) -> None:
    lab = Lab(shop(folder, max_rejected=0.5))
    lab.put("customers", [], DAY)
    (error,) = ran(lab, DAY, steps=["orders"]).outcome.errors.values()
    assert isinstance(error, TooManyRejectedError)
    assert re.search(r"3  customer_id: is not in shop\.customers\.id\n +2026-05-01\.csv:2: 10,1,a", str(error))


def test_a_source_that_takes_each_file_once_refers_too(folder: Path) -> None:
    write(folder / "in" / "a.csv", "id,customer_id,shop", "10,1,a", "11,3,a")
    pipeline = hr.Pipeline("shop", schedule="@daily", start=DAY)
    pipeline.source("customers", str(folder / "customers" / "{start:%Y-%m-%d}.csv"), contract=Customer)
    pipeline.source(
        "orders",
        hr.csv(str(folder / "in" / "*.csv"), only_new=True),
        contract=Order,
        max_rejected=1.0,
        references={"customer_id": hr.references("customers", "id")},
    )
    stamp = datetime(2026, 5, 1, 12, tzinfo=UTC).timestamp()
    os.utime(folder / "in" / "a.csv", (stamp, stamp))
    lab = Lab(pipeline)
    lab.run(DAY)
    assert orders(lab)[0] == [10]
    lab.put("customers", [{"id": 3, "name": "Cy"}], DAY)
    lab.session = lab._session()
    ran(lab, DAY, steps=["orders"])
    assert orders(lab)[0] == [11]


def test_a_trace_goes_on_into_what_a_source_refers_to(folder: Path) -> None:
    lab = Lab(shop(folder))
    lab.run(DAY)
    found = traced(lab.session, "orders", lab.interval(DAY), "id", "13", most=5)
    assert [(one.dataset, one.direction, one.count) for one in found if one.count] == [("shop.orders", "here", 1)]
    found = traced(lab.session, "orders", lab.interval(DAY), "customer_id", "2", most=5)
    assert ("shop.customers", "upstream") in [(one.dataset, one.direction) for one in found]


@given(
    own=st.lists(st.none() | st.integers(0, 5), max_size=10),
    others=st.lists(st.lists(st.integers(0, 5), max_size=4), min_size=3, max_size=3),
    days=st.integers(1, 3),
)
@settings(max_examples=25, deadline=None)
def test_what_is_kept_refers_to_what_is_there_of_the_days_that_are_asked_for(
    tmp_path_factory: pytest.TempPathFactory, own: list[int | None], others: list[list[int]], days: int
) -> None:
    folder = tmp_path_factory.mktemp("references")
    dates = ["2026-05-01", "2026-05-02", "2026-05-03"]
    for day, ids in zip(dates, others, strict=True):
        write(folder / "customers" / f"{day}.csv", "id,name", *(f"{number},x" for number in ids))
        write(folder / "orders" / f"{day}.csv", "id,customer_id,shop", *(f"{n},{'' if to is None else to},a" for n, to in enumerate(own)))
    lab = Lab(shop(folder, {"customer_id": hr.references("customers", "id", history=f"{days}d")}))
    for day in dates:
        lab.run(day)
    known = {number for ids in others[3 - days :] for number in ids}
    kept, let_go = orders(lab, dates[-1])
    assert kept == [n for n, to in enumerate(own) if to is None or to in known]
    assert [line - 2 for line, _, _ in let_go] == [n for n, to in enumerate(own) if to is not None and to not in known]


# ---------------------------------------------------------------- declarations


def problems(pipeline: hr.Pipeline) -> str:
    with pytest.raises(PipelineError) as caught:
        pipeline.graph()
    return str(caught.value)


def test_what_can_be_no_reference_is_told_before_anything_runs(folder: Path) -> None:
    assert "refers to `custmers`, but no step or source makes it. Did you mean `customers`?" in problems(
        shop(folder, {"customer_id": "custmers"})
    )
    assert "`customer_id` refers to `customers`, and the contract `Customer` has no field `customer_id`. Known: id, name." in problems(
        shop(folder, {"customer_id": "customers"})
    )
    assert "references names a column, and the contract `Order` has no field `customer`. Did you mean `customer_id`?" in problems(
        shop(folder, {"customer": hr.references("customers", "id")})
    )
    assert (
        "whose column `name` is a VARCHAR, and `customer_id` is a BIGINT: no value of the one is ever equal to one of the other."
        in problems(shop(folder, {"customer_id": hr.references("customers", "name")}))
    )
    assert "`id` refers to `orders`, which is itself" in problems(shop(folder, {"id": "orders"}))
    assert "`often` is not a duration" in problems(shop(folder, {"customer_id": hr.references("customers", "id", history="often")}))


def test_steps_that_refer_to_each_other_are_a_circle(folder: Path) -> None:
    pipeline = shop(folder)
    pipeline.source("a", str(folder / "a.csv"), references={"id": "b"})
    pipeline.source("b", str(folder / "b.csv"), references={"id": "a"})
    assert "Steps read each other in a circle: `a` -> `b` -> `a`" in problems(pipeline)


def test_a_column_that_only_the_rows_show_to_be_missing_or_of_another_type_is_refused_in_the_run(folder: Path) -> None:
    lab = Lab(shop(folder, {"customer_id": hr.references("customers", "number")}, customers=None))
    with pytest.raises(SourceError, match=r"references says that `customer_id` is in shop.customers.number, and there is no such column"):
        lab.run(DAY)
    lab = Lab(shop(folder, {"customer_id": hr.references("customers", "name")}, customers=None))
    with pytest.raises(SourceError, match=r"`customer_id` is a BIGINT, and shop.customers.name, which it refers to, is a VARCHAR"):
        lab.run(DAY)


def test_numbers_of_other_types_and_times_refer_to_each_other_by_value(tmp_path: Path) -> None:
    class Bill(BaseModel):
        amount: Decimal
        day: date

    write(tmp_path / "bills.csv", "amount,day", "1.00,2026-05-01", "1.5,2026-05-02")
    write(tmp_path / "paid.csv", "amount,day", "1,2026-05-01T00:00:00Z")
    pipeline = hr.Pipeline("shop", start=DAY)
    pipeline.source("paid", str(tmp_path / "paid.csv"))
    pipeline.source("bills", str(tmp_path / "bills.csv"), contract=Bill, max_rejected=1.0, references={"amount": "paid", "day": "paid"})
    lab = Lab(pipeline)
    lab.run(DAY)
    assert [row["reasons"] for row in lab.read("bills.quarantine", DAY)] == [
        ["amount: 1.500000000 is not in shop.paid.amount", "day: 2026-05-02 is not in shop.paid.day"]
    ]
