"""Avro in particular: codecs, types, blocks and their places, real files, and what is refused."""

from __future__ import annotations

import bz2
import io
import json
import lzma
import zlib
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import fastavro
import pyarrow as pa
import pytest
from pyarrow import parquet
from pydantic import BaseModel, Field

from headrace.backends.sources.avro import open as open_avro
from headrace.backends.sources.csv import open as open_csv
from headrace.backends.sources.parquet import open as open_parquet
from headrace.core.contract import Contract
from headrace.core.contract_models import contract_of
from headrace.core.errors import SourceError
from headrace.core.ports import Landed, ReadResult, SourceFormat

MARKER = b"-marks the end-\n"
PERSON = {"type": "record", "name": "Person", "fields": [{"name": "id", "type": "long"}, {"name": "name", "type": ["null", "string"]}]}


class Person(BaseModel):
    id: int = Field(gt=0)
    name: str | None


def people(count: int) -> list[dict[str, object]]:
    return [{"id": n, "name": f"Zoë {n}" if n % 3 else None} for n in range(1, count + 1)]


def written(schema: Mapping[str, object], records: Sequence[object], codec: str = "null", **more: Any) -> bytes:
    file = io.BytesIO()
    fastavro.writer(file, dict(schema), records, codec=codec, sync_marker=MARKER, **more)
    return file.getvalue()


def number(value: int) -> bytes:
    """A number as Avro writes it."""
    value = value * 2 if value >= 0 else -2 * value - 1
    found = bytearray()
    while value >= 128:
        found.append(value % 128 + 128)
        value //= 128
    return bytes([*found, value])


def block(count: int, data: bytes, marker: bytes = MARKER) -> bytes:
    return number(count) + number(len(data)) + data + marker


def bare(schema: Mapping[str, object], codec: str = "null") -> bytes:
    """A file's header alone."""
    told = {b"avro.codec": codec.encode(), b"avro.schema": json.dumps(schema).encode()}
    entries = b"".join(number(len(part)) + part for entry in told.items() for part in entry)
    return b"Obj\x01" + number(len(told)) + entries + number(0) + MARKER


def landed(path: Path, format_: SourceFormat | None = None, *, chunk: int = 1 << 16) -> Landed:
    data = path.read_bytes()
    counter = (format_ or open_avro()).counter(path.name, {})
    for at in range(0, len(data), chunk):
        counter.feed(data[at : at + chunk])
    return Landed(str(path), path, sha256(data).hexdigest(), len(data), counter.finish())


def read_file(
    path: Path, folder: Path, contract: Contract | None = None, format_: SourceFormat | None = None, **options: Any
) -> tuple[ReadResult, list[dict[str, Any]], list[dict[str, Any]]]:
    rows, quarantine = folder / "rows.parquet", folder / "quarantine.parquet"
    format_ = format_ or open_avro()
    result = format_.read([landed(path, format_)], contract=contract, options=options, rows=rows, quarantine=quarantine)
    return result, parquet.read_table(rows).to_pylist(), parquet.read_table(quarantine).to_pylist()


def read(data: bytes, folder: Path, contract: Contract | None = None, **options: Any) -> tuple[ReadResult, list[Any], list[Any]]:
    path = folder / "file.avro"
    path.write_bytes(data)
    return read_file(path, folder, contract, **options)


# ---------------------------------------------------------------- codecs and places


def squeezed(codec: str, data: bytes) -> bytes:
    if codec == "zstandard":
        return pa.Codec("zstd").compress(data, asbytes=True)
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    return {
        "deflate": lambda: deflater.compress(data) + deflater.flush(),
        "bzip2": lambda: bz2.compress(data),
        "xz": lambda: lzma.compress(data),
        "snappy": lambda: pa.Codec("snappy").compress(data, asbytes=True) + zlib.crc32(data).to_bytes(4, "big"),
        "null": lambda: data,
    }[codec]()


CODECS = ("null", "deflate", "snappy", "bzip2", "xz", "zstandard")


