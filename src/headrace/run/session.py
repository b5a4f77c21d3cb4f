"""A session: one pipeline with its live backends, for the length of one command.

It opens things on first use and hands them out; what is done with them is decided elsewhere. The invariant: every clock, path
and environment that the floors below need comes in through here, so that a test can replace each of them.
"""

from __future__ import annotations

import inspect
import json
import math
import os
import shutil
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import cast

from headrace.config import Config, Value
from headrace.core.access import Access, size_of
from headrace.core.errors import ConfigurationError, UnknownNameError, did_you_mean, nearest_name
from headrace.core.fingerprint import Recipe, declaration_of, interval_text, uses_interval
from headrace.core.graph import Graph
from headrace.core.interval import Interval
from headrace.core.manifest import digest_of
from headrace.core.means import Means
from headrace.core.ports import JSON, Engine, FittedModel, ModelBackend, Origin, SourceFormat
from headrace.core.redaction import public, secrets_in_values
from headrace.core.signature import innermost
from headrace.core.step import Source, Step, Table, TrainedModel, published_to
from headrace.core.store import Store
from headrace.lake.lake import Lake
from headrace.lake.log import DatasetLog
from headrace.lake.premise import Premise
from headrace.plugins import load
from headrace.run.access import (
    access_by_settings,
    access_from_afar,
    flavour_of,
    is_folder,
    is_reached_as_lake,
    plain_source_access,
    source_access,
)
from headrace.run.catalog import Catalog
from headrace.run.code import CodeDigest, CodeIndex
from headrace.run.connections import Connections
from headrace.run.decisions import Decisions
from headrace.run.forgotten import forgotten_in
from headrace.run.placing import placed
from headrace.run.redaction import remember

