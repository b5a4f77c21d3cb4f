"""The one rule of a step's parameters: no default = data, by name; a default = a setting; annotated `Interval` = the interval.

Functions are taken apart here, without importing `inspect` and without evaluating annotations. The invariant: what can't be
read that way is told as a problem, and never guessed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType

from headrace.core.interval import Interval
from headrace.core.step import Setting

__all__ = ["Signature", "innermost", "living_names", "name_of", "signature_of"]

_Function = Callable[..., object]


@dataclass(frozen=True)
class Signature:
    """A step's function, taken apart. `data` pairs each parameter that names a dataset with its annotation as text."""

    data: tuple[tuple[str, str], ...]
    settings: tuple[Setting, ...]
    intervals: tuple[str, ...]


def signature_of(function: _Function, imports: Mapping[str, str]) -> tuple[Signature, list[str]]:
    """A function's parameters by what they ask for, and what is wrong with them. `imports` says what names in textual annotations stand for."""
    data: list[tuple[str, str]] = []
    settings: list[Setting] = []
    intervals: list[str] = []
    problems: list[str] = []
    called = name_of(function)
    for name, annotation, default, has_default in _parameters(innermost(function)):
        if "*" in name or "/" in name:
            problems.append(f"`{called}` has `{name}`; a step's parameters are named one by one, since their names say what it reads.")
        elif _is_interval(annotation, imports):
            intervals.append(name)
        elif not has_default:
            data.append((name, annotation if isinstance(annotation, str) else _annotation_text(annotation)))
        elif _is_plain(default):
            settings.append(Setting(name, default))  # type: ignore[arg-type]  # checked to be plain
        else:
            found = repr(default) if isinstance(default, float) else f"a {type(default).__name__}"
            wanted = "a setting is a plain value (text, finite number, true or false, list)"
            problems.append(f"`{called}`: the default of `{name}` is {found}; {wanted}.")
    return Signature(tuple(data), tuple(settings), tuple(intervals)), problems


def innermost(function: _Function) -> _Function:
    """The function that a decorator made with `functools.wraps` stands for: its parameters and its text count."""
    while (wrapped := getattr(function, "__wrapped__", None)) is not None:
        function = wrapped
    return function


def living_names(names: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """What the modules and classes in a namespace are called in full: for functions whose file can't be read."""
    for name, value in list(names.items()):
        if isinstance(value, ModuleType):
            yield name, value.__name__
        elif isinstance(value, type):
            yield name, f"{value.__module__}.{value.__qualname__}"


def name_of(function: _Function) -> str:
    return getattr(function, "__name__", type(function).__name__)


def _parameters(function: _Function) -> list[tuple[str, object, object, bool]]:
    """(name, annotation, default, has_default) of each parameter; those that can't be given by name as `x, /`, `*x` and `**x`."""
    code = function.__code__
    count = code.co_argcount
    names = code.co_varnames[: count + code.co_kwonlyargcount]
    positional = function.__defaults__ or ()
    defaults: dict[str, object] = dict(zip(names[count - len(positional) : count], positional, strict=True))
    defaults.update(function.__kwdefaults__ or {})
    notes = function.__annotations__
    found = [(n, notes.get(n, ""), defaults.get(n), n in defaults) for n in names[code.co_posonlyargcount :]]
    stars = ["*"] * bool(code.co_flags & 4) + ["**"] * bool(code.co_flags & 8)
    unnamed = [f"{n}, /" for n in names[: code.co_posonlyargcount]]
    unnamed += [star + name for star, name in zip(stars, code.co_varnames[len(names) :], strict=False)]
    return [*found, *((n, "", None, False) for n in unnamed)]


def _annotation_text(annotation: object) -> str:
    if isinstance(annotation, type):
        return f"{annotation.__module__}.{annotation.__qualname__}"
    return str(annotation)


def _is_interval(annotation: object, imports: Mapping[str, str]) -> bool:
    if annotation is Interval:
        return True
    if not isinstance(annotation, str):
        return False
    head, _, rest = annotation.strip("\"' ").partition(".")
    full = imports.get(head, head) + (f".{rest}" if rest else "")
    return full in ("headrace.Interval", "headrace.core.interval.Interval")


def _is_plain(value: object) -> bool:
    if isinstance(value, list | tuple):
        return all(_is_plain(v) for v in value)
    return value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value))
