"""A delimiter that is told from the beginning of a file, where that was asked for with delimiter="auto".

The sign has to split the first records alike, and be the only one that does: in doubt the file is refused, and the delimiter has to be said.
The invariant: the same text gives the same delimiter, in whatever chunks it comes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from headrace.core.dialect import Dialect, fields_of
from headrace.core.errors import SourceError
from headrace.core.records import Piece, Scanner

__all__ = ["AUTO", "SAMPLE_BYTES", "SIGNS", "SniffingScanner"]

AUTO = "auto"
SAMPLE_BYTES = 64 * 1024
SIGNS = (",", ";", "\t", "|")
_MOST_RECORDS = 200
_ENOUGH = 0.9  # the share of the sample's records that have as many fields as the header


class SniffingScanner:
    """A `Scanner` that finds its delimiter first. `width` is the number of columns, where names were given for them."""

    def __init__(self, file: str, dialect: Dialect, width: int | None) -> None:
        self._file, self._dialect, self._width = file, dialect, width
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
        return replace(first, data=first.data + last.data, records=first.records + last.records)

    def _begin(self, *, is_whole: bool) -> Scanner:
        sample = self._held if is_whole else self._held[:SAMPLE_BYTES]
        widths = {sign: self._width_by(sign, sample, is_whole=is_whole) for sign in map(str.encode, SIGNS)}
        self._scanner = Scanner(self._file, replace(self._dialect, delimiter=self._chosen(widths)))
        return self._scanner

    def _chosen(self, widths: Mapping[bytes, tuple[int, float]]) -> bytes:
        """The sign that fits; a comma where none of them occurs in the first record, which then is one column."""
        several = {sign: found for sign, found in widths.items() if found[0] > 1}
        fitting = [sign for sign, (width, share) in several.items() if share >= _ENOUGH and width == (self._width or width)]
        if len(fitting) == 1:
            return fitting[0]
        if not several:
            return SIGNS[0].encode()
        ways = "; ".join(
            f"{sign.decode()!r} into {width} fields, and {share:.0%} of the records alike" for sign, (width, share) in several.items()
        )
        wanted = f" into the {self._width} columns of names=" if self._width and not fitting else ""
        raise SourceError(
            f"The delimiter of `{self._file}` can't be told: {'more than one sign fits' if fitting else f'no sign splits its beginning{wanted} alike'}. "
            f"The first record is split by {ways}. Say which is meant with delimiter=…"
        )

    def _width_by(self, sign: bytes, sample: bytes, *, is_whole: bool) -> tuple[int, float]:
        """How many fields the first record has by this sign, and the share of the others that have as many."""
        dialect = replace(self._dialect, delimiter=sign)
        scanner = Scanner(self._file, dialect)
        try:
            pieces = [scanner.feed(sample), scanner.finish() if is_whole else None]
        except SourceError:  # a quote that does not close when fields end there; what is wrong in any case is said later
            return 0, 0
        texts = [text for piece in pieces if piece for text in piece.texts()[:_MOST_RECORDS]][:_MOST_RECORDS]
        found = [0 if isinstance(fields, str) else len(fields) for fields in (fields_of(text, dialect) for text in texts)]
        return (found[0], found.count(found[0]) / len(found)) if found else (0, 0)
