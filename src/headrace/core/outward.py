"""The port by which rows leave the lake for those who know nothing of it: tables in another format.

As in `headrace.core.ports`, nothing here does any work. The invariant: what goes out is named by interval and version, so that
giving it once more changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from headrace.core.interval import Interval

__all__ = ["Export", "ExportedRows", "Sent"]


@dataclass(frozen=True)
class ExportedRows:
    """The rows of one version of an interval. `files` gives Parquet files by side (`rows` alone where there is no split, or one side goes
    out), and is called only when they are needed: on a bucket it fetches them.
    """

    dataset: str
    interval: Interval
    version: int
    digest: str
    files: Callable[[], Mapping[str, Sequence[Path]]]


Sent = Literal["written", "standing", "newer"]


class Export(Protocol):
    """A table of others that holds the current rows of a dataset."""

    uri: str

    def send(self, rows: ExportedRows) -> Sent:
        """Have the table hold these rows as those of their interval, in place of an older version's: all at once, or not at all.

        The rows have a column `interval_start` besides their own, and those of a split a column `split`. `standing` when the table holds
        this version already, `newer` when it holds a later one; it is left alone then. DataError for rows that the table can't take, and
        for a table of something else; TransientError where trying again may help.
        """
        ...
