"""Which global names a piece of code uses, and what in it can't be followed.

Lives here: Python's scoping rules over a syntax tree. Not here: what a name is bound to (module_index, closure). The
invariant: a name that may be read from the module's globals is never left out; one too many costs a re-run, one too few
a stale result.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import ClassVar, NamedTuple

__all__ = ["Import", "Note", "Ref", "Uses", "bound_names", "chain_of", "imports_of", "uses_of"]

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


class Import(NamedTuple):
    """What an import statement binds to one name: `module`, or `name` of `module`; `level` counts the dots."""

    module: str
    name: str = ""
    level: int = 0


class Ref(NamedTuple):
    """A dotted use such as `lib.clean`; `imports` are the imports inside the function's own body that its first name is bound by."""

    path: tuple[str, ...]
    is_called: bool = False
    imports: tuple[Import, ...] = ()


class Note(NamedTuple):
    """Something that reading the code does not tell, with its line."""

    line: int
    text: str


class Uses(NamedTuple):
    """The names and the notes of some code, sorted."""

    refs: tuple[Ref, ...]
    notes: tuple[Note, ...]


def uses_of(node: ast.AST, *, skip_decorators: bool = False) -> Uses:
    """The names that `node` takes from the module's globals, or from functions around it."""
    reader = _Reader(node if skip_decorators else None)
    reader.read(node, _Scope("module", None))
    return Uses(tuple(sorted(reader.refs())), tuple(sorted(reader.notes)))


def bound_names(statement: ast.AST) -> tuple[set[str], dict[str, list[Import]]]:
    """The names that a module-level statement binds, and those of them that are imports."""
    scope = _Scope("module", None)
    _Reader(None).read(statement, scope)
    return scope.names, scope.imports


