"""A delimiter and quotes that are told from the beginning of a file, where that was asked for with delimiter="auto" or quote="auto".

The sign has to split the first records alike, and be the only one that does; quotes have to stand around fields, and be read in one way alone:
in doubt the file is refused, and what is meant has to be said. The invariant: the same text is read alike, in whatever chunks it comes.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from headrace.core.counted import Counted
from headrace.core.cutting import ExtentOf
from headrace.core.dialect import Dialect, fields_of
from headrace.core.errors import SourceError
from headrace.core.records import Piece, Scanner

__all__ = ["AUTO", "QUOTES", "SAMPLE_BYTES", "SIGNS", "SniffingScanner"]

AUTO = "auto"
SAMPLE_BYTES = 64 * 1024
SIGNS = (",", ";", "\t", "|")
QUOTES = ('"', "'")
_BACKSLASH = b"\\"
_MOST_RECORDS = 200
_ENOUGH = 0.9  # the share of the sample's records that have as many fields as the first

Fields = list[tuple[bytes, bool]]


@dataclass(frozen=True)
class _Way:
    """One way to read a sample: how many fields the first record has, the share of the records that have as many, and all of them."""

    dialect: Dialect
    width: int
    share: float
    records: Sequence[Fields | str]
    doubt: str = ""

    @property
    def is_even(self) -> bool:
        return self.share >= _ENOUGH

    @property
    def has_quoted(self) -> bool:
        return any(is_quoted for record in self.records if not isinstance(record, str) for _, is_quoted in record)

    def opens(self, quote: bytes) -> bool:
        """Whether a field begins with a quote, as far as nothing is quoted."""
        return any(text.lstrip(b" ").startswith(quote) for record in self.records if not isinstance(record, str) for text, _ in record)


class SniffingScanner:
    """A `Scanner` that finds its delimiter or its quotes first, or both. `width` is the number of columns, where names were given for them."""

    def __init__(
        self,
        file: str,
        dialect: Dialect,
        width: int | None,
        *,
        finds: Collection[str] = ("delimiter",),
        extent_of: ExtentOf | None = None,
        counted: Counted | None = None,
    ) -> None:
        self._file, self._dialect, self._width, self._finds = file, dialect, width, finds
        self._extent_of, self._counted = extent_of, counted
        self._held = b""
        self._scanner: Scanner | None = None

    def feed(self, chunk: bytes) -> Piece | None:
        if self._scanner:
            return self._scanner.feed(chunk)
        self._held += chunk
        return self._begin(is_whole=False).feed(self._held) if len(self._held) >= SAMPLE_BYTES else None

    def finish(self) -> Piece | None:
        if self._scanner:
            return self._scanner.finish()
        scanner = self._begin(is_whole=True)
        first, last = scanner.feed(self._held), scanner.finish()
        if not first or not last:
            return first or last
        return replace(first, data=first.data + last.data, records=first.records + last.records, line_ends=None)

    def _begin(self, *, is_whole: bool) -> Scanner:
        sample = self._held if is_whole else self._held[:SAMPLE_BYTES]
        signs = [sign.encode() for sign in SIGNS] if "delimiter" in self._finds else [self._dialect.delimiter]
        ways = [self._quoted(replace(self._dialect, delimiter=sign), sample, is_whole=is_whole) for sign in signs]
        way = self._chosen(ways) if len(ways) > 1 else ways[0]
        if way.doubt:
            raise SourceError(f"How the fields of `{self._file}` are quoted can't be told: {way.doubt}")
        self._scanner = Scanner(self._file, way.dialect, extent_of=self._extent_of, counted=self._counted)
        return self._scanner

    # ------------------------------------------------ the delimiter

    def _chosen(self, ways: Sequence[_Way]) -> _Way:
        """The sign that fits; a comma where none of them occurs in the first record, which then is one column."""
        several = [way for way in ways if way.width > 1]
        fitting = [way for way in several if way.is_even and way.width == (self._width or way.width)]
        if len(fitting) == 1:
            return fitting[0]
        if not several:
            return ways[0]
        told = "; ".join(
            f"{way.dialect.delimiter.decode()!r} into {way.width} fields, and {way.share:.0%} of the records alike" for way in several
        )
        wanted = f" into the {self._width} columns of names=" if self._width and not fitting else ""
        raise SourceError(
            f"The delimiter of `{self._file}` can't be told: {'more than one sign fits' if fitting else f'no sign splits its beginning{wanted} alike'}. "
            f"The first record is split by {told}. Say which is meant with delimiter=…"
        )

    # ------------------------------------------------ the quotes

    def _quoted(self, dialect: Dialect, sample: bytes, *, is_whole: bool) -> _Way:
        """How a sample is read by a delimiter: by the quotes of the dialect, or by those that are found."""
        if "quote" not in self._finds:
            return self._read(dialect, sample, is_whole=is_whole)
        ways = [self._read(one, sample, is_whole=is_whole) for one in _styles(dialect, sample)]
        fitting = [way for way in ways if way.is_even and way.has_quoted]
        most = max((way.share for way in fitting), default=0)
        fitting = [way for way in fitting if way.share == most]
        other = next((way for way in fitting[1:] if way.records != fitting[0].records), None)
        if other:
            return replace(fitting[0], doubt=_doubt(fitting[0], other))
        if fitting:
            return fitting[0]
        bare = self._read(replace(dialect, quote=b"", escape=b""), sample, is_whole=is_whole)
        usual = ways[0]
        if not bare.opens(usual.dialect.quote):
            return usual  # nothing is in quotes, so far
        return bare if bare.is_even else replace(usual, doubt=f"quotes open at the start of fields, and {_UNREAD}")

    def _read(self, dialect: Dialect, sample: bytes, *, is_whole: bool) -> _Way:
        scanner = Scanner(self._file, dialect)
        try:
            pieces = [scanner.feed(sample), scanner.finish() if is_whole else None]
        except SourceError:  # a quote that does not close when fields end there; what is wrong in any case is said later
            return _Way(dialect, 0, 0, ())
        texts = [text for piece in pieces if piece for text in piece.texts()[:_MOST_RECORDS]][:_MOST_RECORDS]
        records = [fields_of(text, dialect) for text in texts]
        widths = [0 if isinstance(fields, str) else len(fields) for fields in records]
        return _Way(dialect, widths[0], widths.count(widths[0]) / len(widths), records) if widths else _Way(dialect, 0, 0, ())


_UNREAD = "neither quotes nor their absence make even records of it. Say what is meant with quote=…: '\"', \"'\" or None."


def _styles(dialect: Dialect, sample: bytes) -> list[Dialect]:
    """The quotes that are looked for, the usual ones first. A backslash escapes only where one stands before a quote."""
    quotes = [quote.encode() for quote in QUOTES]
    if dialect.escape:
        return [replace(dialect, quote=quote) for quote in quotes]
    doubled = [replace(dialect, quote=quote) for quote in quotes]
    escaped = [replace(dialect, quote=quote, escape=_BACKSLASH) for quote in quotes if _BACKSLASH + quote in sample]
    return [*doubled, *escaped]


def _doubt(one: _Way, other: _Way) -> str:
    """Where two ways part, and what each makes of it."""
    pairs = zip(one.records, other.records, strict=False)
    first, second = next(((a, b) for a, b in pairs if a != b), (one.records[-1], other.records[-1]))
    if isinstance(first, list) and isinstance(second, list):
        first, second = _from_difference(first, second), _from_difference(second, first)
    return (
        f"{_options(one.dialect)} makes {_shown(first)} of a record, and {_options(other.dialect)} makes {_shown(second)}. "
        "Say which is meant with quote=… and escape=…"
    )


def _from_difference(fields: Fields, other: Fields) -> Fields:
    """The fields of a record from the first on that another reading of it has otherwise."""
    same = next((n for n, (a, b) in enumerate(zip(fields, other, strict=False)) if a != b), min(len(fields), len(other)))
    return fields[same:]


def _options(dialect: Dialect) -> str:
    escape = f", escape={dialect.escape.decode()!r}" if dialect.escape else ""
    return f"quote={dialect.quote.decode()!r}{escape}"


def _shown(record: Fields | str) -> str:
    if isinstance(record, str):
        return f"none ({record})"
    text = str([field.decode("utf-8", "replace") for field, _ in record])
    return text if len(text) <= 80 else f"{text[:79]}…"
