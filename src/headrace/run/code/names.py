"""Where the names in a piece of code lead.

Lives here: looking names up in the texts of the project's modules, which say the same in every process; a living object is
asked only for what a text can't say: the value of a constant, or whether a name is a pipeline. Not here: walking living
objects (objects.py, passed in). The invariant: where a name leads depends on the code, and not on what else this process
has imported or run.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from types import ModuleType
from typing import Protocol

from headrace.run.code.graph import Edge, Node, Target
from headrace.run.code.libraries import Libraries
from headrace.run.code.module_index import Piece, Unit
from headrace.run.code.modules import MISSING, Module, Modules
from headrace.run.code.scope import Import, Note, Ref
from headrace.run.code.values import NotPlainError, plain_text

__all__ = ["Names", "is_headrace", "joined_digest"]

# What Python itself puts into a module: its name and place do not count.
_GIVEN = frozenset({"__builtins__", "__cached__", "__doc__", "__file__", "__loader__", "__name__", "__package__", "__path__", "__spec__"})
_Path = tuple[str, ...]
_Seen = frozenset[tuple[Module, str]]


class Follow(Protocol):
    """What a living object leads to; `name` and `module` say where it was met."""

    def __call__(self, value: object, name: str, module: Module | None) -> list[Target]: ...


def is_headrace(value: object) -> bool:
    """Whether `value` is an object of headrace's own: a pipeline, a dataset, a step. Steps meet in the lake, not here."""
    return type(value).__module__.partition(".")[0] == "headrace" and not isinstance(value, ModuleType)


def joined_digest(*digests: str) -> str:
    return sha256("\n".join(digests).encode("utf-8", "surrogatepass")).hexdigest()


