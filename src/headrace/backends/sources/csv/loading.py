"""Pieces of landed CSV files as tables of texts, by DuckDB where it can prove that it lost nothing.

Where DuckDB refuses a piece, or does not find the number of records that were counted, the piece is split here record by record. The
invariant: each record of a piece is in the table once, or said to be odd.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path

import duckdb

from headrace.backends.sources.csv.landing import Cut, cut, dialect_of, has_header
from headrace.backends.texts.opened import Loaded, Unread, weight_of
from headrace.backends.texts.outline import Look
from headrace.backends.texts.room import Room
from headrace.core.casts import literal
from headrace.core.contract import Contract
from headrace.core.delimiters import delimiter_advice
from headrace.core.dialect import Dialect, fields_of
from headrace.core.errors import SourceError
from headrace.core.ports import JSON, Landed
from headrace.core.records import Piece
from headrace.core.sniffing import AUTO
from headrace.core.swallowed import KIND, Swallowed, swallowed

__all__ = ["OpenedCsv", "load_exactly", "load_piece", "screen"]


class OpenedCsv:
    """One file that is about to be read: see `headrace.backends.texts.opened.Opened`."""

    def __init__(self, file: Landed, options: Mapping[str, JSON], contract: Contract | None, recorded: Contract | None = None) -> None:
        self._cut = cut(file.path, options, name=file.name, counted=file.counted)
        self._options, self._dialect, self._is_mended = options, dialect_of(options), file.is_mended
        if contract is None:
            _check_delimiter(self._cut.names, options, file.name)
        self._header = _header(self._cut, options, contract or recorded, file.name)

    @property
    def names(self) -> tuple[str, ...]:
        return self._cut.names

    @property
    def found(self) -> tuple[str, ...]:
        return self._cut.names

    @property
    def quoted(self) -> tuple[str, ...]:
        return ()

    @property
    def read_as(self) -> Mapping[str, JSON]:
        """How the file's bytes were read, and its dialect as it was said or found."""
        told, dialect = self._cut.read_as, self._dialect
        because = told.get("because")
        header, why = self._header
        return {
            **told,
            "delimiter": dialect.delimiter.decode(),
            "quote": dialect.quote.decode() or None,
            **({"escape": dialect.escape.decode()} if dialect.escape else {}),
            "header": header,
            **({"comments": self._cut.comments} if dialect.comment else {}),
            "because": {
                **(because if isinstance(because, Mapping) else {}),
                **{name: _why(self._options, name) for name in ("delimiter", "quote")},
                "header": why,
            },
        }

    def pieces(self) -> Iterator[Unread]:
        for piece in self._cut.pieces:
            self._dialect = piece.dialect
            load = partial(load_piece, piece=piece, width=len(self.names), options=self._options, is_mended=self._is_mended)
            yield Unread(weight_of(piece), load)


def load_piece(
    room: Room, positions: Sequence[int | None], *, piece: Piece, width: int, options: Mapping[str, JSON], is_mended: bool = False
) -> Loaded:
    """The texts of a piece: as DuckDB reads them where that may be proven, else split here. What a person mended has the quotes that are meant."""
    look = Look(piece)
    over = {} if is_mended else swallowed(piece, width, is_long=look.is_long)

    def exactly() -> Loaded:
        sound, odd = _split_piece(room, piece, width, positions, options, over)
        hidden = {n: found.records for n, found in over.items()}
        own = replace(piece, records=sound + len(odd))  # fewer or more than were counted when the bytes were others
        return Loaded(own.records, odd, own, is_slow=not over, kind_of=_kind_of if over else str, hidden=hidden)

    bare = piece.bare()
    if over or not _may_be_read(bare, look if bare is piece else Look(bare), width):
        return exactly()
    room.write([bare.data])
    return Loaded(piece.records, {}, piece, relation=f"({_texts_sql(room, bare, width, positions, options)})", exactly=exactly)


