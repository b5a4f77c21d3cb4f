"""What breaks a contract in rows that are typed already: those of a table that declares one.

The invariant: as in `core.checks`, a row breaks the contract if and only if one of the conditions is true of it.
"""

from __future__ import annotations

from headrace.core.checks import Breach, breaches_of, identifier
from headrace.core.contract import Contract
from headrace.core.durations import duration_text_sql
from headrace.core.nested_checks import nested_breaches

__all__ = ["typed_breaches"]


def typed_breaches(contract: Contract) -> tuple[Breach, ...]:
    """All that rows can break, over columns named as in the contract."""
    found: list[Breach] = []
    for field, column in zip(contract.fields, contract.schema, strict=True):
        value = identifier(field.name)
        if field.is_nested:
            found += nested_breaches(value, field, {}, of="rows")
            continue
        if not column.nullable:
            found.append(Breach(field.name, "missing", f"{value} IS NULL"))
        shown = duration_text_sql(value) if field.type == "timedelta" else f"CAST({value} AS VARCHAR)"
        found += breaches_of(field, value, f"'''' || {shown} || ''''" if field.type == "str" else shown)
    return tuple(found)
