"""From a pipeline file to the session that runs it, and from a word for a time to the interval that is meant.

Whoever starts the work, a command or a task of an orchestrator, opens a pipeline in this one way. The invariant: an interval
that is handed out is one of the pipeline's grid, not before its start, and over.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from headrace.config import read_config
from headrace.core.errors import ConfigurationError
from headrace.core.graph import Graph
from headrace.core.interval import Interval
from headrace.core.ports import JSON
from headrace.run.access import lake_access
from headrace.run.connections import Connections
from headrace.run.loading import load_pipeline
from headrace.run.session import Session, open_lake_at

__all__ = ["checked_interval", "open_pipeline"]


def open_pipeline(
    file: Path,
    *,
    name: str | None = None,
    lake: str | None = None,
    profile: str | None = None,
    overrides: Mapping[str, Mapping[str, JSON]] | None = None,
    is_reading: bool = False,
    is_looking: bool = False,
    who: str = "",
) -> Session:
    """The session of a pipeline file; `name` chooses among several in it. `is_reading` needs a lake that exists; `is_looking` takes one that
    does not for empty.
    """
    loaded = load_pipeline(file, name=name)
    config = read_config(loaded.file, environment=os.environ, profile=profile, overrides={"lake": lake})
    connections = Connections(config)
    opened = open_lake_at(config.lake_uri, read_only=is_reading, is_looking=is_looking, access=lake_access(config, connections))
    return Session(loaded.graph, config, opened, file=loaded.file, overrides=overrides or {}, who=who, given_connections=connections.told())


def checked_interval(graph: Graph, time: datetime, *, now: datetime, asked: str) -> Interval:
    """The interval that holds `time`. ConfigurationError for one that is not over, or before the start, which names what was `asked`."""
    interval = graph.grid.at(time)
    first = graph.first
    if first is not None and interval.start < first.start:
        raise ConfigurationError(f"{asked} is before pipeline `{graph.name}` starts, at {first.label}; nothing is made before.")
    if interval.end > now:
        last = graph.grid.last_complete(now)
        raise ConfigurationError(f"The interval {interval} is not over yet. The last complete one is {last.label}.")
    return interval
