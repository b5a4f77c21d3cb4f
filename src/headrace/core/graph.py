"""The graph of a pipeline: its steps, what each reads, and everything that can be wrong with them before anything runs.

A graph is a value; `problems_of` finds all that the user can mend in one go. The invariant: in a graph without problems
every input names a step that comes before its reader in `order`, so a plan can walk it once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from headrace.core.errors import Problem, UnknownNameError, Where, did_you_mean
from headrace.core.gate import METRICS, Check
from headrace.core.grouping import group_problems
from headrace.core.interval import Grid, Interval, format_duration
from headrace.core.source_problems import key_problems, only_new_problems, source_problems
from headrace.core.step import Input, Predictions, Promotion, Source, Step, Table, TrainedModel

__all__ = ["Graph", "Pair", "inputs_of", "problems_of"]

Pair = tuple[str, Interval]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
_PIPELINE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
_RESERVED = frozenset(
    "all and any as asc by case cast check column create cross default desc distinct else end except false fetch for foreign from full grant group having in inner "
    "intersect into is join leading left like limit not null offset on or order outer primary references right select some table then to true union unique using "
    "when where window with interval".split()
)


@dataclass(frozen=True)
class Graph:
    """A pipeline as a value: `steps` by name in topological order, promotions included.

    Without `is_scheduled` it runs only when it is told to; its grid says which intervals there are all the same.
    """

    name: str
    where: Where
    grid: Grid
    start: datetime | None
    steps: Mapping[str, Step]
    doc: str = ""
    is_scheduled: bool = True

    def step(self, name: str) -> Step:
        """A step by its name. UnknownNameError with the nearest one."""
        found = self.steps.get(name)
        if found is None:
            raise UnknownNameError(
                f"Pipeline `{self.name}` has no step `{name}`. {did_you_mean(name, self.steps)} See: headrace show {self.where.file}"
            )
        return found

    def readers_of(self, name: str) -> Iterator[Step]:
        return (step for step in self.steps.values() if any(i.dataset == name for i in step.inputs))

    def downstream_of(self, names: Iterable[str]) -> frozenset[str]:
        """The steps named, and all that read from them, however far."""
        reached = set(names)
        for step in self.steps.values():
            if any(i.dataset in reached for i in step.inputs):
                reached.add(step.name)
        return frozenset(reached)

    def upstream_of(self, names: Iterable[str]) -> frozenset[str]:
        """The steps named, and all that they read from, however far."""
        reached = set(names)
        for step in reversed(list(self.steps.values())):
            if step.name in reached:
                reached.update(i.dataset for i in step.inputs)
        return frozenset(reached)

    @property
    def first(self) -> Interval | None:
        """The pipeline's first interval: the first that starts at `start` or after it."""
        return None if self.start is None else self.grid.first_from(self.start)

    def intervals_for(self, step: Step, run: Interval) -> tuple[Interval, ...]:
        """The intervals of a step that a run is about: on a finer grid all that end within the run's, else the one of `interval_for`."""
        if step.grid.nominal < self.grid.nominal:
            return tuple(i for i in step.grid.ending_in(run) if self.start is None or i.start >= self.start)
        interval = self.interval_for(step, run)
        return () if interval is None else (interval,)

    def interval_for(self, step: Step, run: Interval) -> Interval | None:
        """The interval of a step that a run is about: its own, or on another grid the newest that ended by then; None before the start."""
        interval = run if step.grid == self.grid else step.grid.last_ended_by(run.end)
        if self.start is not None and interval.start < self.start:
            return None
        return interval

    def reads(self, step: Step, interval: Interval) -> list[tuple[Input, tuple[Interval, ...]]]:
        """For each input of a step the intervals that it reads, in time's order; never before the pipeline's start."""
        return [(i, tuple(self._intervals(i, interval))) for i in step.inputs]

    def before(self, step: Step, interval: Interval) -> Interval | None:
        """The interval of a step that has to be made before this one: of a source that takes each file once, or remembers keys; None at the pipeline's start."""
        if not isinstance(step, Source) or not (step.options.only_new or step.has_memory):
            return None
        previous = step.grid.previous(interval)
        return None if self.start is not None and previous.start < self.start else previous

    def _intervals(self, read: Input, interval: Interval) -> Iterator[Interval]:
        grid = self.steps[read.dataset].grid
        if read.is_newest:
            candidates: Iterable[Interval] = [grid.last_ended_by(interval.end)]
        elif read.is_within:
            candidates = grid.ending_in(interval)
        elif read.reach is None:
            candidates = [interval]
        else:
            far, near = read.reach
            floor = interval.end - far
            if self.start is not None and floor < self.start:
                floor = self.start
            ceiling = interval.end - near
            candidates = grid.within(Interval(floor, ceiling)) if floor < ceiling else ()
        return (c for c in candidates if self.start is None or c.start >= self.start)


