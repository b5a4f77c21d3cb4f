"""An HTTP server in threads of this process, on a free loopback port. When it is left, its connections are closed and its threads ended."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["LoopbackHandler", "LoopbackServer", "serving"]


class LoopbackServer(ThreadingHTTPServer):
    """Knows its open connections. `troubles` are the errors of its handlers, but for clients and servers that go away."""

    daemon_threads = False
    request_queue_size = 128

    def __init__(self, handler: type[LoopbackHandler]) -> None:
        self.troubles: list[BaseException] = []
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), handler)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def hang_up(self) -> None:
        """Close the connections that clients keep open."""
        with self._lock:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        trouble = sys.exc_info()[1]
        if trouble is not None and not isinstance(trouble, OSError):
            self.troubles.append(trouble)


class LoopbackHandler(BaseHTTPRequestHandler):
    """Keeps connections alive and prints nothing. `serve` handles every method."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def serve(self) -> None:
        raise AssertionError(f"{type(self).__name__} serves nothing")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self.serve
        raise AttributeError(name)

    def log_message(self, *_: Any) -> None:
        """Nothing is printed."""


@contextmanager
def serving(server: LoopbackServer) -> Iterator[None]:
    """Serve until this is left, and raise then what went wrong inside."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, name=type(server).__name__)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.hang_up()
        server.server_close()  # joins the threads of the connections
        thread.join()
    if server.troubles:
        raise server.troubles[0]
