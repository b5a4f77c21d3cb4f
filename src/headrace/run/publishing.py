"""Copying the current rows of an interval to where others read them, after the commit.

Whatever interrupts it, the next run sees by the mark (`_SUCCESS`) that the copy is not of the current version, and makes it again. Files
keep their names from version to version and are replaced in place; nothing is deleted, for a step may not: a file that the new
version has no more is replaced by one without rows. The invariant: a finished mark is put after the files that it names, and whoever
put one has seen afterwards that its version is still the current one.

The lake's guarantees end here. Two runs that publish two versions at once are mended by whichever ends last; only one that is
killed after it wrote old rows over newer ones, and before it looked again, leaves a mark that is not true.
"""

from __future__ import annotations

from collections.abc import Sequence

from headrace.core.errors import ConfigurationError, HeadraceError, LakeError, TransientError, is_transient
from headrace.core.location import is_within
from headrace.core.manifest import Manifest
from headrace.core.ports import InputFiles, WriteOrder
from headrace.core.published import INTERVAL_COLUMN, SUCCESS, files_of, folder_of, is_ours, mark_of, unfinished_mark
from headrace.core.step import Step, published_to
from headrace.core.store import Store
from headrace.lake.lake import VanishedError
from headrace.run.session import Session

__all__ = ["publish", "unpublished"]

_TRIES = 3


def unpublished(session: Session, step: Step, manifest: Manifest) -> str:
    """Why the copy of a current version is to be made (again), in words; empty when it stands, or when none is wanted."""
    place = _place(session, step)
    if place is None:
        return ""
    try:
        found = _mark(session.shelf(place), _folder(manifest))
    except HeadraceError:
        return f"its copy in {place} can't be seen"  # the step says why, when it fails at it
    if found is None:
        return f"not published in {place} yet"
    return "" if found == mark_of(manifest) else f"its copy in {place} is not of version {manifest.version}"


def publish(session: Session, step: Step, manifest: Manifest) -> str | None:
    """Have the current version of an interval published, if the step's declaration or the settings say where; what was done, in words.

    `manifest` is the version that was current a moment ago. Raises LakeError or TransientError; the commit stands in any case.
    """
    place = _place(session, step)
    if place is None:
        return None
    _check(session, step, manifest, place)
    try:
        return _published(session, step, manifest, session.shelf(place))
    except HeadraceError as error:
        kind = TransientError if is_transient(error) else LakeError
        raise kind(
            f"step `{step.name}` ({manifest.interval.label}) is committed as version {manifest.version}, but could not be published "
            f"in {place}: {error} The next run publishes it."
        ) from error


def _published(session: Session, step: Step, manifest: Manifest, shelf: Store) -> str | None:
    log, done = session.log(step.name), None
    for _ in range(_TRIES):
        if _mark(shelf, _folder(manifest)) == mark_of(manifest):
            return done
        try:
            with session.lake.store.lease():
                _replace(session, manifest, shelf)
            done = f"published in {shelf.uri}/{_folder(manifest)}"
        except VanishedError:
            done = None
        current = log.current(manifest.interval)
        if current is None or current.kind != "data" or (done and current.version == manifest.version):
            return done
        manifest = current
    raise TransientError(f"each of {_TRIES} versions was replaced while it was published.")


def _replace(session: Session, manifest: Manifest, shelf: Store) -> None:
    folder = _folder(manifest)
    if _mark(shelf, folder) is not None:
        shelf.replace(f"{folder}/{SUCCESS}", unfinished_mark(manifest))
    names = set()
    for part in dict.fromkeys(part for part, _ in files_of(manifest)):
        entries = [file for of, file in files_of(manifest) if of == part]
        for file, path in zip(entries, session.lake.read_paths(manifest, part, verify=True), strict=True):
            shelf.replace(f"{folder}/{file.name}", path)
            names.add(file.name)
    known = (key.rpartition("/")[2] for key in shelf.keys(f"{folder}/"))
    _empty(session, manifest, shelf, [name for name in known if is_ours(name) and name not in names])
    shelf.replace(f"{folder}/{SUCCESS}", mark_of(manifest))


def _empty(session: Session, manifest: Manifest, shelf: Store, names: Sequence[str]) -> None:
    """Replace what older versions left by a file without rows, which needs no permission to delete."""
    for name in names:
        empty = session.work / f"empty-{manifest.dataset}-{manifest.content.digest[:16]}.parquet"
        if not empty.is_file():
            with session.engine.session(work=session.work) as engine:
                nothing = engine.give(InputFiles("nothing", (), manifest.content.columns), "arrow")
                engine.write(nothing, WriteOrder({"rows": empty}), values={})
        shelf.replace(f"{_folder(manifest)}/{name}", empty)


def _place(session: Session, step: Step) -> str | None:
    """Where a step's rows are published; an experiment's are not."""
    return None if step.name in session.experiment else published_to(step)


def _folder(manifest: Manifest) -> str:
    return folder_of(manifest.pipeline, manifest.dataset, manifest.interval)


def _mark(shelf: Store, folder: str) -> bytes | None:
    try:
        return shelf.get(f"{folder}/{SUCCESS}")
    except KeyError:
        return None


def _check(session: Session, step: Step, manifest: Manifest, place: str) -> None:
    clash = next((column.name for column in manifest.content.columns if column.name.lower() == INTERVAL_COLUMN), None)
    if clash:
        raise ConfigurationError(
            f"step `{step.name}` is published in {place} and has a column `{clash}`, which is what readers call the start of an interval there. "
            "Call it something else."
        )
    if is_within(place, session.lake.uri) or is_within(session.lake.uri, f"{place}/{manifest.pipeline}"):
        raise ConfigurationError(
            f"step `{step.name}` can't be published in {place}: that is in the lake, {session.lake.uri}, and a lake holds only its own files. "
            "Name a place beside it."
        )
