"""Whose traceback is shown: that of the user's code, and not what a library answered to headrace."""

from __future__ import annotations

from typing import cast

import pytest

from headrace.core.access import size_of
from headrace.core.errors import HeadraceError, LakeError, SourceError, StepError, TransientError
from headrace.steps.boundary import user_traceback


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
