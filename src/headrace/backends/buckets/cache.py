"""Local copies of a bucket's files: immutable, by digest, shared by every process of a machine, within a size.

    objects/ab/<sha256>     what is kept
    use/<nonce>/…           what a living process uses: hard links of those, and files that it is writing; it holds a lock on `lock`

A file is handed out as a link of the user's own, so that removing the kept one takes nothing from anybody. The invariant: what is
handed out had, in this process, the digest that it is named by, and is the same file since. Copies that were cut short or changed are
removed, not served.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

__all__ = ["Cache", "digest_of_file"]

_PIECE = 1 << 20
_HEADROOM = 0.9  # of the limit is kept after an eviction, so that not every file causes one
_UNSEEN = 0.1  # of the limit is kept by one process before it looks again at what others keep
_STRAY_S = 86_400.0  # a folder of use without a lock is left alone for so long
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EXDEV, errno.ENOSYS, errno.EMLINK}


class _Seen(NamedTuple):
    """Which file it was, and as it was when it was looked at. The time of its last use is another."""

    inode: int
    size_bytes: int
    written_ns: int


class Cache:
    """The cache in a folder, for one process. Any number of threads may use one; `close` gives back what it uses."""

    def __init__(self, folder: Path, *, limit_bytes: int) -> None:
        self._objects = folder / "objects"
        self._limit = limit_bytes
        self._kept_bytes: int | None = None  # when it was last looked at; None before
        self._kept_since = 0
        self._verified: dict[str, _Seen] = {}
        self._lock = threading.Lock()
        for made in (folder, self._objects, folder / "use"):
            made.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._sweep(folder / "use")
        self._use, handle = _occupy(folder / "use")
        self._lease: ContextVar[Path] = ContextVar("lease", default=self._use / "own")
        self._closer = weakref.finalize(self, _leave, self._use, handle, os.getpid())

    def close(self) -> None:
        self._closer()

    @contextmanager
    def lease(self) -> Iterator[None]:
        """What is handed out or staged within, by this thread, is given back at the end."""
        folder = self._use / os.urandom(8).hex()
        token = self._lease.set(folder)
        try:
            yield
        finally:
            self._lease.reset(token)
            shutil.rmtree(folder, ignore_errors=True)

    def place(self, key: str) -> Path:
        """Where this lease has, or may write, the file of a key. Its folder exists."""
        path = self._lease.get() / key
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def aside(self) -> Path:
        """A new path, for a file on its way."""
        folder = self._use / "aside"
        folder.mkdir(exist_ok=True)
        return folder / os.urandom(16).hex()

    def take(self, digest: str, target: Path) -> bool:
        """Link the kept file of a digest to a path; False when there is none. One that was changed is removed."""
        kept = self._kept(digest)
        try:
            _link(kept, target)
        except FileNotFoundError:
            return False
        except FileExistsError:
            return True
        seen = _seen(target)
        if self._verified.get(digest) != seen:
            if digest_of_file(target) != digest:
                target.unlink()
                kept.unlink(missing_ok=True)
                return False
            self._verified[digest] = seen
        with suppress(OSError):
            os.utime(target, ns=(time.time_ns(), seen.written_ns))
        return True

    def keep(self, digest: str, path: Path) -> None:
        """Keep a file that has this digest, for other processes and the next; the path itself stays."""
        size = path.stat().st_size
        if size > self._limit:
            return
        path.chmod(0o444)
        kept = self._kept(digest)
        kept.parent.mkdir(exist_ok=True)
        try:
            os.link(path, kept)
        except FileExistsError:
            return  # another's copy, which `take` looks at before it serves it
        except OSError as cause:
            if cause.errno in _NO_LINKS:
                return  # a file system without hard links keeps nothing for the next
            raise
        self._verified[digest] = _seen(path)
        self._evict(size)

    def drop(self, digest: str) -> None:
        """Keep the file of a digest no longer; who uses it at this moment has a link of its own."""
        self._kept(digest).unlink(missing_ok=True)

    # ------------------------------------------------ the work

    def _kept(self, digest: str) -> Path:
        return self._objects / digest[:2] / digest

    def _evict(self, more: int) -> None:
        """Remove the kept files that were not used for longest, if they are too many."""
        with self._lock:
            self._kept_since += more
            if self._kept_bytes is not None and self._kept_since <= min(self._limit - self._kept_bytes, self._limit * _UNSEEN):
                return
            found = sorted(_sizes(self._objects))
            total = sum(size for _, size, _ in found)
            for _, size, path in found if total > self._limit else ():
                if total <= self._limit * _HEADROOM:
                    break
                with suppress(FileNotFoundError):
                    path.unlink()
                total -= size
            self._kept_bytes, self._kept_since = total, 0

    @staticmethod
    def _sweep(use: Path) -> None:
        """Remove what processes left that are gone: their locks are free."""
        for folder in use.iterdir():
            try:
                handle = os.open(folder / "lock", os.O_RDWR)
            except (FileNotFoundError, NotADirectoryError):
                with suppress(FileNotFoundError):
                    if time.time() - folder.stat().st_mtime > _STRAY_S:
                        shutil.rmtree(folder, ignore_errors=True)
                continue
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            except BlockingIOError:
                pass
            finally:
                os.close(handle)


def digest_of_file(path: Path) -> str:
    digest = sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()


def _occupy(use: Path) -> tuple[Path, int]:
    """A new folder of use, and the handle that holds its lock."""
    while True:
        folder = use / os.urandom(8).hex()
        folder.mkdir(mode=0o700)
        handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        with suppress(BlockingIOError, FileNotFoundError):  # a sweep was faster: take another
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if (folder / "lock").stat().st_ino == os.fstat(handle).st_ino:
                return folder, handle
        os.close(handle)


def _leave(folder: Path, handle: int, owner: int) -> None:
    if os.getpid() == owner:  # a forked child leaves the folder to its parent
        shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        os.close(handle)


def _link(kept: Path, target: Path) -> None:
    try:
        os.link(kept, target)
    except OSError as cause:
        if cause.errno not in _NO_LINKS:
            raise
        shutil.copyfile(kept, target)


def _seen(path: Path) -> _Seen:
    found = path.stat()
    return _Seen(found.st_ino, found.st_size, found.st_mtime_ns)


def _sizes(objects: Path) -> Iterator[tuple[float, int, Path]]:
    """When each kept file was used last, its size, and its path."""
    for folder in objects.iterdir():
        for path in folder.iterdir():
            with suppress(FileNotFoundError):
                seen = path.stat()
                yield seen.st_atime, seen.st_size, path
