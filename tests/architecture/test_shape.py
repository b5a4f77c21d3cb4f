"""The shape that CONTRIBUTING.md asks for: small files, small functions, honest names, nothing left to do."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src" / "headrace"
FILES = sorted(SOURCE.rglob("*.py"))
LONGEST = 400
LONGER = {"pipeline.py": 600}  # one class with its overloads and docstrings
VAGUE = {"utils", "util", "helpers", "helper", "common", "misc"}
LEFTOVERS = re.compile("|".join([r"\bTO" + "DO\\b", r"\bFIX" + "ME\\b", "/wo" + "rk/", "/ro" + "ot/", "/tmp/" + "h[r0-9]/"]))
TEXTS = {".py", ".md", ".toml", ".css", ".html", ".yml", ".yaml", ".cfg", ".txt", ""}


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(SOURCE).as_posix())
def test_a_module_is_small_and_says_what_it_is(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert "raise NotImplementedError" not in text
    assert text.count("\n") <= LONGER.get(file.relative_to(SOURCE).as_posix(), LONGEST)
    assert file.stem not in VAGUE
    assert not tree.body or ast.get_docstring(tree), "a module opens with what lives in it"
    too_long = {f.name: length(f) for f in functions(tree) if length(f) > 60}
    assert not too_long


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """A function's lines without its docstring."""
    doc = function.body[0] if ast.get_docstring(function) else None
    return (function.end_lineno or 0) - function.lineno + 1 - (((doc.end_lineno or 0) - doc.lineno + 1) if doc else 0)


def test_nothing_in_the_tree_is_left_to_do_or_bound_to_one_machine(project: Path) -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=project, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    names = [n for n in listed.stdout.split("\0") if n and n != "uv.lock" and Path(n).suffix in TEXTS and (project / n).is_file()]
    found = [f"{n}: {match.group()}" for n in names for match in LEFTOVERS.finditer((project / n).read_text(encoding="utf-8"))]
    assert not found
