"""The manifest: what one commit says about itself, and its JSON form.

Here are plain values and their canonical bytes; where a manifest lies and how it gets there is the lake's business. A manifest has
two sections: `content`, equal for equal work, and `receipt`, which tells this one attempt from any other. The invariant: the digest of
a content is over its kind, schema, parts and file digests, never over a path, a time or a name of a machine; and a manifest names only
files in its own attempt's folders.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Literal, cast, get_args

from headrace.core.errors import DamageError, NewerFormatError
from headrace.core.interval import Interval
from headrace.core.ports import JSON, Column, Schema
from headrace.core.split import ROW_PARTS

__all__ = [
    "FORMAT",
    "MEMORY",
    "Content",
    "FileEntry",
    "InputRef",
    "Kind",
    "Manifest",
    "Part",
    "Run",
    "canonical_json",
    "digest_of",
    "time_text",
]

FORMAT = 1

MEMORY = "keys"
"""The part of a source's commit that has the keys which there were by the end of its interval, its own and those before."""

Kind = Literal["data", "fence", "cleared", "expired"]


@dataclass(frozen=True)
class FileEntry:
    """One file of a commit: its key in the lake, the SHA-256 of its bytes, its size, and its rows where that means something."""

    key: str
    sha256: str
    bytes: int
    rows: int | None = None

    @property
    def name(self) -> str:
        return self.key.rpartition("/")[2]

    @property
    def folder(self) -> str:
        return self.key.rpartition("/")[0]


@dataclass(frozen=True)
class Part:
    """A named part of a commit (`rows`, `train`, `quarantine`, `raw`, …): its layer, its files in order, its rows in all."""

    name: str
    layer: str
    files: tuple[FileEntry, ...]
    rows: int | None = None


@dataclass(frozen=True)
class Run:
    """Intervals of one length that follow each other without a gap, all read in the same version."""

    start: datetime
    minutes: int
    count: int
    version: int


@dataclass(frozen=True)
class InputRef:
    """What a step read of one dataset (`pipeline.name`): a window, the version of each interval in it, and one digest over their contents.

    >>> hours = [Interval.of(f"2026-11-20T{h:02d}", f"2026-11-20T{h + 1:02d}") for h in range(3)]
    >>> ref = InputRef.of("shop.purchases", Interval.of("2026-11-20T00", "2026-11-20T03"), [(hours[0], 1, "aa"), (hours[2], 2, "bb")])
    >>> ref.count, [str(gap) for gap in ref.gaps()]
    (2, ['[2026-11-20T01, 2026-11-20T02)'])
    """

    dataset: str
    window: Interval
    runs: tuple[Run, ...]
    count: int
    digest: str

    @classmethod
    def of(cls, dataset: str, window: Interval, read: Iterable[tuple[Interval, int, str]]) -> InputRef:
        """From what was read: interval, version and content digest, in any order."""
        ordered = sorted(read)
        digest = digest_of([content_digest for _, _, content_digest in ordered])
        return cls(dataset, window, _run_lengths(ordered), len(ordered), digest)

    def versions_of(self) -> dict[Interval, int]:
        """The version that was read of each interval, in time's order."""
        return {interval: run.version for run in self.runs for interval in _intervals(run)}

    def gaps(self) -> tuple[Interval, ...]:
        """The stretches of the window that nothing was read of."""
        found, reached = [], self.window.start
        for run in self.runs:
            if reached < run.start:
                found.append(Interval(reached, run.start))
            reached = max(reached, run.start + timedelta(minutes=run.minutes * run.count))
        if reached < self.window.end:
            found.append(Interval(reached, self.window.end))
        return tuple(found)


