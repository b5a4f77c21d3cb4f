"""The graph of a pipeline as a picture: one SVG text that stands alone or inside a page, in light and dark.

Where things lie is decided in `graph_layout`. The invariant: what is told by colour is told in words too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from headrace.report.data import Edge, Node
from headrace.report.graph_layout import Box, Layout, lay_out, usable_edges
from headrace.report.markup import Markup, clip, join, number, raw, tag

__all__ = ["graph_svg"]

Direction = Literal["right", "down"]

_NAME_LENGTH = 32
_HEIGHT = 46.0
_MARGIN = 8.0
_SMALLEST = {"right": 0.78, "down": 0.66}  # how far a picture is scaled down before it scrolls
_STYLE = raw("""
.hrg{--ink:#1d2329;--soft:#59636e;--line:#8b95a1;--box:#fff;--edge:#d0d7de;--bad:#b3261e;font-family:ui-sans-serif,system-ui,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
@media (prefers-color-scheme:dark){.hrg{--ink:#e8ebee;--soft:#a3adb8;--line:#7a8590;--box:#1d2227;--edge:#3b444d;--bad:#ff8a80}}
.hrg .box{fill:var(--box);stroke:var(--edge)}
.hrg .name{fill:var(--ink);font:600 13px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono","Liberation Mono",monospace}
.hrg .about{fill:var(--soft);font-size:11.5px}
.hrg .wire{fill:none;stroke:var(--line);stroke-width:1.4}
.hrg .tip{fill:var(--line)}
.hrg .label{fill:var(--soft);font-size:11px;paint-order:stroke;stroke:var(--box);stroke-width:4px}
.hrg .k-source .bar{fill:#0072b2}.hrg .k-table .bar{fill:#009e73}.hrg .k-model .bar{fill:#d55e00}
.hrg .k-promotion .bar{fill:#cc79a7}.hrg .k-predictions .bar{fill:#e69f00}.hrg .bar{fill:var(--line)}
.hrg .s-failed .box{stroke:var(--bad);stroke-width:2}.hrg .s-failed .about{fill:var(--bad)}
.hrg .s-skipped .box,.hrg .s-blocked .box{stroke-dasharray:4 3}
""")
_KINDS = frozenset({"source", "table", "model", "promotion", "predictions"})
_STATES = frozenset({"made", "cached", "copied", "skipped", "failed", "blocked"})


def graph_svg(nodes: Sequence[Node], edges: Sequence[Edge], *, direction: Direction = "right", title: str = "The pipeline's steps") -> str:
    """The graph as SVG: sources at the left (or top), what is made of them to the right (or below).

    Edges to unknown nodes and edges that would close a cycle are left out. The text is complete: save it as a file, or
    put it into a page.
    """
    by_name = {node.name: node for node in nodes}
    pairs = usable_edges(list(by_name), ((edge.source, edge.target) for edge in edges))
    is_right = direction == "right"
    sizes = {name: (_width(node), _HEIGHT) if is_right else (_HEIGHT, _width(node)) for name, node in by_name.items()}
    layout = lay_out(sizes, pairs, rank_gap=58 if is_right else 34, gap=18 if is_right else 22)
    labels = {(edge.source, edge.target): edge.label for edge in edges}
    width, height = (layout.length, layout.breadth) if is_right else (layout.breadth, layout.length)
    drawn = [
        *(_wire(route, labels[pair], is_right=is_right) for pair, route in layout.routes.items()),
        *(_node(by_name[name], box, is_right=is_right) for name, box in layout.boxes.items()),
    ]
    full_width, full_height = width + 2 * _MARGIN, height + 2 * _MARGIN
    return tag(
        "svg",
        tag("title", title),
        tag("desc", _told(layout)),
        tag("style", _STYLE),
        tag("g", *drawn, transform=raw(f"translate({number(_MARGIN)} {number(_MARGIN)})")),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {number(full_width)} {number(full_height)}",
        width=full_width,
        height=full_height,
        role="img",
        class_="hrg",
        style=f"max-width:100%;height:auto;min-width:{full_width * _SMALLEST[direction]:.0f}px",
    )


def _told(layout: Layout) -> str:
    """The picture in words, for who cannot see it."""
    sentences = [f"{clip(target, _NAME_LENGTH)} reads {clip(source, _NAME_LENGTH)}" for source, target in list(layout.routes)[:200]]
    return f"{len(layout.boxes)} steps. " + ("; ".join(sentences) + "." if sentences else "")


def _about(node: Node) -> str:
    parts = [node.kind, node.layer if node.layer != node.kind else "", node.state]
    return " · ".join(clip(part, 16) for part in parts if part)


def _width(node: Node) -> float:
    return max(len(clip(node.name, _NAME_LENGTH)) * 7.95, len(_about(node)) * 6.6, 60) + 28


def _node(node: Node, box: Box, *, is_right: bool) -> Markup:
    width, height = (box.length, box.breadth) if is_right else (box.breadth, box.length)
    x, y = (box.along, box.across) if is_right else (box.across, box.along)
    x, y = x - width / 2, y - height / 2
    classes = f"k-{node.kind if node.kind in _KINDS else 'other'} s-{node.state if node.state in _STATES else 'none'}"
    return tag(
        "g",
        tag("title", f"{clip(node.name, 200)}: {_about(node)}"),
        tag("rect", x=x, y=y, width=width, height=height, rx=7, class_="box"),
        tag("rect", x=x + 7, y=y + 9, width=4, height=height - 18, rx=2, class_="bar"),
        tag("text", clip(node.name, _NAME_LENGTH), x=x + 19, y=y + 20, class_="name"),
        tag("text", _about(node), x=x + 19, y=y + 36, class_="about"),
        class_=classes,
    )


def _wire(route: Sequence[Box], label: str, *, is_right: bool) -> Markup:
    def point(along: float, across: float) -> str:
        return f"{number(along)} {number(across)}" if is_right else f"{number(across)} {number(along)}"

    tip = 6.0
    commands, at, side = [], route[0].along + route[0].length / 2, route[0].across
    commands.append("M" + point(at, side))
    for index, box in enumerate(route[1:], start=1):
        is_last = index == len(route) - 1
        start = box.along - box.length / 2 - (tip if is_last else 0)
        half = (at + start) / 2
        commands.append(f"C{point(half, side)} {point(half, box.across)} {point(start, box.across)}")
        at, side = (box.along + box.length / 2, box.across) if not is_last else (start, box.across)
        if not is_last and box.length:
            commands.append("L" + point(at, side))
    head = f"M{point(at + tip, side)}L{point(at - 1, side - 3.5)}L{point(at - 1, side + 3.5)}Z"
    parts = [tag("path", d=" ".join(commands), class_="wire"), tag("path", d=head, class_="tip")]
    if label:
        parts.append(_label(route, label, is_right=is_right))
    return join(parts)


def _label(route: Sequence[Box], label: str, *, is_right: bool) -> Markup:
    """What the edge says, in the middle of the gap after its source."""
    first, second = route[0], route[1]
    along = (first.along + first.length / 2 + second.along - second.length / 2) / 2
    across = (first.across + second.across) / 2
    x, y = (along, across - 5) if is_right else (across, along + 4)
    return tag("text", clip(label, 14), x=x, y=y, class_="label", text_anchor="middle")
