"""Where the engine puts what its memory can't hold: rows of the lake, so that nobody else on the machine may read there.

The invariant: the folder that is used by default is this user's alone, or it is not used.
"""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from headrace.core.errors import ConfigurationError

__all__ = ["spill_folder"]


def spill_folder(told: Path | None) -> Path:
    """The folder that was told, made where there is none, or one of this user's own. ConfigurationError where that is another's."""
    folder = told or Path(tempfile.gettempdir()) / f"headrace-duckdb-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise ConfigurationError(f"The engine can't spill to {folder}: {error.strerror}. Name another folder with temp=.") from error
    if told is None and (not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077):
        raise ConfigurationError(
            f"{folder} is where rows would be put that do not fit into memory, and others could read them there: it is a link, another "
            "user's, or open to others. Remove it, or name a folder with temp= in headrace.toml or HEADRACE_TEMP."
        )
    return folder
