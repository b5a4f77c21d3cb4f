"""Where the records of a large text end, and what is in quotes, by NumPy: in a tenth of the time that patterns take, and less.

A quote opens where an even number of them came before, if that is the start of a field or right after a quote, which then is one of two in a
text: where each does, all is told by counting. Where one does not, or a CR is alone, or a line may be a comment, nothing is told. The invariant:
what is told here is what `headrace.core.cutting` finds. NumPy is used where it is loaded already, or so much text has come that loading it pays.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from headrace.core.cutting import Extent
from headrace.core.dialect import Dialect
from headrace.core.records import Piece

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["Extents", "Look", "Outline", "count", "line_ends", "outline_of"]

_LF, _CR = 10, 13
_LARGE = 16 * 1024  # bytes below which Python's own ways take less
_BLOCK = 128 * 1024  # bytes that stay in the processor's cache, with what is made of them
_LONGEST = 2**31 - 2  # bytes: places are of 32 bits, since a text of nothing but line ends has as many
_PAYS, _QUOTED = 48 * 1024 * 1024, 12  # bytes by which loading NumPy is made up for; of a text with quotes one in so many


class Extents:
    """Measures the texts of one file, one after another: see `headrace.core.cutting.ExtentOf`."""

    def __init__(self) -> None:
        self._weight = 0

    def __call__(self, data: bytes, dialect: Dialect) -> Extent | None:
        is_quoted = bool(dialect.quote) and dialect.quote in data
        self._weight += len(data) * (_QUOTED if is_quoted else 1)
        if not _has_numpy(len(data), pays=self._weight > _PAYS) or dialect.may_comment(data):
            return None
        if not is_quoted and b"\r" not in data and (lines := _lines(data)):
            return lines
        found = _outline(data, dialect)
        if found is None:
            return None
        if not len(found.ends):
            return Extent(0, 0, 0)
        return Extent(int(found.ends[-1]) + 1, len(found.ends) - found.blank(data), int(found.lines[-1]))


class Outline(NamedTuple):
    """The LF outside quotes of a text, of which each CR is followed by one, and how many LF there are up to each, in quotes and out.

    `delimiters` and `returns` count delimiters and CR outside quotes.
    """

    ends: npt.NDArray[np.int32]
    lines: npt.NDArray[np.int32]
    delimiters: int
    returns: int

    def blank(self, data: bytes) -> int:
        """How many lines have nothing in them."""
        import numpy as np

        sizes = np.diff(self.ends, prepend=np.int32(-1))
        before = np.frombuffer(data, np.uint8)[self.ends[sizes == 2] - 1]
        return int(np.count_nonzero(sizes == 1) + np.count_nonzero(before == _CR))

    def begins(self, data: bytes) -> npt.NDArray[np.int32]:
        """Where each line begins, and where the last ends, if none is blank."""
        import numpy as np

        has_rest = not len(self.ends) or self.ends[-1] + 1 < len(data)
        return np.concatenate([np.zeros(1, np.int32), self.ends + np.int32(1), *([np.array([len(data)], np.int32)] if has_rest else [])])


class Look:
    """A piece, looked at once for all that is asked of it."""

    def __init__(self, piece: Piece) -> None:
        self._piece = piece

    def is_even(self, width: int) -> bool:
        """As `piece.is_even(width)`."""
        data, dialect = self._piece.data, self._piece.dialect
        if (not dialect.quote or dialect.quote not in data) and b"\r" not in data and len(dialect.delimiter) == 1:
            return count(data, dialect.delimiter) == self._piece.records * (width - 1)
        found = self._outline
        if found is None:
            return self._piece.is_even(width)
        return found.returns in (0, len(found.ends)) and found.delimiters == self._piece.records * (width - 1)

    def is_long(self, line_ends: int) -> bool:
        """Whether a record may have more than so many line ends in it."""
        found = self._outline
        if found is None or not len(found.ends):
            return True
        import numpy as np

        last = self._piece.data.count(b"\n", int(found.ends[-1]) + 1)
        return max(int(np.diff(found.lines, prepend=np.int32(0)).max()) - 1, last) > line_ends

    @cached_property
    def _outline(self) -> Outline | None:
        return outline_of(self._piece, has_delimiters=True)


def count(data: bytes, sign: bytes, start: int = 0, end: int | None = None) -> int:
    """As `data.count`, of one byte."""
    end = len(data) if end is None else min(end, len(data))
    if not _has_numpy(end - start):
        return data.count(sign, start, end)
    import numpy as np

    bytes_ = np.frombuffer(data, np.uint8, end - start, start)
    return sum(int(np.count_nonzero(bytes_[at : at + _BLOCK] == sign[0])) for at in range(0, len(bytes_), _BLOCK))


def line_ends(data: bytes) -> npt.NDArray[np.int64] | None:
    """Where each LF of a text is; None where Python's own ways are to be taken."""
    if not _has_numpy(len(data)):
        return None
    import numpy as np

    bytes_ = np.frombuffer(data, np.uint8)
    return np.concatenate([np.flatnonzero(bytes_[at : at + _BLOCK] == _LF) + at for at in range(0, len(data), _BLOCK)])


