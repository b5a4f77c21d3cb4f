"""Files to mend: the rejected records of one interval written out for an editor, and read back with the link to where they came from.

A file to mend holds records in the source's own dialect and nothing else; the link is in a file beside it. The invariant: what comes back is
paired with what went out record by record, in order, or it is refused; a record that does not come back stays in quarantine.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import file_digest, sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from headrace.core.errors import ConfigurationError, NotReadyError, SourceError
from headrace.core.interval import Interval
from headrace.core.location import resolve
from headrace.core.manifest import Manifest, time_text
from headrace.core.mending import Mend, Place, pair, root_of
from headrace.core.ports import JSON
from headrace.core.step import Source
from headrace.run.quarantined import Quarantine, Rejected, records_of, source_called
from headrace.run.session import Session
from headrace.steps.mending import MendedFile, mendable, name_of_mended

__all__ = ["Exported", "Origins", "digests_in", "export_to_mend", "mended_with", "origins_of", "sidecar_of"]

_FORMAT = 1
_CHUNK = 1024 * 1024
_DIGITS = 16
_ALIGNED = 20_000  # records beyond which those that were taken out are not looked for


@dataclass(frozen=True)
class Exported:
    """What was written: the file to mend, the one that links it with its records, and how many there are."""

    path: Path
    origin: Path
    records: int


@dataclass(frozen=True)
class Origins:
    """Where the records of a file to mend came from: each by its place and the beginning of the digest of its bytes, in order."""

    source: str
    interval: Interval
    dataset: str
    version: int
    digest: str
    files: Mapping[str, str]
    records: Sequence[tuple[Place, str]]

    @property
    def is_refused(self) -> bool:
        return self.dataset.endswith(".refused")

    def as_json(self) -> dict[str, JSON]:
        """What a later version tells of the one that it was made from."""
        return {"dataset": self.dataset, "version": self.version, "digest": self.digest}


def sidecar_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.origin.json")


# ---------------------------------------------------------------- out


def export_to_mend(session: Session, source: str, quarantine: Quarantine, path: Path) -> Exported:
    """Write the records of a quarantine for a person to mend. ConfigurationError when there is such a file already."""
    step = source_called(session, source)
    _check_encoding(quarantine.manifest)
    beside = sidecar_of(path)
    for one in (path, beside):
        if one.exists():
            raise ConfigurationError(f"`{one}` is there already, and is not written over: name another file, or move it away.")
    with session.lake.store.lease(), TemporaryDirectory(prefix="headrace-mending-") as folder, ExitStack() as undo:
        raw = _Raw(session, step, quarantine, Path(folder))
        head = raw.head()
        with _created(path) as file:
            undo.callback(path.unlink, missing_ok=True)
            with _created(beside) as links:
                undo.callback(beside.unlink, missing_ok=True)
                count = _write(head, raw, quarantine, file, links)
        undo.pop_all()
    return Exported(path, beside, count)


def _check_encoding(manifest: Manifest) -> None:
    """Records of UTF-16 can't be written one below the other: only the first would have the mark that says in which order its bytes are."""
    files = manifest.content.details.get("files")
    told = [manifest.content.details, *(files if isinstance(files, Sequence) and not isinstance(files, str) else ())]
    for one in told:
        way = one.get("read_as") if isinstance(one, Mapping) else None
        encoding = str(way.get("encoding", "")) if isinstance(way, Mapping) else ""
        if encoding.startswith(("utf-16", "utf-32")):
            raise ConfigurationError(
                f"The files are {encoding.upper()}, whose records can't be mended apart: mend the files at their origin, or convert them."
            )


def _created(path: Path) -> BinaryIO:
    try:
        return path.open("xb")
    except OSError as error:
        raise ConfigurationError(f"`{path}` can't be written: {error.strerror or error}.") from error


