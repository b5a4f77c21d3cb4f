"""Every error that headrace raises on purpose.

    HeadraceError
    ├── ConfigurationError (ValueError)      headrace.toml, HEADRACE_* variables, the command line
    │   └── MissingLibraryError (ImportError)    an extra is not installed
    ├── PipelineError (ValueError)           the file or its graph: carries every problem that was found
    ├── UnknownNameError (LookupError)       a step, dataset, part, interval or version that is not there
    ├── NotReadyError (LookupError)          an input that has not been made yet
    ├── SourceError (ValueError)             a raw file that is missing, or not what it claims to be
    │   ├── ColumnsChangedError              columns that are not those that are recorded of a source without contract
    │   └── TooManyRejectedError             more rows quarantined than the step allows
    ├── DataError (ValueError)               rows that a table or a model cannot work with
    ├── StepError (RuntimeError)             the user's own code raised; the cause is chained
    ├── StepTimeoutError (TimeoutError)      a step ran longer than its `timeout`
    ├── ModelError (ValueError)              a model that cannot be fitted, written, read or trusted
    │   └── ClosedQuestionError                  an answer about a challenger that nobody is asked about any more
    ├── LakeError (OSError)                  the lake can't be used as it is
    │   ├── DamageError                      bytes that differ from what their manifest says
    │   └── NewerFormatError                 written by a newer headrace
    ├── LostRaceError (RuntimeError)         transient: another writer won, again and again
    └── TransientError (RuntimeError)        transient: trying again may help

The place that raises decides with `is_transient` whether trying again can help; the executor only asks. A message
answers, in order: what was attempted, on what, what was found against what was expected, what to do next.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "ClosedQuestionError",
    "ColumnsChangedError",
    "ConfigurationError",
    "DamageError",
    "DataError",
    "HeadraceError",
    "LakeError",
    "LostRaceError",
    "MissingLibraryError",
    "ModelError",
    "NewerFormatError",
    "NotReadyError",
    "PipelineError",
    "Problem",
    "SourceError",
    "StepError",
    "StepTimeoutError",
    "TooManyRejectedError",
    "TransientError",
    "UnknownNameError",
    "Where",
    "did_you_mean",
    "is_transient",
    "nearest_name",
]


class HeadraceError(Exception):
    """The root of all errors that headrace raises on purpose; `except HeadraceError` catches them all."""

    is_transient: bool = False


class ConfigurationError(HeadraceError, ValueError):
    """A setting that is missing, unknown or malformed."""


class MissingLibraryError(ConfigurationError, ImportError):
    """A flavour was asked for whose library is not installed; the message says what to install."""


@dataclass(frozen=True, order=True)
class Where:
    """A place in the user's code."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{Path(self.file).name}:{self.line}"


@dataclass(frozen=True)
class Problem:
    """One thing that the user can fix, and where."""

    message: str
    where: Where | None = None

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


class PipelineError(HeadraceError, ValueError):
    """The pipeline file or its graph is wrong; `problems` lists all that was found, in file order."""

    def __init__(self, problems: Sequence[Problem] | str) -> None:
        listed = [Problem(problems)] if isinstance(problems, str) else list(problems)
        self.problems: tuple[Problem, ...] = tuple(listed)
        lines = [f"{len(listed)} problems in the pipeline:", *(f"  {p}" for p in listed)]
        text = str(listed[0]) if len(listed) == 1 else "\n".join(lines)
        super().__init__(text)


class UnknownNameError(HeadraceError, LookupError):
    """A step, dataset, part, interval or version that is not there."""


class NotReadyError(HeadraceError, LookupError):
    """An input that has not been made yet."""


class SourceError(HeadraceError, ValueError):
    """A raw file that is missing, or that is not what it claims to be. Nothing of it was committed as data."""


class ColumnsChangedError(SourceError):
    """The columns of a source without contract are not those that are recorded of it, and nobody has accepted that yet."""


class TooManyRejectedError(SourceError):
    """More rows broke the contract than the source's `max_rejected` allows."""


class DataError(HeadraceError, ValueError):
    """Rows or columns that a step cannot work with: a missing column, a single class, too few rows to split."""


class StepError(HeadraceError, RuntimeError):
    """The user's own function raised. `__cause__` is what it raised, with its traceback."""


class StepTimeoutError(HeadraceError, TimeoutError):
    """A step ran longer than its `timeout`."""


class ModelError(HeadraceError, ValueError):
    """A model that cannot be fitted, written, read or trusted."""


class ClosedQuestionError(ModelError):
    """An answer to a question about a challenger that is not open: superseded, answered, or settled otherwise."""


class LakeError(HeadraceError, OSError):
    """The lake cannot be used as it is."""


class DamageError(LakeError):
    """Bytes in the lake differ from what their manifest says. Never retried, never worked around."""


class NewerFormatError(LakeError):
    """The lake, or an entry of it, was written by a newer headrace than this one."""


class TransientError(HeadraceError, RuntimeError):
    """Something that may go away by itself: the executor tries again, with backoff."""

    is_transient = True


class LostRaceError(TransientError):
    """Other writers won every try at one slot."""


def is_transient(error: BaseException) -> bool:
    """Whether trying again can help. Errors that are not headrace's own count only if they are time-outs or resets of a connection."""
    if isinstance(error, StepError) and error.__cause__ is not None:
        return is_transient(error.__cause__)
    if isinstance(error, HeadraceError):
        return error.is_transient
    return isinstance(error, ConnectionError | TimeoutError)


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """The known name that is so near that the other was probably meant to be it; None when none is.

    >>> nearest_name("trip", ["trips", "zones"])
    'trips'
    """
    near = difflib.get_close_matches(name, sorted(set(known)), n=1, cutoff=0.6)
    return near[0] if near else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A sentence naming the nearest known name, else the list of them; empty when nothing is known.

    >>> did_you_mean("trip", ["trips", "zones"])
    'Did you mean `trips`?'
    >>> did_you_mean("x", ["trips", "zones"])
    'Known: trips, zones.'
    """
    names = sorted(set(known))
    near = nearest_name(name, names)
    if near:
        return f"Did you mean `{near}`?"
    if not names:
        return ""
    shown = ", ".join(names[:12]) + (f", … ({len(names)} in all)" if len(names) > 12 else "")
    return f"Known: {shown}."
