"""The surface that a user writes against: `Pipeline` and its decorators.

Everything here only declares: a call makes a frozen step of `headrace.core.step`, and what is wrong with it is kept with
its file and line until the graph is asked for, so that all of it can be told at once. Decorated functions are given back
as they are. The invariant: importing a pipeline file reads no data and starts nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar, cast, overload

from headrace.core.contract import Contract
from headrace.core.contract_models import contract_of
from headrace.core.errors import ConfigurationError, HeadraceError, PipelineError, Problem, Where, did_you_mean
from headrace.core.frame import frame_kind, module_imports
from headrace.core.gate import Check, Gate
from headrace.core.graph import Graph, problems_of
from headrace.core.interval import Grid, parse_duration, parse_time
from headrace.core.keys import Reference as KeyReference
from headrace.core.keys import Referenced, Unique, keys_of
from headrace.core.ports import JSON
from headrace.core.signature import Signature, innermost, living_names, name_of, signature_of
from headrace.core.source_options import dataset as dataset_options
from headrace.core.source_options import options_for
from headrace.core.split import Split
from headrace.core.step import (
    Input,
    ModelSpec,
    Policy,
    Predictions,
    Promotion,
    Source,
    SourceOptions,
    Step,
    Table,
    TrainedModel,
    UserFunction,
)

if TYPE_CHECKING:
    from headrace.core.receipt import Receipt

__all__ = ["Dataset", "Pipeline"]

F = TypeVar("F", bound=Callable[..., object])
History = Mapping[str, str | tuple[str, str]]
Columns = str | Sequence[str]
Metrics = Sequence[Callable[..., float]] | Mapping[str, Callable[..., float]]


@dataclass(frozen=True)
class Dataset:
    """A dataset of a pipeline, by name: what `source` and `predict` give back, to be handed to other declarations."""

    pipeline: str
    name: str

    def __str__(self) -> str:
        return f"{self.pipeline}.{self.name}"


Reference = Dataset | Callable[..., object] | str


class Pipeline:
    """A named set of steps with a schedule.

    `schedule` is a preset (`@hourly`, `@daily`, `@weekly`, `@monthly`), a duration (`15m`, `6h`) or a uniform cron expression,
    in UTC; without one the pipeline runs when it is told to, on a daily grid. `start` is the first interval's start; nothing
    is made or asked for before it.
    """

    def __init__(self, name: str, *, schedule: str | None = None, start: str | datetime | None = None) -> None:
        self.name = name
        self._where = _caller()
        self._problems: list[Problem] = []
        self._steps: list[Step] = []
        self._names: dict[int, str] = {}
        self._functions: list[UserFunction] = []
        self._graph: Graph | None = None
        self._imported: dict[str, Mapping[str, str]] = {}
        self._start = self._tried(lambda: None if start is None else parse_time(start), None, self._where)
        self._is_scheduled = schedule is not None
        daily = Grid.parse("@daily")
        self._grid = self._tried(lambda: Grid.parse(schedule or "@daily", start=self._start), daily, self._where)
        self._doc = str(sys._getframe(1).f_globals.get("__doc__") or "").strip()  # noqa: SLF001  # the file that declares

    # ------------------------------------------------------------ declarations

    def source(
        self,
        name: str,
        location: str | SourceOptions | Dataset,
        *,
        contract: type | None = None,
        every: str | None = None,
        missing: Literal["fail", "empty"] = "fail",
        max_rejected: float | str = 0.05,
        wait: str | None = None,
        unique: str | Unique | Sequence[str] | Sequence[Unique] | None = None,
        references: Mapping[str, Reference | Referenced] | None = None,
        retries: int = 2,
        timeout: str | None = None,
        group: str | None = None,
    ) -> Dataset:
        """Declare raw files to collect: a path, a pattern, an `https://` address, or `package://module/file`; `{start:%Y-%m-%d}` makes it a source by interval.
        Or a dataset of another pipeline: `hr.dataset("shop.spending")`, or what that pipeline's `source` or `predict` gave back.

        `contract` is a pydantic model of the columns. `missing="empty"` makes an interval without a file normal.
        `max_rejected` is the share (0.05, "5%") or the number (10) of rows that may break the contract before the step fails.
        `wait="2h"` is how long a run waits for a file or a dataset that is not there yet, and for a file that still grows.
        `unique="invoice_no"` quarantines records whose key was there before in the interval; `hr.unique(…)` says it in full.
        `references={"customer_id": customers}` quarantines records whose value is not in that column of another dataset: see `hr.references`.
        """
        where = _caller()
        self._check_word("missing", missing, ("fail", "empty"), where)
        declared = self._tried(lambda: _options_of(location), SourceOptions("csv", str(location)), where)
        referred = [self._referred(column, given, where) for column, given in (references or {}).items()]
        self._add(
            Source(
                name=name,
                where=where,
                grid=self._every(every, where),
                options=declared,
                contract=self._contract(contract, where),
                missing=missing,
                max_rejected=self._tried(lambda: _budget(max_rejected), 0.05, where),
                wait=None if wait is None else self._tried(lambda: timedelta(seconds=_seconds(wait)), None, where),
                unique=self._tried(lambda: keys_of(unique), (), where),
                references=tuple(reference for reference, _ in referred),
                inputs=tuple(read for _, read in referred),
                policy=self._policy(retries, timeout, own_process=False, group=group, where=where),
            )
        )
        return Dataset(self.name, name)

    @overload
    def table(self, function: F, /) -> F: ...

    @overload
    def table(
        self,
        *,
        name: str | None = None,
        key: Columns | None = None,
        time: str | None = None,
        history: History | None = None,
        split: Split | None = None,
        contract: type | None = None,
        layer: Literal["silver", "gold"] = "silver",
        every: str | None = None,
        publish: bool | str = False,
        retries: int = 2,
        timeout: str | None = None,
        own_process: bool = False,
        group: str | None = None,
    ) -> Callable[[F], F]: ...

    def table(  # type: ignore[misc]  # F of the second form is bound when the decorator is called
        self,
        function: Callable[..., object] | None = None,
        /,
        *,
        name: str | None = None,
        key: Columns | None = None,
        time: str | None = None,
        history: History | None = None,
        split: Split | None = None,
        contract: type | None = None,
        layer: Literal["silver", "gold"] = "silver",
        every: str | None = None,
        publish: bool | str = False,
        retries: int = 2,
        timeout: str | None = None,
        own_process: bool = False,
        group: str | None = None,
    ) -> object:
        """Declare a table made by a function: its parameters without a default name the datasets that it reads.

        The function returns SQL, a DuckDB relation, an Arrow table, a Polars, pandas or Ibis frame, or a list of dicts.
        `key` says what a row is about, and is unique within an interval; `time` is the column that `by_time` splits by.
        `history={"purchases": "30d"}` reads all intervals of the last 30 days, each row with its `interval_end`;
        `("60d", "30d")` the 30 days before those. `every="7d"` puts the step on a coarser grid than the schedule.
        `publish=True` makes the dataset an asset under Airflow, by which other DAGs are triggered; `publish="s3://bucket/prefix"` (or a
        folder) also copies the rows of each interval there, for others to read. Steps of one `group` share a task under Airflow.
        """

        def declare(function: F) -> F:
            where = _defined(function)
            self._check_word("layer", layer, ("silver", "gold"), where)
            signature = self._signature(function, where)
            reach = self._history(history or {}, [p for p, _ in signature.data], function, where)
            self._add(
                Table(
                    name=name or name_of(function),
                    where=where,
                    grid=self._every(every, where),
                    function=function,
                    inputs=tuple(
                        Input(p, p, frame_kind(kind, self._imports(function)) or "frame", reach.get(p)) for p, kind in signature.data
                    ),
                    settings=signature.settings,
                    interval_parameters=signature.intervals,
                    key=_columns(key),
                    time=time,
                    split=split,
                    contract=self._contract(contract, where),
                    layer=layer,
                    doc=(function.__doc__ or "").strip(),
                    is_published=publish is not False,
                    published_to=self._published_to(where, publish=publish),
                    policy=self._policy(retries, timeout, own_process=own_process, group=group, where=where),
                ),
                function,
            )
            return function

        if function is None:
            return declare
        return declare(function)

    def model(
        self,
        data: Reference,
        *,
        features: Columns,
        target: str | None = None,
        weight: str | None = None,
        metrics: Metrics = (),
        gate: Gate | Sequence[Gate] = (),
        cv: int | None = None,
        approval: bool = False,
        every: str | None = None,
        trust: Sequence[str] = (),
        pickle: bool = False,
        name: str | None = None,
        retries: int = 2,
        timeout: str | None = None,
        own_process: bool = False,
        group: str | None = None,
    ) -> Callable[[F], F]:
        """Declare a model: the function returns an unfitted estimator, and its parameters are settings.

        It is fitted on the train side of `data`'s split and measured on the test side. `features` is a list of columns, or one
        text for an estimator that takes a Series. A function with a parameter named like `data` gets the training rows and
        returns something fitted. `gate` is what it must pass to be promoted; with `approval=True` one that passes waits for a
        person. `trust` names further types that its file may hold; `pickle=True` allows a pickle where skops can't store it.
        """
        gates = tuple(gate) if isinstance(gate, list | tuple) else (gate,)
        columns = features if isinstance(features, str) else tuple(features)

        def declare(function: F) -> F:
            where = _defined(function)
            signature = self._signature(function, where)
            reads = self._reference(data, where)
            parameter = self._training_parameter(signature, reads, where)
            kind = next((k for p, k in signature.data if p == parameter), None)
            self._check_callables("gate", gates, "at_least('r2', 0.5), or a function of the metrics", where)
            own = self._own_metrics(metrics, where)
            self._add(
                TrainedModel(
                    name=name or name_of(function),
                    where=where,
                    grid=self._every(every, where),
                    function=function,
                    data=reads,
                    spec=ModelSpec(columns, target=target, weight=weight, metrics=own, cv=cv),
                    inputs=(Input(reads, reads, frame_kind(kind, self._imports(function)) or "pandas"),),
                    settings=signature.settings,
                    interval_parameters=signature.intervals,
                    data_parameter=parameter,
                    gates=gates,
                    needs_approval=approval,
                    trust=tuple(trust),
                    is_pickle_allowed=pickle,
                    doc=(function.__doc__ or "").strip(),
                    policy=self._policy(retries, timeout, own_process=own_process, group=group, where=where),
                ),
                function,
            )
            return function

        return declare

    def predict(
        self,
        model: Reference,
        data: Reference,
        *,
        name: str | None = None,
        columns: Columns = (),
        publish: bool | str = False,
        group: str | None = None,
    ) -> Dataset:
        """Declare batch predictions: all rows of a table's interval through the champion as of that interval.

        The dataset has the table's key, `columns`, `prediction`, `probability` (classifiers) and `model_version`. It is called
        `<model>_predictions` unless told. `publish` and `group` are like a table's.
        """
        where = _caller()
        model_name, data_name = self._reference(model, where), self._reference(data, where)
        called = name or f"{model_name}_predictions"
        self._add(
            Predictions(
                name=called,
                where=where,
                grid=self._grid,
                model=model_name,
                data=data_name,
                columns=_columns(columns),
                inputs=(Input("data", data_name), Input("model", f"{model_name}.promotion", is_newest=True)),
                is_published=publish is not False,
                published_to=self._published_to(where, publish=publish),
                policy=Policy(group=group),
            )
        )
        return Dataset(self.name, called)

    # ------------------------------------------------------------ what others ask of it

    def graph(self) -> Graph:
        """The checked graph. PipelineError with every problem found."""
        if self._graph is not None:
            return self._graph
        steps = self._linked()
        problems, ordered = problems_of(self.name, self._where, self._start, steps)
        problems = [*self._problems, *problems]
        if problems:
            raise PipelineError(sorted(problems, key=lambda p: (p.where is None, p.where or self._where)))
        self._graph = Graph(self.name, self._where, self._grid, self._start, {s.name: s for s in ordered}, self._doc, self._is_scheduled)
        return self._graph

    def run(
        self, at: str | datetime | None = None, *, settings: Mapping[str, JSON] | None = None, lake: str | Path | None = None
    ) -> Sequence[Receipt]:
        """Run every step for one interval in this process: for notebooks and tests.

        `at` names the interval by its start (the last complete one unless told); `settings` are like `--set`:
        `{"groups.clusters": 6}`, which makes it an experiment: its outputs are read as `<dataset>.experiment`. Raises the first step's
        error if one failed.
        """
        from headrace.run.inline import run_inline

        return run_inline(self.graph(), at=at, settings=settings or {}, lake=None if lake is None else str(lake))

    def __repr__(self) -> str:
        return f"Pipeline({self.name!r}, {len(self._steps)} steps)"

    # ------------------------------------------------------------ private

    def _add(self, step: Step, function: UserFunction | None = None) -> None:
        self._graph = None
        self._steps.append(step)
        if function is not None:
            self._names[id(function)] = step.name
            self._functions.append(function)

    def _linked(self) -> list[Step]:
        """The steps, with grids and keys that depend on other steps filled in, and a promotion after each model."""
        declared = {step.name: step for step in self._steps}
        steps = [_gridded(step, declared) for step in self._steps]
        known = {step.name: step for step in steps}
        linked: list[Step] = []
        for step in steps:
            if isinstance(step, Source) and step.references:
                step = _referring(step, known)
            if isinstance(step, Table | Source):
                step = replace(step, inputs=tuple(_reaching(i, step.grid, known.get(i.dataset)) for i in step.inputs))
            if isinstance(step, TrainedModel):
                data = known.get(step.data)
                is_newest = data is not None and data.grid != step.grid
                inputs = tuple(replace(i, is_newest=is_newest) for i in step.inputs)
                key = data.key if isinstance(data, Table) else ()
                step = replace(step, inputs=inputs, spec=replace(step.spec, key=key))
                linked.append(step)
                linked.append(
                    Promotion(f"{step.name}.promotion", step.where, step.grid, step.name, (Input("model", step.name),), policy=step.policy)
                )
                continue
            linked.append(step)
        return linked

    def _tried(self, make: Callable[[], _T], fallback: _T, where: Where) -> _T:
        """A declared value, or the fallback with the problem noted."""
        try:
            return make()
        except PipelineError as error:
            self._problems.extend(p if p.where else Problem(p.message, where) for p in error.problems)
        except HeadraceError as error:
            self._problems.append(Problem(str(error), where))
        return fallback

    def _check_word(self, name: str, word: str, known: Sequence[str], where: Where) -> None:
        if word not in known:
            self._problems.append(Problem(f"{name}={word!r} is not known. {did_you_mean(str(word), known)}", where))

    def _published_to(self, where: Where, *, publish: bool | str) -> str | None:
        if not isinstance(publish, bool | str) or publish == "":
            self._problems.append(Problem(f"publish={publish!r}: write True, or where the rows are copied to.", where))
        return publish if isinstance(publish, str) else None

    def _own_metrics(self, metrics: Metrics, where: Where) -> Mapping[str, Callable[..., float]]:
        """The user's metrics by name."""
        functions = metrics.values() if isinstance(metrics, Mapping) else metrics
        self._check_callables("metrics", functions, "a function of two columns", where)
        return metrics if isinstance(metrics, Mapping) else {name_of(m): m for m in metrics}

    def _check_callables(self, name: str, given: Iterable[object], wanted: str, where: Where) -> None:
        for one in given:
            if not isinstance(one, Check) and not callable(one):
                self._problems.append(Problem(f"{name}={one!r}: write {wanted}.", where))

    def _every(self, every: str | None, where: Where) -> Grid:
        return self._grid if every is None else self._tried(lambda: Grid.parse(every, start=self._start), self._grid, where)

    def _contract(self, contract: type | None, where: Where) -> Contract | None:
        return None if contract is None else self._tried(lambda: contract_of(contract), None, where)

    def _policy(self, retries: int, timeout: str | None, *, own_process: bool, group: str | None, where: Where) -> Policy:
        if retries < 0:
            self._problems.append(Problem(f"retries={retries}: it is how often a step is tried again, 0 or more.", where))
        limit = None if timeout is None else self._tried(lambda: _seconds(timeout), None, where)
        return Policy(retries=retries, timeout_s=limit, has_own_process=own_process or limit is not None, group=group)

    def _history(
        self, history: History, parameters: Sequence[str], function: UserFunction, where: Where
    ) -> dict[str, tuple[timedelta, timedelta]]:
        found = {}
        for dataset, length in history.items():
            if dataset not in parameters:
                text = f"`{name_of(function)}` asks for the history of `{dataset}`, which is not among its parameters ({', '.join(parameters) or 'none'})."
                self._problems.append(Problem(text, where))
                continue
            reach = self._tried(lambda length=length: _reach(length), None, where)  # type: ignore[misc]
            if reach is not None:
                found[dataset] = reach
        return found

    def _signature(self, function: UserFunction, where: Where) -> Signature:
        signature, problems = signature_of(function, self._imports(function))
        self._problems.extend(Problem(text, where) for text in problems)
        return signature

    def _training_parameter(self, signature: Signature, reads: str, where: Where) -> str | None:
        names = [p for p, _ in signature.data]
        wrong = [n for n in names if n != reads]
        if wrong:
            text = f"a model's function reads only its own data, `{reads}`; it can't read {', '.join(f'`{n}`' for n in wrong)}. Give settings a default."
            self._problems.append(Problem(text, where))
        return reads if reads in names else None

    def _reference(self, reference: Reference, where: Where) -> str:
        if isinstance(reference, str):
            return reference
        if isinstance(reference, Dataset):
            if reference.pipeline != self.name:
                self._problems.append(Problem(f"`{reference}` belongs to another pipeline than `{self.name}`.", where))
            return reference.name
        found = self._names.get(id(reference))
        if found is None:
            text = (
                f"`{name_of(reference)}` is not a step of `{self.name}`. Decorate it with @{self.name}.table or @{self.name}.model first."
            )
            self._problems.append(Problem(text, where))
            return name_of(reference)
        return found

    def _referred(self, column: str, given: Reference | Referenced, where: Where) -> tuple[KeyReference, Input]:
        """What a source's column refers to, and what is read for it. A dataset of another pipeline has its full name."""
        asked = given if isinstance(given, Referenced) else Referenced(given)
        named = asked.dataset
        if isinstance(named, SourceOptions) and named.is_dataset:
            named = named.location
        dataset = (
            str(named)
            if isinstance(named, str | Dataset)
            else self._tried(lambda: self._reference(cast(Reference, named), where), "", where)
        )
        dataset = dataset.removeprefix(f"{self.name}.")
        reach = None if asked.history is None else self._tried(lambda: _reach(str(asked.history)), None, where)
        return KeyReference(column, dataset, asked.column or column), Input(column, dataset, reach=reach)

    def _imports(self, function: UserFunction) -> Mapping[str, str]:
        """What the names in a function's module stand for, as its text says, TYPE_CHECKING blocks included; in a notebook, as they are now."""
        file = innermost(function).__code__.co_filename
        if file not in self._imported:
            try:
                self._imported[file] = module_imports(Path(file).read_text(encoding="utf-8"))
            except (OSError, SyntaxError, UnicodeDecodeError):
                self._imported[file] = dict(living_names(function.__globals__))
        return self._imported[file]


