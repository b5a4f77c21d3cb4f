"""Entries: small objects that are put once and never change (a slot's manifest, a decision, an owner, the lake's own record).

Every entry of the lake is put here. The invariant: whatever happened on the way (no answer, a time-out, our own first try found by our
second), the caller learns whose entry it is, or learns that it is not known.
"""

from __future__ import annotations

from headrace.core.errors import TransientError, is_transient
from headrace.core.store import Store

__all__ = ["put_entry"]

_TRIES = 3


def put_entry(store: Store, key: str, data: bytes) -> bytes | None:
    """Put an entry if there is none: None when it is ours and durable, else the bytes of the one that is there.

    `data` holds the nonce of its writer, so equal bytes are our own: a put that was answered with an error, or with "exists", may have
    been a first try that landed. Raises TransientError when nothing is known: the put may still land, so nothing it names may be deleted.
    """
    unanswered: BaseException | None = None
    for _ in range(_TRIES):
        try:
            if store.create(key, data):
                return None
        except Exception as error:  # sorted by is_transient: any library's time-out counts
            if not is_transient(error):
                raise
            unanswered = error
        try:
            found = store.get(key)
        except KeyError:
            continue
        if found != data:
            return found
        store.confirm([key])
        return None
    raise TransientError(
        f"Put the entry `{key}` in {store.uri} {_TRIES} times, and it is not known whether it is there ({unanswered or 'the store says it exists, and has none'}). "
        "Nothing was deleted. Run again: a put that landed late will be found."
    ) from unanswered
