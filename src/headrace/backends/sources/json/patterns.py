"""Patterns that nothing but strict JSON of a shape matches, and that take its values out as they are written.

Positive by construction: what a pattern says is the grammar of JSON, with the keys of a shape in the place of any keys. A line that does not
match may be a record as well; it is for the parser to say. The invariant: the parser finds in a line that matches an object, without a key
twice, of whose values at the places the texts are what the groups hold.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from enum import Enum

from headrace.backends.sources.json.shapes import Kind, Shape

__all__ = ["ANY_SPACES", "Pattern", "Style", "pattern_of", "style_of"]

Path = tuple[str, ...]

_PAIR = r"[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a character beyond U+FFFF; half of one is none
_ESCAPE = rf'\\(?:["\\/bfnrt]|u(?:[0-9a-cA-CefEF][0-9a-fA-F]{{3}}|[dD][0-7][0-9a-fA-F]{{2}}|{_PAIR}))'
_PLAIN = r'[^"\\\x00-\x1f]*+'
_WHOLE = r"-?(?:[1-9][0-9]*+|0)"
_KINDS: tuple[tuple[Kind, str], ...] = (
    ("text", rf'"{_PLAIN}(?:{_ESCAPE}{_PLAIN})*+"'),
    ("number", rf"{_WHOLE}(?:\.[0-9]++)?+(?:[eE][+-]?[0-9]++)?+"),
    ("whole", _WHOLE),
    ("truth", "true|false"),
)
_TEXT_IN_PARTS = rf'"{_PLAIN}"'  # inside of what is given as JSON: an escape may be written in another way there
_STRINGS = re.compile(r'"(?:[^"\\]|\\.)*+"')
_SIMPLE_KEY = re.compile(r'[^"\\\x00-\x1f]*')


@dataclass(frozen=True)
class Style:
    """What stands around values, as patterns: between two, after a key, and inside of brackets."""

    comma: str
    colon: str
    edge: str = ""


ANY_SPACES = Style(r"[ \t]*+,[ \t]*+", r"[ \t]*+:[ \t]*+", r"[ \t]*+")
_STYLES = {frozenset({", ", ": "}): Style(", ", ": "), frozenset({",", ":"}): Style(",", ":"), frozenset({",", ": "}): Style(",", ": ")}


@dataclass(frozen=True)
class Pattern:
    """`regex` finds all lines of a text, each as a tuple of groups: `paths` say what they hold, and the last is a line that does not match,
    as a whole. What is not there is an empty text.
    """

    shape: Shape
    regex: re.Pattern[str]
    paths: tuple[Path, ...]


def style_of(line: str) -> Style:
    """How a line is written."""
    bare = _STRINGS.sub('""', line.strip(" \t"))
    signs = frozenset(re.findall(r"[,:][ \t]*", bare))
    style = next((style for written, style in _STYLES.items() if signs <= written), ANY_SPACES)
    return ANY_SPACES if re.search(r"[^,:][ \t]", bare) else style


def pattern_of(shape: Shape, style: Style, wanted: Collection[Path]) -> Pattern | None:
    """Groups are what is wanted, and the members of the record that it may lack, so that it is known which it has. None where a key has to be
    escaped, or a value is wanted both as a whole and in part.
    """
    writer = _Writer(style, frozenset(wanted))
    try:
        record = writer.members(shape, (), _Where.RECORD)
    except _UnwritableError:
        return None
    line = f"{'' if writer.paths else '()'}[ \\t]*+{record}[ \\t]*+"
    return Pattern(shape, re.compile(rf"(?:{line}|([^\n]++))(?:\n|\Z)"), tuple(writer.paths or [()]))


class _Where(Enum):
    """Inside of what a value is: the record and its objects, an array of which nothing is asked for, or what is asked for as JSON."""

    RECORD, ARRAY, WANTED = range(3)


class _UnwritableError(Exception):
    """No pattern can be written."""


@dataclass
class _Writer:
    """Writes the pattern of a shape; `paths` are those of the groups so far."""

    style: Style
    wanted: frozenset[Path]
    paths: list[Path] = field(default_factory=list[Path])

    def members(self, shape: Shape, path: Path, where: _Where) -> str:
        """An object. A member that may be lacking is followed by a comma and another key, or by the end."""
        edge, comma = self.style.edge, self.style.comma
        members = shape.members or ()
        is_even = len(shape.required) == len(members)
        parts: list[str] = []
        for name, own in members:
            if not _SIMPLE_KEY.fullmatch(name):
                raise _UnwritableError
            is_asked = (*path, name) in self.wanted or (not path and name not in shape.required)
            value = self.value(own, (*path, name), where, is_asked=is_asked and where is _Where.RECORD)
            member = f'"{re.escape(name)}"{self.style.colon}{value}'
            if not is_even:
                member = f'{member}(?:{comma}(?=")|(?={edge}\\}}))'
                member = member if name in shape.required else f"(?:{member})?+"
            parts.append(member)
        return rf"\{{{edge}{(comma if is_even else '').join(parts)}{edge}\}}"

    def value(self, shape: Shape, path: Path, where: _Where, *, is_asked: bool = False) -> str:
        """A value of any of the kinds, which begin with different signs, or null. In a group where it is asked for."""
        if is_asked:
            self.paths.append(path)
            where = _Where.WANTED if path in self.wanted else where
        if where is _Where.WANTED and any(path == other[: len(path)] != other for other in self.wanted):
            raise _UnwritableError
        kinds = shape.kinds - {"whole"} if "number" in shape.kinds else shape.kinds
        is_whole = where is not _Where.WANTED or is_asked
        ways = [(pattern if is_whole else _TEXT_IN_PARTS) if kind == "text" else pattern for kind, pattern in _KINDS if kind in kinds]
        if shape.members is not None:
            ways.append(self.members(shape, path, where))
        if shape.item is not None:
            item = self.value(shape.item, path, _Where.WANTED if where is _Where.WANTED else _Where.ARRAY)
            edge, comma = self.style.edge, self.style.comma
            ways.append(rf"\[{edge}(?:{item}(?:{comma}{item})*+)?+{edge}\]")
        return f"({'' if is_asked else '?:'}{'|'.join([*ways, 'null'])})"
