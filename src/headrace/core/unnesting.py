"""One row for each element of an array: a contract of such rows as the contract of the records that they are in, and the way back in SQL.

Records are read, checked and counted by the contract of records, in which the array is a list of models. The invariant: each element of a kept
record is one row, and a record is kept whole or not at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from headrace.core.casts import literal
from headrace.core.checks import identifier
from headrace.core.contract import Contract, ContractField

__all__ = ["flat_sql", "is_inside", "of_records", "unnesting_problems"]


def is_inside(field: ContractField, path: str) -> bool:
    """Whether a field of a row is of the element, and not of the record around it."""
    return field.alias == path or field.alias.startswith(f"{path}.")


def of_records(contract: Contract, path: str) -> Contract:
    """The contract of the records whose elements at `path` are the rows that a contract is of."""
    outer = tuple(field for field in contract.fields if not is_inside(field, path))
    array = ContractField(_name_of(contract, path), path, "list", item=_element(contract, path))
    return replace(contract, fields=(*outer, array))


def flat_sql(contract: Contract, path: str, records: str) -> str:
    """SQL of the rows, from a relation of `records` that has the columns of their contract."""
    array, element = identifier(_name_of(contract, path)), "headrace_element"
    is_whole = _is_whole(contract, path)
    columns = [
        identifier(field.name)
        if not is_inside(field, path)
        else f"{element if is_whole else f'struct_extract({element}, {literal(field.name)})'} AS {identifier(field.name)}"
        for field in contract.fields
    ]
    return f"SELECT {', '.join(columns)} FROM (SELECT *, unnest({array}) AS {element} FROM {records})"


def unnesting_problems(contract: Contract | None, path: str) -> Iterator[str]:
    """Why rows can't be made of the elements at `path`."""
    if contract is None:
        yield "it needs a contract=, whose fields say what is of an element and what is of the record around it."
        return
    inner = [field for field in contract.fields if is_inside(field, path)]
    if not inner:
        yield f'no field of its contract is in an element. Say which are: Field(alias="{path}.…"), or Field(alias="{path}") for elements as a whole.'
    if len(inner) > 1 and any(field.alias == path for field in inner):
        yield f"its elements can't be taken as a whole (alias `{path}`) and by their fields (alias `{path}.…`) at once."
    checked = [f"`{field.name}`" for field in inner if field.validators]
    if checked:
        yield f"the validators of {', '.join(checked)} would run over what is in a list, and are not. Check it in a table."


def _element(contract: Contract, path: str) -> ContractField:
    inner = [field for field in contract.fields if is_inside(field, path)]
    if _is_whole(contract, path):
        return inner[0]
    return ContractField("", "", "model", inner=tuple(replace(field, alias=field.alias.removeprefix(f"{path}.")) for field in inner))


def _is_whole(contract: Contract, path: str) -> bool:
    """Whether an element is one column, a single value or a model, and not one for each of its fields."""
    return any(field.alias == path for field in contract.fields)


def _name_of(contract: Contract, path: str) -> str:
    """What the array is called among the columns of records: as in the file, if no column is called so."""
    taken = {field.name.casefold() for field in contract.fields if not is_inside(field, path)}
    name = path
    while name.casefold() in taken:
        name += "[]"
    return name
