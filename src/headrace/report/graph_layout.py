"""Where the nodes of a graph lie when it is drawn in layers: ranks, order within a rank, coordinates.

Sugiyama's method in its plain form: longest-path ranks, barycentres to order them (Eades and Wormald), and coordinates that come
as near to their neighbours as the order allows (isotonic regression). Nothing here knows of SVG. The invariant: equal
graphs give equal layouts, and an edge always goes from a lower rank to a higher one; edges that would close a cycle are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

__all__ = ["Box", "Layout", "lay_out", "ranks", "usable_edges"]

_SWEEPS = 8
Pair = tuple[str, str]
# A place in a rank: a node's name, or the pair of an edge that only passes through and the rank.
Place = str | tuple[str, str, int]


@dataclass(frozen=True)
class Box:
    """A node's or a passing edge's place: `along` runs with the edges, `across` from side to side; both are centres."""

    along: float
    across: float
    length: float
    breadth: float


@dataclass(frozen=True)
class Layout:
    """Boxes by node, and for each edge the boxes that it passes through, source and target included."""

    boxes: Mapping[str, Box]
    routes: Mapping[Pair, tuple[Box, ...]]
    length: float
    breadth: float


def usable_edges(names: Sequence[str], pairs: Iterable[Pair]) -> list[Pair]:
    """The edges between known nodes, once each and without those that would close a cycle; in the order given."""
    readers: dict[str, list[str]] = {name: [] for name in names}
    kept: list[Pair] = []
    for source, target in dict.fromkeys(pairs):
        if source in readers and target in readers and not _reaches(target, source, readers):
            readers[source].append(target)
            kept.append((source, target))
    return kept


def ranks(names: Sequence[str], edges: Sequence[Pair]) -> dict[str, int]:
    """The longest way from any start to each node; a start is drawn up to just before its first reader."""
    inputs: dict[str, list[str]] = {name: [] for name in names}
    readers: dict[str, list[str]] = {name: [] for name in names}
    for source, target in edges:
        inputs[target].append(source)
        readers[source].append(target)
    rank: dict[str, int] = {}
    for name in _in_order(names, inputs):
        rank[name] = max((rank[source] + 1 for source in inputs[name]), default=0)
    for name in names:
        if readers[name] and not inputs[name]:
            rank[name] = min(rank[target] for target in readers[name]) - 1
    return rank


def lay_out(sizes: Mapping[str, tuple[float, float]], edges: Sequence[Pair], *, rank_gap: float, gap: float) -> Layout:
    """Place nodes of the given (length, breadth); `edges` are usable ones."""
    names = list(sizes)
    rank = ranks(names, edges)
    routes = {edge: _route(edge, rank) for edge in edges}
    order = _ordered(names, rank, routes)
    across = _across(order, routes, {name: sizes[name][1] for name in names}, gap)
    boxes: dict[Place, Box] = {}
    start = 0.0
    for row in order:
        length = max((sizes[place][0] for place in row if isinstance(place, str)), default=0.0)
        for place in row:
            own = sizes[place] if isinstance(place, str) else (length, 0.0)
            boxes[place] = Box(start + own[0] / 2, across[place], own[0], own[1])
        start += length + rank_gap
    breadth = max((box.across + box.breadth / 2 for box in boxes.values()), default=0.0)
    return Layout(
        {name: boxes[name] for name in names},
        {edge: tuple(boxes[place] for place in route) for edge, route in routes.items()},
        max(start - rank_gap, 0.0),
        breadth,
    )


def _reaches(start: str, goal: str, readers: Mapping[str, Sequence[str]]) -> bool:
    waiting, seen = [start], {start}
    while waiting:
        name = waiting.pop()
        if name == goal:
            return True
        fresh = [reader for reader in readers[name] if reader not in seen]
        seen.update(fresh)
        waiting.extend(fresh)
    return False


def _in_order(names: Sequence[str], inputs: Mapping[str, Sequence[str]]) -> list[str]:
    done: dict[str, None] = {}
    waiting = list(names)
    while waiting:
        ready = [name for name in waiting if all(source in done for source in inputs[name])]
        done.update(dict.fromkeys(ready))
        waiting = [name for name in waiting if name not in done]
    return list(done)


def _route(edge: Pair, rank: Mapping[str, int]) -> tuple[Place, ...]:
    source, target = edge
    passing = [(source, target, step) for step in range(rank[source] + 1, rank[target])]
    return (source, *passing, target)


def _ordered(names: Sequence[str], rank: Mapping[str, int], routes: Mapping[Pair, Sequence[Place]]) -> list[list[Place]]:
    rows: list[list[Place]] = [[] for _ in range(max(rank.values(), default=-1) + 1)]
    for name in names:
        rows[rank[name]].append(name)
    for route in routes.values():
        for place in route[1:-1]:
            rows[int(place[2])].append(place)
    above, below = _neighbours(routes)
    best, best_crossings = rows, _crossings(rows, below)
    for sweep in range(_SWEEPS):
        is_down = sweep % 2 == 0
        rows = _swept(rows, above if is_down else below, is_down=is_down)
        crossings = _crossings(rows, below)
        if crossings < best_crossings:
            best, best_crossings = rows, crossings
    return best


def _neighbours(routes: Mapping[Pair, Sequence[Place]]) -> tuple[dict[Place, list[Place]], dict[Place, list[Place]]]:
    above: dict[Place, list[Place]] = {}
    below: dict[Place, list[Place]] = {}
    for route in routes.values():
        for upper, lower in pairwise(route):
            above.setdefault(lower, []).append(upper)
            below.setdefault(upper, []).append(lower)
    return above, below


def _swept(rows: Sequence[Sequence[Place]], neighbours: Mapping[Place, Sequence[Place]], *, is_down: bool) -> list[list[Place]]:
    result = [list(row) for row in rows]
    for index in range(len(rows)) if is_down else reversed(range(len(rows))):
        position = {place: at for row in result for at, place in enumerate(row)}

        def barycentre(place: Place, position: Mapping[Place, int] = position) -> float:
            near = neighbours.get(place, ())
            return sum(position[other] for other in near) / len(near) if near else float(position[place])

        result[index].sort(key=barycentre)
    return result


def _crossings(rows: Sequence[Sequence[Place]], below: Mapping[Place, Sequence[Place]]) -> int:
    count = 0
    for row, after in pairwise(rows):
        position = {place: at for at, place in enumerate(after)}
        ends = [sorted(position[other] for other in below.get(place, ())) for place in row]
        for index, right in enumerate(ends):
            count += sum(1 for left in ends[:index] for a in left for b in right if a > b)
    return count


def _across(
    rows: Sequence[Sequence[Place]], routes: Mapping[Pair, Sequence[Place]], breadths: Mapping[str, float], gap: float
) -> dict[Place, float]:
    """Centres from side to side: each as near to the mean of its neighbours as the order and the gaps allow."""
    above, below = _neighbours(routes)
    at: dict[Place, float] = {}
    for row in rows:
        at.update(zip(row, _packed([0.0] * len(row), row, breadths, gap), strict=True))
    for sweep in range(_SWEEPS):
        is_down = sweep % 2 == 0
        for row in rows if is_down else reversed(rows):
            wanted = []
            for place in row:
                near = (above if is_down else below).get(place, ()) or (below if is_down else above).get(place, ())
                wanted.append(sum(at[other] for other in near) / len(near) if near else at[place])
            at.update(zip(row, _packed(wanted, row, breadths, gap), strict=True))
    lowest = min((at[place] - _breadth(place, breadths) / 2 for row in rows for place in row), default=0.0)
    return {place: value - lowest for place, value in at.items()}


def _breadth(place: Place, breadths: Mapping[str, float]) -> float:
    return breadths[place] if isinstance(place, str) else 0.0


def _packed(wanted: Sequence[float], row: Sequence[Place], breadths: Mapping[str, float], gap: float) -> list[float]:
    """The positions nearest to `wanted` (least squares) that keep the order and the gaps: pool adjacent violators."""
    offsets, offset = [], 0.0
    for index, place in enumerate(row):
        if index:
            offset += (_breadth(row[index - 1], breadths) + _breadth(place, breadths)) / 2 + gap
        offsets.append(offset)
    pools: list[tuple[float, int]] = []
    for want, own in zip(wanted, offsets, strict=True):
        mean, count = want - own, 1
        while pools and pools[-1][0] > mean:
            before, size = pools.pop()
            mean, count = (before * size + mean * count) / (size + count), size + count
        pools.append((mean, count))
    levels = [mean for mean, count in pools for _ in range(count)]
    return [level + own for level, own in zip(levels, offsets, strict=True)]