__all__ = ["Clock", "Session", "placed", "utc_now"]

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Session:
    """One pipeline, its lake and its settings. `file` is None for a pipeline made in a notebook or a test.

    `overrides` are settings given for this command alone, by step and name. `experiment` holds the steps whose outputs go to
    `<dataset>.experiment` instead of becoming the interval's current version.
    """

    graph: Graph
    config: Config
    lake: Lake
    file: Path | None = None
    clock: Clock = utc_now
    sleep: Callable[[float], None] = time.sleep
    overrides: Mapping[str, Mapping[str, JSON]] = field(default_factory=dict[str, Mapping[str, JSON]])
    experiment: frozenset[str] = frozenset()
    who: str = ""
    given_connections: Mapping[str, Mapping[str, JSON]] = field(default_factory=dict[str, Mapping[str, JSON]], repr=False)

    def __post_init__(self) -> None:
        self._lock = threading.RLock()
        self._claimed: set[str] = set()
        self._origins: dict[tuple[str, ...], Origin] = {}
        self._shelves: dict[str, Store] = {}
        self._catalogs: dict[str, Catalog] = {}
        self._codes: dict[str, CodeDigest] = {}
        self._opened: dict[str, FittedModel] = {}
        told = (*self.config.values.values(), *self.config.locations.values(), *self.config.published.values())
        remember(secrets_in_values([*(value.value for value in told), *map(published_to, self.graph.steps.values())]))
        remember(secrets_in_values([step.options.location for step in self.graph.steps.values() if isinstance(step, Source)]))
        _check_overrides(self.graph, self.config.settings, "headrace.toml", is_shared=True)
        _check_overrides(self.graph, self.overrides, "--set")
        for step in self.graph.steps.values():
            self.settings(step)
        self.graph = placed(self.graph, self.config, self.folder)

    # ------------------------------------------------------------ names

    def dataset(self, step: str) -> str:
        """The dataset that a step writes, and others read, in this session."""
        return f"{step}.experiment" if step in self.experiment else step

    def log(self, step: str) -> DatasetLog:
        """The log of a step's dataset, claimed for this step."""
        dataset = self.dataset(step)
        log = self.lake.log(self.graph.name, dataset)
        with self._lock:
            if dataset not in self._claimed:
                log.claim({"step": step, "kind": self.graph.step(step).kind, "every": self.graph.step(step).grid.label})
                self._claimed.add(dataset)
        return log

    # ------------------------------------------------------------ what a step depends on

    def settings(self, step: Step) -> dict[str, JSON]:
        """The values of a step's settings: declared, then from headrace.toml, then from this command."""
        values = {s.name: s.default for s in step.settings}
        for given in (self.config.settings.get(step.name, {}), self.overrides.get(step.name, {})):
            for name, value in given.items():
                values[name] = _like(values[name], value, f"{step.name}.{name}")
        return values

    def code(self, step: Step) -> CodeDigest | None:
        """The digest of a step's own code and all that it calls, of a source's the validators of its contract; None for steps that have none."""
        if isinstance(step, Table | TrainedModel):
            functions = [step.function]
        else:
            columns = step.contract.fields if isinstance(step, Source) and step.contract else ()
            functions = [validator.function for column in columns for validator in column.validators]
        if not functions:
            return None
        with self._lock:
            found = self._codes.get(step.name)
            if found is None:
                found = self._codes[step.name] = self._index.digest_all(functions)
        return found

    def recipe(self, step: Step, interval: Interval) -> Recipe:
        """What a step's output depends on but its inputs."""
        code = self.code(step)
        parts = dict(code.parts) if code else {}
        digest = code.digest if code else ""
        if isinstance(step, TrainedModel):
            own = {name: self._index.digest(function) for name, function in step.spec.metrics.items()}
            for found in own.values():
                parts.update(found.parts)
            if own:
                digest = digest_of([digest, *(f.digest for f in own.values())])
        declaration = declaration_of(step)
        if isinstance(step, Table):
            declaration["engine"] = self.config.text("engine")
        is_bound = uses_interval(step) or (isinstance(step, Table) and names_interval(step))
        return Recipe(digest, parts, self.settings(step), declaration, interval_text(interval) if is_bound else None)

    # ------------------------------------------------------------ live backends

    @cached_property
    def connections(self) -> Connections:
        """The connections that the settings name, found when they are asked for."""
        return Connections(self.config, given=self.given_connections)

    @cached_property
    def catalog(self) -> Catalog:
        return Catalog(self.lake, self.graph.name)

    def catalog_of(self, pipeline: str) -> Catalog:
        """The catalog of another pipeline in the same lake."""
        with self._lock:
            return self._catalogs.setdefault(pipeline, Catalog(self.lake, pipeline))

    @cached_property
    def premise(self) -> Premise:
        """What all commits of data are built on: whom the pipeline forgets."""
        return Premise(lambda: forgotten_in(self.lake, self.graph.name))

    @cached_property
    def decisions(self) -> Decisions:
        return Decisions(self.lake, self.graph.name)

    @cached_property
    def engine(self) -> Engine:
        with self._lock:
            name = str(self.config.text("engine"))
            temp = self.config.text("temp")
            module = load("engines", name)
            return cast(
                Engine,
                module.open(memory=self.config.text("memory"), threads=self.config.number("threads"), temp=Path(temp) if temp else None),
            )

    @cached_property
    def work(self) -> Path:
        """A folder for what exists only while a step runs, one for all steps (those that run beside each other name their files apart)."""
        with self._lock:
            folder = tempfile.mkdtemp(prefix="headrace-")
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
            return Path(folder)

    def tidy(self) -> None:
        """Remove the work folder now: a process that is ended hard does not come to it by itself."""
        folder = self.__dict__.pop("work", None)
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)

    @cached_property
    def models(self) -> ModelBackend:
        with self._lock:
            return cast(ModelBackend, load("models", "sklearn").open())

    def opened(self, digest: str, open_model: Callable[[], FittedModel]) -> FittedModel:
        """A model, loaded once per session."""
        with self._lock:
            if digest not in self._opened:
                self._opened[digest] = open_model()
            return self._opened[digest]

    def format(self, source: Source) -> SourceFormat:
        """What reads a source's files, by what the settings let it use. A flavour of others' may take no settings."""
        opened = load("sources", source.options.format).open
        return cast(SourceFormat, opened(self._means()) if inspect.signature(opened).parameters else opened())

    def _means(self) -> Means:
        memory = self.config.text("memory")
        return Means(
            self.config.number("threads") or os.cpu_count() or 1,
            size_of(memory) // 1_000_000 if memory and not memory.endswith("%") else None,
        )

    def origin(self, source: Source) -> Origin:
        """What finds and opens a source's files: one for all sources that are reached alike."""
        location, ways_in = self.location(source), self._ways_in(source)
        key = (flavour_of(location), *(f"{name}={value.value}" for name, value in sorted(ways_in.items())))
        with self._lock:
            if key not in self._origins:
                named = self._connection_of(source)
                connection = self.connections.called(str(named[1].value), f"{named[0]}, {named[1].origin}") if named else None
                limit = ways_in.get("max_size")
                try:
                    self._origins[key] = open_origin(
                        location,
                        self.folder,
                        source_access(self.access_to(source), connection),
                        max_size=size_of(str(limit.value)) if limit else None,
                    )
                except ConfigurationError as error:
                    error.args = (f"Source `{source.name}`: {error}",)
                    raise
            return self._origins[key]

    def connection_of(self, source: Source) -> str:
        """The id of the connection that a source is reached with; empty if the settings name none."""
        found = self._connection_of(source)
        return "" if found is None else str(found[1].value)

    def access_to(self, source: Source) -> Mapping[str, JSON]:
        """How a source is reached, but for its connection: plain values, for another process."""
        return plain_source_access(self.config, self.location(source), self._ways_in(source))

    def _connection_of(self, source: Source) -> tuple[str, Value] | None:
        """The source's own, else the lake's where it lies in a bucket of the same kind; and what that setting is called."""
        own, lakes = self._ways_in(source).get("connection"), self.config.values["connection"]
        if own is not None:
            return f"sources.{source.name}", own
        return ("connection", lakes) if lakes.value and is_reached_as_lake(self.config, self.location(source)) else None

    def _ways_in(self, source: Source) -> Mapping[str, Value]:
        return self.config.ways_in.get(source.name) or self.config.ways_in.get(source.name.lower()) or {}

    def shelf(self, place: str) -> Store:
        """The store of a place where rows are published. One in a bucket is reached as the lake is: by its connection and settings."""
        with self._lock:
            if place not in self._shelves:
                access = None if is_folder(place) else access_by_settings(self.config, self.connections.of("connection"))
                self._shelves[place] = open_store(place, access)
            return self._shelves[place]

    def location(self, source: Source) -> str:
        """Where a source lies: its declared location, unless the settings say otherwise (the session's graph knows)."""
        return source.options.location

    @property
    def folder(self) -> Path:
        """Where relative locations start: beside the pipeline file."""
        return (
            self.file.parent if self.file else Path(self.graph.where.file).parent if Path(self.graph.where.file).is_file() else Path.cwd()
        )

    @cached_property
    def _index(self) -> CodeIndex:
        return CodeIndex(self.config.folder if (self.config.folder / "headrace.toml").is_file() else self.folder)


