"""A bucket of Azure Blob Storage, on Azurite."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import obstore
import pytest
from object_servers import azure_server, why_no

from headrace.backends.origins import azure
from headrace.core.access import Access

SERVERS = {"azurite": False}


def start(server: str) -> Any:
    if why_no(server):
        pytest.skip(why_no(server))
    return azure_server


@dataclass
class Bucket:
    server: Any
    is_listed: bool = True

    def origin(self) -> Any:
        return azure.open(access=Access(environment=self.server.environment))

    def location(self, name: str) -> str:
        return f"az://{self.server.bucket}/in/{name}"

    def put(self, name: str, data: bytes) -> None:
        obstore.put(self.server.store(), f"in/{name}", data)

    def remove(self, name: str) -> None:
        obstore.delete(self.server.store(), f"in/{name}")


@contextmanager
def fresh(_: Path, __: pytest.MonkeyPatch, server: Any) -> Iterator[Bucket]:
    yield Bucket(server.with_bucket())
