"""The installed version of the library that a module belongs to.

Lives here: from an import name to a distribution's name and version, by the `.dist-info` folder beside the module. Not
here: what is project code. The invariant: the answer depends on what is installed and not on what is imported, so two
workers with the same lock file agree; nothing is imported to find it out.
"""

# os.path on texts: a Path costs ten times as much, and this is asked for each name of each step.
# ruff: noqa: PTH118, PTH119, PTH120, PTH123, PTH208
from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from importlib.machinery import PathFinder

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


@dataclass(frozen=True, slots=True)
class Library:
    """A distribution; `version` is empty when the module was found but nothing says its version, or it was not found."""

    name: str
    version: str
    place: str = ""

    @property
    def is_found(self) -> bool:
        return bool(self.version or self.place)


class Libraries:
    """Looks each import name and each folder up once."""

    def __init__(self) -> None:
        self._by_module: dict[str, Library] = {}
        self._installed: dict[str, dict[str, tuple[str, str]]] = {}

    def of(self, module: str) -> Library:
        """The library that has `module` (a dotted name)."""
        top = module.partition(".")[0]
        key = module if _is_namespace(top) else top
        found = self._by_module.get(key)
        if found is None:
            found = self._by_module[key] = self._look(key, top)
        return found

    def _look(self, module: str, top: str) -> Library:
        origin = _origin_of(top)
        places = [os.path.dirname(place) for place in origin]
        for place in [*places, *(entry for entry in sys.path if entry.endswith("-packages"))]:
            found = self._distribution(place, module, top)
            if found:
                name, version = found
                # Found elsewhere than beside its module, as for an install in place: the version says little about the code.
                return Library(name, version, "" if place in places else origin[0] if origin else "")
        return Library(top, "", origin[0] if origin else "")

    def _distribution(self, place: str, module: str, top: str) -> tuple[str, str] | None:
        """The name and version of the distribution at `place` that `module` came with."""
        installed = self._installed_at(place)
        for guess in (top, _USUAL.get(top, top), module.replace(".", "-")):
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


def _named(folder: str) -> tuple[str, str]:
    """The name as its author writes it, with the version."""
    metadata = _read(os.path.join(folder, "METADATA"), 4096)
    name, version = (re.search(rf"^{field}: *(.+?)\s*$", metadata, re.MULTILINE) for field in ("Name", "Version"))
    stem = os.path.basename(folder).removesuffix(".dist-info").partition("-")
    return _normalised(name[1] if name else stem[0]), version[1] if version else stem[2]


def _is_namespace(top: str) -> bool:
    module = sys.modules.get(top)
    if module is not None:
        return getattr(module, "__file__", None) is None
    spec = PathFinder.find_spec(top)
    return spec is not None and spec.origin is None


def _origin_of(top: str) -> list[str]:
    """Where the top-level module lies: its file's folder's entry, one for each portion of a namespace package."""
    module = sys.modules.get(top)
    spec = getattr(module, "__spec__", None) or PathFinder.find_spec(top)
    if spec is None:
        return []
    if spec.submodule_search_locations is not None:
        return [str(place) for place in spec.submodule_search_locations]
    return [spec.origin] if spec.origin else []


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
