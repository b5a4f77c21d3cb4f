"""One line of JSON Lines: the object that it holds, with every digit of its numbers; and the text of a value.

Python's own parser reads it, and is held to the standard: what a reader could take in two ways is no record here. The invariant: a text is
what stands in the file, for no number passes through a float.
"""

from __future__ import annotations

import json
from json.encoder import encode_basestring
from typing import Any, NoReturn

__all__ = ["MAX_DEPTH", "NoRecordError", "Number", "object_in", "text_of"]

MAX_DEPTH = 200
_KINDS = {list: "an array", str: "a text", bool: "true or false", type(None): "null"}


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


_scan = json.JSONDecoder(parse_float=Number, parse_int=Number, parse_constant=Number, object_pairs_hook=_object).scan_once  # type: ignore[attr-defined]


def object_in(line: str) -> dict[str, Any]:
    """The object that a line holds. Raises NoRecordError; a place in its words is that of a character in the line, from 1."""
    text = line.strip(" \t")
    try:
        found, end = _scan(text, 0)
    except StopIteration as stop:
        if not text:
            raise NoRecordError("is blank: it has only spaces") from None
        _refuse("expecting value", line, text, stop.value)
    except json.JSONDecodeError as error:
        _refuse(error.msg.lower().removesuffix(" at").removesuffix(": "), line, text, error.pos)
    except RecursionError:
        raise NoRecordError(f"is nested deeper than {MAX_DEPTH} levels") from None
    if end != len(text):
        _refuse("extra data", line, text, end + len(text[end:]) - len(text[end:].lstrip()))
    if type(found) is not dict:
        raise NoRecordError(f"is no JSON object but {_KINDS.get(type(found), 'a number')}")
    if text.count("{") + text.count("[") > MAX_DEPTH and _depth(found) > MAX_DEPTH:
        raise NoRecordError(f"is nested deeper than {MAX_DEPTH} levels")
    if "\\u" in text and not _is_text(found):
        raise NoRecordError("has half of a surrogate pair (\\ud800 to \\udfff), which is no character")
    return found


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


def _refuse(why: str, line: str, text: str, position: int) -> NoReturn:
    begin = len(line) - len(line.lstrip(" \t")) if text else 0
    raise NoRecordError(f"is no JSON: {why} at character {begin + position + 1}")


def _depth(value: Any) -> int:
    level, depth = [value], 0
    while level:
        depth += 1
        inner = [part for part in level if isinstance(part, dict | list)]
        level = [child for part in inner for child in (part.values() if isinstance(part, dict) else part) if isinstance(child, dict | list)]
    return depth


def _is_text(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True
