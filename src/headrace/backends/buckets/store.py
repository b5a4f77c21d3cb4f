"""A lake's store in a bucket, whichever kind it is: see `headrace.core.store.Store`.

Entries are put only where there is none (If-None-Match), in one request; files are uploaded from a local path, in parts where they are
large, and read from a local cache. The invariant: of all the requests that it makes, only `delete` removes anything, and only a collection
calls that.
"""

from __future__ import annotations

import math
import mimetypes
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

import obstore
from obstore.exceptions import AlreadyExistsError
from obstore.store import ObjectStore

from headrace.backends.buckets.address import Address
from headrace.backends.buckets.cache import Cache
from headrace.backends.buckets.client import patiently
from headrace.backends.buckets.failures import told
from headrace.backends.buckets.listing import PAGE, list_objects
from headrace.backends.buckets.parts import Parts
from headrace.core.errors import DamageError, LakeError
from headrace.core.key import check_key
from headrace.core.manifest import FileEntry
from headrace.core.store import Listed
from headrace.core.traffic import Traffic

__all__ = ["BucketStore"]

T = TypeVar("T")

_PART = 8 * 2**20  # bytes of a part of an upload, at least; S3 takes 10,000 parts
_PARTS = 9_000
_CHUNK = 1 << 20
_PIECE = 32 * 2**20  # bytes of a part of a download
_FILES_AT_ONCE = 4
_PARTS_AT_ONCE = 4
_TOO_LARGE_TO_COPY = "larger than the maximum allowable size"


