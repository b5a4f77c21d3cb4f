"""What went wrong on the way to a web server, in words: which part failed, whether trying again can help, and what to do.

The invariant: no message has the text of an error of the library, which may show the whole address.
"""

from __future__ import annotations

import os
import socket
import ssl

from urllib3 import BaseHTTPResponse
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    LocationValueError,
    NameResolutionError,
    NewConnectionError,
    ReadTimeoutError,
    SSLError,
)

from headrace.backends.origins.http.address import Address
from headrace.core.errors import HeadraceError, SourceError, TransientError

__all__ = ["changed", "refusal", "trouble", "what_broke"]

# How OpenSSL calls an answer that is no TLS.
_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNEXPECTED_MESSAGE", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"})


def trouble(error: HTTPError, address: Address) -> HeadraceError:
    """An error for a request that got no answer."""
    failed = f"`{address.shown}` can't be fetched:"
    if isinstance(error, LocationValueError):
        return SourceError(f"{failed} it is no web address.")
    if isinstance(error, NameResolutionError):
        return _unknown_host(error, failed)
    if isinstance(error, SSLError):
        return _no_trust(error, failed)
    return TransientError(f"{failed} {what_broke(error)}. Run again later.")


def what_broke(error: HTTPError) -> str:
    """How a connection failed or broke off, in a few words."""
    if isinstance(error, NewConnectionError):
        cause = error.__cause__
        return f"no connection to its server ({os.strerror(cause.errno) if isinstance(cause, OSError) and cause.errno else 'refused'})"
    if isinstance(error, ConnectTimeoutError):
        return "its server does not answer"
    if isinstance(error, ReadTimeoutError):
        return "its server stopped sending"
    return "the connection broke off"


def refusal(response: BaseHTTPResponse, address: Address) -> HeadraceError:
    """An error for an answer that is no file."""
    said = f"{response.status} {response.reason or ''}".strip()
    if response.status in (401, 407):
        return SourceError(f"`{address.shown}` is not given without a way in: its server answers {said}. {_let_in(address)}")
    if response.status == 403:
        return SourceError(
            f"`{address.shown}` is not given to {address.way_in or 'those who do not say who they are'}: its server answers {said}. {_let_in(address)} "
            "An address that was signed may be past its time; some object stores answer so for a file that is not there."
        )
    return SourceError(
        f"`{address.shown}` can't be fetched: its server answers {said}, where a file is expected. Is it the file's own address?"
    )


def changed(address: Address, how: str) -> TransientError:
    """An error for a file that is no longer the one that was found."""
    return TransientError(f"`{address.shown}` {how}: it is still being written, or was replaced. Run again later.")


def _let_in(address: Address) -> str:
    if address.way_in:
        return f"It was asked with {address.way_in}. Are the user, password or token right, and still valid?"
    return (
        'Name a connection for the source in headrace.toml, connection = "my_site" under [<profile>.sources.<source>], and give it in Airflow or by '
        "the variable AIRFLOW_CONN_MY_SITE: a login and password, or a token as the password alone."
    )


def _unknown_host(error: NameResolutionError, failed: str) -> HeadraceError:
    cause = error.__cause__
    if isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_AGAIN:
        return TransientError(f"{failed} the name of its host can't be looked up now (DNS does not answer). Run again later.")
    return SourceError(f"{failed} the name of its host is not known to DNS. Is it spelt right, and is it known where this runs?")


def _no_trust(error: SSLError, failed: str) -> HeadraceError:
    cause = error.args[0] if error.args else None
    if isinstance(cause, ssl.SSLCertVerificationError):
        return SourceError(
            f"{failed} the certificate of its server is not trusted ({cause.verify_message}). If it is signed by an authority of your own, name that one's "
            "certificate by the variable SSL_CERT_FILE."
        )
    if isinstance(cause, ssl.SSLError) and cause.reason in _NO_TLS:
        return SourceError(f"{failed} what answers there does not speak TLS. Is it http:// in place of https://, or another port?")
    return TransientError(f"{failed} TLS could not be agreed on ({getattr(cause, 'reason', None) or 'broken off'}). Run again later.")
