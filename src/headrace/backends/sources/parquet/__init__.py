"""Parquet files: typed columns, read by PyArrow and cast by the contract.

`footer` counts the records by what the file's footer says of each row group, before anything is read; `file` reads the row groups in
batches. The invariant: each record that the footer counts is in the rows or in the quarantine, once.
"""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.backends.sources.parquet.footer import FooterCounter
from headrace.backends.typed.format import TypedFormat
from headrace.core.means import ALONE, Means

if TYPE_CHECKING:
    from headrace.backends.typed.reading import TypedFile

__all__ = ["open"]


def open(means: Means = ALONE) -> TypedFormat:  # noqa: A001  # the name that every flavour has
    """The flavour `parquet`. Its options are those of `headrace.parquet`."""
    return TypedFormat(FooterCounter, _opened, _erased, means)


def _opened(path: Path, name: str) -> TypedFile:
    from headrace.backends.sources.parquet.file import OpenedParquet

    return OpenedParquet(path, name)


def _erased(path: Path, name: str, target: Path, numbers: Container[int]) -> None:
    from headrace.backends.sources.parquet.erasing import erase

    erase(path, name, target, numbers)