@pytest.mark.parametrize("codec", CODECS)
def test_blocks_of_every_codec_are_read(tmp_path: Path, codec: str) -> None:
    records = io.BytesIO()
    for person in people(500):
        fastavro.schemaless_writer(records, fastavro.parse_schema(PERSON), person)
    packed = squeezed(codec, records.getvalue())
    result, rows, _ = read(bare(PERSON, codec) + block(500, packed) + block(500, packed), tmp_path, contract_of(Person))
    assert (result.rows_read, rows) == (1000, people(500) * 2)


@pytest.mark.parametrize("codec", [codec for codec in CODECS if codec != "zstandard"])
def test_what_another_writer_compressed_is_read(tmp_path: Path, codec: str) -> None:
    assert read(written(PERSON, people(3000), codec, sync_interval=2000), tmp_path, contract_of(Person))[1] == people(3000)


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_the_count_is_the_same_however_the_bytes_come(tmp_path: Path, chunk: int) -> None:
    (tmp_path / "a.avro").write_bytes(written(PERSON, people(700), "deflate", sync_interval=500))
    assert landed(tmp_path / "a.avro", chunk=chunk).records == 700


def test_a_reject_has_the_number_of_its_record_its_block_and_all_its_values(tmp_path: Path) -> None:
    data = written(PERSON, [*people(900), {"id": -5, "name": "Zoë"}, *people(100)], sync_interval=1000)
    blocks = [(own.offset, own.num_records) for own in fastavro.block_reader(io.BytesIO(data))]
    assert len(blocks) > 5
    _, rows, (reject,) = read(data, tmp_path, contract_of(Person))
    before = 0
    for offset, count in blocks:
        if before < 901 <= before + count:
            assert (reject["line"], reject["byte_offset"]) == (901, offset)
        before += count
    assert (len(rows), reject["raw"]) == (1000, '{"id": -5, "name": "Zoë"}'.encode())


# ---------------------------------------------------------------- types


def fields(**types: object) -> dict[str, object]:
    return {"type": "record", "name": "R", "fields": [{"name": name, "type": type_} for name, type_ in types.items()]}


