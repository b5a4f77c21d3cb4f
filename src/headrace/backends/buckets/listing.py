"""The objects of a bucket whose keys begin alike, a page of a thousand at a time.

Obstore lists whole folders only; what a name in one begins with is reached by starting after what lies before it. The invariant: no
more pages are asked for than are read from, and none behind the last key that begins so.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import obstore
from obstore.store import ObjectStore

from headrace.backends.buckets.address import Address
from headrace.backends.buckets.client import patiently

if TYPE_CHECKING:
    from obstore import ObjectMeta

__all__ = ["PAGE", "list_objects"]

PAGE = 1000  # keys in an answer to a listing


def list_objects(
    client: ObjectStore, place: Address, prefix: str, *, start_after: str = "", asked: Callable[[], object] = lambda: None
) -> Iterator[ObjectMeta]:
    """What begins with `prefix`, in the order of its keys, after `start_after`; `asked` is called for each request."""
    folder, _, name = prefix.rpartition("/")
    after = max(start_after, _just_before(prefix) if name else "")
    for page in _pages(client, place, prefix, folder, after, asked):
        for found in page:
            key = found["path"]
            if key.startswith(prefix) and key > start_after:
                yield found
            elif key > prefix and not key.startswith(prefix):
                return


def _pages(
    client: ObjectStore, place: Address, prefix: str, folder: str, after: str, asked: Callable[[], object]
) -> Iterator[Sequence[ObjectMeta]]:
    """The pages of a listing. One that broke off goes on after the last key that came."""
    pages: Iterator[Sequence[ObjectMeta]] | None = None

    def turn() -> Sequence[ObjectMeta]:
        nonlocal pages
        try:
            pages = pages or iter(obstore.list(client, folder or None, offset=after or None, chunk_size=PAGE))
            return next(pages, ())
        except BaseException:
            pages = None
            raise

    size = PAGE
    while size == PAGE:  # a shorter page is the last
        page = patiently("list", prefix, place, turn)
        asked()
        size = len(page)
        if page:
            yield page
            after = page[-1]["path"]


def _just_before(prefix: str) -> str:
    """A text below all that begin with the prefix, and above nearly all that are less."""
    before = ord(prefix[-1]) - 1
    is_plain = 0x20 < before < 0x7F and chr(before) != "/"  # printable ASCII
    return prefix[:-1] + chr(before) if is_plain else os.path.dirname(prefix) + "/"  # noqa: PTH120  # a key, not a path
