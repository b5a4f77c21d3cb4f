"""The text of a plain value: what a constant is, however it was written or computed.

Lives here: numbers, texts, times, paths, patterns, enum members, and tuples, lists, dicts and sets of them. Not here:
objects with behaviour. The invariant: equal texts mean equal values of equal types, in every process; a path inside the
project is told from the project's root, so that the project may move.
"""

from __future__ import annotations

import enum
import pathlib
import re
from collections.abc import Iterable

__all__ = ["NotPlainError", "plain_text"]

_SHOWN_BY_REPR = frozenset(
    {
        ("builtins", "bool"),
        ("builtins", "bytes"),
        ("builtins", "bytearray"),
        ("builtins", "complex"),
        ("builtins", "ellipsis"),
        ("builtins", "float"),
        ("builtins", "NoneType"),
        ("builtins", "range"),
        ("datetime", "date"),
        ("datetime", "datetime"),
        ("datetime", "time"),
        ("datetime", "timedelta"),
        ("datetime", "timezone"),
        ("decimal", "Decimal"),
        ("fractions", "Fraction"),
        ("uuid", "UUID"),
        ("zoneinfo", "ZoneInfo"),
    }
)


class NotPlainError(TypeError):
    """The value is, or holds, something that has no text of its own."""


def plain_text(value: object, root: str) -> str:
    """The text of `value`; `root` is the project's folder. Raises NotPlainError."""
    return _text(value, root, ())


def _text(value: object, root: str, around: tuple[int, ...]) -> str:
    kind = type(value)
    if kind is str:
        return repr(_moved(value, root))  # type: ignore[arg-type]
    if kind is int:
        return hex(value)  # type: ignore[arg-type]
    if (kind.__module__, kind.__name__) in _SHOWN_BY_REPR:
        return f"{kind.__name__} {value!r}"
    if isinstance(value, enum.Enum):
        return f"{kind.__qualname__}.{value.name}={_text(value.value, root, (*around, id(value)))}"
    if isinstance(value, pathlib.PurePath) and kind.__module__.startswith("pathlib"):
        return f"path {_moved(value.as_posix(), root)!r}"
    if kind is re.Pattern:
        return f"pattern {value.pattern!r} {value.flags}"  # type: ignore[attr-defined]
    if id(value) in around:
        raise NotPlainError("a container that holds itself")
    return _container(value, root, (*around, id(value)))


def _container(value: object, root: str, around: tuple[int, ...]) -> str:
    kind = type(value)
    if isinstance(value, tuple) and (kind is tuple or hasattr(kind, "_fields")):
        return f"{kind.__qualname__}({_joined(value, root, around)})"
    if kind is list:
        return f"[{_joined(value, root, around)}]"  # type: ignore[arg-type]
    if kind is set or kind is frozenset:
        inner = sorted(_text(item, root, around) for item in value)  # type: ignore[attr-defined]
        return f"{kind.__name__}({','.join(inner)})"
    if isinstance(value, dict) and kind.__module__ in ("builtins", "collections"):
        pairs = (f"{_text(key, root, around)}:{_text(item, root, around)}" for key, item in value.items())
        return f"{kind.__name__}{{{','.join(pairs)}}}"
    raise NotPlainError(f"{kind.__module__}.{kind.__qualname__}")


def _joined(values: Iterable[object], root: str, around: tuple[int, ...]) -> str:
    return ",".join(_text(value, root, around) for value in values)


def _moved(text: str, root: str) -> str:
    return text.replace(root, "<project>") if len(root) > 1 else text
