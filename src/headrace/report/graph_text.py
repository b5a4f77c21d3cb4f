"""The graph of a pipeline as text for a terminal: one line a step, its inputs drawn as lanes from above.

A lane hangs from every step that is still to be read; a step stands to the right of the lanes that it reads. The invariant:
without colour and in ASCII it says the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from headrace.report.data import Edge, Node
from headrace.report.graph_layout import usable_edges

__all__ = ["graph_text"]


@dataclass(frozen=True)
class _Strokes:
    node: str
    lane: str
    across: str
    tee: str
    end: str
    tee_on: str
    end_on: str
    arrow: str


_LINES = _Strokes("●", "│", "─", "├", "╰", "┼", "┴", "←")
_ASCII = _Strokes("*", "|", "-", "|", "`", "+", "'", "<-")


def graph_text(nodes: Sequence[Node], edges: Sequence[Edge], *, is_ascii: bool = False) -> str:
    """The graph, a line a step in an order in which each comes after what it reads; ends with a newline.

    >>> from headrace.report.data import Edge, Node
    >>> print(graph_text([Node("trips", "source"), Node("clean", "table")], [Edge("trips", "clean")], is_ascii=True), end="")
    * trips  source
    |
    * clean  table   <- trips
    """
    by_name = {node.name: node for node in nodes}
    pairs = usable_edges(list(by_name), ((edge.source, edge.target) for edge in edges))
    labels = {(edge.source, edge.target): edge.label for edge in edges}
    rows = _drawn(list(by_name), pairs, _ASCII if is_ascii else _LINES)
    width = max((len(row) + 1 + len(name) for row, name in rows if name), default=0)
    kinds = max((len(_about(node)) for node in nodes), default=0)
    lines = []
    for row, name in rows:
        if not name:
            lines.append(row)
            continue
        reads = ", ".join(_read(source, labels[source, target]) for source, target in pairs if target == name)
        about = _about(by_name[name]).ljust(kinds)
        tail = f"  {(_ASCII if is_ascii else _LINES).arrow} {reads}" if reads else ""
        lines.append(f"{f'{row} {name}'.ljust(width)}  {about}{tail}")
    return "".join(line.rstrip() + "\n" for line in lines)


def _about(node: Node) -> str:
    return " ".join(part for part in (node.kind, node.layer, node.state) if part)


def _read(source: str, label: str) -> str:
    return f"{source} ({label})" if label else source


def _drawn(names: Sequence[str], pairs: Sequence[tuple[str, str]], strokes: _Strokes) -> list[tuple[str, str]]:
    """Rows of (drawing, name); a row that only carries lanes on has no name."""
    waiting = {name: [target for source, target in pairs if source == name] for name in names}
    inputs = {name: [source for source, target in pairs if target == name] for name in names}
    lanes: list[str | None] = []
    rows: list[tuple[str, str]] = []
    for name in _walk(names, inputs, waiting):
        for source in inputs[name]:
            waiting[source].remove(name)
        read = [index for index, lane in enumerate(lanes) if lane in inputs[name]]
        ending = [index for index in read if not waiting[str(lanes[index])]]
        if len(read) == 1 and read == ending:
            place = read[0]
            rows.append((_carried(lanes, strokes), ""))
        else:
            place = _free(lanes, after=max(read, default=-1))
            if not read and rows:
                rows.append((_carried(lanes, strokes), ""))
        rows.append((_row(lanes, read, ending, place, strokes), name))
        for index in ending:
            lanes[index] = None
        lanes.extend([None] * (place + 1 - len(lanes)))
        lanes[place] = name if waiting[name] else None
    return rows


def _walk(names: Sequence[str], inputs: Mapping[str, Sequence[str]], readers: Mapping[str, Sequence[str]]) -> list[str]:
    """Each step after what it reads, and otherwise as soon after it as can be: lanes stay short."""
    done: dict[str, None] = {}
    stack = [name for name in reversed(names) if not inputs[name]]
    while stack:
        name = stack.pop()
        done[name] = None
        ready = [reader for reader in readers[name] if reader not in stack and all(source in done for source in inputs[reader])]
        stack.extend(reversed(ready))
    return list(done)


def _free(lanes: Sequence[str | None], *, after: int) -> int:
    return next((index for index in range(after + 1, len(lanes)) if lanes[index] is None), max(len(lanes), after + 1))


def _carried(lanes: Sequence[str | None], strokes: _Strokes) -> str:
    return " ".join(strokes.lane if lane else " " for lane in lanes).rstrip()


def _row(lanes: Sequence[str | None], read: Sequence[int], ending: Sequence[int], place: int, strokes: _Strokes) -> str:
    first = read[0] if read else place
    cells = []
    for index in range(max(len(lanes), place + 1)):
        cells.append(_cell(index, lanes, read, ending, place, strokes))
        cells.append(strokes.across if first <= index < place else " ")
    return "".join(cells).rstrip()


def _cell(index: int, lanes: Sequence[str | None], read: Sequence[int], ending: Sequence[int], place: int, strokes: _Strokes) -> str:
    lane = lanes[index] if index < len(lanes) else None
    if index == place:
        return strokes.node
    if index in read:
        if index == read[0]:
            return strokes.end if index in ending else strokes.tee
        return strokes.end_on if index in ending else strokes.tee_on
    if lane:
        return strokes.lane
    is_between = bool(read) and read[0] < index < place
    return strokes.across if is_between else " "
