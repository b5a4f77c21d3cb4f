"""`headrace promote`, `rollback`, `hold`, `release`: what a person decides about which model serves, with who and why."""

from __future__ import annotations

from pathlib import Path

import click

from headrace.cli.opening import Where, interval_at, open_session, who
from headrace.cli.options import as_json, file_argument, lake_options
from headrace.cli.output import print_json, tell
from headrace.core.errors import UnknownNameError, did_you_mean
from headrace.core.step import TrainedModel
from headrace.lake.chain import Decision
from headrace.run.session import Session, utc_now
from headrace.run.tracking import queue_decision
from headrace.steps import overrides

__all__ = ["hold", "promote", "release", "rollback"]

_model = click.argument("model")
_why = click.option("--why", required=True, help="The reason; kept with the decision.")
_who = click.option("--who", "name", default=None, help="Who decides.  [the account]")


@click.command()
@file_argument
@_model
@click.option("--at", metavar="TIME", required=True, help="The model of the interval that starts then.")
@click.option("--version", type=click.IntRange(1), help="Its version.  [the current one]")
@_why
@_who
@lake_options
@as_json
def promote(
    file: Path,
    model: str,
    at: str,
    version: int | None,
    why: str,
    name: str | None,
    lake: str | None,
    profile: str | None,
    as_json: bool,  # noqa: FBT001  # click passes options by name
) -> int:
    """Make a trained model the champion, whatever its gate said."""
    session = _session(file, lake, profile, model)
    interval = session.graph.steps[model].grid.at(interval_at(session, at).start)
    decision = overrides.promote_by_hand(session.lake, session.graph.name, model, interval, version=version, who=name or who(), why=why)
    return _told(session, model, decision, as_json=as_json)


@click.command()
@file_argument
@_model
@click.option("--to", "number", type=click.IntRange(1), help="The decision whose champion is to serve again.  [the champion before]")
@_why
@_who
@lake_options
@as_json
def rollback(
    file: Path,
    model: str,
    number: int | None,
    why: str,
    name: str | None,
    lake: str | None,
    profile: str | None,
    as_json: bool,  # noqa: FBT001
) -> int:
    """Let an earlier champion serve again. It stands until it is released: runs only challenge it."""
    session = _session(file, lake, profile, model)
    decision = overrides.rollback(session.lake, session.graph.name, model, to=number, who=name or who(), why=why)
    return _told(session, model, decision, as_json=as_json)


@click.command()
@file_argument
@_model
@_why
@_who
@lake_options
@as_json
def hold(file: Path, model: str, why: str, name: str | None, lake: str | None, profile: str | None, as_json: bool) -> int:  # noqa: FBT001
    """Keep the champion: runs only challenge it, until `headrace release`."""
    session = _session(file, lake, profile, model)
    decision = overrides.hold(session.lake, session.graph.name, model, who=name or who(), why=why)
    return _told(session, model, decision, as_json=as_json)


@click.command()
@file_argument
@_model
@_why
@_who
@lake_options
@as_json
def release(file: Path, model: str, why: str, name: str | None, lake: str | None, profile: str | None, as_json: bool) -> int:  # noqa: FBT001
    """End a hold, or the hold that a rollback brings: the next run may promote again."""
    session = _session(file, lake, profile, model)
    decision = overrides.release(session.lake, session.graph.name, model, who=name or who(), why=why)
    return _told(session, model, decision, as_json=as_json)


def _session(file: Path, lake: str | None, profile: str | None, model: str) -> Session:
    session = open_session(Where(file, lake, profile), is_reading=True)
    models = [s.name for s in session.graph.steps.values() if isinstance(s, TrainedModel)]
    if model not in models:
        raise UnknownNameError(f"Pipeline `{session.graph.name}` has no model `{model}`. {did_you_mean(model, models)}")
    return session


def _told(session: Session, model: str, decision: Decision, *, as_json: bool) -> int:
    queue_decision(session, model, decision, at=utc_now())
    if as_json:
        import json

        print_json({"number": decision.number, **json.loads(decision.to_json())})
        return 0
    tell(f"decision {decision.number}: {decision.kind} {decision.model.label} v{decision.version}, by {decision.who}: {decision.why}")
    return 0
