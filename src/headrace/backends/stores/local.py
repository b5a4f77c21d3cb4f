"""The local store: a lake in a folder, safe against kills and power cuts.

A file is written under its final name, in a folder that only its attempt uses, and counts for nothing until an entry names it; an entry
is written aside and hard-linked into place, which is put-if-absent. The invariant: when `create`, `publish` or `confirm` has returned,
the object and every folder name above it are on the disk, whoever made them.

What is replaced (`replace`: nothing that an entry names) is written aside and renamed over the old.

Listings skip names that begin with a dot, and no key has one: entries on their way lie in `.aside`.
"""

# Strings and `os` on purpose: this is the hot path, and the crash tests put a shim in place of `os`.
# ruff: noqa: PTH100, PTH102, PTH104, PTH106, PTH108, PTH113, PTH116, PTH118, PTH120

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path

from headrace.core.errors import HeadraceError, LakeError, TransientError
from headrace.core.key import check_key
from headrace.core.manifest import FileEntry
from headrace.core.store import Listed

if sys.platform == "darwin":
    import fcntl

__all__ = ["LocalStore", "open"]

_ASIDE = ".aside"
_PASSING = {errno.EAGAIN, errno.EBUSY, errno.EINTR, errno.EIO, errno.ESTALE, errno.ETIMEDOUT}
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EXDEV, errno.ENOSYS, errno.EMLINK}


def open(uri: str) -> LocalStore:  # noqa: A001  # every flavour's module has this function
    """The store in a folder, by path or `file://` URI. Nothing is made before the first write."""
    return LocalStore(uri.removeprefix("file://"))


class LocalStore:
    """A store in a folder of one file system that has hard links: see `headrace.core.store.Store`."""

    concurrency = 1
    traffic = None

    def __init__(self, root: str | Path) -> None:
        self._root = os.path.abspath(root)
        self.uri = self._root
        self._durable: set[str] = set()  # folders whose own name is known to be on the disk

    # ------------------------------------------------ objects in one piece

    def create(self, key: str, data: bytes) -> bool:
        target = self._file(key)
        if os.path.lexists(target):
            return False
        try:
            return self._link_aside(target, data)
        except OSError as cause:
            raise _failure("write", key, self.uri, cause) from cause

    def replace(self, key: str, data: bytes | Path) -> None:
        target = self._file(key)
        try:
            aside = self._aside()
            self._make_folder(os.path.dirname(target))
            try:
                if isinstance(data, bytes):
                    _write(aside, data)
                else:
                    _copy_bytes(str(data), aside)
                    _sync(aside)
                os.rename(aside, target)
            finally:
                with suppress(FileNotFoundError):
                    os.unlink(aside)
            self._settle([os.path.dirname(target)])
        except OSError as cause:
            raise _failure("write", key, self.uri, cause) from cause

    def get(self, key: str) -> bytes:
        try:
            fd = os.open(self._file(key), os.O_RDONLY)
        except (FileNotFoundError, NotADirectoryError):
            raise KeyError(key) from None
        except OSError as cause:
            raise _failure("read", key, self.uri, cause) from cause
        try:
            return _read_all(fd)
        except IsADirectoryError:
            raise KeyError(key) from None
        except OSError as cause:
            raise _failure("read", key, self.uri, cause) from cause
        finally:
            os.close(fd)

    def delete(self, *keys: str) -> None:
        for key in keys:
            self._delete(key)

    def drop(self, digests: Sequence[str]) -> None:
        """Nothing to do: it keeps no copies."""

    def lease(self) -> AbstractContextManager[None]:
        return nullcontext()

    def discard(self, keys: Sequence[str]) -> None:
        self.delete(*keys)

    # ------------------------------------------------ listings

    def keys(self, prefix: str, *, start_after: str = "") -> Iterator[str]:
        *folders, name = prefix.split("/")
        if any(part[:1] in ("", ".") for part in folders):
            return iter(())  # no key begins like that, and it could lead out of the lake
        folder = "/".join(folders)
        return _walk(os.path.join(self._root, folder), f"{folder}/" if folder else "", name, start_after)

    def list(self, prefix: str, *, start_after: str = "") -> Iterator[Listed]:
        for key in self.keys(prefix, start_after=start_after):
            with suppress(FileNotFoundError):  # deleted since
                found = os.stat(self._file(key))
                yield Listed(key, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))

    # ------------------------------------------------ files

    def stage(self, key: str) -> Path:
        file = self._file(key)
        try:
            self._make_folder(os.path.dirname(file))
        except OSError as cause:
            raise _failure("make the folder of", key, self.uri, cause) from cause
        return Path(file)

    def publish(self, keys: Sequence[str], *, digests: Mapping[str, str] | None = None) -> None:  # noqa: ARG002  # the files are where they belong
        files = [self._file(key) for key in keys]
        try:
            for file in files:
                _sync(file)
            self._settle(dict.fromkeys(os.path.dirname(file) for file in files))
        except (FileNotFoundError, NotADirectoryError) as gone:
            raise KeyError(os.path.relpath(gone.filename, self._root)) from None
        except OSError as cause:
            raise _failure("sync", keys[0], self.uri, cause) from cause

    def path(self, key: str) -> Path:
        file = self._file(key)
        if not os.path.isfile(file):
            raise KeyError(key)
        return Path(file)

    def paths(self, files: Sequence[FileEntry]) -> Sequence[Path]:
        return [self.path(file.key) for file in files]

    def copy(self, source: str, target: str) -> None:
        old, new = self._file(source), self._file(target)
        if not os.path.isfile(old):
            raise KeyError(source)
        try:
            self._make_folder(os.path.dirname(new))
            _link_or_copy(old, new)
        except FileNotFoundError:
            raise KeyError(source) from None
        except OSError as cause:
            raise _failure("copy", source, self.uri, cause) from cause

    def confirm(self, keys: Sequence[str]) -> None:
        try:
            self._settle(dict.fromkeys(os.path.dirname(self._file(key)) for key in keys))
        except OSError as cause:
            raise _failure("sync the folder of", keys[0], self.uri, cause) from cause

    # ------------------------------------------------ the work

    def _file(self, key: str) -> str:
        return f"{self._root}/{check_key(key)}"

    def _delete(self, key: str) -> None:
        file = self._file(key)
        folder = os.path.dirname(file)
        try:
            with suppress(FileNotFoundError, NotADirectoryError):
                os.unlink(file)
            self._durable.discard(folder)
            with suppress(OSError):  # not empty, or gone: it is tidying, no more
                os.rmdir(folder)
        except OSError as cause:
            raise _failure("delete", key, self.uri, cause) from cause

    def _link_aside(self, target: str, data: bytes) -> bool:
        aside = self._aside()
        folder = os.path.dirname(target)
        self._make_folder(folder)
        try:
            _write(aside, data)
            try:
                os.link(aside, target)
            except FileExistsError:
                return False
            except OSError as cause:
                raise self._refusal(cause) from cause
            self._settle([folder])
            return True
        finally:
            with suppress(FileNotFoundError):
                os.unlink(aside)

    def _aside(self) -> str:
        """A new name beside all keys, for what is on its way."""
        self._make_folder(f"{self._root}/{_ASIDE}")
        return f"{self._root}/{_ASIDE}/{os.urandom(16).hex()}"

    def _make_folder(self, folder: str) -> None:
        try:
            os.mkdir(folder)
        except FileExistsError:
            return
        except FileNotFoundError:
            self._make_folder(os.path.dirname(folder))
            self._make_folder(folder)
        self._durable.discard(folder)

    def _settle(self, folders: Iterable[str]) -> None:
        """Sync the folders, and those above until one whose name is known to be on the disk.

        A folder that was there already is no exception, be it above the root: another process may have made it and not synced it yet.
        It is so once a process; syncing what is clean takes 0.05 ms.
        """
        synced = set[str]()
        for folder in folders:
            while True:
                if folder not in synced:
                    _sync_folder(folder, must=folder.startswith(self._root))
                    synced.add(folder)
                above = os.path.dirname(folder)
                if folder in self._durable or folder == above:
                    break
                folder = above
        self._durable.update(folder for folder in synced if os.path.dirname(folder) in synced)

    def _refusal(self, cause: OSError) -> OSError:
        if cause.errno not in _NO_LINKS:
            return cause
        return LakeError(
            f"The lake {self.uri} lies on a file system of type {_file_system(self._root)}, which refused a hard link ({cause.strerror}). "
            "Without hard links two runs can't be kept from overwriting each other. Put the lake on another file system or into a bucket."
        )


