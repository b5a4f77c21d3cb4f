"""A web server that tells an ETag of each file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest
from web_server import Page, Site, serving

from headrace.backends.origins import http


@dataclass
class Web:
    site: Site
    is_listed: bool = False

    def origin(self) -> http.HttpOrigin:
        return http.open()

    def location(self, name: str) -> str:
        return f"{self.site.url}/{name}"

    def put(self, name: str, data: bytes) -> None:
        self.site.put(f"/{name}", Page(data, etag=f'"{sha256(data).hexdigest()}"'))

    def remove(self, name: str) -> None:
        del self.site.pages[f"/{name}"]


@contextmanager
def fresh(_: Path, __: pytest.MonkeyPatch) -> Iterator[Web]:
    with serving() as site:
        yield Web(site)