def open_origin(location: str, folder: Path, access: Access, *, max_size: int | None = None) -> Origin:
    """What finds and opens the files of a location; a relative one starts at `folder`.

    `access` and `max_size` are for flavours whose `open` has a parameter for them. ConfigurationError where a connection or a limit is
    set that means nothing to the flavour.
    """
    name = flavour_of(location)
    flavour = load("origins", name)
    known = inspect.signature(flavour.open).parameters
    for setting, is_set, parameter in (("connection", access.connection, "access"), ("max_size", max_size, "max_size")):
        if is_set is not None and parameter not in known:
            raise ConfigurationError(
                f"`{setting}` is set for it, and means nothing to `{public(location)}`, a file of the origin `{name}`."
            )
    options = {"access": access, **({} if max_size is None else {"max_size": max_size})}
    return cast(Origin, flavour.open(folder, **{option: value for option, value in options.items() if option in known}))


def open_lake_at(
    uri: str, *, clock: Clock = utc_now, read_only: bool = False, is_looking: bool = False, access: Access | None = None
) -> Lake:
    """The lake at a path or URI: made where there is none, an error with `read_only`, and taken for empty with `is_looking`.

    A store that is no folder is handed the `access` that the settings tell; without it, what this process's variables say.
    """
    store = open_store(uri, access)
    try:
        return Lake.open(store, clock=clock, read_only=read_only or is_looking)
    except UnknownNameError:
        if not is_looking:
            raise
        return Lake(store, clock=clock)


