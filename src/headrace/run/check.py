"""Checks before a run: what the SQL of the tables names, and the columns that models and predictions ask for.

The engine itself binds each query over empty tables, so nothing is guessed. The invariant: a step is only refused for something
that would certainly fail; what can't be known before the run is left to the run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from headrace.core.errors import DataError, HeadraceError, PipelineError, Problem, did_you_mean
from headrace.core.frame import Frame
from headrace.core.interval import Interval
from headrace.core.plan import Plan
from headrace.core.ports import Bound, Column, Schema
from headrace.core.signature import innermost
from headrace.core.step import Predictions, Source, Step, Table, TrainedModel
from headrace.run.recorded import record_of
from headrace.run.session import Session
from headrace.run.upstream import look_upstream

__all__ = ["check_columns"]

_STAMP = Column("interval_end", "TIMESTAMP WITH TIME ZONE")


def check_columns(session: Session, plan: Plan) -> None:
    """Bind what is about to run. PipelineError with every problem: unknown columns, tables and settings, each with the nearest name."""
    running = {d.step: d.interval for d in plan.to_run}
    if not any(isinstance(session.graph.steps[name], Table | TrainedModel | Predictions) for name in running):
        return
    problems: list[Problem] = []
    schemas: dict[str, Schema | None] = {}
    for step in session.graph.steps.values():
        if step.name not in running:
            schemas[step.name] = _committed(session, step, plan)
        elif isinstance(step, Source):
            schemas[step.name] = step.contract.schema if step.contract else _without_contract(session, step, running[step.name])
        elif isinstance(step, Table):
            schemas[step.name] = _bound(session, step, running[step.name], schemas, problems)
        else:
            problems.extend(_unknown_columns(step, schemas))
    if problems:
        raise PipelineError(problems)


def _without_contract(session: Session, step: Source, interval: Interval) -> Schema | None:
    """The columns that are recorded, by which files are read or refused, or those of another pipeline's dataset; None while nobody knows."""
    if not step.options.is_dataset:
        record = record_of(session, step, interval)
        return record.contract.schema if record else None
    catalog = session.catalog_of(step.options.location.partition(".")[0])
    upstream = look_upstream(catalog, step.options.location, interval)
    return None if upstream.missing or not upstream.found else upstream.found[-1].content.columns or None


def _committed(session: Session, step: Step, plan: Plan) -> Schema | None:
    if isinstance(step, Source) and step.contract:
        return step.contract.schema
    interval = next((d.interval for d in plan.decisions if d.step == step.name and d.version), None)
    if interval is None or not isinstance(step, Source | Table):
        return None
    manifest = session.catalog.current(session.dataset(step.name), interval)
    return manifest.content.columns if manifest is not None else None


def _bound(
    session: Session, step: Table, interval: Interval, schemas: Mapping[str, Schema | None], problems: list[Problem]
) -> Schema | None:
    """The columns that a table will have, if that can be told from its SQL; its problems are added."""
    tables: dict[str, Schema] = {}
    for read in step.inputs:
        schema = schemas.get(read.dataset)
        if schema is None or read.frame != "frame":
            return None
        tables[read.parameter] = (*schema, _STAMP) if read.is_window else schema
    sql = _sql_of(session, step, interval, tables)
    if sql is None:
        return None
    values: dict[str, Bound] = {"start": interval.start, "end": interval.end}
    values.update({n: v for n, v in session.settings(step).items() if v is None or isinstance(v, bool | int | float | str)})
    try:
        found = session.engine.bind(sql, tables, values)
    except DataError as error:
        problems.append(Problem(f"table `{step.name}`: {error}", step.where))
        return None
    wanted = [("key", c) for c in step.key] + ([("time", step.time)] if step.time else [])
    wanted += [("split key", c) for c in (step.split.key if step.split else ())]
    problems.extend(_missing(f"table `{step.name}`", wanted, found, step))
    return found


def _sql_of(session: Session, step: Table, interval: Interval, tables: Mapping[str, Schema]) -> str | None:
    """The SQL that a table's function returns, if it is one that writes SQL: it is called with names in place of data."""
    if not tables or not _writes_sql(step):
        return None
    arguments: dict[str, object] = {name: Frame(name, schema) for name, schema in tables.items()}
    arguments.update(session.settings(step))
    arguments.update(dict.fromkeys(step.interval_parameters, interval))
    try:
        result = step.function(**arguments)
    except HeadraceError:
        raise
    except Exception:  # noqa: BLE001  # it is called again in the run, where its error is told
        return None
    return result if isinstance(result, str) else None


def _writes_sql(step: Table) -> bool:
    constants = [c for c in innermost(step.function).__code__.co_consts if isinstance(c, str)]
    return any(c.lstrip().lower().startswith(("select", "with", "from")) for c in constants)


def _unknown_columns(step: Step, schemas: Mapping[str, Schema | None]) -> Iterator[Problem]:
    if isinstance(step, TrainedModel):
        schema = schemas.get(step.data)
        wanted = [("feature", f) for f in step.spec.feature_names]
        wanted += [(role, c) for role, c in (("target", step.spec.target), ("weight", step.spec.weight)) if c]
        if schema is not None:
            yield from _missing(f"model `{step.name}`: `{step.data}`", wanted, schema, step)
    if isinstance(step, Predictions):
        schema = schemas.get(step.data)
        if schema is not None:
            yield from _missing(f"predictions `{step.name}`: `{step.data}`", [("column", c) for c in step.columns], schema, step)


def _missing(what: str, wanted: Sequence[tuple[str, str]], schema: Schema, step: Step) -> Iterator[Problem]:
    names = [c.name for c in schema]
    for role, column in wanted:
        if column not in names:
            yield Problem(f"{what} has no column `{column}` (its {role}). {did_you_mean(column, names)}", step.where)
