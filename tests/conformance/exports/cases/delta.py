"""How to make a fresh Delta table, and how others read it."""

import pytest

pytest.importorskip("deltalake")

from deltalake import DeltaTable

from headrace.backends.exports import delta


def fresh(folder):
    return delta.open(str(folder / "table"))


def read(export):
    """The table as Arrow."""
    return DeltaTable(export.uri).to_pyarrow_table()


def writes(export):
    """How often the table was written to."""
    return DeltaTable(export.uri).version() + 1
