"""The quarantine's columns, the same for every format of source: a row for each record that was not kept.

Of a file of text, `line` is the physical line on which the record starts, from 1, and `byte_offset` where, from 0, in the file without its
compression; `raw` are its bytes as they came, the first MOST_RAW_BYTES of `raw_size`. Of a file whose columns have types of their own, they
are the record's number, where the block that holds it begins, and its values as a JSON object. What fills it is a source's format. The invariant: a record that is cut
says so, by a `raw_size` above the length of `raw`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from headrace.core.ports import JSON, Column, Schema

__all__ = ["MOST_RAW_BYTES", "QUARANTINE", "encoding_of"]

MOST_RAW_BYTES = 64 * 1024

QUARANTINE: Schema = (
    Column("file", "VARCHAR", nullable=False),
    Column("line", "BIGINT", nullable=False),
    Column("byte_offset", "BIGINT", nullable=False),
    Column("columns", "VARCHAR[]", nullable=False),
    Column("reasons", "VARCHAR[]", nullable=False),
    Column("raw", "BLOB", nullable=False),
    Column("raw_size", "BIGINT", nullable=False),
)


def encoding_of(details: Mapping[str, JSON], file: str) -> str:
    """The encoding of the raw bytes that come from a file, as the details of a source's commit tell it."""
    files = details.get("files")
    listed = files if isinstance(files, Sequence) else ()
    own = next((one.get("read_as") for one in listed if isinstance(one, Mapping) and one.get("name") == file), None)
    told = own or details.get("read_as")
    return str(told.get("encoding", "utf-8")) if isinstance(told, Mapping) else "utf-8"
