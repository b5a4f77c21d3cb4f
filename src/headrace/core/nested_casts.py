"""Lists and models inside records: how they are cast, part by part, by the same rules as columns.

A nested value is cast in two steps, so that it is checked in between. `pair_sql` makes a twin of it in which each scalar is a struct of its text
`t`, its value `v` and whether it is missing, `m`; a list one of its elements `l`, a model one of its fields `f0`, `f1`, …, each with the text `o`
of what is there in its place. `finish_sql` takes the values out. The invariant: a scalar in a list is what the same scalar in a column would be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from headrace.core.casts import literal
from headrace.core.checks import identifier, literal_of
from headrace.core.contract import ContractField
from headrace.core.ports import JSON
from headrace.core.typed_casts import Kind, missing_sql, shown_sql, typed_cast_sql

__all__ = ["Form", "finish_sql", "pair_sql", "raw_type"]


@dataclass(frozen=True)
class Form:
    """What a value with a type of its own holds: its kind, and if it is a list or a struct, the forms of what is in it."""

    kind: Kind
    scale: int = 0
    precision: int = 0
    item: Form | None = None
    inner: tuple[tuple[str, Form], ...] | None = None


def raw_type(field: ContractField) -> str:
    """The type of a nested value as it comes from JSON: see `core.shapes`."""
    if field.item:
        return f"STRUCT(l {raw_type(field.item)}[], o VARCHAR)"
    if field.inner:
        return f"STRUCT({', '.join(f'f{n} {raw_type(one)}' for n, one in enumerate(field.inner))}, o VARCHAR)"
    return "VARCHAR"


def pair_sql(value: str, field: ContractField, form: Form | None, options: Mapping[str, JSON], *, depth: int = 0) -> str:
    """SQL of the twin of a value: one of a file's own types, of this form, or without one of `raw_type`."""
    if field.item:
        return _pair_list(value, field.item, form, options, depth)
    if field.inner:
        return _pair_model(value, field.inner, form, options, depth)
    kind: Kind = form.kind if form else "text"
    if kind == "text":
        value = _without_null_words(value, options)
    cast = typed_cast_sql(value, kind, field, options, scale=form.scale if form else 0)
    return f"{{'t': {shown_sql(value, kind)}, 'v': CAST({cast} AS {field.sql_type}), 'm': {missing_sql(value, cast, kind, field)}}}"


def finish_sql(value: str, field: ContractField, *, depth: int = 0) -> str:
    """SQL of the value that a twin holds, with defaults in place of what is missing."""
    default = literal_of(field.default, field.sql_type)
    if field.item:
        x = f"x{depth}"
        found = f"list_transform({_get(value, 'l')}, lambda {x}: {finish_sql(x, field.item, depth=depth + 1)})"
        return f"CASE WHEN {value} IS NULL THEN {default} ELSE CAST({found} AS {field.sql_type}) END"
    if field.inner:
        inner = [finish_sql(_get(value, f"f{n}"), one, depth=depth + 1) for n, one in enumerate(field.inner)]
        parts = ", ".join(f"{identifier(one.name)} := {part}" for one, part in zip(field.inner, inner, strict=True))
        return f"CASE WHEN {value} IS NULL THEN {default} ELSE CAST(struct_pack({parts}) AS {field.sql_type}) END"
    return f"CASE WHEN {_get(value, 'm')} THEN {default} ELSE {_get(value, 'v')} END"


def _pair_list(value: str, item: ContractField, form: Form | None, options: Mapping[str, JSON], depth: int) -> str:
    if form and not form.item:
        found, odd = f"CAST(NULL AS {_pair_type(item)}[])", shown_sql(value, form.kind)
    else:
        x = f"x{depth}"
        each = pair_sql(x, item, form.item if form else None, options, depth=depth + 1)
        found = f"list_transform({value if form else _get(value, 'l')}, lambda {x}: {each})"
        odd = "CAST(NULL AS VARCHAR)" if form else _get(value, "o")
    return f"CASE WHEN {value} IS NOT NULL THEN {{'l': {found}, 'o': {odd}}} END"


def _pair_model(value: str, inner: tuple[ContractField, ...], form: Form | None, options: Mapping[str, JSON], depth: int) -> str:
    parts: list[str] = []
    forms = dict(form.inner or ()) if form else {}
    for n, one in enumerate(inner):
        if form is None:
            part = pair_sql(_get(value, f"f{n}"), one, None, options, depth=depth + 1)
        elif one.alias in forms:
            part = pair_sql(_get(value, one.alias), one, forms[one.alias], options, depth=depth + 1)
        else:
            part = pair_sql(f"CAST(NULL AS {raw_type(one)})", one, None, options, depth=depth + 1)
        parts.append(f"'f{n}': {part}")
    odd = _get(value, "o") if form is None else "CAST(NULL AS VARCHAR)" if form.inner is not None else shown_sql(value, form.kind)
    return f"CASE WHEN {value} IS NOT NULL THEN {{{', '.join(parts)}, 'o': {odd}}} END"


def _get(value: str, part: str) -> str:
    return f"struct_extract({value}, {literal(part)})"


def _pair_type(field: ContractField) -> str:
    if field.item:
        return f"STRUCT(l {_pair_type(field.item)}[], o VARCHAR)"
    if field.inner:
        return f"STRUCT({', '.join(f'f{n} {_pair_type(one)}' for n, one in enumerate(field.inner))}, o VARCHAR)"
    return f"STRUCT(t VARCHAR, v {field.sql_type}, m BOOLEAN)"


def _without_null_words(value: str, options: Mapping[str, JSON]) -> str:
    words = options.get("null_words", ())
    if not isinstance(words, list | tuple) or not words:
        return value
    return f"CASE WHEN {value} NOT IN ({', '.join(literal(str(word)) for word in words)}) THEN {value} END"
