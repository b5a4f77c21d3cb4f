"""What can be wrong with a source by what it declares: where it lies, what it takes, and which columns it speaks of.

Pure; the graph asks, before anything runs. The invariant: a problem says what, of which source, and what to write instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from headrace.core.errors import Problem, did_you_mean
from headrace.core.interval import format_duration
from headrace.core.keys import Reference, are_comparable, unknown_columns
from headrace.core.redaction import public
from headrace.core.source_options import dataset_name_problem
from headrace.core.step import Predictions, Source, Step, Table
from headrace.core.unnesting import unnesting_problems

__all__ = ["key_problems", "only_new_problems", "source_problems", "template_length"]

_ROWS = (Source, Table, Predictions)
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
    unnest = step.options.options.get("unnest")
    if isinstance(unnest, str):
        problems = [*unnesting_problems(step.contract, unnest)]
        if step.unique or step.references:
            problems.append("unique= and references= are of records, and its rows are parts of them. Make such rows in a table.")
        yield from (Problem(f"source `{step.name}` is unnested by `{unnest}`: {text}", step.where) for text in problems)
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


def key_problems(step: Source, known: Mapping[str, Step], start: datetime | None, pipeline: str) -> Iterator[Problem]:
    """What is wrong with its keys, and with what its columns refer to."""
    told = "unique" if step.unique else "references"
    if step.options.is_dataset and (step.unique or step.references):
        text = f"source `{step.name}` takes the rows of `{step.options.location}` as they are, so {told}= can't be told of it: tell it of that one's source"
        yield Problem(f"{text}, or take the rows that you want in a table of its own.", step.where)
        return
    if step.has_memory:
        yield from _memory_problems(step, start)
    columns = dict.fromkeys(column for key in step.unique for column in key.columns)
    for what, named in (("unique", columns), ("references", dict.fromkeys(one.column for one in step.references))):
        for text in unknown_columns(list(named), step.contract) if step.contract else ():
            yield Problem(f"source `{step.name}`: {what} names a column, and {text}", step.where)
    reaches = {(read.dataset, read.reach) for read in step.inputs}
    if len(reaches) > len({dataset for dataset, _ in reaches}):
        yield Problem(
            f"source `{step.name}` refers to one dataset with two lengths of history. Give all of its references to it the longer one.",
            step.where,
        )
    for reference, read in zip(step.references, step.inputs, strict=True):
        for text in _reference_problems(step, reference, known, pipeline):
            yield Problem(f"source `{step.name}`: `{reference.column}` refers to `{reference.dataset}`, {text}", step.where)
        data = known.get(read.dataset)
        if read.reach and start is None:
            yield Problem(
                f'source `{step.name}` refers to history, so the pipeline needs a start=: Pipeline(…, start="2026-01-01").', step.where
            )
        elif read.reach and data is not None and read.reach[0] - read.reach[1] < data.grid.nominal:
            asked = format_duration(read.reach[0] - read.reach[1])
            text = f"source `{step.name}` refers to {asked} of history of `{read.dataset}`, which has one interval every {data.grid.label}"
            yield Problem(f"{text}: none would ever fit in. Make it longer, or leave it out.", step.where)


def _memory_problems(step: Source, start: datetime | None) -> Iterator[Problem]:
    """What is wrong with keys over history."""
    told = f"source `{step.name}` has a key that is unique over history, "
    if start is None:
        yield Problem(f'{told}so the pipeline needs a start=, where that begins: Pipeline(…, start="2026-01-01").', step.where)
    if not (step.options.is_by_interval or step.options.only_new):
        text = f"{told}and reads the same files in every interval, so all of their keys would have been there before. Say the interval in its location ({{start:%Y-%m-%d}})"
        yield Problem(f"{text}, or take each file once (only_new=True), or leave over= out.", step.where)


def _too_many_names(reference: Reference, known: Mapping[str, Step], pipeline: str) -> str:
    """What to write instead of names that go on after a dataset's, as those of a column in SQL do."""
    owner, _, rest = reference.dataset.partition(".")
    if owner in known:
        return f"and a dataset's column is named apart: hr.references({owner!r}, {rest!r})."
    dataset, _, column = rest.partition(".")
    if "." in column:
        return "and a dataset's full name has two parts, as in 'shop.customers'."
    taken = f"{dataset} = {pipeline}.source({dataset!r}, hr.dataset({f'{owner}.{dataset}'!r}))"
    return (
        "and a dataset's full name has two parts; its column is named apart. Take the dataset first, and refer to that: "
        f"{taken}, and references={{{reference.column!r}: hr.references({dataset}, {column!r})}}."
    )


def _reference_problems(step: Source, reference: Reference, known: Mapping[str, Step], pipeline: str) -> Iterator[str]:
    data = known.get(reference.dataset)
    owner, _, dataset = reference.dataset.partition(".")
    if data is None and dataset and (owner in known or "." in dataset):
        yield _too_many_names(reference, known, pipeline)
    elif data is None and dataset:
        yield f"which is another pipeline's. Take it first, and refer to that: {dataset} = {pipeline}.source({dataset!r}, hr.dataset({reference.dataset!r}))."
    elif data is None:
        yield f"but no step or source makes it. {did_you_mean(reference.dataset, [n for n, s in known.items() if isinstance(s, _ROWS)])}"
    elif data.name == step.name:
        yield "which is itself: a source refers to what is made before it. Look for such rows in a table."
    elif not isinstance(data, _ROWS):
        yield f"which is a {data.kind} and has no rows to refer to ({data.where})."
    elif isinstance(data, Source | Table) and data.contract is not None:
        yield from (f"and {text}" for text in unknown_columns([reference.field], data.contract))
        yield from _other_types(step, reference, data)


def _other_types(step: Source, reference: Reference, data: Source | Table) -> Iterator[str]:
    """What is said where no value of the one column is ever equal to one of the other."""
    types = [{column.name: column.type for column in one.contract.schema} if one.contract else {} for one in (step, data)]
    own, other = types[0].get(reference.column), types[1].get(reference.field)
    if own and other and not are_comparable(own, other):
        yield f"whose column `{reference.field}` is a {other}, and `{reference.column}` is a {own}: no value of the one is ever equal to one of the other."


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
