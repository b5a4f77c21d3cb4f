"""Which global names a piece of code uses, and what in it can't be followed.

Lives here: Python's scoping rules over a syntax tree. Not here: what a name is bound to (module_index, closure). The
invariant: a name that may be read from the module's globals is never left out; one too many costs a re-run, one too few
a stale result.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

__all__ = ["Import", "Note", "Ref", "Uses", "bound_names", "chain_of", "imports_of", "uses_of"]

Function = ast.FunctionDef | ast.AsyncFunctionDef
Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


@dataclass(frozen=True, slots=True, order=True)
class Import:
    """What an import statement binds to one name: `module`, or `name` of `module`; `level` counts the dots."""

    module: str
    name: str = ""
    level: int = 0


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """A dotted use such as `lib.clean`; `imports` are the imports inside the function's own body that its first name is bound by."""

    path: tuple[str, ...]
    is_called: bool = False
    imports: tuple[Import, ...] = ()


@dataclass(frozen=True, slots=True, order=True)
class Note:
    """Something that reading the code does not tell, with its line."""

    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Uses:
    refs: tuple[Ref, ...]
    notes: tuple[Note, ...]


@dataclass(slots=True)
class _Bound:
    names: set[str] = field(default_factory=set)
    imports: dict[str, list[Import]] = field(default_factory=dict)
    outer: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Scope:
    bound: _Bound
    is_class: bool
    parent: _Scope | None


def uses_of(node: ast.AST, *, skip_decorators: bool = False) -> Uses:
    """The names that `node` takes from the module's globals (or from functions around it), sorted."""
    reader = _Reader(node if skip_decorators else None)
    reader.read(node, None)
    return Uses(tuple(sorted(reader.refs)), tuple(sorted(reader.notes)))


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


def bound_names(statements: Iterable[ast.AST]) -> tuple[set[str], dict[str, list[Import]]]:
    """The names that `statements` bind in their own scope, and those of them that are imports."""
    bound = _bound_in(statements)
    return bound.names, bound.imports


def _bound_in(statements: Iterable[ast.AST]) -> _Bound:
    bound = _Bound()
    stack = list(statements)
    while stack:
        node = stack.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            bound.names.add(node.name)
        elif isinstance(node, Comprehension):
            stack.extend(inner for inner in ast.walk(node) if isinstance(inner, ast.NamedExpr))
        elif isinstance(node, ast.Import | ast.ImportFrom):
            for name, target in imports_of(node):
                bound.names.add(name)
                bound.imports.setdefault(name, []).append(target)
        elif isinstance(node, ast.Global | ast.Nonlocal):
            bound.outer.update(node.names)
        elif not isinstance(node, ast.Lambda):
            bound.names.update(_stored(node))
            stack.extend(ast.iter_child_nodes(node))
    bound.names -= bound.outer
    return bound


def _stored(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Name):
        return [] if isinstance(node.ctx, ast.Load) else [node.id]
    if isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar):
        return [node.name] if node.name else []
    if isinstance(node, ast.MatchMapping):
        return [node.rest] if node.rest else []
    return []