def chain_of(node: ast.AST) -> tuple[str, ...]:
    """`a.b.c` as a tuple; empty when it does not begin with a name."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return (node.id, *reversed(parts)) if isinstance(node, ast.Name) else ()


def imports_of(statement: ast.Import | ast.ImportFrom) -> list[tuple[str, Import]]:
    """The names that an import binds (`*` for all), each with what it is bound to."""
    if isinstance(statement, ast.ImportFrom):
        module, level = statement.module or "", statement.level
        return [(alias.asname or alias.name, Import(module, alias.name, level)) for alias in statement.names]
    plain = [(alias.asname or alias.name.split(".")[0], alias) for alias in statement.names]
    return [(bound, Import(alias.name if alias.asname else bound)) for bound, alias in plain]


class _Scope:
    """What a function, a class, a comprehension or the module binds; complete only when all of it was read."""

    __slots__ = ("imports", "kind", "names", "outer", "parent")

    def __init__(self, kind: str, parent: _Scope | None) -> None:
        self.kind = kind
        self.parent = parent
        self.names: set[str] = set()
        self.imports: dict[str, list[Import]] = {}
        self.outer: set[str] = set()


class _Reader:
    """One walk over a tree. Uses are noted with the scope that they stand in, and resolved at the end."""

    def __init__(self, undecorated: ast.AST | None) -> None:
        self._undecorated = undecorated
        self._loads: list[tuple[tuple[str, ...], bool, _Scope]] = []
        self._found: set[Ref] = set()
        self.notes: set[Note] = set()

    def refs(self) -> set[Ref]:
        for path, is_called, scope in self._loads:
            self._resolve(path, scope, is_called=is_called)
        return self._found

    def _resolve(self, path: tuple[str, ...], scope: _Scope, *, is_called: bool) -> None:
        name, around = path[0], scope
        while around.parent is not None:
            if name in around.outer:
                break
            if around.kind != "class" or around is scope:
                if name in around.imports:
                    self._found.add(Ref(path, is_called, tuple(around.imports[name])))
                    return
                # In a class body `limit = limit` reads the global one: there a local name is no proof.
                if name in around.names and around.kind != "class":
                    return
            around = around.parent
        self._found.add(Ref(path, is_called))

    def read(self, node: ast.AST, scope: _Scope) -> None:
        kind = node.__class__
        handle = self._handlers.get(kind)
        if handle is not None:
            handle(self, node, scope)
            return
        for name in kind._fields:
            value = getattr(node, name, None)
            if isinstance(value, ast.AST):
                self.read(value, scope)
            elif isinstance(value, list):
                for item in value:
                    if isinstance(item, ast.AST):
                        self.read(item, scope)

    def _all(self, nodes: Iterable[ast.AST], scope: _Scope) -> None:
        for node in nodes:
            self.read(node, scope)

    def _name(self, node: ast.Name, scope: _Scope) -> None:
        if node.ctx.__class__ is ast.Load:
            self._loads.append(((node.id,), False, scope))
        else:
            scope.names.add(node.id)

    def _constant(self, node: ast.Constant, scope: _Scope) -> None:
        pass

    def _operation(self, node: ast.BinOp, scope: _Scope) -> None:
        left: ast.expr = node
        while isinstance(left, ast.BinOp):  # a loop: a sum of a thousand terms is nested as deep
            self.read(left.right, scope)
            left = left.left
        self.read(left, scope)

    def _attribute(self, node: ast.Attribute, scope: _Scope) -> None:
        path = chain_of(node)
        if not path:
            self.read(node.value, scope)
            return
        if path[:2] == ("os", "environ"):
            self.notes.add(Note(node.lineno, "os.environ"))
        self._loads.append((path, False, scope))

    def _call(self, node: ast.Call, scope: _Scope) -> None:
        path = chain_of(node.func)
        self._note_call(node, path)
        if path:
            self._loads.append((path, True, scope))
        else:
            self.read(node.func, scope)
        self._all(node.args, scope)
        self._all(node.keywords, scope)

    def _note_call(self, node: ast.Call, path: tuple[str, ...]) -> None:
        last = path[-1] if path else getattr(node.func, "attr", "")
        if last not in _NOTED:
            return
        first = node.args[0] if node.args else None
        if last in _IMPORTERS and isinstance(first, ast.Constant) and isinstance(first.value, str) and len(node.args) == 1:
            self._found.add(Ref((first.value,), imports=(Import(first.value),)))
        elif _is_opaque(node, path, last):
            self.notes.add(Note(node.lineno, _shown(node)))

    def _function(self, node: _Function, scope: _Scope) -> None:
        scope.names.add(node.name)
        if node is not self._undecorated:
            self._all(node.decorator_list, scope)
        for argument in _arguments(node.args):
            if argument.annotation is not None:
                self._annotation(argument.annotation, scope)
        if node.returns is not None:
            self._annotation(node.returns, scope)
        self._body(node.body, node.args, scope, getattr(node, "type_params", ()))

    def _lambda(self, node: ast.Lambda, scope: _Scope) -> None:
        self._body([node.body], node.args, scope)

    def _body(self, body: Sequence[ast.AST], arguments: ast.arguments, scope: _Scope, type_params: Sequence[ast.AST] = ()) -> None:
        self._all(arguments.defaults, scope)
        self._all((default for default in arguments.kw_defaults if default), scope)
        inner = _Scope("function", scope)
        inner.names.update(argument.arg for argument in _arguments(arguments))
        inner.names.update(str(getattr(parameter, "name", "")) for parameter in type_params)
        self._all(body, inner)
        inner.names -= inner.outer

    def _class(self, node: ast.ClassDef, scope: _Scope) -> None:
        scope.names.add(node.name)
        if node is not self._undecorated:
            self._all(node.decorator_list, scope)
        self._all([*node.bases, *node.keywords], scope)
        self._all(node.body, _Scope("class", scope))

    def _comprehension(self, node: _Comprehension, scope: _Scope) -> None:
        inner = _Scope("comprehension", scope)
        for number, generator in enumerate(node.generators):
            self.read(generator.iter, inner if number else scope)
            self._all([generator.target, *generator.ifs], inner)
        self._all([node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt], inner)

    def _walrus(self, node: ast.NamedExpr, scope: _Scope) -> None:
        self.read(node.value, scope)
        while scope.kind == "comprehension" and scope.parent is not None:
            scope = scope.parent
        scope.names.add(node.target.id)

    def _annotated(self, node: ast.AnnAssign, scope: _Scope) -> None:
        if scope.kind == "class":
            self._annotation(node.annotation, scope)
        self.read(node.target, scope)
        if node.value is not None:
            self.read(node.value, scope)

    def _annotation(self, node: ast.AST, scope: _Scope) -> None:
        """As an expression; a text inside is one too (`list["Item"]`)."""
        for inner in ast.walk(node):
            if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
                try:
                    self.read(ast.parse(inner.value, mode="eval").body, scope)
                except SyntaxError:  # a text of its own, as in Literal["a b"]
                    continue
        self.read(node, scope)

    def _imports(self, node: ast.Import | ast.ImportFrom, scope: _Scope) -> None:
        for name, target in imports_of(node):
            scope.names.add(name)
            scope.imports.setdefault(name, []).append(target)

    def _outer(self, node: ast.Global | ast.Nonlocal, scope: _Scope) -> None:
        scope.outer.update(node.names)

    def _caught(self, node: ast.ExceptHandler, scope: _Scope) -> None:
        if node.name:
            scope.names.add(node.name)
        self._all([*([node.type] if node.type else []), *node.body], scope)

    def _matched(self, node: ast.MatchAs | ast.MatchStar, scope: _Scope) -> None:
        if node.name:
            scope.names.add(node.name)
        if isinstance(node, ast.MatchAs) and node.pattern is not None:
            self.read(node.pattern, scope)

    def _matched_mapping(self, node: ast.MatchMapping, scope: _Scope) -> None:
        if node.rest:
            scope.names.add(node.rest)
        self._all([*node.keys, *node.patterns], scope)

    _handlers: ClassVar[dict[type[ast.AST], Callable[..., None]]] = {
        ast.Name: _name,
        ast.Constant: _constant,
        ast.BinOp: _operation,
        ast.Attribute: _attribute,
        ast.Call: _call,
        ast.FunctionDef: _function,
        ast.AsyncFunctionDef: _function,
        ast.Lambda: _lambda,
        ast.ClassDef: _class,
        ast.ListComp: _comprehension,
        ast.SetComp: _comprehension,
        ast.DictComp: _comprehension,
        ast.GeneratorExp: _comprehension,
        ast.NamedExpr: _walrus,
        ast.AnnAssign: _annotated,
        ast.Import: _imports,
        ast.ImportFrom: _imports,
        ast.Global: _outer,
        ast.Nonlocal: _outer,
        ast.ExceptHandler: _caught,
        ast.MatchAs: _matched,
        ast.MatchStar: _matched,
        ast.MatchMapping: _matched_mapping,
    }


def _arguments(arguments: ast.arguments) -> Iterator[ast.arg]:
    yield from arguments.posonlyargs
    yield from arguments.args
    yield from arguments.kwonlyargs
    yield from (argument for argument in (arguments.vararg, arguments.kwarg) if argument is not None)


_IMPORTERS = frozenset({"import_module", "__import__"})
_PLAIN = frozenset({"eval", "exec", "globals", "getattr", "open"})  # as names alone: `frame.eval(...)` is something else
_METHODS = frozenset({"open", "read_text", "read_bytes", "getenv"})  # after a dot: `Path(...).read_text()`
_NOTED = _IMPORTERS | _PLAIN | _METHODS


def _is_opaque(node: ast.Call, path: tuple[str, ...], last: str) -> bool:
    """Whether what this call does can't be read from the code."""
    if last in _IMPORTERS:
        return True
    if path == ("getattr",):
        return len(node.args) > 1 and not isinstance(node.args[1], ast.Constant)
    return last in (_PLAIN if len(path) == 1 else _METHODS)


def _shown(node: ast.AST) -> str:
    text = ast.unparse(node)
    return text if len(text) <= 60 else text[:57] + "..."