def inputs_of(step: Step) -> tuple[str, ...]:
    return tuple(i.dataset for i in step.inputs)


def problems_of(name: str, where: Where, start: datetime | None, steps: Sequence[Step]) -> tuple[list[Problem], list[Step]]:
    """All problems of the declared steps, and the steps in topological order (as far as there is one)."""
    problems: list[Problem] = []
    if not _PIPELINE_NAME.fullmatch(name):
        problems.append(
            Problem(
                f"`{name}` can't name a pipeline: paths must carry it. Use letters, digits, `_` and `-`, starting with a letter.", where
            )
        )
    known: dict[str, Step] = {}
    for step in steps:
        problems.extend(_name_problems(step, known))
        known.setdefault(step.name, step)
    for step in steps:
        problems.extend(_input_problems(step, known))
        problems.extend(_own_problems(step, known, start, name))
    if start is not None and (start.second or start.microsecond):
        problems.append(
            Problem(f"pipeline `{name}`: start={start:%Y-%m-%dT%H:%M:%S} is no whole minute; intervals begin and end on minutes.", where)
        )
    ordered, cycle = _topological(list(known.values()), known)
    if cycle:
        path = " -> ".join(f"`{n}`" for n in (*cycle, cycle[0]))
        problems.append(
            Problem(
                f"Steps read each other in a circle: {path}. Break it: a step can read only what is made before it.", known[cycle[0]].where
            )
        )
    else:
        problems.extend(group_problems(ordered))
    return sorted(problems, key=lambda p: (p.where is None, p.where or where)), ordered


def _name_problems(step: Step, known: Mapping[str, Step]) -> Iterator[Problem]:
    if isinstance(step, Promotion):
        return
    if not _NAME.fullmatch(step.name):
        yield Problem(
            f"`{step.name}` can't name a step: SQL and paths must carry it. Use letters, digits and `_`, starting with a letter.",
            step.where,
        )
    elif step.name.lower() in _RESERVED:
        yield Problem(f"`{step.name}` is a word of SQL, so a query can't name it. Choose another, such as `{step.name}_rows`.", step.where)
    other = known.get(step.name)
    if other is not None:
        yield Problem(f"Two steps are called `{step.name}`; the other is at {other.where}. Rename one, or give it name=.", step.where)
    near = next((k for k in known if k != step.name and k.lower() == step.name.lower()), None)
    if near:
        yield Problem(
            f"`{step.name}` and `{near}` differ only in case, which SQL and some file systems don't tell apart. Rename one.", step.where
        )


def _input_problems(step: Step, known: Mapping[str, Step]) -> Iterator[Problem]:
    for read in step.inputs:
        found = known.get(read.dataset)
        if isinstance(step, Predictions) and read.parameter == "model":
            continue
        if isinstance(step, Source):
            continue  # key_problems tells of it
        if found is None:
            datasets = [n for n, s in known.items() if isinstance(s, Source | Table | Predictions)]
            yield Problem(
                f"step `{step.name}` reads `{read.dataset}`, but no step or source makes it. {did_you_mean(read.dataset, datasets)} "
                "(A parameter without a default names a dataset; give a setting a default.)",
                step.where,
            )
        elif isinstance(found, TrainedModel) and isinstance(step, Table):
            yield Problem(
                f"step `{step.name}` reads `{read.dataset}`, which is a model ({found.where}). Read its predictions: predict({read.dataset}, …).",
                step.where,
            )


def _own_problems(step: Step, known: Mapping[str, Step], start: datetime | None, pipeline: str) -> Iterator[Problem]:
    if isinstance(step, Table) or (isinstance(step, Source) and step.options.is_dataset):
        yield from _validator_problems(step)
    if isinstance(step, Source):
        yield from source_problems(step, pipeline)
        yield from only_new_problems(step, start)
        yield from key_problems(step, known, start, pipeline)
    if isinstance(step, Table):
        yield from _table_problems(step, known, start)
    if isinstance(step, TrainedModel):
        yield from _model_problems(step, known)
    if isinstance(step, Predictions):
        yield from _prediction_problems(step, known)


def _validator_problems(step: Table | Source) -> Iterator[Problem]:
    """A table's rows are made by code already, and another pipeline's are taken as they are: validators would change neither."""
    named = [f"`{field.name}`" for field in step.contract.fields if field.validators] if step.contract else []
    if named:
        what = "table" if isinstance(step, Table) else "source"
        why = (
            "a table's rows are made by its function: check them there"
            if what == "table"
            else "another pipeline's rows are taken as they are"
        )
        yield Problem(
            f"{what} `{step.name}`: its contract has validators (of {', '.join(named)}), which run over files of a source only; {why}.",
            step.where,
        )


