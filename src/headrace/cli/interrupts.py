"""Ctrl-C: the first lets the steps that run end and starts no more; the second ends the process at once, which is safe, since a step is committed whole or not at all."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["interruptible"]

_CODE = 130


@contextmanager
def interruptible() -> Iterator[None]:
    """Within it, a first Ctrl-C raises KeyboardInterrupt, and a second one ends the process with exit code 130."""

    def at_once(_: int, __: FrameType | None) -> None:
        os._exit(_CODE)

    def gently(_: int, __: FrameType | None) -> None:
        signal.signal(signal.SIGINT, at_once)
        sys.stderr.write("\nstopping: steps that run are let end; Ctrl-C again stops at once\n")
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, gently)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
