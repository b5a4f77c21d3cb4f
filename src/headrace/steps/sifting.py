"""What is asked of a source's rows beside their contract, after its format has read them: keys, over all its files.

An engine finds the rows, and the records that they were are found in the files again, as a trace finds them. The invariant: what is read is
kept or quarantined as it was before, so conservation holds of what is let go of as it does of what broke the contract.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from headrace.core.errors import DataError, SourceError
from headrace.core.keys import Place, Rules, Sieve
from headrace.core.manifest import MEMORY, Part
from headrace.core.mending import MendableFormat
from headrace.core.ports import JSON, Landed, ReadResult, SourceFormat
from headrace.core.records import Record
from headrace.lake.commit import Attempt

__all__ = ["NO_RULES", "RuledBy", "kept_records", "keys_part", "sifted"]

_EXAMPLE = 200


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

    def records(rejected: Iterator[Place]) -> Iterator[tuple[str, Record]]:
        return kept_records([(one.name, _records(one, reader, options), one.left_out) for one in landed], rejected)

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


def _records(file: Landed, reader: SourceFormat, options: Mapping[str, JSON]) -> Iterator[Record]:
    own = reader.mended_options(options) if file.is_mended and isinstance(reader, MendableFormat) else options
    return reader.records(file.path, own)


def _example(file: str, record: Record, read_as: Mapping[str, Mapping[str, JSON]]) -> str:
    encoding = str(read_as.get(file, {}).get("encoding", "utf-8"))
    raw = record.raw[:_EXAMPLE].decode(encoding, "replace")
    return f"{file}:{record.line}: {raw}{'…' if len(record.raw) > _EXAMPLE else ''}"
