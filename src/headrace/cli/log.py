"""`headrace log`: the versions of a dataset, or the decisions about a model."""

from __future__ import annotations

from pathlib import Path

import click

from headrace.cli.opening import Where, open_session
from headrace.cli.options import as_json, file_argument, lake_options
from headrace.cli.output import print_json, print_table, tell
from headrace.core.errors import UnknownNameError
from headrace.core.interval import parse_time
from headrace.core.manifest import Manifest
from headrace.run.forgotten import FORGOTTEN
from headrace.run.record import RUNS
from headrace.run.session import Session

__all__ = ["log"]


@click.command()
@file_argument
@click.argument("name")
@click.option("--at", metavar="TIME", help="Only the interval that starts then.")
@click.option("--last", default=20, show_default=True, type=click.IntRange(1), help="How many intervals, the newest ones.")
@lake_options
@as_json
def log(file: Path, name: str, at: str | None, last: int, lake: str | None, profile: str | None, as_json: bool) -> int:  # noqa: FBT001  # click passes options by name
    """List every version of the dataset NAME; of a model, also the decisions about it."""
    session = open_session(Where(file, lake, profile), is_reading=True)
    manifests = _manifests(session, name, at, last)
    decisions = session.decisions.chain(name).entries()[-last:] if f"{name}.promotion" in session.graph.steps else []
    if as_json:
        import json

        print_json({"versions": [json.loads(m.to_json()) for m in manifests], "decisions": [json.loads(d.to_json()) for d in decisions]})
        return 0
    print_table(("interval", "version", "kind", "rows", "committed", "fingerprint"), [_line(m) for m in manifests], right=(1, 3))
    if decisions:
        tell("")
        rows = [
            (str(d.number), d.kind, f"{d.model.label} v{d.version}", d.who, f"{d.decided_at:%Y-%m-%d %H:%M}" if d.decided_at else "", d.why)
            for d in decisions
        ]
        print_table(("decision", "kind", "model", "who", "at", "why"), rows, right=(0,))
    return 0


def _manifests(session: Session, name: str, at: str | None, last: int) -> list[Manifest]:
    session.graph.step(name.partition(".")[0]) if name not in (RUNS, FORGOTTEN) else None
    found = session.lake.log(session.graph.name, name)
    versions = found.versions(None)
    if at is not None:
        versions = {i: v for i, v in versions.items() if i.start == parse_time(at)}
    if not versions:
        raise UnknownNameError(f"`{name}` has no version{f' at {at}' if at else ''} in {session.lake.uri}. See: headrace ls {session.file}")
    return [found.manifest(i, v) for i in list(versions)[-last:] for v in versions[i]]


def _line(manifest: Manifest) -> tuple[str, ...]:
    rows = sum(part.rows or 0 for part in manifest.content.parts if part.name in ("rows", "train", "valid", "test"))
    committed = str(manifest.receipt.get("created_at", ""))[:19].replace("T", " ")
    return (
        manifest.interval.label,
        str(manifest.version),
        manifest.kind,
        f"{rows:,}" if rows else "",
        committed,
        manifest.content.fingerprint[:12],
    )
