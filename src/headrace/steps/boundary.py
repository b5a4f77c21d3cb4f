"""The one boundary at which a user's function is called.

Whatever the function raises becomes a StepError that carries it as its cause, with the user's traceback; headrace's own
errors pass. The invariant: no other place of this floor calls a user's function.
"""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from headrace.core.errors import DataError, HeadraceError, LakeError, SourceError, StepError, TransientError
from headrace.core.interval import Interval

__all__ = ["call_user", "user_traceback"]

_OWN = str(Path(__file__).parents[1])


def call_user(
    step_name: str,
    interval: Interval,
    function: Callable[..., object],
    arguments: Mapping[str, object],
    *,
    positional: Sequence[object] = (),
    answers: tuple[type[Exception], ...] = (),
) -> object:
    """What `function(*positional, **arguments)` returns, or raises of the kinds that are `answers`.

    Raises StepError when it raises (a Polars panic, which is no Exception, too), and DataError when it is a coroutine or a
    generator: their bodies would run outside of this boundary.
    """
    passing: tuple[type[BaseException], ...] = (HeadraceError, KeyboardInterrupt, SystemExit, *answers)
    try:
        result = function(*positional, **arguments)
    except passing:
        raise
    except BaseException as error:
        raise StepError(_told(step_name, interval, function, error)) from error
    if inspect.iscoroutine(result):
        result.close()
        raise DataError(_refused(step_name, interval, function, "is `async` and returned a coroutine", "Write it as a plain `def`."))
    if inspect.isgenerator(result) or inspect.isasyncgen(result):
        hint = "Return a list of rows in place of `yield`."
        raise DataError(_refused(step_name, interval, function, "has a `yield` and returned a generator", hint))
    return result


def user_traceback(error: BaseException) -> str:
    """The traceback of what a user's code raised, without headrace's own frames above it; empty for an error that is headrace's own.

    So it is for what a library answered to headrace alone about a lake or a source: the message says it, and an answer of a server may
    hold what nobody should see, such as the access key.
    """
    theirs = error.__cause__ if isinstance(error, HeadraceError) else error
    if theirs is None or isinstance(theirs, HeadraceError):
        return ""
    trace = theirs.__traceback__
    while trace is not None and trace.tb_next is not None and _OWN in trace.tb_frame.f_code.co_filename:
        trace = trace.tb_next
    if isinstance(error, LakeError | SourceError | TransientError) and trace is not None and _OWN in trace.tb_frame.f_code.co_filename:
        return ""
    return "".join(traceback.format_exception(type(theirs), theirs, trace)).rstrip()


def _told(step_name: str, interval: Interval, function: Callable[..., object], error: BaseException) -> str:
    said = str(error).strip().partition("\n")[0]
    what = f"{type(error).__name__}: {said}" if said else type(error).__name__
    return f"Step `{step_name}` {interval}: `{_name(function)}` raised {what}{_place(function, error)}"


def _refused(step_name: str, interval: Interval, function: Callable[..., object], found: str, hint: str) -> str:
    return f"Step `{step_name}` {interval}: `{_name(function)}` {found}. {hint}"


def _name(function: Callable[..., object]) -> str:
    return getattr(function, "__qualname__", None) or repr(function)


def _place(function: Callable[..., object], error: BaseException) -> str:
    """Where in the function's own file the error passed last."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if code and frame.filename == code.co_filename]
    return f" ({Path(own[-1].filename).name}:{own[-1].lineno})" if own else ""
