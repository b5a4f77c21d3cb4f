"""CSV and its relatives: delimited text, plain or compressed, in UTF-8.

`landing` counts and cuts the bytes, `loading` makes tables of texts of them, which `headrace.backends.texts` types and checks. The
invariant: each record that was counted when the file landed is in the rows or in the quarantine, once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from headrace.backends.sources.csv.landing import Counter, header_of
from headrace.core.contract import Contract
from headrace.core.ports import JSON, CountedRecords, Landed, ReadResult

__all__ = ["CsvFormat", "open"]


class CsvFormat:
    """The flavour `csv`. Its options are those of `headrace.csv`."""

    def counter(self, file_name: str, options: Mapping[str, JSON]) -> CountedRecords:
        return Counter(file_name, options)

    def read(
        self, files: Sequence[Landed], *, contract: Contract | None, options: Mapping[str, JSON], rows: Path, quarantine: Path
    ) -> ReadResult:
        from headrace.backends.sources.csv.loading import OpenedCsv
        from headrace.backends.texts.reading import read_texts

        def opened(file: Landed) -> OpenedCsv:
            return OpenedCsv(file, options, has_contract=contract is not None)

        return read_texts(files, opened, contract=contract, options=options, rows=rows, quarantine=quarantine)

    def header(self, path: Path, options: Mapping[str, JSON]) -> tuple[str, ...]:
        return header_of(path, options, name=path.name)


def open() -> CsvFormat:  # noqa: A001  # the name that every flavour has
    return CsvFormat()
