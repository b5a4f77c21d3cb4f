"""The port of stores: where a lake's bytes live, and what the lake's protocol asks of such a place.

A flavour is one class under `backends/stores/` that satisfies `Store`. The invariant: nothing here decides what a key means.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from headrace.core.manifest import FileEntry
from headrace.core.traffic import Traffic

__all__ = ["Listed", "Store"]


@dataclass(frozen=True)
class Listed:
    """One object in a listing. `modified_at` only says whom not to disturb: nothing is decided by it."""

    key: str
    size_bytes: int
    modified_at: datetime | None = None


class Store(Protocol):
    """Bytes under keys (`a/b/c`, relative to the lake's root). What was put is seen by every later get and list.

    A key is parts joined by `/`; no part is empty, begins with a dot, or holds a backslash or a control character: ValueError.
    Errors: `KeyError` for a get, path, copy or publish of what is not there; `TransientError` where trying again may help and the
    outcome is unknown; `LakeError` otherwise. Any method may be called from many threads at once.
    """

    uri: str
    concurrency: int  # how many requests at once pay: 1 on a disk

    @property
    def traffic(self) -> Traffic | None:
        """What went to the store and from it, as it goes; None for one without a network."""
        ...

    def create(self, key: str, data: bytes) -> bool:
        """Put if absent, durably and in one piece; False when the key exists already. Of many at once, one gets True.

        A reader sees nothing or all of it. After an error the object may be there, or come later: get it and compare.
        """
        ...

    def get(self, key: str) -> bytes: ...

    def keys(self, prefix: str, *, start_after: str = "") -> Iterator[str]:
        """The keys under a prefix (any text, not only a folder), in their order, from the first that is greater than `start_after`.

        Lazy: who stops early has not paid for the rest.
        """
        ...

    def list(self, prefix: str, *, start_after: str = "") -> Iterator[Listed]:
        """As `keys`, with sizes and ages: dearer on a disk, the same in a bucket."""
        ...

    def stage(self, key: str) -> Path:
        """A local path to write an object's bytes to. Nobody may rely on them before `publish`. Its folder exists."""
        ...

    def publish(self, keys: Sequence[str], *, digests: Mapping[str, str] | None = None) -> None:
        """Make staged objects readable by their keys, and durable. `digests` are their SHA-256 by key, where they are known."""
        ...

    def path(self, key: str) -> Path:
        """A local file that holds the object's bytes, to be read and never written."""
        ...

    def paths(self, files: Sequence[FileEntry]) -> Sequence[Path]:
        """The same for many at once, in their order. What had to be fetched is what its entry says: DamageError where it is not."""
        ...

    def copy(self, source: str, target: str) -> None:
        """Copy an object without moving its bytes through this process; durable once `target` is published."""
        ...

    def replace(self, key: str, data: bytes | Path) -> None:
        """Put bytes, or those of a file, durably and in one piece, whatever is there: a reader sees the old object or the new one.

        For what no entry names and nothing is built on: a report, or rows that are published beside the lake.
        """
        ...

    def delete(self, *keys: str) -> None:
        """Delete objects; one that is not there is no error."""

    def discard(self, keys: Sequence[str]) -> None:
        """Give up objects that are certain to be nobody's. A folder deletes them; a bucket leaves them to a collection, which alone may delete."""

    def drop(self, digests: Sequence[str]) -> None:
        """Remove copies that this machine keeps of its own of files with some digests; a store that keeps none does nothing."""

    def lease(self) -> AbstractContextManager[None]:
        """Files that this thread stages or asks for within are given back at the end, where the store keeps copies of its own."""

    def confirm(self, keys: Sequence[str]) -> None:
        """Make objects durable that others created and we have seen, before building on them."""
