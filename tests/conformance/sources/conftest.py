"""The formats that the suite runs on: each has a case here, which writes records in its own way, and inherits every test."""

from __future__ import annotations

import bz2
import gzip
import importlib
import io
import json
import lzma
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import partial
from hashlib import sha256
from pathlib import Path

import fastavro
import pyarrow as pa
import pytest
from pyarrow import parquet
from pydantic import BaseModel

from headrace.core.contract_models import contract_of
from headrace.core.ports import JSON, Landed, ReadResult, SourceFormat


def zipped(data: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("shop.csv"), data)
    return packed.getvalue()


def unzipped(data: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return archive.read("shop.csv")


def zstd(data: bytes) -> bytes:
    packed = pa.BufferOutputStream()
    with pa.CompressedOutputStream(packed, "zstd") as stream:
        stream.write(data)
    return packed.getvalue().to_pybytes()


def unpacked_zstd(data: bytes) -> bytes:
    with pa.CompressedInputStream(pa.BufferReader(data), "zstd") as stream:
        return bytes(stream.read())


@dataclass(frozen=True)
class Case:
    """How a format's files are made: rows of texts, and a row that no reader can take for one."""

    flavour: str
    suffix: str
    options: Mapping[str, JSON] = field(default_factory=dict)
    pack: Callable[[bytes], bytes] = bytes
    unpack: Callable[[bytes], bytes] = bytes

    broken = "jar,3,3,3,3"
    why_broken = "record has 5 fields, the header has 3"
    awkward = ('say "hi", twice', "two\nlines")  # texts that are hard to write in this format

    def data(self, rows: Sequence[Sequence[str]], *, broken: str | None = None) -> bytes:
        """A file of these rows, the first of which is the header, and perhaps of a record that can't be read."""
        lines = [self.record(rows[0], row).decode() for row in rows]
        return self.pack(("\n".join([*lines, *([broken] if broken else [])]) + "\n").encode())

    def record(self, header: Sequence[str], row: Sequence[str]) -> bytes:
        """The bytes of one row as they stand in a file."""
        return ",".join('"' + text.replace('"', '""') + '"' if set(text) & set(',"\r\n') else text for text in row).encode()

    def options_of(self, data: bytes) -> Mapping[str, JSON]:
        """The options with which a file is read."""
        return self.options

    def unpacked(self, data: bytes) -> bytes:
        return self.unpack(data)

    def place(self, data: bytes, record: bytes) -> tuple[int, int]:
        """The line and the offset of a record in a file."""
        text = self.unpacked(data)
        offset = text.index(record)
        return text[:offset].count(b"\n") + 1, offset

    def plain(self, rows: Sequence[Sequence[str]]) -> bytes:
        """A file of these rows that tells their types as well as it can."""
        return self.data(rows)


class ParquetCase(Case):
    """Rows as columns of texts, in row groups of a thousand; a record that can't be read has a text that is not UTF-8."""

    broken = '{"Item": "\\\\xff", "Quantity": "3", "Price": "3"}'
    why_broken = "the value of `Item` is not UTF-8"

    def data(self, rows: Sequence[Sequence[str]], *, broken: str | None = None) -> bytes:
        header, *records = rows
        own = [[text.encode("utf-8", "surrogateescape") or None for text in row] for row in records] + (
            [[b"\xff", b"3", b"3"]] if broken else []
        )
        columns = [pa.array([row[n] for row in own], pa.binary()).view(pa.string()) for n in range(len(header))]
        return written(pa.Table.from_arrays(columns, list(header)))

    def record(self, header: Sequence[str], row: Sequence[str]) -> bytes:
        return json.dumps({name: text or None for name, text in zip(header, row, strict=True)}, ensure_ascii=False).encode()

    def place(self, data: bytes, record: bytes) -> tuple[int, int]:
        file = parquet.ParquetFile(io.BytesIO(data))
        texts = zip(*([*map(readable, column.cast(pa.binary()).to_pylist())] for column in file.read().columns), strict=True)
        line = [self.record(file.schema_arrow.names, row) for row in texts].index(record) + 1
        return line, file.metadata.row_group((line - 1) // 1000).column(0).dictionary_page_offset

    def plain(self, rows: Sequence[Sequence[str]]) -> bytes:
        header, *records = rows
        return written(pa.table({name: typed([row[n] for row in records]) for n, name in enumerate(header)}))


class AvroCase(ParquetCase):
    """The same rows in a container of one codec, in blocks of a thousand."""

    def data(self, rows: Sequence[Sequence[str]], *, broken: str | None = None) -> bytes:
        header, *records = rows
        own = [[text.encode("utf-8", "surrogateescape") or None for text in row] for row in records] + (
            [[b"\xff", b"3", b"3"]] if broken else []
        )
        return container(header, "string", [dict(zip(header, row, strict=True)) for row in own], written_as="bytes")

    def place(self, data: bytes, record: bytes) -> tuple[int, int]:
        line = 0
        for block in fastavro.block_reader(io.BytesIO(data), handle_unicode_errors="backslashreplace"):
            for own in block:
                line += 1
                if json.dumps(own, ensure_ascii=False).encode() == record:
                    return line, block.offset
        raise ValueError(record)

    def plain(self, rows: Sequence[Sequence[str]]) -> bytes:
        header, *records = rows
        columns = [typed([row[n] for row in records]) for n in range(len(header))]
        types = [AVRO_TYPES.get(str(column.type), "string") for column in columns]
        own = [dict(zip(header, row, strict=True)) for row in zip(*(column.to_pylist() for column in columns), strict=True)]
        return container(header, types, own)


AVRO_TYPES: Mapping[str, object] = {
    "int64": "long",
    "double": "double",
    "bool": "boolean",
    "date32[day]": {"type": "int", "logicalType": "date"},
    "timestamp[us, tz=UTC]": {"type": "long", "logicalType": "timestamp-micros"},
}


def container(names: Sequence[str], types: object, records: Sequence[object], *, written_as: str = "") -> bytes:
    """An Avro file whose fields may be null, in blocks of a thousand; texts that are none are written as bytes, as which they are the same."""

    def schema(of: object) -> dict[str, object]:
        listed = of if isinstance(of, list) else [of] * len(names)
        return {"type": "record", "name": "Row", "fields": [{"name": n, "type": ["null", t]} for n, t in zip(names, listed, strict=True)]}

    file, own = io.BytesIO(), fastavro.parse_schema(schema(written_as or types))
    fastavro.writer(file, schema(types), [], sync_marker=b"-" * 16)
    for at in range(0, len(records), 1000):
        block = io.BytesIO()
        for record in records[at : at + 1000]:
            fastavro.schemaless_writer(block, own, record)
        file.write(zigzag(len(records[at : at + 1000])) + zigzag(len(block.getvalue())) + block.getvalue() + b"-" * 16)
    return file.getvalue()


def zigzag(number: int) -> bytes:
    """A number as Avro writes it."""
    number *= 2
    found = bytearray()
    while number >= 128:
        found.append(number % 128 + 128)
        number //= 128
    return bytes([*found, number])


def written(table: pa.Table) -> bytes:
    file = io.BytesIO()
    parquet.write_table(table, file, row_group_size=1000)
    return file.getvalue()


def readable(raw: bytes | None) -> str:
    return "" if raw is None else raw.decode("utf-8", "backslashreplace")


def typed(texts: Sequence[str]) -> pa.Array:
    """A column of the first type that takes all its texts."""
    for take in (whole, decimal_number, {"true": True, "false": False}.__getitem__, date.fromisoformat, instant):
        try:
            return pa.array([take(text) if text else None for text in texts]) if any(texts) else pa.array([None] * len(texts), pa.string())
        except (ValueError, KeyError):
            continue
    return pa.array([text or None for text in texts], pa.string())


def whole(text: str) -> int:
    if text != str(int(text)):
        raise ValueError(text)
    return int(text)


def decimal_number(text: str) -> float:
    if text.startswith("0") and not text.startswith("0."):
        raise ValueError(text)
    return float(text)


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text if text.endswith("Z") else f"{text}Z")


@dataclass(frozen=True)
class JsonCase(Case):
    """An object on each line, with numbers and truth values where the texts are such; a text that is empty is null."""

    broken = '{"Item": "jar", "Quantity": 3'
    why_broken = "record is no JSON: expecting ',' delimiter at character 30"

    def data(self, rows: Sequence[Sequence[str]], *, broken: str | None = None) -> bytes:
        lines = [*(self.record(rows[0], row) for row in rows[1:]), *([broken.encode()] if broken else []), b""]
        text = b"\n".join(lines) or b"\n"
        return self.pack(text)

    def record(self, header: Sequence[str], row: Sequence[str]) -> bytes:
        pairs = zip(header, row, strict=True)
        return ("{" + ", ".join(f"{json.dumps(name)}: {_json_value(text)}" for name, text in pairs) + "}").encode()


def _json_value(text: str) -> str:
    return text if re.fullmatch(r"-?(0|[1-9]\d*)(\.\d+)?|true|false", text) else json.dumps(text or None)


@dataclass(frozen=True)
class LogsCase(Case):
    """Texts in quotes; the first line, which is passed over, tells the suite the pattern's groups."""

    broken = '"jar" "3" "3" "3" "3" "3" "3" "3" "3"'
    why_broken = "line does not match the pattern"
    awkward = ("say 'hi', twice", "two\\nlines")

    def data(self, rows: Sequence[Sequence[str]], *, broken: str | None = None) -> bytes:
        lines = [" ".join(rows[0]), *(self.record(rows[0], row).decode() for row in rows[1:]), *([broken] if broken else [])]
        text = ("\n".join(lines) + "\n").encode()
        return self.pack(text)

    def record(self, header: Sequence[str], row: Sequence[str]) -> bytes:
        return " ".join(f'"{text}"' for text in row).encode()

    def options_of(self, data: bytes) -> Mapping[str, JSON]:
        names = self.unpacked(data).partition(b"\n")[0].decode().split()
        return {"skip": 1, "pattern": " ".join(f'"(?P<{name}>[^"]*)"' for name in names)}


PACKINGS: Mapping[str, tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]] = {
    "": (bytes, bytes),
    ".gz": (partial(gzip.compress, mtime=0), gzip.decompress),
    ".bz2": (bz2.compress, bz2.decompress),
    ".xz": (lzma.compress, lzma.decompress),
    ".zst": (zstd, unpacked_zstd),
    ".zip": (zipped, unzipped),
}

