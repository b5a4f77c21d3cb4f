"""A bucket of Amazon S3: on moto, which is quick, and on versitygw, which checks signatures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from object_servers import moto_server, s3_server, why_no

from headrace.backends.origins import s3
from headrace.core.access import Access

SERVERS = {"moto": True, "versitygw": False}


def start(server: str) -> Any:
    if server == "versitygw" and why_no("versitygw"):
        pytest.skip(why_no("versitygw"))
    return s3_server if server == "versitygw" else lambda _: moto_server()


@dataclass
class Bucket:
    server: Any
    is_listed: bool = True

    def origin(self) -> Any:
        return s3.open(access=Access(environment=self.server.environment))

    def location(self, name: str) -> str:
        return f"s3://{self.server.bucket}/in/{name}"

    def put(self, name: str, data: bytes) -> None:
        self.server.client().put_object(Bucket=self.server.bucket, Key=f"in/{name}", Body=data)

    def remove(self, name: str) -> None:
        self.server.client().delete_object(Bucket=self.server.bucket, Key=f"in/{name}")


@contextmanager
def fresh(_: Path, __: pytest.MonkeyPatch, server: Any) -> Iterator[Bucket]:
    yield Bucket(server.with_bucket())
