"""What a person decides about which model serves, with who and why: `headrace approve`, `reject`, `promote`, `rollback`, `hold`, `release`.

`headrace pending` shows what waits for such a word.
"""

from __future__ import annotations

from pathlib import Path

import click

from headrace.cli.opening import Where, interval_at, open_session, who
from headrace.cli.options import as_json, file_argument, lake_options
from headrace.cli.output import print_json, tell
from headrace.lake.chain import Decision
from headrace.run import questions
from headrace.run.session import Session, utc_now
from headrace.run.tracking import queue_decision
from headrace.steps import overrides

__all__ = ["approve", "hold", "pending", "promote", "reject", "release", "rollback"]

_model = click.argument("model")
_why = click.option("--why", required=True, help="The reason; kept with the decision.")
_who = click.option("--who", "name", default=None, help="Who decides.  [the account]")


_question = click.option(
    "--question", "number", type=click.IntRange(1), help="Only if it is this decision that asked.  [the one that waits]"
)


@click.command()
@file_argument
@lake_options
@as_json
def pending(file: Path, lake: str | None, profile: str | None, as_json: bool) -> int:  # noqa: FBT001  # click passes options by name
    """Show the challengers that wait for a person, their metrics beside the champion's."""
    session = open_session(Where(file, lake, profile), is_reading=True)
    found = questions.waiting(session)
    if as_json:
        print_json([challenger.to_json() for challenger in found])
        return 0
    if not found:
        tell(f"No challenger of `{session.graph.name}` waits for a person.")
    for challenger in found:
        tell(f"{questions.subject(challenger)}\n\n{questions.text(challenger)}\n")
        tell(f"headrace approve {file} {challenger.model} --question {challenger.asked.number} --why …   or: headrace reject …")
    return 0


@click.command()
@file_argument
@_model
@_question
@_why
@_who
@lake_options
@as_json
def approve(
    file: Path,
    model: str,
    number: int | None,
    why: str,
    name: str | None,
    lake: str | None,
    profile: str | None,
    as_json: bool,  # noqa: FBT001
) -> int:
    """Say yes to the challenger that waits: it becomes the champion. Refused when it is not the one that waits any more."""
    session = _session(file, lake, profile, model)
    return _print(questions.answer(session, model, "promote", number=number, who=name or who(), why=why), as_json=as_json)


@click.command()
@file_argument
@_model
@_question
@_why
@_who
@lake_options
@as_json
def reject(
    file: Path,
    model: str,
    number: int | None,
    why: str,
    name: str | None,
    lake: str | None,
    profile: str | None,
    as_json: bool,  # noqa: FBT001
) -> int:
    """Say no to the challenger that waits: the champion stays, and nobody is asked about this model again."""
    session = _session(file, lake, profile, model)
    return _print(questions.answer(session, model, "reject", number=number, who=name or who(), why=why), as_json=as_json)


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
    questions.checked_model(session, model)
    return session


def _told(session: Session, model: str, decision: Decision, *, as_json: bool) -> int:
    queue_decision(session, model, decision, at=utc_now())
    return _print(decision, as_json=as_json)


def _print(decision: Decision, *, as_json: bool) -> int:
    if as_json:
        import json

        print_json({"number": decision.number, **json.loads(decision.to_json())})
        return 0
    tell(f"decision {decision.number}: {decision.kind} {decision.model.label} v{decision.version}, by {decision.who}: {decision.why}")
    return 0
