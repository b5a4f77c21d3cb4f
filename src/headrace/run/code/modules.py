"""The modules of the project: their texts, each parsed once, and their living namespaces.

Lives here: from an import or a living object to a module. Not here: what a name in it leads to. The invariant: a module
that is reached by an import inside a function's body has no namespace, even when this process has loaded it.
"""

# os.path on texts: a Path costs ten times as much, and this is asked for each name of each step.
# ruff: noqa: PTH113, PTH118, PTH119, PTH120
from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import FunctionType, ModuleType

from headrace.run.code.bytecode import rewritten
from headrace.run.code.module_index import ModuleText
from headrace.run.code.places import Places, interactive_text, read_text
from headrace.run.code.scope import Import

__all__ = ["MISSING", "Module", "Modules"]

MISSING = object()
_INTERACTIVE = "the notebook"


@dataclass(eq=False)
class Module:
    """A file of the project as this process sees it; `namespace` is None where it is only read.

    `rewritten` is a digest of the functions that are not what the text says, else empty.
    """

    path: str
    shown: str
    text: ModuleText
    namespace: Mapping[str, object] | None = None
    rewritten: str = ""

    @property
    def is_live(self) -> bool:
        return self.namespace is not None

    @property
    def is_interactive(self) -> bool:
        return self.shown == _INTERACTIVE

    def living(self, name: str) -> object:
        return MISSING if self.namespace is None else self.namespace.get(name, MISSING)


class Modules:
    """Finds modules, and keeps what it found until `refresh`."""

    def __init__(self, root: Path) -> None:
        self.places = Places(root)
        self._texts: dict[bytes, ModuleText] = {}
        self._modules: dict[tuple[str, bool], Module] = {}

    def refresh(self) -> None:
        """Look at the files anew. What was parsed is kept, by its content."""
        self.places = Places(Path(self.places.root))
        self._modules = {}

    def include(self, function: FunctionType) -> None:
        """Count the folder of a step's file as the project's, wherever it lies."""
        filename = self.places.real(function.__code__.co_filename)
        if not self.places.is_project(filename) and os.path.isfile(filename):
            self.places.include(filename)

    def of_function(self, function: FunctionType) -> Module | None:
        """The module that `function` was written in; None when it is not the project's."""
        filename, namespace = function.__code__.co_filename, function.__globals__
        own = namespace.get("__file__")
        if not os.path.isfile(filename) and isinstance(own, str) and os.path.basename(own) == os.path.basename(filename):
            filename = own  # `python shop.py` says "shop.py", and the working directory may have changed
        if os.path.isfile(filename):
            path = self.places.real(filename)
            return self._module(path, namespace) if self.places.is_project(path) else None
        if filename.startswith("<frozen") or (isinstance(own, str) and not self.places.is_project(self.places.real(own))):
            return None
        return self._interactive(filename, namespace)

    def of_module(self, module: ModuleType | None) -> Module | None:
        """The project's file that `module` was loaded from."""
        file = getattr(module, "__file__", None)
        if module is None or not isinstance(file, str):
            return None
        path = self.places.real(file)
        return self._module(path, vars(module)) if self.places.is_project(path) else None

    def imported(self, module: Module, target: Import, names: tuple[str, ...] = (), *, is_live: bool) -> Module | None:
        """What `target` (with further `names`) means inside `module`, if it is a file of the project."""
        dotted = ".".join(filter(None, (target.module, *names)))
        if is_live:
            package = str((module.namespace or {}).get("__package__") or "").rsplit(".", max(target.level - 1, 0))[0]
            found = self.of_module(sys.modules.get(f"{package}.{dotted}".strip(".") if target.level else dotted))
            if found is not None:
                return found
        folder = os.path.dirname(module.path)
        if target.level == 0:
            return self._read(self.places.module_file(dotted, folder))
        for _ in range(target.level - 1):
            folder = os.path.dirname(folder)
        return self._read(self.places.submodule_file(folder, dotted))

    def submodule(self, module: Module, name: str) -> Module | None:
        """The file of `name` in the package that `module` is the `__init__.py` of."""
        folder, file = os.path.split(module.path)
        return self._read(self.places.submodule_file(folder, name)) if file == "__init__.py" else None

    def _read(self, path: str) -> Module | None:
        return self._module(path, None) if path else None

    def _module(self, path: str, namespace: Mapping[str, object] | None) -> Module:
        key = (path, namespace is not None)
        found = self._modules.get(key)
        if found is None:
            text = self._text(read_text(path) or "")
            strange = "" if namespace is None else rewritten(text, path, namespace)
            found = self._modules[key] = Module(path, self.places.shown(path), text, namespace, strange)
        return found

    def _interactive(self, filename: str, namespace: Mapping[str, object]) -> Module:
        found = self._modules.get((filename, True))
        if found is None:
            text = self._text(interactive_text(filename) or "")
            path = os.path.join(self.places.root, "<interactive>")
            found = self._modules[filename, True] = Module(path, _INTERACTIVE, text, namespace)
        return found

    def _text(self, source: str) -> ModuleText:
        key = sha256(source.encode("utf-8", "surrogatepass")).digest()
        found = self._texts.get(key)
        if found is None:
            found = self._texts[key] = ModuleText(source)
        return found
