"""`headrace gc`: what is no longer needed; it deletes only with --yes."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import click

from headrace.cli.opening import Where, open_session
from headrace.cli.options import as_json, file_argument, lake_options
from headrace.cli.output import print_json, print_table, size_text, tell
from headrace.core.interval import parse_duration
from headrace.core.ports import JSON
from headrace.lake.collect import Leftover, collect, plan_collection
from headrace.run.record import pinned_slots

__all__ = ["gc"]

_SHOWN = 20


@click.command()
@file_argument
@lake_options
@click.option("--keep", default=1, show_default=True, type=click.IntRange(0), help="Versions before the current one that are kept.")
@click.option("--champions", default=3, show_default=True, type=click.IntRange(1), help="Champions that are kept of each model.")
@click.option("--older-than", "polite", default="1d", show_default=True, help="Unfinished attempts younger than this are left alone.")
@click.option("--yes", "is_agreed", is_flag=True, help="Delete. Without it nothing is changed.")
@as_json
def gc(file: Path, lake: str | None, profile: str | None, keep: int, champions: int, polite: str, is_agreed: bool, as_json: bool) -> int:  # noqa: FBT001  # click passes options by name
    """Show what the whole lake could free: old versions, abandoned attempts, champions of long ago. With --yes it is deleted."""
    session = open_session(Where(file, lake, profile), is_reading=True)
    young = timedelta(0) if polite in ("0", "0d") else parse_duration(polite)
    plan = plan_collection(session.lake, keep=keep, pinned=pinned_slots(session.lake), champions=champions, polite=young)
    if is_agreed:
        plan = collect(session.lake, plan)
    if as_json:
        listed: list[JSON] = [{"folder": _folder(one), "bytes": one.size_bytes, "why": one.reason} for one in plan.leftovers]
        print_json({"bytes": plan.size_bytes, "deleted": is_agreed, "folders": listed})
        return 0
    if not plan.leftovers:
        tell("Nothing to free.")
        tell_of_buckets(session.lake.uri)
        return 0
    print_table(
        ("size", "folder", "why"), [(size_text(one.size_bytes), _folder(one), one.reason) for one in plan.leftovers[:_SHOWN]], right=(0,)
    )
    if len(plan.leftovers) > _SHOWN:
        tell(f"… and {len(plan.leftovers) - _SHOWN} more")
    said = "freed" if is_agreed else "could be freed; do it with --yes"
    tell(f"\n{size_text(plan.size_bytes)} in {len(plan.leftovers)} folder{'s' if len(plan.leftovers) != 1 else ''} {said}")
    tell_of_buckets(session.lake.uri)
    return 0


def tell_of_buckets(uri: str) -> None:
    """What no listing shows, and so no collection frees."""
    if uri.startswith("s3://"):
        tell(
            "Uploads that were cut off are not listed: let a lifecycle rule of the bucket end them (AbortIncompleteMultipartUpload, 7 days).\n"
            "No rule should expire objects by age: old ones may be current."
        )


def _folder(leftover: Leftover) -> str:
    return leftover.keys[0].rpartition("/")[0]
