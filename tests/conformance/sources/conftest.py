"""The formats that the suite runs on: each has a case here, which writes records in its own way, and inherits every test."""

from __future__ import annotations

import gzip
import importlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import pytest
from pyarrow import parquet
from pydantic import BaseModel

from headrace.core.contract import contract_of
from headrace.core.ports import JSON, Landed, ReadResult, SourceFormat


@dataclass(frozen=True)
class Case:
    """How a format's files are made: rows of texts, and a row that no reader can take for one."""

    flavour: str
    suffix: str
    options: Mapping[str, JSON] = field(default_factory=dict)
    is_compressed: bool = False

    broken = "jar,3,3,3,3"
    why_broken = "record has 5 fields, the header has 3"

    def data(self, rows: Sequence[Sequence[str]], *, broken: str | None = None) -> bytes:
        """A file of these rows, the first of which is the header, and perhaps of a record that can't be read."""
        lines = [self.record(rows[0], row).decode() for row in rows]
        text = "\n".join([*lines, *([broken] if broken else [])]) + "\n"
        return gzip.compress(text.encode(), mtime=0) if self.is_compressed else text.encode()

    def record(self, header: Sequence[str], row: Sequence[str]) -> bytes:
        """The bytes of one row as they stand in a file."""
        return ",".join('"' + text.replace('"', '""') + '"' if set(text) & set(',"\r\n') else text for text in row).encode()

    def options_of(self, data: bytes) -> Mapping[str, JSON]:
        """The options with which a file is read."""
        return self.options

    def unpacked(self, data: bytes) -> bytes:
        return gzip.decompress(data) if self.is_compressed else data


@dataclass(frozen=True)
class JsonCase(Case):
    """An object on each line, with numbers and truth values where the texts are such; a text that is empty is null."""

    broken = '{"Item": "jar", "Quantity": 3'
    why_broken = "record is no JSON: expecting ',' delimiter at character 30"

    def data(self, rows: Sequence[Sequence[str]], *, broken: str | None = None) -> bytes:
        lines = [*(self.record(rows[0], row) for row in rows[1:]), *([broken.encode()] if broken else []), b""]
        text = b"\n".join(lines) or b"\n"
        return gzip.compress(text, mtime=0) if self.is_compressed else text

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

    def data(self, rows: Sequence[Sequence[str]], *, broken: str | None = None) -> bytes:
        lines = [" ".join(rows[0]), *(self.record(rows[0], row).decode() for row in rows[1:]), *([broken] if broken else [])]
        text = ("\n".join(lines) + "\n").encode()
        return gzip.compress(text, mtime=0) if self.is_compressed else text

    def record(self, header: Sequence[str], row: Sequence[str]) -> bytes:
        return " ".join(f'"{text}"' for text in row).encode()

    def options_of(self, data: bytes) -> Mapping[str, JSON]:
        names = self.unpacked(data).partition(b"\n")[0].decode().split()
        return {"skip": 1, "pattern": " ".join(f'"(?P<{name}>[^"]*)"' for name in names)}


CASES = {
    "csv": Case("csv", ".csv"),
    "csv.gz": Case("csv", ".csv.gz", is_compressed=True),
    "json": JsonCase("json", ".jsonl"),
    "json.gz": JsonCase("json", ".jsonl.gz", is_compressed=True),
    "logs": LogsCase("logs", ".log"),
    "logs.gz": LogsCase("logs", ".log.gz", is_compressed=True),
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


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    return Bench(request.param, tmp_path)
