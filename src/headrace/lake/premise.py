"""What work is built on beside its inputs, such as who is forgotten: a commit is put only where it was still so when its files were there.

Whoever changes it, and then fences every attempt whose files are there without an entry, knows that nothing lands any more that was built on
what was before: an attempt that asks after its files were put has files that the other's listing shows, or hears of the change. The invariant:
what an attempt is given was so when it began, or before.
"""

from __future__ import annotations

from collections.abc import Callable

from headrace.core.errors import LostRaceError

__all__ = ["OutdatedError", "Premise"]


class OutdatedError(LostRaceError):
    """What an attempt was built on is another by now. Nothing of it was put as an entry."""


class Premise:
    """What work is built on, by whatever asks for it. Any number of threads may use one."""

    def __init__(self, ask: Callable[[], object]) -> None:
        self._ask = ask
        self._known: tuple[object] | None = None

    def known(self) -> object:
        """What it was when it was asked for last; what it is, where it never was. An answer that is old makes an attempt start over, and no more."""
        known = self._known
        return self._now() if known is None else known[0]

    def begin(self, *, is_first: bool) -> object:
        """What an attempt is given that begins: what is known, or what it is now, where that was not good enough."""
        return self.known() if is_first else self._now()

    def check(self, given: object, what: str) -> None:
        """Raise OutdatedError where it is not any more what was given."""
        if self._now() != given:
            raise OutdatedError(f"Who is forgotten was changed while {what} was made: nothing of it was committed. Run again.")

    def given(self, given: object) -> Premise:
        """The same for work that was done before: whatever attempts to commit it, it is built on what was given then."""
        return _Given(self._ask, given)

    def _now(self) -> object:
        found = self._ask()
        self._known = (found,)
        return found


class _Given(Premise):
    def __init__(self, ask: Callable[[], object], given: object) -> None:
        super().__init__(ask)
        self._given = given

    def begin(self, *, is_first: bool) -> object:  # noqa: ARG002  # it is not made again
        return self._given
