"""Locations with a time in them: `shop/{start:%Y-%m-%d}.csv` is one file for each interval.

Pure: texts and intervals in, texts and intervals out. The invariant: `interval_of` undoes `resolve`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from headrace.core.errors import ConfigurationError, did_you_mean
from headrace.core.interval import Grid, Interval
from headrace.core.redaction import public

__all__ = ["interval_of", "is_named_by", "pattern_of", "resolve", "shape_of", "stem_of"]

_FIELD = re.compile(r"\{(\w+)(?::([^{}]*))?\}")
_DEFAULT = "%Y-%m-%d"
_CODES = {"Y": r"\d{4}", "m": r"\d\d", "d": r"\d\d", "H": r"\d\d", "M": r"\d\d", "S": r"\d\d", "j": r"\d{3}", "y": r"\d\d"}
_WIDTHS = {"Y": 4, "m": 2, "d": 2, "H": 2, "M": 2, "S": 2, "j": 3, "y": 2}


def resolve(location: str, interval: Interval) -> str:
    """The location for one interval: `{start:…}` and `{end:…}` become the interval's times, in UTC.

    >>> resolve("shop/{start:%Y/%m/%d}.csv", Interval.of("2026-11-20", "2026-11-21"))
    'shop/2026/11/20.csv'
    """
    return _FIELD.sub(lambda found: _time_of(found, interval, location).strftime(found[2] or _DEFAULT), location)


def pattern_of(location: str) -> str:
    """A pattern (`*`) that finds the files of every interval."""
    return _FIELD.sub("*", location)


def shape_of(location: str) -> str:
    """A location in which `?` stands for each character of a time, and `*` for what may be of any length, folders too.

    >>> shape_of("shop/{start:%Y-%m}/**/*.csv")
    'shop/????-??/*.csv'
    """
    sized = _FIELD.sub(lambda found: re.sub(r"%(-?.)", lambda code: "?" * _WIDTHS.get(code[1], 0) or "*", found[2] or _DEFAULT), location)
    return re.sub(r"\*\*/|\[[^\]]*\]|\*+", "*", sized).replace("**", "*")


def stem_of(location: str) -> str:
    """What every file of a location begins with.

    >>> stem_of("shop/part-{start}.csv"), stem_of("shop/*.csv"), stem_of("shop/all.csv")
    ('shop/part-', 'shop/', 'shop/all.csv')
    """
    return re.split(r"[{*?\[]", location, maxsplit=1)[0]


def interval_of(location: str, uri: str, grid: Grid) -> Interval | None:
    """The interval that a found file is for; None where the location has no time, or one that can't be read back.

    >>> print(interval_of("shop/{start:%Y-%m-%d}.csv", "/data/shop/2026-11-20.csv", Grid.parse("@daily")))
    [2026-11-20, 2026-11-21)
    """
    fields: list[str] = []
    wanted = _matcher(location, fields)
    found = re.search(wanted, uri) if fields else None
    if found is None:
        return None
    time = _read_back(fields, found)
    if time is None:
        return None
    interval = grid.at(time)
    return interval if re.search(_matcher(resolve(location, interval), []), uri) else None


def is_named_by(location: str, uri: str) -> bool:
    """Whether a file is one that a location without a time names, as far as its URI tells.

    >>> is_named_by("shop/*.csv", "/data/shop/2026-11-20.csv"), is_named_by("bar/*.csv", "/data/shop/2026-11-20.csv")
    (True, False)
    """
    return re.search(_matcher(location, []), uri) is not None


def _time_of(found: re.Match[str], interval: Interval, location: str) -> datetime:
    if found[1] not in ("start", "end"):
        raise ConfigurationError(f"`{found[0]}` in `{public(location)}` is not known. {did_you_mean(found[1], ['start', 'end'])}")
    time = interval.start if found[1] == "start" else interval.end
    return time.astimezone(UTC)


def _matcher(location: str, fields: list[str]) -> str:
    """A pattern of the ends of the URIs that a location names; the time fields are groups, listed in `fields` as `start:%Y`."""
    bare = re.sub(r"^(\.{1,2}/)+", "", location)
    pieces: list[str] = []
    at = 0
    for found in _FIELD.finditer(bare):
        pieces += [_globbed(bare[at : found.start()]), _timed(found[1], found[2] or _DEFAULT, fields)]
        at = found.end()
    return f"(?:^|/){''.join(pieces)}{_globbed(bare[at:])}$"


def _globbed(text: str) -> str:
    return re.escape(text).replace(r"\*\*/", "(?:.*/)?").replace(r"\*", "[^/]*").replace(r"\?", "[^/]")


def _timed(name: str, form: str, fields: list[str]) -> str:
    pieces = re.split(r"%(.)", form)
    for n in range(1, len(pieces), 2):
        code = pieces[n]
        pieces[n] = f"({_CODES[code]})" if code in _CODES else ".*"
        if code in _CODES:
            fields.append(f"{name}:%{code}")
    return "".join(piece if n % 2 else re.escape(piece) for n, piece in enumerate(pieces))


def _read_back(fields: list[str], found: re.Match[str]) -> datetime | None:
    """A time inside the interval, from the fields of its start, else from those of its end."""
    for name in ("start", "end"):
        own = {field: found[n] for n, field in enumerate(fields, 1) if field.startswith(name)}
        if not own:
            continue
        try:
            time = datetime.strptime(" ".join(own.values()), " ".join(field.partition(":")[2] for field in own)).replace(tzinfo=UTC)
        except ValueError:
            return None
        return time if name == "start" else time - timedelta(microseconds=1)
    return None


def is_within(place: str, other: str) -> bool:
    """Whether a path or URI is another, or lies in it.

    >>> is_within("s3://shop/lake/out", "s3://shop/lake"), is_within("/srv/lake2", "/srv/lake")
    (True, False)
    """
    inner, outer = (f"{uri.removeprefix('file://').rstrip('/')}/" for uri in (place, other))
    return inner.startswith(outer)
