"""Splits: which side of a table a row is on.

Only the declaration lives here; an engine evaluates it. The invariant of `by_key`: the side depends on the key's text and
the shares alone, by md5 hex strings compared as text, so it is the same on every engine and never changes as data grow.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from headrace.core.errors import ConfigurationError
from headrace.core.interval import parse_duration

__all__ = ["ROW_PARTS", "SIDES", "Split", "by_key", "by_time"]

SIDES = ("rows", "train", "valid", "test")
"""The parts that a model is trained and measured on."""

ROW_PARTS = (*SIDES, "gap")
"""All parts that hold a dataset's rows."""

Side = Literal["train", "valid", "test"]
_HEX = 16**8


@dataclass(frozen=True)
class Split:
    """A declared split. `by_key` has shares and cuts, `by_time` has lengths."""

    kind: Literal["key", "time"]
    key: tuple[str, ...] = ()
    test_share: float = 0.0
    valid_share: float = 0.0
    test_length: timedelta | None = None
    valid_length: timedelta | None = None
    gap: timedelta = timedelta(0)

    @property
    def sides(self) -> tuple[Side, ...]:
        has_valid = self.valid_share > 0 or self.valid_length is not None
        return ("train", "valid", "test") if has_valid else ("train", "test")

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts that the rows are kept in: the sides, and `gap` for those that are on none."""
        return (*self.sides, "gap") if self.gap else self.sides

    @property
    def cuts(self) -> tuple[str, str]:
        """Hex texts `(test, valid)`: a row whose key's md5 starts below `test` is test, below `valid` valid, else train."""
        return _hex(self.test_share), _hex(self.test_share + self.valid_share)


def by_key(key: str | tuple[str, ...] | list[str] | None = None, *, test: float, valid: float = 0) -> Split:
    """Split by a hash of the key (the table's `key`, unless told): an entity is never on two sides, and never changes sides.

    `test` and `valid` are shares between 0 and 1. Rows whose key is null are an error. The side of a key is decided by the
    first 8 hex digits of the md5 of its text; several columns are joined with U+001F.

    >>> by_key(test=0.2).cuts
    ('33333333', '33333333')
    """
    for name, share in (("test", test), ("valid", valid)):
        if not 0 <= share < 1:
            raise ConfigurationError(f"by_key({name}={share!r}): a share lies between 0 and 1, such as 0.2.")
    if not 0 < test + valid < 1 or test == 0:
        raise ConfigurationError(
            f"by_key(test={test!r}, valid={valid!r}) leaves a side empty: test must be above 0, and test + valid below 1."
        )
    keys = (key,) if isinstance(key, str) else tuple(key or ())
    return Split("key", key=keys, test_share=test, valid_share=valid)


def by_time(*, test: str, valid: str | None = None, gap: str | None = None) -> Split:
    """Split by the table's `time` column, counted back from the end of the interval: the last `test` (`7d`) is the test side.

    Rows within `gap` before the test side, or before the validation side, are on no side: they are kept as the part `gap`. Nothing in training is later than
    the start of what follows it, less the gap.
    """
    return Split(
        "time",
        test_length=_length("test", test),
        valid_length=_length("valid", valid) if valid else None,
        gap=_length("gap", gap) if gap else timedelta(0),
    )


def _length(name: str, text: str) -> timedelta:
    try:
        return parse_duration(text)
    except ConfigurationError as error:
        raise ConfigurationError(f"by_time({name}={text!r}): {error}") from None


def _hex(share: float) -> str:
    return f"{min(round(share * _HEX), _HEX - 1):08x}"
