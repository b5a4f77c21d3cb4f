"""Frames: what a step's function receives of a dataset, and which kind of frame an annotation asks for.

Deciding reads names only: an annotation may be a class, or text that was never evaluated because its import stands under
`TYPE_CHECKING`. The invariant: no library of frames is ever imported to find out that one is meant.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from headrace.core.ports import FrameKind, Schema

__all__ = ["Frame", "frame_kind", "module_imports"]

_KINDS: Mapping[tuple[str, str], FrameKind] = {
    ("headrace", "Frame"): "frame",
    ("duckdb", "DuckDBPyRelation"): "duckdb",
    ("pyarrow", "Table"): "arrow",
    ("polars", "DataFrame"): "polars",
    ("polars", "LazyFrame"): "polars_lazy",
    ("pandas", "DataFrame"): "pandas",
    ("ibis", "Table"): "ibis",
}


@dataclass(frozen=True)
class Frame:
    """A dataset to name in SQL: written into an f-string, it is its quoted name.

    >>> from headrace.core.ports import Column
    >>> trips = Frame("trips", (Column("id", "BIGINT"), Column("fare", "DOUBLE")))
    >>> f"select avg(fare) from {trips}"
    'select avg(fare) from "trips"'
    >>> trips.columns
    ('id', 'fare')
    """

    name: str
    schema: Schema

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.schema)

    def __str__(self) -> str:
        return '"' + self.name.replace('"', '""') + '"'


def frame_kind(annotation: object, imports: Mapping[str, str]) -> FrameKind | None:
    """The kind of frame that an annotation asks for; None when it asks for something else.

    `imports` says what the names in a textual annotation stand for, as `module_imports` gives them.

    >>> frame_kind("pl.LazyFrame", {"pl": "polars"})
    'polars_lazy'
    >>> frame_kind(int, {}) is None
    True
    """
    forward = getattr(annotation, "__forward_arg__", annotation)
    if isinstance(forward, str):
        dotted = _resolved(forward.strip().strip("'\"").strip(), imports)
    elif isinstance(annotation, type):
        dotted = f"{annotation.__module__}.{annotation.__qualname__}"
    else:
        return None
    package, _, rest = dotted.partition(".")
    return _KINDS.get((package.removeprefix("_"), rest.rpartition(".")[2]))


def module_imports(source_text: str) -> dict[str, str]:
    r"""What the imports at a module's top stand for, also those under `if TYPE_CHECKING`: local name -> dotted name.

    >>> module_imports("import polars as pl\nfrom pandas import DataFrame")
    {'pl': 'polars', 'DataFrame': 'pandas.DataFrame'}
    """
    found: dict[str, str] = {}
    for node in _statements(ast.parse(source_text).body):
        if isinstance(node, ast.Import):
            found |= {(a.asname or a.name.partition(".")[0]): (a.name if a.asname else a.name.partition(".")[0]) for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            found |= {(a.asname or a.name): f"{module}.{a.name}" for a in node.names if a.name != "*"}
    return found


def _resolved(name: str, imports: Mapping[str, str]) -> str:
    head, dot, rest = name.partition(".")
    return imports.get(head, head) + dot + rest


def _statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        yield node
        if isinstance(node, ast.If | ast.Try | ast.With):
            yield from _statements(node.body)
            yield from _statements(getattr(node, "orelse", ()))
            for handler in getattr(node, "handlers", ()):
                yield from _statements(handler.body)
