"""JSON Lines: a JSON object on each line, plain or packed, in any encoding. Or one array of objects, which `arrays` makes lines of.

`landing` counts the lines and refuses what is JSON of another shape, `records` reads one line, `loading` makes tables of texts, which
`headrace.backends.texts` types and checks. The invariant: each line that was counted is in the rows or in the quarantine, once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from pathlib import Path

from headrace.backends.sources.json.arrays import ElementLines
from headrace.backends.sources.json.landing import counter_of, keys_of
from headrace.backends.texts.lines import CutLines, lines_to_mend, records_of
from headrace.backends.texts.stretches import bytes_at
from headrace.core.contract import Contract
from headrace.core.forgetting import Forgotten
from headrace.core.means import ALONE, Means
from headrace.core.mentions import Place, Stretch, Unseen, Words
from headrace.core.ports import JSON, CountedRecords, Landed, ReadResult
from headrace.core.records import Piece, Record

__all__ = ["JsonFormat", "open"]


class JsonFormat:
    """The flavour `json`. Its options are those of `headrace.json`."""

    def __init__(self, means: Means = ALONE) -> None:
        self._means = means

    def counter(self, file_name: str, options: Mapping[str, JSON]) -> CountedRecords:
        return counter_of(file_name, options)

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
        unnest = options.get("unnest")
        if contract is not None and isinstance(unnest, str):
            from headrace.backends.texts.unnesting import read_unnested

            def read(own: Contract, target: Path) -> ReadResult:
                return self._read(files, own, options, target, quarantine, recorded)

            return read_unnested(read, contract, unnest, rows)
        return self._read(files, contract, options, rows, quarantine, recorded)

    def _read(
        self,
        files: Sequence[Landed],
        contract: Contract | None,
        options: Mapping[str, JSON],
        rows: Path,
        quarantine: Path,
        recorded: Contract | None,
    ) -> ReadResult:
        from headrace.backends.sources.json.loading import OpenedJson
        from headrace.backends.texts.reading import read_texts

        raw = next((file for file in files if not file.is_mended), None)

        def options_of(file: Landed) -> Mapping[str, JSON]:
            return lines_to_mend(options) if file.is_mended else options

        @cache
        def keys(file: Landed) -> tuple[str, ...]:
            """The keys of a file; a mended one, which has few records, may lack some of the others'."""
            own = keys_of(file.path, options_of(file), name=file.name)
            return tuple(dict.fromkeys([*keys(raw), *own])) if raw and file.is_mended else own

        def opened(file: Landed) -> OpenedJson:
            return OpenedJson(file, options_of(file), [field.alias for field in contract.fields] if contract else keys(file))

        return read_texts(
            files, opened, contract=contract, options=options, rows=rows, quarantine=quarantine, recorded=recorded, means=self._means
        )

    def pieces(self, path: Path, options: Mapping[str, JSON]) -> Iterator[Piece]:
        return CutLines(path, "JSON Lines", options, name=path.name, maker=partial(ElementLines, path.name)).pieces()

    def records(self, path: Path, options: Mapping[str, JSON]) -> Iterator[Record]:
        return records_of(path, "JSON Lines", options, maker=partial(ElementLines, path.name))

    def header(self, path: Path, options: Mapping[str, JSON]) -> tuple[str, ...]:
        """The keys of all records, in the order in which they first stand in the file."""
        return keys_of(path, options, name=path.name)

    # ------------------------------------------------ what a MendableFormat has besides

    def mended_options(self, options: Mapping[str, JSON]) -> Mapping[str, JSON]:
        return lines_to_mend(options)

    def head(self, names: Sequence[str], options: Mapping[str, JSON]) -> bytes:  # noqa: ARG002  # each record says its own keys
        return b""

    def bytes_at(self, path: Path, options: Mapping[str, JSON], wanted: Sequence[tuple[int, int]]) -> Iterator[bytes]:
        """As they are, or where the file is one array, each element on one line."""
        if not _is_array(path, options, path.name):
            return bytes_at(path, options, wanted, name=path.name)
        places = {offset for offset, _ in wanted}
        return (record.raw for record in self.records(path, options) if record.offset in places)

    # ------------------------------------------------ what an ErasableFormat has besides

    def holding(
        self, file: Landed, *, contract: Contract | None, options: Mapping[str, JSON], forgotten: Forgotten, also: Collection[int] = ()
    ) -> Iterator[Record]:
        from headrace.backends.sources.json.loading import OpenedJson
        from headrace.backends.texts.holding import holding, names_in

        opened = OpenedJson(file, options, names_in(forgotten))
        return holding(opened, forgotten, contract=contract, options=options, also=also)

    def erase(self, file: Landed, target: Path, *, options: Mapping[str, JSON], records: Iterable[Record]) -> Sequence[tuple[int, int]]:
        from headrace.backends.texts.erasing import erase

        return erase(file, target, options=options, records=records, is_array=_is_array(file.path, options, file.name))

    # ------------------------------------------------ what a SearchingFormat has besides

    def mentions(
        self, file: Landed, words: Words, *, options: Mapping[str, JSON], besides: Sequence[Stretch] = ()
    ) -> Iterator[Place | Unseen]:
        from headrace.backends.texts.mentions import mentions

        return mentions(file, words, options=options, besides=besides)


def _is_array(path: Path, options: Mapping[str, JSON], name: str) -> bool:
    cut = CutLines(path, "JSON Lines", options, name=name, maker=partial(ElementLines, name))
    next(cut.pieces(), None)
    return bool(cut.read_as.get("shape"))


def open(means: Means = ALONE) -> JsonFormat:  # noqa: A001  # the name that every flavour has
    return JsonFormat(means)
