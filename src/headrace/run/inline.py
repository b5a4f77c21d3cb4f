"""`Pipeline.run`: a pipeline that was made in a notebook or a test, run in this process."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from headrace.config import read_config
from headrace.core.errors import ConfigurationError
from headrace.core.graph import Graph
from headrace.core.interval import parse_time
from headrace.core.ports import JSON
from headrace.core.receipt import Receipt
from headrace.run.access import lake_access
from headrace.run.backfill import carry_out, experiment_of
from headrace.run.connections import Connections
from headrace.run.observe import Request
from headrace.run.session import Clock, Session, open_lake_at, utc_now
from headrace.run.story import tell_story

__all__ = ["run_inline"]


def run_inline(
    graph: Graph, *, at: str | datetime | None, settings: Mapping[str, JSON], lake: str | None = None, clock: Clock = utc_now
) -> Sequence[Receipt]:
    """Run one interval; raise the first step's error if one failed. With settings it is an experiment, beside the current versions."""
    file = Path(graph.where.file)
    real = file if file.is_file() else None
    config = read_config(real, environment=os.environ, overrides={"lake": lake})
    session = Session(
        graph,
        config,
        open_lake_at(config.lake_uri, clock=clock, access=lake_access(config, Connections(config))),
        file=None,
        clock=clock,
        overrides=_by_step(settings),
        who="notebook",
    )
    interval = graph.grid.last_complete(clock()) if at is None else graph.grid.at(parse_time(at))
    if settings:
        session = experiment_of(session, frozenset(session.overrides))
    started = time.time()
    ran = carry_out(session, Request([interval]))
    tell_story(session, ran, [interval], started=started, has_report=False)
    for error in ran.outcome.errors.values():
        raise error
    return ran.receipts


def _by_step(settings: Mapping[str, JSON]) -> dict[str, dict[str, JSON]]:
    found: dict[str, dict[str, JSON]] = {}
    for name, value in settings.items():
        step, dot, parameter = name.rpartition(".")
        if not dot:
            raise ConfigurationError(f'settings: `{name}` names no step. Write it as {{"step.parameter": value}}.')
        found.setdefault(step, {})[parameter] = value
    return found
