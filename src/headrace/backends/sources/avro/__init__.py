"""Avro object container files: records with a schema, in blocks of any of the codecs, cast by the contract.

`container` finds the blocks and counts their records, `codecs` undoes their compression, `schema` turns types into Arrow's, and `file` has
fastavro read the records. The invariant: each record that the blocks' headers count is in the rows or in the quarantine, once.
"""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path
from typing import TYPE_CHECKING

import fastavro  # noqa: F401  # so that what is missing is said when the flavour is loaded

from headrace.backends.sources.avro.container import BlockCounter
from headrace.backends.typed.format import TypedFormat
from headrace.core.means import ALONE, Means

if TYPE_CHECKING:
    from headrace.backends.typed.reading import TypedFile

__all__ = ["open"]


def open(means: Means = ALONE) -> TypedFormat:  # noqa: A001  # the name that every flavour has
    """The flavour `avro`. Its options are those of `headrace.avro`."""
    return TypedFormat(BlockCounter, _opened, _erased, means)


def _opened(path: Path, name: str) -> TypedFile:
    from headrace.backends.sources.avro.file import OpenedAvro

    return OpenedAvro(path, name)


def _erased(path: Path, name: str, target: Path, numbers: Container[int]) -> None:
    from headrace.backends.sources.avro.erasing import erase

    erase(path, name, target, numbers)
