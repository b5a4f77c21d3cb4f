"""Parquet in particular: real files, places, nested columns, types without a contract, and what is refused."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet
from pydantic import BaseModel, Field

from headrace.backends.sources.parquet import open as open_parquet
from headrace.backends.sources.parquet.file import OpenedParquet
from headrace.backends.sources.parquet.footer import chunks_of
from headrace.core.contract import Contract
from headrace.core.contract_models import contract_of
from headrace.core.errors import SourceError
from headrace.core.ports import Column, Landed, ReadResult


def written(table: pa.Table, **options: Any) -> bytes:
    file = io.BytesIO()
    parquet.write_table(table, file, **options)
    return file.getvalue()


def counted(data: bytes, chunk: int = 1 << 16) -> int:
    counter = open_parquet().counter("file.parquet", {})
    for at in range(0, len(data), chunk):
        counter.feed(data[at : at + chunk])
    return counter.finish()


def read(
    data: bytes, folder: Path, contract: Contract | None = None, *, records: int | None = None, **options: Any
) -> tuple[ReadResult, list[dict[str, Any]], list[dict[str, Any]]]:
    path, rows, quarantine = folder / "file.parquet", folder / "rows.parquet", folder / "quarantine.parquet"
    path.write_bytes(data)
    landed = Landed(str(path), path, sha256(data).hexdigest(), len(data), counted(data) if records is None else records)
    result = open_parquet().read([landed], contract=contract, options=options, rows=rows, quarantine=quarantine)
    return result, parquet.read_table(rows).to_pylist(), parquet.read_table(quarantine).to_pylist()


class Person(BaseModel):
    id: int = Field(gt=0)


PEOPLE = pa.table({"id": range(1, 5001), "name": ["Ann"] * 5000})


# ---------------------------------------------------------------- places


def test_a_reject_has_the_number_of_its_row_its_row_group_and_all_its_values(tmp_path: Path) -> None:
    table = pa.table({
        "id": [*range(1, 2500), -1, *range(2501, 3001)],
        "name": ["Zoë"] * 3000,
        "amount": pa.array([Decimal("2.50")] * 3000, pa.decimal128(5, 2)),
        "at": pa.array([datetime(2026, 7, 1, tzinfo=UTC)] * 3000, pa.timestamp("ms", "UTC")),
        "raw": [b"\xff"] * 3000,
        "of": [{"day": date(2026, 7, 1), "shares": [0.5, float("nan")]}] * 3000,
    })  # fmt: skip
    data = written(table, row_group_size=1000)
    _, rows, (reject,) = read(data, tmp_path, contract_of(Person))
    third = parquet.read_metadata(pa.BufferReader(data)).row_group(2)
    assert (len(rows), reject["line"], reject["byte_offset"]) == (2999, 2500, third.column(0).dictionary_page_offset)
    assert json.loads(reject["raw"]) == {
        "id": -1,
        "name": "Zoë",
        "amount": "2.50",
        "at": "2026-07-01T00:00:00Z",
        "raw": "ff",
        "of": {"day": "2026-07-01", "shares": [0.5, "nan"]},
    }


@pytest.mark.parametrize("sizes", [[0], [0, 0], [0, 3], [2, 0, 3], [2, 0]])
def test_row_groups_without_rows_are_passed_over(tmp_path: Path, sizes: list[int]) -> None:
    file = io.BytesIO()
    with parquet.ParquetWriter(file, PEOPLE.schema) as writer:
        for size in sizes:
            writer.write_table(PEOPLE.slice(0, size), row_group_size=max(size, 1))
    assert [parquet.read_metadata(file).row_group(n).num_rows for n in range(len(sizes))] == sizes
    result, rows, _ = read(file.getvalue(), tmp_path)
    assert (result.rows_read, len(rows)) == (sum(sizes), sum(sizes))
    assert [row["id"] for row in rows] == [n for size in sizes for n in range(1, size + 1)]


def test_a_big_row_group_is_read_in_batches_of_a_bounded_size(tmp_path: Path) -> None:
    table = pa.table({"id": range(1, 201), "text": [f"{n:06d}" * 50_000 for n in range(200)]})
    (tmp_path / "a.parquet").write_bytes(written(table, use_dictionary=False))
    batches = list(OpenedParquet(tmp_path / "a.parquet", "a.parquet").batches())
    assert sum(batch.records.num_rows for batch in batches) == 200
    assert max(batch.records.nbytes for batch in batches) < 10_000_000
    assert [batch.first for batch in batches][:2] == [1, 1 + batches[0].records.num_rows]


def test_a_long_text_that_a_dictionary_repeats_is_unfolded_a_little_at_a_time(tmp_path: Path) -> None:
    text = pa.DictionaryArray.from_arrays(pa.array([0] * 1000 + [1], pa.int32()), pa.array(["x" * 200_000, "tea"]))
    (tmp_path / "a.parquet").write_bytes(written(pa.table({"text": text})))
    assert (tmp_path / "a.parquet").stat().st_size < 300_000
    sizes, texts = [], []
    for batch in OpenedParquet(tmp_path / "a.parquet", "a.parquet").batches():
        sizes.append((batch.first, batch.records.nbytes))
        texts += batch.records.column("text").to_pylist()
    assert texts == text.to_pylist()
    assert max(size for _, size in sizes) < 20_000_000
    assert [first for first, _ in sizes][:2] == [1, 63]


# ---------------------------------------------------------------- columns


def test_fields_inside_nested_columns_are_found_by_their_path(tmp_path: Path) -> None:
    class Order(BaseModel):
        city: str | None = Field(alias="buyer.home.city")
        buyer: str

    table = pa.table({
        "buyer": [{"home": {"city": "Oslo"}, "age": 3}, {"home": None, "age": 4}],
        "seller": [{"a": 1}, {"a": 2}],
        "n": [1, 2],
    })  # fmt: skip
    result, rows, _ = read(written(table), tmp_path, contract_of(Order))
    assert rows == [
        {"city": "Oslo", "buyer": '{"home":{"city":"Oslo"},"age":3}'},
        {"city": None, "buyer": '{"home":null,"age":4}'},
    ]
    assert result.undeclared == ("seller", "n")


def test_without_a_contract_the_types_are_the_files_own(tmp_path: Path) -> None:
    table = pa.table({
        "a": pa.array([1], pa.uint16()),
        "b": pa.array([1.5], pa.float32()),
        "c": pa.array([Decimal("1.50")], pa.decimal128(7, 2)),
        "d": pa.array([datetime(2026, 7, 1)], pa.timestamp("us")),
        "e": ["x"],
        "f": [[1, 2]],
        "g": [b"\x00"],
        "h": [date(2026, 7, 1)],
        "i": [True],
    })  # fmt: skip
    result, rows, _ = read(written(table), tmp_path, timezone="Europe/London")
    types = ["BIGINT", "DOUBLE", "DECIMAL(7,2)", "TIMESTAMP WITH TIME ZONE", "VARCHAR", "BIGINT[]", "DATE", "BOOLEAN"]
    assert result.schema == tuple(Column(name, type_) for name, type_ in zip("abcdefhi", types, strict=True))
    at = datetime(2026, 6, 30, 23, tzinfo=UTC)
    assert [tuple(row.values()) for row in rows] == [(1, 1.5, Decimal("1.50"), at, "x", [1, 2], date(2026, 7, 1), True)]
    assert result.undeclared == ("g",)


def test_files_of_different_types_need_a_contract(tmp_path: Path) -> None:
    files = []
    for name, table in (("a", pa.table({"id": [1]})), ("b", pa.table({"id": ["x"]}))):
        path = tmp_path / f"{name}.parquet"
        path.write_bytes(written(table))
        files.append(Landed(str(path), path, "", 0, 1))
    with pytest.raises(
        SourceError, match=r"different types: `id` is int in `a.parquet` and str in `b.parquet`. Give the source a contract"
    ):
        open_parquet().read(files, contract=None, options={}, rows=tmp_path / "rows", quarantine=tmp_path / "quarantine")


def test_names_with_quotes_spaces_and_dots_are_columns_like_any_other(tmp_path: Path) -> None:
    class Odd(BaseModel):
        a: int = Field(alias='say "it\'s"')
        b: int = Field(alias="x.y")

    table = pa.table({'say "it\'s"': [1], "x.y": [2], "X.Y": [3]})
    assert read(written(table), tmp_path, contract_of(Odd))[1] == [{"a": 1, "b": 2}]


# ---------------------------------------------------------------- what is refused


def test_what_is_no_parquet_file_is_refused_when_it_lands() -> None:
    data = written(PEOPLE, row_group_size=1000)
    wrong: Mapping[bytes, str] = {
        b"": "is empty",
        b"PAR1": "was cut short",
        b"<html>no</html>" * 9: r"is not a Parquet file: it begins with b'<html>no",
        data[:-1]: rf"was cut short: .* no footer at its end \(byte {len(data) - 1}\)",
        data[: len(data) // 2]: "was cut short",
        b"PARE" + data[4:]: "is an encrypted Parquet file",
        data[:-4] + b"PARE": "is an encrypted Parquet file",
        data[:-8] + b"\xff\xff\xff\x7f" + data[-4:]: "its footer would have 2147483647 bytes",
        data[:-600] + b"\xff" * 592 + data[-8:]: "has a footer that can't be read",
        written(pa.table({})): "has no columns",
    }
    for bytes_, words in wrong.items():
        with pytest.raises(SourceError, match=words):
            counted(bytes_)


def swapped(data: bytes, before: int, after: int, at_most: int = 1) -> bytes:
    """A file whose footer says another number, as Thrift writes numbers, in the last places where the number stands."""
    length = int.from_bytes(data[-8:-4], "little")
    footer = data[-8 - length : -8]
    old, new = zigzag(before), zigzag(after)
    assert footer.count(old)
    assert len(old) == len(new)
    head, *rest = footer.rsplit(old, at_most)
    return data[: -8 - length] + new.join([head, *rest]) + data[-8:]


def zigzag(number: int) -> bytes:
    number *= 2
    found = bytearray()
    while number >= 128:
        found.append(number % 128 + 128)
        number //= 128
    return bytes([*found, number])


@pytest.mark.parametrize("places", range(1, 6))
def test_a_footer_that_lies_is_refused(tmp_path: Path, places: int) -> None:
    data = written(pa.table({"id": range(1, 5001)}), compression="none", write_statistics=False, store_schema=False)
    with pytest.raises(SourceError, match="footer that lies"):
        read(swapped(data, 5000, 4999, places), tmp_path, contract_of(Person))


def test_a_footer_that_tells_what_can_not_be_is_refused_and_ends_no_process() -> None:
    data = written(PEOPLE, row_group_size=1000, write_statistics=True)
    length = int.from_bytes(data[-8:-4], "little")
    begin = len(data) - 8 - length
    said = []
    for at in range(begin, len(data) - 8):  # any byte of it, with the bits changed that are the kinds of fields, and the lengths of lists
        for bits in (0x10, 0x01):
            try:
                counted(data[:at] + bytes([data[at] ^ bits]) + data[at + 1 :])
            except SourceError as error:
                said.append(str(error))
    assert len(said) > length / 2


def test_a_file_with_encrypted_columns_is_refused() -> None:
    footer = bytes(
        [0x49, 0x1C, 0x19, 0x1C, 0x8C, 0x00, 0x00, 0x00, 0x00]
    )  # a row group with a column, of which the crypto_metadata are told
    with pytest.raises(SourceError, match="is an encrypted Parquet file"):
        chunks_of(footer + bytes(8), "file.parquet")


def test_damage_inside_is_refused_with_its_row_group(tmp_path: Path) -> None:
    data = bytearray(written(PEOPLE, row_group_size=1000, write_page_checksum=True))
    group = parquet.read_metadata(pa.BufferReader(bytes(data))).row_group(3)
    data[group.column(0).data_page_offset + 200] ^= 0xFF
    with pytest.raises(SourceError, match=r"`file.parquet` is damaged: row group 4 can't be read"):
        read(bytes(data), tmp_path, contract_of(Person))


def test_a_name_that_stands_twice_is_refused(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["id", "id"])
    with pytest.raises(SourceError, match="has the column `id` more than once"):
        read(written(table), tmp_path, contract_of(Person))


def test_a_column_without_a_name_needs_a_contract_of_the_others(tmp_path: Path) -> None:
    class Named(BaseModel):
        id: int

    data = written(pa.table({"id": [1], "": [2]}))
    with pytest.raises(SourceError, match=r"has a column without a name\. Give the source a contract of the others"):
        read(data, tmp_path, None)
    assert read(data, tmp_path, contract_of(Named))[1] == [{"id": 1}]


@pytest.mark.parametrize("values", [["x" * 100_000], [["x" * 100_000]]], ids=["flat", "nested"])
def test_a_page_that_unfolds_to_too_much_is_refused_before_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: list[Any]
) -> None:
    data = written(pa.table({"text": values}), compression="zstd", use_dictionary=False)
    assert len(read(data, tmp_path, None)[1]) == 1
    monkeypatch.setattr("headrace.backends.sources.parquet.pages._MOST_UNPACKED", 65_536)
    with pytest.raises(
        SourceError, match=r"has a page at byte 4 that unfolds from \d+ bytes to 0 MiB, .* write the file again with smaller pages"
    ):
        read(data, tmp_path, None)