@dataclass(frozen=True)
class Content:
    """What was made, apart from when, where and by whom: equal work has an equal content (but for the keys of its files)."""

    kind: Kind
    step_kind: str = ""
    parts: tuple[Part, ...] = ()
    schema: Mapping[str, Schema] = field(default_factory=dict)
    fingerprint: str = ""
    fingerprint_parts: Mapping[str, JSON] = field(default_factory=dict)
    inputs: tuple[InputRef, ...] = ()
    positions: Mapping[str, JSON] | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    details: Mapping[str, JSON] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"a commit of kind {self.kind!r}: the kinds are {', '.join(get_args(Kind))}")
        names = [part.name for part in self.parts]
        if len(set(names)) < len(names):
            raise ValueError(f"a commit has two parts of the same name: {', '.join(names)}")
        if self.parts and self.kind != "data":
            raise ValueError(f"a commit of kind `{self.kind}` has no parts, got {', '.join(names)}")

    @cached_property
    def digest(self) -> str:
        """Over kind, schema, part names, and the digest and rows of each file in order; but not of what is there for the next interval alone."""
        own = [part for part in _by_name(self.parts) if part.name != MEMORY]
        parts: list[JSON] = [[part.name, [[file.sha256, file.rows] for file in part.files]] for part in own]
        return digest_of([self.kind, _schema_json(self.schema), parts])

    def part(self, name: str | None = None) -> Part | None:
        """The part of that name; without a name the part `rows`, else the only one there is."""
        if name is None and len(self.parts) == 1:
            return self.parts[0]
        return next((part for part in self.parts if part.name == (name or "rows")), None)

    @property
    def columns(self) -> Schema:
        """The columns of its rows, which all sides of a split share; empty where it has no rows."""
        return next((columns for name, columns in self.schema.items() if name in ROW_PARTS), ())

    @property
    def rows(self) -> int | None:
        part = self.part()
        return part.rows if part else None


@dataclass(frozen=True)
class Manifest:
    """One entry of a dataset's log: the content of version `version` of an interval, and the receipt of the attempt that made it."""

    pipeline: str
    dataset: str
    interval: Interval
    version: int
    content: Content
    receipt: Mapping[str, JSON]

    @property
    def kind(self) -> Kind:
        return self.content.kind

    @property
    def nonce(self) -> str:
        return str(self.receipt["nonce"])

    @property
    def base(self) -> int:
        """The highest version that the writer had seen before it read its inputs."""
        return int(cast("int", self.receipt["base"]))

    @property
    def upstream(self) -> tuple[InputRef, ...]:
        """What it was made from of other datasets."""
        return tuple(ref for ref in self.content.inputs if ref.dataset != self.name)

    @property
    def name(self) -> str:
        """The dataset with its pipeline, as users write it: `shop.spending`."""
        return f"{self.pipeline}.{self.dataset}"

    def __str__(self) -> str:
        return f"{self.name} {self.interval} v{self.version}"

    def to_json(self) -> bytes:
        """The canonical bytes: equal manifests have equal bytes."""
        receipt = {**self.receipt, "slot": _slot_json(self), "paths": _paths(self.content.parts)}
        return canonical_json({"content": _content_json(self.content), "receipt": receipt})

    @classmethod
    def from_json(cls, data: bytes, *, source: str = "a manifest") -> Manifest:
        """Read the bytes that `to_json` made. `source` is named in errors.

        Raises NewerFormatError for a format that this version does not know, DamageError for bytes that are no manifest or whose
        content is not what its digest says.
        """
        try:
            raw = json.loads(data)
            _check_format(int(raw["content"]["format"]), source)
            manifest = _manifest_from(raw)
            stated = raw["content"]["digest"]
        except (KeyError, TypeError, ValueError, AttributeError) as cause:
            raise DamageError(
                f"{source} is not a manifest: {type(cause).__name__}: {cause}. Its bytes were changed after they were written."
            ) from cause
        if manifest.content.digest != stated:
            raise DamageError(
                f"{source} says its content has the digest {stated}, but it is {manifest.content.digest}. It was changed after it was written."
            )
        return manifest


def canonical_json(value: JSON) -> bytes:
    """JSON with sorted keys and no spaces, in UTF-8. Raises ValueError for NaN and infinities."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def time_text(time: datetime) -> str:
    """A time in UTC as entries carry it: `2026-11-20T08:00:00Z`."""
    return time.isoformat().replace("+00:00", "Z")


def digest_of(value: JSON) -> str:
    """The SHA-256 of a value's canonical JSON, in hexadecimal."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


# ---------------------------------------------------------------- runs of versions


def _run_lengths(read: list[tuple[Interval, int, str]]) -> tuple[Run, ...]:
    runs: list[Run] = []
    reached: datetime | None = None
    for interval, version, _ in read:
        last = runs[-1] if runs else None
        if last and interval.start == reached and (last.minutes, last.version) == (interval.minutes, version):
            runs[-1] = replace(last, count=last.count + 1)
        else:
            runs.append(Run(interval.start, interval.minutes, 1, version))
        reached = interval.end
    return tuple(runs)


