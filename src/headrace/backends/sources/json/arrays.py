"""A file that is one big array, `[{…}, {…}]`, as lines: each element becomes a line of its own, in a stream.

Only brackets and quotes are looked at, apart from any parser, so that the count of the elements does not come from what keeps them. The
invariant: the text has as many bytes as before, and all bytes of an element stay where they are but its line ends, which become spaces; so
places in it are those in the file, and the n-th line is the n-th element.
"""

from __future__ import annotations

import re
from typing import NoReturn

from headrace.core.errors import SourceError
from headrace.core.records import MAX_RECORD_BYTES

__all__ = ["ElementLines"]

_BOM = b"\xef\xbb\xbf"
_STRING = rb'"(?:[^"\\]|\\.)*+"'
_GAP = re.compile(rb"[\s,]*+")
_SCALAR = re.compile(rb"(?:" + _STRING + rb'|[^\s,\[\]{}"])++', re.DOTALL)
_NEXT = re.compile(rb'(?:[^"\[\]{}\r\n]|' + _STRING + rb")*+([\[\]{}]|[\r\n]++)", re.DOTALL)

_WINDOW = 256 * 1024  # bytes whose elements are told at once
_LEVELS = 4  # of brackets, in an element that is told with those after it
_BARE, _STRING_ON_A_LINE = rb'[^"\[\]{}]*+', rb'"[^"\\\r\n]*+(?:\\[^\r\n][^"\\\r\n]*+)*+"'
_SPACED = bytes.maketrans(b"\r\n", b"  ")


def _element(levels: int) -> bytes:
    """A pattern of brackets that open and close, and of strings without line ends."""
    inner = _STRING_ON_A_LINE + (rb"|" + _element(levels - 1) if levels > 1 else b"")
    return rb"[{\[]" + _BARE + rb"(?:(?:" + inner + rb")" + _BARE + rb")*+[}\]]"


_RUN = re.compile(rb"(" + _element(_LEVELS) + rb")(\s*+,\s*+)(?=[^\s,])|.++", re.DOTALL)


class ElementLines:
    """Takes a text in chunks and gives it back, as it is if it is no array. SourceError, naming `file`, for an array that does not end as one."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._text, self._at = b"", 0  # what has come, and how far it is told
        self._passed = 0  # bytes before the text
        self._enough = 1  # bytes to wait for before looking again, so that a long text is not searched at each chunk
        self._gap, self._has_comma, self._elements = 0, True, 0
        self._depth = 1  # inside of the array, and in no element
        self._has_ended = False
        self.is_array: bool | None = None

    def feed(self, chunk: bytes) -> bytes:
        if self.is_array is False:
            return chunk
        self._text += chunk
        if len(self._text) < self._enough:
            return b""
        given = b"" if self.is_array else self._begin()
        return given + self._told(is_last=False) if self.is_array else given

    def finish(self) -> bytes:
        self._enough = 0
        given = self.feed(b"")
        if not self.is_array:
            return given + self._text if self.is_array is None else given
        given += self._told(is_last=True)
        if not self._has_ended:
            raise SourceError(
                f"`{self._file}` begins with an array that does not end: it was cut short, or a quote or a bracket in it does not close. Fetch it again."
            )
        return given + b"\n" * self._gap

    def _begin(self) -> bytes:
        """Whether it is an array: by the first byte that is not blank."""
        text = self._text.removeprefix(_BOM)
        first = text.lstrip()[:1]
        if not first or _BOM.startswith(text):
            return b""
        if first != b"[":
            self.is_array = False
            given, self._text = self._text, b""
            return given
        self.is_array = True
        mark = self._text[: len(self._text) - len(text)]
        self._gap = text.index(b"[") + 1
        self._at = len(mark) + self._gap
        return mark

    def _told(self, *, is_last: bool) -> bytes:
        """What can be told of the text at hand."""
        given: list[bytes] = []
        while self._at < len(self._text) and (taken := self._take(is_last=is_last)) is not None:
            given.append(taken)
        self._passed += self._at
        self._text, self._at = self._text[self._at :], 0
        if len(self._text) > MAX_RECORD_BYTES and not is_last:
            self._refuse(f"has an element longer than {MAX_RECORD_BYTES // 2**20} MiB in its array")
        self._enough = max(2 * len(self._text), 1)
        return b"".join(given)

    def _take(self, *, is_last: bool) -> bytes | None:
        if self._depth > 1:
            return self._take_inside()
        between = _GAP.match(self._text, self._at)
        if between and between[0]:
            self._has_comma = self._has_comma or b"," in between[0]
            return self._passing(len(between[0]))
        if self._has_ended:
            self._refuse("has more after its array has ended")
        first = self._text[self._at : self._at + 1]
        if first == b"]":
            self._has_ended = True
            return self._passing(1)
        if first in (b"{", b"["):
            gap = self._before_element()
            run = self._take_run()
            if run:
                return gap + run
            self._depth = 2
            self._at += 1
            return gap + first
        return self._take_scalar(first, is_last=is_last)

    def _take_run(self) -> bytes:
        """Elements one after the other, and what is between them, as far as that is quickly told; at the first of them, which was counted."""
        found: list[tuple[bytes, bytes]] = _RUN.findall(self._text, self._at, self._at + _WINDOW)
        if not found[-1][0]:
            found.pop()
        if not found:
            return b""
        between = {gap: b" " * (len(gap) - 1) + b"\n" for _, gap in found}
        run = b"".join([part for element, gap in found for part in (element.translate(_SPACED), between[gap])])
        self._at += len(run)
        self._gap, self._has_comma = len(found[-1][1]), True
        self._elements += len(found) - 1
        return run[: -self._gap]

    def _take_inside(self) -> bytes | None:
        """An element up to its next bracket or line end."""
        found = _NEXT.match(self._text, self._at)
        if not found:
            return None
        self._at = found.end()
        if found[1] in (b"{", b"["):
            self._depth += 1
        elif found[1] in (b"}", b"]"):
            self._depth -= 1
        else:
            return found[0][: -len(found[1])] + b" " * len(found[1])
        return found[0]

    def _take_scalar(self, first: bytes, *, is_last: bool) -> bytes | None:
        """An element that is no object: it ends where something else begins, so not before that has come."""
        found = _SCALAR.match(self._text, self._at)
        if not found and first != b'"':
            self._refuse(f"has {first.decode(errors='replace')!r} between the elements of its array")
        if not found or (found.end() == len(self._text) and not is_last):
            return None
        gap = self._before_element()
        self._at = found.end()
        return gap + re.sub(rb"[\r\n]", b" ", found[0])

    def _before_element(self) -> bytes:
        """What stands before an element: blanks, and from the second on a line end. What is after the last, or in an empty array, is line ends."""
        if not self._has_comma:
            self._refuse("has no comma between two elements of its array")
        gap = b" " * (self._gap - 1) + b"\n" if self._elements else b" " * self._gap
        self._gap, self._has_comma = 0, False
        self._elements += 1
        return gap

    def _passing(self, size: int) -> bytes:
        self._at += size
        self._gap += size
        return b""

    def _refuse(self, what: str) -> NoReturn:
        raise SourceError(
            f"`{self._file}` {what}, at byte {self._passed + self._at} of its text. Mend it, or write an object a line: "
            f"`jq -c '.[]' {self._file} > {self._file.partition('.')[0]}.jsonl`."
        )
