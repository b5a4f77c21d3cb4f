"""The options that commands share, and the session that they open.

The invariant: an option means the same in every command, and has the same name.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import click

from headrace.config import read_config
from headrace.core.errors import ConfigurationError
from headrace.core.interval import Interval, parse_time
from headrace.core.ports import JSON
from headrace.run.loading import load_pipeline
from headrace.run.session import Session, open_lake_at, utc_now

__all__ = ["Where", "as_json", "file_argument", "interval_at", "lake_options", "open_session", "parse_settings"]

F = TypeVar("F", bound=Callable[..., object])

file_argument = click.argument("file", type=click.Path(path_type=Path))
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document, for programs.")
name_argument = click.argument("name")
at_option = click.option("--at", metavar="TIME", help="The interval, by its start: 2026-11-20 or 2026-11-20T08 (UTC).")


def lake_options(function: F) -> F:
    """--lake and --profile."""
    function = click.option("--profile", metavar="NAME", help="The profile of headrace.toml.  [HEADRACE_PROFILE; local]")(function)
    return click.option("--lake", metavar="URI", help="The lake: a folder or a bucket.  [HEADRACE_LAKE; ./lake]")(function)


@dataclass(frozen=True)
class Where:
    """What the shared options said."""

    file: Path
    lake: str | None = None
    profile: str | None = None


def open_session(where: Where, *, overrides: Mapping[str, Mapping[str, JSON]] | None = None, is_reading: bool = False) -> Session:
    """The session of a pipeline file. `is_reading` needs a lake that exists."""
    loaded = load_pipeline(where.file)
    config = read_config(loaded.file, environment=os.environ, profile=where.profile, overrides={"lake": where.lake})
    lake = open_lake_at(config.lake_uri, read_only=is_reading)
    return Session(loaded.graph, config, lake, file=loaded.file, overrides=overrides or {}, who=who())


def who() -> str:
    """Who gave the command: the name of the account."""
    for variable in ("HEADRACE_USER", "LOGNAME", "USER", "USERNAME"):
        if os.environ.get(variable):
            return os.environ[variable]
    return f"uid {os.getuid()}"


def interval_at(session: Session, at: str | None) -> Interval:
    """The interval of the pipeline's grid that `--at` names; without it the last complete one. ConfigurationError for one that is not over."""
    grid, now = session.graph.grid, utc_now()
    if at is None:
        return grid.last_complete(now)
    interval = grid.at(parse_time(at))
    start = session.graph.start
    if start is not None and interval.start < start:
        raise ConfigurationError(f"--at {at}: pipeline `{session.graph.name}` starts at {grid.at(start).label}; nothing is made before.")
    if interval.end > now:
        last = grid.last_complete(now)
        raise ConfigurationError(f"--at {at}: the interval {interval} is not over yet. The last complete one is --at {last.label}")
    return interval


def parse_settings(given: Sequence[str]) -> dict[str, dict[str, JSON]]:
    """`step.param=value` texts, by step and name."""
    found: dict[str, dict[str, JSON]] = {}
    for text in given:
        name, is_given, value = text.partition("=")
        step, dot, parameter = name.strip().rpartition(".")
        if not is_given or not dot or not step or not parameter:
            raise ConfigurationError(f"--set {text}: write it as step.parameter=value, such as --set groups.clusters=6")
        found.setdefault(step, {})[parameter] = value
    return found
