"""A proxy between a client and an object store: it counts every request, and breaks what a test asks it to break.

    with object_proxy(s3) as proxy:
        client = s3.at(proxy.address).client()
        proxy.misbehave(lambda request: request.method == "PUT", lose_answer)
        ...
        assert [r.actions for r in proxy.recorded()] == [("s3:PutObject",)]

The client is given the proxy's address as its endpoint. Head and body pass as they are, with the Host that the client has signed, so a
server that checks signatures takes them. Invariant: what a client has received is in `recorded()` already. How the proxy can
misbehave is in object_misbehaviour.py.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Protocol
from urllib.parse import urlsplit

from loopback_server import LoopbackHandler, LoopbackServer, serving
from object_actions import Permission, S3Request, actions_of, is_deletion, permissions_of, request_of

__all__ = ["Answer", "Exchange", "How", "ObjectProxy", "Recorded", "Rule", "object_proxy"]

_BETWEEN_TWO = {"connection", "keep-alive", "expect", "proxy-connection", "te", "transfer-encoding", "upgrade"}
_CHUNK = 1 << 16
_LOOK_S = 0.02
_LONGEST_S = 60.0


class Served(Protocol):
    """A server of object_servers.py."""

    @property
    def endpoint(self) -> str: ...

    @property
    def root(self) -> str:
        """The path in front of buckets: Azure's account."""
        ...


@dataclass(frozen=True)
class Recorded:
    """A request that came by: what the server answered (0: it was not asked, or gave no answer) and what the client was answered
    (0: nothing), with the bytes of the bodies from the client and to it."""

    number: int
    request: S3Request
    served: int
    status: int
    up: int
    down: int

    @property
    def method(self) -> str:
        return self.request.method

    @property
    def bucket(self) -> str:
        return self.request.bucket

    @property
    def key(self) -> str:
        return self.request.key

    @property
    def query(self) -> Mapping[str, str]:
        return self.request.query

    @property
    def actions(self) -> tuple[str, ...]:
        return actions_of(self.request, status=self.status)

    @property
    def permissions(self) -> tuple[Permission, ...]:
        return permissions_of(self.request, status=self.status)


@dataclass
class Answer:
    """An answer's head, and its body piece by piece. `length` is None where the server does not say."""

    status: int
    headers: list[tuple[str, str]]
    pieces: Iterator[bytes]
    length: int | None


class How(Protocol):
    """What the proxy does with a request, instead of `Exchange.pass_on`."""

    def __call__(self, exchange: Exchange, /) -> None: ...


@dataclass
class Rule:
    """`how` for the requests that `when` is true of, so many times; `met` are those that it was applied to."""

    when: Callable[[S3Request], bool]
    how: How
    times: int | None
    met: list[S3Request] = field(default_factory=list)


