"""Landed CSV files to typed rows and a quarantine, by DuckDB where it can prove that it lost nothing.

Each piece of a file is read by DuckDB as texts; where it refuses, or does not find the number of records that were counted, the piece
is split here record by record. Both ways fill the same table of texts, which is then cast and checked a column at a time.
The invariant: of each piece, records == kept + quarantined, and of each file, the sum is what was counted when it landed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from headrace.backends.sources.csv.delimiters import delimiter_advice
from headrace.backends.sources.csv.inference import infer
from headrace.backends.sources.csv.landing import cut
from headrace.backends.sources.csv.layout import Layout, lay_out
from headrace.core.casts import literal
from headrace.core.checks import identifier
from headrace.core.contract import Contract
from headrace.core.dialect import Dialect, fields_of
from headrace.core.errors import SourceError
from headrace.core.ports import JSON, Landed, ReadResult
from headrace.core.records import Piece, Record

__all__ = ["read"]

_MEMORY = "384MB"  # beyond that DuckDB spills beside the output
_EXAMPLE = 200


@dataclass
class _Tally:
    """What reading has found so far."""

    kept: int = 0
    rejected: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict[str, str])
    undeclared: dict[str, None] = field(default_factory=dict[str, None])
    slow_pieces: int = 0


def read(files: Sequence[Landed], *, contract: Contract | None, options: Mapping[str, JSON], rows: Path, quarantine: Path) -> ReadResult:
    """As `SourceFormat.read` says. Rows and quarantine keep the order of the files and of their records."""
    with _session(rows.parent) as session:
        notes: list[str] = []
        if contract is None:
            texts = (names for file in files for names in session.texts(file, options))
            contract = infer(session.connection, texts)
        session.begin(contract)
        tally = _Tally()
        for file in files:
            session.read_file(file, contract, options, tally)
        session.write(rows, quarantine)
        if tally.slow_pieces:
            notes.append(f"{tally.slow_pieces} pieces were split record by record, since DuckDB did not read every record of them")
        return ReadResult(
            rows_read=tally.kept + tally.rejected,
            rows_kept=tally.kept,
            rows_quarantined=tally.rejected,
            schema=contract.schema,
            undeclared=tuple(tally.undeclared),
            reasons=dict(tally.reasons.most_common()),
            examples=tally.examples,
            notes=tuple(notes),
        )


@contextmanager
def _session(folder: Path) -> Iterator[_Session]:
    """A DuckDB of its own in memory, one thread, so that order and bytes are the same each time; it spills beside the output."""
    with TemporaryDirectory(prefix="headrace-csv-") as work, TemporaryDirectory(prefix=".csv-", dir=folder) as spill:
        config: dict[str, str | bool | int | float | list[str]] = {
            "threads": 1,
            "memory_limit": _MEMORY,
            "temp_directory": spill,
            "autoinstall_known_extensions": False,
        }
        with duckdb.connect(config=config) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            yield _Session(connection, Path(work))


class _Session:
    """The tables of one reading: `kept` and `rejected` for all files, `piece`, `typed`, `bad` and `broken` for the piece at hand."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, work: Path) -> None:
        self.connection = connection
        self._file = work / "piece.csv"

    def begin(self, contract: Contract) -> None:
        columns = ", ".join(f"{identifier(c.name)} {c.type}" for c in contract.schema)
        self.connection.execute(f"CREATE TEMP TABLE kept ({columns})")
        self.connection.execute("CREATE TEMP TABLE rejected (file VARCHAR, line BIGINT, columns VARCHAR[], reasons VARCHAR[], raw BLOB)")

    def write(self, rows: Path, quarantine: Path) -> None:
        for table, path in (("kept", rows), ("rejected", quarantine)):
            self.connection.execute(f"COPY {table} TO {literal(str(path))} (FORMAT parquet, COMPRESSION zstd)")

    def texts(self, file: Landed, options: Mapping[str, JSON]) -> Iterator[tuple[str, ...]]:
        """Fill `piece` with each piece of a file, all columns of it; gives the columns' names each time."""
        opened = cut(file.path, options, name=file.name)
        _check_delimiter(opened.names, options, file.name)
        for piece in opened.pieces:
            self._load(piece, len(opened.names), tuple(range(len(opened.names))), options)
            yield opened.names

    def read_file(self, file: Landed, contract: Contract, options: Mapping[str, JSON], tally: _Tally) -> None:
        name = file.name
        opened = cut(file.path, options, name=name)
        layout = lay_out(opened.names, contract, options, file=name)
        tally.undeclared.update(dict.fromkeys(layout.undeclared))
        before = tally.kept + tally.rejected
        for piece in opened.pieces:
            self._read_piece(name, piece, layout, options, tally)
        found = tally.kept + tally.rejected - before
        if found != file.records:
            raise SourceError(
                f"`{name}` had {file.records} records when it landed, and {found} when it was read from the lake. Its bytes were changed: run again."
            )

    def _read_piece(self, file: str, piece: Piece, layout: Layout, options: Mapping[str, JSON], tally: _Tally) -> None:
        odd = self._load(piece, len(layout.names), layout.positions, options)
        tally.slow_pieces += odd is not None
        execute = self.connection.execute
        with _explained(file):
            execute(f"CREATE OR REPLACE TEMP TABLE typed AS SELECT *, {layout.casts_sql} FROM piece")
            kept = execute(f"INSERT INTO kept SELECT {layout.finished_sql} FROM typed WHERE NOT ({layout.bad_sql})").fetchall()[0][0]
        tally.kept += kept
        if kept < piece.records:
            self._quarantine(file, piece, layout, odd or {}, tally)

    def _quarantine(self, file: str, piece: Piece, layout: Layout, odd: Mapping[int, str], tally: _Tally) -> None:
        execute = self.connection.execute
        execute(f"CREATE OR REPLACE TEMP TABLE bad AS SELECT * FROM typed WHERE {layout.bad_sql}")
        execute(f"CREATE OR REPLACE TEMP TABLE broken AS SELECT n, {layout.reasons_sql} FROM bad")
        execute("INSERT INTO broken SELECT unnest($1::BIGINT[]), [], [unnest($2::VARCHAR[])]", [list(odd), list(odd.values())])
        wanted = {row[0] for row in execute("SELECT n FROM broken").fetchall()}
        places = dict(piece.split(wanted))
        execute(
            "CREATE OR REPLACE TEMP TABLE place AS SELECT unnest($1::BIGINT[]) AS n, unnest($2::BIGINT[]) AS line, unnest($3::BLOB[]) AS raw",
            [list(places), [r.line for r in places.values()], [r.raw for r in places.values()]],
        )
        execute("INSERT INTO rejected SELECT $1, line, columns, reasons, raw FROM broken JOIN place USING (n) ORDER BY n", [file])
        tally.rejected += len(places)
        counted = [(reason, 1, n) for n, reason in odd.items()] + self._count(layout)
        for reason, count, first in counted:
            tally.reasons[reason] += count
            tally.examples.setdefault(reason, _example(file, places[first]))

    def _count(self, layout: Layout) -> list[tuple[str, int, int]]:
        """How many records broke each rule, and the first that did."""
        if not layout.breaches:
            return []
        figures = ", ".join(f"count(*) FILTER ({b.condition}), min(n) FILTER ({b.condition})" for b in layout.breaches)
        found = self.connection.execute(f"SELECT {figures} FROM bad").fetchall()[0]
        return [(b.kind, count, first) for b, count, first in zip(layout.breaches, found[::2], found[1::2], strict=True) if count]

    def _load(self, piece: Piece, width: int, positions: Sequence[int | None], options: Mapping[str, JSON]) -> dict[int, str] | None:
        """Fill `piece` with the texts of a piece: None when DuckDB read every record, else what is wrong with those that are left out."""
        if self._load_fast(piece, width, positions, options):
            return None
        sound, odd = _screen(piece, width)
        if odd and self._load_fast(_only(piece, sound), width, positions, options):
            self.connection.execute(
                "CREATE OR REPLACE TEMP TABLE number AS SELECT unnest(range(1, len($1) + 1)) AS n, unnest($1::BIGINT[]) AS own",
                [list(sound)],
            )
            self.connection.execute(
                "CREATE OR REPLACE TEMP TABLE piece AS SELECT own AS n, piece.* EXCLUDE (n) FROM piece JOIN number USING (n) ORDER BY own"
            )
            return odd
        self._load_exactly(piece.dialect, sound, positions, options)
        return odd

    def _load_fast(self, piece: Piece, width: int, positions: Sequence[int | None], options: Mapping[str, JSON]) -> bool:
        if not piece.is_even(width):
            return False
        self._file.write_bytes(piece.data)
        texts = ["CAST(NULL AS VARCHAR)" if position is None else f"c{position}" for position in positions]
        chosen = "".join(f", {text} AS t{n}" for n, text in enumerate(texts))
        scan = _scan_sql(self._file, piece.dialect, width, _null_words(options))
        try:
            loaded = self.connection.execute(
                f"CREATE OR REPLACE TEMP TABLE piece AS SELECT row_number() OVER () AS n{chosen} FROM {scan}"
            ).fetchall()
        except (duckdb.InvalidInputException, duckdb.ConversionException):
            return False
        return bool(loaded[0][0] == piece.records)

    def _load_exactly(
        self, dialect: Dialect, sound: Mapping[int, bytes], positions: Sequence[int | None], options: Mapping[str, JSON]
    ) -> None:
        nulls = {b"", *(word.encode() for word in _null_words(options))}
        columns: list[list[str | None]] = [[] for _ in positions]
        for raw in sound.values():
            fields = fields_of(raw, dialect)
            for column, position in zip(columns, positions, strict=True):
                text, quoted = (b"", False) if position is None or isinstance(fields, str) else fields[position]
                column.append(None if not quoted and text in nulls else text.decode())
        chosen = "".join(f", unnest(${k + 2}::VARCHAR[]) AS t{k}" for k in range(len(positions)))
        self.connection.execute(f"CREATE OR REPLACE TEMP TABLE piece AS SELECT unnest($1::BIGINT[]) AS n{chosen}", [list(sound), *columns])