class _Reader:
    """One walk over a tree with the scopes that are open at each point."""

    def __init__(self, undecorated: ast.AST | None) -> None:
        self._undecorated = undecorated
        self.refs: set[Ref] = set()
        self.notes: set[Note] = set()

    def read(self, node: ast.AST, scope: _Scope | None) -> None:
        match node:
            case ast.Name():
                if isinstance(node.ctx, ast.Load):
                    self._use((node.id,), scope)
            case ast.Constant():
                pass
            case ast.Attribute():
                self._attribute(node, scope)
            case ast.Call():
                self._call(node, scope)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self._function(node, scope)
            case ast.ClassDef():
                self._class(node, scope)
            case ast.Lambda():
                self._body([node.body], node.args, scope)
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                self._comprehension(node, scope)
            case ast.AnnAssign():
                self._annotated(node, scope)
            case _:
                self._all(ast.iter_child_nodes(node), scope)

    def _all(self, nodes: Iterable[ast.AST], scope: _Scope | None) -> None:
        for node in nodes:
            self.read(node, scope)

    def _use(self, path: tuple[str, ...], scope: _Scope | None, *, is_called: bool = False) -> None:
        name, innermost = path[0], scope
        while scope is not None:
            if scope.is_class and scope is not innermost:
                scope = scope.parent
                continue
            if name in scope.bound.imports:
                self.refs.add(Ref(path, is_called, tuple(scope.bound.imports[name])))
                return
            if name in scope.bound.outer:
                break
            # In a class body `limit = limit` reads the global one: there a local name is no proof.
            if name in scope.bound.names and not scope.is_class:
                return
            scope = scope.parent
        self.refs.add(Ref(path, is_called))

    def _attribute(self, node: ast.Attribute, scope: _Scope | None) -> None:
        path = chain_of(node)
        if not path:
            self.read(node.value, scope)
            return
        if path[:2] == ("os", "environ"):
            self.notes.add(Note(node.lineno, "os.environ"))
        self._use(path, scope)

    def _call(self, node: ast.Call, scope: _Scope | None) -> None:
        path = chain_of(node.func)
        self._note_call(node, path)
        if path:
            self._use(path, scope, is_called=True)
        else:
            self.read(node.func, scope)
        self._all(node.args, scope)
        self._all(node.keywords, scope)

    def _note_call(self, node: ast.Call, path: tuple[str, ...]) -> None:
        last = path[-1] if path else getattr(node.func, "attr", "")
        if last in _IMPORTERS and node.args and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str):
            self.refs.add(Ref((node.args[0].value,), imports=(Import(node.args[0].value),)))
            return
        is_file = last in _FILES and (path == ("open",) or len(path) != 1)
        is_computed = path == ("getattr",) and len(node.args) > 1 and not isinstance(node.args[1], ast.Constant)
        if last in _IMPORTERS or path in _UNREADABLE or is_file or is_computed:
            self.notes.add(Note(node.lineno, _shown(node)))

    def _function(self, node: Function, scope: _Scope | None) -> None:
        if node is not self._undecorated:
            self._all(node.decorator_list, scope)
        arguments = node.args
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
        for annotation in [argument.annotation for argument in every if argument] + [node.returns]:
            self._annotation(annotation, scope)
        self._body(node.body, arguments, scope, type_params=getattr(node, "type_params", ()))

    def _body(self, body: Sequence[ast.AST], arguments: ast.arguments, scope: _Scope | None, type_params: Sequence[ast.AST] = ()) -> None:
        self._all(arguments.defaults, scope)
        self._all((default for default in arguments.kw_defaults if default), scope)
        bound = _bound_in(body)
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
        bound.names.update(argument.arg for argument in every if argument)
        bound.names.update(str(getattr(parameter, "name", "")) for parameter in type_params)
        self._all(body, _Scope(bound, is_class=False, parent=scope))

    def _class(self, node: ast.ClassDef, scope: _Scope | None) -> None:
        if node is not self._undecorated:
            self._all(node.decorator_list, scope)
        self._all([*node.bases, *node.keywords], scope)
        self._all(node.body, _Scope(_bound_in(node.body), is_class=True, parent=scope))

    def _comprehension(self, node: Comprehension, scope: _Scope | None) -> None:
        first = node.generators[0]
        self.read(first.iter, scope)
        inner = _Scope(_bound_in([generator.target for generator in node.generators]), is_class=False, parent=scope)
        for generator in node.generators:
            if generator is not first:
                self.read(generator.iter, inner)
            self._all([generator.target, *generator.ifs], inner)
        self._all([node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt], inner)

    def _annotated(self, node: ast.AnnAssign, scope: _Scope | None) -> None:
        if scope is not None and scope.is_class:
            self._annotation(node.annotation, scope)
        self._all([node.target, *([node.value] if node.value else [])], scope)

    def _annotation(self, node: ast.AST | None, scope: _Scope | None) -> None:
        """As an expression; a text inside is one too (`list["Item"]`)."""
        if node is None:
            return
        for inner in ast.walk(node):
            if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
                try:
                    self.read(ast.parse(inner.value, mode="eval").body, scope)
                except SyntaxError:  # a text of its own, as in Literal["a b"]
                    continue
        self.read(node, scope)


_IMPORTERS = frozenset({"import_module", "__import__"})
_UNREADABLE = frozenset({("eval",), ("exec",), ("globals",)})
_FILES = frozenset({"open", "read_text", "read_bytes", "getenv"})


def _shown(node: ast.AST) -> str:
    text = ast.unparse(node)
    return text if len(text) <= 60 else text[:57] + "..."
