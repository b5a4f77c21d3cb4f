"""Rows made of the elements of an array: records are kept, counted and quarantined whole, and each kept element is one row."""

from __future__ import annotations

import json
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet
from pydantic import AfterValidator, BaseModel, Field

import headrace as hr
from headrace.backends.sources import json as json_format
from headrace.core.contract_models import contract_of
from headrace.core.errors import PipelineError
from headrace.core.ports import Landed, ReadResult

Row = dict[str, Any]


class Line(BaseModel):
    sku: str = Field(alias="order.items.sku")
    order: int = Field(alias="id")
    price: Decimal = Field(alias="order.items.price", ge=0, max_digits=9, decimal_places=2)
    city: str | None = Field(None, alias="buyer.city")
    tags: list[str] = Field([], alias="order.items.tags")


def read(records: list[Any], folder: Path, model: type[BaseModel], path: str) -> tuple[ReadResult, list[Row], list[Row]]:
    file = folder / "orders.jsonl"
    data = "".join(json.dumps(record) + "\n" for record in records).encode()
    file.write_bytes(data)
    format_ = json_format.open()
    counter = format_.counter(file.name, {})
    counter.feed(data)
    landed = Landed(str(file), file, sha256(data).hexdigest(), len(data), counter.finish())
    rows, quarantine = folder / "rows.parquet", folder / "quarantine.parquet"
    result = format_.read([landed], contract=contract_of(model), options={"unnest": path}, rows=rows, quarantine=quarantine)
    return result, parquet.read_table(rows).to_pylist(), parquet.read_table(quarantine).to_pylist()


def test_each_element_is_a_row_beside_the_records_other_fields(tmp_path: Path) -> None:
    items = [{"sku": "a", "price": "1.50"}, {"sku": "b", "price": 2, "tags": ["x"]}]
    records = [{"id": 1, "order": {"items": items}, "buyer": {"city": "Oslo"}}, {"id": 2, "order": {"items": []}}]
    result, rows, quarantine = read(records, tmp_path, Line, "order.items")
    assert rows == [
        {"sku": "a", "order": 1, "price": Decimal("1.50"), "city": "Oslo", "tags": []},
        {"sku": "b", "order": 1, "price": Decimal("2.00"), "city": "Oslo", "tags": ["x"]},
    ]
    assert (result.rows_read, result.rows_kept, result.rows_written, quarantine) == (2, 2, 2, [])
    assert "2 rows are the elements of `order.items` of 2 records" in result.notes
    assert [column.name for column in result.schema] == list(Line.model_fields)


def test_a_record_with_a_bad_element_is_quarantined_whole(tmp_path: Path) -> None:
    items = [{"sku": "a", "price": 1}, {"sku": "b", "price": -1}]
    records = [{"id": 1, "order": {"items": items}}, {"id": 2, "order": {}}, {"id": 3, "order": {"items": 5}}]
    result, rows, quarantine = read(records, tmp_path, Line, "order.items")
    assert (rows, result.rows_quarantined, result.rows_written) == ([], 3, 0)
    assert [row["reasons"] for row in quarantine] == [
        ["order.items[1].price: -1 is below 0 (ge=0)"],
        ["order.items: missing"],
        ["order.items: '5' is not an array"],
    ]
    assert json.loads(quarantine[0]["raw"]) == records[0]


def test_elements_may_be_single_values(tmp_path: Path) -> None:
    class Tag(BaseModel):
        tags: int
        tag: Annotated[str, Field(max_length=2)] | None = Field(alias="labels")

    _, rows, quarantine = read([{"tags": 1, "labels": ["a", None]}, {"tags": 2, "labels": ["long"]}], tmp_path, Tag, "labels")
    assert rows == [{"tags": 1, "tag": "a"}, {"tags": 1, "tag": None}]
    assert [row["reasons"] for row in quarantine] == [["labels[0]: 'long' is longer than 2 (max_length=2)"]]


def test_elements_may_be_models(tmp_path: Path) -> None:
    class Item(BaseModel):
        sku: str
        n: int = Field(alias="count")

    class Order(BaseModel):
        order: int
        items: Item

    records = [{"order": 1, "items": [{"sku": "a", "count": 2}, {"sku": "b", "count": "3"}]}, {"order": 2, "items": [{"sku": "c"}]}]
    _, rows, quarantine = read(records, tmp_path, Order, "items")
    assert rows == [{"order": 1, "items": {"sku": "a", "n": 2}}, {"order": 1, "items": {"sku": "b", "n": 3}}]
    assert [row["reasons"] for row in quarantine] == [["items[0].count: missing"]]


@settings(max_examples=25)
@given(
    records=st.lists(
        st.lists(st.fixed_dictionaries({"sku": st.sampled_from(["a", "b", None]), "price": st.sampled_from([1, 2, -1])}), max_size=4),
        max_size=30,
    )
)
def test_the_rows_are_the_elements_of_the_records_that_are_kept_in_their_order(
    tmp_path_factory: pytest.TempPathFactory, records: list[list[Row]]
) -> None:
    given_ = [{"id": n, "order": {"items": items}} for n, items in enumerate([*records, [{"sku": "z", "price": 1}]])]
    sound = [one for one in given_ if all(item["sku"] and item["price"] > 0 for item in one["order"]["items"])]
    result, rows, quarantine = read(given_, tmp_path_factory.mktemp("unnesting"), Line, "order.items")
    assert [(row["order"], row["sku"]) for row in rows] == [(one["id"], item["sku"]) for one in sound for item in one["order"]["items"]]
    assert (result.rows_read, result.rows_kept, len(quarantine)) == (len(given_), len(sound), len(given_) - len(sound))


def test_what_can_not_be_unnested_is_told_before_anything_runs() -> None:
    class Outside(BaseModel):
        id: int

    class Both(BaseModel):
        whole: str = Field(alias="items")
        sku: Annotated[str, AfterValidator(str.upper)] = Field(alias="items.sku")

    shop = hr.Pipeline("shop", schedule="@daily", start="2026-01-01")
    shop.source("bare", hr.json("a.jsonl", unnest="items"))
    shop.source("outside", hr.json("a.jsonl", unnest="items"), contract=Outside)
    shop.source("both", hr.json("a.jsonl", unnest="items"), contract=Both, unique="whole")
    with pytest.raises(PipelineError) as caught:
        shop.graph()
    told = [problem.message.partition("is unnested by `items`: ")[2][:40] for problem in caught.value.problems]
    assert told == [
        "it needs a contract=, whose fields say w",
        "no field of its contract is in an elemen",
        "its elements can't be taken as a whole (",
        "the validators of `sku` would run over w",
        "unique= and references= are of records, ",
    ]
