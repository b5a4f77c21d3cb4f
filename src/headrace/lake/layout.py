"""Every key in a lake, in both directions: from what it means to its text, and back. Pure.

Nothing here touches a store. The invariant: a key and its meaning determine each other, so two things never share a key, and the keys
of one dataset's slots, sorted, are in time's order within a month.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from headrace.core.interval import Interval

__all__ = [
    "LAKE_KEY",
    "LAYERS",
    "Attempted",
    "Champion",
    "Slot",
    "attempt_folder",
    "chain_key",
    "chain_prefix",
    "champion_folder",
    "champion_prefix",
    "check_name",
    "data_prefix",
    "interval_prefix",
    "log_prefix",
    "month_prefixes",
    "owner_key",
    "parse_attempt",
    "parse_chain",
    "parse_champion",
    "parse_slot",
    "slot_key",
]

LAKE_KEY = "headrace.json"
LAYERS = ("bronze", "silver", "gold", "quarantine", "models")

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_ATTEMPT = re.compile(r"(\w+)/([^/]+)/([^/]+)/(\d{4}/\d\d/\d\d/\d\d/\d\d)-(\d+)m\.(\d{6,})-([0-9a-f]{32})/.+")
_CHAMPION = re.compile(r"champions/([^/]+)/([^/]+)/(\d{8,})-([0-9a-f]{32})/.+")


class Slot(NamedTuple):
    """The place of one manifest."""

    pipeline: str
    dataset: str
    interval: Interval
    version: int


class Attempted(NamedTuple):
    """The attempt that a data file belongs to."""

    layer: str
    pipeline: str
    dataset: str
    interval: Interval
    version: int
    nonce: str


class Champion(NamedTuple):
    """The chain entry that a champion's file belongs to."""

    pipeline: str
    model: str
    number: int
    nonce: str


def check_name(name: str, what: str) -> str:
    """The name itself, if it can be a part of a key. A pipeline's has no dot, for `shop.sums.refused` is read from the left. Raises ValueError."""
    if not _NAME.fullmatch(name) or (what == "pipeline" and "." in name):
        raise ValueError(f"{name!r} can't be the name of a {what}: use up to 128 letters, digits, `_` and `-`, not beginning with a dash.")
    return name


# ---------------------------------------------------------------- the log


def log_prefix(pipeline: str, dataset: str) -> str:
    """What the keys of a dataset's log begin with.

    >>> log_prefix("shop", "purchases")
    'log/shop/purchases/'
    """
    return f"log/{pipeline}/{dataset}/"


def owner_key(pipeline: str, dataset: str) -> str:
    return f"{log_prefix(pipeline, dataset)}owner"


def interval_prefix(pipeline: str, dataset: str, interval: Interval) -> str:
    """What the keys of an interval's slots begin with, and no other key."""
    _check_whole_minutes(interval)
    return f"{log_prefix(pipeline, dataset)}{interval.start:%Y/%m/%dT%H%M}-{interval.minutes}m."


def slot_key(pipeline: str, dataset: str, interval: Interval, version: int) -> str:
    """The key of one version's manifest.

    >>> slot_key("shop", "purchases", Interval.of("2026-11-20T08", "2026-11-20T09"), 3)
    'log/shop/purchases/2026/11/20T0800-60m.000003'
    """
    return f"{interval_prefix(pipeline, dataset, interval)}{version:06d}"


def parse_slot(key: str) -> Slot | None:
    """The slot that a key names; None for another key."""
    text, _, version = key.rpartition(".")
    parts = text.split("/", 3)
    if len(parts) != 4 or parts[0] != "log" or not version.isdigit():
        return None
    interval = _parse_interval(parts[3])
    return Slot(parts[1], parts[2], interval, int(version)) if interval else None


