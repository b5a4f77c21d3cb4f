"""What a contract's validators say of one value: functions of the user's, run over the distinct values of a column.

Pure but for those functions; who calls them, and over which values, is elsewhere. The invariant: what they return is kept only if it is a
value of the column's type, exactly; anything else stops the step, for it would be kept as what it is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from uuid import UUID

from headrace.core.contract import ContractField, FieldType, Stage, Value
from headrace.core.durations import microseconds
from headrace.core.errors import HeadraceError, SourceError

__all__ = ["Verdict", "stored_text", "verdict_of"]

_LONGEST = 200
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TAKEN: Mapping[FieldType, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "Decimal": (int, Decimal),
    "date": (date,),
    "datetime": (datetime,),
    "time": (time,),
    "timedelta": (timedelta,),
    "UUID": (UUID,),
}


@dataclass(frozen=True)
class Verdict:
    """What became of a value: `refused_by` is the number of the validator that refused it, and `message` what it said.

    Otherwise `value` is what they made of it: None if it is missing now. A `text` is one that is still to be cast.
    """

    refused_by: int | None = None
    message: str = ""
    value: Value = None
    is_text: bool = False


def verdict_of(field: ContractField, stage: Stage, value: object) -> Verdict:
    """Pass a value, which is a text before it is cast and the column's own after, through the validators of a stage.

    They refuse it by a ValueError or an AssertionError. SourceError where one returns what the column can't hold.
    """
    validators = [(n, validator) for n, validator in enumerate(field.validators) if validator.stage == stage]
    result = value if stage == "before" else _as_declared(field, value)
    for n, validator in validators if stage == "after" else reversed(validators):  # as pydantic does
        try:
            result = validator.function(result)
        except HeadraceError:
            raise
        except (ValueError, AssertionError) as error:
            return Verdict(n, _said(error))
        if result is None:
            return Verdict()
    if stage == "before" and isinstance(result, str) and not isinstance(result, Enum):
        return Verdict(value=str(result), is_text=True)
    return Verdict(value=_stored(field, value, result))


def stored_text(value: Value) -> str | None:
    """A stored value as a text that SQL casts to its type."""
    if value is None:
        return None
    if isinstance(value, timedelta):
        return str(microseconds(value))
    return value.isoformat() if isinstance(value, date | time) else str(value)


def _as_declared(field: ContractField, value: object) -> object:
    """A value as the model's own type has it: instants and durations come as microseconds, UUIDs and members of an Enum as what is stored."""
    if field.type == "datetime" and isinstance(value, int):
        return _EPOCH + timedelta(microseconds=value)
    if field.type == "timedelta" and isinstance(value, int):
        return timedelta(microseconds=value)
    if field.type == "UUID":
        return UUID(str(value))
    members = next((validator.members for validator in field.validators if validator.members), None)
    return members(value) if members and field.choices and value in field.choices else value


def _stored(field: ContractField, given: object, result: object) -> Value:
    plain: object = result.value if isinstance(result, Enum) else result
    is_taken = isinstance(plain, _TAKEN[field.type]) and (isinstance(plain, bool) == (field.type == "bool"))
    if field.type == "date" and isinstance(plain, datetime):
        is_taken = False
    if is_taken and isinstance(plain, int) and field.type == "int":
        is_taken = -(2**63) <= plain < 2**63
    if is_taken and isinstance(plain, int | Decimal) and field.type == "Decimal":
        is_taken = _fits(Decimal(plain), field)
    if not is_taken:
        raise SourceError(
            f"A validator of `{field.name}` returned {_shown(result)} ({type(result).__name__}) for {_shown(given)}, and the column is a "
            f"{field.type}. Return a {field.type}, or raise ValueError for a value that is wrong."
        )
    return _plain(plain)


def _plain(value: object) -> Value:
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    assert isinstance(value, bool | int | float | str | Decimal | date | time | timedelta)
    return value


def _fits(value: Decimal, field: ContractField) -> bool:
    """Whether a column's digits hold it exactly."""
    if not value.is_finite():
        return False
    exponent = int(value.normalize().as_tuple().exponent)
    return (-exponent <= field.scale and value.adjusted() + 1 + field.scale <= field.precision) or value == 0


def _said(error: Exception) -> str:
    text = str(error).strip().partition("\n")[0] or type(error).__name__
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
