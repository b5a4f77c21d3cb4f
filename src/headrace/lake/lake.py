"""The lake itself: its format, its datasets, and the doors to their logs and chains.

The invariant: a lake whose format this version does not know is neither read nor written.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from headrace.core.errors import DamageError, LakeError, NewerFormatError, UnknownNameError
from headrace.core.manifest import FORMAT, FileEntry, Manifest, canonical_json
from headrace.core.store import Store
from headrace.lake.chain import Chain
from headrace.lake.entry import put_entry
from headrace.lake.files import VanishedError, fetch, paths_of, read_paths
from headrace.lake.layout import LAKE_KEY, check_name, log_prefix
from headrace.lake.log import DatasetLog

__all__ = ["Lake", "VanishedError"]


def _random_nonce() -> str:
    return os.urandom(16).hex()


class Lake:
    """The root under which all commits lie. Made by `Lake.open`; any number of threads may use one."""

    def __init__(self, store: Store, *, clock: Callable[[], datetime], nonces: Callable[[], str] = _random_nonce) -> None:
        self.store = store
        self.clock = clock
        self._nonces = nonces
        self._logs: dict[tuple[str, str], DatasetLog] = {}

    @classmethod
    def open(
        cls, store: Store, *, clock: Callable[[], datetime], nonces: Callable[[], str] = _random_nonce, read_only: bool = False
    ) -> Lake:
        """The lake in a store, made if there is none (not if `read_only`: UnknownNameError). Raises NewerFormatError."""
        try:
            found = store.get(LAKE_KEY)
        except KeyError:
            if read_only:
                raise UnknownNameError(f"There is no lake at {store.uri}: `{LAKE_KEY}` is not there. The first run makes it.") from None
            ours = canonical_json({"format": FORMAT, "oldest_reader": FORMAT})
            found = put_entry(store, LAKE_KEY, ours) or ours
        _check_format(found, store.uri, read_only=read_only)
        return cls(store, clock=clock, nonces=nonces)

    @property
    def uri(self) -> str:
        return self.store.uri

    def log(self, pipeline: str, dataset: str) -> DatasetLog:
        """The log of a dataset: the same object each time, so that what it has read is read once."""
        key = (check_name(pipeline, "pipeline"), check_name(dataset, "dataset"))
        log = self._logs.get(key)
        return log or self._logs.setdefault(key, DatasetLog(self.store, pipeline, dataset, clock=self.clock, nonces=self._nonces))

    def chain(self, pipeline: str, model: str) -> Chain:
        """The chain of decisions about a model."""
        return Chain(self.store, check_name(pipeline, "pipeline"), check_name(model, "model"), clock=self.clock, nonces=self._nonces)

    def datasets(self, pipeline: str | None = None) -> list[str]:
        """The datasets that have a log, as `pipeline.dataset`, in order. One short listing each."""
        prefix = f"log/{check_name(pipeline, 'pipeline')}/" if pipeline else "log/"
        return [".".join(names) for names in folders_of(self.store, prefix, depth=3) if len(names) == 2]

    def has(self, pipeline: str, dataset: str) -> bool:
        """Whether there is a dataset of that name. One short listing, of that dataset alone."""
        try:
            prefix = log_prefix(check_name(pipeline, "pipeline"), check_name(dataset, "dataset"))
        except ValueError:
            return False
        return next(self.store.keys(prefix), None) is not None

    def names_for_hint(self) -> list[str] | None:
        """The datasets, to say what may have been meant; None for who may not list the names of the whole lake."""
        try:
            return self.datasets()
        except LakeError:
            return None

    def chains(self, pipeline: str | None = None) -> list[str]:
        """The models that have a chain, as `pipeline.model`, in order."""
        prefix = f"chain/{check_name(pipeline, 'pipeline')}/" if pipeline else "chain/"
        return [".".join(names) for names in folders_of(self.store, prefix, depth=3) if len(names) == 2]

    def read_paths(self, manifest: Manifest, part: str | None = None, *, verify: bool = False) -> list[Path]:
        """The local files of a part, checked: see `headrace.lake.files.read_paths`."""
        return read_paths(self.store, manifest, part, verify=verify)

    def paths_of(self, manifest: Manifest, files: Sequence[FileEntry]) -> list[Path]:
        """The local files of some that a manifest names: see `headrace.lake.files.paths_of`."""
        return paths_of(self.store, manifest, files)

    def fetch(self, manifests: Sequence[Manifest], parts: Sequence[str]) -> None:
        """Bring the files of many commits here before they are read one by one: see `headrace.lake.files.fetch`."""
        fetch(self.store, manifests, parts)


def folders_of(store: Store, prefix: str, *, depth: int) -> Iterator[tuple[str, ...]]:
    """The distinct first folders of the keys under a prefix, `depth` deep, without the outermost: it lists one key of each and skips the rest."""
    after = ""
    while key := next(store.keys(prefix, start_after=after), None):
        parts = key.split("/")[:-1][:depth]
        yield tuple(parts[1:])
        after = "/".join(parts) + "0"  # the character after `/`: nothing in this folder is greater


def _check_format(data: bytes, uri: str, *, read_only: bool) -> None:
    try:
        raw = json.loads(data)
        written, oldest = int(raw["format"]), int(raw["oldest_reader"])
    except (KeyError, TypeError, ValueError) as cause:
        raise DamageError(f"`{LAKE_KEY}` in {uri} is not a lake's record: {cause}. Is this the folder of something else?") from cause
    if (oldest if read_only else written) > FORMAT:
        raise NewerFormatError(
            f"The lake {uri} has format {written} (to be read from format {oldest} on), and this headrace knows format {FORMAT}. "
            "Upgrade headrace here. Nothing was written."
        )
