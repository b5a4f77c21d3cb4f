"""Text in any encoding as UTF-8, while its bytes come.

UTF-8 passes as it is, and whoever cuts it into records checks it. No encoding is guessed that any bytes would fit: a wrong one
mangles letters in silence. The invariant: a byte that stands for no character is refused with its place in the file, and never replaced.
"""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from typing import NoReturn

from headrace.core.errors import SourceError
from headrace.core.ports import JSON

__all__ = ["AUTO", "LONGEST_MARK", "Transcoder", "encoding_by"]

AUTO = "auto"
_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_UTF_32 = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
LONGEST_MARK = 4


def encoding_by(start: bytes, file: str, options: Mapping[str, JSON]) -> str:
    """The encoding that a file is in, by what was said of it and its first bytes, LONGEST_MARK of them if it has so many."""
    transcoder = Transcoder(file, str(options.get("encoding", AUTO)))
    transcoder.feed(start[:LONGEST_MARK])
    if not transcoder.encoding:
        transcoder.finish()
    return transcoder.encoding


class Transcoder:
    """Takes the bytes of one file in chunks and gives them in UTF-8. `said` is an encoding, or AUTO: UTF-8, or UTF-16 by its byte order mark.

    `encoding` is the one that it turned out to be, and `because` says why; both are empty until enough bytes have come to tell.
    """

    def __init__(self, file: str, said: str) -> None:
        self._file, self._said = file, said
        self._start = b""
        self._decoder: codecs.IncrementalDecoder | None = None
        self._offset, self._line = 0, 1
        self._ends_in_cr = False
        self.encoding, self.because = "", ""

    def feed(self, chunk: bytes) -> bytes:
        if not self.encoding:
            self._start += chunk
            if len(self._start) < LONGEST_MARK:
                return b""
            chunk = self._begin()
        return self._transcoded(chunk, is_last=False)

    def finish(self) -> bytes:
        return self._transcoded(b"" if self.encoding else self._begin(), is_last=True)

    def _begin(self) -> bytes:
        start, self._start = self._start, b""
        marked = next((name for mark, name in _MARKS.items() if start.startswith(mark)), "")
        if start.startswith(_UTF_32):
            raise SourceError(f"`{self._file}` is UTF-32 text, which is not read. Convert it with `iconv -f utf-32 -t utf-8`.")
        if self._said == AUTO:
            self.encoding, self.because = marked or "utf-8", "its byte order mark" if marked else "all of it is"
        else:
            self.encoding, self.because = self._checked(marked), "said"
        if self.encoding != "utf-8":
            self._decoder = codecs.getincrementaldecoder(self.encoding)("strict")
        return start

    def _checked(self, marked: str) -> str:
        """The encoding that was said, if the byte order mark allows it."""
        if self._said == "utf-16":
            if not marked.startswith("utf-16"):
                raise SourceError(
                    f'`{self._file}` has no byte order mark of UTF-16, so the order is not known: say encoding="utf-16-le" or "utf-16-be".'
                )
            return marked
        if marked and marked != self._said:
            raise SourceError(
                f"`{self._file}` begins with the byte order mark of {marked}, and encoding={self._said!r} was said. Leave encoding= out: the mark tells."
            )
        return self._said

    def _transcoded(self, chunk: bytes, *, is_last: bool) -> bytes:
        if not self._decoder:
            return chunk
        waiting = self._decoder.getstate()[0]
        try:
            text = self._decoder.decode(chunk, is_last)
        except UnicodeDecodeError as error:
            self._refuse(waiting + chunk, error)
        if "\0" in text:
            at = text.index("\0")
            place = self._place(self._offset + len(text[:at].encode(self.encoding)), text[:at])
            raise SourceError(f"`{self._file}` is binary, or not {self.encoding}: it has a NUL character at {place}. Is encoding= right?")
        self._line += self._line_ends(text)
        self._offset += len(waiting) + len(chunk) - len(self._decoder.getstate()[0])
        self._ends_in_cr = text.endswith("\r") if text else self._ends_in_cr
        return text.encode()

    def _refuse(self, data: bytes, error: UnicodeDecodeError) -> NoReturn:
        place = self._place(self._offset + error.start, data[: error.start].decode(self.encoding))
        found = data[error.start : error.end].hex()
        raise SourceError(
            f"`{self._file}` is not {self.encoding}: 0x{found} at {place} stands for no character ({error.reason}). "
            "Mend the file, or say another encoding=…"
        ) from None

    def _place(self, offset: int, text: str) -> str:
        return f"byte {offset} (line {self._line + self._line_ends(text)})"

    def _line_ends(self, text: str) -> int:
        """The line ends in the next stretch of text: LF, CRLF and CR each count once."""
        return text.count("\n") + text.count("\r") - text.count("\r\n") - (self._ends_in_cr and text.startswith("\n"))
