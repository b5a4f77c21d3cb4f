"""JSON Lines as they land: lines are counted, and JSON of another shape is refused with what to write instead.

The invariant: what is refused here could not be read a line at a time, whatever its contract.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from itertools import islice
from pathlib import Path

from headrace.backends.sources.json.arrays import ElementLines
from headrace.backends.sources.json.splitting import Found, Splitter
from headrace.backends.texts.lines import CutLines, LineCounter
from headrace.core.errors import SourceError
from headrace.core.ports import JSON
from headrace.core.records import Piece

__all__ = ["MAX_KEYS", "counter_of", "keys_of"]

MAX_KEYS = 10_000


def counter_of(file: str, options: Mapping[str, JSON]) -> LineCounter:
    return LineCounter(file, "JSON Lines", options, look=lambda piece: _look(piece, file), maker=ElementLines(file))


def keys_of(path: Path, options: Mapping[str, JSON], *, name: str) -> tuple[str, ...]:
    """The keys of all records, as names of columns. Raises SourceError for one that can't be, and when there are more than MAX_KEYS."""
    keys: dict[str, None] = {}
    looked = ""
    splitter = Splitter(())
    for piece in CutLines(path, "JSON Lines", options, name=name, maker=partial(ElementLines, name)).pieces():
        found = Found(most_keys=MAX_KEYS + 1)
        for _ in splitter.rows(piece, found):
            if len(found.keys) > MAX_KEYS:
                break
        keys.update(dict.fromkeys(found.keys_in_order()))
        looked = looked or next((reason.removeprefix("record ") for _, reason in sorted(found.odd.items())), "")
        if len(keys) > MAX_KEYS:
            raise SourceError(
                f"The records of `{name}` have more than {MAX_KEYS} different keys, and that is the most that become columns. "
                "Are they values? Give the source a contract of those that you need."
            )
    if not keys and looked:
        raise SourceError(
            f"No line of `{name}` is a JSON object with a key: its first record {looked}. Is it JSON Lines? A table of texts is read with hr.csv(…)."
        )
    odd = next((key for key in keys if not key or "\0" in key), None)
    if odd is not None:
        raise SourceError(
            f"`{name}` has a key that can't be a column's name: {odd!r}. Give the source a contract of the keys that you need."
        )
    return tuple(keys)


def _look(piece: Piece, file: str) -> None:
    """Refuse records over several lines."""
    first, *after = [record.raw.strip() for _, record in islice(piece.split({1, 2}), 2)]
    if first == b"{" or (after and first.startswith(b"{") and not after[0].startswith(b"{") and first[-1:] in b"{[,"):
        raise SourceError(
            f"`{file}` has a record over several lines, and a record is an object on one line. "
            f"Write one a line: `jq -c . {file} > {Path(file).stem}.jsonl`."
        )
