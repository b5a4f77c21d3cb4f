"""Which steps need earlier runs of their pipeline: those that read intervals which other runs make, and promotions.

Pure. The invariant: a step that is said not to need its past reads nothing but what its own run makes, so runs of it have no order.
"""

from __future__ import annotations

from headrace.core.graph import Graph
from headrace.core.step import Input, Promotion, Source, Step

__all__ = ["needs_past"]


def needs_past(graph: Graph, step: Step) -> bool:
    """Whether a step reads what earlier runs make: history, the newest of a coarser grid, a span of many runs; or is judged in time's order.

    A source that takes each file once has to know what was taken, and one that remembers keys which there were.
    """
    return (
        isinstance(step, Promotion)
        or (isinstance(step, Source) and (step.options.only_new or step.has_memory))
        or any(_is_earlier(graph, step, read) for read in step.inputs)
    )


def _is_earlier(graph: Graph, step: Step, read: Input) -> bool:
    if read.is_newest:
        return graph.steps[read.dataset].grid.nominal > graph.grid.nominal
    if read.is_within:
        return step.grid.nominal > graph.grid.nominal
    return read.reach is not None