def month_prefixes(pipeline: str, dataset: str, window: Interval) -> Iterator[str]:
    """The log folders that hold the intervals starting in a window, in time's order.

    >>> list(month_prefixes("shop", "sums", Interval.of("2026-12-31", "2027-02-01")))
    ['log/shop/sums/2026/12/', 'log/shop/sums/2027/01/']
    """
    month = window.start.year * 12 + window.start.month - 1
    last = window.end - timedelta(microseconds=1)
    while month <= last.year * 12 + last.month - 1:
        yield f"{log_prefix(pipeline, dataset)}{month // 12:04d}/{month % 12 + 1:02d}/"
        month += 1


# ---------------------------------------------------------------- data


def data_prefix(layer: str, pipeline: str, dataset: str) -> str:
    """What the keys of a dataset's files in a layer begin with."""
    return f"{layer}/{pipeline}/{dataset}/"


def attempt_folder(layer: str, pipeline: str, dataset: str, interval: Interval, version: int, nonce: str) -> str:
    """The folder of one attempt's files in a layer.

    >>> attempt_folder("gold", "shop", "sums", Interval.of("2026-11-20T08", "2026-11-20T09"), 3, "9f" * 16)
    'gold/shop/sums/2026/11/20/08/00-60m.000003-9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f'
    """
    if layer not in LAYERS:
        raise ValueError(f"{layer!r} is not a layer: the layers are {', '.join(LAYERS)}")
    _check_whole_minutes(interval)
    return f"{data_prefix(layer, pipeline, dataset)}{interval.start:%Y/%m/%d/%H/%M}-{interval.minutes}m.{version:06d}-{nonce}"


def parse_attempt(key: str) -> Attempted | None:
    """The attempt that a data file's key names; None for another key."""
    found = _ATTEMPT.fullmatch(key)
    if not found or found[1] not in LAYERS:
        return None
    try:
        begin = datetime.strptime(found[4], "%Y/%m/%d/%H/%M").replace(tzinfo=UTC)
        interval = Interval(begin, begin + timedelta(minutes=int(found[5])))
    except ValueError:
        return None
    return Attempted(found[1], found[2], found[3], interval, int(found[6]), found[7])


# ---------------------------------------------------------------- chains


def chain_prefix(pipeline: str, model: str) -> str:
    return f"chain/{pipeline}/{model}/"


def chain_key(pipeline: str, model: str, number: int) -> str:
    """The key of one decision.

    >>> chain_key("shop", "groups", 42)
    'chain/shop/groups/00000042'
    """
    return f"{chain_prefix(pipeline, model)}{number:08d}"


def parse_chain(key: str) -> int | None:
    """The number of the decision that a key names; None for another key."""
    number = key.rpartition("/")[2]
    return int(number) if number.isdigit() else None


def champion_prefix(pipeline: str, model: str) -> str:
    return f"champions/{pipeline}/{model}/"


def champion_folder(pipeline: str, model: str, number: int, nonce: str) -> str:
    return f"{champion_prefix(pipeline, model)}{number:08d}-{nonce}"


def parse_champion(key: str) -> Champion | None:
    """The chain entry that a champion's file names; None for another key."""
    found = _CHAMPION.fullmatch(key)
    return Champion(found[1], found[2], int(found[3]), found[4]) if found else None


@lru_cache(maxsize=20_000)  # the datasets of a pipeline have the same intervals, and a month of them is listed each time
def _parse_interval(text: str) -> Interval | None:
    """The interval in a slot's key, `2026/11/20T0800-60m`. Sliced, not matched: a month's listing goes through here."""
    start, _, minutes = text.partition("-")
    if len(start) != 15 or start[4] + start[7] + start[10] != "//T" or minutes[-1:] != "m":
        return None
    try:
        begin = datetime(int(start[:4]), int(start[5:7]), int(start[8:10]), int(start[11:13]), int(start[13:15]), tzinfo=UTC)
        return Interval(begin, begin + timedelta(minutes=int(minutes[:-1])))
    except ValueError:
        return None


def _check_whole_minutes(interval: Interval) -> None:
    if interval.start.second or interval.start.microsecond or interval.length != timedelta(minutes=interval.minutes):
        raise ValueError(f"the interval {interval} can't be kept in a lake: its start and length must be whole minutes.")
