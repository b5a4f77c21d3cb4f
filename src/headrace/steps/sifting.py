"""What is asked of a source's rows beside their contract, after its format has read them: keys, over all its files.

An engine finds the rows, and the records that they were are found in the files again, as a trace finds them. The invariant: what is read is
kept or quarantined as it was before, so conservation holds of what is let go of as it does of what broke the contract.
"""

from __future__ import annotations

import operator
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from pathlib import Path
from typing import Generic, TypeVar

from headrace.core.errors import DataError, SourceError
from headrace.core.keys import PiecedFormat, Place, Rules, Sieve, Stretch
from headrace.core.manifest import MEMORY, Part
from headrace.core.mending import MendableFormat
from headrace.core.ports import JSON, Landed, ReadResult, SourceFormat
from headrace.core.records import Record
from headrace.lake.commit import Attempt

__all__ = ["NO_RULES", "RuledBy", "kept_records", "keys_part", "sifted"]

_EXAMPLE = 200
T = TypeVar("T")


@dataclass(frozen=True)
class RuledBy:
    """What is asked of the rows of one interval, and who finds those that break it."""

    rules: Rules
    sieve: Sieve | None = None


NO_RULES = RuledBy(Rules())


def sifted(
    result: ReadResult,
    ruled: RuledBy,
    landed: Sequence[Landed],
    reader: SourceFormat,
    options: Mapping[str, JSON],
    *,
    rows: Path,
    quarantine: Path,
) -> ReadResult:
    """What was read, after the rows that break a rule were moved from `rows` to `quarantine`. SourceError for a rule about no column."""
    if ruled.sieve is None or not result.rows_kept:
        return result

    def records(rejected: Iterator[Place], wanted: Iterator[int]) -> Iterator[tuple[int, str, Record]]:
        return _rows_found(landed, reader, options, rejected, wanted)

    try:
        found = ruled.sieve.sift(rows, quarantine, ruled.rules, files=[one.name for one in landed], records=records)
    except DataError as error:
        raise SourceError(str(error)) from error
    if not found.rejected:
        return result
    reasons = Counter(result.reasons)
    reasons.update(found.reasons)
    examples = {kind: _example(file, record, result.read_as) for kind, (file, record) in found.firsts.items()}
    return replace(
        result,
        rows_kept=found.kept,
        rows_quarantined=result.rows_quarantined + found.rejected,
        reasons=dict(reasons.most_common()),
        examples={**result.examples, **examples},
    )


def keys_part(ruled: RuledBy, rows: Path, attempt: Attempt) -> tuple[Part, ...]:
    """Write down the keys that count for the next interval, where some are unique over history."""
    if ruled.sieve is None or not ruled.rules.past:
        return ()
    count = 0
    for number, (key, past) in enumerate(ruled.rules.past.items()):
        count += ruled.sieve.remember(rows, key, past, attempt.file(MEMORY, layer="silver", name=f"{MEMORY}-{number}.parquet"))
    return (attempt.part(MEMORY, "silver", rows=count),)


def kept_records(files: Iterable[tuple[str, Iterator[Record], frozenset[int]]], rejected: Iterator[Place]) -> Iterator[tuple[str, Record]]:
    """The records that became the rows of a source, in their order: those that count and are not in quarantine, whose places come in order too."""
    following = next(rejected, None)
    for name, records, left_out in files:
        for record in records:
            if record.offset in left_out:
                continue
            if following == (name, record.line, record.offset):
                following = next(rejected, None)
                continue
            yield name, record


# ---------------------------------------------------------------- the records of some rows


def _rows_found(
    landed: Sequence[Landed], reader: SourceFormat, options: Mapping[str, JSON], rejected: Iterator[Place], wanted: Iterator[int]
) -> Iterator[tuple[int, str, Record]]:
    """See `KeptRecords`. Where a format has pieces, those in which no row is wanted are passed over by their counts."""
    if isinstance(reader, PiecedFormat):
        yield from _found_in_pieces(landed, reader, options, _Ahead(rejected), _Ahead(wanted))
        return
    files = ((one.name, reader.records(one.path, _options_of(one, reader, options)), one.left_out) for one in landed)
    numbered = enumerate(kept_records(files, rejected))
    for number in wanted:
        name, record = next(found for n, found in numbered if n == number)
        yield number, name, record


class _Ahead(Generic[T]):
    """An iterator whose next item can be looked at before it is taken."""

    def __init__(self, given: Iterator[T]) -> None:
        self._given = given
        self.next = next(given, None)

    def taken(self, is_wanted: Callable[[T], bool]) -> list[T]:
        """The next items, as far as they are wanted."""
        found: list[T] = []
        while self.next is not None and is_wanted(self.next):
            found.append(self.next)
            self.next = next(self._given, None)
        return found


def _found_in_pieces(
    landed: Sequence[Landed], reader: PiecedFormat, options: Mapping[str, JSON], rejected: _Ahead[Place], wanted: _Ahead[int]
) -> Iterator[tuple[int, str, Record]]:
    first = 0  # the number of the first row that is from the piece
    for file in landed:
        if wanted.next is None:
            return
        left_out = sorted(file.left_out)
        for piece, line, offset in _with_ends(reader.pieces(file.path, _options_of(file, reader, options))):
            offsets = set(left_out[bisect_left(left_out, piece.offset) : bisect_left(left_out, offset)])
            lines = {own for _, own, _ in rejected.taken(partial(_is_before, file=file.name, line=line))}
            after = first + piece.records - len(lines) - len(offsets)
            numbers = wanted.taken(partial(operator.gt, after))
            is_gapless = line - piece.line == piece.records  # then each record is on the line after the one before
            found = _records_in(piece, [number - first for number in numbers], lines, offsets, is_gapless=is_gapless)
            for number, record in zip(numbers, found, strict=True):
                yield number, file.name, record
            first = after


def _is_before(place: Place, *, file: str, line: float) -> bool:
    return place[0] == file and place[1] < line


def _with_ends(pieces: Iterator[Stretch]) -> Iterator[tuple[Stretch, float, float]]:
    """Pieces of a file, each with the line and the byte at which the one after it begins."""
    before = next(pieces, None)
    for piece in pieces:
        if before is not None:
            yield before, piece.line, piece.offset
        before = piece
    if before is not None:
        yield before, inf, inf


def _records_in(
    piece: Stretch, places: Sequence[int], lines: AbstractSet[int], offsets: AbstractSet[int], *, is_gapless: bool
) -> list[Record]:
    """The records at some places, from 0, among those of a piece that are on none of some lines and do not begin at some bytes."""
    if not places:
        return []
    if offsets or (lines and not is_gapless):
        kept = [one for one in piece.places(range(1, piece.records + 1)).values() if one.line not in lines and one.offset not in offsets]
        return [kept[place] for place in places]
    left = [number for number in range(1, piece.records + 1) if piece.line + number - 1 not in lines]
    found = piece.places({left[place] for place in places})
    return [found[left[place]] for place in places]


def _options_of(file: Landed, reader: object, options: Mapping[str, JSON]) -> Mapping[str, JSON]:
    return reader.mended_options(options) if file.is_mended and isinstance(reader, MendableFormat) else options


def _example(file: str, record: Record, read_as: Mapping[str, Mapping[str, JSON]]) -> str:
    encoding = str(read_as.get(file, {}).get("encoding", "utf-8"))
    raw = record.raw[:_EXAMPLE].decode(encoding, "replace")
    return f"{file}:{record.line}: {raw}{'…' if len(record.raw) > _EXAMPLE else ''}"
