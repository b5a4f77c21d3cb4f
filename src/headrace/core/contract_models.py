"""Contracts as pydantic models state them: the columns, types and constraints that are read from a model.

Pydantic is imported only when a model is read. The invariant: what a contract says is checked to the letter, so a constraint of the model that
would not be checked is refused here, never ignored.
"""

from __future__ import annotations

import enum
import re
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin
from uuid import UUID

from headrace.core.contract import Contract, ContractField, FieldType, Validator, ValueType
from headrace.core.contract_validators import is_validator, read_validator, validators_of
from headrace.core.errors import PipelineError, Problem, Where

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

__all__ = ["contract_of"]

_TYPES: Mapping[object, ValueType] = {
    str: "str",
    int: "int",
    float: "float",
    bool: "bool",
    Decimal: "Decimal",
    date: "date",
    datetime: "datetime",
    time: "time",
    timedelta: "timedelta",
    UUID: "UUID",
}
_SUPPORTED = "Supported: list, models, str, int, float, bool, Decimal, date, datetime, time, timedelta, UUID, Literal or Enum of texts, of whole numbers or of truth values, each also `| None`"
_NO_VALIDATORS = "validators are run over whole columns of single values: not over lists, models and what is in them."
_CONSTRAINTS = ("ge", "gt", "le", "lt", "multiple_of", "min_length", "max_length", "pattern", "max_digits", "decimal_places")


def contract_of(model: type[BaseModel], *, where: Where | None = None) -> Contract:
    """The contract that a pydantic model states.

    Raises PipelineError listing each field whose type or constraint is not supported.

    >>> from pydantic import BaseModel, Field
    >>> class Purchase(BaseModel):
    ...     unit_price: float = Field(alias="UnitPrice", ge=0)
    >>> contract_of(Purchase).fields[0].alias
    'UnitPrice'
    """
    from pydantic import BaseModel

    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        raise PipelineError([Problem(f"contract= takes a pydantic model (a subclass of BaseModel), got {model!r}.", where)])
    found, problems = _read_model(model, ())
    if problems:
        raise PipelineError([Problem(text, where) for text in problems])
    return Contract(model.__name__, tuple(found), forbids_others=model.model_config.get("extra") == "forbid")


def _read_model(model: type[BaseModel], around: tuple[type, ...]) -> tuple[list[ContractField], list[str]]:
    """The fields of a model, which is in those that are `around` it, and what is wrong with it."""
    found: list[ContractField] = []
    problems = list(_model_problems(model))
    validators = list(validators_of(model))
    for name, info in model.model_fields.items():
        read = _read_field(name, info, [one for fields, one in validators if name in fields or "*" in fields], (*around, model))
        if isinstance(read, ContractField):
            found.append(read)
        else:
            problems += [f"`{model.__name__}.{name}`: {text}" for text in read]
    folded = [name.casefold() for name in model.model_fields]
    problems += [
        f"`{model.__name__}.{name}`: another field differs from it only in case, and SQL does not tell them apart."
        for name in model.model_fields
        if folded.count(name.casefold()) > 1
    ]
    if not model.model_fields:
        problems.append(f"`{model.__name__}` declares no fields, so it says nothing of any column.")
    if around and model.model_config.get("extra") == "forbid":
        problems.append(
            f"`{model.__name__}` has extra='forbid', which is for the columns of a file; what else an object inside has is left out."
        )
    if around:
        problems += [f"`{model.__name__}.{one.name}`: {_NO_VALIDATORS}" for one in found if one.validators]
    return found, problems


