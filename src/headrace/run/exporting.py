"""Handing the current rows of a dataset to a table of others, an interval at a time.

What a table holds, and how it is replaced, is the flavour's business (`headrace.core.outward.Export`). The invariant: what is sent for an
interval are the rows of one manifest, which was current when it was looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from headrace.config import Config
from headrace.core.aws import aws_credentials, aws_credentials_of_environment, variables_of
from headrace.core.errors import ConfigurationError, DataError
from headrace.core.interval import Interval
from headrace.core.location import is_within
from headrace.core.manifest import Manifest
from headrace.core.outward import Export, ExportedRows, Sent
from headrace.core.ports import JSON
from headrace.core.split import ROW_PARTS
from headrace.lake.lake import Lake, VanishedError
from headrace.plugins import load
from headrace.run.access import access_by_settings, flavour_of
from headrace.run.connections import Connections

__all__ = ["Exported", "open_export", "options_by_settings", "send"]


@dataclass(frozen=True)
class Exported:
    """What came of one interval: `was` is `written` or `standing`."""

    interval: Interval
    version: int
    was: Sent
    rows: int

    def as_json(self) -> dict[str, JSON]:
        return {"interval": self.interval.label, "version": self.version, "was": self.was, "rows": self.rows}


def open_export(lake: Lake, format: str, target: str | Path, options: Mapping[str, str] | None) -> Export:  # noqa: A002  # the word of the surface
    """A table by the flavour of its format. ConfigurationError for a place in the lake itself."""
    uri = str(target) if "://" in str(target) else str(Path(target).expanduser().absolute())
    if is_within(uri, lake.uri):
        raise ConfigurationError(
            f"Rows can't be exported to {uri}: that is in the lake, which holds only its own files. Name a place beside it."
        )
    return cast(Export, load("exports", format).open(uri, options=options))


def options_by_settings(config: Config, connections: Connections, target: str) -> dict[str, str] | None:
    """What a table in S3 is reached with, by the settings for the lake; None for another place, whose library looks for itself."""
    if flavour_of(target) != "s3":
        return None
    access = access_by_settings(config, connections.of("connection"))
    found = aws_credentials_of_environment(access.environment) if access.connection is None else aws_credentials(access.connection)
    options = variables_of(replace(found, endpoint_url=access.endpoint or found.endpoint_url, region=access.region or found.region))
    if options.get("AWS_ENDPOINT_URL", "").startswith("http://"):
        options["AWS_ALLOW_HTTP"] = "true"
    return options


def send(lake: Lake, manifests: Iterable[Manifest], part: str | None, export: Export) -> list[Exported]:
    """Send what each manifest names, in their order; one that was replaced meanwhile gives way to the one that is current now."""
    return [_sent(lake, manifest, part, export) for manifest in manifests]


def _sent(lake: Lake, manifest: Manifest, part: str | None, export: Export) -> Exported:
    log = lake.log(manifest.pipeline, manifest.dataset)
    try:
        told = _told(lake, manifest, part, export)
    except VanishedError:
        return log.read(manifest.interval, lambda current: _told(lake, current, part, export))
    if told.was != "newer":
        return told
    current = log.current(manifest.interval)
    if current is not None and current.kind == "data" and current.version > manifest.version:
        return _sent(lake, current, part, export)
    raise DataError(
        f"{export.uri} holds a newer version of {manifest.name} {manifest.interval.label} than version {manifest.version}, which is the current one in "
        f"{lake.uri}: it was exported from another lake. Export to another place."
    )


def _told(lake: Lake, manifest: Manifest, part: str | None, export: Export) -> Exported:
    names = _names(manifest, part)

    def files() -> dict[str, Sequence[Path]]:
        sides: Mapping[str, str] = {name: name for name in names} if part is None else {"rows": part}
        return {side: lake.read_paths(manifest, name, verify=True) for side, name in sides.items()}

    name = manifest.name if part is None else f"{manifest.name}.{part}"
    with lake.store.lease():
        was = export.send(ExportedRows(name, manifest.interval, manifest.version, manifest.content.digest, files))
    return Exported(manifest.interval, manifest.version, was, sum(p.rows or 0 for p in manifest.content.parts if p.name in names))


def _names(manifest: Manifest, part: str | None) -> list[str]:
    """The parts whose rows go out."""
    known = [p.name for p in manifest.content.parts]
    found = [name for name in known if name in ROW_PARTS and part in (None, name)]
    if not found:
        what = "no rows" if part is None else f"no part `{part}` of rows"
        raise DataError(f"{manifest} has {what}, but: {', '.join(known) or 'nothing'}. Only rows can be exported.")
    return found
