"""Keys of a source's rows: what is said of records that share one, and which declarations make no sense."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field

import headrace as hr
from headrace.backends.engines.duckdb import sifting
from headrace.core.errors import ConfigurationError, NotReadyError, PipelineError, SourceError, TooManyRejectedError
from headrace.core.keys import keys_of
from headrace.core.past import needs_past
from headrace.core.step import Source
from headrace.run.execute import execute_step
from headrace.run.inputs import missing_inputs
from headrace.run.mending import export_to_mend
from headrace.run.quarantined import quarantine_at
from headrace.run.recorded import accept
from headrace.run.replaying import replay
from headrace.run.tracing import traced
from headrace.testing import Lab

from .labs import going_on, planned, ran, said, versions

DAY = "2026-05-01"


class Customer(BaseModel):
    id: int | None = Field(alias="CustomerID")
    name: str
    city: str | None = None


def customers(folder: Path, **declared: Any) -> hr.Pipeline:
    shop = hr.Pipeline("shop", schedule="@daily", start=DAY)
    shop.source("customers", str(folder / "*.csv"), **{"contract": Customer, "max_rejected": 1.0, **declared})
    return shop


def write(folder: Path, *lines: str, name: str = "a.csv") -> None:
    (folder / name).write_text("\n".join(["CustomerID,name,city", *lines]) + "\n")


def reasons(lab: Lab) -> list[tuple[str, int, str]]:
    return [(row["file"], row["line"], row["reasons"][0]) for row in lab.read("customers.quarantine", DAY)]


def kinds(lab: Lab) -> Any:
    return lab.lake.manifest("shop.customers", DAY).content.details["reasons"]


def test_a_reason_says_where_the_record_is_that_was_kept_and_how_the_two_differ(tmp_path: Path) -> None:
    write(tmp_path, "1,Ana,Oslo", "2,Ben,Rome", "1,Ana,Oslo")
    write(tmp_path, "", "2,Bea,", "x,Cy,Bonn", name="b.csv")
    lab = Lab(customers(tmp_path, unique="id"))
    lab.run(DAY)
    assert reasons(lab) == [
        ("a.csv", 4, "id: 1 is not unique: it is also in a.csv:2, which was kept and is equal"),
        ("b.csv", 3, "id: 2 is not unique: it is also in a.csv:3, which was kept and differs in name, city"),
        ("b.csv", 4, "id: 'x' is not an integer of 64 bits or fewer"),
    ]
    assert kinds(lab) == {
        "id: is not an integer of 64 bits or fewer": 1,
        "id: is not unique, and a record with the same key that differs was kept": 1,
        "id: is not unique, and an equal record was kept": 1,
    }


def test_the_last_is_kept_where_that_is_said(tmp_path: Path) -> None:
    write(tmp_path, "1,Ana,Oslo", "1,Ana,Rome")
    lab = Lab(customers(tmp_path, unique=hr.unique("id", keep="last")))
    lab.run(DAY)
    assert [row["city"] for row in lab.read("customers", DAY)] == ["Rome"]
    assert reasons(lab) == [("a.csv", 2, "id: 1 is not unique: it is also in a.csv:3, which was kept and differs in city")]


def test_none_is_kept_where_that_is_said(tmp_path: Path) -> None:
    write(tmp_path, "1,Ana,Oslo", "1,Ana,Rome", "2,Ben,")
    lab = Lab(customers(tmp_path, unique=hr.unique("id", keep="none")))
    lab.run(DAY)
    assert [row["id"] for row in lab.read("customers", DAY)] == [2]
    assert reasons(lab) == [
        ("a.csv", 2, "id: 1 is not unique: it is also in a.csv:3, which was not kept either and differs in city"),
        ("a.csv", 3, "id: 1 is not unique: it is also in a.csv:2, which was not kept either and differs in city"),
    ]


def test_a_value_that_is_missing_is_equal_to_none_and_a_key_of_columns_is_equal_in_all(tmp_path: Path) -> None:
    write(tmp_path, ",Ana,", ",Ana,", "1,Ana,", "1,Ana,", "1,Ana,Oslo", "1,Ben,Oslo", "1,Cy,Oslo")
    lab = Lab(customers(tmp_path, unique=["id", "city"]))
    lab.run(DAY)
    assert len(lab.read("customers", DAY)) == 5
    assert reasons(lab)[0][2] == "id, city: (1, 'Oslo') is not unique: it is also in a.csv:6, which was kept and differs in name"


def test_keys_are_looked_at_one_after_the_other(tmp_path: Path) -> None:
    write(tmp_path, "1,Ana,", "1,Ben,", "2,Ben,", "3,Ben,")
    lab = Lab(customers(tmp_path, unique=[hr.unique("id"), hr.unique("name")]))
    lab.run(DAY)
    assert [(row["id"], row["name"]) for row in lab.read("customers", DAY)] == [(1, "Ana"), (2, "Ben")]


def test_columns_are_found_without_a_contract_and_one_that_is_not_there_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "1,Ana,Oslo", "1,Ana,Oslo")
    lab = Lab(customers(tmp_path, contract=None, unique="CustomerID"))
    lab.run(DAY)
    assert len(lab.read("customers", DAY)) == 1
    with pytest.raises(
        SourceError, match=r"unique or references names `CustomerId`, and there is no such column. Did you mean `CustomerID`"
    ):
        Lab(customers(tmp_path, contract=None, unique="CustomerId")).run(DAY)


def test_records_that_share_a_key_count_against_the_budget(tmp_path: Path) -> None:
    write(tmp_path, "1,Ana,Oslo", "1,Ana,Oslo")
    lab = Lab(customers(tmp_path, unique="id", max_rejected=0.2))
    with pytest.raises(TooManyRejectedError, match=r"1  id: is not unique, and an equal record was kept\n +a.csv:3: 1,Ana,Oslo"):
        lab.run(DAY)
    assert len(lab.lake.read("shop.customers.refused.quarantine")) == 1


def test_what_was_read_before_is_read_again_when_its_key_is_declared(tmp_path: Path) -> None:
    write(tmp_path, "1,Ana,Oslo", "1,Ana,Oslo")
    lab = Lab(customers(tmp_path))
    lab.run(DAY)
    before = lab.lake.manifest("shop.customers", DAY).content.fingerprint_parts["declaration"]
    assert "unique" not in before
    lab = going_on(lab, customers(tmp_path, unique="id"))
    assert said(planned(lab, DAY)) == {("customers", DAY): "run: `unique` changed"}
    lab.run(DAY)
    assert len(lab.read("customers", DAY)) == 1


def test_rows_keep_their_order_beyond_what_a_group_of_rows_holds(tmp_path: Path) -> None:
    count = 300_000
    write(tmp_path, *(f"{n % 299_990},n{n},c" for n in range(count)))
    lab = Lab(customers(tmp_path, unique="id"))
    lab.run(DAY)
    table = lab.lake.read("shop.customers", DAY)
    assert table.column("id").to_pylist() == list(range(299_990))
    assert [row["line"] for row in lab.read("customers.quarantine", DAY)] == list(range(299_992, 300_002))


@pytest.mark.parametrize("broken", [0, 3])
def test_where_memory_is_too_little_more_is_taken_or_the_setting_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: int
) -> None:
    write(tmp_path, *(f"{n % 150_000},n{n},c" for n in range(200_000)), *["x,bad,c"] * broken)
    tried: list[int] = []
    real = sifting._connected
    monkeypatch.setattr(sifting, "_connected", lambda folder, memory_mb: (tried.append(memory_mb), real(folder, memory_mb))[1])
    monkeypatch.setattr(sifting, "_MEMORIES_MB", (8, 300))
    lab = Lab(customers(tmp_path, unique="id"))
    lab.run(DAY)
    assert tried == [8, 300]
    assert lab.lake.read("shop.customers", DAY).column("id").to_pylist() == list(range(150_000))
    assert [row["line"] for row in lab.read("customers.quarantine", DAY)] == list(range(150_002, 200_002 + broken))
    monkeypatch.setattr(sifting, "_MEMORIES_MB", (8,))
    with pytest.raises(SourceError, match=r"8 MB of memory are too little to look for keys .* Raise memory= in headrace.toml"):
        Lab(customers(tmp_path, unique="id")).run(DAY)


# ---------------------------------------------------------------- declarations


def problems(pipeline: hr.Pipeline) -> str:
    with pytest.raises(PipelineError) as caught:
        pipeline.graph()
    return str(caught.value)


def test_a_key_of_a_field_that_the_contract_lacks_is_refused(tmp_path: Path) -> None:
    told = problems(customers(tmp_path, unique="CustomerID"))
    assert told.endswith(
        "source `customers`: unique names a column, and the contract `Customer` has no field `CustomerID`. That is `id` from the contract on."
    )
    assert "Did you mean `city`?" in problems(customers(tmp_path, unique=["id", "citi"]))


def test_a_key_of_another_pipelines_dataset_is_refused() -> None:
    shop = hr.Pipeline("shop")
    shop.source("spending", hr.dataset("crm.spending"), unique="id")
    assert "takes the rows of `crm.spending` as they are, so unique= can't be told of it" in problems(shop)


def test_what_is_no_key_is_refused(tmp_path: Path) -> None:
    for given in (3, [], ["id", hr.unique("name")], {"id": "name"}):
        assert "write a column, the columns of one key, or hr.unique" in problems(customers(tmp_path, unique=given))
    assert "names `id` twice" in problems(customers(tmp_path, unique=["id", "id"]))


def test_unique_says_what_is_wrong_where_it_is_called() -> None:
    with pytest.raises(ConfigurationError, match="names the columns of a key"):
        hr.unique()
    with pytest.raises(ConfigurationError, match="Did you mean `first`"):
        hr.unique("id", keep="frist")  # type: ignore[arg-type]
    assert keys_of("id") == keys_of(["id"]) == keys_of(hr.unique("id")) == keys_of([hr.unique("id")])


# ---------------------------------------------------------------- over history

NEXT, LAST = "2026-05-02", "2026-05-03"


class Order(BaseModel):
    id: int
    item: str


def orders(folder: Path, *, start: str | None = DAY, **declared: Any) -> hr.Pipeline:
    shop = hr.Pipeline("shop", schedule="@daily", start=start)
    location = declared.pop("location", str(folder / "{start:%Y-%m-%d}.csv"))
    shop.source("orders", location, **{"contract": Order, "max_rejected": 1.0, "unique": hr.unique("id", over="history"), **declared})

    @shop.table
    def counted(orders):  # type: ignore[no-untyped-def]
        return "select count(*) as n from orders"

    return shop


def drop(folder: Path, day: str, *lines: str) -> None:
    (folder / f"{day}.csv").write_text("\n".join(["id,item", *lines]) + "\n")


@pytest.fixture
def days(tmp_path: Path) -> Path:
    drop(tmp_path, DAY, "1,tea", "2,milk")
    drop(tmp_path, NEXT, "2,milk", "3,jam", "3,jam")
    drop(tmp_path, LAST, "3,jam", "4,rye")
    return tmp_path


def ids(lab: Lab, day: str) -> list[int]:
    return [row["id"] for row in lab.read("orders", day)]


def test_a_key_of_an_earlier_interval_is_not_unique_and_the_reason_names_it(days: Path) -> None:
    lab = Lab(orders(days))
    for day in (DAY, NEXT, LAST):
        lab.run(day)
    assert [ids(lab, day) for day in (DAY, NEXT, LAST)] == [[1, 2], [3], [4]]
    assert [row["reasons"][0] for row in lab.read("orders.quarantine", NEXT)] == [
        "id: 2 is not unique: the interval 2026-05-01 has it, and kept it",
        "id: 3 is not unique: it is also in 2026-05-02.csv:3, which was kept and is equal",
    ]
    assert lab.lake.manifest("shop.orders", LAST).content.details["reasons"] == {"id: is not unique: an earlier interval has it": 1}


def test_the_interval_before_is_made_first_and_a_task_waits_for_it(days: Path) -> None:
    lab = Lab(orders(days))
    assert list(said(planned(lab, NEXT)))[:2] == [("orders", DAY), ("orders", NEXT)]
    assert missing_inputs(lab.session, lab.graph.step("orders"), lab.interval(NEXT)) == [("orders", lab.interval(DAY))]
    assert needs_past(lab.graph, lab.graph.step("orders"))
    with pytest.raises(
        NotReadyError, match=r"2026-05-01 is not made, whose keys it builds on. Make it: headrace backfill .* --from 2026-05-01"
    ):
        execute_step(lab.session, "orders", lab.interval(NEXT))


def test_a_past_that_changed_makes_the_intervals_after_it_again_and_what_reads_equal_rows_not(days: Path) -> None:
    lab = Lab(orders(days), now="2026-05-04")
    ran(lab, DAY, NEXT, LAST)
    drop(days, DAY, "1,tea", "5,oil")
    ran(lab, DAY)
    decided = said(planned(lab, NEXT, LAST))
    assert decided["orders", NEXT] == "run: the keys of 2026-05-01 changed (v1 -> v2)"
    assert decided["orders", LAST] == "run: `orders` will be made"
    ran(lab, NEXT, LAST)
    assert [ids(lab, day) for day in (DAY, NEXT, LAST)] == [[1, 5], [2, 3], [4]]
    assert set(said(planned(lab, DAY, NEXT, LAST)).values()) == {"skip: nothing changed"}
    assert versions(lab, "counted") == {DAY: (1, 2), NEXT: (1, 2), LAST: (1,)}  # its rows are equal


def test_a_change_that_leaves_the_keys_makes_nothing_after_it_again(days: Path) -> None:
    lab = Lab(orders(days), now="2026-05-04")
    ran(lab, DAY, NEXT, LAST)
    drop(days, DAY, "1,coffee", "2,milk")
    ran(lab, DAY)
    assert said(planned(lab, NEXT))["orders", NEXT] == "skip: nothing changed"


def test_a_past_that_was_made_without_the_key_is_not_built_on(days: Path) -> None:
    lab = Lab(orders(days, unique=None), now="2026-05-04")
    ran(lab, DAY, NEXT)
    lab = going_on(lab, orders(days), now="2026-05-04")
    with pytest.raises(
        NotReadyError, match=r"was made when other keys, or of other types, were declared. Make the past again: headrace backfill"
    ):
        execute_step(lab.session, "orders", lab.interval(LAST))
    ran(lab, DAY, NEXT, LAST, is_backfill=True)
    assert [ids(lab, day) for day in (DAY, NEXT, LAST)] == [[1, 2], [3], [4]]


def test_a_trace_does_not_go_through_all_intervals_of_a_source_that_remembers(days: Path) -> None:
    lab = Lab(orders(days), now="2026-05-04")
    ran(lab, DAY, NEXT, LAST)
    found = traced(lab.session, "counted", lab.interval(LAST), "id", "4", most=5)
    assert [(one.interval.label, one.count) for one in found if one.dataset == "shop.orders"] == [(LAST, 1)]


def test_a_mended_record_that_takes_an_earlier_key_is_in_quarantine_and_one_that_takes_a_new_one_is_remembered(days: Path) -> None:
    lab = Lab(orders(days), now="2026-05-04")
    ran(lab, DAY, NEXT)
    export_to_mend(lab.session, "orders", quarantine_at(lab.session, "orders", NEXT), days / "mended.csv")
    (days / "mended.csv").write_text("id,item\n1,milk\n4,jam\n")
    lab.session = lab._session()
    replay(lab.session, "orders", days / "mended.csv")
    assert ids(lab, NEXT) == [3, 4]
    assert [row["reasons"][0] for row in lab.read("orders.quarantine", NEXT)] == [
        "id: 1 is not unique: the interval 2026-05-01 has it, and kept it"
    ]
    ran(lab, LAST)
    assert ids(lab, LAST) == []


def test_keys_over_history_that_make_no_sense_are_refused(days: Path) -> None:
    for keep in ("last", "none"):
        with pytest.raises(ConfigurationError, match="would take records out of earlier intervals, which are made and have been read"):
            hr.unique("id", keep=keep, over="history")
    with pytest.raises(ConfigurationError, match='Write "interval", "history", or a duration such as "30d"'):
        hr.unique("id", over="ever")
    assert "reads the same files in every interval" in problems(orders(days, location=str(days / "all.csv")))
    assert "so the pipeline needs a start=, where that begins" in problems(orders(days, start=None))


def test_a_key_whose_accepted_type_is_another_than_it_was_is_refused(days: Path) -> None:
    (days / f"{NEXT}.csv").write_text("id,item\nx,tea\n")
    lab = Lab(orders(days, contract=None), now="2026-05-04")
    ran(lab, DAY)
    lab.session = lab._session()
    source = lab.graph.steps["orders"]
    assert isinstance(source, Source)
    accept(lab.session, source, lab.interval(NEXT))
    (error,) = ran(lab, NEXT, steps=["orders"]).outcome.errors.values()
    assert "`id` is a VARCHAR, and a BIGINT in the keys of earlier intervals: no value of the one is ever equal to" in str(error)