class BucketStore:
    """A store under a prefix of a bucket. Made by the flavours' `open`; `client` is obstore's, rooted at the prefix."""

    concurrency = 16

    def __init__(self, client: ObjectStore, place: Address, cache: Cache) -> None:
        self.uri = str(place)
        self.traffic = Traffic()
        self._client, self._place, self._cache = client, place, cache
        self._lock = threading.Lock()
        self._staged: dict[str, Path] = {}
        self._copied: set[str] = set()  # keys that are there, and are still to be published

    def close(self) -> None:
        """Give back the local disk that is used now, and not when the store is forgotten."""
        self._cache.close()

    def drop(self, digests: Sequence[str]) -> None:
        for digest in digests:
            self._cache.drop(digest)

    def lease(self) -> AbstractContextManager[None]:
        return self._cache.lease()

    # ------------------------------------------------ objects in one piece

    def create(self, key: str, data: bytes) -> bool:
        check_key(key)
        self.traffic.count(1, up=len(data))
        with told("put", key, self._place):
            try:
                obstore.put(self._client, key, bytes(data), mode="create", use_multipart=False)
            except AlreadyExistsError:
                return False
        return True

    def get(self, key: str) -> bytes:
        check_key(key)
        data = self._ask("read", key, lambda: bytes(obstore.get(self._client, key).bytes()))
        self.traffic.count(0, down=len(data))
        return data

    def replace(self, key: str, data: bytes | Path) -> None:
        check_key(key)
        if isinstance(data, Path):
            self._upload(key, data)
            return
        kind = mimetypes.guess_type(key)[0] or "application/octet-stream"
        self._ask("put", key, lambda: obstore.put(self._client, key, data, attributes={"Content-Type": kind}, use_multipart=False))
        self.traffic.count(0, up=len(data))

    def delete(self, *keys: str) -> None:
        for key in keys:
            check_key(key)
        for start in range(0, len(keys), PAGE):
            page = list(keys[start : start + PAGE])
            try:
                self._ask("delete", page[0], partial(obstore.delete, self._client, page))
            except KeyError:
                self._delete_singly(page)

    def _delete_singly(self, keys: Sequence[str]) -> None:
        """Where one that is gone already ends the whole request."""
        for key in keys:
            try:
                self._ask("delete", key, partial(obstore.delete, self._client, key))
            except KeyError:
                continue

    def discard(self, keys: Sequence[str]) -> None:
        for key in keys:
            path = self._staged_path(key, forget=True)
            if path is not None:
                path.unlink(missing_ok=True)
        with self._lock:
            self._copied.difference_update(keys)

    def confirm(self, keys: Sequence[str]) -> None:
        """Nothing to do: what a bucket has answered is durable, and is seen by all."""

    # ------------------------------------------------ listings

    def keys(self, prefix: str, *, start_after: str = "") -> Iterator[str]:
        return (found.key for found in self.list(prefix, start_after=start_after))

    def list(self, prefix: str, *, start_after: str = "") -> Iterator[Listed]:
        folder, _, name = prefix.rpartition("/")
        if any(part[:1] in ("", ".") for part in (*(folder.split("/") if folder else ()), *([name] if name else ()))) or prefix == "/":
            return  # no key begins like that
        for found in list_objects(self._client, self._place, prefix, start_after=start_after, asked=lambda: self.traffic.count(1)):
            yield Listed(found["path"], found["size"], found["last_modified"])

    # ------------------------------------------------ files

    def stage(self, key: str) -> Path:
        check_key(key)
        with self._lock:
            if key not in self._staged:
                self._staged[key] = self._cache.place(key)
            return self._staged[key]

    def publish(self, keys: Sequence[str], *, digests: Mapping[str, str] | None = None) -> None:
        files = {key: path for key in keys if (path := self._staged_path(key)) is not None and path.is_file()}
        for key in keys:
            if key not in files and key not in self._copied:
                self._look_for(key)
        with ThreadPoolExecutor(_FILES_AT_ONCE, thread_name_prefix="headrace-upload") as pool:
            list(pool.map(self._upload, files, files.values()))
        for key, path in files.items():
            digest = (digests or {}).get(key)
            if digest:
                self._cache.keep(digest, path)
        with self._lock:
            self._copied.difference_update(keys)
            for key in files:
                self._staged.pop(key, None)

    def copy(self, source: str, target: str) -> None:
        check_key(source), check_key(target)
        try:
            self._ask("copy", source, lambda: obstore.copy(self._client, source, target, overwrite=True))
        except LakeError as error:
            if _TOO_LARGE_TO_COPY not in str(error):
                raise
            self._copy_through_here(source, target)
        with self._lock:
            self._copied.add(target)

    def path(self, key: str) -> Path:
        check_key(key)
        here = self._staged_path(key) or self._cache.place(key)
        if not here.is_file():
            with self._aside() as aside:
                self._download(key, None, aside)
                aside.replace(here)
        return here

    def paths(self, files: Sequence[FileEntry]) -> Sequence[Path]:
        here = {file.key: self._cache.place(check_key(file.key)) for file in files}
        missing = [file for file in files if not here[file.key].is_file() and not self._cache.take(file.sha256, here[file.key])]
        with ThreadPoolExecutor(self.concurrency, thread_name_prefix="headrace-download") as pool:
            list(pool.map(lambda file: self._fetch(file, here[file.key]), missing))
        return [here[file.key] for file in files]

    # ------------------------------------------------ the work

    def _ask(self, action: str, key: str, what: Callable[[], T]) -> T:
        """Ask for something that may be asked for twice. It is counted as it is asked: what is not there has cost a request too."""

        def ask() -> T:
            self.traffic.count(1)
            return what()

        return patiently(action, key, self._place, ask)

    def _staged_path(self, key: str, *, forget: bool = False) -> Path | None:
        with self._lock:
            return self._staged.pop(key, None) if forget else self._staged.get(key)

    def _look_for(self, key: str) -> None:
        check_key(key)
        self._ask("read", key, lambda: obstore.head(self._client, key))

    def _upload(self, key: str, path: Path) -> None:
        size = path.stat().st_size
        part = max(_PART, math.ceil(size / _PARTS))
        if size <= part:
            self._ask("put", key, lambda: obstore.put(self._client, key, path, use_multipart=False))
            self.traffic.count(0, up=size)
            return

        def upload() -> None:
            with path.open("rb") as file:
                parts = Parts(file, part, self.traffic, at_once=_PARTS_AT_ONCE)
                obstore.put(self._client, key, parts, chunk_size=part, max_concurrency=_PARTS_AT_ONCE, use_multipart=True)
            parts.finish()

        self._ask("put", key, upload)

    def _fetch(self, file: FileEntry, target: Path) -> None:
        """Download what an entry names; once more if its bytes are not what it says, for that may have been the way here."""
        for _ in range(2):
            with self._aside() as aside:
                digest = self._download(file.key, file.bytes, aside)
                if digest == file.sha256:
                    self._cache.keep(digest, aside)
                    aside.replace(target)
                    return
        raise DamageError(
            f"`{file.key}` in {self.uri} has the SHA-256 {digest}, and its entry says {file.sha256}: it was changed after it was committed. "
            "Restore it from a copy, or clear the interval and run again."
        )

    def _download(self, key: str, size: int | None, target: Path) -> str:
        """The bytes of an object into a file; their digest."""
        if size is not None and size > _PIECE:
            return self._download_in_parts(key, size, target)

        def download() -> str:
            digest = sha256()
            with target.open("wb") as file:
                for chunk in obstore.get(self._client, key).stream(min_chunk_size=_CHUNK):
                    file.write(chunk)
                    digest.update(chunk)
                    self.traffic.count(0, down=len(chunk))
            return digest.hexdigest()

        return self._ask("read", key, download)

    def _download_in_parts(self, key: str, size: int, target: Path) -> str:
        starts = range(0, size, _PIECE)
        digest = sha256()
        with target.open("wb") as file, ThreadPoolExecutor(_PARTS_AT_ONCE, thread_name_prefix="headrace-part") as pool:
            for batch in range(0, len(starts), _PARTS_AT_ONCE):
                for piece in pool.map(
                    lambda start: self._piece(key, start, min(start + _PIECE, size)), starts[batch : batch + _PARTS_AT_ONCE]
                ):
                    file.write(piece)
                    digest.update(piece)
        return digest.hexdigest()

    def _piece(self, key: str, start: int, end: int) -> memoryview:
        found = self._ask("read", key, lambda: memoryview(obstore.get_range(self._client, key, start=start, end=end)))
        self.traffic.count(0, down=len(found))
        return found

    def _copy_through_here(self, source: str, target: str) -> None:
        """What a server does not copy by itself (S3: above 5 GB)."""
        with self._aside() as aside:
            self._download(source, None, aside)
            self._upload(target, aside)

    @contextmanager
    def _aside(self) -> Iterator[Path]:
        """A path for a file on its way; what is still there at the end, such as the beginning of one that is gone, is removed."""
        aside = self._cache.aside()
        try:
            yield aside
        finally:
            aside.unlink(missing_ok=True)
