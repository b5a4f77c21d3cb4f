"""Where the values stand that do not fit what is recorded of their columns: for an error that is raised anyway.

The invariant: a place is that of a record in its file as it came, and none is given where the values alone do not tell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from headrace.backends.texts.inference import plain_form
from headrace.backends.texts.opened import Loaded, Opened, settled
from headrace.backends.texts.room import Room
from headrace.core.columns import Change, ColumnsDifferError
from headrace.core.ports import JSON, Landed
from headrace.core.records import Piece

__all__ = ["placed"]


def placed(
    error: ColumnsDifferError, room: Room, files: Sequence[Landed], open_file: Callable[[Landed], Opened], options: Mapping[str, JSON]
) -> ColumnsDifferError:
    """The same error, its changed columns told with the first record of each that does not fit."""
    changed = [change for change in error.difference.changes if change.kind == "changed" and change.before]
    places: dict[str, str] = {}
    for file in files if changed else ():
        waiting = [change for change in changed if change.before and change.before.name not in places]
        if not waiting:
            break
        places.update(_first_in(room, file, open_file(file), waiting, options))
    changes = tuple(
        replace(one, because=places.get(one.before.name, "")) if one in changed and one.before else one for one in error.difference.changes
    )
    return ColumnsDifferError(replace(error.difference, changes=changes))


def _first_in(
    room: Room, file: Landed, opened: Opened, changes: Sequence[Change], options: Mapping[str, JSON]
) -> Iterator[tuple[str, str]]:
    names = {change.before.name: change.before.type for change in changes if change.before and change.before.name in opened.names}
    places = [opened.names.index(name) for name in names]
    forms = [f"min(n) FILTER (t{n} IS NOT NULL AND NOT ({plain_form(type_, f't{n}', options)}))" for n, type_ in enumerate(names.values())]
    missing = dict.fromkeys(names)
    for piece in opened.pieces():
        if not missing:
            return
        loaded = settled(room, piece.load(room, places))
        (found,) = room.connection.execute(f"SELECT {', '.join(forms)} FROM piece").fetchall()
        for name, number in zip(names, found, strict=True):
            if number is not None and name in missing:
                del missing[name]
                yield name, f"first at {file.name}:{_line(loaded, int(number))}"


def _line(loaded: Loaded, number: int) -> int:
    places = loaded.places.places if isinstance(loaded.places, Piece) else loaded.places
    return places({number})[number].line
