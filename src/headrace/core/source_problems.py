"""What can be wrong with a source by what it declares: where it lies, what it takes, and which columns it speaks of.

Pure; the graph asks, before anything runs. The invariant: a problem says what, of which source, and what to write instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta

from headrace.core.errors import Problem
from headrace.core.interval import format_duration
from headrace.core.keys import unknown_columns
from headrace.core.redaction import public
from headrace.core.source_options import dataset_name_problem
from headrace.core.step import Source

__all__ = ["key_problems", "only_new_problems", "source_problems", "template_length"]

_MONTH = timedelta(days=28)  # the shortest
_FINEST = (
    ("SMfTRrXcs", timedelta(minutes=1)),
    ("HIklp", timedelta(hours=1)),
    ("djeDFxaAuw", timedelta(days=1)),
    ("UWV", timedelta(days=7)),
    ("mbBh", _MONTH),
)
_PERIODS = {_MONTH: "month", timedelta(days=365): "year"}


def source_problems(step: Source, pipeline: str) -> Iterator[Problem]:
    """What is wrong with a source of a pipeline by itself: where it lies."""
    location = step.options.location
    if step.options.is_dataset:
        problem = dataset_name_problem(location)
        if location.partition(".")[0] == pipeline:
            problem = f"it is of this pipeline: a step reads it by a parameter of that name, `{location.partition('.')[2]}`."
        if problem:
            yield Problem(f"source `{step.name}` is the dataset `{location}`: {problem}", step.where)
        return
    for field in re.findall(r"\{(\w+)", location):
        if field not in ("start", "end"):
            text = f"source `{step.name}`: `{{{field}}}` in `{public(location)}` is not known; a location has {{start:…}} and {{end:…}}."
            yield Problem(text, step.where)
    finest = template_length(location)
    if step.options.only_new and finest is not None:
        text = f"source `{step.name}`: only_new is for a location without a time, and `{public(location)}` has one: its files are told apart by that."
        yield Problem(f"{text} Leave one of the two out.", step.where)
        return
    if finest is not None and finest > step.grid.nominal:
        yield Problem(
            f"source `{step.name}`: `{public(location)}` names a file for every {_PERIODS.get(finest) or format_duration(finest)}, but the step runs every "
            f"{step.grid.label}, so each row would be read many times. {_coarser(finest, location)}",
            step.where,
        )


def only_new_problems(step: Source, start: datetime | None) -> Iterator[Problem]:
    if not step.options.only_new:
        return
    told = f"source `{step.name}` takes each file once (only_new), "
    if start is None:
        yield Problem(f'{told}so the pipeline needs a start=, where that begins: Pipeline(…, start="2026-01-01").', step.where)
    if step.contract is None:
        yield Problem(f"{told}so it needs a contract=: nobody knows the columns of an interval without a new file.", step.where)
    if step.wait is not None:
        yield Problem(f"{told}so there is nothing to wait for: what comes later is in the next interval. Leave wait= out.", step.where)


def key_problems(step: Source) -> Iterator[Problem]:
    columns = list(dict.fromkeys(column for key in step.unique for column in key.columns))
    if columns and step.options.is_dataset:
        text = f"source `{step.name}` takes the rows of `{step.options.location}` as they are, so unique= can't be told of it: tell it of that one's source"
        yield Problem(f"{text}, or take the rows that you want in a table of its own.", step.where)
    elif step.contract is not None:
        for text in unknown_columns(columns, step.contract):
            yield Problem(f"source `{step.name}`: unique names a column, and {text}", step.where)


def template_length(location: str) -> timedelta | None:
    """How much time one file of a location's template is about; None where it has no template or can't be told."""
    fields = re.findall(r"\{(?:start|end)(?::([^}]*))?\}", location)
    if not fields:
        return None
    codes = {c for field in fields for c in re.findall(r"%-?([A-Za-z])", field or "%Y-%m-%d")}
    return next((length for letters, length in _FINEST if codes & set(letters)), timedelta(days=365))


def _coarser(finest: timedelta, location: str) -> str:
    """The step to take for a location that is coarser than its grid. @weekly begins on Sundays, as a week of `%U` does; others begin on Mondays."""
    if finest > _MONTH:
        return "No step runs once a year: give it a finer location."
    week = "@weekly" if "%U" in location else "0 0 * * 1"
    every = "@monthly" if finest == _MONTH else week if finest == timedelta(days=7) else format_duration(finest)
    return f'Give it every="{every}", or a finer location.'
