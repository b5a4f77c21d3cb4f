"""Validators of a contract, called through the boundary at which all functions of the user's are called.

The invariant: what a validator raises other than its answer (ValueError, AssertionError) stops the step, with its traceback.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from headrace.core.contract import Contract
from headrace.core.interval import Interval
from headrace.steps.boundary import call_user

__all__ = ["bounded"]


def bounded(contract: Contract | None, step_name: str, interval: Interval) -> Contract | None:
    """The contract with its validators as calls through the boundary."""
    if contract is None or not any(field.validators for field in contract.fields):
        return contract

    def called(function: Callable[..., object]) -> Callable[[object], object]:
        return lambda value: call_user(step_name, interval, function, {}, positional=(value,), answers=(ValueError, AssertionError))

    fields = tuple(
        replace(field, validators=tuple(replace(one, function=called(one.function)) for one in field.validators))
        for field in contract.fields
    )
    return replace(contract, fields=fields)
