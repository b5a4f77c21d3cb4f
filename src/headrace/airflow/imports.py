"""What import statements cost while a file is read: CPU and wall seconds by file and line. Airflow is not imported here.

Counted are the statements of the user's own files, each without what the own files below it import: so a cost stands at the
statement that would have to move. The invariant: a library that was loaded before costs nothing here, as in a task.
"""

from __future__ import annotations

import builtins
import sys
import sysconfig
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from headrace.core.ports import JSON

__all__ = ["ImportCosts"]

_OURS = ("headrace", "airflow")


@dataclass
class _Cost:
    file: str
    line: int
    what: str
    cpu_s: float = 0.0
    wall_s: float = 0.0


@dataclass
class ImportCosts:
    """While it is entered, the import statements of own files are timed."""

    costs: dict[tuple[str, int, str], _Cost] = field(default_factory=dict[tuple[str, int, str], _Cost])
    _below: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    _real: Callable[..., Any] = builtins.__import__

    def __enter__(self) -> Self:
        self._real = builtins.__import__
        builtins.__import__ = self._timed
        return self

    def __exit__(self, *_: object) -> None:
        builtins.__import__ = self._real

    def document(self) -> list[JSON]:
        """The costs, the highest first."""
        return [asdict(cost) for cost in sorted(self.costs.values(), key=lambda cost: -cost.cpu_s)]

    def _timed(
        self,
        name: str,
        globals: Mapping[str, object] | None = None,  # noqa: A002  # as Python calls it
        locals: Mapping[str, object] | None = None,  # noqa: A002
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> Any:
        if not _is_own(globals or {}):
            return self._real(name, globals, locals, fromlist, level)
        what = name or ", ".join(fromlist or ())
        key = (str((globals or {}).get("__file__")), sys._getframe(1).f_lineno, what)  # noqa: SLF001  # the line is nowhere else
        self._below.append((0.0, 0.0))
        cpu, wall = time.process_time(), time.perf_counter()
        try:
            return self._real(name, globals, locals, fromlist, level)
        finally:
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            below = self._below.pop()
            cost = self.costs.setdefault(key, _Cost(*key))
            cost.cpu_s += cpu - below[0]
            cost.wall_s += wall - below[1]
            if self._below:
                self._below[-1] = (self._below[-1][0] + cpu, self._below[-1][1] + wall)


def _is_own(module: Mapping[str, object]) -> bool:
    """Whether a module is neither a library, nor Python's, nor headrace's or Airflow's."""
    file, name = module.get("__file__"), str(module.get("__name__"))
    if not isinstance(file, str) or name.partition(".")[0] in _OURS:
        return False
    return not any(Path(file).is_relative_to(folder) for folder in _LIBRARIES)


_LIBRARIES = frozenset(sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib"))
