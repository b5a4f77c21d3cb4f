"""Records taken out of a Parquet file: it is written again, a row group at a time, with its schema and its compression.

The invariant: the records that are left have the values that they had, in their order; their bytes in the file are others.
"""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from headrace.core.errors import SourceError

__all__ = ["erase"]

_CODECS = {"UNCOMPRESSED": "NONE", "LZ4_RAW": "LZ4", "LZO": "ZSTD"}


def erase(path: Path, name: str, target: Path, numbers: Container[int]) -> None:
    """Write a file without the records of some numbers, from 1."""
    first = 1
    try:
        with (
            parquet.ParquetFile(path, coerce_int96_timestamp_unit="us", page_checksum_verification=True) as file,
            parquet.ParquetWriter(target, file.schema_arrow, compression=_compression(file.metadata)) as writer,
        ):
            for number in range(file.num_row_groups):
                group = file.read_row_group(number, use_threads=False)
                kept = group.filter(pa.array([n not in numbers for n in range(first, first + group.num_rows)], pa.bool_()))
                first += group.num_rows
                if kept.num_rows:
                    writer.write_table(kept, row_group_size=kept.num_rows)
    except (pa.ArrowException, OSError) as error:
        said = str(error).partition("\n")[0].rstrip(". ")
        raise SourceError(f"`{name}` can't be written again without some of its records: {said}.") from error


def _compression(metadata: parquet.FileMetaData) -> dict[str, str] | str:
    """How each column is compressed, by the first row group."""
    if not metadata.num_row_groups:
        return "NONE"
    group = metadata.row_group(0)
    columns = [group.column(n) for n in range(group.num_columns)]
    return {column.path_in_schema: _CODECS.get(column.compression, column.compression) for column in columns}
