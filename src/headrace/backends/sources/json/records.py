"""One line of JSON Lines: the object that it holds, with every digit of its numbers.

Python's own parser reads it, and is held to the standard: what a reader could take in two ways is no record here. The invariant: a text is
what stands in the file, for no number passes through a float.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

from headrace.core.json_values import NoRecordError, Number, scan, text_of

__all__ = ["MAX_DEPTH", "NoRecordError", "Number", "object_in", "text_of"]

MAX_DEPTH = 200
_KINDS = {list: "an array", str: "a text", bool: "true or false", type(None): "null"}


def object_in(line: str) -> dict[str, Any]:
    """The object that a line holds. Raises NoRecordError; a place in its words is that of a character in the line, from 1."""
    text = line.strip(" \t")
    try:
        found, end = scan(text, 0)
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
