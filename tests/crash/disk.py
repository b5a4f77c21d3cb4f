"""Shims in place of `os` in the local store: one that dies at its k-th call, one that knows what a power cut would leave.

What would be left is what POSIX promises, and no more: the bytes of a file as of its last fsync, the names in a folder as of the
folder's last fsync. Whatever else was done may be there, or not.
"""

# ruff: noqa: PTH112, PTH115, PTH208  # it speaks of the file system as `os` does

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from headrace.backends.stores import local

COUNTED = {"open", "write", "fsync", "link", "unlink", "rename", "mkdir", "rmdir", "scandir"}


class Shim:
    """`os`, but `before(number, name, args)` is called before each call that reaches the file system."""

    def __init__(self, before: Callable[[int, str, tuple[Any, ...]], None]) -> None:
        self._before = before
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        if name not in COUNTED:
            return real

        def call(*args: Any, **more: Any) -> Any:
            self.calls += 1
            self._before(self.calls, name, args)
            return real(*args, **more)

        return call


def killed_at(k: int) -> Shim:
    """Kills the process, as kill -9 does, before its k-th call."""

    def before(number: int, _name: str, _args: tuple[Any, ...]) -> None:
        if number == k:
            os.kill(os.getpid(), signal.SIGKILL)

    return Shim(before)


class Gone(BaseException):
    """The process of this shim is no more."""


class State(NamedTuple):
    """What is on the disk for certain, and what is there as long as the power is."""

    durable_names: dict[int, dict[str, int]]
    durable_bytes: dict[int, bytes]
    names: dict[int, dict[str, int]]
    bytes: dict[int, bytes]


class Disk:
    """Watches a folder through its shims. Files that others write without a shim are looked at when they are synced."""

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True)
        self._root = root
        self._ids: dict[int, int] = {}  # inode -> a number that is never used again
        self._next = 0
        self._durable_names: dict[int, dict[str, int]] = {}
        self._durable_bytes: dict[int, bytes] = {}

    def act(self, what: Callable[[], object], *, dies_at: int = 0, seen: list[State] | None = None) -> int:
        """Act as a process on this disk that dies before its call `dies_at`; how many calls it made. `seen` gets each state on the way."""

        def before(number: int, name: str, args: tuple[Any, ...]) -> None:
            if dies_at and number >= dies_at:
                raise Gone
            if seen is not None:
                self._look(seen)
            if name == "fsync":
                self._sync(os.readlink(f"/proc/self/fd/{args[0]}"))
            elif name in ("unlink", "rmdir"):
                self._forget(args[0])

        shim = Shim(before)
        local.os = shim
        try:
            what()
        except Gone:
            assert dies_at
        finally:
            local.os = os
        if seen is not None:
            self._look(seen)
        return shim.calls

    def _look(self, seen: list[State]) -> None:
        state = self.state()
        if not seen or seen[-1] != state:
            seen.append(state)

    def state(self) -> State:
        names, contents = {}, {}
        for folder, _, files in os.walk(self._root):
            names[self._id(folder)] = {name: self._id(f"{folder}/{name}") for name in os.listdir(folder)}
            contents.update({self._id(f"{folder}/{name}"): Path(folder, name).read_bytes() for name in files})
        return State(dict(self._durable_names), dict(self._durable_bytes), names, contents)

    def _id(self, path: str) -> int:
        inode = os.lstat(path).st_ino
        if inode not in self._ids:
            self._next += 1
            self._ids[inode] = self._next
        return self._ids[inode]

    def _sync(self, path: str) -> None:
        if not path.startswith(str(self._root)):
            return
        if os.path.isdir(path):
            self._durable_names[self._id(path)] = {name: self._id(f"{path}/{name}") for name in os.listdir(path)}
        else:
            self._durable_bytes[self._id(path)] = Path(path).read_bytes()

    def _forget(self, path: str) -> None:
        """A file system uses inode numbers again."""
        try:
            found = os.lstat(path)
        except OSError:
            return
        if os.path.isdir(path) or found.st_nlink == 1:
            self._id(path)
            del self._ids[found.st_ino]

    def root_id(self) -> int:
        return self._id(str(self._root))


def cut(state: State, root: int, target: Path, luck: random.Random | None = None) -> None:
    """Make in `target` what a power cut at `state` leaves: only what is durable, or with `luck` anything that may be left."""
    target.mkdir(parents=True)
    _restore(state, root, target, luck)


def _restore(state: State, folder: int, target: Path, luck: random.Random | None) -> None:
    names = dict(state.durable_names.get(folder, {}))
    if luck:
        now = state.names.get(folder, {})
        names = {
            name: now.get(name, names.get(name))
            for name in sorted({*names, *now})
            if luck.random() < 0.5 or now.get(name) == names.get(name)
        }
    for name, found in names.items():
        if found in state.names or found in state.durable_names:
            (target / name).mkdir()
            _restore(state, found, target / name, luck)
        else:
            (target / name).write_bytes(_bytes(state, found, luck))


def _bytes(state: State, file: int, luck: random.Random | None) -> bytes:
    durable, now = state.durable_bytes.get(file, b""), state.bytes.get(file, b"")
    if luck and durable != now:
        return luck.choice([durable, now, now[: len(now) // 2], b"\0" * len(now)])
    return durable
