"""Arbitrary bytes as files of a format: each is refused in words, or every record that was counted is kept or quarantined.

`make fuzz FORMAT=csv SECONDS=60` runs it, with atheris (libFuzzer), which is brought for the while. What fails is left as `crash-…` beside
the corpus, and `python fuzz/sources.py csv CORPUS/crash-…` runs it again; it then gets a test of its own. The invariant: any exception but
an error of headrace's own is a defect, and so is a record that is in neither table, or in both.
"""

from __future__ import annotations

import pkgutil
import sys
from collections.abc import Callable, Mapping
from hashlib import sha256
from importlib import import_module
from io import BytesIO
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from headrace.core.contract import Contract, ContractField
from headrace.core.errors import HeadraceError
from headrace.core.ports import JSON, Landed, SourceFormat

Options = Mapping[str, JSON]

CONTRACT = Contract("Sale", (ContractField("n", "n", "int", ge=0), ContractField("text", "text", "str", nullable=True)))

# The first byte of an input chooses among these, and whether there is a contract; the rest are the file's bytes.
WAYS: Mapping[str, tuple[Options, ...]] = {
    "csv": (
        {},
        {"delimiter": "auto"},
        {"delimiter": "auto", "quote": "auto"},
        {"quote": None, "comment": "#"},
        {"escape": "\\", "skip": 1},
        {"header": False, "null_words": ("NA",), "thousands": ".", "decimal": ","},
        {"encoding": "cp1252"},
        {"names": ("n", "text"), "max_ratio": 2},
    ),
    "json": ({}, {"comment": "#"}, {"encoding": "utf-16-le"}),
    "logs": ({}, {"pattern": "syslog"}, {"pattern": "(?P<n>[0-9]+) (?P<text>.*)"}),
    "parquet": ({}, {"null_words": ("",)}),
    "avro": ({}, {"null_words": ("",)}),
}


def seeds(format_: str) -> list[bytes]:
    """Sound files to begin from."""
    if format_ == "parquet":
        held = BytesIO()
        parquet.write_table(pa.table({"n": [1, 2], "text": ["a", None], "of": [{"x": [1]}, None]}), held)
        return [held.getvalue()]
    if format_ == "avro":
        held, write = BytesIO(), import_module("fastavro").writer
        schema = {"type": "record", "name": "r", "fields": [{"name": "n", "type": "int"}, {"name": "text", "type": ["null", "string"]}]}
        write(held, schema, [{"n": 1, "text": "a"}, {"n": 2, "text": None}], codec="deflate")
        return [held.getvalue()]
    return {
        "csv": [b'n,text\n1,"a ""b"", c"\r\n2,\n# x\n', b"n;text\n1;'a'\n", b"n\ttext\n1.234,5\tNA\n", b"\xff\xfen\0,\0\n\0"],
        "json": [b'{"n": 1, "text": "a"}\n{"n": 2}\n', b'[{"n": 1}, {"n": [2, {"x": null}]}]'],
        "logs": [b'127.0.0.1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 5 "-" "-"\n', b"1 a\n2 b\n"],
    }[format_]


def target(format_: str) -> Callable[[bytes], None]:
    """What is run with each input; all that it imports is imported here, so that it can be watched."""
    package = import_module(f"headrace.backends.sources.{format_}")
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        import_module(module.name)
    import_module("headrace.backends.texts.reading")
    flavour: SourceFormat = package.open()
    folder, ways = Path(mkdtemp(prefix="headrace-fuzz-")), WAYS[format_]

    def run(data: bytes) -> None:
        way, data = data[0] if data else 0, data[1:]
        contract = CONTRACT if way & 1 else None
        try:
            check(flavour, folder, data, contract, ways[(way >> 1) % len(ways)])
        except HeadraceError:
            return

    return run


def check(flavour: SourceFormat, folder: Path, data: bytes, contract: Contract | None, options: Options) -> None:
    """Land and read a file as a source does."""
    path, rows, quarantine = (folder / name for name in ("file", "rows.parquet", "quarantine.parquet"))
    path.write_bytes(data)
    counter = flavour.counter("file", options)
    counter.feed(data)
    landed = Landed(str(path), path, sha256(data).hexdigest(), len(data), counter.finish())
    result = flavour.read([landed], contract=contract, options=options, rows=rows, quarantine=quarantine)
    kept, rejected = parquet.read_table(rows), parquet.read_table(quarantine)
    assert landed.records == result.rows_read == result.rows_kept + result.rows_quarantined
    assert (kept.num_rows, rejected.num_rows) == (result.rows_kept, result.rows_quarantined)
    assert contract or not any(rejected.column("columns").to_pylist()), "an inferred type rejects nothing"


def main(format_: str, arguments: list[str]) -> None:
    files = [Path(argument) for argument in arguments if Path(argument).is_file()]
    if files:
        run = target(format_)
        for file in files:
            run(file.read_bytes())
        return
    for folder in filter(Path.is_dir, map(Path, arguments)):
        for number, seed in enumerate(seeds(format_)):
            for way in range(2 * len(WAYS[format_])):
                (folder / f"seed-{number}-{way}").write_bytes(bytes([way]) + seed)
    atheris: Any = import_module("atheris")
    with atheris.instrument_imports(include=["headrace"]):
        run = target(format_)
    atheris.Setup([sys.argv[0], *arguments], run)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
