"""Raw files on this machine's disks. Only looks and reads; the invariant: a location names the same files in the same order each time."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from headrace.core.errors import SourceError, TransientError
from headrace.core.ports import RawFile

__all__ = ["LocalOrigin", "open"]


class LocalOrigin:
    """Paths and patterns; relative ones start at `base`."""

    concurrency = 1

    def __init__(self, base: Path) -> None:
        self._base = base

    def find(self, location: str) -> Sequence[RawFile]:
        path = self._base / location
        if path.is_dir():
            raise SourceError(f"`{path}` is a folder. Name its files, such as `{location.rstrip('/')}/*.csv`.")
        if path.is_file():
            return (_raw_file(path),)
        if not glob.has_magic(location):
            return ()
        # `**` as the shell has it, but that `a/**` is not about a file `a`, which Python finds as `a/`.
        found = (Path(name) for name in glob.iglob(str(path), recursive=True) if not name.endswith(os.sep))  # noqa: PTH207
        return tuple(_raw_file(file) for file in sorted(set(found)) if file.is_file())

    def open(self, file: RawFile) -> BinaryIO:
        try:
            return Path(file.uri).open("rb")
        except FileNotFoundError:
            raise TransientError(f"`{file.uri}` was removed since it was found. Run again later.") from None


def _raw_file(path: Path) -> RawFile:
    seen = path.stat()
    modified_at = datetime.fromtimestamp(seen.st_mtime, UTC)
    return RawFile(os.path.normpath(path), seen.st_size, f"{seen.st_size}-{seen.st_mtime_ns}", modified_at)


def open(base: Path) -> LocalOrigin:  # noqa: A001  # the name that every flavour has
    return LocalOrigin(base)
