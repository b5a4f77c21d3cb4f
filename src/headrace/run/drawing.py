"""The graph as it is drawn: promotions are part of their models, and a wire says which intervals it brings."""

from __future__ import annotations

from collections.abc import Sequence

from headrace.core.graph import Graph
from headrace.core.interval import format_duration
from headrace.core.receipt import Receipt
from headrace.core.step import Input, Promotion, Source, Step, Table, TrainedModel
from headrace.report.data import Edge, Node

__all__ = ["drawing_of"]


def drawing_of(graph: Graph, receipts: Sequence[Receipt] = ()) -> tuple[list[Node], list[Edge]]:
    """Nodes with their layers (and states, after a run), and the wires between them."""
    states = {r.step: r.state for r in receipts}
    steps = [step for step in graph.steps.values() if not isinstance(step, Promotion)]
    nodes = [Node(step.name, step.kind, _layer(step), states.get(step.name, "")) for step in steps]
    return nodes, [Edge(read.dataset.removesuffix(".promotion"), step.name, _reach(read)) for step in steps for read in step.inputs]


def _layer(step: Step) -> str:
    if isinstance(step, Source):
        return "silver"
    if isinstance(step, Table):
        return step.layer
    return "models" if isinstance(step, TrainedModel) else "gold"


def _reach(read: Input) -> str:
    if read.reach is None:
        return ""
    far, near = read.reach
    return format_duration(far) if not near else f"{format_duration(far)} to {format_duration(near)} ago"
