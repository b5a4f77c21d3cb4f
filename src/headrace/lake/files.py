"""The files that a manifest names, found and checked for a reader.

The invariant: a reader gets all the files of one manifest, each with the size (and, if asked, the digest) that it says, or an error.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from headrace.core.errors import DamageError, TransientError, UnknownNameError, did_you_mean
from headrace.core.manifest import FileEntry, Manifest, Part
from headrace.core.store import Store

__all__ = ["VanishedError", "fetch", "paths_of", "read_paths", "sha256_of"]

_PIECE = 1 << 18


class VanishedError(TransientError):
    """A file is gone that an entry names: a collection ran since the entry was read. List again."""


def read_paths(store: Store, manifest: Manifest, part: str | None, *, verify: bool = False) -> list[Path]:
    """Local files with the bytes of a part (without a name: `rows`, or the only one), in the manifest's order.

    Raises UnknownNameError for a part that the manifest has not, VanishedError for a file that is gone, DamageError for one whose size, or
    with `verify` digest, is not what the manifest says.
    """
    return paths_of(store, manifest, _part(manifest, part).files, verify=verify)


def paths_of(store: Store, manifest: Manifest, files: Sequence[FileEntry], *, verify: bool = False) -> list[Path]:
    """The same of some files that a manifest names."""
    try:
        paths = store.paths(files)
    except KeyError as gone:
        raise VanishedError(f"{manifest} names `{gone.args[0]}`, and the file is gone from {store.uri}.") from None
    for file, path in zip(files, paths, strict=True):
        _check(store, manifest, file, path, verify=verify)
    return list(paths)


def fetch(store: Store, manifests: Sequence[Manifest], parts: Sequence[str]) -> None:
    """Bring the files of some parts of many commits here, all at once where that pays: `read_paths` finds them then.

    What is gone or damaged is not told: whoever reads it will be.
    """
    if store.concurrency == 1:
        return
    files = [file for manifest in manifests for part in manifest.content.parts if part.name in parts for file in part.files]
    with suppress(KeyError, DamageError):
        store.paths(files)


def sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:  # not `hashlib.file_digest`: most files are small, and its buffer costs more than their digest
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()


def _part(manifest: Manifest, name: str | None) -> Part:
    found = manifest.content.part(name)
    if found is None:
        known = [part.name for part in manifest.content.parts]
        raise UnknownNameError(f"{manifest} has no part `{name or 'rows'}`. {did_you_mean(name or 'rows', known)}")
    return found


def _check(store: Store, manifest: Manifest, file: FileEntry, path: Path, *, verify: bool) -> None:
    try:
        size = path.stat().st_size
        digest = sha256_of(path) if verify and size == file.bytes else file.sha256
    except FileNotFoundError:
        raise VanishedError(f"{manifest} names `{file.key}`, and the file is gone from {store.uri}.") from None
    if size != file.bytes:
        raise _damage(store, manifest, file, f"has {size:,} bytes, and the manifest says {file.bytes:,}")
    if digest != file.sha256:
        raise _damage(store, manifest, file, f"has the SHA-256 {digest}, and the manifest says {file.sha256}")


def _damage(store: Store, manifest: Manifest, file: FileEntry, what: str) -> DamageError:
    return DamageError(
        f"`{file.key}` of {manifest} in {store.uri} {what}. The file was changed after it was committed. "
        f"Restore it from a copy, or `headrace clear {manifest.name}` for this interval and run again."
    )
