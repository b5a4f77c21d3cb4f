"""Raw files in buckets: by key, or by a pattern of keys.

A key is looked at by one request (HEAD), a pattern by a listing of what begins like it. The invariant: nothing is ever written, and what
is opened is the version that was found.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import obstore
from obstore.store import ObjectStore

from headrace.backends.buckets.address import Address, parse_address
from headrace.backends.buckets.body import Body, RefusedError, asked
from headrace.backends.buckets.listing import list_objects
from headrace.backends.buckets.opening import open_client
from headrace.backends.buckets.pattern import is_pattern, literal_prefix, matcher
from headrace.core.access import Access
from headrace.core.errors import SourceError
from headrace.core.ports import RawFile

if TYPE_CHECKING:
    from obstore import ObjectMeta

__all__ = ["BucketOrigin", "open_origin"]

_BUFFER = 256 * 1024


class BucketOrigin:
    """Locations are `s3://bucket/key`; all buckets are reached by one `access`, so a source that has another has an origin of its own."""

    concurrency = 8

    def __init__(self, access: Access) -> None:
        self._access = access
        self._lock = threading.Lock()
        self._clients: dict[Address, ObjectStore] = {}

    def find(self, location: str) -> Sequence[RawFile]:
        spot = _spot(location)
        if is_pattern(spot.key):
            return self._matching(spot)
        try:
            with asked("read", spot.key, spot.place):
                return (_raw_file(spot, obstore.head(self._client(spot.place), spot.key)),)
        except KeyError:
            self._check_nothing_below(spot)
        except RefusedError:
            if self._may_be_there(spot):
                raise
        return ()

    def open(self, file: RawFile) -> BinaryIO:
        spot = _spot(file.uri)
        return io.BufferedReader(Body(self._client(spot.place), spot.place, spot.key, file), _BUFFER)

    # ------------------------------------------------ the work

    def _client(self, place: Address) -> ObjectStore:
        with self._lock:
            if place not in self._clients:
                self._clients[place] = open_client(place, self._access)
            return self._clients[place]

    def _matching(self, spot: _Spot) -> Sequence[RawFile]:
        is_named = matcher(spot.key)
        found: list[ObjectMeta] = []
        with asked("list", literal_prefix(spot.key), spot.place):
            for seen in self._listed(spot):
                if seen["path"] == spot.key:  # a name that looks like a pattern
                    return (_raw_file(spot, seen),)
                if is_named(seen["path"]):
                    found.append(seen)
        found.sort(key=lambda seen: seen["path"].split("/"))
        return tuple(_raw_file(replace(spot, key=seen["path"]), seen) for seen in found if seen["size"] or not self._is_folder(spot, seen))

    def _listed(self, spot: _Spot) -> Iterable[ObjectMeta]:
        """What begins like a pattern. Where that is a folder, and nothing but its own files is meant, what lies deeper is passed over."""
        prefix = literal_prefix(spot.key)
        folder, slash, name = prefix.rpartition("/")
        if not name and "/" not in spot.key[len(prefix) :] and "**" not in spot.key:
            return obstore.list_with_delimiter(self._client(spot.place), folder + slash or None)["objects"]
        return list_objects(self._client(spot.place), spot.place, prefix)

    def _is_folder(self, spot: _Spot, seen: ObjectMeta) -> bool:
        """Whether what is listed without a byte is a folder's mark, as consoles put them: its key ends in a slash, which listings omit here."""
        try:
            with asked("read", seen["path"], spot.place):
                obstore.head(self._client(spot.place), seen["path"])
        except KeyError:
            return True
        return False

    def _check_nothing_below(self, spot: _Spot) -> None:
        """SourceError for a key that is a folder, and for a bucket that is not there: a missing key is not told from it otherwise."""
        with suppress(RefusedError), asked("list", f"{spot.key}/", spot.place):
            if next(iter(list_objects(self._client(spot.place), spot.place, f"{spot.key}/")), None) is not None:
                raise _folder(spot)

    def _may_be_there(self, spot: _Spot) -> bool:
        """Whether a key that can't be looked at is listed, or can't be listed either. S3 denies what is not there to those who may list a part of the bucket."""
        try:
            with asked("list", spot.key, spot.place):
                first = next(iter(list_objects(self._client(spot.place), spot.place, spot.key)), None)
        except RefusedError:
            return True
        return first is not None and first["path"] == spot.key


@dataclass(frozen=True)
class _Spot:
    """A key, or a pattern of keys, in a bucket."""

    place: Address
    key: str

    def __str__(self) -> str:
        return f"{self.place}/{self.key}"


def _spot(location: str) -> _Spot:
    scheme, _, rest = location.partition("://")
    bucket, _, key = rest.partition("/")
    spot = _Spot(parse_address(f"{scheme.lower()}://{bucket}"), key)
    if not key or key.endswith("/"):
        raise _folder(spot)
    if any(part in ("", ".", "..") for part in key.split("/")):
        raise SourceError(f"`{spot}` can't be named: a part of its key is empty, `.` or `..`. Copy it to another key.")
    return spot


def _folder(spot: _Spot) -> SourceError:
    return SourceError(f"`{spot}` is a folder. Name its files, such as `{str(spot).rstrip('/')}/*.csv`.")


def _raw_file(spot: _Spot, seen: ObjectMeta) -> RawFile:
    return RawFile(str(spot), seen["size"], _mark(seen), seen["last_modified"])


def _mark(seen: ObjectMeta) -> str:
    """The ETag in quotes, whether the server wrote them or not; else size and time, as far as the bucket tells them."""
    etag = seen["e_tag"]
    if not etag:
        return f"{seen['size']}-{seen['last_modified'].isoformat()}"
    return etag if etag.startswith("W/") else f'"{etag.strip(chr(34))}"'


def open_origin(base: Path | None = None, *, access: Access | None = None) -> BucketOrigin:  # noqa: ARG001  # the argument that every origin has
    """What finds and opens files in buckets; without `access`, as somebody without credentials."""
    return BucketOrigin(access or Access())
