"""Logs: a record on each line, plain or packed, in any encoding, whose fields are the named groups of a pattern.

`loading` makes tables of texts of the lines that match, which `headrace.backends.texts` types and checks. The invariant: each line that was
counted when the file landed is in the rows or in the quarantine, once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from headrace.backends.texts.lines import CutLines, LineCounter, lines_to_mend, records_of
from headrace.backends.texts.stretches import bytes_at
from headrace.core.contract import Contract
from headrace.core.forgetting import Forgotten
from headrace.core.log_patterns import groups_of, pattern_of
from headrace.core.means import ALONE, Means
from headrace.core.mentions import Place, Stretch, Unseen, Words
from headrace.core.ports import JSON, CountedRecords, Landed, ReadResult
from headrace.core.records import Piece, Record

__all__ = ["LogsFormat", "open"]


class LogsFormat:
    """The flavour `logs`. Its options are those of `headrace.logs`."""

    def __init__(self, means: Means = ALONE) -> None:
        self._means = means

    def counter(self, file_name: str, options: Mapping[str, JSON]) -> CountedRecords:
        return LineCounter(file_name, "log", options)

    def read(
        self,
        files: Sequence[Landed],
        *,
        contract: Contract | None,
        options: Mapping[str, JSON],
        rows: Path,
        quarantine: Path,
        recorded: Contract | None = None,
    ) -> ReadResult:
        from headrace.backends.sources.logs.loading import OpenedLog
        from headrace.backends.texts.reading import read_texts

        pattern = pattern_of(str(options.get("pattern", "combined")))
        known: dict[str, JSON] = {"datetime_format": pattern.datetime_format, "null_words": pattern.null_words, **options}

        def opened(file: Landed) -> OpenedLog:
            return OpenedLog(file, pattern.text, lines_to_mend(known) if file.is_mended else known)

        return read_texts(
            files, opened, contract=contract, options=known, rows=rows, quarantine=quarantine, recorded=recorded, means=self._means
        )

    def pieces(self, path: Path, options: Mapping[str, JSON]) -> Iterator[Piece]:
        return CutLines(path, "log", options, name=path.name).pieces()

    def records(self, path: Path, options: Mapping[str, JSON]) -> Iterator[Record]:
        return records_of(path, "log", options)

    def header(self, path: Path, options: Mapping[str, JSON]) -> tuple[str, ...]:  # noqa: ARG002  # the pattern knows
        """The names of the pattern's groups."""
        return tuple(name for name in groups_of(pattern_of(str(options.get("pattern", "combined"))).text) if name)

    # ------------------------------------------------ what a MendableFormat has besides

    def mended_options(self, options: Mapping[str, JSON]) -> Mapping[str, JSON]:
        return lines_to_mend(options)

    def head(self, names: Sequence[str], options: Mapping[str, JSON]) -> bytes:  # noqa: ARG002  # the pattern knows
        return b""

    def bytes_at(self, path: Path, options: Mapping[str, JSON], wanted: Sequence[tuple[int, int]]) -> Iterator[bytes]:
        return bytes_at(path, options, wanted, name=path.name)

    # ------------------------------------------------ what an ErasableFormat has besides

    def holding(
        self, file: Landed, *, contract: Contract | None, options: Mapping[str, JSON], forgotten: Forgotten, also: Collection[int] = ()
    ) -> Iterator[Record]:
        from headrace.backends.sources.logs.loading import OpenedLog
        from headrace.backends.texts.holding import holding

        pattern = pattern_of(str(options.get("pattern", "combined")))
        known: dict[str, JSON] = {"null_words": pattern.null_words, **options}
        return holding(OpenedLog(file, pattern.text, known), forgotten, contract=contract, options=known, also=also)

    def erase(self, file: Landed, target: Path, *, options: Mapping[str, JSON], records: Iterable[Record]) -> Sequence[tuple[int, int]]:
        from headrace.backends.texts.erasing import erase

        return erase(file, target, options=options, records=records)

    # ------------------------------------------------ what a SearchingFormat has besides

    def mentions(
        self, file: Landed, words: Words, *, options: Mapping[str, JSON], besides: Sequence[Stretch] = ()
    ) -> Iterator[Place | Unseen]:
        from headrace.backends.texts.mentions import mentions

        return mentions(file, words, options=options, besides=besides)


def open(means: Means = ALONE) -> LogsFormat:  # noqa: A001  # the name that every flavour has
    return LogsFormat(means)
