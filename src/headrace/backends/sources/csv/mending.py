"""CSV files that a person mends: what they begin with, and how they are read.

Such a file has the source's own dialect and always a header, so that whoever opens it sees what the columns are. The invariant: a header
that is written here is read as the names that it was written from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from headrace.backends.sources.csv.landing import dialect_of
from headrace.core.dialect import Dialect, fields_of
from headrace.core.errors import SourceError
from headrace.core.ports import JSON
from headrace.core.sniffing import AUTO

__all__ = ["header_line", "mended_options"]

_OF_THE_FILES = ("names", "header", "skip", "member")


def mended_options(options: Mapping[str, JSON]) -> Mapping[str, JSON]:
    """A source's options without those that say where in its files the names of the columns, or the files themselves, are."""
    return {**{name: value for name, value in options.items() if name not in _OF_THE_FILES}, "header": True}


def header_line(names: Sequence[str], options: Mapping[str, JSON]) -> bytes:
    """The header, each name in quotes that needs them, in the source's encoding. SourceError for names that can't be said so."""
    for name in ("delimiter", "quote"):
        if options.get(name) == AUTO:
            raise SourceError(f'A file to mend has one {name}, and the source has {name}="auto": name the sign that its files have.')
    encoding, dialect = str(options.get("encoding", AUTO)), dialect_of(options)
    line = dialect.delimiter.join(_field(name, dialect, is_first=not n) for n, name in enumerate(names))
    fields = fields_of(line, dialect)
    if (
        isinstance(fields, str)
        or [text.decode() for text, _ in fields] != list(names)
        or dialect.may_comment(line)
        or (not dialect.quote and b"\n" in line)
    ):
        raise SourceError(
            f"The columns {', '.join(map(repr, names[:5]))} can't be written as a header with the delimiter {dialect.delimiter.decode()!r} "
            "and these quotes: mend the file at its origin."
        )
    return line.decode().encode("utf-8" if encoding == AUTO else encoding) + b"\n"


def _field(name: str, dialect: Dialect, *, is_first: bool) -> bytes:
    text, quote = name.encode(), dialect.quote
    is_plain = text and text == text.strip() and not any(sign in text for sign in (quote, dialect.delimiter, b"\n", b"\r"))
    if not quote or (is_plain and not (is_first and dialect.may_comment(text))):
        return text
    escape = dialect.escape or quote
    inside = text if escape == quote else text.replace(escape, escape * 2)
    return quote + inside.replace(quote, escape + quote) + quote