def open_store(uri: str, access: Access | None) -> Store:
    """The store at a path or URI, of a lake or of what is published."""
    flavour = load("stores", flavour_of(uri))
    return cast(Store, flavour.open(uri) if is_folder(uri) else flavour.open(uri, access or access_from_afar({}, None)))


def names_interval(step: Table) -> bool:
    """Whether the text of a table's function names `$start` or `$end`, so that its output depends on the interval."""
    codes = [innermost(step.function).__code__]
    while codes:
        for constant in codes.pop().co_consts:
            if isinstance(constant, str) and ("$start" in constant or "$end" in constant):
                return True
            if hasattr(constant, "co_consts"):
                codes.append(constant)
    return False


def _check_overrides(graph: Graph, given: Mapping[str, Mapping[str, JSON]], origin: str, *, is_shared: bool = False) -> None:
    """Settings for steps that are not there. A file that pipelines share may name another's steps, unless the name is all but one of ours."""
    for step_name, values in given.items():
        if step_name not in graph.steps:
            if is_shared and nearest_name(step_name, graph.steps) is None:
                continue
            raise UnknownNameError(
                f"{origin} names the step `{step_name}`, which `{graph.name}` does not have. {did_you_mean(step_name, graph.steps)}"
            )
        known = [s.name for s in graph.steps[step_name].settings]
        for name in values:
            if name not in known:
                hint = did_you_mean(name, known) or "It has none: a setting is a parameter with a default."
                raise UnknownNameError(f"{origin}: step `{step_name}` has no setting `{name}`. {hint}")


def _like(default: JSON, value: JSON, name: str) -> JSON:
    """A given value as the type of the declared default; text from the command line is read as that type."""
    if default is None:
        return _parsed(value, value) if isinstance(value, str) else value
    given = value
    if isinstance(value, str) and not isinstance(default, str):
        words: Mapping[str, JSON] = {"yes": True, "no": False, "true": True, "false": False, "1": True, "0": False}
        value = words.get(value.lower()) if isinstance(default, bool) else _parsed(value, None)
    if isinstance(default, bool) or isinstance(value, bool):
        is_like = isinstance(default, bool) and isinstance(value, bool)
    elif isinstance(default, float):
        is_like = isinstance(value, int | float) and math.isfinite(value)
    else:
        is_like = isinstance(value, (list, tuple) if isinstance(default, list | tuple) else type(default))
    if not is_like:
        raise ConfigurationError(f"`{name}` is of type {type(default).__name__} (default {default!r}), and {given!r} is not.")
    if isinstance(default, float | tuple):
        return cast(JSON, type(default)(value))  # type: ignore[arg-type]  # found to be alike
    return value


def _parsed(text: str, otherwise: JSON) -> JSON:
    try:
        return cast(JSON, json.loads(text))
    except ValueError:
        return otherwise