class Names:
    """Looks names up. Makes one node for each thing, however many names lead to it."""

    def __init__(self, modules: Modules, *, follow: Follow, held: Follow) -> None:
        self._modules = modules
        self._follow = follow
        self._held = held
        self._libraries = Libraries()
        self._nodes: dict[object, Node | None] = {}

    def unit(self, module: Module, unit: Unit) -> Node:
        """The node of one definition or statement."""
        return self._once(("unit", module, unit), lambda: self.unit_with(module, unit))

    def unit_with(
        self, module: Module, unit: Unit, cells: Mapping[str, object] | None = None, more: Callable[[], list[Edge]] = list
    ) -> Node:
        """A node of its own for a definition whose free names are in `cells`; `more` are edges besides its text's."""
        pieces = self._pieces(module, unit)
        return Node(
            label=f"{unit.kind} {unit.name} in {module.shown}" if unit.kind != "lambda" else f"lambda in {module.shown}",
            own=joined_digest(*(piece.digest for piece in pieces), module.rewritten),
            expand=lambda: [*self._edges(module, pieces, cells or {}), *more()],
            notes=[*_rewritten(module), *(_placed(note, module) for piece in pieces for note in piece.notes)],
        )

    def whole(self, module: Module) -> Node:
        """A module as a value: all of it."""
        piece = module.text.whole
        return self._once(
            ("whole", module),
            lambda: Node(
                f"module {module.shown}",
                joined_digest(piece.digest, module.rewritten),
                lambda: self._edges(module, [piece], {}),
                [*_rewritten(module), *(_placed(note, module) for note in piece.notes)],
            ),
        )

    def value(self, value: object, label: str) -> Node | None:
        """The node of a plain value; None when it is not plain."""
        try:
            return Node(label, joined_digest(plain_text(value, self._modules.places.root)))
        except NotPlainError:
            return None

    def living_module(self, value: ModuleType, path: _Path, *, is_called: bool) -> list[Target]:
        """What `path` means inside a module that is alive."""
        found = self._modules.of_module(value)
        if found is not None:
            return self._inside(found, path, is_called=is_called, seen=frozenset())
        inner = vars(value).get(path[0]) if path and getattr(value, "__file__", None) is None else None
        if isinstance(inner, ModuleType):
            return self.living_module(inner, path[1:], is_called=is_called)
        return self.outside(value.__name__)

    def outside(self, dotted: str) -> list[Target]:
        """What is not the project's: its name, and the library that it comes from."""
        top = dotted.partition(".")[0]
        if top in sys.stdlib_module_names or top in ("", "headrace"):
            return [dotted]
        library = self._libraries.of(dotted)
        label, version = f"library {library.name}", library.version or "not installed"
        return [dotted, self._once(("library", label), lambda: Node(label, f"{label} {version}", version=version))]

    def lookup(self, module: Module, path: _Path, *, is_called: bool = False, seen: _Seen = frozenset()) -> list[Target]:
        """What `path` leads to among the names of `module`."""
        name = path[0]
        value, bindings = module.living(name), module.text.bindings.get(name, [])
        if (module, name) in seen or (name in _GIVEN and not bindings):
            return [f"?.{name}"]
        seen |= {(module, name)}
        units = [binding for binding in bindings if isinstance(binding, Unit)]
        is_defined = any(unit.is_definition and unit.name == name for unit in units)
        if is_headrace(value) and not is_defined:
            return self._follow(value, name, module)
        if not bindings or (module.is_interactive and callable(value)):
            return self._unbound(module, path, value, is_called=is_called, seen=seen)
        constant = None if is_defined else self._constant(module, name, value, units)
        if constant is not None:
            return [constant]
        found: list[Target] = []
        for binding in bindings:
            if isinstance(binding, Import):
                is_live = value is not MISSING and (len(bindings) == 1 or _is_from(value, binding))
                found += self._import(module, binding, path[1:], is_called=is_called, is_live=is_live, seen=seen)
            elif self._is_step(module, binding) and not (is_called and len(path) == 1):
                found.append("headrace.step")
            else:
                found.append(self.unit(module, binding))
        return found + (self._held(value, name, module) if units and value is not MISSING else [])

    def _once(self, key: object, make: Callable[[], Node]) -> Node:
        found = self._nodes.get(key)
        if found is None:
            found = self._nodes[key] = make()
        return found

    def _pieces(self, module: Module, unit: Unit) -> list[Piece]:
        kept = [piece for path, piece in unit.decorators if not self._is_pipeline(module, path)]
        return [unit.core, *kept, *unit.guards]

    def _edges(self, module: Module, pieces: list[Piece], cells: Mapping[str, object]) -> list[Edge]:
        edges: list[Edge] = []
        for ref in sorted({ref for piece in pieces for ref in piece.refs}):
            name = ref.path[0]
            if name in cells and not ref.imports:
                edges.append((name, self._follow(cells[name], name, module)))
            else:
                edges.append((".".join(ref.path), self._ref(module, ref)))
        return edges

    def _ref(self, module: Module, ref: Ref) -> list[Target]:
        if not ref.imports:
            return self.lookup(module, ref.path, is_called=ref.is_called)
        found = (self._import(module, target, ref.path[1:], is_called=ref.is_called, is_live=False) for target in ref.imports)
        return [target for targets in found for target in targets]

    def _unbound(self, module: Module, path: _Path, value: object, *, is_called: bool, seen: _Seen) -> list[Target]:
        """A name that no statement of the module's text sets."""
        if isinstance(value, ModuleType):
            return self.living_module(value, path[1:], is_called=is_called)
        for star in module.text.stars:
            found = self._import(module, star, path, is_called=is_called, is_live=module.is_live, seen=seen)
            if any(isinstance(target, Node) and target.version is None for target in found):
                return found
        if value is not MISSING:
            return self._follow(value, path[0], module)
        if path[0] in vars(builtins):
            return [f"builtins.{path[0]}"]
        return [target for star in module.text.stars for target in self.outside(star.module)] or [f"?.{path[0]}"]

    def _constant(self, module: Module, name: str, value: object, units: list[Unit]) -> Node | None:
        """A module-level name whose value is plain goes by its value, unless that is the module's own name."""
        if value is MISSING or not units:
            return None
        if any(ref.path == ("__name__",) for unit in units for ref in unit.core.refs):
            return None
        key = ("value", module, name)
        if key not in self._nodes:
            self._nodes[key] = self.value(value, f"constant {name} in {module.shown}")
        return self._nodes[key]

    def _is_step(self, module: Module, unit: Unit) -> bool:
        return any(self._is_pipeline(module, path) for path, _ in unit.decorators)

    def _is_pipeline(self, module: Module, path: _Path) -> bool:
        """Whether a decorator's dotted name begins with a pipeline (and not with headrace itself)."""
        value = module.living(path[0]) if len(path) > 1 else MISSING
        if isinstance(value, ModuleType):
            return is_headrace(vars(value).get(path[1]))
        if value is not MISSING or len(path) < 2:
            return is_headrace(value)
        assigned = [unit for unit in module.text.bindings.get(path[0], []) if isinstance(unit, Unit) and not unit.is_definition]
        made_by = [name for unit in assigned for ref in unit.core.refs if ref.is_called for name in _imported_names(module, ref)]
        return "headrace.Pipeline" in made_by

    def _import(
        self, module: Module, target: Import, path: _Path, *, is_called: bool, is_live: bool, seen: _Seen = frozenset()
    ) -> list[Target]:
        names = path if target.name in ("", "*") else (target.name, *path)
        for count in range(len(names) + 1):  # more than 0 for folders without an __init__.py
            found = self._modules.imported(module, target, names[:count], is_live=is_live)
            if found is not None:
                return self._inside(found, names[count:], is_called=is_called, seen=seen)
            if target.level == 0 and self._is_installed(target.module):
                break
        return self.outside(".".join(filter(None, (target.module, target.name.strip("*")))) if target.level == 0 else "")

    def _is_installed(self, name: str) -> bool:
        top = name.partition(".")[0]
        return top in sys.stdlib_module_names or top == "headrace" or bool(self._libraries.of(name).version)

    def _inside(self, module: Module, path: _Path, *, is_called: bool, seen: _Seen) -> list[Target]:
        if not path:
            return [self.whole(module)]
        value = module.living(path[0])
        if path[0] not in module.text.bindings:
            if isinstance(value, ModuleType):
                return self.living_module(value, path[1:], is_called=is_called)
            inner = self._modules.submodule(module, path[0]) if value is MISSING else None
            if inner is not None:
                return self._inside(inner, path[1:], is_called=is_called, seen=seen)
        return self.lookup(module, path, is_called=is_called, seen=seen)


def _is_from(value: object, target: Import) -> bool:
    """Whether, of several imports that bind one name, this is the one that was run."""
    module = sys.modules.get(target.module)
    return value is (vars(module).get(target.name) if module is not None and target.name else module)


def _imported_names(module: Module, ref: Ref) -> Iterator[str]:
    for binding in module.text.bindings.get(ref.path[0], []):
        if isinstance(binding, Import) and not binding.level:
            yield ".".join(filter(None, (binding.module, binding.name, *ref.path[1:])))


def _placed(note: Note, module: Module) -> str:
    return f"{note.text} in {module.shown}:{note.line}"


def _rewritten(module: Module) -> list[str]:
    return [f"{module.shown}: what was loaded is not what the file says now"] if module.rewritten else []