def _model_problems(model: type[BaseModel]) -> Iterator[str]:
    decorators = model.__pydantic_decorators__
    for kind in (decorators.root_validators, decorators.model_validators):
        for name in kind:
            yield (
                f"`{model.__name__}.{name}` is a validator of whole records. Contracts are checked a column at a time, over the distinct values of each, "
                "and would not run it: make it a field_validator of one column, or check it in a table."
            )
    for name in decorators.validators:
        yield f"`{model.__name__}.{name}` is a validator of pydantic 1. Write it as a field_validator."
    if model.model_config.get("extra") == "allow":
        yield f"`{model.__name__}` has extra='allow', but columns that a contract does not declare are kept out. Declare them, or leave extra alone."
    for key in ("strict", "str_strip_whitespace", "str_to_lower", "str_to_upper", "str_min_length", "str_max_length"):
        if model.model_config.get(key):
            yield f"`{model.__name__}` sets {key} in its model_config, which contracts do not follow. Say it on the fields, or in a table."


def _read_field(name: str, info: FieldInfo, more: Sequence[object], around: tuple[type, ...]) -> ContractField | list[str]:
    """The field, or what is wrong with it."""
    read = _read_type(info.annotation, info.metadata, more, around)
    problems = [*read] if isinstance(read, list) else []
    makes_empty = info.default_factory is list and isinstance(read, ContractField) and read.item is not None
    if info.default_factory is not None and not makes_empty:
        problems.append("default_factory is not supported, but for list: a default has to be a value, equal for every record.")
    alias = name if info.validation_alias is None else info.validation_alias
    if not isinstance(alias, str):
        problems.append(f"{type(alias).__name__} is not supported as an alias. Give the one name that the column has in the file.")
    default = None if info.is_required() else () if makes_empty else _plain(info.get_default())
    if isinstance(read, ContractField) and read.is_nested and default not in (None, (), []):
        problems.append("the default of a list is None or an empty one, and of a model None.")
    if isinstance(read, list) or problems:
        return problems
    default = () if default == [] else default
    return replace(read, name=name, alias=str(alias), has_default=not info.is_required(), default=default)


def _read_type(
    annotation: object, metadata: Sequence[object], more: Sequence[object], around: tuple[type, ...]
) -> ContractField | list[str]:
    """A field without a name for a type and what is said of it, or what is wrong with them. `more` are validators of the model."""
    kind, nullable, said_inside = _unwrap(annotation)
    nested = _read_nested(kind, around)
    if isinstance(nested, list):
        return nested
    choices = _choices(kind)
    value_type = nested.type if nested else _TYPES.get(type(choices[0]) if choices else kind)
    if value_type is None:
        return [f"{_type_name(annotation)} is not supported. {_SUPPORTED}."]
    problems: list[str] = []
    said: dict[str, Any] = {}
    validators: list[Validator] = []
    is_last: list[bool] = []
    members = kind if isinstance(kind, type) and issubclass(kind, enum.Enum) else None
    for item in [*_flatten([*said_inside, *metadata]), *more]:
        if is_validator(item):
            problems += read_validator(item, validators, members)
        else:
            is_last.append(any(validator.stage == "after" for validator in validators))
            problems += _read_constraint(item, said)
    if len(set(is_last)) > 1:
        problems.append("it has constraints before a validator and after it. Say them all before it, or all after it.")
    if nested and validators:
        problems.append(_NO_VALIDATORS)
    problems += _misplaced(value_type, said)
    if problems:
        return problems
    read = nested or ContractField("", "", value_type, choices=choices, validators=tuple(validators), bounds_last=any(is_last))
    return replace(read, nullable=nullable, **{key: _plain(value) for key, value in said.items()})


def _read_nested(kind: object, around: tuple[type, ...]) -> ContractField | list[str] | None:
    """The field of a list or a model, or what is wrong with what is in it; None for any other type."""
    from pydantic import BaseModel

    if get_origin(kind) is list:
        item = _read_type(get_args(kind)[0], (), (), around)
        if isinstance(item, list):
            return [f"in its list, {text}" for text in item]
        return ["in its list, " + _NO_VALIDATORS] if item.validators else ContractField("", "", "list", item=item)
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return None
    if kind in around:
        return [f"`{kind.__name__}` is inside itself, and a column has as many levels in every record."]
    inner, problems = _read_model(kind, around)
    return [f"in its model, {text}" for text in problems] or ContractField("", "", "model", inner=tuple(inner))


