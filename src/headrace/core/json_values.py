"""Values of JSON as they are written, and the text of a value.

Python's own parser reads them, but for numbers, which stay texts. The invariant: a text is what stands in the file, for no number passes
through a float, and an object has no key twice.
"""

from __future__ import annotations

import json
from json.encoder import encode_basestring
from typing import Any

__all__ = ["NoRecordError", "Number", "scan", "text_of"]


class Number(str):
    """A number as it is written."""

    __slots__ = ()


class NoRecordError(Exception):
    """Why a line is no record, in words."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise NoRecordError(f"has a key twice: {twice[:60]!r}")
    return found


scan = json.JSONDecoder(parse_float=Number, parse_int=Number, parse_constant=Number, object_pairs_hook=_object).scan_once  # type: ignore[attr-defined]


def text_of(value: Any) -> str:
    """A value as text: a text or a number as it is, and what has parts as JSON without spaces."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return _json(value)


def _json(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Number):
        return value
    if isinstance(value, str):
        return str(encode_basestring(value))
    if isinstance(value, list):
        return f"[{','.join(map(_json, value))}]"
    return "{" + ",".join(f"{encode_basestring(name)}:{_json(inner)}" for name, inner in value.items()) + "}"