CASES = {
    **{f"csv{end}": Case("csv", f".csv{end}", pack=pack, unpack=unpack) for end, (pack, unpack) in PACKINGS.items()},
    **{f"json{end}": JsonCase("json", f".jsonl{end}", pack=pack, unpack=unpack) for end, (pack, unpack) in PACKINGS.items()},
    **{f"logs{end}": LogsCase("logs", f".log{end}", pack=pack, unpack=unpack) for end, (pack, unpack) in PACKINGS.items()},
    "parquet": ParquetCase("parquet", ".parquet"),
    "avro": AvroCase("avro", ".avro"),
}


@dataclass
class Reading:
    """One reading of files, and what came of it as plain rows."""

    result: ReadResult
    rows: list[tuple[object, ...]]
    quarantine: list[tuple[object, ...]]
    rows_bytes: bytes


class Bench:
    """Lands and reads files with one format, in a folder of its own."""

    def __init__(self, case: Case, folder: Path) -> None:
        self.case, self.folder = case, folder
        self.options: Mapping[str, JSON] = case.options
        self.format: SourceFormat = importlib.import_module(f"headrace.backends.sources.{case.flavour}").open()

    def land(self, data: bytes, *, name: str = "shop", chunk: int = 1 << 16) -> Landed:
        path = self.folder / f"{name}{self.case.suffix}"
        path.write_bytes(data)
        self.options = self.case.options_of(data)
        counter = self.format.counter(path.name, self.options)
        for at in range(0, len(data), chunk):
            counter.feed(data[at : at + chunk])
        return Landed(str(path), path, sha256(data).hexdigest(), len(data), counter.finish())

    def read(self, files: Sequence[Landed], model: type[BaseModel] | None = None) -> Reading:
        rows, quarantine = self.folder / "rows.parquet", self.folder / "quarantine.parquet"
        contract = contract_of(model) if model else None
        result = self.format.read(files, contract=contract, options=self.options, rows=rows, quarantine=quarantine)
        return Reading(result, _rows(rows), _rows(quarantine), rows.read_bytes())


def _rows(path: Path) -> list[tuple[object, ...]]:
    return [tuple(row.values()) for row in parquet.read_table(path).to_pylist()]


@pytest.fixture(params=CASES)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    return Bench(CASES[request.param], tmp_path)
