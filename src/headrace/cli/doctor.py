"""`headrace doctor`: where each setting came from, what is installed, and whether the lake can be used."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import click

from headrace import __version__
from headrace.cli.options import as_json, lake_options
from headrace.cli.output import print_json, print_table, tell
from headrace.config import DEFAULTS, Config, masked, read_config
from headrace.core.errors import HeadraceError
from headrace.core.ports import JSON
from headrace.core.redaction import public
from headrace.plugins import flavours
from headrace.run.access import lake_access
from headrace.run.connections import Connections
from headrace.run.loading import load_pipeline
from headrace.run.redaction import redacted
from headrace.run.session import Session, open_lake_at

__all__ = ["doctor"]

_LIBRARIES = (
    "duckdb",
    "pyarrow",
    "pydantic",
    "scikit-learn",
    "skops",
    "pandas",
    "polars",
    "ibis-framework",
    "mlflow-skinny",
    "mlflow",
    "urllib3",
    "deltalake",
)
_PORTS = ("sources", "origins", "stores", "engines", "models", "trackers", "exports")


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@lake_options
@as_json
def doctor(file: Path | None, lake: str | None, profile: str | None, as_json: bool) -> int:  # noqa: FBT001  # click passes options by name
    """Say where each setting came from, which libraries are there, and whether the pipeline in FILE and its lake can be used."""
    config = read_config(file.absolute() if file else None, environment=os.environ, profile=profile, overrides={"lake": lake})
    checks = _checks(file, config)
    libraries = {name: _version(name) for name in _LIBRARIES}
    if as_json:
        print_json(_document(config, checks, libraries))
        return 0 if all(ok for _, ok, _ in checks) else 1
    tell(f"headrace {__version__}, Python {sys.version.split()[0]}, {platform.system()} {platform.machine()}\n")
    rows = [(name, masked(_text(v.value)), v.origin) for name, v in config.values.items()]
    rows += [(f"sources.{name}", public(str(v.value)), v.origin) for name, v in config.locations.items()]
    rows += [(f"sources.{name}.{key}", str(v.value), v.origin) for name, given in config.ways_in.items() for key, v in given.items()]
    rows += [
        (f"settings.{step}.{name}", _text(value), f"[{config.profile}.settings.{step}]")
        for step, given in config.settings.items()
        for name, value in given.items()
    ]
    print_table(("setting", "value", "from"), [("profile", config.profile, ""), *rows])
    tell("")
    print_table(("library", "version"), [(name, found or "not installed") for name, found in libraries.items()])
    tell("")
    print_table(("port", "flavours"), [(port, ", ".join(flavours(port))) for port in _PORTS])
    tell("")
    for what, ok, said in checks:
        mark = click.style("ok", fg="green") if ok else click.style("no", fg="red")
        tell(f"{mark}  {what}: {said}")
    return 0 if all(ok for _, ok, _ in checks) else 1


def _checks(file: Path | None, config: Config) -> list[tuple[str, bool, str]]:
    found: list[tuple[str, bool, str]] = []
    if file is not None:
        try:
            loaded = load_pipeline(file)
            graph = loaded.graph
            found.append(("pipeline", True, f"{graph.name}, {len(graph.steps)} steps, every {graph.grid.label}"))
            Session(graph, config, open_lake_at("memory://"), file=loaded.file)
            found.append(("settings", True, "they fit the pipeline"))
        except HeadraceError as error:
            found.append(("settings" if found else "pipeline", False, redacted(str(error))))
    connections = Connections(config)
    asked = {setting: config.values[setting] for setting in ("connection", "tracking_connection")}
    asked |= {f"sources.{name}.connection": given["connection"] for name, given in config.ways_in.items() if "connection" in given}
    for setting, value in asked.items():
        try:
            one = connections.called(str(value.value), f"{setting}, {value.origin}") if value.value else None
        except HeadraceError as error:
            found.append((setting, False, redacted(str(error))))
            continue
        if one is not None:
            found.append((setting, True, f"`{one.id}`, of type {one.type or 'none'}, from {one.origin}"))
    uri = config.lake_uri
    try:
        if "://" not in uri and not Path(uri).exists():
            found.append(("lake", True, f"{uri} is not there yet; the first run makes it"))
        else:
            open_lake_at(uri, read_only=True, access=lake_access(config, connections))
            found.append(("lake", True, masked(uri)))
    except HeadraceError as error:
        found.append(("lake", False, redacted(str(error))))
    return found


def _document(config: Config, checks: list[tuple[str, bool, str]], libraries: dict[str, str | None]) -> dict[str, JSON]:
    settings: dict[str, JSON] = {
        name: {"value": masked(_text(v.value)), "from": v.origin, "about": DEFAULTS[name][1]} for name, v in config.values.items()
    }
    return {
        "headrace": __version__,
        "python": sys.version.split()[0],
        "profile": config.profile,
        "settings": settings,
        "sources": {
            **{name: {"value": public(str(v.value)), "from": v.origin} for name, v in config.locations.items()},
            **{f"{name}.{key}": {"value": v.value, "from": v.origin} for name, given in config.ways_in.items() for key, v in given.items()},
        },
        "libraries": dict(libraries),
        "checks": [{"what": what, "ok": ok, "said": said} for what, ok, said in checks],
    }


def _text(value: JSON) -> str:
    if value is None:
        return "unset"
    return ", ".join(str(v) for v in value) or "none" if isinstance(value, list) else str(value)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
