"""The current files of a dataset, as they are told to readers that know nothing of headrace.

A folder of the lake holds attempts and old versions beside what is current, so a list is made from manifests and never by looking into
folders. The invariant: all files of one interval come from one manifest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from headrace.core.errors import ConfigurationError, UnknownNameError, did_you_mean
from headrace.core.interval import Interval
from headrace.core.manifest import Manifest, Part, time_text
from headrace.core.ports import JSON
from headrace.core.split import ROW_PARTS

__all__ = ["CurrentFile", "listed", "redshift_manifest"]

_NOT_IN_EACH = ("quarantine", "gap")
"""Parts that an interval need not have: a source that rejected nothing has no quarantine."""


@dataclass(frozen=True)
class CurrentFile:
    """One file that another reader may open: where it is, what is in it, and the commit that names it."""

    dataset: str
    interval: Interval
    version: int
    part: str
    uri: str
    bytes: int
    sha256: str
    rows: int | None

    def as_json(self) -> dict[str, JSON]:
        return {
            "dataset": self.dataset,
            "interval": self.interval.label,
            "start": time_text(self.interval.start),
            "end": time_text(self.interval.end),
            "version": self.version,
            "part": self.part,
            "uri": self.uri,
            "bytes": self.bytes,
            "rows": self.rows,
            "sha256": self.sha256,
        }


def listed(manifests: Iterable[Manifest], part: str | None, *, uri: str) -> list[CurrentFile]:
    """The files of one part; without a name those that hold rows, or all where none does (a model). UnknownNameError for no such part."""
    return [
        CurrentFile(m.name, m.interval, m.version, one.name, f"{uri.rstrip('/')}/{file.key}", file.bytes, file.sha256, file.rows)
        for m in manifests
        for one in _asked(m, part)
        for file in one.files
    ]


def redshift_manifest(files: Sequence[CurrentFile]) -> dict[str, JSON]:
    """What Redshift's `COPY … MANIFEST` reads: each file is mandatory, with the length that COPY asks for with Parquet.

    ConfigurationError for files that are not on S3, or for none at all.
    """
    outside = next((file.uri for file in files if not file.uri.startswith("s3://")), None)
    if outside is not None:
        raise ConfigurationError(
            f"A COPY of Redshift reads from S3, and {outside} is not there. Name the profile whose lake is on S3 (--profile), or that lake (--lake s3://…)."
        )
    entries: list[JSON] = [{"url": file.uri, "mandatory": True, "meta": {"content_length": file.bytes}} for file in files]
    if not entries:
        raise ConfigurationError("There is no file to list, and Redshift refuses a manifest without entries.")
    return {"entries": entries}


def _asked(manifest: Manifest, name: str | None) -> Sequence[Part]:
    parts = manifest.content.parts
    if name is None:
        return [part for part in parts if part.name in ROW_PARTS] or parts
    found = manifest.content.part(name)
    if found is None and parts and name not in _NOT_IN_EACH:
        known = [part.name for part in parts]
        raise UnknownNameError(f"{manifest} has no part `{name}`. {did_you_mean(name, known)}")
    return [] if found is None else [found]
