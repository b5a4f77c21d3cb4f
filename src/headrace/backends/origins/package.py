"""Data files inside installed Python packages: `package://sklearn.datasets/data/breast_cancer.csv`.

The invariant: no package is imported, so that finding a file costs nothing and runs nobody's code.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.machinery import PathFinder
from pathlib import Path
from typing import BinaryIO

from headrace.core.errors import SourceError
from headrace.core.ports import RawFile

__all__ = ["PackageOrigin", "open"]

_SCHEME = "package://"


class PackageOrigin:
    """Locations are `package://<package>/<path>`: the package dotted, the path inside its folder."""

    concurrency = 1

    def find(self, location: str) -> Sequence[RawFile]:
        package, _, inside = location.removeprefix(_SCHEME).partition("/")
        if not inside:
            raise SourceError(f"`{location}` names no file. Write it as package://sklearn.datasets/data/breast_cancer.csv.")
        found = [_raw_file(location, path) for folder in _folders(package, location) for path in [folder / inside] if path.is_file()]
        return tuple(found[:1])

    def open(self, file: RawFile) -> BinaryIO:
        package, _, inside = file.uri.removeprefix(_SCHEME).partition("/")
        for folder in _folders(package, file.uri):
            if (folder / inside).is_file():
                return (folder / inside).open("rb")
        raise SourceError(f"`{file.uri}` is gone from the installed package.")


def _folders(package: str, location: str) -> list[Path]:
    """The folders of a package, found as the import system would but without importing its parents."""
    places: Sequence[str] | None = None
    name = ""
    for part in package.split("."):
        name = f"{name}.{part}" if name else part
        spec = PathFinder.find_spec(name, places)
        if spec is None or spec.submodule_search_locations is None:
            raise SourceError(
                f"`{location}` can't be found: there is no installed package `{name}` in this environment. Install the distribution that has it, or mend the name."
            )
        places = list(spec.submodule_search_locations)
    return [Path(place) for place in places or ()]


def _raw_file(uri: str, path: Path) -> RawFile:
    seen = path.stat()
    return RawFile(uri, seen.st_size, f"{seen.st_size}-{seen.st_mtime_ns}", datetime.fromtimestamp(seen.st_mtime, UTC))


def open(base: Path | None = None) -> PackageOrigin:  # noqa: A001, ARG001  # the name and the argument that every origin has
    return PackageOrigin()