class _Raw:
    """The raw files that the records of a quarantine are from: in the lake, or at the origin as they were when the source was refused."""

    def __init__(self, session: Session, step: Source, quarantine: Quarantine, folder: Path) -> None:
        self.session, self.step, self.quarantine, self._folder = session, step, quarantine, folder
        self._paths: dict[str, Path] = {}  # by digest
        self._incoming = self._fetch_all()
        self.cut: dict[str, list[tuple[int, int]]] = {}
        for record in records_of(session, quarantine):
            if record.offset < 0:
                raise NotReadyError(f"{quarantine.manifest} was made before places were kept in full: run again with --force, then export.")
            wanted = self.cut.setdefault(record.file, [])
            if record.is_cut:
                wanted.append((record.offset, record.raw_size))
        told = digests_in(quarantine.manifest)
        self.files = {name: told[name] for name in self.cut}

    def head(self) -> bytes:
        """What the file to mend begins with, such as a header, which has to fit the records of all files."""
        reader, options = mendable(self.session.format(self.step)), self.step.options.options
        found: dict[bytes, str] = {}
        for name in self.files:
            found.setdefault(reader.head(self._names_in(name), options), name)
        if len(found) > 1:
            one, other = list(found.values())[:2]
            raise ConfigurationError(f"`{one}` and `{other}` have other columns, or in another order, and a file to mend has one header.")
        return next(iter(found))

    def whole(self, file: str) -> Iterator[bytes]:
        """The records of a file that the quarantine has the beginning of, in order."""
        reader, options = mendable(self.session.format(self.step)), self.step.options.options
        is_mended = file in digests_in(self.quarantine.manifest, "mended")
        return reader.bytes_at(self._path(file), reader.mended_options(options) if is_mended else options, self.cut[file])

    def _names_in(self, file: str) -> tuple[str, ...]:
        reader, options = self.session.format(self.step), self.step.options.options
        if file in digests_in(self.quarantine.manifest, "mended"):
            return reader.header(self._path(file), mendable(reader).mended_options(options))
        given = options.get("names")
        return tuple(map(str, given)) if isinstance(given, list | tuple) else reader.header(self._path(file), options)

    def _path(self, file: str) -> Path:
        digest = self.files[file]
        if digest not in self._paths:
            self._paths[digest] = self._in_lake(digest) or self._fetched(file)
        return self._paths[digest]

    def _in_lake(self, digest: str) -> Path | None:
        current = self.session.lake.log(self.session.graph.name, self.step.name).current(self.quarantine.interval)
        raw = current.content.part("raw") if current is not None else None
        entry = next((one for one in raw.files if one.sha256 == digest), None) if raw else None
        return self.session.lake.paths_of(current, [entry])[0] if current is not None and entry else None

    def _fetched(self, file: str) -> Path:
        """A file from the origin, where it has to be as it was. What is passed on the way is kept, so that each is fetched once."""
        for digest, path in self._incoming:
            self._paths[digest] = path
            if digest == self.files[file]:
                return path
        raise SourceError(
            f"`{file}` is not at its origin as it was when `{self.step.name}` was refused, and nothing of it was committed. Run again: "
            f"headrace run FILE --at {self.quarantine.interval.label}"
        )

    def _fetch_all(self) -> Iterator[tuple[str, Path]]:
        origin, location = self.session.origin(self.step), resolve(self.session.location(self.step), self.quarantine.interval)
        for number, found in enumerate(origin.find(location)):
            path, digest = self._folder / str(number), sha256()
            with origin.open(found) as source, path.open("wb") as target:
                while chunk := source.read(_CHUNK):
                    digest.update(chunk)
                    target.write(chunk)
            yield digest.hexdigest(), path


def _write(head: bytes, raw: _Raw, quarantine: Quarantine, file: BinaryIO, links: BinaryIO) -> int:
    numbers = {name: number for number, name in enumerate(raw.files)}
    start = {
        "format": _FORMAT,
        "source": f"{raw.session.graph.name}.{raw.step.name}",
        "interval": [time_text(quarantine.interval.start), time_text(quarantine.interval.end)],
        "dataset": quarantine.manifest.name,
        "version": quarantine.manifest.version,
        "digest": quarantine.manifest.content.digest,
        "files": [{"name": name, "sha256": digest} for name, digest in raw.files.items()],
        "columns of records": ["file", "offset", "line", "digest"],
    }
    links.write((json.dumps(start, indent=1).removesuffix("\n}") + ',\n "records": [').encode())
    file.write(head)
    count = 0
    for record, data in _whole(raw, quarantine):
        file.write(data + b"\n")
        told = [numbers[record.file], record.offset, record.line, _digest(data)]
        links.write(f"{',' if count else ''}\n  {json.dumps(told)}".encode())
        count += 1
    links.write(b"\n ]\n}\n")
    return count


