"""The plots of a model, drawn as inline SVG from the bounded data that its backend left.

Which plots there are follows from the keys of the data, as `core.ports.ModelBackend.plots` names them. The invariant: data that is
not of the shape that a plot needs gives no plot, and never an error; a report is always made.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

from headrace.core.ports import JSON
from headrace.report.axes import Frame, Scale, figure, frame, short, spanning
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
    drawers: Sequence[tuple[str, Callable[[Mapping[str, JSON], Bounds], Markup | None]]] = (
        ("predicted", _predicted),
        ("residuals", _residuals),
        ("confusion", _confusion),
        ("roc", _roc),
        ("sizes", _sizes),
        ("projection", _projection),
        ("importance", _importance),
    )
    found = [(drawer, plots.get(key)) for key, drawer in drawers]
    drawn = [drawer(data, bounds) for drawer, data in found if isinstance(data, Mapping)]
    return [shape for shape in drawn if shape is not None]


# ---------------------------------------------------------------- regression


def _predicted(data: Mapping[str, JSON], bounds: Bounds) -> Markup | None:
    all_pairs = _paired(_floats(data.get("actual")), _floats(data.get("predicted")))
    pairs = _thinned(all_pairs, bounds.points)
    if len(pairs) < 2:
        return None
    box = frame(spanning([a for a, _ in pairs]), spanning([p for _, p in pairs]), x_label="actual", y_label="predicted", is_square=True)
    low, high = box.x.low, box.x.high
    line = tag("line", x1=box.x(low), y1=box.y(low), x2=box.x(high), y2=box.y(high), class_="guide")
    dots = join(tag("circle", cx=box.x(a), cy=box.y(p), r=3.2, class_="dot") for a, p in pairs)
    told = "Each dot is a row of the test side; on the dashed line a prediction is exact."
    note = _of(len(pairs), data, len(all_pairs), "rows")
    return figure("Predicted against actual", told, join([box.back, line, dots]), width=box.width, height=box.height, note=note)


def _residuals(data: Mapping[str, JSON], _: Bounds) -> Markup | None:
    values = [value for value in _floats(data.get("residual")) if math.isfinite(value)]
    if len(values) < 2:
        return None
    low, high = spanning(values)
    bins = min(max(math.ceil(2 * len(values) ** (1 / 3)), 5), 40)  # Rice's rule
    if not (high - low) / bins > 0:  # all alike, or closer than numbers can be told apart
        low, high = low - 0.5, high + 0.5
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
    note = _of(len(values), data, len(values), "rows")
    return figure("Residuals", told, join([box.back, bars, zero]), width=box.width, height=box.height, note=note)


# ---------------------------------------------------------------- classification


def _confusion(data: Mapping[str, JSON], bounds: Bounds) -> Markup | None:
    rows = [[max(value, 0.0) for value in _floats(row) if math.isfinite(value)] for row in _list(data.get("counts"))]
    size = len(rows)
    if size < 2 or any(len(row) != size for row in rows):
        return None
    given = [clip(str(name), 24) for name in _list(data.get("classes"))]
    names = given if len(given) == size else [str(index) for index in range(size)]
    shown = min(size, bounds.classes)
    head = tag("tr", tag("td"), *(tag("th", name, scope="col") for name in names[:shown]))
    body = [tag("tr", tag("th", name, scope="row"), *_heat(row, shown)) for name, row in zip(names[:shown], rows[:shown], strict=True)]
    total, right = sum(map(sum, rows)), sum(rows[index][index] for index in range(size))
    told = f"Rows are the actual class, columns the predicted one. {right:,.0f} of {total:,.0f} rows are right."
    note = f"{shown} of {size} classes shown" if shown < size else ""
    caption = tag("caption", tag("strong", "Confusion matrix"), tag("span", told), tag("small", note) if note else None)
    table = tag("table", caption, tag("thead", head), tag("tbody", *body), class_="confusion")
    return tag("div", table, class_="figure scroll", tabindex="0", role="region", aria_label="Confusion matrix")


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


def _roc(data: Mapping[str, JSON], bounds: Bounds) -> Markup | None:
    curves = [curve for curve in map(_curve, _list(data.get("curves"))) if curve]
    shown = curves[: min(bounds.classes, _COLOURS)]
    if not shown:
        return None
    box = frame((0, 1), (0, 1), x_label="false positive rate", y_label="true positive rate", padding=0)
    guess = tag("line", x1=box.x(0), y1=box.y(0), x2=box.x(1), y2=box.y(1), class_="guide")
    lines = [_line(box, pairs, f"curve s{index}") for index, (_, _, pairs) in enumerate(shown)]
    if len(curves) == 1:
        name, area, pairs = shown[0]
        under = _line(box, [(pairs[0][0], 0.0), *pairs, (pairs[-1][0], 0.0)], "under")
        callout = tag("text", f"AUC {area:.3f}", x=box.x(0.95), y=box.y(0.08), text_anchor="end", class_="callout")
        told = f"For `{name}` the area under the curve is {area:.3f}; on the dashed line it would be 0.5, a guess."
        return figure("ROC curve", told, join([box.back, under, guess, *lines, callout]), width=box.width, height=box.height)
    told = "Each class against all others. On the dashed line the area under the curve would be 0.5, a guess."
    plot = figure(
        "ROC curves",
        told,
        join([box.back, guess, *lines]),
        width=box.width,
        height=box.height,
        note=_rest(len(curves), len(shown), "classes"),
    )
    keys = [
        _key(tag("circle", cx="7", cy="7", r="4", class_=f"c{index}"), f"{name}: AUC {area:.3f}")
        for index, (name, area, _) in enumerate(shown)
    ]
    return tag("div", plot, tag("ul", *keys, class_="legend"), class_="figure")


def _curve(data: JSON) -> tuple[str, float, list[tuple[float, float]]] | None:
    """A class, the area under its curve, and the curve."""
    if not isinstance(data, Mapping):
        return None
    pairs = [(x, y) for x, y in _paired(_floats(data.get("fpr")), _floats(data.get("tpr"))) if 0 <= x <= 1 and 0 <= y <= 1]
    if len(pairs) < 2:
        return None
    given = _float(data.get("auc"))
    area = given if math.isfinite(given) else sum((x1 - x0) * (y1 + y0) / 2 for (x0, y0), (x1, y1) in pairwise(pairs))
    return clip(str(data.get("class", "")), 24), area, _thinned(pairs, 300)


def _line(box: Frame, pairs: Sequence[tuple[float, float]], kind: str) -> Markup:
    return tag("path", d="M" + "L".join(f"{number(box.x(x))} {number(box.y(y))}" for x, y in pairs), class_=kind)


# ---------------------------------------------------------------- clustering


def _sizes(data: Mapping[str, JSON], bounds: Bounds) -> Markup | None:
    pairs = zip(_list(data.get("clusters")), _floats(data.get("rows")), strict=False)
    sizes = [(str(name), size) for name, size in pairs if math.isfinite(size)]
    if not sizes:
        return None
    total = sum(size for _, size in sizes) or 1.0
    rows = [
        (f"cluster {name}", size, 0.0, f"{size:,.0f} · {size / total * 100:.1f} %", _colour(name)) for name, size in sizes[: bounds.bars]
    ]
    return _bars("Cluster sizes", f"{len(sizes)} clusters over {total:,.0f} rows.", rows, _rest(len(sizes), bounds.bars, "clusters"))


def _projection(data: Mapping[str, JSON], bounds: Bounds) -> Markup | None:
    columns = [_floats(data.get(key)) for key in ("x", "y", "cluster")]
    points = [row for row in zip(*columns, strict=False) if all(map(math.isfinite, row))]
    drawn = _thinned(points, bounds.points)
    if len(drawn) < 3:
        return None
    explained = [f" ({share * 100:.0f} % of the variance)" for share in _floats(data.get("explained")) if 0 <= share <= 1]
    first, second = explained if len(explained) == 2 else ("", "")
    spans = spanning([row[0] for row in drawn]), spanning([row[1] for row in drawn])
    box = frame(*spans, x_label=f"first component{first}", y_label=f"second component{second}")
    dots = join(_mark(box.x(row[0]), box.y(row[1]), int(row[2])) for row in drawn)
    keys = [_key(_mark(7, 7, cluster), f"cluster {cluster}") for cluster in sorted({int(row[2]) for row in drawn})[:24]]
    told = "Rows on the two directions in which they differ most."
    note = _of(len(drawn), data, len(points), "rows")
    plot = figure("Projection", told, join([box.back, dots]), width=box.width, height=box.height, note=note)
    return tag("div", plot, tag("ul", *keys, class_="legend"), class_="figure")


def _key(mark: Markup, words: str) -> Markup:
    return tag("li", tag("svg", mark, viewBox="0 0 14 14", width="14", height="14", aria_hidden="true", class_="plot"), words)


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


def _importance(data: Mapping[str, JSON], bounds: Bounds) -> Markup | None:
    means, deviations = _floats(data.get("mean")), _floats(data.get("std"))
    given = zip((str(name) for name in _list(data.get("features"))), means, [*deviations, *[0.0] * len(means)], strict=False)
    rows = sorted(
        ((name, mean, std if math.isfinite(std) else 0.0) for name, mean, std in given if math.isfinite(mean)),
        key=lambda row: (-row[1], row[0]),
    )
    telling = [row for row in rows if row[1] or row[2]]
    if not telling:
        return None
    drawn = [
        (name, mean, std, f"{short(mean, 2)} ± {short(std, 2)}" if std else short(mean, 2), "c0")
        for name, mean, std in telling[: bounds.bars]
    ]
    told = (
        f"How much {clip(str(data.get('metric') or 'of the score'), 24)} is lost when a feature's values are shuffled among the test rows."
    )
    none = f"{len(rows) - len(telling)} other features make no difference" if len(telling) < len(rows) else ""
    notes = [note for note in (_rest(len(telling), bounds.bars, "features"), none) if note]
    return _bars("Permutation importance", told, drawn, "; ".join(notes))


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


def _of(drawn: int, data: Mapping[str, JSON], given: int, what: str) -> str:
    """How many of the rows are in a plot, when not all; a backend that sampled says how many there were."""
    rows = _float(data.get("rows"))
    total = int(rows) if math.isfinite(rows) else given
    return f"{drawn:,} of {total:,} {what}, drawn by lot" if drawn < total else ""


def _rest(count: int, shown: int, what: str) -> str:
    return f"the first {shown} of {count:,} {what}" if count > shown else ""