# ---------------------------------------------------------------- the file system


def _walk(folder: str, at: str, prefix: str, after: str) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            names = [f"{e.name}/" if e.is_dir() else e.name for e in entries if e.name.startswith(prefix) and e.name[0] != "."]
    except (FileNotFoundError, NotADirectoryError):
        return
    names.sort()  # with its slash a folder sorts as its keys do: `a.b/` before `a/`
    for name in names:
        key = at + name
        if name[-1] != "/":
            if key > after:
                yield key
        elif key > after or after.startswith(key):
            yield from _walk(f"{folder}/{name[:-1]}", key, "", after)


def _write(file: str, data: bytes) -> None:
    fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(fd, rest) :]
        _flush(fd)
    finally:
        os.close(fd)


def _read_all(fd: int) -> bytes:
    pieces = []
    while piece := os.read(fd, 1 << 20):
        pieces.append(piece)
    return b"".join(pieces)


def _link_or_copy(old: str, new: str) -> None:
    try:
        os.link(old, new)
    except OSError as cause:
        if cause.errno not in _NO_LINKS:
            raise
        _copy_bytes(old, new)  # ext4 allows 65,000 links to a file: seven years of hours in which nothing changed


def _copy_bytes(old: str, new: str) -> None:
    source = os.open(old, os.O_RDONLY)
    try:
        target = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            while piece := os.read(source, 1 << 20):
                rest = memoryview(piece)
                while rest:
                    rest = rest[os.write(target, rest) :]
        finally:
            os.close(target)
    finally:
        os.close(source)


def _sync(path: str) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        _flush(fd)
    finally:
        os.close(fd)


def _sync_folder(folder: str, *, must: bool) -> None:
    """A folder above the root that we may not read was made by no run of ours: it is skipped unless it `must` be synced."""
    try:
        _sync(folder)
    except PermissionError:
        if must:
            raise


def _flush(fd: int) -> None:
    if sys.platform == "darwin":
        # fsync(2) on macOS leaves the bytes in the drive's cache; file systems that lack the full one say ENOTSUP.
        with suppress(OSError):
            fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
            return
    os.fsync(fd)


def _file_system(path: str) -> str:
    try:
        with os.fdopen(os.open("/proc/self/mounts", os.O_RDONLY)) as mounts:
            fields = [line.split() for line in mounts]
    except OSError:
        return "unknown to us"
    real = os.path.realpath(path) + "/"
    found = [(len(at), kind) for _, at, kind, *_ in fields if real.startswith(at.rstrip("/") + "/")]
    return max(found)[1] if found else "unknown to us"


def _failure(action: str, key: str, uri: str, cause: OSError) -> OSError | HeadraceError:
    if isinstance(cause, HeadraceError):
        return cause
    kind = TransientError if cause.errno in _PASSING else LakeError
    return kind(f"Could not {action} `{key}` in the lake {uri}: {cause.strerror or cause}.")
