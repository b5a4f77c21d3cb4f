"""What every format of sources promises."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from pydantic import BaseModel, Field

from headrace.core.errors import SourceError
from headrace.core.mending import MendableFormat
from headrace.core.ports import Column, Landed

if TYPE_CHECKING:
    from conftest import Bench


class Sale(BaseModel):
    item: str = Field(alias="Item")
    quantity: int = Field(alias="Quantity", gt=0)
    price: float | None = Field(alias="Price", ge=0)


HEADER = ("Item", "Quantity", "Price")


def test_rows_are_typed_named_by_the_contract_and_in_the_files_order(bench: Bench) -> None:
    read = bench.read([bench.land(bench.case.data([HEADER, ("tea", "2", "1.5"), ("mug", "1", "")]))], Sale)
    assert read.rows == [("tea", 2, 1.5), ("mug", 1, None)]
    assert read.result.schema == (
        Column("item", "VARCHAR", nullable=False),
        Column("quantity", "BIGINT", nullable=False),
        Column("price", "DOUBLE"),
    )


def test_rejects_keep_their_place_all_reasons_and_their_bytes(bench: Bench) -> None:
    case, bad, worse = bench.case, ("mug", "0", "-1"), ("", "x", "1")
    data = case.data([HEADER, ("tea", "2", "1"), bad, worse])
    read = bench.read([bench.land(data)], Sale)
    reasons = {
        bad: (["quantity", "price"], ["quantity: 0 is not above 0 (gt=0)", "price: -1 is below 0 (ge=0)"]),
        worse: (["item", "quantity"], ["item: missing", "quantity: 'x' is not an integer of 64 bits or fewer"]),
    }
    assert read.quarantine == [
        (
            f"shop{case.suffix}",
            *case.place(data, case.record(HEADER, row)),
            *reasons[row],
            case.record(HEADER, row),
            len(case.record(HEADER, row)),
        )
        for row in (bad, worse)
    ]
    assert (read.result.rows_read, read.result.rows_kept, read.result.rows_quarantined) == (3, 1, 2)


def test_of_a_long_record_the_beginning_is_kept_and_its_size(bench: Bench) -> None:
    row = ("x" * 100_000, "0", "1")
    read = bench.read([bench.land(bench.case.data([HEADER, row, ("tea", "1", "1")]))], Sale)
    record = bench.case.record(HEADER, row)
    assert [(raw, size) for *_, raw, size in read.quarantine] == [(record[:65_536], len(record))]
    assert read.rows == [("tea", 1, 1.0)]


def test_reasons_are_counted_without_their_values_and_have_an_example(bench: Bench) -> None:
    rows = [HEADER, *[("tea", str(-n), "1") for n in range(3)], ("tea", "one", "1")]
    read = bench.read([bench.land(bench.case.data(rows))], Sale)
    assert read.result.reasons == {"quantity: is not above 0 (gt=0)": 3, "quantity: is not an integer of 64 bits or fewer": 1}
    record = bench.case.record(HEADER, rows[1])
    line, _ = bench.case.place(bench.case.data(rows), record)
    assert read.result.examples["quantity: is not above 0 (gt=0)"] == f"shop{bench.case.suffix}:{line}: {record.decode()}"


def test_a_record_that_no_parser_can_read_is_quarantined_and_the_others_are_not(bench: Bench) -> None:
    case = bench.case
    data = case.data([HEADER, ("tea", "1", "1"), ("mug", "2", "2")], broken=case.broken)
    read = bench.read([bench.land(data)], Sale)
    assert read.rows == [("tea", 1, 1.0), ("mug", 2, 2.0)]
    ((_, line, offset, columns, reasons, raw, _size),) = read.quarantine
    assert (columns, reasons, raw) == ([], [case.why_broken], case.broken.encode())
    assert (line, offset) == case.place(data, raw)


def test_columns_that_the_contract_does_not_declare_are_kept_out_and_listed(bench: Bench) -> None:
    data = bench.case.data([("Colour", "Price", "Quantity", "Item"), ("red", "2", "1", "tea")])
    read = bench.read([bench.land(data)], Sale)
    assert (read.rows, read.result.undeclared) == ([("tea", 1, 2.0)], ("Colour",))


def test_a_file_without_the_contracts_columns_is_refused_with_the_nearest_names(bench: Bench) -> None:
    landed = bench.land(bench.case.data([("Item", "Quantty", "Price"), ("tea", "1", "1")]))
    with pytest.raises(SourceError, match=r"lacks 1 of the 3 columns .*\n  `Quantity`  Did you mean `Quantty`\?"):
        bench.read([landed], Sale)


def test_many_files_are_read_in_their_order(bench: Bench) -> None:
    files = [bench.land(bench.case.data([HEADER, (name, "1", "1"), (name, "0", "1")]), name=name) for name in ("b", "a", "c")]
    read = bench.read(files, Sale)
    assert [row[0] for row in read.rows] == ["b", "a", "c"]
    assert [row[0] for row in read.quarantine] == [f"{name}{bench.case.suffix}" for name in ("b", "a", "c")]


def test_no_files_make_an_empty_table_of_the_contracts_columns(bench: Bench) -> None:
    read = bench.read([], Sale)
    assert (read.rows, [column.name for column in read.result.schema]) == ([], ["item", "quantity", "price"])


def test_a_file_with_a_header_alone_has_no_rows(bench: Bench) -> None:
    assert bench.read([bench.land(bench.case.data([HEADER]))], Sale).result.rows_read == 0


def test_without_a_contract_the_types_are_those_that_every_record_has(bench: Bench) -> None:
    rows = [
        ("id", "price", "zip", "day", "at", "ok", "note", "empty"),
        ("1", "1.5", "08123", "2026-11-20", "2026-11-20T08:00:00Z", "true", "a", ""),
        ("2", "2", "1", "2026-11-21", "2026-11-20 09:00", "false", "", ""),
        ("", "", "", "", "", "", "", ""),
    ]
    read = bench.read([bench.land(bench.case.plain(rows))])
    assert [column.type for column in read.result.schema] == [
        "BIGINT",
        "DOUBLE",
        "VARCHAR",
        "DATE",
        "TIMESTAMP WITH TIME ZONE",
        "BOOLEAN",
        "VARCHAR",
        "VARCHAR",
    ]
    assert read.result.rows_quarantined == 0


def test_equal_bytes_make_equal_files(bench: Bench) -> None:
    data = bench.case.data([HEADER, *[("tea", str(n), "1.5") for n in range(5000)]])
    landed = bench.land(data)
    assert bench.read([landed], Sale).rows_bytes == bench.read([landed], Sale).rows_bytes


def test_a_count_that_does_not_agree_is_refused(bench: Bench) -> None:
    landed = bench.land(bench.case.data([HEADER, ("tea", "1", "1")]))
    landed.path.write_bytes(bench.case.data([HEADER, ("tea", "1", "1"), ("mug", "1", "1")]))
    with pytest.raises(SourceError, match="had 1 records when it landed, and 2 when it was read from the lake"):
        bench.read([landed], Sale)


def test_the_header_names_the_columns(bench: Bench) -> None:
    landed = bench.land(bench.case.data([HEADER, ("tea", "1", "1")]))
    assert bench.format.header(landed.path, bench.options) == HEADER


def test_the_records_of_a_file_are_told_one_by_one_with_their_places(bench: Bench) -> None:
    case, good, bad = bench.case, ("tea", "1", "1"), ("mug", "x", "1")
    data = case.data([HEADER, good, bad])
    landed = bench.land(data)
    found = [(record.line, record.offset, record.raw) for record in bench.format.records(landed.path, bench.options)]
    assert found == [(*case.place(data, case.record(HEADER, row)), case.record(HEADER, row)) for row in (good, bad)]
    assert len(found) == landed.records


def mendable(bench: Bench) -> MendableFormat:
    if not isinstance(bench.format, MendableFormat):
        pytest.skip("its records are no lines of text")
    return bench.format


def test_records_that_others_stand_for_are_left_out_wherever_they_are(bench: Bench) -> None:
    mendable(bench)
    text = bench.case.awkward[1]
    rows = [HEADER, ("tea", "1", "2.5"), ("jam", "-1", "1"), (text, "2", "3"), ("oil", "x", "1"), ("salt", "3", "1")]
    data = bench.case.data(rows, broken=bench.case.broken)
    landed = bench.land(data)
    out = frozenset(bench.case.place(data, bench.case.record(HEADER, row))[1] for row in (rows[1], rows[2], rows[5]))
    read = bench.read([replace(landed, left_out=out)], Sale)
    assert (read.rows, len(read.quarantine)) == ([(text, 2, 3.0)], 2)
    assert read.result.rows_read == landed.records - 3
    assert bench.read([replace(landed, left_out=out)]).result.rows_read == landed.records - 3


def test_a_record_that_is_left_out_has_to_be_there(bench: Bench) -> None:
    mendable(bench)
    landed = bench.land(bench.case.data([HEADER, ("tea", "1", "2.5"), ("jam", "-1", "1")]))
    with pytest.raises(SourceError, match="has no record that begins at byte 1, and one was mended there"):
        bench.read([replace(landed, left_out=frozenset({1}))], Sale)


def test_records_under_their_head_are_a_file_that_holds_the_same_ones(bench: Bench) -> None:
    quotes, lines = bench.case.awkward
    rows = [("tea", "1", "2.5"), (quotes, "-1", "1"), (lines, "2", "3")]
    landed = bench.land(bench.case.data([HEADER, *rows]))
    format_, options = mendable(bench), bench.options
    records = list(format_.records(landed.path, options))
    assert [record.raw for record in records] == [bench.case.record(HEADER, row) for row in rows]
    assert list(format_.bytes_at(landed.path, options, [(r.offset, len(r.raw)) for r in records])) == [r.raw for r in records]
    mended = bench.folder / "mended"
    mended.write_bytes(format_.head(bench.format.header(landed.path, options), options) + b"".join(r.raw + b"\n" for r in records))
    assert [r.raw for r in format_.records(mended, format_.mended_options(options))] == [r.raw for r in records]
    again = Landed("mended", mended, landed.sha256, mended.stat().st_size, landed.records, "mended-1.txt", is_mended=True)
    assert bench.read([again], Sale).rows == bench.read([landed], Sale).rows
