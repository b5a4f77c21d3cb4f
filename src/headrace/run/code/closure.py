"""From a function to the digest of all the code that it reaches: the ground of "nothing stale".

Lives here: the index that steps share, and its one call. The work is done next door: `scope` and `module_index` read texts,
`names` follows names, `objects` walks living objects, `graph` makes a digest of what was reached. The invariant: equal
digests mean that the function would do the same, as far as `opaque` does not say otherwise.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FunctionType

from headrace.run.code.graph import CodeDigest, Node, digest_graph
from headrace.run.code.modules import Modules
from headrace.run.code.objects import Dependency, Objects

__all__ = ["CodeIndex"]

_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


class CodeIndex:
    """The code of one project, read once and shared by the digests of all its steps.

    `declared` gives, for a function, what it depends on beyond what can be followed: functions, classes, modules, and files
    or folders (by a path relative to the function's own file). The same may stand in the function's attribute
    `__headrace_depends__`. An index sees files and objects as they were when it first met them: take a new one, or
    `refresh` it, after code was loaded again.
    """

    def __init__(self, project_root: Path, *, declared: Mapping[Callable[..., object], Sequence[Dependency]] | None = None) -> None:
        self._modules = Modules(project_root)
        self._declared = dict(declared or {})
        self._objects = Objects(self._modules, self._declared)

    def refresh(self) -> None:
        """Look at files and living objects anew. What was parsed is kept, by its content."""
        self._modules.refresh()
        self._objects = Objects(self._modules, self._declared)

    def digest(self, function: Callable[..., object]) -> CodeDigest:
        """The digest of `function` with all project code, constants and versions of libraries that it reaches."""
        return self.digest_all([function])

    def digest_all(self, functions: Sequence[Callable[..., object]]) -> CodeDigest:
        """The digest of several functions together."""
        for function in functions:
            self._meet(getattr(function, "__func__", function))
        python = Node("python", f"python {_PYTHON}", version=_PYTHON)
        found = [self._objects.follow(one, getattr(one, "__name__", type(one).__name__), None) for one in functions]
        return digest_graph([python, *(target for targets in found for target in targets)])

    def _meet(self, function: object) -> None:
        if isinstance(function, FunctionType):
            self._modules.include(function)
            module = self._modules.of_function(function)
            if module is not None and module.namespace is not function.__globals__:
                self.refresh()  # its file was loaded again
