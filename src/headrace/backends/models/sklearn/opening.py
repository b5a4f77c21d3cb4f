"""Opening skops without its search for all estimators, which imports every module of scikit-learn: a third of a second a process.

skops asks `sklearn.utils.all_estimators` once, while it is imported, for the names that it trusts. Here it is given a list of our own
instead, and estimators that are newer than the list are looked for only when one is met. The invariant: what is trusted in
the end is what skops would have found by itself.
"""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Iterable
from types import ModuleType
from typing import Any

from headrace.backends.models.sklearn.estimators import ESTIMATORS

__all__ = ["newer_estimators", "skops_io"]

_LOCK = threading.Lock()


def skops_io() -> ModuleType:
    """The module `skops.io`."""
    with _LOCK:
        if "skops.io" in sys.modules:
            return sys.modules["skops.io"]
        utils: Any = importlib.import_module("sklearn.utils")
        search = utils.all_estimators
        utils.all_estimators = _listed
        try:
            return importlib.import_module("skops.io")
        finally:
            utils.all_estimators = search


def newer_estimators(names: Iterable[str]) -> set[str]:
    """Which of these types are estimators of the installed scikit-learn that the list does not have yet."""
    asked = {name for name in names if name.startswith("sklearn.")}
    if not asked:
        return set()
    utils: Any = importlib.import_module("sklearn.utils")
    found = utils.all_estimators()
    return asked & {f"{estimator.__module__}.{estimator.__name__}" for _, estimator in found}


def _listed() -> list[tuple[str, type]]:
    """Pairs as `all_estimators` gives them, of classes that have nothing but their names."""
    return [(name, type(name, (), {"__module__": f"sklearn.{module}"})) for module, names in ESTIMATORS.items() for name in names.split()]
