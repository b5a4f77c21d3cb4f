"""What breaks a contract inside lists and models, each breach with the path of the first part that breaks it: `items[2].price`.

The SQL is DuckDB's, built here as text and run elsewhere. The invariant: a record breaks its contract if and only if one of these is true of
it; none of them is ever NULL.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from headrace.core.casts import failure_words, literal
from headrace.core.checks import Breach, breaches_of
from headrace.core.contract import ContractField
from headrace.core.durations import duration_text_sql
from headrace.core.ports import JSON

__all__ = ["nested_breaches"]

_SHOWN = 60
_NOTHING = "CAST([] AS VARCHAR[])"


@dataclass(frozen=True)
class _Part:
    """A part of a column: SQL of it, of its path, and the path without the places in lists, by which reasons are counted."""

    value: str
    where: str
    path: str
    depth: int = 0


@dataclass(frozen=True)
class _Found:
    """A kind of breach: SQL of the reasons of all parts that have it, as a list."""

    path: str
    words: str
    reasons: str


def nested_breaches(
    value: str, field: ContractField, options: Mapping[str, JSON], *, of: Literal["twins", "rows"] = "twins"
) -> Iterator[Breach]:
    """The breaches of a column that is a list or a model: of its twin (see `core.nested_casts`), or of rows that are typed already."""
    for found in _found(_Part(value, literal(field.name), field.name), field, options, is_twin=of == "twins"):
        first = "r[1] || CASE WHEN len(r) > 1 THEN ' (and ' || (len(r) - 1) || ' more)' ELSE '' END"
        yield Breach(
            field.name,
            found.words,
            f"coalesce(len({found.reasons}) > 0, false)",
            path=found.path,
            whole=f"list_transform([{found.reasons}], lambda r: {first})[1]",
        )


def _found(part: _Part, field: ContractField, options: Mapping[str, JSON], *, is_twin: bool) -> Iterator[_Found]:
    if not field.item and not field.inner:
        yield from _scalar(part, field, options, is_twin=is_twin)
        return
    if not field.nullable and not field.has_default:
        yield _one(part, "missing", f"{part.value} IS NULL")
    if is_twin:
        odd = _get(part.value, "o")
        yield _one(part, f"is not an {'array' if field.item else 'object'}", f"{odd} IS NOT NULL", _quoted(odd))
    if field.item:
        yield from _list(part, field, field.item, options, is_twin=is_twin)
    for n, one in enumerate(field.inner or ()):
        name = one.alias if is_twin else one.name
        value = _get(part.value, f"f{n}" if is_twin else name)
        inner = _Part(value, f"{part.where} || {literal('.' + name)}", f"{part.path}.{name}", part.depth)
        for found in _found(inner, one, options, is_twin=is_twin):
            yield _Found(found.path, found.words, f"CASE WHEN {_is_there(part, is_twin=is_twin)} THEN {found.reasons} ELSE {_NOTHING} END")


def _list(part: _Part, field: ContractField, item: ContractField, options: Mapping[str, JSON], *, is_twin: bool) -> Iterator[_Found]:
    items = _get(part.value, "l") if is_twin else part.value
    if field.min_length is not None:
        yield _one(
            part, f"has fewer than {_elements(field.min_length)} (min_length={field.min_length})", f"len({items}) < {field.min_length}"
        )
    if field.max_length is not None:
        yield _one(
            part, f"has more than {_elements(field.max_length)} (max_length={field.max_length})", f"len({items}) > {field.max_length}"
        )
    x, i = f"x{part.depth}", f"i{part.depth}"
    each = _Part(x, f"{part.where} || '[' || ({i} - 1) || ']'", f"{part.path}[]", part.depth + 1)
    for found in _found(each, item, options, is_twin=is_twin):
        yield _Found(found.path, found.words, f"flatten(list_transform({items}, lambda {x}, {i}: {found.reasons}))")


def _elements(count: int) -> str:
    return f"{count} element{'' if count == 1 else 's'}"


def _scalar(part: _Part, field: ContractField, options: Mapping[str, JSON], *, is_twin: bool) -> Iterator[_Found]:
    value = _get(part.value, "v") if is_twin else part.value
    missing = _get(part.value, "m") if is_twin else f"{part.value} IS NULL"
    shown = duration_text_sql(value) if field.type == "timedelta" else f"CAST({value} AS VARCHAR)"
    text = _get(part.value, "t") if is_twin else shown
    if not field.nullable and not field.has_default:
        yield _one(part, "missing", missing)
    if is_twin:
        yield _one(part, failure_words(field, options), f"NOT {missing} AND {value} IS NULL", _quoted(text))
    for breach in breaches_of(field, value, _quoted(text) if field.type == "str" else f"left({text}, {_SHOWN})"):
        yield _one(part, breach.words, f"NOT {missing} AND {breach.condition}", breach.shown)


def _is_there(part: _Part, *, is_twin: bool) -> str:
    """Whether there is a model to look into: what is missing, or is none, has its own reason."""
    is_model = f" AND {_get(part.value, 'o')} IS NULL" if is_twin else ""
    return f"{part.value} IS NOT NULL{is_model}"


def _one(part: _Part, words: str, condition: str, shown: str | None = None) -> _Found:
    said = f"': ' || {shown} || {literal(' ' + words)}" if shown else literal(f": {words}")
    return _Found(part.path, words, f"CASE WHEN {condition} THEN [{part.where} || {said}] ELSE {_NOTHING} END")


def _get(value: str, part: str) -> str:
    return f"struct_extract({value}, {literal(part)})"


def _quoted(text: str) -> str:
    return f"'''' || left({text}, {_SHOWN}) || CASE WHEN length({text}) > {_SHOWN} THEN '…' ELSE '' END || ''''"
