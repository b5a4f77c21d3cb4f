"""What the text of one module binds, by name: the index that names are looked up in.

Lives here: parsing a module once, and its units (definitions, assignments and what else sets a name), each with its digest
and the names that it uses, worked out when first asked for. Not here: other modules, living objects. The invariant: an
index is a function of the text alone, so one may be shared by whoever has the same text.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from types import CodeType
from typing import NamedTuple

from headrace.run.code.scope import Import, Note, Ref, bound_names, chain_of, imports_of, uses_of
from headrace.run.code.syntax import digest_of

__all__ = ["Binding", "ModuleText", "Piece", "Unit"]

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef

_LEAVES = (ast.Name, ast.Constant, ast.expr_context, ast.alias)  # most nodes of a tree, and nothing is defined below them


class Piece(NamedTuple):
    """Some syntax: its digest, the names that it uses, and what in it can't be followed."""

    digest: str
    refs: tuple[Ref, ...]
    notes: tuple[Note, ...]


class Unit:
    """One definition or statement, with the conditions that it stands under."""

    def __init__(self, node: ast.AST, name: str, guards: Sequence[ast.AST] = ()) -> None:
        self.node = node
        self.name = name
        self._guards = guards

    @property
    def is_definition(self) -> bool:
        return isinstance(self.node, Definition)

    @property
    def kind(self) -> str:
        if isinstance(self.node, ast.ClassDef):
            return "class"
        if isinstance(self.node, ast.Lambda):
            return "lambda"
        return "function" if self.is_definition else "constant"

    @cached_property
    def core(self) -> Piece:
        """The unit without its decorators and conditions."""
        return _piece(self.node, skip_decorators=True)

    @cached_property
    def decorators(self) -> tuple[tuple[tuple[str, ...], Piece], ...]:
        """Each decorator by the dotted name that it begins with."""
        nodes = self.node.decorator_list if isinstance(self.node, Definition) else []
        return tuple((_decorator_name(node), _piece(node)) for node in nodes)

    @cached_property
    def guards(self) -> tuple[Piece, ...]:
        return tuple(_piece(node) for node in self._guards)


Binding = Import | Unit