class Exchange:
    """A request on its way, in the hands of whoever decides what becomes of it."""

    def __init__(self, handler: _Handler, proxy: ObjectProxy, number: int) -> None:
        self._handler, self._proxy, self._number = handler, proxy, number
        self._body = _body_of(handler)
        self._spooled: bytes | None = None
        self.served = self.status = self.up = self.down = 0
        target = proxy.without_root(handler.path)
        body = self.read() if is_deletion(handler.command, target) else b""
        self.request = request_of(handler.command, target, handler.headers, body)

    # ------------------------------------------------------------ what a misbehaviour is made of

    def read(self) -> bytes:
        """The whole body of the request, as the client sends it."""
        if self._spooled is None:
            self._spooled = b"".join(self._pieces())
        return self._spooled

    def change(self, body: bytes) -> None:
        """Let the server get another body than the client has sent."""
        self.read()
        self._spooled = body

    def forward(self) -> Answer:
        """Ask the server; its answer, of which only the head has been read."""
        upstream = HTTPConnection("127.0.0.1", self._proxy.server_port, timeout=_LONGEST_S)
        self._handler.upstreams.append(upstream)
        handler = self._handler
        upstream.putrequest(handler.command, handler.path, skip_host=True, skip_accept_encoding=True)
        is_chunked = "chunked" in handler.headers.get("transfer-encoding", "").lower()
        for name, value in handler.headers.items():
            if name.lower() not in _BETWEEN_TWO:
                upstream.putheader(name, value)
        if is_chunked:
            upstream.putheader("Transfer-Encoding", "chunked")
        upstream.putheader("Connection", "close")
        upstream.endheaders()
        self._send(upstream, is_chunked=is_chunked)
        response = upstream.getresponse()
        self.served = response.status
        return _answer_of(response)

    def answer(self, answer: Answer) -> None:
        """Give the client an answer, piece by piece."""
        self.read_rest()
        handler = self._handler
        has_body = handler.command != "HEAD" and answer.status not in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)
        is_chunked = has_body and answer.length is None
        self.status = answer.status
        handler.send_response_only(answer.status)
        for name, value in answer.headers:
            if name.lower() not in _BETWEEN_TWO:
                handler.send_header(name, value)
        if is_chunked:
            handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for piece in answer.pieces if has_body else ():
            self.down += len(piece)
            handler.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if is_chunked else piece)
        if is_chunked:
            handler.wfile.write(b"0\r\n\r\n")

    def pass_on(self) -> None:
        """What a proxy does that does not misbehave."""
        self.answer(self.forward())

    def drop(self) -> None:
        """Reset the client's connection, here and now."""
        self._handler.reset()

    def hang_up(self) -> None:
        """Close the client's connection after what has been sent, as a server does that goes away."""
        self._handler.close_connection = True

    @property
    def is_left(self) -> bool:
        """Whether the client has closed its connection. Its request has to have been read before."""
        return self._handler.is_left()

    @property
    def is_over(self) -> bool:
        """Whether the proxy is being stopped."""
        return self._proxy.is_over

    def wait_until_left(self, longest_s: float = _LONGEST_S) -> None:
        """Wait until the client has closed its connection."""
        self.read_rest()
        end = time.monotonic() + longest_s
        while not self.is_left and not self.is_over:
            assert time.monotonic() < end, f"the client did not give up within {longest_s:g} s: {self.request}"
            time.sleep(_LOOK_S)

    # ------------------------------------------------------------ inside

    def read_rest(self) -> None:
        """Read what is left of the request, so that the next one can follow."""
        if self._spooled is None:
            for _ in self._pieces():
                pass

    def recorded(self) -> Recorded:
        return Recorded(self._number, self.request, self.served, self.status, self.up, self.down)

    def _pieces(self) -> Iterator[bytes]:
        for piece in self._body:
            self.up += len(piece)
            yield piece

    def _send(self, upstream: HTTPConnection, *, is_chunked: bool) -> None:
        """Send the body. A server may answer before it has read all of it, and read no more."""
        pieces = self._pieces() if self._spooled is None else iter([self._spooled] if self._spooled else [])
        try:
            for piece in pieces:
                upstream.send(b"%x\r\n%b\r\n" % (len(piece), piece) if is_chunked else piece)
            if is_chunked:
                upstream.send(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            self.read_rest()


class ObjectProxy:
    """One that runs; `address` is the endpoint to give to clients."""

    def __init__(self, server: Served) -> None:
        parts = urlsplit(server.endpoint)
        assert parts.port is not None
        self.server_port = parts.port
        self.is_over = False
        self._root = server.root
        self._lock = threading.Condition()
        self._exchanges: list[Exchange] = []
        self._running = 0
        self._count = 0
        self._rules: list[Rule] = []
        self.http = _Server(self)

    @property
    def address(self) -> str:
        return self.http.address

    def recorded(self) -> list[Recorded]:
        """The requests since the start or the last `reset`, in the order in which they came; also those that are still on their way."""
        with self._lock:
            return [exchange.recorded() for exchange in self._exchanges]

    def reset(self) -> None:
        """Forget the requests so far."""
        with self._lock:
            self._exchanges.clear()
            self._count = 0

    def misbehave(self, when: Callable[[S3Request], bool], how: How, times: int | None = 1) -> Rule:
        """Treat the next requests that `when` is true of by `how`, so many times (None: always). The first rule that fits is taken."""
        rule = Rule(when, how, times)
        with self._lock:
            self._rules.append(rule)
        return rule

    def behave(self) -> None:
        """Forget all rules."""
        with self._lock:
            self._rules.clear()

    def settle(self, within_s: float = _LONGEST_S) -> None:
        """Wait until no request is on its way, such as one that its client has given up."""
        with self._lock:
            assert self._lock.wait_for(lambda: not self._running, within_s), f"requests are still on their way after {within_s:g} s"

    # ------------------------------------------------------------ inside

    def without_root(self, target: str) -> str:
        return target.removeprefix(self._root)

    def serve(self, handler: _Handler) -> None:
        """One request, from its head to the end of its answer."""
        with self._lock:
            self._running += 1
        try:
            exchange, how = self._begin(handler)
            how(exchange)
            exchange.read_rest()
        finally:
            with self._lock:
                self._running -= 1
                self._lock.notify_all()

    def _begin(self, handler: _Handler) -> tuple[Exchange, How]:
        with self._lock:
            self._count += 1
            number = self._count
        exchange = Exchange(handler, self, number)
        with self._lock:
            self._exchanges.append(exchange)
            for rule in self._rules:
                if (rule.times is None or len(rule.met) < rule.times) and rule.when(exchange.request):
                    rule.met.append(exchange.request)
                    return exchange, rule.how
        return exchange, Exchange.pass_on


@contextmanager
def object_proxy(server: Served) -> Iterator[ObjectProxy]:
    """A proxy in front of a server, on a free loopback port. What went wrong inside it is raised when the `with` is left."""
    proxy = ObjectProxy(server)
    with serving(proxy.http):
        try:
            yield proxy
        finally:
            proxy.is_over = True


class _Server(LoopbackServer):
    def __init__(self, proxy: ObjectProxy) -> None:
        self.proxy = proxy
        super().__init__(_Handler)


class _Handler(LoopbackHandler):
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.upstreams: list[HTTPConnection] = []
        self._is_reset = False

    def serve(self) -> None:
        try:
            self.server.proxy.serve(self)
        except (OSError, HTTPException):  # the server or the client went away in the middle, so the connection does as well
            self.reset()
        finally:
            while self.upstreams:
                self.upstreams.pop().close()

    def is_left(self) -> bool:
        if self._is_reset:
            return True
        readable, _, _ = select.select([self.connection], [], [], 0)
        try:
            return bool(readable) and self.connection.recv(1, socket.MSG_PEEK) == b""
        except OSError:
            return True

    def reset(self) -> None:
        self.close_connection = True
        if self._is_reset:
            return
        self._is_reset = True
        with suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(self.connection.detach())  # at once, though the files of this handler are still open: RST


def _body_of(handler: _Handler) -> Iterator[bytes]:
    """The body of a request, piece by piece."""
    if "chunked" in handler.headers.get("transfer-encoding", "").lower():
        while length := int(handler.rfile.readline().split(b";")[0], 16):
            yield _whole(handler, length)
            handler.rfile.readline()
        while handler.rfile.readline().strip():
            pass
        return
    left = int(handler.headers.get("content-length") or 0)
    while left:
        piece = _whole(handler, min(left, _CHUNK))
        left -= len(piece)
        yield piece


def _whole(handler: _Handler, length: int) -> bytes:
    piece = handler.rfile.read(length)
    if len(piece) < length:
        raise _ClientGoneError("the client went away in the middle of its request")
    return piece


class _ClientGoneError(ConnectionError):
    """Not a ConnectionResetError, which a server may cause as well: what has half a body is not to be waited for."""


def _answer_of(response: HTTPResponse) -> Answer:
    length = response.getheader("Content-Length")
    return Answer(response.status, response.getheaders(), _read(response), None if length is None else int(length))


def _read(response: HTTPResponse) -> Iterator[bytes]:
    while piece := response.read(_CHUNK):
        yield piece
    if response.length:  # what it has still to read; http.client itself says nothing
        raise ConnectionResetError("the server went away in the middle of its answer")
