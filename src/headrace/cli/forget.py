"""`headrace forget`: a key taken out of all that a pipeline has in its lake; it changes something only with --yes."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path

import click

from headrace.cli.mentions import mentions_document, show_mentions
from headrace.cli.opening import Where, open_session
from headrace.cli.options import as_json, file_argument, lake_options
from headrace.cli.output import print_json, print_table, size_text, tell
from headrace.core.ports import JSON
from headrace.core.step import Source, TrainedModel
from headrace.lake.layout import Slot
from headrace.run.forgetting import Forgot, Outlook, outlook
from headrace.run.forgetting import forget as forget_key
from headrace.run.forgotten import Record, record_of
from headrace.run.holding import wanted_of
from headrace.run.mentions import Mentions
from headrace.run.session import Session

__all__ = ["forget"]

_SHOWN = 40


@click.command()
@file_argument
@click.option(
    "--key", "keys", multiple=True, metavar="COLUMN=VALUE", help="Whose rows: a column and what it holds. Given again, a row holds all."
)
@click.option("--list", "is_list", is_flag=True, help="Show what was forgotten, when and by whom, and nothing else.")
@click.option("--key-only", "is_key_only", is_flag=True, help="Do not look for the value elsewhere, as a word in any text.")
@click.option("--yes", "is_agreed", is_flag=True, help="Forget. Without it nothing is changed.")
@lake_options
@as_json
def forget(
    file: Path,
    keys: tuple[str, ...],
    is_list: bool,  # noqa: FBT001  # click passes options by name
    is_key_only: bool,  # noqa: FBT001
    is_agreed: bool,  # noqa: FBT001
    lake: str | None,
    profile: str | None,
    as_json: bool,  # noqa: FBT001
) -> int:
    """Show every version of every dataset that holds a key, in rows, in quarantine or in raw files, and what was made of it.

    With --yes all of it is made again without the key, the old versions are collected, and what lands from then on is landed without it. The
    files at the origin are not touched. Killed anywhere, the same command goes on.

    Also shown is where the value stands as a word outside of the key's column and its records, in notes, comments or other files of an
    archive: these places are left, and exit with code 1 after --yes.
    """
    key = {} if is_list else _key(keys)
    with redirect_stdout(sys.stderr):  # what the pipeline's file prints
        session = open_session(Where(file, lake, profile), is_reading=True)
        if is_list:
            record = record_of(session.lake, session.graph.name)
            seen, done = None, None
        else:
            wanted = wanted_of(session, key)
            done = forget_key(session, wanted, is_key_only=is_key_only) if is_agreed else None
            seen = done.outlook if done else outlook(session, wanted, is_key_only=is_key_only)
    if seen is None:
        return _list(record, is_json=as_json)
    if as_json:
        print_json(_document(seen, done))
    else:
        _show(session, ", ".join(keys), seen, done)
    return 1 if done and (done.left or _mentioned(done.mentions)) else 0


def _key(keys: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in keys:
        column, equals, value = text.partition("=")
        if not equals or not column or not value or column in found:
            raise click.BadParameter("Write it as COLUMN=VALUE, such as customer_id=17850, each column once.", param_hint="--key")
        found[column] = value
    if not found:
        raise click.UsageError("Say whose rows: --key COLUMN=VALUE; or --list what was forgotten.")
    return found


def _mentioned(found: Mentions | None) -> bool:
    return found is not None and bool(found.found or found.unsearched)


# ---------------------------------------------------------------- for people


def _show(session: Session, key: str, seen: Outlook, done: Forgot | None) -> None:
    held = seen.holding.holders
    if held:
        rows = [
            (_dataset(one.slot), one.slot.interval.label, _version(one.slot, one.is_current), one.part, f"{one.count:,}") for one in held
        ]
        print_table(("dataset", "interval", "version", "part", "rows"), rows[:_SHOWN], right=(4,))
        if len(rows) > _SHOWN:
            tell(f"… and {len(rows) - _SHOWN} more")
    for text in seen.holding.unsearched:
        tell(f"not searched: {text}")
    for text in seen.holding.told:
        tell(f"stays, since entries of the log are never written again: {text}")
    if seen.is_nothing:
        tell(f"Nothing in {session.lake.uri} of `{session.graph.name}` holds {key}.")
        _show_mentions(session, seen, done)
        return
    _show_derived(session, seen)
    if done is None:
        _show_mentions(session, seen, done)
        tell("\nNothing was changed. Make all of it again without the key, and collect these versions: add --yes")
        return
    tell(
        f"\nforgotten: {_counted(done.made, 'version')} made without the key, {_counted(done.collected, 'version')} collected "
        f"({size_text(done.size_bytes)})"
    )
    for report in done.reports:
        tell(f"  deleted, since it told the value: {report}")
    for text in done.left:
        tell(f"  left: {text}")
    for text in done.notes:
        tell(f"  {text}")
    if done.left:
        tell("Mend that, and give the same command again: it goes on from here.")
    _show_mentions(session, seen, done)
    _show_rest(session)


def _show_mentions(session: Session, seen: Outlook, done: Forgot | None) -> None:
    found = done.mentions if done else seen.mentions
    if found is not None:
        show_mentions(found, file=str(session.file or "FILE"), is_done=done is not None)


def _show_derived(session: Session, seen: Outlook) -> None:
    holders = set(seen.holding.slots)
    others = Counter(_dataset(slot) for slot in seen.derived.slots if slot not in holders)
    if others:
        tell("\nmade of these, without holding the key in a column of its name:")
    for dataset, count in sorted(others.items()):
        name = dataset.removeprefix(f"{session.graph.name}.")
        kind = "  (a model)" if isinstance(session.graph.steps.get(name), TrainedModel) else ""
        tell(f"  {dataset}: {count} version{'s' if count > 1 else ''}{kind}")


def _show_rest(session: Session) -> None:
    """What no command of headrace can do, or does not."""
    sources = [step.name for step in session.graph.steps.values() if isinstance(step, Source) and not step.options.is_dataset]
    tell(
        f"The files at the origin of {_named(sources)} are as they were: whoever owns them has to erase the key there. What lands of them lacks it."
    )
    models = [step.name for step in session.graph.steps.values() if isinstance(step, TrainedModel)]
    if models:
        tell(f"Champions of {_named(models)} that were promoted before stay until others are, or `headrace gc` collects them.")


def _named(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _dataset(slot: Slot) -> str:
    return f"{slot.pipeline}.{slot.dataset}"


def _version(slot: Slot, is_current: bool) -> str:  # noqa: FBT001  # a cell of a table
    return f"v{slot.version}{'' if is_current else ' (old)'}"


def _counted(slots: Sequence[Slot], what: str) -> str:
    return f"{len(slots):,} {what}{'s' if len(slots) != 1 else ''}"


def _list(record: Record | None, *, is_json: bool) -> int:
    entries = record.entries if record else ()
    if is_json:
        print_json([entry.as_json() for entry in entries])
    elif not entries:
        tell("Nobody was forgotten.")
    else:
        rows = [
            (e.asked_at[:16].replace("T", " "), e.who, e.columns, e.state, str(len(e.found)), str(len(e.made)), str(len(e.collected)))
            for e in entries
        ]
        print_table(("asked at", "who", "key", "state", "found", "made", "collected"), rows, right=(4, 5, 6))
    return 0


# ---------------------------------------------------------------- for programs


def _document(seen: Outlook, done: Forgot | None) -> dict[str, JSON]:
    holders = set(seen.holding.slots)
    document: dict[str, JSON] = {
        "held": [{**_slot(one.slot), "part": one.part, "count": one.count, "current": one.is_current} for one in seen.holding.holders],
        "derived": [_slot(slot) for slot in seen.derived.slots if slot not in holders],
        "unsearched": list(seen.holding.unsearched),
        "told": list(seen.holding.told),
        "forgotten": bool(done) and not seen.is_nothing,
    }
    if done:
        document |= {
            "made": [_slot(slot) for slot in done.made],
            "collected": [_slot(slot) for slot in done.collected],
            "bytes": done.size_bytes,
            "reports": list(done.reports),
            "left": list(done.left),
            "notes": list(done.notes),
        }
    document |= mentions_document(done.mentions if done else seen.mentions)
    return document


def _slot(slot: Slot) -> Mapping[str, JSON]:
    return {"dataset": _dataset(slot), "interval": slot.interval.label, "version": slot.version}
