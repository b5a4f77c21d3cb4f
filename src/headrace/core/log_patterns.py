"""Lines of logs as patterns with named groups: those that are known by name, and what a pattern of one's own has to keep to.

Patterns are RE2's, which reads any line in time proportional to its length. The invariant: a pattern that is accepted here has at least one
named group, and nothing in it that RE2 lacks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["BUILT_IN", "LogPattern", "groups_of", "pattern_of", "pattern_problem"]


@dataclass(frozen=True)
class LogPattern:
    """A pattern that the whole line has to match; what its times look like, and which words mean that a value is missing."""

    text: str
    datetime_format: str | None = None
    null_words: tuple[str, ...] = ()


_INSIDE = r'(?:[^"\\]|\\.)*'  # of quotes, where a backslash takes the next character
_REQUEST = rf'"(?P<request>(?P<method>[A-Z]+) (?P<path>[^ "\\]+)(?: (?P<protocol>HTTP/[0-9.]+))?|{_INSIDE})"'
_COMMON = rf"(?P<host>[^ ]+) (?P<ident>[^ ]+) (?P<user>[^ ]+(?: [^ \[]+)*) \[(?P<time>[^\]]+)\] {_REQUEST} (?P<status>[0-9]{{3}}|-) (?P<bytes>[0-9]+|-)"
_APACHE_TIME = "%d/%b/%Y:%H:%M:%S %z"
_ISO = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,15}(?:Z|[+-][0-9]{2}:[0-9]{2})"

BUILT_IN: Mapping[str, LogPattern] = {
    "common": LogPattern(_COMMON, _APACHE_TIME, ("-",)),
    "combined": LogPattern(rf'{_COMMON} "(?P<referrer>{_INSIDE})" "(?P<agent>{_INSIDE})"', _APACHE_TIME, ("-",)),
    "syslog": LogPattern(
        rf"(?:<(?P<priority>[0-9]{{1,3}})>)?(?P<time>[A-Z][a-z]{{2}} [ 0-9][0-9] [0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}|{_ISO}) (?P<host>[^ ]+) "
        r"(?P<program>[^ \[\]:]+)(?:\[(?P<pid>[^\]]+)\])?: ?(?P<message>.*)",
        None,
        ("-",),
    ),
}

_NOT_IN_RE2: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\(\?<?[=!]"), "look-ahead and look-behind"),
    (re.compile(r"\(\?P=|\\[1-9]"), "references back to a group"),
    (re.compile(r"\(\?\("), "conditions"),
    (re.compile(r"\(\?>|(?:[*+?]|\{[0-9,]+\})\+"), "atomic groups and possessive repeats"),
    (re.compile(r"\\Z"), r"\Z (leave it out: the whole line has to match)"),
)
_CLASS_OR_ESCAPE = re.compile(r"\\[^1-9Z]|\[\^?\]?(?:[^\\\]]|\\.)*\]")
_REPEAT = re.compile(r"\{([0-9]+)?(?:,([0-9]+)?)?\}")


def pattern_of(pattern: str) -> LogPattern:
    """A pattern that is known by name, or one's own."""
    return BUILT_IN.get(pattern) or LogPattern(pattern)


def groups_of(text: str) -> tuple[str | None, ...]:
    r"""The names of a pattern's groups in their order, None for those without.

    >>> groups_of(r"(?P<level>\w+) (a|b) (?P<message>.*)")
    ('level', None, 'message')
    """
    compiled = re.compile(text)
    by_place = {place: name for name, place in compiled.groupindex.items()}
    return tuple(by_place.get(place) for place in range(1, compiled.groups + 1))


def pattern_problem(pattern: str) -> str:
    r"""Why a text can't be a pattern of lines; empty when it can.

    >>> pattern_problem(r"(?P<level>\w+)(?=:)")
    'it has look-ahead and look-behind, which RE2, the engine of patterns, lacks'
    """
    if pattern in BUILT_IN:
        return ""
    bare = _CLASS_OR_ESCAPE.sub("_", pattern)
    for lacking, words in _NOT_IN_RE2:
        if lacking.search(bare):
            return f"it has {words}, which RE2, the engine of patterns, lacks"
    if any(int(most) > 1000 for found in _REPEAT.findall(bare) for most in found if most):
        return "it repeats more than 1000 times, which is the most that RE2, the engine of patterns, takes"
    try:
        groups = groups_of(pattern)
    except re.error as error:
        return f"it is no pattern: {error}"
    names = [name.casefold() for name in groups if name]
    if not names:
        return f"it has no named group such as (?P<message>.*), and is none of {', '.join(BUILT_IN)}"
    if len(set(names)) < len(names):
        return "it has groups whose names differ only in case, and SQL does not tell them apart"
    return ""
