"""What would read the records of CSV files that were rejected for their width: skip=, names= or comment=, where the files show it.

Asked only when too many were rejected, of the beginnings of some files. The invariant: an option is named only where all that was looked at
agrees: every other record begins with one sign, or all records from a line on are of one width.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from headrace.backends.sources.csv.landing import cut, has_header
from headrace.core.dialect import Dialect, fields_of
from headrace.core.headers import header_among
from headrace.core.ports import JSON, Landed, ReadResult
from headrace.core.records import Record

__all__ = ["advice_of"]

_SIGNS = ("#", "%", ";", "!", "*", "@")
_MOST_FILES, _MOST_RECORDS = 10, 5_000
_BELOW = 100  # records that a header is held against
_FEWEST = 3  # records that tell a column without a name
_LONGEST_LIST = 200
_WIDTH = "record has "


@dataclass(frozen=True)
class _Beginning:
    """The first records of a file below its header, and how many fields each has; none where it can't be split."""

    file: str
    names: tuple[str, ...]
    header: Record | None
    dialect: Dialect
    records: Sequence[Record]
    widths: Sequence[int | None]

    @property
    def is_odd(self) -> Sequence[bool]:
        return [width != len(self.names) for width in self.widths]


def advice_of(files: Sequence[Landed], options: Mapping[str, JSON], result: ReadResult) -> Sequence[str]:
    """See `headrace.core.advice`. Nothing where most records were rejected for other reasons."""
    of_width = sum(count for reason, count in result.reasons.items() if reason.startswith(_WIDTH))
    if 2 * of_width < result.rows_quarantined:
        return ()
    looked = [_beginning(file, options) for file in files if not file.is_mended][:_MOST_FILES]
    odd = [one for one in looked if any(one.is_odd)]
    sign = None if options.get("comment") else _comment(looked)
    if sign:
        return (
            f"All of them that were looked at begin with {sign!r}, and no other record does: if they are comments, say comment={sign!r}.",
        )
    said: dict[str, list[str]] = {}
    for one in odd if has_header(options) else ():
        said.setdefault(_of_widths(one), []).append(one.file)
    return [_of_files(names) + text for text, names in said.items() if text]


def _beginning(file: Landed, options: Mapping[str, JSON]) -> _Beginning:
    found = cut(file.path, options, name=file.name)
    dialect, records = Dialect(), list[Record]()
    for piece in found.pieces:
        dialect = piece.dialect
        records += [record for _, record in islice(piece.split(), _MOST_RECORDS - len(records))]
        if len(records) >= _MOST_RECORDS:
            break
    return _Beginning(file.name, found.names, found.header, dialect, records, [_width(record.raw, dialect) for record in records])


def _width(raw: bytes, dialect: Dialect) -> int | None:
    fields = fields_of(raw, dialect)
    return None if isinstance(fields, str) else len(fields)


def _of_files(names: Sequence[str]) -> str:
    return f"`{names[0]}`{f' and {len(names) - 1} more' if len(names) > 1 else ''}: "


# ---------------------------------------------------------------- lines that are no records


def _comment(looked: Sequence[_Beginning]) -> str | None:
    """The sign that all records of another width begin with, and no other record."""
    headers = [one.header.raw for one in looked if one.header]
    for sign in _SIGNS:
        raw = sign.encode()
        told = [(record.raw.startswith(raw), is_odd) for one in looked for record, is_odd in zip(one.records, one.is_odd, strict=True)]
        is_a_sign = all(sign.encode() not in (one.dialect.delimiter, one.dialect.quote) for one in looked)
        if is_a_sign and any(is_odd for _, is_odd in told) and all(begins == is_odd for begins, is_odd in told):
            return None if any(header.startswith(raw) for header in headers) else sign
    return None


# ---------------------------------------------------------------- another header


def _of_widths(one: _Beginning) -> str:
    """What is to be said of a file whose records are all of one width from a line on; empty where they are not."""
    (width, _), *_ = Counter(one.widths).most_common(1)
    first = one.widths.index(width)
    if width is None or width == len(one.names) or one.header is None or any(found != width for found in one.widths[first:]):
        return ""
    if first == 0 and (names := _names(one, width)):
        return f"each record has {width} fields. Name them, and pass over the header: {_listed(names)}, skip={one.header.line}."
    if not _is_header(one, first, width):
        return ""
    line = one.records[first].line
    return f"from line {line} on each record has {width} fields. If that line is the header, pass over what is before it: skip={line - 1}."


def _names(one: _Beginning, width: int) -> Sequence[str] | None:
    """Names for records that are wider than their header by a delimiter at each end, or by names of rows; or narrower by a name that is empty."""
    fields = [found for record in one.records if not isinstance(found := fields_of(record.raw, one.dialect), str)]
    if width == len(one.names) + 1 and len(fields) >= _FEWEST:
        if not any(row[-1][0] for row in fields):
            return [*one.names, f"column_{width}"]
        if [row[0] for row in fields] == [(str(n).encode(), True) for n in range(1, len(fields) + 1)]:  # as R writes the names of rows
            return ["row", *one.names]
    if width == len(one.names) - 1 and one.header and one.header.raw.endswith(one.dialect.delimiter):
        return one.names[:-1]
    return None


def _is_header(one: _Beginning, first: int, width: int) -> bool:
    """Whether a record is the header of those below it. Where texts alone stand above texts, it is one if only a title is before it."""
    texts = list(_texts(one, first, _BELOW))
    verdict = header_among(texts[0], texts[1:])
    is_below_title = len(one.names) == 1 and width > 2 and not any(one.widths[n] == width for n in range(first))
    return verdict.is_header and (verdict.is_certain or is_below_title)


def _texts(one: _Beginning, first: int, most: int) -> Iterator[list[str]]:
    for record in one.records[first : first + most]:
        fields = fields_of(record.raw, one.dialect)
        yield [] if isinstance(fields, str) else [text.decode("utf-8", "replace") for text, _ in fields]


def _listed(names: Sequence[str]) -> str:
    told = f"names={list(names)!r}"
    return told if len(told) <= _LONGEST_LIST else f"names=[…] with all {len(names)}"