def test_logical_types_are_what_they_say_without_a_contract(tmp_path: Path) -> None:
    at = datetime(2026, 7, 1, 12, 0, 0, 5000, tzinfo=UTC)
    schema = fields(
        day={"type": "int", "logicalType": "date"},
        at={"type": "long", "logicalType": "timestamp-millis"},
        micros=["null", {"type": "long", "logicalType": "timestamp-micros"}],
        local={"type": "long", "logicalType": "local-timestamp-millis"},
        clock={"type": "int", "logicalType": "time-millis"},
        money={"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2},
        fixed={"type": "fixed", "name": "F", "size": 6, "logicalType": "decimal", "precision": 12, "scale": 3},
        key={"type": "string", "logicalType": "uuid"},
        kind={"type": "enum", "name": "E", "symbols": ["a", "b"]},
        small="int",
        ok="boolean",
        half="float",
    )
    record = {
        "day": date(2026, 7, 1), "at": at, "micros": None, "local": at.replace(tzinfo=None), "clock": at.time(), "money": Decimal("-2.50"),
        "fixed": Decimal("1.250"), "key": UUID(int=7), "kind": "b", "small": 3, "ok": True, "half": 0.5,
    }  # fmt: skip
    result, rows, _ = read(written(schema, [record]), tmp_path)
    assert rows == [{**record, "local": at, "key": str(UUID(int=7))}]
    assert [column.type for column in result.schema][5:7] == ["DECIMAL(9,2)", "DECIMAL(12,3)"]


def test_values_that_are_none_of_their_logical_type_spoil_their_record_alone(tmp_path: Path) -> None:
    class Day(BaseModel):
        n: int
        day: date | None
        money: Decimal | None = Field(max_digits=4, decimal_places=2)

    real = fields(
        n="long",
        day={"type": "int", "logicalType": "date"},
        money={"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2},
        clock={"type": "int", "logicalType": "time-millis"},
        text="string",
    )
    plain = fields(n="long", day="int", money="bytes", clock="int", text="bytes")
    good, amount = (1, 0, b"\x01", 5, b"x"), (99_999).to_bytes(3, "big")
    bad = [(2, 2**31 - 1, b"\x01", 5, b"x"), (3, 0, amount, 5, b"x"), (4, 0, b"\x01", -1, b"x"), (5, 0, b"\x01", 5, b"\xffx")]
    body = io.BytesIO()
    for record in [good, *bad]:
        fastavro.schemaless_writer(
            body, fastavro.parse_schema(plain), dict(zip(("n", "day", "money", "clock", "text"), record, strict=True))
        )
    _, rows, rejects = read(bare(real) + block(5, body.getvalue()), tmp_path, contract_of(Day))
    assert rows == [{"n": 1, "day": date(1970, 1, 1), "money": Decimal("0.01")}]
    assert [(reject["line"], reject["reasons"][0].partition(" is ")[2]) for reject in rejects] == [
        (2, "not a date (YYYY-MM-DD)"),
        (3, "not a decimal number of 4 digits"),
        (4, "not a time of day"),
        (5, "not UTF-8"),
    ]
    assert json.loads(rejects[3]["raw"])["text"] == "\\xffx"


def test_nested_records_are_found_by_path_and_unions_of_many_are_texts(tmp_path: Path) -> None:
    class Row(BaseModel):
        city: str | None = Field(alias="home.city")
        tags: str
        one: int | None
        counts: str
        big: float
        tree: str

    node = {"type": "record", "name": "Node", "fields": [{"name": "v", "type": "int"}, {"name": "next", "type": ["null", "Node"]}]}
    home = {"type": "record", "name": "Home", "fields": [{"name": "city", "type": "string"}]}
    schema = fields(
        home=["null", home],
        tags={"type": "array", "items": "string"},
        one=["null", "string", "long"],
        counts={"type": "map", "values": "int"},
        big=["int", "long"],
        tree=node,
    )
    records = [
        {
            "home": {"city": "Oslo"},
            "tags": ["a", "é"],
            "one": "17",
            "counts": {"x": 1},
            "big": 2**40,
            "tree": {"v": 1, "next": {"v": 2, "next": None}},
        },
        {"home": None, "tags": [], "one": 18, "counts": {}, "big": 1, "tree": {"v": 1, "next": None}},
    ]
    _, rows, _ = read(written(schema, records), tmp_path, contract_of(Row))
    assert [(row["city"], row["tags"], row["one"], row["counts"], row["big"]) for row in rows] == [
        ("Oslo", '["a","é"]', 17, '{"x":1}', 2.0**40),
        (None, "[]", 18, "{}", 1.0),
    ]
    assert json.loads(rows[0]["tree"])["v"] == 1


# ---------------------------------------------------------------- real files


def test_files_of_other_implementations_are_read(tmp_path: Path, shared_data: Path) -> None:
    folder = shared_data / "avro_interop"
    weather = [read_file(folder / f"weather{kind}.avro", tmp_path)[1] for kind in ("", "-deflate", "-snappy", "-zstd", "-sorted")]
    assert len(weather[0]) == 5
    assert weather[1:4] == [weather[0]] * 3
    assert sorted(weather[4], key=str) == sorted(weather[0], key=str)
    assert len(read_file(folder / "syncInMeta.avro", tmp_path)[1]) > 0
    assert [row["text"] for row in read_file(folder / "schemas" / "simple" / "data.avro", tmp_path)[1]][:1] == ["hello"]
    assert read_file(folder / "schemas" / "withUnion" / "data.avro", tmp_path)[1][0]["data1"] == "textValue"


class User(BaseModel):
    registration_dttm: datetime | None
    id: int | None
    first_name: str | None
    last_name: str | None
    email: str | None
    gender: str | None
    ip_address: str | None
    cc: int | None
    country: str | None
    birthdate: str | None
    salary: float | None
    title: str | None
    comments: str | None


def tables(kind: str, format_: SourceFormat, folder: Path, shared_data: Path) -> list[tuple[list[dict[str, Any]], list[str]]]:
    """The rows of the five tables in one format, and why others were rejected."""
    options = {} if kind == "csv" else {"null_words": [""]}
    found = []
    for n in range(1, 6):
        path = shared_data / "userdata_multi_format" / kind / f"userdata{n}.{kind}"
        _, rows, rejects = read_file(path, folder, contract_of(User), format_, **options)
        found.append((rows, [reason for reject in rejects for reason in reject["reasons"]]))
    return found


CHANGED_IN_CSV = {6: "gender", 7: "gender", 8: "gender", 9: "gender", 12: "email", 13: "email", 14: "email"}
"""What the publisher has put into the first CSV to be found, by id."""
SPLIT = ("country", "birthdate", "salary", "title")
"""What is shifted in the Parquet files where the CSV has quotes: whoever made them split it at every comma."""


def test_the_same_tables_are_equal_in_csv_avro_and_parquet_but_for_what_their_publisher_changed(tmp_path: Path, shared_data: Path) -> None:
    csv, avro, columns = (
        tables(kind, format_, tmp_path, shared_data)
        for kind, format_ in (("csv", open_csv()), ("avro", open_avro()), ("parquet", open_parquet()))
    )
    sizes = [[len(rows) for rows, _ in found] for found in (csv, avro, columns)]
    assert sizes == [[1000, 998, 1000, 1000, 1000]] * 2 + [[1000] * 5], "the second Avro file lacks the two records that the CSV has broken"
    assert [reasons for found in (csv, avro, columns) for _, reasons in found if reasons] == [
        ["salary: '$9.28' is not a number", "id: '7b' is not an integer of 64 bits or fewer"]
    ]
    columns[1] = ([row for n, row in enumerate(columns[1][0], 1) if n not in (2, 7)], [])  # they have NULL for what is broken
    for n in range(5):
        for text, record, typed in zip(csv[n][0], avro[n][0], columns[n][0], strict=True):
            changed = {"comments", *([CHANGED_IN_CSV.get(text["id"], "")] if n == 0 else [])}
            assert without(text, changed) == without(record, changed), "Avro"
            assert text["comments"] in (record["comments"], r",./;'[]\-="), "the Avro files have no backslash"
            at = text["registration_dttm"]
            assert typed["registration_dttm"] in (at, at - timedelta(hours=12 * (at.hour == 12))), "the Parquet files have no hour 12"
            split = set(SPLIT) if {",", '"'} & set(f"{text['country']}{text['title']}") else set()
            assert without(text, {*changed, *split, "registration_dttm"}) == without(typed, {*changed, *split, "registration_dttm"}), (
                "Parquet"
            )


def without(row: Mapping[str, object], names: set[str]) -> dict[str, object]:
    return {name: value for name, value in row.items() if name not in names}


# ---------------------------------------------------------------- what is refused


def test_what_is_no_avro_file_is_refused_when_it_lands(tmp_path: Path) -> None:
    data = written(PERSON, people(100), sync_interval=300)
    first = next(iter(fastavro.block_reader(io.BytesIO(data))))
    wrong: Mapping[bytes, str] = {
        b"": "is empty",
        b"Ob": "was cut short: it ends within its header",
        b"<html>no</html>" * 9: "is not an Avro file: it begins with b'<html>no",
        data[:60]: "was cut short: it ends within its header",
        data[:-1]: r"was cut short: it ends within the block that begins at byte \d+",
        data[: first.offset + 40]: rf"was cut short: it ends within the block that begins at byte {first.offset}\.",
        data + b"\x02": rf"was cut short: it ends within the block that begins at byte {len(data)}\.",
        data[:-16] + bytes(16): r"the block that begins at byte \d+ does not end in the file's marker",
        bare(PERSON) + number(-1) + number(0) + MARKER: "says that it has -1 records in 0 bytes",
        bare(PERSON) + number(1) + number(2**40) + MARKER: "would have 1099511627776 bytes, and 67108864 is the most",
        bare(PERSON) + b"\xff" * 11: r"there is no number at byte \d+",
        bare(PERSON, "lzo"): "compressed by the codec `lzo`, which is not read. Known: bzip2, deflate",
        bare(PERSON).replace(b'"type"', b"!type!"): "its header has no schema that can be read",
    }
    for bytes_, words in wrong.items():
        (tmp_path / "a.avro").write_bytes(bytes_)
        with pytest.raises(SourceError, match=words):
            landed(tmp_path / "a.avro")


def test_a_block_that_is_not_what_its_header_says_is_refused_with_its_place(tmp_path: Path) -> None:
    body = io.BytesIO()
    for person in people(10):
        fastavro.schemaless_writer(body, fastavro.parse_schema(PERSON), person)
    data, good = body.getvalue(), block(10, body.getvalue())
    place = len(bare(PERSON)) + len(good)
    wrong = {
        block(9, data): "it says that it has 9 records, and after them",
        block(11, data): "its record 11 ",
        block(10, data[:-1]): "its record 10 ",
        block(10, data + b"\x00"): "it says that it has 10 records, and after them 1 bytes are left",
        block(2**50, b""): f"it says that it has {2**50} records, in 0 bytes",
    }
    for own, words in wrong.items():
        with pytest.raises(SourceError, match=rf"`file.avro` is damaged in the block that begins at byte {place}: {words}"):
            read(bare(PERSON) + good + own + good, tmp_path, contract_of(Person))


@pytest.mark.parametrize("codec", ["deflate", "snappy", "bzip2", "xz", "zstandard"])
def test_damaged_compression_is_refused_with_its_block(tmp_path: Path, codec: str) -> None:
    body = io.BytesIO()
    for person in people(200):
        fastavro.schemaless_writer(body, fastavro.parse_schema(PERSON), person)
    packed = squeezed(codec, body.getvalue())
    half = len(packed) // 2
    for own in (packed[:half], packed[:half] + bytes([packed[half] ^ 0xFF]) + packed[half + 1 :], b"", packed + b"more"):
        with pytest.raises(SourceError, match="is damaged in the block that begins at byte"):
            read(bare(PERSON, codec) + block(200, own), tmp_path, contract_of(Person))


@pytest.mark.parametrize("codec", ["deflate", "snappy", "bzip2", "xz", "zstandard"])
def test_a_block_that_unfolds_without_end_is_refused(tmp_path: Path, codec: str) -> None:
    bomb = squeezed(codec, bytes(257 * 1024 * 1024))
    with pytest.raises(SourceError, match=r"unfolds to (more than 268435456|too many) bytes"):
        read(bare(PERSON, codec) + block(1, bomb), tmp_path, contract_of(Person))


def test_schemas_that_are_no_table_are_refused(tmp_path: Path) -> None:
    nulls = fields(a={"type": "array", "items": "null"})
    for schema, words in (
        ("long", "does not hold records"),
        (fields(), "does not hold records"),
        (nulls, "an array whose items have no bytes"),
        ({"type": "record", "name": "R", "fields": [{"nam\x80": "a", "type": "int"}]}, "a field that has no name"),
        ({"type": "record", "name": "R", "fields": ["a"]}, "a field that has no name"),
        ({"type": "record", "name": "R", "fields": "a"}, "a schema that can't be read"),
        (fields(a={"name": "A", "type": "A"}), "a type in it is made of itself"),
        (fields(a={"type": "array", "items": {"type": "record", "name": "I", "fields": 5}}), "whose items have no bytes"),
    ):
        with pytest.raises(SourceError, match=words):
            read(bare(schema), tmp_path)  # type: ignore[arg-type]
    with pytest.raises(SourceError, match="has the column `a` more than once"):
        read(bare({"type": "record", "name": "R", "fields": [{"name": "a", "type": "int"}] * 2}), tmp_path)
    with pytest.raises(SourceError, match="a schema with the type `Nope`, which it does not define"):
        read(bare(fields(a="Nope")), tmp_path)
