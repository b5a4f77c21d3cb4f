"""From the words of a command to the session that it is about.

The invariant: every command opens its pipeline, settings and lake in this one way.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from headrace.core.errors import ConfigurationError
from headrace.core.interval import Interval, parse_time
from headrace.core.ports import JSON
from headrace.run.opening import checked_interval, open_pipeline
from headrace.run.reading import At
from headrace.run.session import Session, utc_now

__all__ = ["Where", "asked_range", "interval_at", "open_session", "parse_settings", "who"]


_NEXT = timedelta(minutes=1)  # no two intervals start closer to each other


@dataclass(frozen=True)
class Where:
    """What the shared options said."""

    file: Path
    lake: str | None = None
    profile: str | None = None


def open_session(
    where: Where, *, overrides: Mapping[str, Mapping[str, JSON]] | None = None, is_reading: bool = False, is_looking: bool = False
) -> Session:
    """The session of a pipeline file. `is_reading` needs a lake that exists; `is_looking` takes one that does not for empty."""
    return open_pipeline(
        where.file,
        lake=where.lake,
        profile=where.profile,
        overrides=overrides,
        is_reading=is_reading,
        is_looking=is_looking,
        who=who(),
    )


def who() -> str:
    """Who gave the command: HEADRACE_USER, or the name of the account."""
    if os.environ.get("HEADRACE_USER"):
        return os.environ["HEADRACE_USER"]
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def interval_at(session: Session, at: str | None) -> Interval:
    """The interval of the pipeline's grid that `--at` names; without it the last complete one. ConfigurationError for one that is not over."""
    now = utc_now()
    if at is None:
        return session.graph.grid.last_complete(now)
    return checked_interval(session.graph, parse_time(at), now=now, asked=at)


def asked_range(at: str | None, first: str | None, last: str | None) -> At:
    """What `--at`, `--from` and `--to` name, as `OpenLake` takes it; None for all intervals. ConfigurationError where they disagree."""
    if at is not None:
        if first is not None or last is not None:
            raise ConfigurationError("--at names one interval, --from and --to a range: give one or the other.")
        return at
    if first is None and last is None:
        return None
    start = None if first is None else parse_time(first)
    end = None if last is None else parse_time(last) + _NEXT
    if start is not None and end is not None and end <= start:
        raise ConfigurationError(f"--from {first} is after --to {last}.")
    return start, end


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
