"""JSON Lines: a JSON object on each line, plain or gzip, in UTF-8.

`landing` counts the lines and refuses what is JSON of another shape, `records` reads one line, `loading` makes tables of texts, which
`headrace.backends.texts` types and checks. The invariant: each line that was counted is in the rows or in the quarantine, once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from headrace.backends.sources.json.landing import counter_of, keys_of
from headrace.core.contract import Contract
from headrace.core.ports import JSON, CountedRecords, Landed, ReadResult

__all__ = ["JsonFormat", "open"]


class JsonFormat:
    """The flavour `json`. Its options are those of `headrace.json`."""

    def counter(self, file_name: str, options: Mapping[str, JSON]) -> CountedRecords:  # noqa: ARG002  # no option changes what a line is
        return counter_of(file_name)

    def read(
        self, files: Sequence[Landed], *, contract: Contract | None, options: Mapping[str, JSON], rows: Path, quarantine: Path
    ) -> ReadResult:
        from headrace.backends.sources.json.loading import OpenedJson
        from headrace.backends.texts.reading import read_texts

        @cache
        def keys(file: Landed) -> tuple[str, ...]:
            return keys_of(file.path, name=file.name)

        def opened(file: Landed) -> OpenedJson:
            return OpenedJson(file, options, [field.alias for field in contract.fields] if contract else keys(file))

        return read_texts(files, opened, contract=contract, options=options, rows=rows, quarantine=quarantine)

    def header(self, path: Path, options: Mapping[str, JSON]) -> tuple[str, ...]:  # noqa: ARG002
        """The keys of all records, in the order in which they first stand in the file."""
        return keys_of(path, name=path.name)


def open() -> JsonFormat:  # noqa: A001  # the name that every flavour has
    return JsonFormat()
