"""CSV files that a person mends: what they begin with, and the records that go into them.

Such a file has the source's own dialect and always a header, so that whoever opens it sees what the columns are. The invariant: a header
that is written here is read as the names that it was written from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from headrace.backends.sources.csv.landing import chunks
from headrace.core.dialect import Dialect, fields_of
from headrace.core.errors import SourceError
from headrace.core.ports import JSON

__all__ = ["bytes_at", "header_line", "mended_options"]

_OF_THE_HEAD = ("names", "skip")


def mended_options(options: Mapping[str, JSON]) -> Mapping[str, JSON]:
    """A source's options without those that say where in its files the names of the columns are."""
    return {name: value for name, value in options.items() if name not in _OF_THE_HEAD}


def header_line(names: Sequence[str], dialect: Dialect) -> bytes:
    """The header, each name in quotes that needs them. SourceError for names that this dialect can't say."""
    line = dialect.delimiter.join(_field(name, dialect) for name in names)
    fields = fields_of(line, dialect)
    if isinstance(fields, str) or [text.decode() for text, _ in fields] != list(names) or (not dialect.quote and b"\n" in line):
        raise SourceError(
            f"The columns {', '.join(map(repr, names[:5]))} can't be written as a header with the delimiter {dialect.delimiter.decode()!r} "
            "and these quotes: mend the file at its origin."
        )
    return line + b"\n"


def bytes_at(path: Path, wanted: Sequence[tuple[int, int]], *, name: str) -> Iterator[bytes]:
    """Stretches of a file, decompressed, by offset and size, in order; SourceError where the file ends before one does."""
    passed, held = 0, b""  # `held` begins at byte `passed`
    parts = chunks(path, name)
    for offset, size in wanted:
        while passed + len(held) < offset + size:
            if len(held) > (keep := max(passed + len(held) - offset, 0)):
                passed, held = passed + len(held) - keep, held[len(held) - keep :]
            chunk = next(parts, None)
            if chunk is None:
                raise SourceError(f"`{name}` ends before byte {offset + size}, where a rejected record of it does: its bytes were changed.")
            held += chunk
        yield held[offset - passed : offset - passed + size]


def _field(name: str, dialect: Dialect) -> bytes:
    text, quote = name.encode(), dialect.quote
    if not quote or not (quote in text or dialect.delimiter in text or b"\n" in text or b"\r" in text or not text or text != text.strip()):
        return text
    escape = dialect.escape or quote
    inside = text if escape == quote else text.replace(escape, escape * 2)
    return quote + inside.replace(quote, escape + quote) + quote
