"""Keys and references of a gift shop's order lines, as it exported them: what is kept and let go of is what plain Python finds in the same files.

The files are split by Python's csv module, and the first of each key found in a dict; nothing of the answer comes from headrace.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field

import headrace as hr
from headrace.testing import Lab

pytestmark = pytest.mark.data

MONTHS = ["2010-12", "2011-01", "2011-02", "2011-03", "2011-04"]


class Line(BaseModel):
    invoice: str = Field(alias="InvoiceNo")
    stock_code: str = Field(alias="StockCode")
    description: str | None = Field(alias="Description")
    quantity: int = Field(alias="Quantity")
    invoiced_at: datetime = Field(alias="InvoiceDate")
    unit_price: float = Field(alias="UnitPrice")
    customer_id: int | None = Field(alias="CustomerID")
    country: str = Field(alias="Country")


@dataclass(frozen=True)
class Read:
    """A record as plain Python reads it."""

    file: str
    line: int
    values: dict[str, Any]

    @property
    def place(self) -> tuple[str, int]:
        return self.file, self.line

    def key(self, *columns: str) -> tuple[Any, ...] | None:
        found = tuple(self.values[column] for column in columns)
        return None if None in found else found


@cache
def month(folder: Path, name: str) -> tuple[Read, ...]:
    return tuple(record for path in sorted(folder.glob(f"{name}-*.csv")) for record in _records(path))


def _records(path: Path) -> Iterator[Read]:
    with path.open(encoding="utf-8", newline="") as file:
        reader, line = csv.reader(file), 1
        for number, texts in enumerate(reader):
            if number:
                invoice, code, description, quantity, at, price, customer, country = texts
                yield Read(
                    path.name,
                    line,
                    {
                        "invoice": invoice,
                        "stock_code": code,
                        "description": description or None,
                        "quantity": int(quantity),
                        "invoiced_at": at,
                        "unit_price": float(price),
                        "customer_id": int(float(customer)) if customer else None,
                        "country": country,
                    },
                )
            line = reader.line_num + 1


@pytest.fixture
def folder(shared_data: Path) -> Path:
    return shared_data / "online_retail_by_day"


def lines(folder: Path, **declared: Any) -> hr.Pipeline:
    shop = hr.Pipeline("shop", schedule="@monthly", start="2010-12-01")
    shop.source("lines", str(folder / "{start:%Y-%m}-*.csv"), contract=Line, max_rejected=1.0, **declared)
    return shop


def kept(lab: Lab, name: str) -> list[tuple[Any, ...]]:
    columns = ("invoice", "stock_code", "description", "quantity", "unit_price", "customer_id", "country")
    return [tuple(row[column] for column in columns) for row in lab.read("lines", f"{name}-01")]


def told(records: Sequence[Read]) -> list[tuple[Any, ...]]:
    return [tuple(value for column, value in record.values.items() if column != "invoiced_at") for record in records]


def let_go(lab: Lab, name: str) -> dict[tuple[str, int], list[str]]:
    """The reasons of each record in quarantine, by its place."""
    return {(row["file"], row["line"]): row["reasons"] for row in lab.read("lines.quarantine", f"{name}-01")}


def reasons(lab: Lab, name: str) -> Any:
    return lab.lake.manifest("shop.lines", f"{name}-01").content.details["reasons"]


@pytest.mark.parametrize("keep", ["first", "last", "none"])
def test_lines_of_an_invoice_that_name_one_product_twice_are_told_apart_by_what_differs(folder: Path, keep: Any) -> None:
    lab = Lab(lines(folder, unique=hr.unique("invoice", "stock_code", keep=keep)))
    for name in MONTHS[:2]:
        records = month(folder, name)
        groups: dict[Any, list[Read]] = {}
        for record in records:
            groups.setdefault(record.key("invoice", "stock_code"), []).append(record)
        expected: dict[tuple[str, int], str] = {}
        for (invoice, code), group in groups.items():
            for record in group:
                other = {"first": group[0], "last": group[-1], "none": group[-1] if record is group[0] else group[0]}[keep]
                if len(group) == 1 or other is record:
                    continue
                differing = [column for column, value in record.values.items() if value != other.values[column]]
                fate = "not kept either" if keep == "none" else "kept"
                likeness = f"differs in {', '.join(differing)}" if differing else "is equal"
                key = f"invoice, stock_code: ('{invoice}', '{code}')"
                expected[record.place] = f"{key} is not unique: it is also in {other.file}:{other.line}, which was {fate} and {likeness}"
        lab.run(f"{name}-01")
        assert kept(lab, name) == told([record for record in records if record.place not in expected])
        assert let_go(lab, name) == {place: [reason] for place, reason in expected.items()}
        equal = sum(reason.endswith("is equal") for reason in expected.values())
        assert sorted(reasons(lab, name).values()) == sorted([equal, len(expected) - equal])
        assert min(equal, len(expected) - equal) > 100  # there is something to tell apart


@pytest.mark.parametrize(("over", "days"), [("history", 10_000), ("62d", 62)])
def test_only_the_first_line_of_a_customer_is_kept_over_months(folder: Path, over: str, days: int) -> None:
    lab = Lab(lines(folder, unique=hr.unique("customer_id", over=over)))
    seen: dict[int | None, str] = {}  # by customer: the month in which a line of theirs was kept last
    for name in MONTHS:
        first: list[Read] = []
        past, counts = [other for other in MONTHS if other < name and reaches(name, other, days)], Counter[bool]()
        for record in month(folder, name):
            customer = record.values["customer_id"]
            if customer is None or seen.get(customer) not in (*past, name):
                first.append(record)
                seen[customer] = name
            else:
                counts[seen[customer] in past] += 1
        lab.run(f"{name}-01")
        assert kept(lab, name) == told(first)
        assert reasons(lab, name).get("customer_id: is not unique: an earlier interval has it", 0) == counts[True]
        assert sum(reasons(lab, name).values()) == len(let_go(lab, name)) == counts.total() > 1000
        assert (counts[True] > 1000) == (name != MONTHS[0])


def reaches(name: str, other: str, days: int) -> bool:
    """Whether a month is among those that start within some days before another one's end."""
    year, number = map(int, name.split("-"))
    end = datetime(year + number // 12, number % 12 + 1, 1)
    return (end - datetime.fromisoformat(f"{other}-01")).days <= days


class Customer(BaseModel):
    id: int
    country: str


def test_lines_refer_to_customers_and_products_of_the_first_two_months(folder: Path, tmp_path: Path) -> None:
    before = [record for name in MONTHS[:2] for record in month(folder, name)]
    customers = {record.values["customer_id"]: record.values["country"] for record in before if record.values["customer_id"]}
    products = {record.values["stock_code"] for record in before}
    _write(tmp_path / "customers.csv", ["id", "country"], customers.items())
    _write(tmp_path / "products.csv", ["stock_code"], ([code] for code in products))
    shop = lines(
        folder,
        references={"customer_id": hr.references("customers", "id"), "stock_code": "products"},
        unique=hr.unique("invoice", "stock_code"),
    )
    shop.source("customers", str(tmp_path / "customers.csv"), contract=Customer)
    shop.source("products", str(tmp_path / "products.csv"))
    lab = Lab(shop)
    for name in (MONTHS[1], MONTHS[3]):
        expected: dict[tuple[str, int], list[str]] = {}
        held: dict[Any, Read] = {}
        for record in month(folder, name):
            customer, code = record.values["customer_id"], record.values["stock_code"]
            strange = [f"customer_id: {customer} is not in shop.customers.id"] if customer and customer not in customers else []
            strange += [f"stock_code: '{code}' is not in shop.products.stock_code"] if code not in products else []
            if strange:
                expected[record.place] = strange
            elif held.setdefault(record.key("invoice", "stock_code"), record) is not record:
                expected[record.place] = ["not unique"]
        lab.run(f"{name}-01")
        assert kept(lab, name) == told([record for record in month(folder, name) if record.place not in expected])
        found = {place: ["not unique"] if "is not unique" in said[0] else said for place, said in let_go(lab, name).items()}
        assert found == expected
        assert any(len(strange) == 2 for strange in expected.values()) == (name not in MONTHS[:2])


def test_lines_refer_to_customers_of_some_months(folder: Path, tmp_path: Path) -> None:
    """A list of customers a month, of those who bought in the month before: on the first day of a month it is all that is known of them."""
    for last, name in pairwise(MONTHS):
        _write(tmp_path / f"{name}.csv", ["id", "country"], _customers(folder, last).items())
    shop = lines(folder, references={"customer_id": hr.references("customers", "id", history="62d")})
    shop.source("customers", str(tmp_path / "{start:%Y-%m}.csv"), contract=Customer, missing="empty")
    lab = Lab(shop)
    for name in MONTHS:
        lists = [other for other in MONTHS if other <= name and reaches(name, other, 62)]
        known = {customer for last, listed in pairwise(MONTHS) if listed in lists for customer in _customers(folder, last)}
        is_known = [record.values["customer_id"] in known or record.values["customer_id"] is None for record in month(folder, name)]
        lab.run(f"{name}-01")
        assert kept(lab, name) == told([record for record, fits in zip(month(folder, name), is_known, strict=True) if fits])
        assert len(let_go(lab, name)) == is_known.count(False) > 1000


def _customers(folder: Path, name: str) -> dict[int, str]:
    return {record.values["customer_id"]: record.values["country"] for record in month(folder, name) if record.values["customer_id"]}


def _write(path: Path, header: Sequence[str], rows: Any) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
