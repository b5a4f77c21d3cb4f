"""What is said of files of which too many records are rejected: the option that reads them, where the file shows it, and else nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

import headrace as hr
from headrace.core.errors import SourceError, TooManyRejectedError
from headrace.testing import Lab

Refused = Callable[..., str]
ROWS = "".join(f"{n},tea {n},{n}.5\n" for n in range(2, 40))


class Sale(BaseModel):
    id: int
    item: str
    price: float


@pytest.fixture
def advice(tmp_path: Path) -> Refused:
    def refused(text: str, **options: Any) -> str:
        (tmp_path / "sales.csv").write_text(text)
        with pytest.raises(TooManyRejectedError) as caught:
            run(tmp_path, **options)
        return "\n".join(re.findall("What may help: (.*)", str(caught.value)))

    return refused


def run(folder: Path, *, contract: type[BaseModel] | None = None, **options: Any) -> Any:
    shop = hr.Pipeline("shop", schedule="@daily")
    shop.source("sales", hr.csv(str(folder / "sales.csv"), **options), contract=contract)
    return Lab(shop).run("2026-11-20")[0]


@pytest.mark.parametrize(
    ("text", "said", "options"),
    [
        (
            "id,item,price\n# of today\n1,tea,2\n#\n2,jam,3\n",
            "All of them that were looked at begin with '#', and no other record does: if they are comments, say comment='#'.",
            {"comment": "#"},
        ),
        (
            "Sales,of all shops\nmade,today\n\nid,item,price\n" + ROWS,
            "`sales.csv`: from line 4 on each record has 3 fields. If that line is the header, pass over what is before it: skip=3.",
            {"skip": 3},
        ),
        (
            "Sales\nname,city,kind\nAna,Rome,x\nBen,Bonn,y\n",
            "`sales.csv`: from line 2 on each record has 3 fields. If that line is the header, pass over what is before it: skip=1.",
            {"skip": 1},
        ),
        (
            "id,item\n1,tea,\n2,jam,\n3,nut,\n",
            "`sales.csv`: each record has 3 fields. Name them, and pass over the header: names=['id', 'item', 'column_3'], skip=1.",
            {"names": ["id", "item", "column_3"], "skip": 1},
        ),
        (
            '"item","price"\n"1","tea",2\n"2","jam",3\n"3","nut",4\n',
            "`sales.csv`: each record has 3 fields. Name them, and pass over the header: names=['row', 'item', 'price'], skip=1.",
            {"names": ["row", "item", "price"], "skip": 1},
        ),
        (
            "id,item,\n1,tea\n2,jam\n",
            "`sales.csv`: each record has 2 fields. Name them, and pass over the header: names=['id', 'item'], skip=1.",
            {"names": ["id", "item"], "skip": 1},
        ),
    ],
)
def test_the_option_that_is_named_reads_every_record(
    advice: Refused, tmp_path: Path, text: str, said: str, options: dict[str, Any]
) -> None:
    assert advice(text) == said
    read = run(tmp_path, **options)
    assert (read.rows_read, read.rows_quarantined) == (read.rows_kept, 0)


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("id,item,price\n# a\n1,tea,2\n2,jam\n", {}),  # one that is no comment
        ("id,item,price\n#1,tea,2\n#\n2,jam,3\n", {}),  # a record that begins so
        ("#id,item,price\n#\n1,tea,2\n", {}),  # the header would be a comment, too
        ("id,item\n1,tea,\n2,jam,x\n3,nut,\n", {}),  # not all end with nothing
        ("id,item\n1,tea,\n2,jam\n", {}),
        ("name,city\nAna,Rome,x\nBen,Bonn,y\nCy,Kiel,z\n", {}),  # which column lacks a name?
        ("a,b\n1,2,3\n4,5,6\n9,7,8\n", {"header": True}),
        ("1,tea,2\n2,jam,3\n", {"names": ["id", "item"]}),
        ("id,item,price\n1,tea,x,y\n2,jam,x\n3,nut,x,y\n", {}),
    ],
)
def test_where_the_file_does_not_show_it_nothing_is_named(advice: Refused, text: str, options: dict[str, Any]) -> None:
    assert advice(text, **options) == ""


def test_where_most_are_rejected_for_another_reason_nothing_is_named(tmp_path: Path) -> None:
    (tmp_path / "sales.csv").write_text("id,item,price\n#\nx,tea,2\nx,tea,2\n")
    with pytest.raises(TooManyRejectedError) as caught:
        run(tmp_path, contract=Sale)
    assert "What may help" not in str(caught.value)


def test_a_first_line_without_the_columns_of_the_contract_is_told_where_they_are(tmp_path: Path) -> None:
    (tmp_path / "sales.csv").write_text("Sales of today\n\nid,item,price\n1,tea,2\n")
    with pytest.raises(SourceError) as caught:
        run(tmp_path, contract=Sale)
    assert (
        "The first record of `sales.csv` (line 1) has none of the columns that are asked for, and line 3 has all of them: it is the header. "
        "Pass over what is before it: hr.csv(…, skip=2)."
    ) in str(caught.value)
    assert run(tmp_path, contract=Sale, skip=2).rows_kept == 1
