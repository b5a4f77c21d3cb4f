"""Logs: a record on each line, plain or gzip, in UTF-8, whose fields are the named groups of a pattern.

`loading` makes tables of texts of the lines that match, which `headrace.backends.texts` types and checks. The invariant: each line that was
counted when the file landed is in the rows or in the quarantine, once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from headrace.backends.texts.lines import LineCounter
from headrace.core.contract import Contract
from headrace.core.log_patterns import groups_of, pattern_of
from headrace.core.ports import JSON, CountedRecords, Landed, ReadResult

__all__ = ["LogsFormat", "open"]


class LogsFormat:
    """The flavour `logs`. Its options are those of `headrace.logs`."""

    def counter(self, file_name: str, options: Mapping[str, JSON]) -> CountedRecords:
        return LineCounter(file_name, "log", skip=_skip_of(options))

    def read(
        self, files: Sequence[Landed], *, contract: Contract | None, options: Mapping[str, JSON], rows: Path, quarantine: Path
    ) -> ReadResult:
        from headrace.backends.sources.logs.loading import OpenedLog
        from headrace.backends.texts.reading import read_texts

        pattern = pattern_of(str(options.get("pattern", "combined")))
        known: dict[str, JSON] = {"datetime_format": pattern.datetime_format, "null_words": pattern.null_words, **options}

        def opened(file: Landed) -> OpenedLog:
            return OpenedLog(file, pattern.text, known, skip=_skip_of(options))

        return read_texts(files, opened, contract=contract, options=known, rows=rows, quarantine=quarantine)

    def header(self, path: Path, options: Mapping[str, JSON]) -> tuple[str, ...]:  # noqa: ARG002  # the pattern knows
        """The names of the pattern's groups."""
        return tuple(name for name in groups_of(pattern_of(str(options.get("pattern", "combined"))).text) if name)


def open() -> LogsFormat:  # noqa: A001  # the name that every flavour has
    return LogsFormat()


def _skip_of(options: Mapping[str, JSON]) -> int:
    skip = options.get("skip", 0)
    return skip if isinstance(skip, int) else 0
