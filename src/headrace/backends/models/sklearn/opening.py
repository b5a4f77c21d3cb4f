"""Opening skops without its two searches, which take half a second a process.

While it is imported, skops asks `sklearn.utils.all_estimators` for the names that it trusts, which imports every module of scikit-learn,
and then goes through all loaded modules once for each of 800 ufuncs, to find where it lives. Here it gets a list of our own instead,
and estimators that are newer than the list are looked for only when one is met; and the homes of all ufuncs are found in one go.
The invariant: what is trusted in the end is what skops would have found by itself.
"""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np

from headrace.backends.models.sklearn.estimators import ESTIMATORS

__all__ = ["newer_estimators", "skops_io"]

_LOCK = threading.Lock()


def skops_io() -> ModuleType:
    """The module `skops.io`."""
    with _LOCK:
        if "skops.io" not in sys.modules:
            with _quick_searches():
                importlib.import_module("skops.io")
        return sys.modules["skops.io"]


def newer_estimators(names: Iterable[str]) -> set[str]:
    """Which of these types are estimators of the installed scikit-learn that the list does not have yet."""
    asked = {name for name in names if name.startswith("sklearn.")}
    if not asked:
        return set()
    utils: Any = importlib.import_module("sklearn.utils")
    found = utils.all_estimators()
    return asked & {f"{estimator.__module__}.{estimator.__name__}" for _, estimator in found}


@contextmanager
def _quick_searches() -> Iterator[None]:
    """In here both searches are replaced. skops's own can be reached once it asks for the estimators, since its module is loaded by then."""
    sklearn_utils: Any = importlib.import_module("sklearn.utils")
    all_estimators = sklearn_utils.all_estimators
    undo: list[Callable[[], None]] = []

    def listed() -> list[tuple[str, type]]:
        skops_utils: Any = sys.modules["skops.io._utils"]
        whichmodule = skops_utils.whichmodule
        skops_utils.whichmodule = _whichmodule(whichmodule)
        undo.append(lambda: setattr(skops_utils, "whichmodule", whichmodule))
        return _listed()

    sklearn_utils.all_estimators = listed
    try:
        yield
    finally:
        sklearn_utils.all_estimators = all_estimators
        for step in undo:
            step()


def _listed() -> list[tuple[str, type]]:
    """Pairs as `all_estimators` gives them, of classes that have nothing but their names."""
    return [(name, type(name, (), {"__module__": f"sklearn.{module}"})) for module, names in ESTIMATORS.items() for name in names.split()]


def _whichmodule(search: Callable[[Any, str], str]) -> Callable[[Any, str], str]:
    """As `search`, but at once for ufuncs that don't tell their module: the first loaded module that has one under its name."""
    homes: dict[int, str] = {}
    for module_name, module in sys.modules.copy().items():
        if module_name not in ("__main__", "__mp_main__"):
            for name, value in list(getattr(module, "__dict__", {}).items()):
                if type(value) is np.ufunc and value.__name__ == name and getattr(value, "__module__", None) is None:
                    homes.setdefault(id(value), module_name)
    return lambda found, name: homes.get(id(found)) or search(found, name)
