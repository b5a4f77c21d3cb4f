"""Pieces of landed logs as tables of texts: lines are cut here, and DuckDB takes the groups of the pattern out of each.

The invariant: each line of a piece is in the table, or said not to match.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

import duckdb

from headrace.backends.texts.lines import CutLines
from headrace.backends.texts.opened import Loaded, Unread, weight_of
from headrace.backends.texts.room import Room
from headrace.core.casts import literal
from headrace.core.errors import SourceError
from headrace.core.log_patterns import groups_of
from headrace.core.ports import JSON, Landed
from headrace.core.records import Piece

__all__ = ["OpenedLog"]


class OpenedLog:
    """One file that is about to be read: see `headrace.backends.texts.opened.Opened`."""

    def __init__(self, file: Landed, pattern: str, options: Mapping[str, JSON]) -> None:
        self._pattern, self._cut = pattern, CutLines(file.path, "log", options, name=file.name, counted=file.counted)
        self._groups = groups_of(pattern)
        self.names = tuple(name for name in self._groups if name)
        self._nulls = _null_words(options)

    @property
    def found(self) -> tuple[str, ...]:
        return self.names

    @property
    def quoted(self) -> tuple[str, ...]:
        return ()

    @property
    def read_as(self) -> Mapping[str, JSON]:
        return self._cut.read_as

    def pieces(self) -> Iterator[Unread]:
        for piece in self._cut.pieces():
            yield Unread(weight_of(piece), partial(self._load, piece=piece))

    def _load(self, room: Room, positions: Sequence[int | None], *, piece: Piece) -> Loaded:
        execute = room.connection.execute
        places = [n for n, name in enumerate(self._groups) if name]
        texts = ["CAST(NULL AS VARCHAR)" if position is None else self._text(places[position]) for position in positions]
        chosen = "".join(f", {text} AS t{n}" for n, text in enumerate(texts))
        whole, names = literal(rf"^(?:{self._pattern})\z"), ", ".join(f"'g{n}'" for n in range(len(self._groups)))
        raws = piece.texts()
        room.write([b"\n".join(raws)])
        lines = f"SELECT unnest(string_split(content, chr(10))) AS line FROM read_text({literal(str(room.file))}) LIMIT {len(raws)}"
        execute(f"CREATE OR REPLACE TEMP TABLE lines AS SELECT row_number() OVER () AS n, line FROM ({lines})")
        try:
            execute(
                f"CREATE OR REPLACE TEMP TABLE matched AS SELECT n, regexp_extract(line, {whole}, [{names}]) AS m FROM lines WHERE regexp_matches(line, {whole})"
            )
        except duckdb.InvalidInputException as error:
            raise _refused(self._pattern, error) from error
        execute(f"CREATE OR REPLACE TEMP TABLE piece AS SELECT n{chosen} FROM matched ORDER BY n")
        lost = execute("SELECT n FROM lines WHERE n NOT IN (SELECT n FROM piece) ORDER BY n").fetchall()
        odd = dict.fromkeys((n for (n,) in lost), "line does not match the pattern")
        own = replace(piece, records=len(raws))  # others than were counted when the bytes were others
        return Loaded(own.records, odd, own)

    def _text(self, group: int) -> str:
        """A group's text; NULL where it is empty or a word for nothing."""
        return f"CASE WHEN m.g{group} NOT IN ({', '.join(map(literal, ('', *self._nulls)))}) THEN m.g{group} END"


def _refused(pattern: str, error: duckdb.Error) -> SourceError:
    said = str(error).partition("\n")[0]
    return SourceError(
        f"pattern={pattern!r} can't be used: {said} Patterns are RE2's, which has no look-around, back-references or possessive repeats."
    )


def _null_words(options: Mapping[str, JSON]) -> list[str]:
    words = options.get("null_words", ())
    return [str(word) for word in words] if isinstance(words, list | tuple) else []
