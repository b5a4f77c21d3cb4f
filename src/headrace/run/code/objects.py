"""What a living object leads to: functions with what they close over, partials, methods, instances, containers.

Lives here: walking objects that no name in a text stands for. Not here: names. The invariant: an object that can't be read
is said to be opaque; it is never passed over in silence.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType

from headrace.core.errors import PipelineError
from headrace.run.code.bytecode import bytecode_digest, names_of
from headrace.run.code.files import file_node
from headrace.run.code.graph import Edge, Node, Target
from headrace.run.code.modules import Module, Modules
from headrace.run.code.names import Names, is_headrace

__all__ = ["Dependency", "Objects"]

Dependency = Callable[..., object] | ModuleType | str | Path


class Objects:
    """Walks objects. Makes one node for each, however often it is met."""

    def __init__(self, modules: Modules, declared: Mapping[Callable[..., object], Sequence[Dependency]]) -> None:
        self._modules = modules
        self._declared = {id(owner): (owner, items) for owner, items in declared.items()}
        self._names = Names(modules, follow=self.follow, held=self.held)
        self._nodes: dict[int, tuple[object, list[Target]]] = {}  # with the object, so that its id stays its own

    def follow(self, value: object, name: str, module: Module | None) -> list[Target]:
        """What `value`, met as `name` in `module`, leads to."""
        if isinstance(value, ModuleType):
            return self._names.living_module(value, (), is_called=False)
        if is_headrace(value) and type(value).__module__ != "headrace.core.interval":
            return ["headrace"]
        where = f" in {module.shown}" if module else ""
        plain = self._names.value(value, f"value {name}{where}")
        if plain is not None:
            return [plain]
        known = self._nodes.get(id(value))
        if known is None:
            targets: list[Target] = []
            known = self._nodes[id(value)] = (value, targets)  # before walking on: it may hold itself
            targets += self._walk(value, name, where)
            if callable(value) and not isinstance(value, FunctionType | type):
                targets += self._depends(value)
        return known[1]

    def held(self, value: object, name: str, module: Module | None) -> list[Target]:
        """What a name leads to besides what its text says: declared dependencies, and what was put into a registry."""
        found: list[Target] = []
        if isinstance(value, FunctionType | type):
            found += self._depends(value)
        elif isinstance(value, list | tuple | dict):
            for item in _registered(value):
                found += self.follow(item, name, module)
        registry = getattr(value, "registry", None) if isinstance(value, FunctionType) and hasattr(value, "dispatch") else None
        for item in (registry or {}).values():
            found += self.follow(item, name, module)
        return found

    def _walk(self, value: object, name: str, where: str) -> list[Target]:
        if isinstance(value, FunctionType):
            return self._function(value)
        if isinstance(value, type):
            return self._class(value)
        if isinstance(value, MethodType):
            return [*self.follow(value.__func__, name, None), *self.follow(value.__self__, name, None)]
        if isinstance(value, BuiltinFunctionType):
            return self._builtin(value, name)
        if isinstance(value, partial):
            held = [("func", value.func), ("args", value.args), ("keywords", value.keywords)]
            return [Node(f"partial {name}{where}", "partial", lambda: self._each(held))]
        if isinstance(value, list | tuple | set | frozenset | dict):
            return [Node(f"value {name}{where}", type(value).__name__, lambda: self._each(_items(value)))]
        wrapped = getattr(value, "__wrapped__", None)
        if isinstance(wrapped, FunctionType):  # functools.lru_cache and its like
            return [f"{type(value).__module__}.{type(value).__qualname__}", *self.follow(wrapped, name, None)]
        return self._instance(value, name, where)

    def _each(self, items: Iterable[tuple[str, object]]) -> list[Edge]:
        return [(key, self.follow(item, key, None)) for key, item in items]

    def _function(self, function: FunctionType) -> list[Target]:
        code = function.__code__
        module = self._modules.of_function(function)
        if module is None:
            name = f"{function.__globals__.get('__name__')}.{code.co_qualname}"
            inner = [item for key, item in _closed_over(function) if isinstance(item, FunctionType | MethodType | partial | type)]
            return [*self._names.outside(name), *(target for item in inner for target in self.follow(item, "", None))]
        units = module.text.find(code.co_qualname, code.co_firstlineno)
        if not units:
            return [self._unwritten(function, module)]
        cells = dict(_cells(function))
        more = partial(self._beside, function)
        if len(units) == 1 and not cells and "<locals>" not in code.co_qualname and not self._has_more(function):
            return [self._names.unit(module, units[0])]
        return [self._names.unit_with(module, unit, cells, more) for unit in units]

    def _has_more(self, function: FunctionType) -> bool:
        return bool(hasattr(function, "__wrapped__") or hasattr(function, "__headrace_depends__") or id(function) in self._declared)

    def _beside(self, function: FunctionType) -> list[Edge]:
        """What a function leads to besides its text: the values of its defaults, what it wraps, what was declared."""
        edges = self._each((f"default {key}", item) for key, item in _defaults(function))
        wrapped = getattr(function, "__wrapped__", None)
        if wrapped is not None:
            edges.append(("wrapped", self.follow(wrapped, "wrapped", None)))
        return [*edges, ("declared", self._depends(function))]

    def _unwritten(self, function: FunctionType, module: Module) -> Node:
        """A function without a text: by its bytecode, and the names that this looks up."""
        code, cells = function.__code__, dict(_cells(function))

        def edges() -> list[Edge]:
            found = [(name, self._names.lookup(module, (name,))) for name in names_of(code) if name in function.__globals__]
            return [*found, *self._each(cells.items()), *self._beside(function)]

        note = f"function {code.co_qualname}, which has no source: counted by its bytecode"
        return Node(f"function {code.co_qualname} in {module.shown}", bytecode_digest(code), edges, [note])

    def _class(self, kind: type) -> list[Target]:
        name = f"{kind.__module__}.{kind.__qualname__}"
        module = self._home(kind)
        if module is None:
            return self._names.outside(name)
        units = module.text.find(kind.__qualname__)
        if units:
            return [*(self._names.unit(module, unit) for unit in units), *self._depends(kind)]
        members = [(key, item) for key, item in vars(kind).items() if not key.startswith("__")]
        note = f"class {kind.__qualname__} in {module.shown}, which was made by a call"
        return [Node(f"class {kind.__qualname__} in {module.shown}", "class", lambda: self._each(members), [note])]

    def _home(self, kind: type) -> Module | None:
        for member in vars(kind).values():
            function = getattr(member, "__func__", member)
            if (
                isinstance(function, FunctionType)
                and function.__module__ == kind.__module__
                and function.__code__.co_filename != "<string>"
            ):
                return self._modules.of_function(function)
        return self._modules.of_module(sys.modules.get(kind.__module__))

    def _builtin(self, function: BuiltinFunctionType, name: str) -> list[Target]:
        owner = function.__self__
        if owner is None or isinstance(owner, ModuleType):
            return self._names.outside(f"{function.__module__}.{function.__qualname__}")
        return [f"method {function.__qualname__}", *self.follow(owner, name, None)]

    def _instance(self, value: object, name: str, where: str) -> list[Target]:
        kind = type(value)
        class_targets = self.follow(kind, name, None)
        is_own = any(isinstance(target, Node) and target.version is None for target in class_targets)
        state = _state(value)
        label = f"value {name}{where}"
        if is_own and state is not None:
            return [Node(label, "object", lambda: [("class", class_targets), *self._each(sorted(state.items()))])]
        plain = self._names.value(dict(sorted(state.items())), label) if state is not None else None
        if plain is not None:
            return [*class_targets, plain]
        return [*class_targets, Node(label, "opaque", notes=[f"the state of a {kind.__qualname__}, `{name}`{where}"])]

    def _depends(self, value: object) -> list[Target]:
        items = [*getattr(value, "__headrace_depends__", ()), *self._declared.get(id(value), (value, ()))[1]]
        if not items:
            return []
        kind = value if isinstance(value, type) else type(value)
        module = self._modules.of_function(value) if isinstance(value, FunctionType) else self._home(kind)
        folder = Path(module.path).parent if module else Path(self._modules.places.root)
        owner = str(getattr(value, "__qualname__", kind.__qualname__))
        return [target for item in items for target in self._dependency(item, folder, owner)]

    def _dependency(self, item: object, folder: Path, owner: str) -> list[Target]:
        if isinstance(item, str | Path):
            return [file_node(folder / item, str(item), owner)]
        if isinstance(item, ModuleType) or callable(item):
            return self.follow(item, getattr(item, "__name__", "declared"), None)
        raise PipelineError(
            f"`__headrace_depends__` of {owner} holds {item!r}, which is none of: a function, a class, a module, the path of a file."
        )


def _registered(value: list[object] | tuple[object, ...] | dict[object, object]) -> Iterator[object]:
    for item in value.values() if isinstance(value, dict) else value:
        inner = item if isinstance(item, list | tuple) else [item]
        yield from (found for found in inner if isinstance(found, FunctionType | MethodType | partial | type))


def _cells(function: FunctionType) -> Iterator[tuple[str, object]]:
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:  # its variable is not assigned (yet)
            continue


def _defaults(function: FunctionType) -> Iterator[tuple[str, object]]:
    yield from ((str(number), value) for number, value in enumerate(function.__defaults__ or ()))
    yield from sorted((function.__kwdefaults__ or {}).items())


def _closed_over(function: FunctionType) -> Iterator[tuple[str, object]]:
    yield from _cells(function)
    if hasattr(function, "__wrapped__"):
        yield "wrapped", function.__wrapped__


def _items(value: object) -> list[tuple[str, object]]:
    if isinstance(value, dict):
        return [
            (f"{part} {number}", item)
            for number, pair in enumerate(value.items())
            for part, item in zip(("key", "value"), pair, strict=True)
        ]
    if isinstance(value, set | frozenset):
        return [(str(number), item) for number, item in enumerate(sorted(value, key=_name_of))]
    return [(str(number), item) for number, item in enumerate(value)] if isinstance(value, list | tuple) else []


def _name_of(value: object) -> str:
    return f"{type(value).__qualname__} {getattr(value, '__qualname__', '')}"


def _state(value: object) -> dict[str, object] | None:
    """The attributes of an instance; None when there is no telling."""
    slots = [name for kind in type(value).__mro__ for name in _slots_of(kind)]
    own = getattr(value, "__dict__", None)
    if own is None and not slots:
        return None
    return {**{name: getattr(value, name) for name in slots if hasattr(value, name)}, **(own or {})}


def _slots_of(kind: type) -> Sequence[str]:
    slots = vars(kind).get("__slots__", ())
    names = (slots,) if isinstance(slots, str) else tuple(slots)
    return [name for name in names if name not in ("__dict__", "__weakref__")]
