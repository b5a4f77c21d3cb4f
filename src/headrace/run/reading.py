"""Reading a lake without its pipeline: tables, models and manifests by name and time.

Nothing here writes to the lake. The invariant: what is read comes from one manifest for each interval, its files checked, or it is an error.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast, overload

from headrace.config import read_config
from headrace.core.errors import ConfigurationError, NotReadyError, UnknownNameError, did_you_mean
from headrace.core.interval import Interval, parse_time
from headrace.core.manifest import Manifest
from headrace.core.ports import JSON, Engine, FrameKind, InputFiles, ModelBackend, Schema
from headrace.core.quarantine import QUARANTINE
from headrace.core.split import ROW_PARTS
from headrace.lake.chain import Decision
from headrace.lake.lake import Lake
from headrace.lake.log import DatasetLog
from headrace.lake.parallel import in_parallel
from headrace.plugins import load
from headrace.run.access import is_folder, lake_access
from headrace.run.connections import Connections
from headrace.run.exporting import Exported, open_export, send
from headrace.run.listing import CurrentFile, listed
from headrace.run.session import open_lake_at
from headrace.steps.champions import PART, open_champion

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    import polars as pl
    import pyarrow as pa

__all__ = ["PARTS", "At", "Listing", "OpenLake", "open_lake"]

_KINDS: dict[str, FrameKind] = {"arrow": "arrow", "duckdb": "duckdb", "polars": "polars", "pandas": "pandas"}
_SUFFIXES = ("refused", "experiment")
PARTS = frozenset({*ROW_PARTS, "raw", "quarantine", "model"})

_MOMENT = timedelta(minutes=1)

At = str | datetime | tuple[str | datetime | None, str | datetime | None] | None


@dataclass(frozen=True)
class Listing:
    """One line of `lake.ls()`: a dataset, how many intervals it has, and the first and the last of them."""

    name: str
    intervals: int
    first: Interval | None
    last: Interval | None


@dataclass(frozen=True)
class _Name:
    pipeline: str
    dataset: str
    part: str | None


class OpenLake:
    """A lake to read from. Made by `open_lake`."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._engine: Engine | None = None

    @property
    def uri(self) -> str:
        return self._lake.uri

    @overload
    def read(self, name: str, at: At = None, *, to: Literal["arrow"] = "arrow", version: int | None = None) -> pa.Table: ...

    @overload
    def read(self, name: str, at: At = None, *, to: Literal["duckdb"], version: int | None = None) -> duckdb.DuckDBPyRelation: ...

    @overload
    def read(self, name: str, at: At = None, *, to: Literal["pandas"], version: int | None = None) -> pd.DataFrame: ...

    @overload
    def read(self, name: str, at: At = None, *, to: Literal["polars"], version: int | None = None) -> pl.DataFrame: ...

    def read(self, name: str, at: At = None, *, to: str = "arrow", version: int | None = None) -> object:
        """The rows of a dataset, such as `shop.spending`, or of one part of it: `shop.spending.train`, `shop.purchases.quarantine`.

        `at` names the interval by its start; a pair `(from, to)` names all intervals that start in that range, `to` not included,
        and None in it leaves that end open; without it the newest is read. `version` asks for an older version of one interval. A split table without a part gives all
        sides together. Errors: UnknownNameError for a name, part, interval or version that is not there; DamageError for files
        that are not what their manifest says.
        """
        kind = _KINDS.get(to)
        if kind is None:
            raise ConfigurationError(f"read(to={to!r}) is not known. {did_you_mean(to, _KINDS)}")
        found = self._name(name)
        manifests = self._manifests(found, at, version)
        paths: list[Path] = []
        for manifest in manifests:
            paths.extend(self._paths(manifest, found))
        if not paths and found.part == "quarantine":
            return self._nothing(QUARANTINE, kind)
        if not paths:
            raise NotReadyError(f"{name} has no rows in a file for {_shown(at)} in {self.uri}.")
        return self._live_engine().read(paths, kind)

    def model(
        self, name: str, at: str | datetime | None = None, *, version: int | None = None, trust: Sequence[str] = (), pickle: bool = False
    ) -> object:
        """A fitted estimator, verified by digest before it is loaded: the champion, or with `at` the model trained for that interval.

        `trust` names further types that the file may hold; `pickle=True` allows a model that was stored as a pickle: loading one
        runs code, so do it only for a lake that you trust.
        """
        backend = cast(ModelBackend, load("models", "sklearn").open())
        if at is None and version is None:
            pipeline, model, champion = self._champion(name)
            return open_champion(self._lake, pipeline, model, champion, backend, trust=trust, is_pickle_allowed=pickle).estimator
        (manifest,) = self._manifests(self._name(name), at, version)
        paths = self._lake.read_paths(manifest, PART, verify=True)
        return backend.load(paths[0].parent, trust=trust, is_pickle_allowed=pickle).estimator

    def manifest(self, name: str, at: str | datetime | None = None, *, version: int | None = None) -> Manifest:
        """What a commit says of itself: parts, schema, counts, fingerprint, inputs, metrics."""
        return self._manifests(self._name(name), at, version)[-1]

    def files(self, name: str, at: At = None) -> list[CurrentFile]:
        """The current files of a dataset or of one part of it, for another reader: `shop.spending`, `shop.spending.test`, `shop.purchases.raw`.

        `at` is like that of `read`, but without it the files of all intervals are listed. Each file has its `uri` (an absolute path in
        a lake that is a folder), `bytes`, `rows`, `sha256`, and the `interval`, `version` and `part` that it belongs to. They come in
        time's order, those of an interval from one manifest. Without a part they are those that hold rows, of a model all. They stay
        where they are until `headrace gc` collects a version that was replaced. Errors are those of `read`.
        """
        found = self._name(name)
        return listed(self._manifests(found, (None, None) if at is None else at, None), found.part, uri=self.uri)

    def export(
        self,
        name: str,
        target: str | Path,
        at: At = None,
        *,
        format: str = "delta",  # noqa: A002  # what a reader would call it
        options: Mapping[str, str] | None = None,
    ) -> list[Exported]:
        """Write the current rows of a dataset, or of one side of it, into a table of another format: `delta`, with the extra of that name.

        `at` is like that of `files`. The table has a column `interval_start`, and of a split table a column `split`. An interval that it
        holds in the current version is left alone (`standing`); a newer version replaces the older one's rows in one commit of the table.
        `options` go to the library as they are: what it needs to reach a bucket. DataError for rows or a table that don't fit.
        """
        found = self._name(name)
        manifests = self._manifests(found, (None, None) if at is None else at, None)
        return send(self._lake, manifests, found.part, open_export(self._lake, format, target, options))

    def decisions(self, name: str) -> list[Decision]:
        """The promotions, rejections, rollbacks, holds and releases of a model, oldest first."""
        found = self._name(name)
        return self._lake.chain(found.pipeline, found.dataset).entries()

    def ls(self, name: str | None = None) -> list[Listing]:
        """The datasets and models of the lake, or of one pipeline, or those whose names begin with `name`."""
        listed = []
        for full in self._lake.datasets(name.partition(".")[0] if name else None):
            if name is not None and full != name and not full.startswith(f"{name}."):
                continue
            pipeline, _, dataset = full.partition(".")
            intervals = list(self._lake.log(pipeline, dataset).versions(None))
            listed.append(Listing(full, len(intervals), intervals[0] if intervals else None, intervals[-1] if intervals else None))
        return listed

    def __repr__(self) -> str:
        return f"OpenLake({self.uri!r})"

    # ------------------------------------------------------------ private

    def _nothing(self, schema: Schema, kind: FrameKind) -> object:
        """A table of no rows."""
        session = self._live_engine().session(work=Path(tempfile.gettempdir()))
        return session.give(InputFiles("nothing", (), schema), kind)

    def _live_engine(self) -> Engine:
        if self._engine is None:
            self._engine = cast(Engine, load("engines", "duckdb").open())
        return self._engine

    def _champion(self, name: str) -> tuple[str, str, Decision]:
        """Who serves, from its chain alone: whoever may read champions need not be let at anything else."""
        pipeline, _, model = name.partition(".")
        try:
            champion = self._lake.chain(pipeline, model).champion()
        except ValueError:  # no name of a model
            champion = None
        if champion is None:
            self._name(name)
            raise NotReadyError(
                f"{name} has no champion in {self.uri}: no model was promoted yet. With at=… a model is read that was not promoted."
            )
        return pipeline, model, champion

    def _name(self, name: str) -> _Name:
        """A dotted name, taken apart: `pipeline.dataset[.refused|.experiment][.part]`. Only the dataset's own log is listed, if it is there."""
        pipeline, _, rest = name.partition(".")
        dataset, _, last = rest.rpartition(".")
        if dataset and last not in _SUFFIXES and self._lake.has(pipeline, dataset):
            if last in PARTS:
                return _Name(pipeline, dataset, last)
            raise UnknownNameError(f"`{last}` is no part of {pipeline}.{dataset}. {did_you_mean(last, PARTS)}")
        if rest and self._lake.has(pipeline, rest):
            return _Name(pipeline, rest, None)
        known = self._lake.names_for_hint()
        shown = sorted(k for k in known or () if not k.partition(".")[2].startswith("_"))
        hint = did_you_mean(name, shown) or ("Its names may not be listed with these permissions." if known is None else "It is empty.")
        raise UnknownNameError(f"The lake {self.uri} has no dataset `{name}`. {hint}")

    def _manifests(self, name: _Name, at: At, version: int | None) -> list[Manifest]:
        log = self._lake.log(name.pipeline, name.dataset)
        if isinstance(at, tuple):
            return self._within(log, *(None if time is None else parse_time(time) for time in at))
        interval, versions = self._interval(name, at)
        if version is not None:
            return [log.manifest(interval, version)]
        current = log.current(interval, versions=versions)
        if current is None or current.kind != "data":
            raise UnknownNameError(
                f"{log.name} has no data for {interval.label}: {current.kind if current else 'never made'}. See: headrace log FILE {name.dataset}"
            )
        return [current]

    def _within(self, log: DatasetLog, start: datetime | None, end: datetime | None) -> list[Manifest]:
        """The current data of all intervals that start in a range, whose ends may be open."""
        window = Interval(start, end) if start is not None and end is not None else None
        asked = {i: v for i, v in log.versions(window).items() if (start is None or start <= i.start) and (end is None or i.start < end)}
        found = in_parallel(self._lake.store, lambda one: log.current(one[0], versions=one[1]), list(asked.items()))
        kept = [m for m in found if m is not None and m.kind == "data"]
        if not kept:
            bounds = "".join(f" {word} {time:%Y-%m-%d %H:%M}" for word, time in (("from", start), ("to", end)) if time is not None)
            raise UnknownNameError(f"{log.name} has no data{bounds} in {self.uri}. See: headrace log FILE {log.dataset}")
        return kept

    def _interval(self, name: _Name, at: str | datetime | None) -> tuple[Interval, tuple[int, ...]]:
        log = self._lake.log(name.pipeline, name.dataset)
        if at is None:
            for interval, versions in reversed(log.versions(None).items()):
                current = log.current(interval, versions=versions)
                if current is not None and current.kind == "data":
                    return interval, versions
            raise UnknownNameError(f"{log.name} has no data in {self.uri} yet.")
        start = parse_time(at)
        found = {i: v for i, v in log.versions(Interval(start, start + _MOMENT)).items() if i.start == start}
        if not found:
            labels = [i.label for i in log.versions(None)]
            near = f" It has {len(labels)} intervals, {labels[0]} to {labels[-1]}." if labels else ""
            raise UnknownNameError(f"{log.name} has no interval that starts at {_shown(at)} in {self.uri}.{near}")
        return max(found.items(), key=lambda item: item[0].length)

    def _paths(self, manifest: Manifest, name: _Name) -> list[Path]:
        if name.part is not None:
            if manifest.content.part(name.part) is None and name.part == "quarantine":
                return []
            return self._lake.read_paths(manifest, name.part)
        parts = [p.name for p in manifest.content.parts if p.name in ROW_PARTS]
        if not parts:
            known = ", ".join(p.name for p in manifest.content.parts)
            raise UnknownNameError(f"{manifest.name} holds no rows but: {known}. A model is read by lake.model({manifest.name!r}).")
        return [path for part in parts for path in self._lake.read_paths(manifest, part)]


def open_lake(uri: str | Path | None = None, *, profile: str | None = None, connection: str | None = None) -> OpenLake:
    """Open a lake to read from: a folder, or the URI of a bucket. UnknownNameError where there is none.

    How a bucket is reached is told by the `HEADRACE_*` and `AWS_*` variables and the headrace.toml of the working folder or one above:
    `profile` names another profile of it than `local`, and `connection` the connection with the credentials. Without a URI it is the
    lake that those settings name.
    """
    if uri is not None and is_folder(str(uri)):
        return OpenLake(open_lake_at(str(uri), read_only=True))
    overrides: dict[str, JSON] = {"lake": None if uri is None else str(uri), "connection": connection}
    config = read_config(None, environment=os.environ, profile=profile, overrides=overrides)
    return OpenLake(open_lake_at(config.lake_uri, read_only=True, access=lake_access(config, Connections(config))))


def as_json(manifest: Manifest) -> JSON:
    """A manifest as plain values, for printing."""
    import json

    return cast(JSON, json.loads(manifest.to_json()))


def _shown(at: At) -> str:
    return "the newest interval" if at is None else str(at)
