"""The plots of a model, drawn as inline SVG from the bounded data that its backend left.

Which plots there are follows from the keys of the data: `regression`, `classification`, `clustering`, `importance`. The
invariant: data that is not of the shape that a plot needs gives no plot, and never an error; a report is always made.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

from headrace.core.ports import JSON
from headrace.report.axes import Scale, figure, frame, short, spanning
from headrace.report.markup import Markup, clip, join, number, tag

__all__ = ["Bounds", "draw"]

# Okabe and Ito's colours, told apart with any colour vision; beyond them the marks repeat with another shape.
_COLOURS = 8
_LARGEST = 1e100

T = TypeVar("T")


@dataclass(frozen=True)
class Bounds:
    """How much of a plot's data is drawn."""

    points: int = 1000
    bars: int = 20
    classes: int = 12


def draw(plots: Mapping[str, JSON], bounds: Bounds) -> list[Markup]:
    """A figure for each plot that the data can give, in a fixed order."""
    drawers: Sequence[tuple[str, Callable[[JSON, Bounds], list[Markup]]]] = (
        ("regression", _regression),
        ("classification", _classification),
        ("clustering", _clustering),
        ("importance", _importance),
    )
    return [shape for key, drawer in drawers if key in plots for shape in drawer(plots[key], bounds)]


# ---------------------------------------------------------------- regression


def _regression(data: JSON, bounds: Bounds) -> list[Markup]:
    actual, predicted = _floats(_at(data, "actual")), _floats(_at(data, "predicted"))
    pairs = _thinned(_paired(actual, predicted), bounds.points)
    if len(pairs) < 2:
        return []
    note = f"{len(pairs):,} of {len(actual):,} rows drawn" if len(pairs) < len(actual) else ""
    residuals = [value for value in _floats(_at(data, "residuals")) if math.isfinite(value)] or [a - p for a, p in pairs]
    return [_against(pairs, note), _residuals(residuals)]


def _against(pairs: Sequence[tuple[float, float]], note: str) -> Markup:
    box = frame(spanning([a for a, _ in pairs]), spanning([p for _, p in pairs]), x_label="actual", y_label="predicted", is_square=True)
    ends = (box.x.low, box.x.high)
    line = tag("line", x1=box.x(ends[0]), y1=box.y(ends[0]), x2=box.x(ends[1]), y2=box.y(ends[1]), class_="guide")
    dots = join(tag("circle", cx=box.x(a), cy=box.y(p), r=3.2, class_="dot") for a, p in pairs)
    told = "Each dot is a row of the test side; on the dashed line a prediction is exact."
    return figure("Predicted against actual", told, join([box.back, line, dots]), width=box.width, height=box.height, note=note)


def _residuals(values: Sequence[float]) -> Markup:
    low, high = spanning(values)
    if not high > low:
        low, high = low - 0.5, high + 0.5
    bins = min(max(math.ceil(2 * len(values) ** (1 / 3)), 5), 40)  # Rice's rule
    width = (high - low) / bins
    counts = [0] * bins
    for value in values:
        counts[min(int((value - low) / width), bins - 1)] += 1
    box = frame((low, high), (0, max(counts)), x_label="actual − predicted", y_label="rows")
    bars = join(
        tag(
            "rect",
            x=box.x(low + index * width) + 0.5,
            width=max(box.x(low + width) - box.x(low) - 1, 1),
            y=box.y(count),
            height=box.y(0) - box.y(count),
            class_="area",
        )
        for index, count in enumerate(counts)
        if count
    )
    zero = tag("line", x1=box.x(0), x2=box.x(0), y1=box.y.start, y2=box.y.stop, class_="guide") if box.x.low <= 0 <= box.x.high else None
    mean = sum(values) / len(values)
    spread = math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))
    told = f"Mean {short(mean)}, standard deviation {short(spread)}; a mean far from 0 is a bias."
    return figure("Residuals", told, join([box.back, bars, zero]), width=box.width, height=box.height)


# ---------------------------------------------------------------- classification


def _classification(data: JSON, bounds: Bounds) -> list[Markup]:
    return [*_confusion(data, bounds), *_roc(_at(data, "roc"))]


