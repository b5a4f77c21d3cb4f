"""How a store or an origin that is no folder is reached: credentials, address, encryption, and where copies are kept. Pure.

Made from the settings by `headrace.run.access` and handed to a flavour; the flavour reads no environment of its own. The invariant:
printed, it shows no secret.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from headrace.core.connection import Connection
from headrace.core.errors import ConfigurationError

__all__ = ["ENCRYPTIONS", "Access", "size_of"]

ENCRYPTIONS = ("AES256", "aws:kms", "aws:kms:dsse")

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)")


@dataclass(frozen=True)
class Access:
    """What a flavour is told. `environment` holds the variables that its library would read; `cache` is a folder of this machine.

    `cache_bytes` bounds what is kept there for the next process; what a running one uses comes on top. For `patience_s` a request is tried
    again that is not answered, or with an error of the server.
    """

    connection: Connection | None = None
    environment: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    endpoint: str | None = None
    region: str | None = None
    encryption: str | None = None
    kms_key: str | None = None
    requester_pays: bool = False
    cache: Path | None = None
    cache_bytes: int = 20 * 10**9
    patience_s: float = 120.0

    def __post_init__(self) -> None:
        if self.encryption is not None and self.encryption not in ENCRYPTIONS:
            raise ConfigurationError(f"encryption = {self.encryption!r} is not known. Known: {', '.join(ENCRYPTIONS)}.")
        if self.kms_key and not (self.encryption or "").startswith("aws:kms"):
            raise ConfigurationError('`kms_key` is set, and `encryption` is not "aws:kms": set that too, or leave the key out.')


def size_of(text: str) -> int:
    """Bytes in words.

    >>> size_of("20GB"), size_of("1.5 GiB"), size_of("512")
    (20000000000, 1610612736, 512)
    """
    found = _SIZE.fullmatch(text.strip())
    unit = _UNITS.get(found[2].upper()) if found else None
    if found is None or unit is None:
        raise ConfigurationError(f"{text!r} is not a size. Write it as 20GB, 500MB or 1.5GiB.")
    return int(float(found[1]) * unit)