def _whole(raw: _Raw, quarantine: Quarantine) -> Iterator[tuple[Rejected, bytes]]:
    long = {name: raw.whole(name) for name, cut in raw.cut.items() if cut}
    for record in records_of(raw.session, quarantine):
        yield record, next(long[record.file]) if record.is_cut else record.raw


def digests_in(manifest: Manifest, *listed: str) -> dict[str, str]:
    """The raw files that a manifest tells of, by name, and their digests: all, or only those of the origin (`files`) or `mended`."""
    found: dict[str, str] = {}
    for key in listed or ("files", "mended"):
        files = manifest.content.details.get(key)
        for file in files if isinstance(files, Sequence) and not isinstance(files, str) else ():
            if isinstance(file, Mapping):
                found[str(file["name"])] = str(file["sha256"])
    return found


# ---------------------------------------------------------------- back


def origins_of(path: Path) -> Origins:
    """What the file beside a mended one says. ConfigurationError where there is none, or when it is no such file."""
    beside = sidecar_of(path)
    try:
        told = json.loads(beside.read_bytes())
        if told["format"] != _FORMAT:
            raise ValueError(f"its format is {told['format']}, and this headrace knows {_FORMAT}")  # noqa: TRY301  # told as all else
        names = [str(file["name"]) for file in told["files"]]
        records = [(Place(names[number], int(offset)), str(digest)) for number, offset, _, digest in told["records"]]
        start, end = told["interval"]
        files = {str(file["name"]): str(file["sha256"]) for file in told["files"]}
        return Origins(told["source"], Interval.of(start, end), told["dataset"], int(told["version"]), told["digest"], files, records)
    except FileNotFoundError:
        raise ConfigurationError(
            f"`{beside}` is not there: it says which records `{path.name}` mends. `headrace quarantine … --export` writes it; keep the two together."
        ) from None
    except (ValueError, KeyError, TypeError, IndexError, OSError) as cause:
        raise ConfigurationError(f"`{beside}` does not say which records `{path.name}` mends: {cause}. Export them again.") from None


def mended_with(
    session: Session, step: Source, path: Path, origins: Origins, *, known: Sequence[Mend], files: Mapping[str, str]
) -> MendedFile:
    """A mended file, its records paired with those that went out; `files` are the raw files that are mended in the end.

    SourceError when nobody can say which ones they are, or when the file is not what it claims to be.
    """
    if not path.is_file():
        raise ConfigurationError(f"`{path}` is not there.")
    reader = session.format(step)
    options = mendable(reader).mended_options(step.options.options)
    found = [(record.offset, _digest(record.raw)) for record in mendable(reader).records(path, options)]
    pairs = _pairs([digest for _, digest in origins.records], [digest for _, digest in found], path)
    links: dict[int, Place | None] = {}
    for (offset, digest), number in zip(found, pairs, strict=True):
        place, before = origins.records[number]
        links[offset] = None if digest == before else root_of(place, known)
    mended = {place.file for place in links.values() if place is not None}
    taken = {*files, *(one.name for one in known)}
    with path.open("rb") as file:
        own = file_digest(file, "sha256").hexdigest()
    return MendedFile(Mend(name_of_mended(path.name, taken), own, {name: files[name] for name in sorted(mended)}, links), path)


def _pairs(before: Sequence[str], after: Sequence[str], path: Path) -> Sequence[int]:
    pairs: Sequence[int] | int = pair(before, after) if max(len(before), len(after)) <= _ALIGNED or len(before) == len(after) else 0
    if isinstance(pairs, int):
        raise SourceError(
            f"`{path}` has {len(after)} records, and {len(before)} were exported: nobody can say which one its record {pairs + 1} mends. Each has "
            "to stand where it stood. Leave a record that can't be mended as it is, and look for a quote that does not close."
        )
    return pairs


def _digest(data: bytes) -> str:
    return sha256(data).hexdigest()[:_DIGITS]
