"""HTML and SVG as text that cannot be broken by what it shows: everything is escaped unless it is `Markup` already.

Nothing here knows of reports. The invariant: only `tag`, `join` and `raw` make `Markup`, and `raw` is called with this
package's own constants and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape

__all__ = ["Markup", "clip", "join", "number", "raw", "tag", "text"]

_VOID = frozenset({"br", "hr", "meta", "link", "col"})
# Characters that HTML and XML forbid, and the ones that turn the reading direction of what follows.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")


class Markup(str):
    """Text that is safe to put into a page as it is."""

    __slots__ = ()


def text(value: object) -> Markup:
    """Any value, escaped; characters that a page may not hold become `\N{REPLACEMENT CHARACTER}`."""
    if isinstance(value, Markup):
        return value
    return Markup(escape(_FORBIDDEN.sub("\ufffd", str(value)), quote=True))


def raw(constant: str) -> Markup:
    """A constant of this package, as it is."""
    return Markup(constant)


def join(parts: Iterable[object], separator: str = "") -> Markup:
    """The parts after one another; None is left out."""
    return Markup(separator.join(text(part) for part in parts if part is not None))


def tag(name: str, /, *children: object, **attributes: object) -> Markup:
    """An element. `class_` is `class`, `stroke_width` is `stroke-width`; an attribute that is None or False is left out.

    >>> tag("p", "a < b", class_="note")
    '<p class="note">a &lt; b</p>'
    """
    shown = "".join(_attribute(key, value) for key, value in attributes.items() if value is not None and value is not False)
    if name in _VOID:
        return Markup(f"<{name}{shown}>")
    return Markup(f"<{name}{shown}>{join(children)}</{name}>")


def _attribute(key: str, value: object) -> str:
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{text(number(value) if isinstance(value, float) else value)}"'


def number(value: float) -> str:
    """A coordinate: at most one decimal, since nobody sees a tenth of a pixel.

    >>> number(12.04), number(3.25)
    ('12', '3.2')
    """
    return f"{value:.1f}".removesuffix(".0")


def clip(value: str, length: int) -> str:
    """At most `length` characters, with an ellipsis where something was cut.

    >>> clip("purchases", 6)
    'purch…'
    """
    return value if len(value) <= length else value[: max(length - 1, 0)] + "…"
