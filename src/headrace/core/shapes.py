"""Lists and models from texts of JSON: each put into the one shape that SQL takes apart, whatever stands in the text.

The shape is JSON too: a list is `{"l": [...], "o": null}`, a model `{"f0": ..., "o": null}` with its fields by number, a scalar the text that it
has as a column. What is no list or no model is its text under `o`. The invariant: each shape is a value of `core.nested_casts.raw_type`.
"""

from __future__ import annotations

import json
from typing import Any

from headrace.core.contract import ContractField
from headrace.core.json_paths import at_path, path_of
from headrace.core.json_values import NoRecordError, scan, text_of

__all__ = ["shape_of"]


def shape_of(text: str, field: ContractField) -> str | None:
    """The shape of what a text of JSON holds; None for null and for a blank text. A text that is no JSON is what it says, and no list."""
    bare = text.strip(" \t\r\n")
    try:
        value, end = scan(bare, 0)
        if end != len(bare):
            return _json(_odd(text, field))
        shape = _shaped(value, field)
        shaped = _json(shape)
        shaped.encode()
    except StopIteration:
        return _json(_odd(text, field)) if bare else None
    except (json.JSONDecodeError, NoRecordError, RecursionError, UnicodeEncodeError):
        return _json(_odd(text, field))
    return None if shape is None else shaped


def _shaped(value: Any, field: ContractField) -> Any:
    if value is None:
        return None
    if field.item:
        if not isinstance(value, list):
            return _odd(text_of(value), field)
        return {"l": [_shaped(each, field.item) for each in value], "o": None}
    if field.inner:
        if not isinstance(value, dict):
            return _odd(text_of(value), field)
        return {**{f"f{n}": _shaped(_get(value, one.alias), one) for n, one in enumerate(field.inner)}, "o": None}
    return text_of(value)


def _odd(text: str, field: ContractField) -> dict[str, Any]:
    parts = ["l"] if field.item else [f"f{n}" for n in range(len(field.inner or ()))]
    return {**dict.fromkeys(parts), "o": text}


def _get(value: dict[str, Any], alias: str) -> object:
    path = path_of(alias)
    return value.get(alias) if path is None else at_path(value, alias, path)


def _json(shape: object) -> str:
    return json.dumps(shape, ensure_ascii=False)
