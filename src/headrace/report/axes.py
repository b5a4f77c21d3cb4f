"""What every plot is made of: a scale from values to pixels, round ticks, a frame with axes and their labels.

Nothing here knows what is plotted. The invariant: any finite values give a frame; equal ends are spread apart first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from headrace.report.markup import Markup, join, tag

__all__ = ["Frame", "Scale", "figure", "frame", "short", "spanning", "ticks"]

_SMALLEST = 1e-100


@dataclass(frozen=True)
class Scale:
    """A straight line from the values low..high to the pixels start..stop."""

    low: float
    high: float
    start: float
    stop: float

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.stop - self.start)


@dataclass(frozen=True)
class Frame:
    """A plot's area and its two scales; `back` is the drawing of axes, grid and labels."""

    x: Scale
    y: Scale
    width: float
    height: float
    back: Markup


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round values from at most `low` to at least `high` (Heckbert, Graphics Gems, 1990: nice numbers for graph labels).

    >>> ticks(0, 9.3)
    [0.0, 2.5, 5.0, 7.5, 10.0]
    """
    if not _is_wide(low, high):
        room = max(abs(low), abs(high)) or 1.0
        low, high = low - max(room, _SMALLEST) / 2, high + max(room, _SMALLEST) / 2
    rough = (high - low) / max(count - 1, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(nice * power for nice in (1, 2, 2.5, 5, 10) if nice * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [float(f"{index * step:.12g}") for index in range(first, last + 1)]


def spanning(values: Sequence[float]) -> tuple[float, float]:
    return (min(values), max(values)) if values else (0.0, 1.0)


def short(value: float, digits: int = 4) -> str:
    """A figure as a person would write it: 12,500 and 0.00012 and 3.1e+09.

    >>> [short(v) for v in (12500.0, 0.9123456, 3.1e9, 5.0, float("nan"))]
    ['12,500', '0.9123', '3.1e+09', '5', 'not a number']
    """
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else ("∞" if value > 0 else "−∞")
    if value and not 1e-4 <= abs(value) < 1e7:
        return f"{value:.3g}".replace("-", "−")
    shown = (
        f"{value:,.0f}"
        if abs(value) >= 10000
        else f"{value:,.{digits}g}"
        if abs(value) < 10 ** (digits - 1)
        else f"{value:,.0f}"
        if digits < 4
        else f"{value:,.1f}".removesuffix(".0")
    )
    return shown.replace("-", "−")


def frame(
    x: tuple[float, float], y: tuple[float, float], *, x_label: str, y_label: str, padding: float = 0.04, is_square: bool = False
) -> Frame:
    """Axes around the spans of x and y, which `padding` widens (but not below 0). With `is_square` both show the same span."""
    width, height = 420.0, 340.0
    if is_square:
        x = y = (min(x[0], y[0]), max(x[1], y[1]))
    (x, x_ticks), (y, y_ticks) = _padded(x, padding), _padded(y, padding)
    left = 26 + 7.4 * max(len(short(tick)) for tick in y_ticks)
    across = Scale(*x, left, width - 12)
    up = Scale(*y, height - 42, 10)
    parts = []
    for tick in y_ticks:
        parts.append(tag("line", x1=across.start, x2=across.stop, y1=up(tick), y2=up(tick), class_="grid"))
        parts.append(tag("text", short(tick), x=left - 7, y=up(tick) + 4, text_anchor="end"))
    for tick in x_ticks:
        parts.append(tag("line", x1=across(tick), x2=across(tick), y1=up.start, y2=up.start + 4, class_="axis"))
        parts.append(tag("text", short(tick), x=across(tick), y=up.start + 17, text_anchor="middle"))
    parts.append(tag("line", x1=across.start, x2=across.stop, y1=up.start, y2=up.start, class_="axis"))
    middle = (up.start + up.stop) / 2
    parts.append(tag("text", x_label, x=(across.start + across.stop) / 2, y=height - 6, text_anchor="middle", class_="axis-label"))
    parts.append(tag("text", y_label, x=12, y=middle, text_anchor="middle", transform=f"rotate(-90 12 {middle:.0f})", class_="axis-label"))
    return Frame(across, up, width, height, join(parts))


def _padded(span: tuple[float, float], padding: float) -> tuple[tuple[float, float], list[float]]:
    """The span to show, and the round values within it."""
    marks = ticks(*span)
    low, high = span if _is_wide(*span) else (marks[0], marks[-1])
    room = (high - low) * padding
    low, high = (low - room if low else low), (high + room if high else high)
    slack = (high - low) * 1e-9
    return (low, high), [mark for mark in marks if low - slack <= mark <= high + slack]


def _is_wide(low: float, high: float) -> bool:
    """Whether two ends are far enough apart to have figures between them."""
    return high - low > max(max(abs(low), abs(high)) * 1e-8, _SMALLEST)


def figure(caption: str, told: str, drawing: object, *, width: float, height: float, note: str = "") -> Markup:
    """A plot with its caption; `told` is what it shows, in words."""
    svg = tag(
        "svg",
        tag("title", caption),
        tag("desc", told),
        drawing,
        viewBox=f"0 0 {width:.0f} {height:.0f}",
        role="img",
        class_="plot",
        style=f"max-width:{width * 1.25:.0f}px",
    )
    small = tag("small", note) if note else None
    return tag("figure", tag("figcaption", tag("strong", caption), tag("span", told), small), svg)
