"""The memory store: a lake that lives as long as its process, for tests and notebooks.

Objects are bytes in a dictionary under one lock; only what must be a file (`stage`, `path`) lies in a temporary folder that goes with
the store. The invariant: what was published or created is a copy, so nothing done to a staged file afterwards can change it.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path

from headrace.core.key import check_key
from headrace.core.manifest import FileEntry
from headrace.core.store import Listed

__all__ = ["MemoryStore", "open"]

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


def open(uri: str = "memory:") -> MemoryStore:  # noqa: A001  # every flavour's module has this function
    """A new, empty store."""
    return MemoryStore(uri)


class MemoryStore:
    """A store in memory: see `headrace.core.store.Store`. All objects count as old."""

    concurrency = 1
    traffic = None

    def __init__(self, uri: str = "memory:") -> None:
        self.uri = uri
        self._lock = threading.Lock()
        self._objects: dict[str, bytes] = {}
        self._folder = Path(tempfile.mkdtemp(prefix="headrace-"))
        self._cleaner = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)

    def close(self) -> None:
        """Remove the temporary folder now, and not when the store is forgotten."""
        self._cleaner()

    def create(self, key: str, data: bytes) -> bool:
        with self._lock:
            if check_key(key) in self._objects:
                return False
            self._objects[key] = bytes(data)
            return True

    def replace(self, key: str, data: bytes | Path) -> None:
        found = bytes(data) if isinstance(data, bytes) else data.read_bytes()
        with self._lock:
            self._objects[check_key(key)] = found
            (self._folder / "read" / key).unlink(missing_ok=True)

    def get(self, key: str) -> bytes:
        with self._lock:
            return self._objects[check_key(key)]

    def keys(self, prefix: str, *, start_after: str = "") -> Iterator[str]:
        with self._lock:
            found = sorted(key for key in self._objects if key > start_after and key.startswith(prefix))
        return iter(found)

    def list(self, prefix: str, *, start_after: str = "") -> Iterator[Listed]:
        for key in self.keys(prefix, start_after=start_after):
            with self._lock:
                data = self._objects.get(key)
            if data is not None:
                yield Listed(key, len(data), _NEVER)

    def stage(self, key: str) -> Path:
        return self._local("staged", key)

    def publish(self, keys: Sequence[str], *, digests: Mapping[str, str] | None = None) -> None:  # noqa: ARG002  # nothing is kept by digest
        for key in keys:
            staged = self._local("staged", key)
            with self._lock:
                if staged.is_file():
                    self._objects[key] = staged.read_bytes()
                    staged.unlink()
                elif key not in self._objects:
                    raise KeyError(key)

    def path(self, key: str) -> Path:
        with self._lock:
            data = self._objects[check_key(key)]
            local = self._local("read", key)
            if not local.is_file():
                local.write_bytes(data)
        return local

    def paths(self, files: Sequence[FileEntry]) -> Sequence[Path]:
        return [self.path(file.key) for file in files]

    def copy(self, source: str, target: str) -> None:
        data = self.get(source)
        self._local("staged", target).write_bytes(data)

    def delete(self, *keys: str) -> None:
        for key in keys:
            with self._lock:
                self._objects.pop(check_key(key), None)
                for use in ("staged", "read"):
                    (self._folder / use / key).unlink(missing_ok=True)

    def drop(self, digests: Sequence[str]) -> None:
        """Nothing to do: it keeps no copies."""

    def lease(self) -> AbstractContextManager[None]:
        return nullcontext()

    def discard(self, keys: Sequence[str]) -> None:
        self.delete(*keys)

    def confirm(self, keys: Sequence[str]) -> None:
        """Nothing to do: memory is as durable as it gets."""

    def _local(self, use: str, key: str) -> Path:
        local = self._folder / use / check_key(key)
        local.parent.mkdir(parents=True, exist_ok=True)
        return local
