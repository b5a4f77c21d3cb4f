"""Finding a flavour by its name: the only place that imports a backend, and by string.

A flavour is a module under `headrace/backends/<port>/` or, from a third party, an entry point in the group
`headrace.<port>`. The invariant: nothing is imported before it is used, and nothing that is not asked for.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

from headrace.core.errors import ConfigurationError, MissingLibraryError, did_you_mean

__all__ = ["flavours", "load"]

_BACKENDS = Path(__file__).parent / "backends"
_EXTRAS = {
    "fastavro": "avro",
    "sklearn": "sklearn",
    "skops": "sklearn",
    "pandas": "pandas",
    "polars": "polars",
    "ibis": "ibis",
    "mlflow": "mlflow",
}


def load(port: str, name: str) -> ModuleType:
    """The module of a flavour. ConfigurationError with the nearest name; MissingLibraryError with what to install."""
    folder = _BACKENDS / port
    if (
        name.isidentifier()
        and not name.startswith("_")
        and ((folder / f"{name}.py").is_file() or (folder / name / "__init__.py").is_file())
    ):
        return _imported(f"headrace.backends.{port}.{name}", port, name)
    from importlib.metadata import entry_points

    found = {e.name: e for e in entry_points(group=f"headrace.{port}")}
    if name in found:
        return _imported(found[name].module, port, name)
    raise ConfigurationError(f"There is no flavour `{name}` of {port}. {did_you_mean(name, [*flavours(port), *found])}")


def flavours(port: str) -> tuple[str, ...]:
    """The names of the flavours that come with headrace, without importing them."""
    folder = _BACKENDS / port
    names = [p.stem for p in folder.glob("*.py")] + [p.parent.name for p in folder.glob("*/__init__.py")]
    return tuple(sorted(n for n in names if not n.startswith("_")))


def _imported(module: str, port: str, name: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in ("", "headrace"):
            raise
        raise MissingLibraryError(
            f"The flavour `{name}` of {port} needs `{missing}`, which is not installed. Install it with: pip install 'headrace[{_EXTRAS.get(missing, name)}]'"
        ) from error
