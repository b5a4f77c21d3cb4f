"""`headrace contract`: the class that it prints keeps, as a contract, the rows that were there without one."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commands import Said

import headrace as hr

Headrace = Callable[..., Said]

PIPELINE = """\
import headrace as hr
{before}

shop = hr.Pipeline("shop")
shop.source("sales", {location}, max_rejected="50%"{contract})
"""
CSV = """\
id;Full Name;Sold at;class;price;paid;note;code
1;Ana;2026-05-01T08:00:00Z;a;2.50;true;;007
2;"Bo;b";2026-05-01T09:30:00+02:00;;1;false;;12
3;Cy;2026-05-02T00:00:00Z;c;;true;;9
4;broken
""" + "".join(f"{n};Di;2026-05-02T00:00:00Z;c;{n}.25;true;;x{n}\n" for n in range(5, 30))
LOG = """\
192.0.2.7 - ana [17/May/2015:10:05:03 +0000] "GET /tea HTTP/1.1" 200 203023 "-" "Mozilla/5.0"
192.0.2.8 - - [17/May/2015:12:05:43 +0200] "-" 408 - "-" "-"
192.0.2.9 - - [17/May/2015:10:06:01 +0000] "GET / HTTP/1.1" 200 512 "-" "Mozi
"""
JSON = """\
{"id": 9007199254740993, "customer": {"name": "Ana"}, "from": "x", "paid": 0.10, "tags": ["new", 1.50]}
{"id": 2, "customer": {"name": "Ben"}, "from": null, "paid": 12.5}
{"id": 3, "customer": {"name": "Dan"
"""


_ITEMS = pa.list_(pa.struct([("Unit Price", pa.decimal128(5, 1)), ("time", pa.time64("us")), ("tags", pa.list_(pa.string()))]))
_BUYER = pa.struct([("town", pa.string()), ("rates", pa.list_(pa.decimal128(3, 2)))])


def _typed(folder: Path) -> None:
    table = pa.table(
        {
            "Id": pa.array([1, 2, None], pa.int16()),
            "Time": pa.array([time(1, 2, 3), None, time(23, 59)], pa.time64("us")),
            "day": pa.array([date(2026, 1, 1)] * 3),
            "closes": pa.array([time(18), time(19), time(20)], pa.time64("us")),
            "seen": pa.array([datetime(2026, 1, 1, 12), None, datetime(2026, 1, 2)], pa.timestamp("us", "UTC")),
            "price": pa.array([Decimal("1.25"), Decimal("99999.99"), None], pa.decimal128(7, 2)),
            "share": pa.array([0.5, 0.25, 1.0], pa.float32()),
            "is 'new' \"or\" not": pa.array([True, False, None]),
            "items": pa.array([[{"Unit Price": Decimal("1.5"), "time": time(1), "tags": ["a"]}, None], [], None], _ITEMS),
            "buyer": pa.array([{"town": "Oslo", "rates": [Decimal("0.10")]}, {"town": None, "rates": None}, None], _BUYER),
            "raw": pa.array([{"bytes": b"x"}] * 3),
        }
    )
    pq.write_table(table, folder / "sales.parquet")


CASES = {
    "csv": ('hr.csv("sales.csv", delimiter="auto")', lambda folder: (folder / "sales.csv").write_text(CSV)),
    "logs": ('hr.logs("sales.log", pattern="combined")', lambda folder: (folder / "sales.log").write_text(LOG)),
    "json": ('"sales.jsonl"', lambda folder: (folder / "sales.jsonl").write_text(JSON)),
    "parquet": ('"sales.parquet"', _typed),
}


def write(folder: Path, location: str, drafted: str | None = None) -> None:
    given = ("", "") if drafted is None else (drafted, ", contract=Sales")
    (folder / "shop.py").write_text(PIPELINE.format(before=given[0], location=location, contract=given[1]))


@pytest.mark.parametrize("kind", CASES)
def test_what_is_printed_keeps_as_a_contract_the_rows_that_were_there_without_one(headrace: Headrace, folder: Path, kind: str) -> None:
    location, make = CASES[kind]
    make(folder)
    write(folder, location)
    assert headrace("run", "shop.py", "--no-report").code == 0
    lake = hr.open_lake(folder / "lake")
    before = lake.read("shop.sales")
    assert before.num_rows >= 2
    said = headrace("contract", "shop.py", "sales")
    assert said.code == 0, said.err
    write(folder, location, said.out)
    assert headrace("run", "shop.py", "--no-report").code == 0
    after = lake.read("shop.sales")
    assert [without_names(row) for row in after.to_pylist()] == [without_names(row) for row in before.to_pylist()]
    assert lake.read("shop.sales.quarantine").num_rows == (kind != "parquet")
    again = headrace("contract", "shop.py", "sales")
    assert [line for line in again.out.splitlines() if line[:1] != "#"] == [line for line in said.out.splitlines() if line[:1] != "#"]


def without_names(value: object) -> object:
    if isinstance(value, dict):
        return tuple(without_names(inner) for inner in value.values())
    return [without_names(inner) for inner in value] if isinstance(value, list) else value


def test_it_tells_how_the_files_were_read_and_why_and_what_is_missing(headrace: Headrace, folder: Path) -> None:
    location, make = CASES["csv"]
    make(folder)
    write(folder, location)
    headrace("run", "shop.py", "--no-report")
    out = headrace("contract", "shop.py", "sales").out
    assert "delimiter ';'" in out
    assert "encoding 'utf-8' (all of it is)" in out
    assert '    full_name: str = Field(alias="Full Name")' in out
    assert '    class_: str | None = Field(alias="class")' in out
    assert "    price: float | None" in out
    assert "    code: str\n" in out
    told = json.loads(headrace("contract", "shop.py", "sales", "--json").out)
    assert (told["dataset"], told["version"], told["read_as"]["delimiter"]) == ("shop.sales", 1, ";")
    assert told["contract"] in out


RIDES = """\
from datetime import timedelta
from uuid import UUID

from pydantic import BaseModel

import headrace as hr


class Stop(BaseModel):
    stayed: {stayed}


class Ride(BaseModel):
    id: UUID
    lasted: {lasted}
    stops: list[Stop] = []


shop = hr.Pipeline("shop")
shop.source("sales", "rides.jsonl", contract=Ride)
"""


def test_what_a_contract_keeps_as_a_number_or_a_text_is_drafted_as_what_it_is(headrace: Headrace, folder: Path) -> None:
    one = {"id": "6a2f41a3-c54c-4ce8-b2d2-d45a5c4a1c11", "lasted": "PT5M", "stops": [{"stayed": "1 day, 0:00:00"}]}
    (folder / "rides.jsonl").write_text(json.dumps(one) + "\n")
    (folder / "shop.py").write_text(RIDES.format(stayed="timedelta", lasted="timedelta"))
    assert headrace("run", "shop.py", "--no-report").code == 0
    out = headrace("contract", "shop.py", "sales").out
    assert "from datetime import timedelta\nfrom uuid import UUID\n" in out
    assert "    lasted: timedelta\n" in out
    assert "    id: UUID\n" in out
    assert "    stayed: timedelta | None\n" in out


def test_rows_of_before_a_contract_are_drafted_as_their_columns_and_not_as_it_says(headrace: Headrace, folder: Path) -> None:
    (folder / "rides.jsonl").write_text('{"id": "6a2f41a3-c54c-4ce8-b2d2-d45a5c4a1c11", "lasted": 5}\n')
    (folder / "shop.py").write_text(RIDES.format(stayed="int", lasted="int"))
    assert headrace("run", "shop.py", "--no-report").code == 0
    (folder / "shop.py").write_text(RIDES.format(stayed="int", lasted="timedelta"))
    assert "    lasted: int\n" in headrace("contract", "shop.py", "sales").out


def test_what_was_never_made_or_is_no_source_is_said(headrace: Headrace, folder: Path) -> None:
    location, make = CASES["csv"]
    make(folder)
    write(folder, location)
    (folder / "shop.py").write_text((folder / "shop.py").read_text() + "\n\n@shop.table\ndef one(sales):\n    return 'select 1 as one'\n")
    headrace("run", "shop.py", "--no-report")
    never = headrace("contract", "shop.py", "sales", "--at", "2001-01-01")
    assert never.code == 3
    assert "headrace run shop.py --at 2001-01-01" in never.err
    table = headrace("contract", "shop.py", "one")
    assert table.code == 2
    assert "`one` is a table: only a source reads files" in table.err


def test_columns_that_changed_are_accepted_by_the_command_that_the_error_says(headrace: Headrace, folder: Path) -> None:
    (folder / "shop.py").write_text(
        'import headrace as hr\n\nshop = hr.Pipeline("shop", schedule="@daily", start="2026-05-01")\n'
        'shop.source("sales", "{start:%Y-%m-%d}.csv")\n'
    )
    (folder / "2026-05-01.csv").write_text("id,price\n1,2\n")
    (folder / "2026-05-02.csv").write_text("price,id\n2.5,1\n")
    assert headrace("run", "shop.py", "--at", "2026-05-01", "--no-report").code == 0
    refused = headrace("run", "shop.py", "--at", "2026-05-02", "--no-report")
    assert refused.code == 1
    (command,) = [line.split() for line in refused.err.splitlines() if line.startswith("  headrace ")]
    done = headrace(*command[1:], "--json")
    assert done.code == 0
    assert done.document == {
        "source": "sales",
        "accepted": True,
        "since": "2026-05-02",
        "columns": [["price", "DOUBLE"], ["id", "BIGINT"]],
        "changes": [{"change": "changed", "recorded": ["price", "BIGINT"], "found": ["price", "DOUBLE"]}],
    }
    assert headrace("run", "shop.py", "--at", "2026-05-02", "--no-report").code == 0
    assert "there is nothing to accept" in headrace(*command[1:]).out
    assert "# Columns: recorded is what" in headrace("contract", "shop.py", "sales").out
    assert headrace("contract", "shop.py", "sales", "--since", "2026-05-01").code == 2
    assert "_columns" not in headrace("ls", "shop.py").out
