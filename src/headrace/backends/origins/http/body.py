"""The bytes of a file on the web, over as many connections as it takes.

A connection that breaks off is taken up where it ended (`Range` with `If-Range`), or else the file is read again from its beginning,
and what was given already is compared. The invariant: whatever breaks, what is given is the file as one answer has it, from its first
byte to its last, or an error. RFC 9110 is the specification: 8.8 validators, 13.1.5 If-Range, 14 ranges.
"""

from __future__ import annotations

import gzip
import io
import re
import zlib
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, BinaryIO

from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError

from headrace.backends.origins.http.address import Address
from headrace.backends.origins.http.exchange import Exchange, time_of
from headrace.backends.origins.http.trouble import changed, refusal, what_broke
from headrace.core.errors import SourceError, TransientError
from headrace.core.ports import RawFile

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["Version", "open_body"]

_MOST_BREAKS = 5  # without a mebibyte between them
_PROGRESS = 1024 * 1024
_BUFFER = 256 * 1024
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


@dataclass(frozen=True)
class Version:
    """What an answer says of the file: by what it is known, how long it is (None if untold) and whether it was packed for the way."""

    etag: str
    modified: str
    size_bytes: int | None
    is_packed: bool
    is_strong: bool
    has_end: bool

    @classmethod
    def of(cls, response: BaseHTTPResponse, address: Address) -> Version:
        """SourceError for a packing that can't be undone."""
        headers = response.headers
        etag, modified = headers.get("ETag", "").strip(), headers.get("Last-Modified", "").strip()
        is_chunked = "chunked" in headers.get("Transfer-Encoding", "").lower()
        length = headers.get("Content-Length", "").strip()
        size = int(length) if length.isdecimal() and not is_chunked else None
        is_strong = etag.startswith('"') if etag else _is_strong(modified, headers.get("Date"))
        return cls(etag, modified, size, _is_packed(response, address), is_strong, is_chunked or size is not None)

    def mark(self, size_bytes: int | None) -> str:
        """A text that changes when the file does; empty where nothing tells."""
        known = self.etag or self.modified
        return known if size_bytes is None or not known else f"{known} {size_bytes}"

    @property
    def validator(self) -> str:
        """By which a part of this version, and of no other, can be asked for; empty where nothing is so exact."""
        return (self.etag or self.modified) if self.is_strong else ""


def open_body(file: RawFile, exchange: Exchange, address: Address, *, max_bytes: int) -> BinaryIO:
    """The file that was found, to be read once from its beginning. TransientError where it is another by now."""
    response = exchange.send("GET", address)
    try:
        version = _checked(file, response, address, max_bytes)
    except BaseException:
        response.close()
        raise
    body = _Body(exchange, address, response, version)
    return io.BufferedReader(_Bounded(body, address, is_packed=version.is_packed, max_bytes=max_bytes), _BUFFER)


def _checked(file: RawFile, response: BaseHTTPResponse, address: Address, max_bytes: int) -> Version:
    if response.status in (404, 410):
        raise changed(address, "is gone since it was found")
    if response.status != 200:
        raise refusal(response, address)
    version = Version.of(response, address)
    if not version.has_end:
        raise SourceError(
            f"`{address.shown}` can't be fetched safely: its server says neither how long it is (Content-Length) nor where it ends (chunked), "
            "so that a part of it would pass for the whole. Mend the server, or fetch the file by other means and name it by its path."
        )
    is_other_size = not version.is_packed and version.size_bytes is not None and file.size_bytes not in (None, version.size_bytes)
    if is_other_size or (file.mark and version.mark(file.size_bytes) != file.mark):
        raise changed(address, "changed since it was found")
    if version.size_bytes is not None and version.size_bytes > max_bytes:
        raise _too_large(address, version.size_bytes, max_bytes)
    return version


