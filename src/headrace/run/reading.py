"""Reading a lake without its pipeline: tables, models and manifests by name and time.

Nothing here writes. The invariant: what is read comes from one manifest for each interval, its files checked, or it is an error.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
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
from headrace.plugins import load
from headrace.run.access import is_folder, lake_access
from headrace.run.connections import Connections
from headrace.run.session import open_lake_at
from headrace.steps.champions import PART, open_champion

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    import polars as pl
    import pyarrow as pa

__all__ = ["PARTS", "Listing", "OpenLake", "open_lake"]

_KINDS: dict[str, FrameKind] = {"arrow": "arrow", "duckdb": "duckdb", "polars": "polars", "pandas": "pandas"}
_SUFFIXES = ("refused", "experiment")
PARTS = frozenset({*ROW_PARTS, "raw", "quarantine", "model"})

_MOMENT = timedelta(minutes=1)

At = str | datetime | tuple[str | datetime, str | datetime] | None


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

        `at` names the interval by its start; a pair `(from, to)` names all intervals that start in that range, `to` not included;
        without it the newest is read. `version` asks for an older version of one interval. A split table without a part gives all
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
        found = self._name(name)
        backend = cast(ModelBackend, load("models", "sklearn").open())
        if at is None and version is None:
            champion = self._lake.chain(found.pipeline, found.dataset).champion()
            if champion is None:
                raise NotReadyError(
                    f"{name} has no champion in {self.uri}: no model was promoted yet. With at=… a model is read that was not promoted."
                )
            fitted = open_champion(self._lake, found.pipeline, found.dataset, champion, backend, trust=trust, is_pickle_allowed=pickle)
            return fitted.estimator
        (manifest,) = self._manifests(found, at, version)
        paths = self._lake.read_paths(manifest, PART, verify=True)
        return backend.load(paths[0].parent, trust=trust, is_pickle_allowed=pickle).estimator

    def manifest(self, name: str, at: str | datetime | None = None, *, version: int | None = None) -> Manifest:
        """What a commit says of itself: parts, schema, counts, fingerprint, inputs, metrics."""
        return self._manifests(self._name(name), at, version)[-1]

    def decisions(self, name: str) -> list[Decision]:
        """The promotions, rejections, rollbacks, holds and releases of a model, oldest first."""
        found = self._name(name)
        return self._lake.chain(found.pipeline, found.dataset).entries()

    def ls(self, name: str | None = None) -> list[Listing]:
        """The datasets and models of the lake, or of one pipeline, or those whose names begin with `name`."""
        listed = []
        for full in self._lake.datasets():
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

    def _name(self, name: str) -> _Name:
        """A dotted name, taken apart: `pipeline.dataset[.refused|.experiment][.part]`."""
        known = set(self._lake.datasets())
        pieces = name.split(".")
        if len(pieces) >= 2 and name in known:
            return _Name(pieces[0], ".".join(pieces[1:]), None)
        if len(pieces) >= 3 and ".".join(pieces[:-1]) in known and pieces[-1] in PARTS:
            return _Name(pieces[0], ".".join(pieces[1:-1]), pieces[-1])
        if len(pieces) >= 3 and ".".join(pieces[:-1]) in known:
            raise UnknownNameError(f"`{pieces[-1]}` is no part of {'.'.join(pieces[:-1])}. {did_you_mean(pieces[-1], PARTS)}")
        shown = sorted(k for k in known if not k.partition(".")[2].startswith("_"))
        raise UnknownNameError(f"The lake {self.uri} has no dataset `{name}`. {did_you_mean(name, shown) or 'It is empty.'}")

    def _manifests(self, name: _Name, at: At, version: int | None) -> list[Manifest]:
        log = self._lake.log(name.pipeline, name.dataset)
        if isinstance(at, tuple):
            window = Interval(parse_time(at[0]), parse_time(at[1]))
            found = [log.current(i, versions=v) for i, v in log.versions(window).items()]
            kept = [m for m in found if m is not None and m.kind == "data"]
            if not kept:
                raise UnknownNameError(
                    f"{log.name} has nothing between {window.start:%Y-%m-%d %H:%M} and {window.end:%Y-%m-%d %H:%M} in {self.uri}."
                )
            return kept
        interval, versions = self._interval(name, at)
        if version is not None:
            return [log.manifest(interval, version)]
        current = log.current(interval, versions=versions)
        if current is None or current.kind != "data":
            raise UnknownNameError(
                f"{log.name} has no data for {interval.label}: {current.kind if current else 'never made'}. See: headrace log FILE {name.dataset}"
            )
        return [current]

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