def outline_of(piece: Piece, *, has_delimiters: bool = False) -> Outline | None:
    """The outline of a piece; None where it can't be told so, or Python's own ways are to be taken."""
    data, dialect = piece.data, piece.dialect
    if not _has_numpy(len(data)) or dialect.may_comment(data):
        return None
    return _outline(data, dialect, has_delimiters=has_delimiters)


def _outline(data: bytes, dialect: Dialect, *, has_delimiters: bool = False) -> Outline | None:
    has_escape = dialect.escape not in (b"", dialect.quote)
    if len(data) > _LONGEST or max(len(dialect.quote), len(dialect.delimiter)) > 1 or (has_escape and dialect.escape in data):
        return None
    walk = _Walk(data, dialect, has_delimiters=has_delimiters)
    return walk.outline() if all(map(walk.take, range(0, len(data), _BLOCK))) else None


class _Walk:
    """A text taken block by block, with what is known up to there."""

    def __init__(self, data: bytes, dialect: Dialect, *, has_delimiters: bool) -> None:
        import numpy as np

        self._np, self._bytes = np, np.frombuffer(data, np.uint8)
        self._quote, self._delimiter = _number(dialect.quote), _number(dialect.delimiter)
        own = [*([_CR] if b"\r" in data else []), *([self._delimiter] if has_delimiters else [])]
        self._signs = [_LF, *([self._quote] if dialect.quote else []), *own]
        self._before_field = [_LF, self._delimiter, *([self._quote] if dialect.escape in (b"", dialect.quote) else [])]
        self._ends, self._lines = [np.empty(0, np.int32)], [np.empty(0, np.int32)]
        self._passed = self._delimiters = self._returns = 0
        self._is_open = False

    def take(self, start: int) -> bool:
        """The next block; False where nothing can be told."""
        np, block = self._np, self._bytes[start : start + _BLOCK]
        at = np.flatnonzero(self._any(block, self._signs))
        kinds = block[at]
        at += start
        is_quote, is_lf, is_cr = kinds == self._quote, kinds == _LF, kinds == _CR
        outside = (np.cumsum(is_quote, dtype=np.int32) + self._is_open) & 1 == 0
        if not self._open_fields(at[is_quote & ~outside]) or not self._are_before_lf(at[is_cr]):
            return False
        is_end = is_lf & outside
        self._ends.append(at[is_end].astype(np.int32))
        self._lines.append(np.cumsum(is_lf, dtype=np.int32)[is_end] + np.int32(self._passed))
        self._passed += int(np.count_nonzero(is_lf))
        self._returns += int(np.count_nonzero(is_cr & outside))
        self._delimiters += int(np.count_nonzero((kinds == self._delimiter) & outside))
        if len(outside):
            self._is_open = not outside[-1]
        return True

    def outline(self) -> Outline:
        np = self._np
        return Outline(np.concatenate(self._ends), np.concatenate(self._lines), self._delimiters, self._returns)

    def _open_fields(self, quotes: npt.NDArray[np.int64]) -> bool:
        before = self._bytes[quotes[quotes > 0] - 1]
        return bool(self._any(before, self._before_field).all())

    def _are_before_lf(self, returns: npt.NDArray[np.int64]) -> bool:
        if len(returns) and returns[-1] + 1 == len(self._bytes):
            return False
        return bool((self._bytes[returns + 1] == _LF).all())

    def _any(self, bytes_: npt.NDArray[np.uint8], signs: Sequence[int]) -> npt.NDArray[np.bool_]:
        found: npt.NDArray[np.bool_] = bytes_ == signs[0]
        for sign in signs[1:]:
            found |= bytes_ == sign
        return found


def _lines(data: bytes) -> Extent | None:
    """The extent of a text without quotes and CR; None where a line is blank."""
    import numpy as np

    end, lines = data.rfind(b"\n") + 1, 0
    if data.startswith(b"\n"):
        return None
    bytes_ = np.frombuffer(data, np.uint8, end)
    for at in range(0, end, _BLOCK):
        found = bytes_[at : at + _BLOCK + 1] == _LF
        lines += int(np.count_nonzero(found[:_BLOCK]))
        if (found[1:] & found[:-1]).any():
            return None
    return Extent(end, lines, lines)


def _number(sign: bytes) -> int:
    return sign[0] if sign else -1


def _has_numpy(size: int, *, pays: bool = False) -> bool:
    return size >= _LARGE and (pays or "numpy" in sys.modules)
