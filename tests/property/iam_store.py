"""A store that asks a policy before each request, as a bucket would, and keeps what was asked.

Over a store in memory: the requests are those that a bucket's store makes of each call. The invariant: a key that is not there is told to be
missing only to who may list it; to others it is forbidden, as on S3.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from iam_evaluator import Recorded, allows

from headrace.backends.stores import memory
from headrace.backends.stores.memory import MemoryStore
from headrace.core.errors import LakeError
from headrace.core.manifest import FileEntry
from headrace.core.store import Listed

__all__ = ["GuardedStore"]


class GuardedStore:
    """The bucket `bucket`, with the lake under `root`, as somebody with `policy` meets it. `over` is another's view of the same bucket."""

    concurrency = 2

    def __init__(
        self, policy: Mapping[str, Any], *, bucket: str = "acme-lake", root: str = "prod/", over: GuardedStore | None = None
    ) -> None:
        self.policy, self.bucket, self.root = policy, bucket, root
        self.uri = f"s3://{bucket}/{root}".rstrip("/")
        self.recorded: list[Recorded] = []
        self.inner: MemoryStore = over.inner if over else memory.open()

    def create(self, key: str, data: bytes) -> bool:
        self._ask("s3:PutObject", key)
        return self.inner.create(key, data)

    def get(self, key: str) -> bytes:
        self._asked_for(key)
        return self.inner.get(key)

    def keys(self, prefix: str, *, start_after: str = "") -> Iterator[str]:
        self._list(prefix)
        return self.inner.keys(prefix, start_after=start_after)

    def list(self, prefix: str, *, start_after: str = "") -> Iterator[Listed]:
        self._list(prefix)
        return self.inner.list(prefix, start_after=start_after)

    def stage(self, key: str) -> Path:
        return self.inner.stage(key)

    def publish(self, keys: Sequence[str], *, digests: Mapping[str, str] | None = None) -> None:
        for key in keys:
            self._ask("s3:PutObject", key, is_new=False)
        self.inner.publish(keys)

    def path(self, key: str) -> Path:
        self._asked_for(key)
        return self.inner.path(key)

    def paths(self, files: Sequence[FileEntry]) -> Sequence[Path]:
        return [self.path(file.key) for file in files]

    def replace(self, key: str, data: bytes | Path) -> None:
        self._ask("s3:PutObject", key, is_new=False)
        self.inner.replace(key, data)

    def copy(self, source: str, target: str) -> None:
        self._asked_for(source)
        self._ask("s3:PutObject", target, is_new=False)
        self.inner.copy(source, target)

    def delete(self, *keys: str) -> None:
        for key in keys:
            self._ask("s3:DeleteObject", key)
            self.inner.delete(key)

    def discard(self, keys: Sequence[str]) -> None:
        """Left for `gc`, as in a bucket."""

    def drop(self, digests: Sequence[str]) -> None:
        """There are no copies."""

    def lease(self) -> AbstractContextManager[None]:
        return nullcontext()

    def confirm(self, keys: Sequence[str]) -> None:
        """What was seen in a bucket is durable."""

    def _asked_for(self, key: str) -> None:
        self._ask("s3:GetObject", key)
        if next(iter(self.inner.keys(key)), None) != key:
            self._check(Recorded("s3:ListBucket", self.bucket, prefix=self.root + key))

    def _list(self, prefix: str) -> None:
        """Whole folders are listed; what begins otherwise in one is passed over here."""
        self._check(Recorded("s3:ListBucket", self.bucket, prefix=f"{self.root}{prefix.rpartition('/')[0]}/"))

    def _ask(self, action: str, key: str, *, is_new: bool = True) -> None:
        self._check(Recorded(action, self.bucket, self.root + key, is_new=is_new))

    def _check(self, request: Recorded) -> None:
        self.recorded.append(request)
        if not allows(self.policy, request.action, request.arn, request.context):
            raise LakeError(f"{request.action} on {request.arn} {request.context or ''} is not allowed")
