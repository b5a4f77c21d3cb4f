"""Which frame an annotation asks for."""

from __future__ import annotations

from typing import ForwardRef

import duckdb
import ibis
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from headrace.core.frame import Frame, frame_kind, module_imports

SOURCE = """
from __future__ import annotations
from typing import TYPE_CHECKING
import headrace as hr
if TYPE_CHECKING:
    import polars as pl
    import ibis.expr.types as ir, ibis
    from pandas import DataFrame as PandasFrame
    from pyarrow import Table
    from .own import Table as Mine
try:
    from duckdb import DuckDBPyRelation
except ImportError:
    import duckdb.fake as other
def inside():
    import pandas as pl
"""


@pytest.mark.parametrize(
    ("annotation", "kind"),
    [
        (ibis.Table, "ibis"),
        (pl.LazyFrame, "polars_lazy"),
        (pl.DataFrame, "polars"),
        (pd.DataFrame, "pandas"),
        (pa.Table, "arrow"),
        (duckdb.DuckDBPyRelation, "duckdb"),
        (Frame, "frame"),
        (pd.Series, None),
        (int, None),
        (None, None),
        (list[int], None),
    ],
)
def test_a_class_says_its_kind(annotation: object, kind: str | None) -> None:
    assert frame_kind(annotation, {}) == kind


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("pl.LazyFrame", "polars_lazy"),
        ("pl.DataFrame", "polars"),
        ("ir.Table", "ibis"),
        ("ibis.Table", "ibis"),
        ("PandasFrame", "pandas"),
        ("Table", "arrow"),
        ("DuckDBPyRelation", "duckdb"),
        ("hr.Frame", "frame"),
        ("'pl.DataFrame'", "polars"),
        ("Mine", None),
        ("DataFrame", None),
        ("unknown.DataFrame", None),
        ("int", None),
        ("hr.Interval", None),
    ],
)
def test_text_says_its_kind_by_the_modules_imports(text: str, kind: str | None) -> None:
    imports = module_imports(SOURCE)
    assert frame_kind(text, imports) == kind
    if not text.startswith("'"):
        assert frame_kind(ForwardRef(text), imports) == kind
