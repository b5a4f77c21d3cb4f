"""The records of a delimited text, as bytes and with their places: counted, cut into pieces and split, apart from any parser.

Nothing here opens a file or gives a field a type; where a record ends is `core.cutting`. The invariant: the pieces that a `Scanner` gives are
the bytes that it was fed, in order, whole and each once.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import accumulate, count
from typing import NamedTuple, NoReturn

from headrace.core.counted import Counted, Known
from headrace.core.cutting import (
    BLANK,
    BLANK_LINE,
    Extent,
    ExtentOf,
    count_comments,
    count_lines,
    extent,
    open_quote,
    split,
    without_line_end,
)
from headrace.core.dialect import Dialect, grammar_of
from headrace.core.encodings import encoded, size_in
from headrace.core.errors import SourceError
from headrace.core.strangers import Kind, nul_advice, problem_of_start, utf8_advice

__all__ = ["LINES", "MAX_RECORD_BYTES", "Kind", "Piece", "Record", "Scanner", "counted_with"]

LINES = Dialect(delimiter=b"", quote=b"")  # each line is a record

MAX_RECORD_BYTES = 16 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"
_LINE_END = re.compile(rb"\r\n|\n|\r")
_LINE_ENDS, _REST_AND_ENDS = re.compile(rb"[\r\n]*+"), re.compile(rb"[^\r\n]*+[\r\n]*+")


class Record(NamedTuple):
    """One record: `line` is the physical line on which it starts, from 1, `offset` its place in the file; `raw` has no line end."""

    line: int
    offset: int
    raw: bytes


@dataclass(frozen=True)
class Piece:
    """Whole records of one file, next to each other: `records` of them, blank lines and comments not counted, from `line` and `offset` on.

    `data` is UTF-8, `offset` the place in the file, which may be in another encoding. `line_ends` is how many are in `data`, where that was counted.
    """

    data: bytes
    records: int
    line: int
    offset: int
    dialect: Dialect
    line_ends: int | None = field(default=None, compare=False)

    def is_even(self, width: int) -> bool:
        """Whether the records have `width` fields on average, by a count of the delimiters outside quotes, and end alike.

        A parser that refuses records with too few fields and passes over empty ones too many has then read each as it is. Always False
        where spaces stand before an opening quote, or lines end in CR alone, which parsers take in different ways.
        """
        dialect, data = self.dialect, self.data
        if not self._is_plain:
            grammar = grammar_of(dialect)
            if not grammar.is_tight(data):
                return False
            data = grammar.quoted.sub(b"", data)
        if b"\r" in data and not data.count(b"\r") == data.count(b"\n") == data.count(b"\r\n"):
            return False
        return data.count(dialect.delimiter) == self.records * (width - 1)

    def recounted(self) -> int:
        """The number of records, counted here."""
        return extent(self.data, self.dialect, is_last=True).records

    def first(self) -> Record | None:
        """The first record, without looking at the others."""
        size = 4096
        while True:
            end, records, _ = extent(self.data[:size], self.dialect, is_last=size >= len(self.data))
            if records:
                return next(Piece(self.data[:end], records, self.line, self.offset, self.dialect).split())[1]
            if size >= len(self.data):
                return None
            size *= 8

    def after(self, record: Record) -> Piece:
        """What follows this piece's first record."""
        begin = self._begin_of_first + len(record.raw)
        begin += 2 if self.data[begin : begin + 2] == b"\r\n" else 1
        passed = self.data[:begin]
        lines = count_lines(passed)
        return Piece(
            self.data[begin:],
            self.records - 1,
            self.line + lines,
            self.offset + size_in(self.dialect.encoding, passed),
            self.dialect,
            None if self.line_ends is None else self.line_ends - lines,
        )

    @property
    def comments(self) -> int:
        """How many lines are comments."""
        if not self.dialect.may_comment(self.data):
            return 0
        return count_comments(split(self.data, self.dialect), self.dialect)

    def bare(self) -> Piece:
        """The same records without the comments between them; places are lost by that."""
        if not self.dialect.may_comment(self.data):
            return self
        return replace(self, data=b"\n".join(self.texts()), dialect=replace(self.dialect, comment=b""), line_ends=None)

    def texts(self) -> list[bytes]:
        """The bytes of each record, without line ends."""
        found = self.data.splitlines() if self._is_plain else map(without_line_end, split(self.data, self.dialect))
        return [text for text in found if text and not self._is_comment(text)]

    def joined(self) -> bytes:
        """The records of lines with an LF between each and the next, and nothing else."""
        data = self.data
        is_joined = self._is_plain and b"\r" not in data and not data.startswith(b"\n") and not BLANK_LINE.search(data)
        if is_joined and not self.dialect.may_comment(data):
            return data.removesuffix(b"\n")
        return b"\n".join(self.texts())

    def split(self, wanted: Container[int] | None = None) -> Iterator[tuple[int, Record]]:
        """The records with their numbers from 1, in order: all, or those wanted."""
        texts = split(self.data, self.dialect)
        starts = accumulate(map(len, texts), initial=0)
        lines: Iterable[int] = count(self.line) if self._is_plain else accumulate(map(count_lines, texts), initial=self.line)
        offset, measured, n = self.offset, 0, 0
        for text, start, line in zip(texts, starts, lines, strict=False):
            if text in BLANK or self._is_comment(text):
                continue
            n += 1
            if wanted is None or n in wanted:
                offset += size_in(self.dialect.encoding, self.data[measured:start])
                measured = start
                yield n, Record(line, offset, without_line_end(text))

    def places(self, wanted: Container[int]) -> dict[int, Record]:
        """The records that are wanted, by number, with their bytes as they are in the file."""
        encoding = self.dialect.encoding
        return {n: record._replace(raw=encoded(record.raw, encoding)) for n, record in self.split(wanted)}

    def _is_comment(self, text: bytes) -> bool:
        return bool(self.dialect.comment) and text.startswith(self.dialect.comment)

    @property
    def _begin_of_first(self) -> int:
        """How many bytes stand before the first record: blank lines and comments."""
        at, comment = _LINE_ENDS.match(self.data), self.dialect.comment
        while at and comment and self.data.startswith(comment, at.end()):
            at = _REST_AND_ENDS.match(self.data, at.end())
        return at.end() if at else 0

    def lines(self) -> list[bytes]:
        """The bytes of each record, and of each line that is none, with their ends."""
        return split(self.data, self.dialect)

    @property
    def _is_plain(self) -> bool:
        """Whether each record is one line."""
        return not self.dialect.quote or self.dialect.quote not in self.data


