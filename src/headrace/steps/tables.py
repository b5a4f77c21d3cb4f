"""Tables: the user's function from the rows of its inputs to the files of one attempt.

The function gets its data, settings and interval by name, and an engine writes what it returns. Committing is not done here.
The invariant: all that the function can see are its arguments, so that the same arguments make the same files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from headrace.core.errors import DataError
from headrace.core.interval import Interval
from headrace.core.ports import JSON, Bound, Engine, EngineSession, InputFiles, WriteOrder
from headrace.core.step import Table
from headrace.lake.commit import Attempt
from headrace.steps.boundary import call_user
from headrace.steps.made import Made

__all__ = ["bound_values", "make_table"]


def make_table(
    step: Table,
    interval: Interval,
    *,
    attempt: Attempt,
    engine: Engine,
    inputs: Mapping[str, InputFiles],
    settings: Mapping[str, JSON],
    work: Path,
) -> Made:
    """Call the step's function on `inputs` (by parameter) and write what it returns: one part, or one for each side of its split.

    Raises StepError when the function raised, and DataError when what it returned cannot be a table; nothing is committed then.
    """
    sides = step.split.parts if step.split else ("rows",)
    order = WriteOrder(
        {side: attempt.file(side, layer=step.layer) for side in sides},
        key=step.key,
        split=step.split,
        interval=interval,
        contract=step.contract,
        time=step.time,
    )
    with engine.session(work=work) as session:
        arguments = _arguments(session, step, interval, inputs, settings)
        result = call_user(step.name, interval, step.function, arguments)
        try:
            written = session.write(result, order, values=bound_values(settings, interval))
        except DataError as error:
            raise DataError(f"Table `{step.name}` {interval}: {error}{_empty_inputs(step, inputs)}") from error
    kept = sum(written.rows.values())
    return Made(
        parts=tuple(attempt.part(side, step.layer, rows=written.rows[side]) for side in sides),
        schema=dict.fromkeys(sides, written.schema),
        details=written.details,
        rows_read=kept,
        rows_kept=kept,
    )


def bound_values(settings: Mapping[str, JSON], interval: Interval) -> dict[str, Bound]:
    """What a table's SQL may name as `$name`: its settings that are single values, `$start` and `$end`."""
    single = {name: value for name, value in settings.items() if value is None or isinstance(value, bool | int | float | str)}
    return {**single, "start": interval.start, "end": interval.end}


def _empty_inputs(step: Table, inputs: Mapping[str, InputFiles]) -> str:
    """Where too few rows can't be split: the inputs that had none at all."""
    empty = [(read.dataset, inputs[read.parameter].files) for read in step.inputs if inputs[read.parameter].rows == 0]
    if not empty or step.split is None:
        return ""
    told = ", ".join(f"`{name}` from {files[0][0].label} to {files[-1][0].label}" for name, files in empty)
    return (
        f" There were no rows in {told}. If there should be some, their sources may lie elsewhere: see the locations in headrace show FILE."
    )


def _arguments(
    session: EngineSession, step: Table, interval: Interval, inputs: Mapping[str, InputFiles], settings: Mapping[str, JSON]
) -> dict[str, object]:
    arguments: dict[str, object] = {}
    for given in step.inputs:
        source = replace(inputs[given.parameter], name=given.parameter)
        try:
            arguments[given.parameter] = session.give(source, given.frame)
        except DataError as error:
            raise DataError(f"Table `{step.name}` {interval}: {error}") from error
    arguments |= {setting.name: settings.get(setting.name, setting.default) for setting in step.settings}
    return arguments | dict.fromkeys(step.interval_parameters, interval)
