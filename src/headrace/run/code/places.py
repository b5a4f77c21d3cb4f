"""Which files are the project's own, and where a module's text is.

Lives here: paths and their texts. Not here: what is in the texts. The invariant: a file is the project's if it lies under
the project's folder, or beside or under a step's own file, and not in an environment or an installed library there.
"""

# os.path on texts: a Path costs ten times as much, and this is asked for each name of each step.
# ruff: noqa: PTH113, PTH118, PTH119, PTH120, PTH123, PTH206
from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["Places", "interactive_text", "read_text"]

_FOREIGN = frozenset({"site-packages", "dist-packages", "node_modules", "__pypackages__"})
_MARKS = ("pyvenv.cfg", "conda-meta")  # of an environment


class Places:
    """The project's folder. Looks each folder and each module name up once."""

    def __init__(self, root: Path) -> None:
        self.root = os.path.realpath(root)
        self._prefix = self.root.rstrip(os.sep) + os.sep
        self._folders: dict[str, bool] = {self.root: True}
        self._real: dict[str, str] = {}
        self._modules: dict[tuple[str, str], str] = {}

    def is_project(self, path: str) -> bool:
        return path.endswith(".py") and self._is_own(os.path.dirname(path))

    def include(self, path: str) -> None:
        """Let the folder of the file `path` be the project's too, unless it is an installed library's or Python's own."""
        folder = os.path.dirname(path)
        is_python = folder.startswith(os.path.dirname(os.path.realpath(os.__file__)))
        if not self._is_own(folder) and not is_python and not _FOREIGN.intersection(folder.split(os.sep)):
            self._folders = {self.root: True, folder: True}

    def real(self, path: str) -> str:
        """The path without links."""
        found = self._real.get(path)
        if found is None:
            found = self._real[path] = os.path.realpath(path)
        return found

    def shown(self, path: str) -> str:
        """The path as people know it: from the project's folder."""
        return path.removeprefix(self._prefix).replace(os.sep, "/") if path.startswith(self._prefix) else os.path.basename(path)

    def module_file(self, name: str, beside: str) -> str:
        """The project's file for the dotted `name`, as seen from the folder `beside`; empty when there is none."""
        key = (name, beside)
        found = self._modules.get(key)
        if found is None:
            bases = [self._import_root(beside), self.root, os.path.join(self.root, "src"), *map(os.path.realpath, sys.path)]
            tries = (self.submodule_file(base, name) for base in bases if self._is_own(base))
            found = self._modules[key] = next(filter(None, tries), "")
        return found

    def submodule_file(self, folder: str, name: str) -> str:
        """The file of the dotted `name` inside `folder`, a module or a package; empty when there is none."""
        stem = os.path.join(folder, *name.split("."))
        for path in (os.path.join(stem, "__init__.py"), f"{stem}.py"):
            if os.path.isfile(path) and self.is_project(path):
                return path
        return ""

    def _import_root(self, folder: str) -> str:
        while os.path.isfile(os.path.join(folder, "__init__.py")) and folder != self.root:
            folder = os.path.dirname(folder)
        return folder

    def _is_own(self, folder: str) -> bool:
        found = self._folders.get(folder)
        if found is None:
            parent, name = os.path.split(folder)
            is_foreign = parent == folder or name in _FOREIGN or any(map(os.path.exists, (os.path.join(folder, mark) for mark in _MARKS)))
            found = self._folders[folder] = not is_foreign and self._is_own(parent)
        return found


def read_text(path: str) -> str | None:
    """The source, decoded as Python would; None when it can't be read."""
    try:
        with open(path, "rb") as file:
            data = file.read()
        if data.startswith(b"\xef\xbb\xbf") or b"coding" in data[:200]:
            import tokenize

            with tokenize.open(path) as decoded:
                return decoded.read()
        return data.decode("utf-8")
    except (OSError, UnicodeDecodeError, SyntaxError):
        return None


def interactive_text(name: str) -> str | None:
    """The source of something typed at a prompt or in a notebook's cell, where the interpreter has kept it."""
    import linecache

    return "".join(linecache.getlines(name)) or None
