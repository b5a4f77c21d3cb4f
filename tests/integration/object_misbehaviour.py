"""How a proxy in front of an object store can misbehave, each as a function of one exchange: what networks and busy servers do to clients.

    proxy.misbehave(on("PUT"), late())            # the put lands after its client gave up
    proxy.misbehave(nth(7), after(client.kill))   # the client dies between what its 7th request did and its answer

Those that wait for the client wait until it has closed its connection, so a test sets the client's time-out and sleeps nowhere.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http import HTTPStatus
from xml.sax.saxutils import escape

from object_actions import S3Request
from object_proxy import Answer, Exchange, How

__all__ = [
    "after",
    "always",
    "before",
    "cut",
    "do_and_refuse",
    "flip",
    "flip_up",
    "hide",
    "hold",
    "late",
    "lose_answer",
    "nth",
    "on",
    "refuse",
    "reset",
]

_CODES = {
    400: "RequestTimeout",
    403: "AccessDenied",
    404: "NoSuchKey",
    409: "ConditionalRequestConflict",
    412: "PreconditionFailed",
    500: "InternalError",
    503: "SlowDown",
}


# ------------------------------------------------------------ when


def always(_: S3Request) -> bool:
    """Any request."""
    return True


def on(method: str, key: str = "", *, query: str | None = None) -> Callable[[S3Request], bool]:
    """Requests by method, by a part of their key, and by a name in their query."""
    return lambda request: request.method == method and key in request.key and (query is None or query in request.query)


def nth(number: int, when: Callable[[S3Request], bool] = always) -> Callable[[S3Request], bool]:
    """The n-th request from now on, the first being 1, of those that `when` is true of."""
    left = [number]

    def is_it(request: S3Request) -> bool:
        left[0] -= when(request)
        return left[0] == 0 and when(request)

    return is_it


# ------------------------------------------------------------ how


def refuse(status: int, code: str = "") -> How:
    """The server is not asked; the answer is an error as S3 writes it. With 200 it is one that began well, as a copy's can."""
    code = code or _CODES[status]

    def how(exchange: Exchange) -> None:
        exchange.read()
        exchange.answer(error_answer(status, code, f"/{exchange.request.bucket}/{exchange.request.key}"))

    return how


def do_and_refuse(status: int) -> How:
    """The server is asked and has done it, and the answer is an error, as a gateway in between gives it."""
    refused = refuse(status)

    def how(exchange: Exchange) -> None:
        exchange.read()
        exchange.forward()
        refused(exchange)

    return how


def hide(exchange: Exchange) -> None:
    """What is not there is denied, as S3 does to those who may not list the bucket. versitygw tells them, so policies need this."""
    answer = exchange.forward()
    if answer.status == HTTPStatus.NOT_FOUND and exchange.request.method in ("GET", "HEAD"):
        answer = error_answer(403, "AccessDenied", f"/{exchange.request.bucket}/{exchange.request.key}")
    exchange.answer(answer)


def reset(exchange: Exchange) -> None:
    """The connection is reset; the server is not asked."""
    exchange.read()
    exchange.drop()


def lose_answer(exchange: Exchange) -> None:
    """The server is asked and answers, and the connection is reset: the client does not learn that its request has landed."""
    exchange.forward()
    exchange.drop()


def hold(exchange: Exchange) -> None:
    """The server is asked, and its answer held until the client has given up."""
    exchange.forward()
    exchange.wait_until_left()
    exchange.drop()


def late(release: threading.Event | None = None) -> How:
    """The server is asked only when the client has given up, and `release` has been set if there is one."""

    def how(exchange: Exchange) -> None:
        exchange.read()
        exchange.wait_until_left()
        while release is not None and not release.wait(0.05) and not exchange.is_over:
            pass
        if not exchange.is_over:
            exchange.forward()
        exchange.drop()

    return how


def cut(exchange: Exchange) -> None:
    """The answer's head comes whole, its body to the middle; then the connection is closed."""
    answer = exchange.forward()
    exchange.answer(Answer(answer.status, answer.headers, _up_to(answer.pieces, (answer.length or 0) // 2), answer.length))
    exchange.hang_up()


def flip(at: int | None = None) -> How:
    """A bit of a byte of the answer's body is turned: of the one in the middle, or at an offset."""

    def how(exchange: Exchange) -> None:
        answer = exchange.forward()
        where = (answer.length or 0) // 2 if at is None else at
        exchange.answer(Answer(answer.status, answer.headers, _flipped(answer.pieces, where), answer.length))

    return how


def flip_up(exchange: Exchange) -> None:
    """A bit of the last byte of the request's body is turned on its way to the server."""
    body = exchange.read()
    if body:
        exchange.change(body[:-1] + bytes([body[-1] ^ 1]))
    exchange.pass_on()


def before(hook: Callable[[], object]) -> How:
    """`hook` is called before the server is asked; if the client is gone then, the server is not asked at all."""

    def how(exchange: Exchange) -> None:
        exchange.read()
        hook()
        if exchange.is_left:
            exchange.drop()
        else:
            exchange.pass_on()

    return how


def after(hook: Callable[[], object]) -> How:
    """`hook` is called when the server has answered, before the client is told."""

    def how(exchange: Exchange) -> None:
        answer = exchange.forward()
        hook()
        exchange.answer(answer)

    return how


def error_answer(status: int, code: str, resource: str) -> Answer:
    """An error as S3 writes it."""
    said = f"<Code>{code}</Code><Message>the proxy says so</Message><Resource>{escape(resource)}</Resource><RequestId>0</RequestId>"
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{said}</Error>'.encode()
    headers = [("Content-Type", "application/xml"), ("Content-Length", str(len(body))), ("x-amz-request-id", "0")]
    return Answer(status, headers, iter([body]), len(body))


def _up_to(pieces: Iterator[bytes], length: int) -> Iterator[bytes]:
    for piece in pieces:
        if len(piece) >= length:
            yield piece[:length]
            return
        length -= len(piece)
        yield piece


def _flipped(pieces: Iterator[bytes], where: int) -> Iterator[bytes]:
    for piece in pieces:
        if 0 <= where < len(piece):
            piece = piece[:where] + bytes([piece[where] ^ 1]) + piece[where + 1 :]
        where -= len(piece)
        yield piece
