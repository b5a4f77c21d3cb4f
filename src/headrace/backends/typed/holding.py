"""Records of a typed file that hold a key: what a column has is compared as a text, and as a number where it is one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from headrace.backends.texts.holding import holding
from headrace.backends.typed.reading import OpenedTyped, TypedFile
from headrace.core.casts import cast_sql
from headrace.core.contract import Contract, ContractField
from headrace.core.forgetting import Forgotten
from headrace.core.ports import JSON, Landed
from headrace.core.records import Record
from headrace.core.typed_casts import Kind, text_sql

__all__ = ["typed_holding"]

_NUMBERS: tuple[Kind, ...] = ("whole", "real", "exact")
_NONE = "CAST(NULL AS VARCHAR)"


def typed_holding(
    file: TypedFile, landed: Landed, *, contract: Contract | None, options: Mapping[str, JSON], forgotten: Forgotten
) -> Iterator[Record]:
    """See `headrace.core.forgetting.ErasableFormat`."""
    opened = OpenedTyped(landed, file, options)

    def value_sql(value: str, position: int, field: ContractField | None) -> tuple[str, str]:
        kind = opened.columns[position].kind
        if kind == "nothing":
            return _NONE, _NONE
        text = text_sql(value, kind)
        if kind in _NUMBERS:
            return text, text
        is_number = kind == "text" and field is not None and field.type in ("int", "float", "Decimal")
        return text, f"CAST({cast_sql(value, field, options)} AS VARCHAR)" if field and is_number else _NONE

    return holding(opened, forgotten, contract=contract, options=options, value_sql=value_sql)
