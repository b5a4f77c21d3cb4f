"""Whose traceback is shown: that of the user's code, and not what a library answered to headrace."""

from __future__ import annotations

from typing import cast

import pytest

from headrace.core.access import size_of
from headrace.core.contract import Contract, ContractField, Validator
from headrace.core.errors import HeadraceError, LakeError, SourceError, StepError, TransientError
from headrace.core.interval import Interval
from headrace.steps.boundary import user_traceback
from headrace.steps.validating import bounded


def caused_by(kind: type[HeadraceError], *, is_theirs: bool) -> HeadraceError:
    """An error whose cause came up in a function of headrace's, called by one of headrace's or by one of the user's: this file."""
    with pytest.raises(AttributeError) as caught:
        size_of(cast(str, None))
    cause = caught.value
    trace = cause.__traceback__
    assert trace is not None
    error = kind("what happened, in words")
    error.__cause__ = cause if is_theirs else cause.with_traceback(trace.tb_next)
    return error


@pytest.mark.parametrize("kind", [LakeError, SourceError, TransientError])
def test_what_was_answered_to_headrace_about_a_lake_or_a_source_is_not_shown(kind: type[HeadraceError]) -> None:
    assert user_traceback(caused_by(kind, is_theirs=False)) == ""
    assert "AttributeError" in user_traceback(caused_by(kind, is_theirs=True))


def test_what_a_step_caused_is_shown_wherever_it_came_up() -> None:
    assert "AttributeError" in user_traceback(caused_by(StepError, is_theirs=False))


def test_what_a_validator_raises_is_its_answer_or_stops_the_step() -> None:
    def checked(value: str) -> object:
        return {"a": 1}[value] if value != "b" else int(value)

    fields = (ContractField("x", "x", "int", validators=(Validator("checked", "before", checked),)),)
    contract = bounded(Contract("C", fields), "sales", Interval.of("2026-11-20", "2026-11-21"))
    assert contract is not None
    (validator,) = contract.fields[0].validators
    assert validator.function("a") == 1
    with pytest.raises(ValueError, match="invalid literal"):
        validator.function("b")
    with pytest.raises(StepError, match=r"Step `sales` .*checked` raised KeyError: 'c' \(test_boundary.py:\d+\)") as caught:
        validator.function("c")
    assert "checked" in user_traceback(caught.value)
