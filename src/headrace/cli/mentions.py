"""How people and programs are told where a forgotten key's value stands besides, and what they can do about it.

The invariant: what is shown is bounded, and is never the text around a place.
"""

from __future__ import annotations

from collections.abc import Iterator

from headrace.cli.output import tell
from headrace.core.mentions import MOST_PLACES
from headrace.core.ports import JSON
from headrace.core.split import ROW_PARTS
from headrace.run.mentions import Mention, Mentions

__all__ = ["mentions_document", "show_mentions"]

_LINES = 20


def show_mentions(found: Mentions, *, file: str, is_done: bool) -> None:
    """Where the value stands, a line for each part of a dataset or each column, and what to do."""
    for text in found.told:
        tell(f"stays, since entries of the log are never written again: {text}")
    if not found.found and not found.unsearched:
        return
    mark = "  left: " if is_done else "  "
    if found.found:
        tell("\nthe value also stands where no record of the key is, perhaps about somebody else:")
    for mention in found.found[:_LINES]:
        tell(f"{mark}{_line(mention)}")
    if len(found.found) > _LINES:
        tell(f"{mark}… and in {len(found.found) - _LINES} other parts or columns")
    for text in found.unsearched:
        tell(f"{mark}not searched for the value: {text}")
    for text in _advice(found, file):
        tell(text)


def mentions_document(found: Mentions | None) -> dict[str, JSON]:
    """The same for programs; nothing where nobody looked."""
    if found is None:
        return {}
    return {
        "mentions": [
            {
                "dataset": one.dataset,
                "part": one.part,
                "column": one.column or None,
                "count": one.count,
                "more": one.is_more,
                "versions": one.versions,
                "places": list(one.places),
            }
            for one in found.found
        ],
        "mentions_unsearched": list(found.unsearched),
        "mentions_in_log": list(found.told),
    }


def _line(mention: Mention) -> str:
    of = f", column `{mention.column}`" if mention.column else ""
    counted = f"{'more than ' if mention.is_more else ''}{mention.count:,}"
    places = "; ".join(mention.places) + ("; …" if mention.count > len(mention.places) else "")
    versions = "1 version" if mention.versions == 1 else f"{mention.versions:,} versions"
    return f"{mention.dataset}, part `{mention.part}`{of}: {counted} in {versions}: {places}"


def _advice(found: Mentions, file: str) -> Iterator[str]:
    parts = {mention.part for mention in found.found}
    if any(mention.is_more or mention.count >= MOST_PLACES for mention in found.found):
        yield "  Found so often, it is hardly all about one person: --key-only leaves these places out."
    if parts & {*ROW_PARTS} and any(mention.column for mention in found.found):
        yield "  Where a column has the value and nothing else, forget its rows too: --key COLUMN=VALUE with that column."
    if parts & {"raw", "quarantine", *ROW_PARTS}:
        yield (
            f"  Else mend the file at its origin and run its interval again, or take the interval out: headrace clear {file} SOURCE --at TIME. "
            f"What was there before then goes with: headrace gc {file} --keep 0 --older-than 0 --yes"
        )