_T = TypeVar("_T")


def _options_of(location: object) -> SourceOptions:
    if isinstance(location, SourceOptions):
        return location
    if isinstance(location, Dataset):
        return dataset_options(str(location))
    if isinstance(location, str):
        return options_for(location)
    name = getattr(location, "__name__", None) or repr(location)
    raise ConfigurationError(f"`{name}` says not where a source lies: write a path, hr.csv(…), or hr.dataset('pipeline.{name}').")


def _referring(step: Source, known: Mapping[str, Step]) -> Source:
    """A source that refers to another pipeline's dataset by its full name, by the name under which this pipeline takes it."""
    taken = {one.options.location: name for name, one in known.items() if isinstance(one, Source) and one.options.is_dataset}
    references = tuple(replace(one, dataset=taken.get(one.dataset, one.dataset)) for one in step.references)
    inputs = tuple(replace(read, dataset=one.dataset) for read, one in zip(step.inputs, references, strict=True))
    return replace(step, references=references, inputs=inputs)


def _gridded(step: Step, known: Mapping[str, Step]) -> Step:
    """Predictions on the grid of the rows that they are about, with those rows' key."""
    data = known.get(step.data) if isinstance(step, Predictions) else None
    if not isinstance(step, Predictions) or data is None:
        return step
    key = data.key if isinstance(data, Table) else ()
    return replace(step, grid=data.grid, columns=tuple(dict.fromkeys([*key, *step.columns])))


