"""The Delta export: the current rows of a dataset as a Delta table, one Delta commit for each version of an interval.

A commit replaces the rows of its interval and sets a transaction of the table, an application's id with a version: the id is the
interval's, the version the lake's. So an export that was killed, or comes twice, finds what stands. The invariant: a commit is put on the
very version of the table whose transactions were looked at, or not at all (`max_commit_retries=0`), so two at once never both write.

The table is partitioned by `interval_start`: to replace an interval is then to drop its files, without reading a row, and no compaction
ever puts two intervals into one file.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake import Schema as DeltaSchema
from deltalake.exceptions import CommitFailedError, TableNotFoundError

from headrace.core.errors import DataError, HeadraceError, TransientError
from headrace.core.manifest import time_text
from headrace.core.outward import ExportedRows, Sent
from headrace.core.published import INTERVAL_COLUMN, SPLIT_COLUMN

__all__ = ["DeltaExport", "open"]

_TRIES = 20
_PAUSE_S = 0.05
_STAMP = pa.timestamp("us", "UTC")
_WIDER = {pa.uint8(): pa.int16(), pa.uint16(): pa.int32(), pa.uint32(): pa.int64(), pa.uint64(): pa.decimal128(20, 0)}
"""Delta has no unsigned numbers: each is kept whole in the next wider type."""


def open(uri: str, *, options: Mapping[str, str] | None = None) -> DeltaExport:  # noqa: A001  # every flavour's module has this function
    """The table at a path or URI, made by the first export. `options` are those of deltalake's `storage_options`."""
    return DeltaExport(uri, dict(options or {}) or None)


class DeltaExport:
    """See `headrace.core.outward.Export`."""

    def __init__(self, uri: str, options: dict[str, str] | None) -> None:
        self.uri = uri
        self._options = options

    def send(self, rows: ExportedRows) -> Sent:
        for attempt in range(_TRIES):
            table = self._table()
            held = None if table is None else self._held(table, rows)
            if held is not None and held >= rows.version:
                return "standing" if held == rows.version else "newer"
            try:
                self._write(table, rows)
            except CommitFailedError:  # another commit was first
                time.sleep(random.uniform(0, _PAUSE_S * (attempt + 1)))  # noqa: S311  # jitter, no secret
                continue
            return "written"
        raise TransientError(
            f"Other writers were first at the Delta table {self.uri} {_TRIES} times, so {_named(rows)} is not in it. Run again."
        )

    def _table(self) -> DeltaTable | None:
        try:
            return DeltaTable(self.uri, storage_options=self._options)
        except TableNotFoundError:
            return None
        except Exception as error:  # noqa: BLE001  # the library raises bare exceptions, too
            _tell(error, f"The Delta table {self.uri} could not be opened")

    def _held(self, table: DeltaTable, rows: ExportedRows) -> int | None:
        """The version of an interval that the table holds."""
        name = table.metadata().name
        if name != rows.dataset:
            raise DataError(
                f"The Delta table {self.uri} is {f'of `{name}`' if name else 'not one that headrace made'}, and `{rows.dataset}` was to be "
                "exported to it. Name another place: a table holds one dataset."
            )
        return table.transaction_version(_transaction(rows))

    def _write(self, table: DeltaTable | None, rows: ExportedRows) -> None:
        files = rows.files()
        schema = _schema(rows, files)
        if table is not None:
            self._check_types(table, schema, rows)
        data = pa.RecordBatchReader.from_batches(schema, _batches(schema, files, rows))
        keys = [INTERVAL_COLUMN]
        told = _commit_of(rows)
        try:
            if table is None:
                write_deltalake(self.uri, data, partition_by=keys, name=rows.dataset, storage_options=self._options, commit_properties=told)
            else:
                ours = f"{INTERVAL_COLUMN} = '{time_text(rows.interval.start)}'"
                write_deltalake(
                    table, data, mode="overwrite", predicate=ours, schema_mode="merge", partition_by=keys, commit_properties=told
                )
        except CommitFailedError:
            raise
        except Exception as error:  # the library raises bare exceptions, too
            if table is None and self._table() is not None:
                raise CommitFailedError("another export made the table") from error
            _tell(error, f"{_named(rows)} could not be written to the Delta table {self.uri}")

    def _check_types(self, table: DeltaTable, schema: pa.Schema, rows: ExportedRows) -> None:
        """The library would cast to the types of the table, and lose what does not fit."""
        there = {field.name: field.type for field in table.schema().fields}
        for field in DeltaSchema.from_arrow(schema).fields:
            if there.get(field.name, field.type) != field.type:
                raise DataError(
                    f"{_named(rows)} can't be exported to the Delta table {self.uri}: its column `{field.name}` is {_type(field.type)}, and "
                    f"{_type(there[field.name])} in the table. Export to a new table, or make the column what it was."
                )


def _commit_of(rows: ExportedRows) -> CommitProperties:
    """What the table's history says of a commit, and what keeps it from being put twice."""
    about = {"dataset": rows.dataset, "interval": rows.interval.label, "version": str(rows.version), "digest": rows.digest}
    return CommitProperties(
        custom_metadata={f"headrace.{name}": text for name, text in about.items()},
        max_commit_retries=0,
        app_transactions=[Transaction(_transaction(rows), rows.version)],
    )


def _schema(rows: ExportedRows, files: Mapping[str, Sequence[Path]]) -> pa.Schema:
    """The columns of the table: those of the rows, all nullable, and what headrace adds."""
    first = next(path for paths in files.values() for path in paths)
    fields = [pa.field(field.name, _WIDER.get(field.type, field.type)) for field in pq.read_schema(first)]
    added = {INTERVAL_COLUMN: _STAMP, **({} if set(files) == {"rows"} else {SPLIT_COLUMN: pa.string()})}
    for name in added:
        if any(field.name.lower() == name for field in fields):
            raise DataError(f"{_named(rows)} can't be exported: it has a column `{name}`, which the export adds. Call it something else.")
    schema = pa.schema([*fields, *(pa.field(name, kind) for name, kind in added.items())])
    for field in schema:
        try:
            DeltaSchema.from_arrow(pa.schema([field]))
        except Exception as error:  # the library raises bare exceptions, too
            raise DataError(
                f"{_named(rows)} can't be exported: Delta Lake has no type for its column `{field.name}` ({field.type}). "
                "Make it another one, such as text."
            ) from error
    return schema


def _batches(schema: pa.Schema, files: Mapping[str, Sequence[Path]], rows: ExportedRows) -> Iterator[pa.RecordBatch]:
    for side, paths in files.items():
        for path in paths:
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches():
                    added = {INTERVAL_COLUMN: rows.interval.start, SPLIT_COLUMN: side}
                    columns = [
                        pa.repeat(pa.scalar(added[field.name], field.type), batch.num_rows)
                        if field.name in added
                        else batch.column(field.name).cast(field.type)
                        for field in schema
                    ]
                    yield pa.RecordBatch.from_arrays(columns, schema=schema)


def _transaction(rows: ExportedRows) -> str:
    return f"headrace/{rows.dataset}/{time_text(rows.interval.start)}"


def _named(rows: ExportedRows) -> str:
    return f"{rows.dataset} {rows.interval.label} v{rows.version}"


def _type(kind: object) -> str:
    return str(getattr(kind, "type", kind))


def _tell(error: Exception, what: str) -> NoReturn:
    """The library's error in a line, without its traceback of another language."""
    if isinstance(error, HeadraceError):
        raise error
    text = f"{what}: {str(error).partition(chr(10))[0]}"
    if isinstance(error, OSError):
        raise TransientError(text) from error
    raise DataError(text) from error
