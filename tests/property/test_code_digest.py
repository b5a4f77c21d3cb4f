"""Rewriting code without changing it never changes its digest; changing any literal always does."""

from __future__ import annotations

import ast
import importlib.util
import itertools
import random
from pathlib import Path
from textwrap import indent

from hypothesis import given
from hypothesis import strategies as st

from headrace.run.code import CodeDigest, CodeIndex

_serial = itertools.count()
_names = st.sampled_from(["a", "b", "c", "LIMIT"])
_literals = st.one_of(
    st.integers(-5, 10**20),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
    st.binary(max_size=3),
    st.booleans(),
    st.none(),
)


def _expressions() -> st.SearchStrategy[str]:
    leaves = _literals.map(lambda value: f"({value!r})") | _names
    return st.recursive(leaves, _combined, max_leaves=5)


def _combined(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    two = st.tuples(inner, inner)
    return st.one_of(
        two.map(lambda pair: f"({pair[0]} + {pair[1]})"),
        two.map(lambda pair: f"[{pair[0]}, {pair[1]}]"),
        two.map(lambda pair: f"({pair[0]} if {pair[1]} else None)"),
        two.map(lambda pair: f"{{{pair[0]}: {pair[1]}}}"),
        two.map(lambda pair: f"helper({pair[0]})[{pair[1]}:]"),
        two.map(lambda pair: f"[x for x in {pair[0]} if x > {pair[1]}]"),
        two.map(lambda pair: f"(lambda a, *, b={pair[0]}: {pair[1]})"),
        inner.map(lambda text: f"helper({text})"),
        _names.map(lambda name: f"f'total {{{name}!r:>10}} of'"),
        inner.map(lambda text: f"(not {text})"),
    )


_statements = st.one_of(
    _expressions().map(lambda text: f"a = {text}"),
    _expressions().map(lambda text: f"b: int = {text}"),
    _expressions().map(lambda text: f"if {text}:\n    c = 1\nelse:\n    c = {text}"),
    _expressions().map(lambda text: f"for c in {text}:\n    a += c"),
    _expressions().map(lambda text: f"try:\n    a = {text}\nexcept ValueError as b:\n    raise"),
    _expressions().map(lambda text: f"def inner(a, b={text}):\n    'documented'\n    return {text}\nc = inner(1)"),
    _expressions().map(lambda text: f"class Inner:\n    field: int = {text}\n    def method(self):\n        return {text}\nc = Inner"),
)


@st.composite
def modules(draw: st.DrawFn) -> str:
    body = indent("\n".join(draw(st.lists(_statements, min_size=1, max_size=4))), "    ")
    helper = draw(_expressions())
    return (
        f"LIMIT = {draw(_literals)!r}\n\n@memory\ndef helper(a, b=1, c=2):\n    return {helper}\n\n"
        f"def step(a, b, c):\n    'What it does.'\n{body}\n    return a, b, c, helper, LIMIT\n"
    )


_PREFIX = "def memory(function):\n    return function\n\n"


def digest(folder: Path, text: str) -> CodeDigest:
    """Of `step` in a file with that text, loaded afresh."""
    path = folder / "shop.py"
    path.write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(f"property_{next(_serial)}", path)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    exec(
        compile(text, str(path), "exec", dont_inherit=True), vars(module)
    )  # not through the cache of bytecode, which goes by time and size
    return CodeIndex(folder).digest(module.step)


@given(source=modules(), seed=st.integers(0, 2**32))
def test_reformatting_never_changes_a_digest(tmp_path_factory, source: str, seed: int) -> None:
    folder = tmp_path_factory.mktemp("project")
    before = digest(folder, _PREFIX + source)

    after = digest(folder, _reformatted(_PREFIX + source, random.Random(seed)))

    assert after == before


@given(source=modules(), pick=st.integers(0, 10**6))
def test_changing_a_literal_always_changes_the_digest(tmp_path_factory, source: str, pick: int) -> None:
    folder = tmp_path_factory.mktemp("project")
    tree = ast.parse(_PREFIX + source)
    literals = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and not _is_docstring(node, tree)]
    chosen = literals[pick % len(literals)]
    before = digest(folder, ast.unparse(tree))

    chosen.value = _another(chosen.value)
    after = digest(folder, ast.unparse(tree))

    assert after.digest != before.digest
    assert after.parts != before.parts


def _reformatted(source: str, chance: random.Random) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            node.body = [statement for statement in node.body if not _is_text(statement)] or [ast.Pass()]
            if chance.random() < 0.5:
                node.body.insert(0, ast.Expr(ast.Constant(f"Documented {chance.random()}.")))
    lines = []
    for line in ast.unparse(ast.fix_missing_locations(tree)).splitlines():
        if chance.random() < 0.3 and "'''" not in line and '"""' not in line:
            lines.append(" " * chance.randrange(8) + f"# {chance.random()}")
            lines.append("")
        lines.append(line + ("  # said" if chance.random() < 0.3 else ""))
    text = "\n".join(lines) + "\n"
    # A text over several lines can't take a comment inside: then only the new layout is tried.
    return text if ast.dump(ast.parse(text)) == ast.dump(ast.parse(ast.unparse(tree))) else ast.unparse(tree)


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _is_docstring(constant: ast.Constant, tree: ast.Module) -> bool:
    return any(isinstance(node, ast.Expr) and node.value is constant for node in ast.walk(tree))


def _another(value: object) -> object:
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case float():
            return value / 2 + 1.5 if value != 3.0 else 4.0
        case str():
            return value + "x"
        case bytes():
            return value + b"x"
        case _:
            return 7