def _reaching(read: Input, grid: Grid, data: Step | None) -> Input:
    """An input without history on another grid: of a finer one, all intervals that end within the step's; else the newest."""
    if read.reach is not None or data is None or data.grid == grid:
        return read
    is_finer = data.grid.nominal < grid.nominal
    return replace(read, is_within=is_finer, is_newest=not is_finer)


def _caller() -> Where:
    frame = sys._getframe(2)  # noqa: SLF001  # the file that declares
    return Where(frame.f_code.co_filename, frame.f_lineno)


def _defined(function: UserFunction) -> Where:
    code = getattr(innermost(function), "__code__", None)
    if code is None:
        raise ConfigurationError(f"A step is a plain function; got a {type(function).__name__}.")
    return Where(code.co_filename, code.co_firstlineno)


def _columns(columns: Columns | None) -> tuple[str, ...]:
    if columns is None:
        return ()
    return (columns,) if isinstance(columns, str) else tuple(columns)


def _seconds(duration: str) -> float:
    found = duration.strip()
    if found.endswith("s") and found[:-1].isdigit() and int(found[:-1]) > 0:
        return float(found[:-1])
    return parse_duration(found).total_seconds()


def _reach(length: str | tuple[str, str]) -> tuple[timedelta, timedelta]:
    if isinstance(length, str):
        return parse_duration(length), timedelta(0)
    far, near = parse_duration(length[0]), parse_duration(length[1])
    if near >= far:
        raise ConfigurationError(
            f"history ({length[0]!r}, {length[1]!r}) reaches from {length[0]} ago to {length[1]} ago: the first must be the longer one."
        )
    return far, near


def _budget(budget: float | str) -> float | int:
    value: float | int
    if isinstance(budget, str):
        text = budget.strip()
        try:
            value = float(text[:-1]) / 100 if text.endswith("%") else float(text)
        except ValueError:
            raise ConfigurationError(f"max_rejected={budget!r}: write a share (0.05 or '5%') or a number of rows (10).") from None
    else:
        value = budget
    if value < 0 or (isinstance(value, float) and value > 1):
        raise ConfigurationError(f"max_rejected={budget!r}: a share lies between 0 and 1; a number of rows is a whole number.")
    return value