def _misplaced(value_type: FieldType, said: Mapping[str, object]) -> Iterator[str]:
    """What is said of a type that it can't be said of."""
    if "multiple_of" in said and value_type not in ("int", "float", "Decimal"):
        yield f"multiple_of is for numbers, and the column is a {value_type}."
    if value_type in ("str", "bool", "UUID", "list", "model") and any(key in said for key in ("ge", "gt", "le", "lt")):
        yield f"ge, gt, le and lt are for numbers and times, and the column is a {value_type}."
    if value_type == "list" and "pattern" in said:
        yield "pattern is for texts, and the column is a list."
    if value_type not in ("str", "list") and any(key in said for key in ("min_length", "max_length", "pattern")):
        yield f"min_length, max_length and pattern are for texts (and lengths for lists), and the column is a {value_type}."
    if ("max_digits" in said and "decimal_places" not in said) or _is_above(said.get("max_digits"), 38):
        yield ("max_digits needs decimal_places beside it, and is 38 at most: the column is a DECIMAL(max_digits, decimal_places).")


def _is_above(value: object, most: int) -> bool:
    return isinstance(value, int) and value > most


def _unwrap(annotation: object) -> tuple[object, bool, list[object]]:
    """A type without its `| None` and its Annotated, whether None was allowed, and what Annotated said."""
    said: list[object] = []
    nullable = False
    while True:
        origin = get_origin(annotation)
        if origin is Annotated:
            annotation, *more = get_args(annotation)
            said += more
        elif origin in (Union, types.UnionType) and type(None) in get_args(annotation) and len(get_args(annotation)) == 2:
            nullable = True
            annotation = next(a for a in get_args(annotation) if a is not type(None))
        else:
            return annotation, nullable, said


def _choices(kind: object) -> tuple[str, ...] | tuple[int, ...] | None:
    """The values of a Literal or an Enum of texts, of whole numbers or of truth values; None for any other type."""
    if get_origin(kind) is Literal:
        values = tuple(map(_plain, get_args(kind)))
    elif isinstance(kind, type) and issubclass(kind, enum.Enum):
        values = tuple(member.value for member in kind)
    else:
        return None
    return tuple(values) if any(values and all(type(v) is one for v in values) for one in (str, int, bool)) else None


def _flatten(items: Iterable[object]) -> Iterator[object]:
    """Constraints one by one: pydantic and annotated_types also have groups of them, which are iterable."""
    for item in items:
        if type(item).__name__ in ("Interval", "Len", "StringConstraints") and isinstance(item, Iterable):
            yield from _flatten(item)
        elif type(item).__name__ == "FieldInfo":
            yield from _flatten(getattr(item, "metadata", ()))
        else:
            yield item


def _read_constraint(item: object, said: dict[str, Any]) -> Iterator[str]:
    """Add what one piece of pydantic's metadata says to `said`; yield what would not be checked."""
    if hasattr(item, "__dict__"):
        stated = dict(vars(item))
    else:
        stated = {key: getattr(item, key) for key in getattr(item, "__slots__", ()) if hasattr(item, key)}
    if not stated:
        yield f"{item!r} is not supported: it would not be checked."
    for key, value in stated.items():
        if value is None or (value is False and key != "allow_inf_nan"):
            continue
        if key == "allow_inf_nan":
            said["is_finite"] = value is False
        elif key == "pattern" and isinstance(value, re.Pattern):
            said[key] = value.pattern
            if value.flags & ~re.UNICODE:
                yield "flags of a compiled pattern are not supported. Write them inside the pattern, such as (?i)."
        elif key in _CONSTRAINTS:
            said[key] = value
        else:
            yield f"the constraint {key}={value!r} is not supported. Supported: {', '.join(_CONSTRAINTS)}, allow_inf_nan."


def _plain(value: Any) -> Any:
    """Enums and UUIDs as their texts, and naive times as UTC."""
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    return value


def _type_name(annotation: object) -> str:
    return annotation.__name__ if isinstance(annotation, type) and not get_args(annotation) else str(annotation).replace("typing.", "")