def _intervals(run: Run) -> Iterable[Interval]:
    step = timedelta(minutes=run.minutes)
    return (Interval(run.start + step * n, run.start + step * (n + 1)) for n in range(run.count))


# ---------------------------------------------------------------- to JSON


def _content_json(content: Content) -> dict[str, JSON]:
    return {
        "format": FORMAT,
        "digest": content.digest,
        "kind": content.kind,
        "step_kind": content.step_kind,
        "parts": [_part_json(part) for part in _by_name(content.parts)],
        "schema": _schema_json(content.schema),
        "fingerprint": content.fingerprint,
        "fingerprint_parts": content.fingerprint_parts,
        "inputs": [_input_json(ref) for ref in content.inputs],
        "positions": content.positions,
        "metrics": content.metrics,
        "details": content.details,
    }


def _by_name(parts: tuple[Part, ...]) -> list[Part]:
    return sorted(parts, key=lambda part: part.name)


def _part_json(part: Part) -> dict[str, JSON]:
    files = [{"name": file.name, "sha256": file.sha256, "bytes": file.bytes, "rows": file.rows} for file in part.files]
    return {"name": part.name, "layer": part.layer, "rows": part.rows, "files": files}


def _schema_json(schema: Mapping[str, Schema]) -> dict[str, JSON]:
    return {part: [[column.name, column.type, column.nullable] for column in columns] for part, columns in schema.items()}


def _input_json(ref: InputRef) -> dict[str, JSON]:
    runs: list[JSON] = [[time_text(run.start), run.minutes, run.count, run.version] for run in ref.runs]
    return {"dataset": ref.dataset, "window": _interval_json(ref.window), "runs": runs, "count": ref.count, "digest": ref.digest}


def _slot_json(manifest: Manifest) -> dict[str, JSON]:
    interval = _interval_json(manifest.interval)
    return {"pipeline": manifest.pipeline, "dataset": manifest.dataset, "interval": interval, "version": manifest.version}


def _paths(parts: tuple[Part, ...]) -> dict[str, JSON]:
    return {part.layer: file.folder for part in parts for file in part.files}


def _interval_json(interval: Interval) -> list[JSON]:
    return [time_text(interval.start), time_text(interval.end)]


# ---------------------------------------------------------------- from JSON


def _check_format(found: int, source: str) -> None:
    if found > FORMAT:
        raise NewerFormatError(
            f"{source} has format {found}, and this headrace knows formats up to {FORMAT}. Upgrade headrace here; nothing was read or written."
        )


def _manifest_from(raw: Mapping[str, dict]) -> Manifest:  # type: ignore[type-arg]  # parsed JSON: checked by use
    content, receipt = raw["content"], dict(raw["receipt"])
    slot, paths = receipt.pop("slot"), receipt.pop("paths")
    parts = tuple(_part_from(part, paths) for part in content["parts"])
    schema = {part: tuple(Column(*column) for column in columns) for part, columns in content["schema"].items()}
    body = Content(
        kind=content["kind"],
        step_kind=content["step_kind"],
        parts=parts,
        schema=schema,
        fingerprint=content["fingerprint"],
        fingerprint_parts=content["fingerprint_parts"],
        inputs=tuple(_input_from(ref) for ref in content["inputs"]),
        positions=content["positions"],
        metrics=content["metrics"],
        details=content["details"],
    )
    return Manifest(slot["pipeline"], slot["dataset"], _interval_from(slot["interval"]), int(slot["version"]), body, receipt)


def _part_from(raw: dict, paths: dict[str, str]) -> Part:  # type: ignore[type-arg]
    layer = raw["layer"]
    files = tuple(FileEntry(f"{paths[layer]}/{file['name']}", file["sha256"], file["bytes"], file["rows"]) for file in raw["files"])
    return Part(raw["name"], layer, files, raw["rows"])


def _input_from(raw: dict) -> InputRef:  # type: ignore[type-arg]
    runs = tuple(Run(datetime.fromisoformat(start), minutes, count, version) for start, minutes, count, version in raw["runs"])
    return InputRef(raw["dataset"], _interval_from(raw["window"]), runs, raw["count"], raw["digest"])


def _interval_from(raw: list[str]) -> Interval:
    start, end = raw
    return Interval(datetime.fromisoformat(start), datetime.fromisoformat(end))
