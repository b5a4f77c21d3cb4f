"""Avro object container files: records with a schema, in blocks of any of the codecs, cast by the contract.

`container` finds the blocks and counts their records, `codecs` undoes their compression, `schema` turns types into Arrow's, and `file` has
fastavro read the records. The invariant: each record that the blocks' headers count is in the rows or in the quarantine, once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import fastavro  # noqa: F401  # so that what is missing is said when the flavour is loaded

from headrace.backends.sources.avro.container import BlockCounter
from headrace.core.contract import Contract
from headrace.core.ports import JSON, CountedRecords, Landed, ReadResult
from headrace.core.records import Record

__all__ = ["AvroFormat", "open"]


class AvroFormat:
    """The flavour `avro`. Its options are those of `headrace.avro`."""

    def counter(self, file_name: str, options: Mapping[str, JSON]) -> CountedRecords:
        del options  # the headers of blocks need none
        return BlockCounter(file_name)

    def read(
        self, files: Sequence[Landed], *, contract: Contract | None, options: Mapping[str, JSON], rows: Path, quarantine: Path
    ) -> ReadResult:
        from headrace.backends.sources.avro.file import OpenedAvro
        from headrace.backends.typed.reading import read_typed

        def opened(file: Landed) -> OpenedAvro:
            return OpenedAvro(file.path, file.name)

        return read_typed(files, opened, contract=contract, options=options, rows=rows, quarantine=quarantine)

    def records(self, path: Path, options: Mapping[str, JSON]) -> Iterator[Record]:
        from headrace.backends.sources.avro.file import OpenedAvro
        from headrace.backends.typed.reading import typed_records

        del options
        return typed_records(OpenedAvro(path, path.name))

    def header(self, path: Path, options: Mapping[str, JSON]) -> tuple[str, ...]:
        from headrace.backends.sources.avro.file import OpenedAvro

        del options
        return tuple(OpenedAvro(path, path.name).schema.names)


def open() -> AvroFormat:  # noqa: A001  # the name that every flavour has
    return AvroFormat()
