"""A format of files whose values have types, as the port asks for it: how its records are counted, and how a file of it is opened.

What is heavy is imported when a file is read, not when the flavour is chosen. The invariant: what counts the records is not what reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.core.contract import Contract
from headrace.core.forgetting import Forgotten
from headrace.core.means import ALONE, Means
from headrace.core.mentions import Place, Stretch, Unseen, Words
from headrace.core.ports import JSON, CountedRecords, Landed, ReadResult
from headrace.core.records import Record

if TYPE_CHECKING:
    from headrace.backends.typed.reading import TypedFile, TypedPiece

__all__ = ["TypedFormat"]


@dataclass(frozen=True)
class TypedFormat:
    """A flavour of sources. `count` makes a counter for a file of a name, `open_file` opens a path under a name, and `erase_file` writes
    such a file to another path without the records of some numbers, from 1.
    """

    count: Callable[[str], CountedRecords]
    open_file: Callable[[Path, str], TypedFile]
    erase_file: Callable[[Path, str, Path, Container[int]], None]
    means: Means = ALONE

    def counter(self, file_name: str, options: Mapping[str, JSON]) -> CountedRecords:
        del options  # these files say themselves how they are to be read
        return self.count(file_name)

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
        from headrace.backends.typed.reading import read_typed

        def opened(file: Landed) -> TypedFile:
            return self.open_file(file.path, file.name)

        return read_typed(
            files, opened, contract=contract, options=options, rows=rows, quarantine=quarantine, recorded=recorded, means=self.means
        )

    def pieces(self, path: Path, options: Mapping[str, JSON]) -> Iterator[TypedPiece]:
        from headrace.backends.typed.reading import typed_pieces

        del options
        return typed_pieces(self.open_file(path, path.name))

    def records(self, path: Path, options: Mapping[str, JSON]) -> Iterator[Record]:
        from headrace.backends.typed.reading import typed_records

        del options
        return typed_records(self.open_file(path, path.name))

    def header(self, path: Path, options: Mapping[str, JSON]) -> tuple[str, ...]:
        del options
        return tuple(self.open_file(path, path.name).schema.names)

    # ------------------------------------------------ what an ErasableFormat has besides

    def holding(
        self, file: Landed, *, contract: Contract | None, options: Mapping[str, JSON], forgotten: Forgotten, also: Collection[int] = ()
    ) -> Iterator[Record]:
        from headrace.backends.typed.holding import typed_holding

        del also  # records of these files are mended at their origin
        return typed_holding(self.open_file(file.path, file.name), file, contract=contract, options=options, forgotten=forgotten)

    def erase(self, file: Landed, target: Path, *, options: Mapping[str, JSON], records: Iterable[Record]) -> Sequence[tuple[int, int]]:
        del options
        self.erase_file(file.path, file.name, target, frozenset(record.line for record in records))
        return ()

    # ------------------------------------------------ what a SearchingFormat has besides

    def mentions(
        self, file: Landed, words: Words, *, options: Mapping[str, JSON], besides: Sequence[Stretch] = ()
    ) -> Iterator[Place | Unseen]:
        from headrace.backends.typed.mentions import mentions

        del options
        return mentions(self.open_file(file.path, file.name), words, besides)
