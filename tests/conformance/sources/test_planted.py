"""Files of megabytes with planted defects: every format finds each of them at its place, whatever their density and position, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import TYPE_CHECKING, NamedTuple

import pytest
from pydantic import BaseModel, Field

if TYPE_CHECKING:
    from conftest import Bench, Case

HEADER = ("Item", "Quantity", "Price")
FORMATS = ("csv", "csv.gz", "json", "logs", "parquet", "avro")
RECORDS, FILLER = 14_000, "x" * 620  # 9 MB: more than a buffer, a piece, a task of a thread or a batch of any format
BORDERS = (1 << 16, 1 << 18, 1 << 20, 6 << 20)


class Sale(BaseModel):
    item: str = Field(alias="Item", pattern="^[a-z0-9]")
    quantity: int = Field(alias="Quantity", gt=0)
    price: float | None = Field(alias="Price", ge=0)


class Planted(NamedTuple):
    """A record as it is written, and the columns for which it is rejected; None for one that nobody can read."""

    row: Sequence[str]
    columns: Sequence[str] | None = ()


def good(n: int, case: Case) -> Planted:
    item = f"{n} {case.awkward[n % 2]}" if n % 50 == 0 else f"{n}"
    return Planted((f"{item} {FILLER}", str(n), "" if n % 3 == 0 else f"{n}.5"))


DEFECTS: Sequence[Callable[[str], Planted]] = (
    lambda item: Planted(("", "1", "1.5"), ["item"]),
    lambda item: Planted((f"?{item}", "1", ""), ["item"]),
    lambda item: Planted((item, "one", "1.5"), ["quantity"]),
    lambda item: Planted((item, "0", "1.5"), ["quantity"]),
    lambda item: Planted((item, "1.25", "1.5"), ["quantity"]),
    lambda item: Planted((item, "9223372036854775808", "1.5"), ["quantity"]),
    lambda item: Planted((item, "", "1.5"), ["quantity"]),
    lambda item: Planted((item, "1", "-0.5"), ["price"]),
    lambda item: Planted((item, "1", "1,5"), ["price"]),
    lambda item: Planted((item, "-1", "much"), ["quantity", "price"]),
    lambda item: Planted(("\udcff", "3", "3"), None),
)


def spread(share: float) -> Callable[[Random, Sequence[int]], set[int]]:
    return lambda random, offsets: set(random.sample(range(len(offsets)), max(1, round(share * len(offsets)))))


def across_borders(random: Random, offsets: Sequence[int]) -> set[int]:
    """The records that a border of a buffer lies in, the one before and the one after."""
    found = set[int]()
    for number, (start, end) in enumerate(zip(offsets, [*offsets[1:], offsets[-1]], strict=True)):
        if any(start // border != end // border for border in BORDERS):
            found |= {number - 1, number, number + 1}
    return found & set(range(len(offsets)))


PLACES: dict[str, Callable[[Random, Sequence[int]], set[int]]] = {
    "0.01 %": spread(0.0001),
    "1 %": spread(0.01),
    "10 %": spread(0.1),
    "50 %": spread(0.5),
    "99.99 %": spread(0.9999),
    "the first": lambda random, offsets: {0},
    "the last": lambda random, offsets: {len(offsets) - 1},
    "a block": lambda random, offsets: set(range(7_000, 9_000)),
    "across borders": across_borders,
}


@pytest.mark.parametrize("places", PLACES)
@pytest.mark.parametrize("bench", FORMATS, indirect=True)
def test_each_planted_defect_is_found_where_it_is_and_every_other_record_is_a_row(bench: Bench, places: str) -> None:
    case, random = bench.case, Random(places)
    plain = [good(n, case) for n in range(1, RECORDS + 1)]
    bad = PLACES[places](random, [offset for offset, _, _ in written(case, plain)])
    records = [random.choice(DEFECTS)(f"{n} {FILLER}") if n in bad else record for n, record in enumerate(plain)]
    read = bench.read([bench.land(file_of(case, records))], Sale)
    assert (read.result.rows_read, read.result.rows_kept, read.result.rows_quarantined) == (RECORDS, RECORDS - len(bad), len(bad))
    assert [(row[1], row[2]) for row in read.rows] == [
        (n + 1, None if (n + 1) % 3 == 0 else n + 1.5) for n in range(RECORDS) if n not in bad
    ]
    assert [str(row[0]) for row in read.rows] == [record.row[0] for n, record in enumerate(records) if n not in bad]
    wanted = [(line, offset, raw, records[n].columns) for n, (offset, line, raw) in enumerate(written(case, records)) if n in bad]
    found = read.quarantine
    assert [(row[1], row[5], row[6]) for row in found] == [(line, raw, len(raw)) for line, _, raw, _ in wanted]
    assert [row[3] for row in found] == [[] if columns is None else columns for *_, columns in wanted]
    if case.flavour not in ("parquet", "avro"):  # where a record lies in a row group or a block of its own kind
        assert [row[2] for row in found] == [offset for _, offset, _, _ in wanted]


def written(case: Case, records: Sequence[Planted]) -> Iterator[tuple[int, int, bytes]]:
    """The offset, line and bytes of each record in a file of them; a line is a record's number where there are no lines."""
    is_binary = case.flavour in ("parquet", "avro")
    head = b"" if is_binary else case.unpacked(case.data([HEADER]))
    offset, line = len(head), head.count(b"\n") + 1
    for record in records:
        raw = case.broken.encode() if record.columns is None else case.record(HEADER, record.row)
        yield offset, line, raw
        offset, line = offset + len(raw) + 1, line + 1 + (0 if is_binary else raw.count(b"\n"))


def file_of(case: Case, records: Sequence[Planted]) -> bytes:
    if case.flavour in ("parquet", "avro"):
        return case.data([HEADER, *(record.row for record in records)])
    head = case.unpacked(case.data([HEADER]))
    return case.pack(head + b"".join(raw + b"\n" for _, _, raw in written(case, records)))