def _may_be_read(piece: Piece, look: Look, width: int) -> bool:
    """Whether DuckDB may find the records of a piece as they are. Of one column it takes a blank line for a row, so there is to be none."""
    return look.is_even(width) and (width > 1 or piece.recounted() == piece.records)


def _split_piece(
    room: Room,
    piece: Piece,
    width: int,
    positions: Sequence[int | None],
    options: Mapping[str, JSON],
    over: Mapping[int, Swallowed],
) -> tuple[int, dict[int, str]]:
    """Fill `piece` with the texts of a piece: how many records there are, and what is wrong with those that are left out."""
    sound, odd = screen(piece, width)
    for n, found in over.items():
        sound.pop(n, None)
        odd[n] = found.reason
    if odd and _load_fast(room, _only(piece, sound), width, positions, options):
        room.connection.execute(
            "CREATE OR REPLACE TEMP TABLE number AS SELECT unnest(range(1, len($1) + 1)) AS n, unnest($1::BIGINT[]) AS own",
            [list(sound)],
        )
        room.connection.execute(
            "CREATE OR REPLACE TEMP TABLE piece AS SELECT own AS n, piece.* EXCLUDE (n) FROM piece JOIN number USING (n) ORDER BY own"
        )
        return len(sound), odd
    load_exactly(room, piece.dialect, sound, positions, options)
    return len(sound), odd


def load_exactly(
    room: Room, dialect: Dialect, sound: Mapping[int, bytes], positions: Sequence[int | None], options: Mapping[str, JSON]
) -> None:
    """Fill `piece` with records that were split here, field by field."""
    nulls = {b"", *(word.encode() for word in _null_words(options))}
    columns: list[list[str | None]] = [[] for _ in positions]
    for raw in sound.values():
        fields = fields_of(raw, dialect)
        for column, position in zip(columns, positions, strict=True):
            text, quoted = (b"", False) if position is None or isinstance(fields, str) else fields[position]
            column.append(None if not quoted and text in nulls else text.decode())
    chosen = "".join(f", unnest(${k + 2}::VARCHAR[]) AS t{k}" for k in range(len(positions)))
    room.connection.execute(f"CREATE OR REPLACE TEMP TABLE piece AS SELECT unnest($1::BIGINT[]) AS n{chosen}", [list(sound), *columns])


def _load_fast(room: Room, piece: Piece, width: int, positions: Sequence[int | None], options: Mapping[str, JSON]) -> bool:
    if not Look(piece).is_even(width):
        return False
    room.write([piece.data])
    texts = _texts_sql(room, piece, width, positions, options)
    try:
        loaded = room.connection.execute(f"CREATE OR REPLACE TEMP TABLE piece AS {texts}").fetchall()
    except (duckdb.InvalidInputException, duckdb.ConversionException):
        return False
    return bool(loaded[0][0] == piece.records)


def _texts_sql(room: Room, piece: Piece, width: int, positions: Sequence[int | None], options: Mapping[str, JSON]) -> str:
    texts = ["CAST(NULL AS VARCHAR)" if position is None else f"c{position}" for position in positions]
    chosen = "".join(f", {text} AS t{n}" for n, text in enumerate(texts))
    return f"SELECT row_number() OVER () AS n{chosen} FROM {_scan_sql(room.file, piece.dialect, width, _null_words(options))}"


def _why(options: Mapping[str, JSON], name: str) -> str:
    return "the default" if name not in options else "the first records" if options[name] == AUTO else "said"


