"""Casts of texts as they are usually written: a value that is cheap to get, and a proof, cheaper than a pattern, that it is right.

Whoever reads many rows takes the value where the proof holds, and the whole cast (`core.casts`) for the others alone. The invariant: where the
proof is true the value is not NULL and the one that the whole cast gives; where it is not, the whole cast may give any.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from headrace.core.casts import aware_sql, cast_sql
from headrace.core.contract import ContractField
from headrace.core.number_casts import usual_float, usual_int
from headrace.core.numbers import plain_number_sql
from headrace.core.ports import JSON
from headrace.core.usual_times import usual_time

__all__ = ["UsualCast", "usual_cast"]


class UsualCast(NamedTuple):
    """SQL of a value, and of whether it is proven, which may be NULL for no."""

    value: str
    proof: str


def usual_cast(text: str, cast: str, field: ContractField, options: Mapping[str, JSON]) -> UsualCast:
    """How the VARCHAR expression `text` becomes the field's type; `cast` is what the value is called where it is proven."""
    is_plain = plain_number_sql(text, options) == text
    if field.type == "int" and is_plain:
        return UsualCast(*usual_int(text, cast))
    if field.type == "float" and is_plain:
        return UsualCast(*usual_float(text, cast))
    if field.type == "datetime" and not isinstance(options.get("datetime_format"), str):
        naive, is_whole = usual_time(text)
        return UsualCast(aware_sql(naive, options), f"{is_whole} AND {cast} IS NOT NULL")
    is_number = f" AND NOT isnan({cast})" if field.type == "float" else ""
    return UsualCast(cast_sql(text, field, options), f"{cast} IS NOT NULL{is_number}")