def _confusion(data: JSON, bounds: Bounds) -> list[Markup]:
    rows = [[max(value, 0.0) for value in _floats(row) if math.isfinite(value)] for row in _list(_at(data, "confusion"))]
    size = len(rows)
    if size < 2 or any(len(row) != size for row in rows):
        return []
    given = [clip(str(name), 24) for name in _list(_at(data, "classes"))]
    names = given if len(given) == size else [str(index) for index in range(size)]
    shown = min(size, bounds.classes)
    note = f"{shown} of {size} classes shown" if shown < size else ""
    head = tag("tr", tag("td"), *(tag("th", name, scope="col") for name in names[:shown]))
    body = [tag("tr", tag("th", name, scope="row"), *_heat(row, shown)) for name, row in zip(names[:shown], rows[:shown], strict=True)]
    total, right = sum(map(sum, rows)), sum(rows[index][index] for index in range(size))
    told = f"Rows are the actual class, columns the predicted one. {right:,.0f} of {total:,.0f} rows are right."
    caption = tag("caption", tag("strong", "Confusion matrix"), tag("span", told), tag("small", note) if note else None)
    table = tag("table", caption, tag("thead", head), tag("tbody", *body), class_="confusion")
    return [tag("div", table, class_="figure scroll", tabindex="0", role="region", aria_label="Confusion matrix")]


def _heat(row: Sequence[float], shown: int) -> list[Markup]:
    total = sum(row) or 1.0
    cells = []
    for value in row[:shown]:
        share = value / total
        depth = f"--share:{share * 100:.0f}%"
        cells.append(
            tag(
                "td",
                f"{value:,.0f}",
                tag("small", f"{share * 100:.0f} %" if value else ""),
                style=depth,
                class_="strong" if share > 0.5 else None,
            )
        )
    return cells


def _roc(data: JSON) -> list[Markup]:
    pairs = [(x, y) for x, y in _paired(_floats(_at(data, "fpr")), _floats(_at(data, "tpr"))) if 0 <= x <= 1 and 0 <= y <= 1]
    if len(pairs) < 2:
        return []
    area = sum((x1 - x0) * (y1 + y0) / 2 for (x0, y0), (x1, y1) in pairwise(pairs))
    box = frame((0, 1), (0, 1), x_label="false positive rate", y_label="true positive rate", padding=0)
    pairs = _thinned(pairs, 400)
    path = "M" + "L".join(f"{number(box.x(x))} {number(box.y(y))}" for x, y in pairs)
    closed = f"{path}L{number(box.x(pairs[-1][0]))} {number(box.y(0))}L{number(box.x(pairs[0][0]))} {number(box.y(0))}Z"
    parts = [
        box.back,
        tag("path", d=closed, class_="under"),
        tag("line", x1=box.x(0), y1=box.y(0), x2=box.x(1), y2=box.y(1), class_="guide"),
        tag("path", d=path, class_="curve"),
        tag("text", f"AUC {area:.3f}", x=box.x(0.95), y=box.y(0.08), text_anchor="end", class_="callout"),
    ]
    told = f"The area under the curve is {area:.3f}; on the dashed line it would be 0.5, a guess."
    return [figure("ROC curve", told, join(parts), width=box.width, height=box.height)]


# ---------------------------------------------------------------- clustering


def _clustering(data: JSON, bounds: Bounds) -> list[Markup]:
    given = _at(data, "sizes")
    named = (
        [(str(name), size) for name, size in given.items()]
        if isinstance(given, Mapping)
        else [(str(i), s) for i, s in enumerate(_list(given))]
    )
    sizes = [(name, float(size)) for name, size in named if isinstance(size, int | float) and math.isfinite(size)]
    points = [row for row in (_floats(item) for item in _list(_at(data, "projection"))) if len(row) == 3 and all(map(math.isfinite, row))]
    figures = []
    if sizes:
        total = sum(size for _, size in sizes) or 1.0
        rows = [
            (f"cluster {name}", size, 0.0, f"{size:,.0f} · {size / total * 100:.1f} %", _colour(name))
            for name, size in sizes[: bounds.bars]
        ]
        figures.append(
            _bars("Cluster sizes", f"{len(sizes)} clusters over {total:,.0f} rows.", rows, _rest(len(sizes), bounds.bars, "clusters"))
        )
    if len(points) > 2:
        figures.append(_projection(points, bounds))
    return figures


def _projection(points: Sequence[Sequence[float]], bounds: Bounds) -> Markup:
    drawn = _thinned(points, bounds.points)
    clusters = sorted({int(row[2]) for row in drawn})
    box = frame(
        spanning([row[0] for row in drawn]), spanning([row[1] for row in drawn]), x_label="first component", y_label="second component"
    )
    dots = join(_mark(box.x(row[0]), box.y(row[1]), int(row[2])) for row in drawn)
    keys = [
        tag(
            "li",
            tag("svg", _mark(7, 7, cluster), viewBox="0 0 14 14", width="14", height="14", aria_hidden="true", class_="plot"),
            f"cluster {cluster}",
        )
        for cluster in clusters[:24]
    ]
    note = f"{len(drawn):,} of {len(points):,} points drawn" if len(drawn) < len(points) else ""
    told = "Rows on the two directions in which they differ most."
    plot = figure("Projection", told, join([box.back, dots]), width=box.width, height=box.height, note=note)
    return tag("div", plot, tag("ul", *keys, class_="legend"), class_="figure")


