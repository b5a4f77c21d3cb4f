"""A digest of syntax that sees what code does, and not how it is written.

Lives here: turning a syntax tree into a text without positions, comments, docstrings and formatting. Not here: what the
names in it mean. The invariant: two trees of the same meaning to Python, written differently, give one text; two trees
that differ in a literal, a name or an operator never do. The text is ours (not `ast.dump`'s), so that it is the same on
every supported Python.
"""

from __future__ import annotations

import ast
from hashlib import sha256

__all__ = ["digest_of", "is_no_op"]

_SKIPPED = frozenset({"ctx", "type_comment", "type_ignores", "simple"})
_BLOCKS = frozenset({"body", "orelse", "finalbody"})
_fields: dict[type[ast.AST], tuple[str, ...]] = {}


def digest_of(node: ast.AST, *, skip_decorators: bool = False) -> str:
    """The sha256 of what `node` says. With `skip_decorators`, those of the outermost definition do not count."""
    out: list[str] = []
    if skip_decorators and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        _write_fields(node, out, in_class=isinstance(node, ast.ClassDef), without="decorator_list")
    else:
        _write(node, out, in_class=False)
    return sha256("".join(out).encode("utf-8", "surrogatepass")).hexdigest()


def is_no_op(statement: ast.AST) -> bool:
    """`pass`, a docstring, or any other constant that stands alone."""
    return isinstance(statement, ast.Pass) or (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))


def _write(node: ast.AST, out: list[str], *, in_class: bool) -> None:
    kind = node.__class__
    if kind is ast.Name:
        out.append(f"Name {node.id};")  # type: ignore[attr-defined]
    elif kind is ast.Constant:
        _write_constant(node.value, out)  # type: ignore[attr-defined]
    elif kind is ast.JoinedStr:
        _write_joined(node, out)  # type: ignore[arg-type]
    elif kind is ast.BinOp:
        _write_operations(node, out)  # type: ignore[arg-type]
    elif kind is ast.AnnAssign and not in_class:
        _write_unannotated(node, out)  # type: ignore[arg-type]
    else:
        _write_fields(node, out, in_class=kind is ast.ClassDef or (in_class and kind in _TRANSPARENT))


# Statements that open no scope: an annotation inside them still belongs to the class around them.
_TRANSPARENT = frozenset({ast.If, ast.Try, ast.TryStar, ast.With, ast.For, ast.While, ast.ExceptHandler, ast.Match, ast.match_case})


def _write_fields(node: ast.AST, out: list[str], *, in_class: bool, without: str = "") -> None:
    kind = node.__class__
    names = _fields.get(kind)
    if names is None:
        names = _fields[kind] = tuple(name for name in kind._fields if name not in _SKIPPED)
    out.append(f"{kind.__name__}(")
    for name in names:
        value = getattr(node, name, None)
        if value is None or value == [] or name == without:
            continue
        if isinstance(value, list):
            _write_list(name, value, out, in_class=in_class)
        elif isinstance(value, ast.AST):
            out.append(f"{name}=")
            _write(value, out, in_class=in_class)
        else:
            out.append(f"{name}={value!r};")
    out.append(")")


def _write_list(name: str, values: list[object], out: list[str], *, in_class: bool) -> None:
    if name in _BLOCKS:
        values = [value for value in values if isinstance(value, ast.AST) and not is_no_op(value)]
        if not values:
            return
    out.append(f"{name}=[")
    for value in values:
        if isinstance(value, ast.AST):
            _write(value, out, in_class=in_class)
        else:
            out.append(f"{value!r};")
    out.append("]")


def _write_constant(value: object, out: list[str]) -> None:
    shown = hex(value) if type(value) is int else repr(value)  # repr refuses ints of more than 4300 digits
    out.append(f"{type(value).__name__} {shown};")


def _write_operations(node: ast.expr, out: list[str]) -> None:
    """`a + b + c + …`, as a loop: a sum of a thousand terms is nested as deep."""
    spine: list[ast.BinOp] = []
    while isinstance(node, ast.BinOp):
        spine.append(node)
        node = node.left
    out.append("BinOp(" * len(spine))
    _write(node, out, in_class=False)
    for operation in reversed(spine):
        out.append(f"{operation.op.__class__.__name__} ")
        _write(operation.right, out, in_class=False)
        out.append(")")


def _write_joined(node: ast.JoinedStr, out: list[str]) -> None:
    """An f-string: how its literal text is cut into pieces is formatting (and differs between Pythons)."""
    out.append("JoinedStr(")
    text = ""
    for value in node.values:
        if isinstance(value, ast.Constant):
            text += str(value.value)
            continue
        if text:
            _write_constant(text, out)
        text = ""
        _write(value, out, in_class=False)
    if text:
        _write_constant(text, out)
    out.append(")")


def _write_unannotated(node: ast.AnnAssign, out: list[str]) -> None:
    """Outside of a class the annotation of a variable does nothing: `x: int = 1` is `x = 1`."""
    if node.value is not None:
        _write(ast.Assign(targets=[node.target], value=node.value), out, in_class=False)