def _header(file: Cut, options: Mapping[str, JSON], known: Contract | None, name: str) -> tuple[str, str]:
    """Where the names of the columns are from, and why. SourceError where that may be a record, and nothing says that it is none."""
    if options.get("names"):
        return "names", "said"
    if options.get("header", AUTO) != AUTO:
        return ("first line" if options["header"] else "none"), "said"
    if known and {field.alias for field in known.fields} & {*file.names}:
        return "first line", "it has the names that are asked for"
    _check_preamble(file, known, name)
    verdict = file.verdict()
    if verdict and not verdict.is_header:
        columns = f"{len(file.names)} columns" if len(file.names) > 1 else "column"
        raise SourceError(
            f"The first record of `{name}` may be a record, and no header: {verdict.because}. Taken for a header, it would be lost. "
            f"If the file has no header, name its {columns}: names=[…]. If it is the header, say header=True."
        )
    return "first line", verdict.because if verdict else "the default"


def _check_preamble(file: Cut, known: Contract | None, name: str) -> None:
    """A first line that has none of the names that are asked for, where another line has all of them."""
    fields = known.fields if known else ()
    asked = {field.alias for field in fields if not field.has_default} or {field.alias for field in fields}
    line = file.line_with(asked) if file.header and asked else None
    if file.header and line:
        raise SourceError(
            f"The first record of `{name}` (line {file.header.line}) has none of the columns that are asked for, and line {line} has all of them: it is the header. "
            f"Pass over what is before it: hr.csv(…, skip={line - 1})."
        )


def _check_delimiter(names: tuple[str, ...], options: Mapping[str, JSON], file: str) -> None:
    """Without a contract, one column whose name holds another delimiter is not taken for a table."""
    advice = (
        ""
        if not has_header(options) or len(names) > 1 or options.get("delimiter") == AUTO
        else delimiter_advice(names, str(options.get("delimiter", ",")))
    )
    if advice:
        raise SourceError(f"The header of `{file}` is one column, `{names[0]}`. {advice} If it is one column, give the source a contract.")


def screen(piece: Piece, width: int) -> tuple[dict[int, bytes], dict[int, str]]:
    """The records that have as many fields as the header, by number, and what is wrong with the others."""
    sound: dict[int, bytes] = {}
    odd: dict[int, str] = {}
    delimiter, quote = piece.dialect.delimiter, piece.dialect.quote
    for n, raw in enumerate(piece.texts(), 1):
        if quote and quote in raw:
            fields = fields_of(raw, piece.dialect)
            found = fields if isinstance(fields, str) else len(fields)
        else:
            found = raw.count(delimiter) + 1
        if found == width:
            sound[n] = raw
        else:
            odd[n] = found if isinstance(found, str) else _width_words(found, width)
    return sound, odd


@lru_cache(maxsize=1000)
def _width_words(found: int, width: int) -> str:
    """One text for all records of a width, of which there may be a million."""
    return f"record has {found} field{'s' if found != 1 else ''}, the header has {width}"


def _kind_of(reason: str) -> str:
    """What an oddity is counted by: without the place of a quote."""
    return KIND if reason.startswith(KIND) else reason


def _only(piece: Piece, sound: Mapping[int, bytes]) -> Piece:
    return Piece(b"\n".join(sound.values()), len(sound), piece.line, piece.offset, piece.dialect)


def _scan_sql(path: Path, dialect: Dialect, width: int, null_words: Sequence[str]) -> str:
    columns = ", ".join(f"'c{n}': 'VARCHAR'" for n in range(width))
    nulls = ", ".join(map(literal, ["", *null_words]))
    quote, escape = dialect.quote.decode(), (dialect.escape or dialect.quote).decode()
    return (
        f"read_csv({literal(str(path))}, columns = {{{columns}}}, auto_detect = false, header = false, delim = {literal(dialect.delimiter.decode())}, "
        f"quote = {literal(quote)}, escape = {literal(escape)}, nullstr = [{nulls}], allow_quoted_nulls = false, strict_mode = true, "
        "null_padding = false, parallel = false, compression = 'none')"
    )


def _null_words(options: Mapping[str, JSON]) -> list[str]:
    words = options.get("null_words", ())
    return [str(word) for word in words] if isinstance(words, list | tuple) else []
