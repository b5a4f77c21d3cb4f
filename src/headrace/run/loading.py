"""From a pipeline file to its graph: the file is imported under its own name, and the one pipeline in it is asked for its graph.

The invariant: loading reads no data and writes nothing; what is wrong with the file is told with file and line.
"""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Protocol, runtime_checkable

from headrace.core.errors import ConfigurationError, HeadraceError, MissingLibraryError, PipelineError, Problem, Where
from headrace.core.graph import Graph

__all__ = ["Loaded", "load_pipeline"]


@runtime_checkable
class _Declared(Protocol):
    """What a pipeline object has; recognised by shape, since the surface lies above this floor."""

    name: str

    def graph(self) -> Graph: ...

    def predict(self, *args: object, **kwargs: object) -> object: ...


@dataclass(frozen=True)
class Loaded:
    """A pipeline file, imported."""

    file: Path
    graph: Graph
    module: ModuleType


def load_pipeline(file: str | Path, *, name: str | None = None) -> Loaded:
    """Import a pipeline file and check its graph. PipelineError with every problem found.

    `name` chooses among several pipelines in one file.
    """
    path = Path(file).absolute()
    if not path.is_file():
        near = sorted(p.name for p in path.parent.glob("*.py"))[:8] if path.parent.is_dir() else []
        found = f" The folder has: {', '.join(near)}." if near else ""
        raise PipelineError(f"There is no pipeline file {path}.{found} Write one with: headrace init data.csv --target COLUMN")
    module = _import(path)
    pipelines = list(dict.fromkeys(_pipelines(module)))
    named = [p for p in pipelines if name is None or p.name == name]
    if len(named) == 1:
        return Loaded(path, named[0].graph(), module)
    if not pipelines:
        raise PipelineError(
            f'{path} makes no pipeline. It needs one at the top level, such as: shop = headrace.Pipeline("shop", schedule="@daily")'
        )
    listed = ", ".join(p.name for p in pipelines)
    raise PipelineError(f"{path} has {len(pipelines)} pipelines ({listed}){f', none called `{name}`' if name else ''}. Keep one in a file.")


def _pipelines(module: ModuleType) -> Iterator[_Declared]:
    for value in vars(module).values():
        if type(value).__module__ == "headrace.pipeline" and isinstance(value, _Declared):
            yield value


def _import(path: Path) -> ModuleType:
    """The file as a module; its folder is importable, as when Python runs a script."""
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    stem = path.stem if path.stem.isidentifier() else "pipeline"
    taken = sys.modules.get(stem)
    name = stem if taken is None or getattr(taken, "__file__", None) == str(path) else f"headrace_pipeline_{stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PipelineError(f"{path} can't be imported: a pipeline file is Python, and its name ends in .py.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except ConfigurationError as error:
        if isinstance(error, MissingLibraryError):
            raise
        raise PipelineError([Problem(str(error), _last_line_in(error, path))]) from error
    except HeadraceError:
        raise
    except SyntaxError as error:
        raise PipelineError(
            [Problem(f"{error.msg}: {(error.text or '').strip()}", Where(str(error.filename), error.lineno or 1))]
        ) from error
    except Exception as error:
        raise PipelineError(
            [Problem(f"the file can't be imported: {type(error).__name__}: {error}", _last_line_in(error, path))]
        ) from error
    return module


def _last_line_in(error: BaseException, path: Path) -> Where:
    lines = [f.lineno or 1 for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
    return Where(str(path), lines[-1] if lines else 1)