@contextmanager
def _explained(file: str) -> Iterator[None]:
    """What DuckDB can't carry out of a contract or of options: a pattern, a form of times, a time zone."""
    try:
        yield
    except (duckdb.InvalidInputException, duckdb.NotImplementedException, duckdb.BinderException) as error:
        said = str(error).partition("\n")[0]
        raise SourceError(
            f"`{file}` can't be checked against its contract and options: {said} "
            "Look at pattern=, which has no look-around or back-references, date_format=, datetime_format= and timezone=."
        ) from error


def _check_delimiter(names: tuple[str, ...], options: Mapping[str, JSON], file: str) -> None:
    """Without a contract, one column whose name holds another delimiter is not taken for a table."""
    advice = "" if options.get("names") or len(names) > 1 else delimiter_advice(names, str(options.get("delimiter", ",")))
    if advice:
        raise SourceError(f"The header of `{file}` is one column, `{names[0]}`. {advice} If it is one column, give the source a contract.")


def _screen(piece: Piece, width: int) -> tuple[dict[int, bytes], dict[int, str]]:
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
            odd[n] = found if isinstance(found, str) else f"record has {found} field{'s' if found != 1 else ''}, the header has {width}"
    return sound, odd


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


def _example(file: str, record: Record) -> str:
    raw = record.raw[:_EXAMPLE].decode("utf-8", "replace")
    return f"{file}:{record.line}: {raw}{'…' if len(record.raw) > _EXAMPLE else ''}"
