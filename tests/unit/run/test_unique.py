"""Keys of a source's rows: what is said of records that share one, and which declarations make no sense."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field

import headrace as hr
from headrace.core.errors import ConfigurationError, PipelineError, SourceError, TooManyRejectedError
from headrace.core.keys import keys_of
from headrace.testing import Lab

from .labs import going_on, planned, said

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
