"""What a published interval looks like to those who read it: names, and the mark that says what is there. Pure.

    shop/spending/interval_start=2026-11-20/rows-0000.parquet
    shop/spending/interval_start=2026-11-20/_SUCCESS

Names stay the same from version to version, so that a reader who takes all that is there gets each row once. The invariant: the mark
is a function of the manifest, so an interval is published rightly if its mark has the bytes that `mark_of` gives.
"""

from __future__ import annotations

import re
from datetime import timedelta

from headrace.core.interval import Interval
from headrace.core.manifest import FileEntry, Manifest, canonical_json, time_text
from headrace.core.ports import JSON
from headrace.core.split import ROW_PARTS

__all__ = ["INTERVAL_COLUMN", "SPLIT_COLUMN", "SUCCESS", "files_of", "folder_of", "is_ours", "mark_of", "unfinished_mark"]

INTERVAL_COLUMN = "interval_start"
"""The column that readers get an interval's start in: from the name of its folder, or in an export."""

SPLIT_COLUMN = "split"
"""The column that an export gives the side of a split in."""

SUCCESS = "_SUCCESS"

_FORMAT = 1
_DAY = timedelta(days=1)
_OURS = re.compile(rf"(?:{'|'.join(ROW_PARTS)})-[0-9]{{4,}}\.parquet")


def folder_of(pipeline: str, dataset: str, interval: Interval) -> str:
    """The folder of an interval, in the manner of Hive: its start is a column to Spark, Athena, DuckDB, Polars and PyArrow.

    Whole days are named by their date alone, others by a text that no reader takes for something else (Polars alone reads `T0815` as
    a time). The length is not told, for all intervals of a dataset are of one grid.

    >>> folder_of("shop", "spending", Interval.of("2026-11-20", "2026-11-21"))
    'shop/spending/interval_start=2026-11-20'
    >>> folder_of("shop", "clicks", Interval.of("2026-11-20T08:15", "2026-11-20T08:30"))
    'shop/clicks/interval_start=2026-11-20T08-15'
    """
    start = interval.start
    is_days = not interval.length % _DAY and (start.hour, start.minute) == (0, 0)
    return f"{pipeline}/{dataset}/{INTERVAL_COLUMN}={start:{'%Y-%m-%d' if is_days else '%Y-%m-%dT%H-%M'}}"


def files_of(manifest: Manifest) -> tuple[tuple[str, FileEntry], ...]:
    """The files that are published of a commit, each with its part, in the order of parts: those that hold rows."""
    parts = sorted((part for part in manifest.content.parts if part.name in ROW_PARTS), key=lambda part: part.name)
    return tuple((part.name, file) for part in parts for file in part.files)


def is_ours(name: str) -> bool:
    """Whether a file of this name is one that a version of the dataset may have had: others in its folder are left alone."""
    return _OURS.fullmatch(name) is not None


def mark_of(manifest: Manifest) -> bytes:
    """What `_SUCCESS` says of a finished copy: the version, its digest, and exactly the files that count."""
    files: list[JSON] = [
        {"name": file.name, "part": part, "bytes": file.bytes, "rows": file.rows, "sha256": file.sha256}
        for part, file in files_of(manifest)
    ]
    return canonical_json({**_about(manifest), "complete": True, "digest": manifest.content.digest, "files": files}) + b"\n"


def unfinished_mark(manifest: Manifest) -> bytes:
    """What `_SUCCESS` says while a version takes the place of another."""
    return canonical_json({**_about(manifest), "complete": False}) + b"\n"


def _about(manifest: Manifest) -> dict[str, JSON]:
    interval: list[JSON] = [time_text(manifest.interval.start), time_text(manifest.interval.end)]
    return {"format": _FORMAT, "dataset": manifest.name, "interval": interval, "version": manifest.version}
