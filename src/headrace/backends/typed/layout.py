"""How the typed columns of one file become the columns of a contract, as SQL: beside `texts.layout`, whose words it uses.

Pure: columns in, SQL out. The invariant: a value is in the rows only if none of its breaches is true.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from headrace.backends.texts.layout import Layout, find_columns, with_validators
from headrace.backends.typed.columns import TypedColumn
from headrace.core.casts import failure_words
from headrace.core.checks import Breach, breaches_of, literal_of
from headrace.core.contract import Contract, ContractField
from headrace.core.errors import SourceError
from headrace.core.nested_casts import Form, finish_sql, pair_sql, raw_type
from headrace.core.nested_checks import nested_breaches
from headrace.core.ports import JSON
from headrace.core.typed_casts import Kind, missing_sql, shown_sql, text_of_sql, typed_cast_sql

__all__ = ["TypedLayout", "lay_out_typed"]

_SHOWN = 60


@dataclass(frozen=True)
class TypedLayout(Layout):
    """A layout over columns `t0`, `t1`, … of any types: `missing` says of each field when it has no value."""

    missing: tuple[str, ...]
    texts: Mapping[int, str]
    of_texts: frozenset[int]
    nested: frozenset[int]

    @property
    def shaped(self) -> tuple[int, ...]:
        return tuple(n for n in super().shaped if n in self.of_texts)

    @property
    def _as_texts_sql(self) -> str:
        replaced = ", ".join(f"{text} AS t{n}" for n, text in self.texts.items())
        return f" REPLACE ({replaced})" if replaced else ""

    @property
    def finished_sql(self) -> tuple[str, ...]:
        """The values with their defaults, in the contract's order."""
        return tuple(
            finish_sql(f"v{n}", field)
            if field.is_nested
            else f"CASE WHEN {missing} THEN {literal_of(field.default, field.sql_type)} ELSE v{n} END"
            for n, (field, missing) in enumerate(zip(self.contract.fields, self.missing, strict=True))
        )


def lay_out_typed(columns: Sequence[TypedColumn], contract: Contract, options: Mapping[str, JSON], *, file: str) -> TypedLayout:
    """Match a file's columns with a contract. Raises SourceError naming each column that the file lacks."""
    names = tuple(column.name for column in columns)
    positions = find_columns(names, contract, file=file)
    undeclared = _undeclared(columns, contract)
    if undeclared and contract.forbids_others:
        raise SourceError(f"`{file}` has columns that the contract `{contract.name}` forbids (extra='forbid'): {', '.join(undeclared)}.")
    placed = [None if position is None else columns[position] for position in positions]
    values: list[str] = []
    missing: list[str] = []
    breaches: list[Breach] = []
    texts: dict[int, str] = {}
    for n, (field, column) in enumerate(zip(contract.fields, placed, strict=True)):
        value, kind = f"t{n}", column.kind if column else "nothing"
        if column and kind != "text" and field.has_stage("before"):
            texts[n], kind = text_of_sql(value, kind), "text"
        if field.is_nested:
            values.append(_pair(n, field, column, options, file))
            missing.append(f"{value} IS NULL")
            breaches += nested_breaches(f"v{n}", field, options) if column else ()
            continue
        values.append(typed_cast_sql(value, kind, field, options, scale=column.scale if column else 0))
        missing.append(missing_sql(value, f"v{n}", kind, field))
        if column:
            breaches += _breaches(n, kind, field, options)
    of_texts = frozenset(n for n, column in enumerate(placed) if column and column.kind == "text")
    nested = frozenset(n for n, column in enumerate(placed) if column and column.kind == "nested")
    return TypedLayout(names, contract, positions, undeclared, tuple(values), tuple(breaches), tuple(missing), texts, of_texts, nested)


def _pair(n: int, field: ContractField, column: TypedColumn | None, options: Mapping[str, JSON], file: str) -> str:
    """The twin of a list or a model, from the file's own or from a text of JSON."""
    if column is None:
        return pair_sql(f"CAST(NULL AS {raw_type(field)})", field, None, options)
    if column.kind == "text":
        return pair_sql(f"s{n}", field, None, options)
    lacking = list(_lacking(field, column.form, field.alias))
    if lacking:
        raise SourceError(
            f"Every record of `{file}` lacks {', '.join(f'`{path}`' for path in lacking)}, which the contract asks for. "
            "Say the name in the file with Field(alias=…), or give the field a default."
        )
    return pair_sql(f"t{n}", field, column.form, options)


def _lacking(field: ContractField, form: Form, path: str) -> Iterator[str]:
    """The paths that a contract asks for inside a value and that no value of this form has."""
    if field.item and form.item:
        yield from _lacking(field.item, form.item, f"{path}[]")
    if field.inner and form.inner is not None:
        forms = dict(form.inner)
        for one in field.inner:
            if one.alias in forms:
                yield from _lacking(one, forms[one.alias], f"{path}.{one.alias}")
            elif not one.has_default:
                yield f"{path}.{one.alias}"


def _undeclared(columns: Sequence[TypedColumn], contract: Contract) -> tuple[str, ...]:
    """The columns of which the contract declares nothing, not even a field inside."""
    declared = {field.alias for field in contract.fields}
    used = {column.parent or column.name for column in columns if column.name in declared}
    return tuple(column.name for column in columns if column.parent is None and column.name not in used)


def _breaches(n: int, kind: Kind, field: ContractField, options: Mapping[str, JSON]) -> Iterator[Breach]:
    value, missing = f"t{n}", missing_sql(f"t{n}", f"v{n}", kind, field)
    text = shown_sql(value, kind)
    cut = f"left({text}, {_SHOWN})"
    quoted = f"'''' || {cut} || CASE WHEN length({text}) > {_SHOWN} THEN '…' ELSE '' END || ''''"
    found: list[Breach] = []
    if not field.nullable and not field.has_default:
        found.append(Breach(field.name, "missing", missing))
    if field.type != "str" or kind == "bytes":
        told = options if kind == "text" else {}
        found.append(Breach(field.name, failure_words(field, told), f"NOT {missing} AND v{n} IS NULL", quoted))
    bounds = breaches_of(field, f"v{n}", quoted if field.type == "str" else cut)
    found += (replace(breach, condition=f"NOT {missing} AND {breach.condition}") for breach in bounds)
    yield from with_validators(n, field, found, quoted)