class Scanner:
    """Takes a text in chunks and gives it back in pieces that end where a record does. `kind` is what the text claims to be.

    The pieces are the same whether what was `counted` of the text is known or not.
    Raises SourceError, naming `file`, for bytes that are no such text: an empty file, a binary one, markup, an encoding other than
    UTF-8, a quote that never closes, a record longer than MAX_RECORD_BYTES.
    """

    def __init__(
        self, file: str, dialect: Dialect, kind: Kind = "CSV", *, extent_of: ExtentOf | None = None, counted: Counted | None = None
    ) -> None:
        self._file, self._dialect, self._kind, self._extent_of = file, dialect, kind, extent_of
        self._counted = counted if counted and counted.is_of(dialect) else None
        self._pending = b""
        self._enough = 1  # bytes to wait for before looking again, so that a long record is not searched at each chunk
        self._at = self._records = 0  # bytes of the text, and records, before what is pending
        self._offset, self._line = 0, 1
        self._to_skip = dialect.skip_lines
        self._is_begun = False

    def feed(self, chunk: bytes) -> Piece | None:
        """The next bytes; the records that became complete by them."""
        is_enough = len(self._pending) + len(chunk) >= max(self._enough, 0 if self._is_begun else 4096)
        if not is_enough:
            self._pending += chunk
            return None
        known = self._known_in(chunk)
        if known:
            return self._cut_after(known, chunk)
        end = self._end_of_last(chunk)
        self._pending = self._pending + chunk if end == len(chunk) else b"".join((self._pending, memoryview(chunk)[:end]))
        return self._cut(chunk[end:], is_last=False)

    def finish(self) -> Piece | None:
        """The records that are left when no more bytes come."""
        return self._cut(is_last=True)

    def _end_of_last(self, chunk: bytes) -> int:
        """After the last LF of the next bytes, so that what is cut at it need not be copied again; the end of them where that is not told so."""
        end = chunk.rfind(b"\n") + 1
        return end if end and self._is_begun and not self._to_skip and chunk.find(b"\r", end) < 0 else len(chunk)

    def _cut(self, after: bytes = b"", *, is_last: bool) -> Piece | None:
        """The records that are pending, before what comes `after`, in which no line ends."""
        if not self._is_begun:
            self._begin()
        if self._to_skip and not self._skip(is_last=is_last):
            return None
        data = self._pending
        end, records, line_ends = self._extent(data, is_last=is_last)
        left = data[end:] + after
        if left and (is_last or len(left) > MAX_RECORD_BYTES):
            self._pending += after
            self._refuse_tail(left, end, is_last=is_last)
        self._pending = left
        self._enough = 2 * len(left) + 1
        return self._piece(data[:end], records, line_ends) if end else None

    def _extent(self, data: bytes, *, is_last: bool) -> Extent:
        found = self._extent_of(data, self._dialect) if self._extent_of and not is_last else None
        return found or extent(data, self._dialect, is_last=is_last)

    def _known_in(self, chunk: bytes) -> Known | None:
        """What was counted up to a place in the next bytes; nothing any more where no line ends there, since the bytes are others then."""
        if self._counted is None or not self._is_begun or self._to_skip:
            return None
        begin = self._at + len(self._pending)
        known = self._counted.last_in(begin, begin + len(chunk) - chunk.endswith(b"\r"))
        if known and chunk[known.end - begin - 1] not in b"\r\n":
            self._counted = known = None
        return known

    def _cut_after(self, known: Known, chunk: bytes) -> Piece:
        """As `_cut`, but only what comes after that place is looked at."""
        begin = known.end - self._at - len(self._pending)
        rest = chunk[begin:]
        end, records, line_ends = self._extent(rest, is_last=False)
        data = b"".join((self._pending, memoryview(chunk)[: begin + end]))
        self._pending = rest[end:]
        self._enough = 2 * len(self._pending) + 1
        more = count_lines(rest[:end]) if line_ends is None else line_ends
        return self._piece(data, known.records + records - self._records, known.line_ends + more - (self._line - 1))

    def _piece(self, data: bytes, records: int, line_ends: int | None) -> Piece:
        self._check_text(data)
        line_ends = count_lines(data) if line_ends is None else line_ends
        piece = Piece(data, records, self._line, self._offset, self._dialect, line_ends)
        self._at += len(data)
        self._records += records
        self._offset += size_in(self._dialect.encoding, data)
        self._line += line_ends
        return piece

    def _begin(self) -> None:
        self._is_begun = True
        start = self._pending[:4096]
        problem = problem_of_start(self._file, start, self._kind, is_header=not self._to_skip)
        if problem:
            raise SourceError(problem)
        while self._pending.startswith(_BOM):  # more than one: of files that were put together
            self._pending = self._pending[len(_BOM) :]
            self._at += len(_BOM)
            self._offset += size_in(self._dialect.encoding, _BOM)

    def _skip(self, *, is_last: bool) -> bool:
        """Pass over the lines before the header; False while they have not all come."""
        while self._to_skip:
            found = _LINE_END.search(self._pending)
            if not found or (not is_last and found.end() == len(self._pending)):
                if not is_last:
                    return False
                raise SourceError(
                    f"`{self._file}` has {self._line} lines or fewer, and skip={self._dialect.skip_lines} passes over all of them."
                )
            self._at += found.end()
            self._offset += size_in(self._dialect.encoding, self._pending[: found.end()])
            self._line += 1
            self._pending = self._pending[found.end() :]
            self._to_skip -= 1
        return True

    def _check_text(self, data: bytes) -> None:
        if b"\0" in data:
            at = data.index(b"\0")
            raise SourceError(f"`{self._file}` is no text: it has a NUL byte at {self._place(data, at)}. {nul_advice(data, at)}")
        if data.isascii():
            return
        try:
            data.decode()
        except UnicodeDecodeError as error:
            place, advice = self._place(data, error.start), utf8_advice(data[: error.start], error)
            raise SourceError(f"`{self._file}` is not UTF-8: {error.reason} (0x{data[error.start]:02x}) at {place}. {advice}") from None

    def _place(self, data: bytes, position: int) -> str:
        return f"byte {self._offset + position} (line {self._line + count_lines(data[:position])})"

    def _refuse_tail(self, tail: bytes, start: int, *, is_last: bool) -> NoReturn:
        line = self._line + count_lines(self._pending[:start])
        self._check_text(self._pending)
        opened = open_quote(tail, self._dialect)
        quote_line = line + count_lines(tail[:opened]) if opened is not None else None
        if quote_line is not None and is_last:
            raise SourceError(
                f"`{self._file}` has a quote that never closes: it opens on line {quote_line}, and everything after it would be one field. "
                "Mend that line, or read the file with quote=None."
            )
        hint = f" A quote opens on line {quote_line} and does not close." if quote_line is not None else ""
        raise SourceError(
            f"`{self._file}` has a record longer than {MAX_RECORD_BYTES // 2**20} MiB, which begins on line {line}: no {self._kind} file has.{hint}"
        )


def counted_with(piece: Piece, records: int, counted: Counted | None) -> Counted:
    """What is known of a text in UTF-8 by a piece more, up to whose end there are so many records."""
    counted = counted or Counted(piece.dialect)
    if piece.line_ends is not None:
        counted.add(Known(piece.offset + len(piece.data), records, piece.line - 1 + piece.line_ends))
    return counted
