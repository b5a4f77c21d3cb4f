"""A web server on loopback that a test tells how to behave: what it has, what it says of it, and where it breaks off.

Each request is kept. An answer is a `Page`; a path may have a list of them, one for each GET in turn (the last for all that follow).
HEAD gets what GET would, without the body, and takes none of the list.
"""

from __future__ import annotations

import email.utils
import re
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

NOW = 1_767_250_800  # 2026-01-01T07:00:00Z: what the server takes for the present
OLD = NOW - 3600


@dataclass(frozen=True)
class Page:
    """One answer.

    `breaks_after` ends the connection after so many bytes of the body (by a reset, with `resets`); `stalls_after` sends no more, and keeps
    it open. `takes_ranges` answers 206, if `If-Range` allows it. `length` is what Content-Length says in place of the truth; None
    leaves it out.
    """

    body: bytes = field(default=b"", repr=False)
    status: int = 200
    etag: str | None = '"1"'
    modified: int | None = OLD
    headers: Mapping[str, str] = field(default_factory=dict)
    takes_head: int = 200
    takes_ranges: bool = True
    is_chunked: bool = False
    length: int | None = -1
    breaks_after: int | None = None
    resets: bool = False
    stalls_after: int | None = None

    def but(self, **changes: object) -> Page:
        return replace(self, **changes)


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    headers: Mapping[str, str]


class Site:
    """What a server has, by path, and what it was asked. `url` is its root."""

    def __init__(self) -> None:
        self.pages: dict[str, list[Page]] = {}
        self.asked: list[Asked] = []
        self.url = ""
        self.over = threading.Event()

    def put(self, path: str, *pages: Page | bytes) -> str:
        self.pages[path] = [Page(page) if isinstance(page, bytes) else page for page in pages]
        return self.url + path

    def methods(self) -> list[str]:
        return [one.method for one in self.asked]

    def page(self, path: str, method: str) -> Page | None:
        pages = self.pages.get(path) or self.pages.get(path.partition("?")[0])
        if not pages:
            return None
        return pages.pop(0) if method == "GET" and len(pages) > 1 else pages[0]


@contextmanager
def serving(*, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> Iterator[Site]:
    site = Site()
    server = ThreadingHTTPServer((host, 0), _handler(site))
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.handle_error = lambda *_: None  # type: ignore[method-assign,assignment]  # a client that gives up is no news
    site.url = f"{'https' if tls else 'http'}://{host}:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        site.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(site: Site) -> Callable[..., BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def do_HEAD(self) -> None:
            self._answer("HEAD")

        def do_GET(self) -> None:
            self._answer("GET")

        def _answer(self, method: str) -> None:
            site.asked.append(Asked(method, self.path, dict(self.headers.items())))
            page = site.page(self.path, method) or Page(b"<html>not here</html>", 404, None, None)
            if method == "HEAD" and page.takes_head != 200 and page.status == 200:
                page = Page(b"no", page.takes_head, None, None)
            start, status = self._start(page), page.status
            body, more = page.body, {}
            if start is not None:
                status, body = 206, page.body[start:]
                more = {"Content-Range": f"bytes {start}-{len(page.body) - 1}/{len(page.body)}"}
            self._head(page, status, len(body), more)
            if method == "GET":
                self._body(page, body)

        def _start(self, page: Page) -> int | None:
            asked, condition = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")), self.headers.get("If-Range")
            modified = email.utils.formatdate(page.modified, usegmt=True) if page.modified is not None else None
            is_met = condition in (None, page.etag, modified)
            return int(asked[1]) if asked and page.takes_ranges and is_met and int(asked[1]) < len(page.body) else None

        def _head(self, page: Page, status: int, length: int, more: Mapping[str, str]) -> None:
            self.send_response_only(status)
            told = {
                "Date": email.utils.formatdate(NOW, usegmt=True),
                "ETag": page.etag,
                "Last-Modified": None if page.modified is None else email.utils.formatdate(page.modified, usegmt=True),
                "Transfer-Encoding": "chunked" if page.is_chunked else None,
                "Content-Length": None if page.is_chunked or page.length is None else str(length if page.length < 0 else page.length),
                **more,
                **page.headers,
            }
            for name, value in told.items():
                if value is not None:
                    self.send_header(name, value)
            self.end_headers()
            if page.length is None and not page.is_chunked:
                self.close_connection = True

        def _body(self, page: Page, body: bytes) -> None:
            stop = min((n for n in (page.breaks_after, page.stalls_after) if n is not None), default=None)
            sent = body if stop is None else body[:stop]
            if page.is_chunked:
                for at in range(0, len(sent), 1000):
                    piece = sent[at : at + 1000]
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                if stop is None:
                    self.wfile.write(b"0\r\n\r\n")
            else:
                self.wfile.write(sent)
            self.wfile.flush()
            if page.stalls_after is not None:
                site.over.wait()
            if stop is not None:
                self.close_connection = True
                if page.resets:  # a socket that lingers for no time is reset
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    self.connection.close()

        def log_message(self, *_: object) -> None:
            pass

    return Handler
