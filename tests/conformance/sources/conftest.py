"""The formats that the suite runs on: each has a case here, which writes records in its own way, and inherits every test."""

from __future__ import annotations

import bz2
import gzip
import importlib
import io
import lzma
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet
from pydantic import BaseModel

from headrace.core.contract import contract_of
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

    def data(self, rows: Sequence[Sequence[str]], *, broken: str | None = None) -> bytes:
        """A file of these rows, the first of which is the header, and perhaps of a record that can't be read."""
        lines = [self.record(rows[0], row).decode() for row in rows]
        return self.pack(("\n".join([*lines, *([broken] if broken else [])]) + "\n").encode())

    def record(self, header: Sequence[str], row: Sequence[str]) -> bytes:
        """The bytes of one row as they stand in a file."""
        return ",".join('"' + text.replace('"', '""') + '"' if set(text) & set(',"\r\n') else text for text in row).encode()

    def unpacked(self, data: bytes) -> bytes:
        return self.unpack(data)


CASES = {
    "csv": Case("csv", ".csv"),
    "csv.gz": Case("csv", ".csv.gz", pack=partial(gzip.compress, mtime=0), unpack=gzip.decompress),
    "csv.bz2": Case("csv", ".csv.bz2", pack=bz2.compress, unpack=bz2.decompress),
    "csv.xz": Case("csv", ".csv.xz", pack=lzma.compress, unpack=lzma.decompress),
    "csv.zst": Case("csv", ".csv.zst", pack=zstd, unpack=unpacked_zstd),
    "csv.zip": Case("csv", ".csv.zip", pack=zipped, unpack=unzipped),
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
        self.format: SourceFormat = importlib.import_module(f"headrace.backends.sources.{case.flavour}").open()

    def land(self, data: bytes, *, name: str = "shop", chunk: int = 1 << 16) -> Landed:
        path = self.folder / f"{name}{self.case.suffix}"
        path.write_bytes(data)
        counter = self.format.counter(path.name, self.case.options)
        for at in range(0, len(data), chunk):
            counter.feed(data[at : at + chunk])
        return Landed(str(path), path, sha256(data).hexdigest(), len(data), counter.finish())

    def read(self, files: Sequence[Landed], model: type[BaseModel] | None = None) -> Reading:
        rows, quarantine = self.folder / "rows.parquet", self.folder / "quarantine.parquet"
        contract = contract_of(model) if model else None
        result = self.format.read(files, contract=contract, options=self.case.options, rows=rows, quarantine=quarantine)
        return Reading(result, _rows(rows), _rows(quarantine), rows.read_bytes())


def _rows(path: Path) -> list[tuple[object, ...]]:
    return [tuple(row.values()) for row in parquet.read_table(path).to_pylist()]


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    return Bench(request.param, tmp_path)
