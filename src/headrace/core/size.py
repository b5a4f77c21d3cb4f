"""Sizes as people write them: `20GB`, `512 MiB`. Pure."""

from __future__ import annotations

import re

from headrace.core.errors import ConfigurationError

__all__ = ["parse_size"]

_PREFIXES = ("", "K", "M", "G", "T")


def parse_size(text: str) -> int:
    """A number of bytes. ConfigurationError for anything else.

    >>> parse_size("20GB"), parse_size("1.5 KiB"), parse_size("7")
    (20000000000, 1536, 7)
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(?:([KMGT]?)(I?)B)?", text.strip().upper())
    size = 0 if found is None else int(float(found[1]) * (1024 if found[3] else 1000) ** _PREFIXES.index(found[2] or ""))
    if size < 1:
        raise ConfigurationError(
            f"{text!r} is no size: write a number and B, KB, MB, GB or TB, such as 20GB; KiB, MiB, GiB and TiB count by 1024."
        )
    return size