class _Body(io.RawIOBase):
    """What is sent, as it is sent."""

    def __init__(self, exchange: Exchange, address: Address, response: BaseHTTPResponse, version: Version) -> None:
        self._exchange, self._address, self._response, self._version = exchange, address, response, version
        self._total = version.size_bytes
        self._at = 0  # bytes given
        self._reached = 0  # bytes of the file that the present answer came to: fewer, where it began anew
        self._given, self._again = sha256(), sha256()  # of what was given, and of what came again, where no validator vouches for it
        self._takes_ranges = bool(version.validator)
        self._breaks, self._at_break = 0, 0
        self._is_over = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer)
        while view and not self._is_over:
            try:
                data = self._response.read1(len(view), decode_content=False)
            except HTTPError as error:
                self._take_up(what_broke(error))
                continue
            if not data:
                self._end()
                continue
            data = self._unseen(data)
            if data:
                view[: len(data)] = data
                return len(data)
        return 0

    def close(self) -> None:
        if not self.closed:
            self._response.close()
        super().close()

    def _unseen(self, data: bytes) -> bytes:
        """What was not given yet of the next bytes of an answer."""
        before = data[: self._at - self._reached] if self._reached < self._at else b""
        if before:
            self._reached += len(before)
            if not self._version.validator:
                self._again.update(before)
                if self._reached == self._at and self._again.digest() != self._given.digest():
                    raise changed(self._address, "changed while it was read")
        data = data[len(before) :]
        self._at += len(data)
        self._reached += len(data)
        if not self._version.validator:
            self._given.update(data)
        return data

    def _end(self) -> None:
        """An answer is over: the file is, or the connection broke off without saying so."""
        if self._reached < self._at:
            raise changed(self._address, "is shorter than it was when it was read before the connection broke off")
        if self._total is not None and self._at < self._total:
            self._take_up("the answer ended early")
            return
        self._is_over = True
        self._response.release_conn()

    def _take_up(self, why: str) -> None:
        """Ask for what is missing."""
        self._response.close()
        if self._at - self._at_break >= _PROGRESS:
            self._breaks, self._at_break = 0, self._at
        self._breaks += 1
        if self._breaks > _MOST_BREAKS:
            of_all = "" if self._total is None else f" of {self._total:,}"
            raise TransientError(
                f"`{self._address.shown}` can't be read to its end: {why}, after {self._at:,}{of_all} bytes and {_MOST_BREAKS} tries. Run again later."
            )
        self._exchange.pause(self._breaks)
        asks_part = self._takes_ranges and self._at > 0
        asked = {"Range": f"bytes={self._at}-", "If-Range": self._version.validator} if asks_part else {}
        self._response = self._exchange.send("GET", self._address, asked)
        if self._response.status == 206 and asks_part:
            self._go_on()
        elif self._response.status == 200:
            self._begin_again()
        elif self._response.status in (404, 410, 416):
            raise changed(self._address, "changed while it was read")
        else:
            raise refusal(self._response, self._address)

    def _go_on(self) -> None:
        """The answer is a part: it has to be the one asked for, of the same version. Where it does not say so, no part is asked for again."""
        found = _RANGE.fullmatch(self._response.headers.get("Content-Range", "").strip())
        now = Version.of(self._response, self._address)
        if not found or int(found[1]) != self._at or (self._version.etag and not now.etag):
            self._takes_ranges = False
            self._take_up("its server answers with another part than the one asked for")
            return
        total = int(found[3])
        is_other = (now.etag or now.modified) and now.mark(None) != self._version.mark(None)
        if is_other or now.is_packed != self._version.is_packed or self._total not in (None, total):
            raise changed(self._address, "changed while it was read")
        self._total, self._reached = total, self._at

    def _begin_again(self) -> None:
        """The answer is the whole file: another one by now, or else its beginning is passed over, and compared if nothing vouches for it."""
        now = Version.of(self._response, self._address)
        if (now.mark(now.size_bytes), now.is_packed, now.has_end) != (
            self._version.mark(self._version.size_bytes),
            self._version.is_packed,
            True,
        ):
            raise changed(self._address, "changed while it was read")
        self._total = now.size_bytes
        self._again, self._reached = sha256(), 0


class _Bounded(io.RawIOBase):
    """The bytes of the file, unpacked if they came packed, and no more of them than may be."""

    def __init__(self, body: _Body, address: Address, *, is_packed: bool, max_bytes: int) -> None:
        self._body, self._address, self._max_bytes = body, address, max_bytes
        packed = io.BufferedReader(body, _BUFFER)
        self._from: io.BufferedIOBase = gzip.GzipFile(fileobj=packed) if is_packed else packed
        self._at = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        try:
            count = self._from.readinto(buffer)
        except (EOFError, gzip.BadGzipFile, zlib.error):
            raise TransientError(
                f"`{self._address.shown}` came packed as gzip, and can't be unpacked: it is damaged. Run again later."
            ) from None
        self._at += count
        if self._at > self._max_bytes:
            raise _too_large(self._address, self._at, self._max_bytes)
        return count

    def close(self) -> None:
        self._body.close()
        super().close()


def _is_packed(response: BaseHTTPResponse, address: Address) -> bool:
    """Whether the bytes were packed for the way, though that was not asked for. A file that is gzip itself is often labelled so: it stays."""
    coding = response.headers.get("Content-Encoding", "").strip().lower()
    if coding in ("", "identity"):
        return False
    if coding not in ("gzip", "x-gzip"):
        raise SourceError(
            f"`{address.shown}` comes packed as `{coding}`, though its bytes as they are were asked for. Only gzip is undone."
        )
    return not address.name.endswith((".gz", ".gzip", ".tgz"))


def _is_strong(modified: str, date: str | None) -> bool:
    """Whether a time of change tells versions apart: a file that changed in the second in which it was sent may change again in it."""
    changed_at, sent_at = time_of(modified), time_of(date)
    return changed_at is not None and sent_at is not None and sent_at - changed_at >= timedelta(seconds=1)


def _too_large(address: Address, size_bytes: int, max_bytes: int) -> SourceError:
    return SourceError(
        f"`{address.shown}` has {size_bytes:,} bytes or more, and at most {max_bytes:,} are taken. If it is right, allow more in headrace.toml: "
        'max_size = "20GB" under [<profile>.sources.<source>].'
    )
