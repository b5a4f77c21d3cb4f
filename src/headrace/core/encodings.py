"""The encodings of text that are read, by their names, and how long a text is in one of them.

Pure. All of them give back the very bytes that they were decoded from, so that a place in the text is a place in the file. The invariant:
for each of ENCODINGS, `text.encode(name)` of what was decoded strictly are the bytes that it was decoded from.
"""

from __future__ import annotations

import codecs

__all__ = ["ENCODINGS", "encoded", "encoding_named", "size_in"]

ENCODINGS = (
    "utf-8", "utf-16", "utf-16-le", "utf-16-be",
    "cp1252", "latin-1", "cp1250", "cp1251", "iso8859-2", "iso8859-15",
)  # fmt: skip
_OTHER_NAMES = {"iso8859-1": "latin-1", "utf-8-sig": "utf-8"}


def encoding_named(name: str) -> str:
    """The name in ENCODINGS of an encoding that has many names; the name itself where it is none of them.

    >>> encoding_named("Windows-1252"), encoding_named("UTF8"), encoding_named("auto")
    ('cp1252', 'utf-8', 'auto')
    """
    try:
        known = codecs.lookup(name).name
    except LookupError:
        return name.lower()
    return _OTHER_NAMES.get(known, known)


def encoded(text: bytes, encoding: str) -> bytes:
    """A text in UTF-8 as the bytes that it has in a file of that encoding."""
    return text if encoding == "utf-8" else text.decode().encode(encoding)


def size_in(encoding: str, text: bytes) -> int:
    """How many bytes a text in UTF-8 has in a file of that encoding."""
    return len(encoded(text, encoding))
