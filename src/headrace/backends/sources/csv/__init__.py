"""CSV and its relatives: delimited text, plain or packed, in any encoding that `headrace.core.encodings` names.

`landing` counts and cuts the bytes, `mending` is about files that a person mends, `loading` makes tables of texts of them, which `headrace.backends.texts` types and checks. The
invariant: each record that was counted when the file landed is in the rows or in the quarantine, once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from headrace.backends.sources.csv.landing import Counter, cut, header_of
from headrace.backends.sources.csv.mending import header_line, mended_options
from headrace.backends.texts.stretches import bytes_at
from headrace.core.contract import Contract
from headrace.core.forgetting import Forgotten
from headrace.core.means import ALONE, Means
from headrace.core.mentions import Place, Stretch, Unseen, Words
from headrace.core.ports import JSON, CountedRecords, Landed, ReadResult
from headrace.core.records import Piece, Record

__all__ = ["CsvFormat", "open"]


class CsvFormat:
    """The flavour `csv`. Its options are those of `headrace.csv`."""

    def __init__(self, means: Means = ALONE) -> None:
        self._means = means

    def counter(self, file_name: str, options: Mapping[str, JSON]) -> CountedRecords:
        return Counter(file_name, options)

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
        from headrace.backends.sources.csv.loading import OpenedCsv
        from headrace.backends.texts.reading import read_texts

        def opened(file: Landed) -> OpenedCsv:
            return OpenedCsv(file, mended_options(options) if file.is_mended else options, contract, recorded)

        return read_texts(
            files, opened, contract=contract, options=options, rows=rows, quarantine=quarantine, recorded=recorded, means=self._means
        )

    def pieces(self, path: Path, options: Mapping[str, JSON]) -> Iterator[Piece]:
        return cut(path, options, name=path.name).pieces

    def records(self, path: Path, options: Mapping[str, JSON]) -> Iterator[Record]:
        for piece in self.pieces(path, options):
            yield from piece.places(range(1, piece.records + 1)).values()

    def header(self, path: Path, options: Mapping[str, JSON]) -> tuple[str, ...]:
        return header_of(path, options, name=path.name)

    def advice(self, files: Sequence[Landed], options: Mapping[str, JSON], result: ReadResult) -> Sequence[str]:
        from headrace.backends.sources.csv.advising import advice_of

        return advice_of(files, options, result)

    # ------------------------------------------------ what a MendableFormat has besides

    def mended_options(self, options: Mapping[str, JSON]) -> Mapping[str, JSON]:
        return mended_options(options)

    def head(self, names: Sequence[str], options: Mapping[str, JSON]) -> bytes:
        return header_line(names, options)

    def bytes_at(self, path: Path, options: Mapping[str, JSON], wanted: Sequence[tuple[int, int]]) -> Iterator[bytes]:
        return bytes_at(path, options, wanted, name=path.name)

    # ------------------------------------------------ what an ErasableFormat has besides

    def holding(
        self, file: Landed, *, contract: Contract | None, options: Mapping[str, JSON], forgotten: Forgotten, also: Collection[int] = ()
    ) -> Iterator[Record]:
        from headrace.backends.sources.csv.loading import OpenedCsv
        from headrace.backends.texts.holding import holding

        opened = OpenedCsv(file, options, contract)
        return holding(opened, forgotten, contract=contract, options=options, also=also)

    def erase(self, file: Landed, target: Path, *, options: Mapping[str, JSON], records: Iterable[Record]) -> Sequence[tuple[int, int]]:
        from headrace.backends.texts.erasing import erase

        return erase(file, target, options=options, records=records)

    # ------------------------------------------------ what a SearchingFormat has besides

    def mentions(
        self, file: Landed, words: Words, *, options: Mapping[str, JSON], besides: Sequence[Stretch] = ()
    ) -> Iterator[Place | Unseen]:
        from headrace.backends.texts.mentions import mentions

        return mentions(file, words, options=options, besides=besides)


def open(means: Means = ALONE) -> CsvFormat:  # noqa: A001  # the name that every flavour has
    return CsvFormat(means)