def _table_problems(step: Table, known: Mapping[str, Step], start: datetime | None) -> Iterator[Problem]:
    split = step.split
    if split is not None and split.kind == "key" and not (split.key or step.key):
        yield Problem(f"table `{step.name}` is split by_key but has no key. Add key= to the table, or by_key('column', …).", step.where)
    if split is not None and split.kind == "time" and not step.time:
        yield Problem(f"table `{step.name}` is split by_time but has no time column. Add time=.", step.where)
    for read in step.inputs:
        data = known.get(read.dataset)
        if read.reach is not None and data is not None and read.reach[0] - read.reach[1] < data.grid.nominal:
            asked = format_duration(read.reach[0] - read.reach[1])
            text = f"table `{step.name}` reads {asked} of history of `{read.dataset}`, which has one interval every {data.grid.label}: none would ever fit in."
            yield Problem(f"{text} Make its history longer, or leave it out.", step.where)
    if start is None and any(i.reach and i.reach[0] > step.grid.nominal for i in step.inputs):
        yield Problem(f'table `{step.name}` reads history, so the pipeline needs a start=: Pipeline(…, start="2026-01-01").', step.where)


def _model_problems(step: TrainedModel, known: Mapping[str, Step]) -> Iterator[Problem]:
    data = known.get(step.data)
    if data is not None and not isinstance(data, Table | Source):
        yield Problem(f"model `{step.name}` is trained on `{step.data}`, which is no table ({data.where}).", step.where)
    features = step.spec.feature_names
    if not features:
        yield Problem(f"model `{step.name}` has no features. Name the columns to learn from: features=[…].", step.where)
    doubles = sorted({f for f in features if features.count(f) > 1})
    if doubles:
        yield Problem(f"model `{step.name}` names a feature twice: {', '.join(doubles)}.", step.where)
    for role, column in (("target", step.spec.target), ("weight", step.spec.weight)):
        if column is not None and column in features:
            yield Problem(
                f"model `{step.name}`: its {role} `{column}` is also a feature, so the answer would leak. Take it out of features=.",
                step.where,
            )
    yield from _gate_problems(step)
    if step.spec.cv is not None and step.spec.cv < 2:
        yield Problem(f"model `{step.name}`: cv={step.spec.cv} is no cross-validation; it takes at least 2 folds.", step.where)


def _gate_problems(step: TrainedModel) -> Iterator[Problem]:
    """Metrics that nobody measures. Which of the built-in ones are, is known when the estimator is."""
    known = {*METRICS, *step.spec.metrics}
    known |= {f"{name}_std" for name in known} if step.spec.cv else set()
    for gate in step.gates:
        if isinstance(gate, Check) and gate.metric not in known:
            hint = did_you_mean(gate.metric, known)
            yield Problem(
                f"model `{step.name}`: its gate {gate.kind}({gate.metric!r}, {gate.value:g}) asks for a metric that is not measured. {hint} "
                "One of your own is given to the model by metrics=.",
                step.where,
            )


def _prediction_problems(step: Predictions, known: Mapping[str, Step]) -> Iterator[Problem]:
    model, data = known.get(step.model), known.get(step.data)
    if model is None:
        models = [n for n, s in known.items() if isinstance(s, TrainedModel)]
        text = (
            f"predictions `{step.name}`: there is no model `{step.model}`. {did_you_mean(step.model, models) or 'The pipeline has none.'}"
        )
        yield Problem(text, step.where)
    if model is not None and not isinstance(model, TrainedModel):
        yield Problem(f"predictions `{step.name}`: `{step.model}` is not a model but a {model.kind} ({model.where}).", step.where)
    if data is not None and not isinstance(data, Table | Source):
        yield Problem(f"predictions `{step.name}`: `{step.data}` is not a table but a {data.kind} ({data.where}).", step.where)


def _topological(steps: list[Step], known: Mapping[str, Step]) -> tuple[list[Step], tuple[str, ...]]:
    """Steps so that each comes after its inputs, otherwise in the order of declaration; and a cycle if there is one."""
    done: dict[str, Step] = {}
    waiting = {step.name: step for step in steps}
    while waiting:
        ready = [s for s in waiting.values() if all(n in done or n not in known for n in inputs_of(s))]
        if not ready:
            return [*done.values(), *waiting.values()], _cycle(waiting)
        for step in ready:
            done[step.name] = waiting.pop(step.name)
    return list(done.values()), ()


def _cycle(waiting: Mapping[str, Step]) -> tuple[str, ...]:
    path = [next(iter(waiting))]
    while True:
        following = next(n for n in inputs_of(waiting[path[-1]]) if n in waiting)
        if following in path:
            return tuple(path[path.index(following) :])
        path.append(following)