class ModuleText:
    """The index of one module's text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.bindings: dict[str, list[Binding]] = {}
        self.stars: list[Import] = []
        self._found: dict[int, Unit] = {}
        try:
            self._tree = ast.parse(text)
        except (SyntaxError, ValueError):  # not Python (any more): what is alive is then read by its bytecode
            self._tree = ast.Module([], [])
        self._collect(self._tree.body, ())

    @cached_property
    def whole(self) -> Piece:
        return _piece(self._tree)

    @cached_property
    def codes(self) -> Mapping[tuple[str, int], CodeType]:
        """The functions that Python makes of this text, by qualified name and first line."""
        try:
            stack = [compile(self._text, "<text>", "exec", dont_inherit=True)]
        except (SyntaxError, ValueError):
            return {}
        found = {}
        while stack:
            code = stack.pop()
            found[(code.co_qualname, code.co_firstlineno)] = code
            stack.extend(constant for constant in code.co_consts if isinstance(constant, CodeType))
        return found

    def find(self, qualname: str, line: int | None = None) -> list[Unit]:
        """The units of that qualified name (for a method, its class); several when one line has more lambdas than one."""
        named = self._by_qualname.get(qualname, [])
        there = [unit for first, unit in named if first == line] or [unit for _, unit in named]
        return list(dict.fromkeys(there))

    @cached_property
    def _by_qualname(self) -> dict[str, list[tuple[int, Unit]]]:
        found: dict[str, list[tuple[int, Unit]]] = {}
        for node, qualname, owner in _definitions(self._tree):
            first = min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", ()))])
            found.setdefault(qualname, []).append((first, self._unit(owner or node, qualname)))
        return found

    def _unit(self, node: ast.AST, qualname: str, guards: Sequence[ast.AST] = ()) -> Unit:
        unit = self._found.get(id(node))
        if unit is None:
            unit = self._found[id(node)] = Unit(node, qualname.replace(".<locals>", ""), guards)
        return unit

    def _collect(self, statements: Iterable[ast.AST], guards: tuple[ast.AST, ...]) -> None:
        for statement in statements:
            match statement:
                case ast.Import() | ast.ImportFrom():
                    self._add_imports(statement)
                case ast.If():
                    chosen = () if _is_type_checking(statement.test) else (statement.test,)
                    self._collect([*statement.body, *statement.orelse], (*guards, *chosen))
                case ast.With() | ast.AsyncWith():
                    self._collect(statement.body, (*guards, *(item.context_expr for item in statement.items)))
                    self._add(statement, guards, (chain_of(item.optional_vars)[:1] for item in statement.items if item.optional_vars))
                case ast.Try() | ast.TryStar():
                    handled = [inner for handler in statement.handlers for inner in handler.body]
                    self._collect([*statement.body, *handled, *statement.orelse, *statement.finalbody], guards)
                case _:
                    self._add(statement, guards, _names_set_by(statement))

    def _add_imports(self, statement: ast.Import | ast.ImportFrom) -> None:
        for name, target in imports_of(statement):
            if name == "*":
                self.stars.append(target)
            else:
                self.bindings.setdefault(name, []).append(target)

    def _add(self, statement: ast.AST, guards: Sequence[ast.AST], paths: Iterable[tuple[str, ...]]) -> None:
        for name in dict.fromkeys(path[0] for path in paths if path):
            own = statement.name if isinstance(statement, Definition) else name
            self.bindings.setdefault(name, []).append(self._unit(statement, own, guards))
        if not isinstance(statement, Definition):
            for name, targets in bound_names(statement)[1].items():
                self.bindings.setdefault(name, []).extend(targets)


def _piece(node: ast.AST, *, skip_decorators: bool = False) -> Piece:
    uses = uses_of(node, skip_decorators=skip_decorators)
    return Piece(digest_of(node, skip_decorators=skip_decorators), uses.refs, uses.notes)


def _names_set_by(statement: ast.AST) -> Iterator[tuple[str, ...]]:
    """The names that a module-level statement binds, or changes: `x.append(1)`, `x["a"] = 1`, `@x.register`."""
    if isinstance(statement, Definition):
        yield (statement.name,)
        yield from (name for name in map(_decorator_name, statement.decorator_list) if len(name) > 1)
        return
    names, imports = bound_names(statement)
    yield from ((name,) for name in sorted(names - imports.keys()))
    for node in ast.walk(statement):
        if isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load):
            yield _root_of(node)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            called = node.value.func
            yield _root_of(called) if isinstance(called, ast.Attribute | ast.Subscript) else ()
            if chain_of(called) == ("setattr",) and node.value.args:
                yield chain_of(node.value.args[0])


def _root_of(node: ast.AST) -> tuple[str, ...]:
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return (node.id,) if isinstance(node, ast.Name) else ()


def _decorator_name(node: ast.AST) -> tuple[str, ...]:
    while isinstance(node, ast.Call):
        node = node.func
    return chain_of(node)


def _is_type_checking(test: ast.AST) -> bool:
    return chain_of(test)[-1:] == ("TYPE_CHECKING",)


def _definitions(tree: ast.Module) -> Iterator[tuple[Definition | ast.Lambda, str, ast.ClassDef | None]]:
    """All functions and classes with their qualified names, and the outermost class that a method belongs to."""
    stack: list[tuple[ast.AST, str, ast.ClassDef | None]] = [(tree, "", None)]
    while stack:
        node, prefix, owner = stack.pop()
        if isinstance(node, Definition | ast.Lambda):
            qualname = prefix + ("<lambda>" if isinstance(node, ast.Lambda) else node.name)
            yield node, qualname, owner
            prefix = f"{qualname}." if isinstance(node, ast.ClassDef) else f"{qualname}.<locals>."
            owner = (owner or node) if isinstance(node, ast.ClassDef) else None
        stack.extend((child, prefix, owner) for child in reversed(list(ast.iter_child_nodes(node))) if not isinstance(child, _LEAVES))
