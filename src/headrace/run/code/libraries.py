"""The installed version of the library that a module belongs to.

Lives here: from an import name to a distribution's name and version, by the `.dist-info` folder beside the module. Not
here: what is project code. The invariant: the answer depends on what is installed and not on what is imported, so two
workers with the same lock file agree; nothing is imported to find it out. A module without a version goes by its text.
"""

# os.path on texts: a Path costs ten times as much, and this is asked for each name of each step.
# ruff: noqa: PTH113, PTH118, PTH119, PTH123, PTH208
from __future__ import annotations

import os
import re
from collections.abc import Iterator
from hashlib import sha256
from importlib.util import find_spec
from typing import NamedTuple

__all__ = ["Libraries", "Library"]

# Import names that differ from their distributions'. Only a guess to try first: without that `.dist-info`, all are searched.
_USUAL = {
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python",
    "dateutil": "python-dateutil",
    "dotenv": "python-dotenv",
    "ibis": "ibis-framework",
    "PIL": "pillow",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}


class Library(NamedTuple):
    """A distribution and its version; `version` is empty when there is no such module."""

    name: str
    version: str


class Libraries:
    """Looks each import name and each folder up once."""

    def __init__(self) -> None:
        self._by_module: dict[str, Library] = {}
        self._installed: dict[str, dict[str, tuple[str, str]]] = {}

    def of(self, module: str) -> Library:
        """The library that has `module` (a dotted name)."""
        names = _prefixes(module)
        found = next((self._by_module[name] for name in names if name in self._by_module), None)
        return found or self._look(names)

    def _look(self, names: list[str]) -> Library:
        top = names[-1]
        origins, is_namespace = _origins_of(top)
        for name in names[:-1] if is_namespace else [top]:
            for place in dict.fromkeys(map(os.path.dirname, origins)):
                found = self._distribution(place, name)
                if found is not None:
                    self._by_module[name] = found
                    return found
        # On sys.path but not installed there, or installed in place: no version says what it is, so its text does.
        version = f"source {_source_digest(origins)}" if origins else ""
        self._by_module[top] = Library(top, version)
        return self._by_module[top]

    def _distribution(self, place: str, module: str) -> Library | None:
        """The distribution at `place` that `module` came with."""
        installed = self._installed_at(place)
        for guess in (module, _USUAL.get(module, module)):
            found = installed.get(_normalised(guess))
            if found:
                return _named(found[0])
        wanted = re.compile(rf"^{re.escape(module.replace('.', '/'))}(/|\.[^/]*,|\.py,)", re.MULTILINE)
        for folder, _ in installed.values():
            if wanted.search(_read(os.path.join(folder, "RECORD"))):
                return _named(folder)
        return None

    def _installed_at(self, place: str) -> dict[str, tuple[str, str]]:
        found = self._installed.get(place)
        if found is None:
            found = self._installed[place] = {}
            for entry in sorted(_listed(place)):
                if entry.endswith(".dist-info"):
                    name, _, version = entry.removesuffix(".dist-info").partition("-")
                    found[_normalised(name)] = (os.path.join(place, entry), version)
        return found


def _prefixes(module: str) -> list[str]:
    """`a.b.c`, `a.b`, `a`."""
    names = [module]
    while "." in names[-1]:
        names.append(names[-1].rpartition(".")[0])
    return names


def _named(folder: str) -> Library:
    """The name as its author writes it, with the version."""
    metadata = _read(os.path.join(folder, "METADATA"), 4096)
    name, version = (re.search(rf"^{field}: *(.+?)\s*$", metadata, re.MULTILINE) for field in ("Name", "Version"))
    stem = os.path.basename(folder).removesuffix(".dist-info").partition("-")
    return Library(_normalised(name[1] if name else stem[0]), version[1] if version else stem[2])


def _origins_of(top: str) -> tuple[list[str], bool]:
    """Where the top-level module lies (several places for a namespace package), and whether it is one."""
    try:
        spec = find_spec(top)
    except ValueError:  # something in sys.modules that no import made
        return [], False
    if spec is None:
        return [], False
    if spec.submodule_search_locations is not None:
        return [str(place) for place in spec.submodule_search_locations], spec.origin is None
    return [spec.origin] if spec.origin else [], False


def _source_digest(origins: list[str]) -> str:
    found = sha256()
    for origin in origins:
        for file in sorted(_python_files(origin)):
            found.update(f"{os.path.relpath(file, origin)} {sha256(_read(file).encode()).hexdigest()}\n".encode())
    return found.hexdigest()[:16]


def _python_files(place: str) -> Iterator[str]:
    if os.path.isfile(place):
        yield place
    for folder, _, files in os.walk(place):
        yield from (os.path.join(folder, file) for file in files if file.endswith(".py"))


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _listed(place: str) -> list[str]:
    try:
        return os.listdir(place)
    except OSError:
        return []


def _read(path: str, limit: int = -1) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(limit)
    except OSError:
        return ""
