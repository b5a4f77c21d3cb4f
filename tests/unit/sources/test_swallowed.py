"""A stray quote that closes far below: the records that it swallowed are not kept as one value, nor as few enough to be passed over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import headrace as hr
from headrace.backends.sources import csv as csv_format
from headrace.core.dialect import Dialect
from headrace.core.errors import TooManyRejectedError
from headrace.core.records import Piece, Scanner
from headrace.core.swallowed import KIND, swallowed
from headrace.testing import Lab

HEADER = "id,item,note,price\n"


def rows(first: int, last: int) -> str:
    return "".join(f"{n},tea {n},,{n}.5\n" for n in range(first, last))


STRAY = HEADER + rows(1, 11) + '11,jam,"5,1.5\n' + rows(12, 62) + '62,"x",y,1\n' + rows(63, 200)
KEPT_AS_ONE = HEADER + rows(1, 11) + '11,jam,"5,1.5\n' + rows(12, 62) + '62,x,y",1\n' + rows(63, 200)


def read(folder: Path, text: str, **options: Any) -> Any:
    (folder / "sales.csv").write_text(text, newline="")
    shop = hr.Pipeline("shop", schedule="@daily")
    shop.source("sales", hr.csv(str(folder / "sales.csv"), **options), max_rejected=0.5)
    lab = Lab(shop)
    return lab.run("2026-11-20")[0], lab


@pytest.mark.parametrize(("text", "hidden"), [(STRAY, 50), (KEPT_AS_ONE, 50)])
def test_what_a_quote_swallowed_goes_to_quarantine_with_the_line_where_it_opened(tmp_path: Path, text: str, hidden: int) -> None:
    receipt, lab = read(tmp_path, text)
    (rejected,) = lab.read("sales.quarantine")
    assert (rejected["line"], rejected["reasons"]) == (12, [f"{KIND} ({hidden} lines, from the quote on line 12)"])
    assert rejected["raw"].decode() == text[text.index("11,jam") : text.index("63,tea")].rstrip("\n")
    assert receipt.rows_read == receipt.rows_kept + 1
    assert "50 lines stand in quotes and look like records" in receipt.notes[0]


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_lines_may_end_in_any_way(tmp_path: Path, ends: str) -> None:
    _, lab = read(tmp_path, KEPT_AS_ONE.replace("\n", ends))
    (rejected,) = lab.read("sales.quarantine")
    assert rejected["reasons"] == [f"{KIND} (50 lines, from the quote on line 12)"]


def test_the_lines_count_against_the_budget(tmp_path: Path) -> None:
    with pytest.raises(TooManyRejectedError, match=r"1 of 10 records .*In them are 100 lines that may be records, too"):
        read(tmp_path, HEADER + '0,jam,"5,1\n' + rows(0, 100) + '0,x,y",1\n' + rows(1, 10))


LETTER = "Dear Ana,\nthank you for the tea, the jam, and the nuts.\nOur shop, as you know, is closed.\nYours,\nBen\n" * 20


@pytest.mark.parametrize(
    "value",
    [
        LETTER,
        "\n" * 1000,
        "a,b\n" * 1000,  # a table of another width
        "a,b,c,d\n" * 4,
        "one\ntwo\nthree\n" * 100,
    ],
)
def test_a_text_of_many_lines_is_kept(tmp_path: Path, value: str) -> None:
    receipt, lab = read(tmp_path, HEADER + rows(1, 11) + f'11,jam,"{value}",1\n' + rows(12, 20))
    assert receipt.rows_quarantined == 0
    assert value in [row["note"] for row in lab.read("sales")]


def test_without_quotes_each_line_is_read(tmp_path: Path) -> None:
    receipt, _ = read(tmp_path, KEPT_AS_ONE, quote=None)
    assert (receipt.rows_kept, receipt.rows_quarantined) == (199, 0)


def test_a_mended_file_has_the_quotes_that_are_meant(tmp_path: Path) -> None:
    from headrace.core.ports import Landed

    path = tmp_path / "mended.csv"
    path.write_text(KEPT_AS_ONE)
    landed = Landed("mended.csv", path, "", path.stat().st_size, 148, is_mended=True)
    result = csv_format.open().read([landed], contract=None, options={}, rows=tmp_path / "rows", quarantine=tmp_path / "aside")
    assert (result.rows_kept, result.rows_quarantined, result.hidden) == (148, 0, 0)
    assert pq.read_table(tmp_path / "rows").num_rows == 148


@given(st.lists(st.lists(st.text('ab "\n\r', max_size=8), min_size=3, max_size=3), max_size=12), st.integers(2, 6))
def test_only_long_values_are_named_and_never_in_a_table_without_their_delimiter(table: list[list[str]], width: int) -> None:
    text = "\n".join(",".join('"' + field.replace('"', '""') + '"' for field in row) for row in table)
    scanner = Scanner("t", Dialect())
    pieces: list[Piece] = [piece for piece in (scanner.feed(b"x\n" + text.encode()), scanner.finish()) if piece]
    assert not any(swallowed(piece, width) for piece in pieces)
