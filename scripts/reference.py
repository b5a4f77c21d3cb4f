"""Writes the generated pages of the reference: docs/reference/api.md and testing.md from docstrings, docs/reference/cli.md from the commands' help.

python scripts/reference.py            write them
python scripts/reference.py --check    say which of them are out of date, and end with 1 if one is
"""

from __future__ import annotations

import inspect
import json
import re
import sys
import typing
from collections.abc import Callable, Iterator
from pathlib import Path

import click

import headrace
import headrace.airflow
import headrace.cli.main as cli
import headrace.testing

REFERENCE = Path(__file__).resolve().parents[1] / "docs" / "reference"

MADE_BY_USERS = {"Interval", "Lab", "Pipeline"}

API = """# Python

<!-- Written by scripts/reference.py from the docstrings. -->

Everything here is in `headrace`, by custom imported as `hr`. A name is loaded when it is first used: `import headrace` alone costs next to nothing.
"""

TESTING = """# Testing

<!-- Written by scripts/reference.py from the docstrings. -->

What is in `headrace.testing`, for the tests of pipelines; [how to use it](../how-to/test-your-pipeline.md).
"""

CLI = """# Command line

<!-- Written by scripts/reference.py from the commands' own help. -->

Times are UTC. With `--json`, standard output holds one JSON document and nothing else. Settings come from the command line, then from `HEADRACE_*`
variables, then from `headrace.toml`: see [settings](settings.md).

| exit code | meaning |
| --- | --- |
"""


def api() -> str:
    own = (line for name in headrace.__all__ for line in entry(name, getattr(headrace, name)))
    return "\n".join([API, *own, *entry("airflow.asset", headrace.airflow.asset)])


def testing() -> str:
    return "\n".join([TESTING, *(line for name in ("run_step", "Lab") for line in entry(name, getattr(headrace.testing, name)))])


def entry(name: str, value: object) -> Iterator[str]:
    yield f"## `{name}`\n"
    if not inspect.isclass(value):
        yield from described(name, value)
        return
    if name in MADE_BY_USERS:
        yield signature_block(name, value)
    yield f"{text(value)}\n"
    for method, function in vars(value).items():
        is_method = inspect.isfunction(function) or isinstance(function, property | classmethod | staticmethod)
        if is_method and not method.startswith("_") and inspect.getdoc(function):
            yield f"### `{name}.{method}`\n"
            yield from described(method, function)


def described(name: str, value: object) -> Iterator[str]:
    plain = getattr(value, "fget", None) or getattr(value, "__func__", None) or value
    if isinstance(value, property):
        yield f"{text(plain)}\n"
        return
    overloads = [form for form in typing.get_overloads(plain) if not is_decorator(form)] if callable(plain) else []
    for form in overloads or [plain]:
        yield signature_block(name, form)
    yield f"{text(plain)}\n"


def is_decorator(form: Callable[..., object]) -> bool:
    """Whether an overload is that of a bare decorator, which its prose tells better than its signature."""
    return "/" in str(inspect.signature(form))


def signature_block(name: str, value: object) -> str:
    """A signature as Python, without `self` and with a line for each parameter if it is long."""
    assert callable(value)
    found = inspect.signature(value)
    parts = list(shown([p for p in found.parameters.values() if p.name not in ("self", "cls")]))
    result = "" if found.return_annotation in (found.empty, "None") else f" -> {found.return_annotation}"
    line = f"{name}({', '.join(parts)}){result}"
    if len(line) > 100:
        line = "\n".join([f"{name}(", *(f"    {part}," for part in parts), f"){result}"])
    return f"```text\n{line}\n```\n"


def shown(parameters: list[inspect.Parameter]) -> Iterator[str]:
    """Each parameter as it would be written, with the star before the first that is given by name only."""
    kinds = [p.kind for p in parameters]
    for number, parameter in enumerate(parameters):
        if parameter.kind is parameter.KEYWORD_ONLY and parameter.KEYWORD_ONLY not in kinds[:number]:
            yield "*"
        default = json.dumps(parameter.default) if isinstance(parameter.default, str) else repr(parameter.default)
        annotation = str(parameter.annotation).replace("'", '"')
        yield f"{parameter.name}: {annotation}" + ("" if parameter.default is parameter.empty else f" = {default}")


def text(value: object) -> str:
    """A docstring as Markdown: its examples as blocks that the tests run."""
    doc = inspect.getdoc(value) or ""
    paragraphs = doc.split("\n\n")
    return "\n\n".join(f"```pycon\n{p}\n```" if p.lstrip().startswith(">>>") else p for p in paragraphs)


def commands() -> str:
    told = inspect.getdoc(cli) or ""
    codes = re.findall(r"(\d+) ([^;.]+)", told.partition("Exit codes:")[2].replace("\n", " "))
    group = next(value for value in vars(cli).values() if isinstance(value, click.Group))
    context = click.Context(group, info_name="headrace")
    parts = [CLI + "\n".join(f"| {code} | {' '.join(meaning.split())} |" for code, meaning in codes) + "\n"]
    return "\n".join([*parts, *helps(group, context)])


def helps(group: click.Group, context: click.Context) -> Iterator[str]:
    """The help of each command of a group, and of the commands below it."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        inner = click.Context(command, info_name=name, parent=context, terminal_width=100)
        yield f"## `{inner.command_path}`\n\n```text\n{command.get_help(inner)}\n```\n"
        if isinstance(command, click.Group):
            yield from helps(command, inner)


def main() -> None:
    is_check = sys.argv[1:] == ["--check"]
    stale = []
    for name, page in (("api.md", api()), ("testing.md", testing()), ("cli.md", commands())):
        file = REFERENCE / name
        page = page.rstrip() + "\n"
        if not file.is_file() or file.read_text(encoding="utf-8") != page:
            stale.append(name)
            if not is_check:
                file.write_text(page, encoding="utf-8")
    if is_check and stale:
        sys.exit(f"{', '.join(stale)} is out of date. Write it again: python scripts/reference.py")


if __name__ == "__main__":
    main()
