"""Parquet files: typed columns, read by PyArrow and cast by the contract.

`footer` counts the records by what the file's footer says of each row group, before anything is read; `file` reads the row groups in
batches. The invariant: each record that the footer counts is in the rows or in the quarantine, once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from headrace.backends.sources.parquet.footer import FooterCounter
from headrace.core.contract import Contract
from headrace.core.ports import JSON, CountedRecords, Landed, ReadResult
from headrace.core.records import Record

__all__ = ["ParquetFormat", "open"]


class ParquetFormat:
    """The flavour `parquet`. Its options are those of `headrace.parquet`."""

    def counter(self, file_name: str, options: Mapping[str, JSON]) -> CountedRecords:
        del options  # a footer needs none
        return FooterCounter(file_name)

    def read(
        self, files: Sequence[Landed], *, contract: Contract | None, options: Mapping[str, JSON], rows: Path, quarantine: Path
    ) -> ReadResult:
        from headrace.backends.sources.parquet.file import OpenedParquet
        from headrace.backends.typed.reading import read_typed

        def opened(file: Landed) -> OpenedParquet:
            return OpenedParquet(file.path, file.name)

        return read_typed(files, opened, contract=contract, options=options, rows=rows, quarantine=quarantine)

    def records(self, path: Path, options: Mapping[str, JSON]) -> Iterator[Record]:
        from headrace.backends.sources.parquet.file import OpenedParquet
        from headrace.backends.typed.reading import typed_records

        del options
        return typed_records(OpenedParquet(path, path.name))

    def header(self, path: Path, options: Mapping[str, JSON]) -> tuple[str, ...]:
        from headrace.backends.sources.parquet.file import OpenedParquet

        del options
        return tuple(OpenedParquet(path, path.name).schema.names)


def open() -> ParquetFormat:  # noqa: A001  # the name that every flavour has
    return ParquetFormat()
