"""The validators of a pydantic model that a contract runs, and why it does not run the others.

The invariant: a validator is run as pydantic would, or it is refused when the model is read.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from enum import Enum
from typing import TYPE_CHECKING, Any, cast

from headrace.core.contract import Stage, Validator

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = ["is_validator", "read_validator", "validators_of"]

_KINDS = ("AfterValidator", "BeforeValidator", "PlainValidator", "WrapValidator")


def validators_of(model: type[BaseModel]) -> Iterator[tuple[tuple[str, ...], object]]:
    """The `field_validator`s of a model in their order, each with the fields that it is for (`*` is all), as Annotated would have it."""
    from pydantic import AfterValidator, BeforeValidator, PlainValidator, WrapValidator

    kinds: dict[str, type] = {"after": AfterValidator, "before": BeforeValidator, "plain": PlainValidator, "wrap": WrapValidator}
    for decorator in model.__pydantic_decorators__.field_validators.values():
        yield decorator.info.fields, kinds[decorator.info.mode](decorator.func)


def is_validator(item: object) -> bool:
    return type(item).__name__ in _KINDS


def read_validator(item: object, found: list[Validator], members: type[Enum] | None) -> Iterator[str]:
    """Add a validator to those found; yield why it can't be run."""
    kind = type(item).__name__
    function = cast(Callable[[object], object], cast(Any, item).func)
    name = getattr(function, "__qualname__", None) or type(function).__name__
    if kind not in ("AfterValidator", "BeforeValidator"):
        yield f"the {kind} `{name}` is not run: of validators those of the modes after and before are, on a value that the column's type takes."
    elif _takes_more(function):
        yield (
            f"the validator `{name}` takes `info`, which has the record's other fields. Validators are run over the distinct values of one column, "
            "without their records: let it take the value alone, or check it in a table."
        )
    else:
        stage: Stage = "after" if kind == "AfterValidator" else "before"
        found.append(Validator(str(name).rpartition(".<locals>.")[2], stage, function, members))


def _takes_more(function: Callable[..., object]) -> bool:
    """Whether pydantic would call it with a ValidationInfo too: by the count of its parameters that have to be given."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:
        return False
    return sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is p.empty for p in parameters) > 1