def _colour(name: str) -> str:
    return f"c{int(name) % _COLOURS}" if name.removeprefix("-").isdigit() else "c0"


def _mark(x: float, y: float, cluster: int) -> Markup:
    """A dot; from the ninth cluster on a square, from the seventeenth a diamond."""
    shape, colour = (cluster // _COLOURS) % 3, f"c{cluster % _COLOURS}"
    if shape == 0:
        return tag("circle", cx=x, cy=y, r=3.2, class_=colour)
    turn = f"rotate(45 {number(x)} {number(y)})" if shape == 2 else None
    return tag("rect", x=x - 2.8, y=y - 2.8, width="5.6", height="5.6", transform=turn, class_=colour)


# ---------------------------------------------------------------- what a model looks at


def _importance(data: JSON, bounds: Bounds) -> list[Markup]:
    rows = []
    for item in _list(data):
        mean, std = _floats([_at(item, "mean")]), _floats([_at(item, "std")])
        if mean and math.isfinite(mean[0]):
            rows.append((str(_at(item, "feature")), mean[0], std[0] if std and math.isfinite(std[0]) else 0.0))
    rows.sort(key=lambda row: (-row[1], row[0]))
    telling = [row for row in rows if row[1] or row[2]]
    if not telling:
        return []
    drawn = [
        (name, mean, std, f"{short(mean, 2)} ± {short(std, 2)}" if std else short(mean, 2), "c0")
        for name, mean, std in telling[: bounds.bars]
    ]
    told = "How much worse the model is when a feature's values are shuffled among the test rows."
    none = f"{len(rows) - len(telling)} other features make no difference" if len(telling) < len(rows) else ""
    notes = [note for note in (_rest(len(telling), bounds.bars, "features"), none) if note]
    return [_bars("Permutation importance", told, drawn, "; ".join(notes))]


def _bars(caption: str, told: str, rows: Sequence[tuple[str, float, float, str, str]], note: str) -> Markup:
    """Horizontal bars of (name, value, error, value in words, colour)."""
    line, width = 25.0, 460.0
    names = [clip(name, 27) for name, *_ in rows]
    left = min(max(len(name) for name in names) * 7.4 + 12, 214)
    right = max(len(words) for _, _, _, words, _ in rows) * 6.4 + 12
    low = min(0.0, *(value - error for _, value, error, _, _ in rows))
    high = max(0.0, *(value + error for _, value, error, _, _ in rows))
    across = Scale(low, high if high > low else low + 1, left, width - right)
    parts = []
    for index, (name, (_, value, error, words, colour)) in enumerate(zip(names, rows, strict=True)):
        y = index * line + 4
        start, stop = sorted((across(0), across(value)))
        parts.append(tag("text", name, x=left - 8, y=y + 13, text_anchor="end", class_="bar-name"))
        parts.append(tag("rect", x=start, y=y + 1, width=max(stop - start, 1.5), height="16", rx="2", class_=colour))
        if error:
            parts.append(tag("line", x1=across(value - error), x2=across(value + error), y1=y + 9, y2=y + 9, class_="whisker"))
        parts.append(tag("text", words, x=max(across(value + error), across(0)) + 7, y=y + 13))
    return figure(caption, told, join(parts), width=width, height=len(rows) * line + 6, note=note)


# ---------------------------------------------------------------- reading what was given


def _at(data: JSON, key: str) -> JSON:
    return data.get(key) if isinstance(data, Mapping) else None


def _list(data: JSON) -> Sequence[JSON]:
    return data if isinstance(data, Sequence) and not isinstance(data, str) else []


def _floats(data: JSON) -> list[float]:
    """Numbers; what is none, or too large to draw, becomes NaN, so that positions keep their meaning."""
    return [_float(value) for value in _list(data)]


def _float(value: JSON) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _LARGEST
    return float(value) if is_number and isinstance(value, int | float) else math.nan


def _paired(first: Sequence[float], second: Sequence[float]) -> list[tuple[float, float]]:
    return [(a, b) for a, b in zip(first, second, strict=False) if math.isfinite(a) and math.isfinite(b)]


def _thinned(items: Sequence[T], count: int) -> list[T]:
    """At most `count` of the items, evenly taken, with the first and the last."""
    if len(items) <= count:
        return list(items)
    return [items[round(index * (len(items) - 1) / (count - 1))] for index in range(count)]


def _rest(count: int, shown: int, what: str) -> str:
    return f"the first {shown} of {count:,} {what}" if count > shown else ""
