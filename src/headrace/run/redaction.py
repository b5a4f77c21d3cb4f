"""The secrets that this process knows, and texts without them: the one place that every text passes on its way out.

What leaves by an error, a log, a receipt, a report, a note or an XCom goes through `redacted`. The invariant: a secret that was
remembered here, or stands in the environment, is in none of them.

The set is the module's own state, against this project's habit: a secret is one wherever in the process an error comes up,
and most places that tell of errors know no session. Airflow keeps its own for the same reason.
"""

from __future__ import annotations

import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType

from headrace.core.connection import parse_connection
from headrace.core.errors import ConfigurationError
from headrace.core.ports import JSON
from headrace.core.redaction import hide, masked, secrets_in_environment

__all__ = ["known_secrets", "on_secret", "redacted", "redacted_values", "remember", "tell_crashes_redacted", "without_secrets"]

_known: set[str] = set()
_listeners: list[Callable[[str], None]] = []
_CONNECTIONS = "AIRFLOW_CONN_"


def remember(secrets: Iterable[str]) -> None:
    """Hide these from now on, in whatever leaves this process by `redacted`."""
    for secret in set(secrets) - _known:
        if secret:
            _known.add(secret)
            for listener in _listeners:
                listener(secret)


def on_secret(listener: Callable[[str], None]) -> None:
    """Tell a listener, once, of each secret that is known or will be: another program's own masking of logs."""
    if listener in _listeners:
        return
    _listeners.append(listener)
    for secret in known_secrets():
        listener(secret)


def known_secrets(environment: Mapping[str, str] | None = None) -> frozenset[str]:
    """What was remembered, and what the environment holds (the process's own unless told)."""
    variables = os.environ if environment is None else environment
    found = _known.union(secrets_in_environment(variables))
    for name, value in variables.items():
        if name.startswith(_CONNECTIONS) and value:
            try:
                found |= parse_connection(name.removeprefix(_CONNECTIONS), value, origin=name).secrets
            except ConfigurationError:
                found.add(value)
    return frozenset(found)


def without_secrets(text: str) -> str:
    """A text without any known secret. It may be a whole document: nothing else is changed."""
    return hide(text, known_secrets())


def redacted(text: str) -> str:
    """A message without any known secret, and without what its addresses and parameters give away."""
    return masked(without_secrets(text))


def tell_crashes_redacted() -> None:
    """Let this process, and its threads, print the traceback of an error that nobody caught without secrets."""

    def told(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
        sys.stderr.write(redacted("".join(traceback.format_exception(kind, error, trace))))

    sys.excepthook = told
    threading.excepthook = lambda arguments: told(arguments.exc_type, arguments.exc_value, arguments.exc_traceback)


def redacted_values(value: JSON) -> JSON:
    """The same for all texts of a document; its keys stay."""
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, Mapping):
        return {name: redacted_values(inner) for name, inner in value.items()}
    return [redacted_values(inner) for inner in value] if isinstance(value, list | tuple) else value
