"""Hiding secrets in texts: those that are known, however they are spelt, and what an address or a parameter gives away. Pure.

What is known is the caller's business (`headrace.run.redaction` keeps it). The invariant: a known secret of `SHORTEST` characters or
more is in no text that was hidden, neither as it is nor as a URL, JSON, Python, HTML or base64 would spell it.
"""

from __future__ import annotations

import json
import re
from binascii import b2a_base64
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from urllib.parse import quote, quote_plus, unquote, urlsplit

__all__ = [
    "SHORTEST",
    "basic",
    "encoded",
    "hide",
    "is_sensitive",
    "masked",
    "public",
    "secrets_in_environment",
    "secrets_in_text",
    "secrets_in_values",
    "spellings",
]

SHORTEST = 5
"""Fewer characters are also the middle of ordinary words; Airflow draws the line at the same place."""

_NAMES = "(?:password|passwd|passphrase|pwd|secret|token|credential|signature|sig|api[_-]?key|access[_-]?key)"
_SENSITIVE = re.compile(
    r"passw|passphrase|pwd|secret|token|credential|signature|api[_-]?key|access[_-]?key|private[_-]?key|key_?file|service_account|"
    r"authorization|auth_header|bearer|connection_string|dsn|webhook|(?:^|_)sig(?:$|_)",
    re.IGNORECASE,
)
_VARIABLES = re.compile(
    r"(?:^|_)(?:PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|API_?KEY|ACCESS_KEY|SECRET_KEY|PRIVATE_KEY|FERNET_KEY)(?:_|$)", re.IGNORECASE
)
_WAY_IN = re.compile(r"(?:^|[_.-])(?:key|auth|jwt|sas)$|app_?(?:id|key)$", re.IGNORECASE)
_SIGNATURE = re.compile(r"sig|signature|x-(?:amz|goog)-signature", re.IGNORECASE)
# What a signing adds beside the signature: AWS and Google (x-amz-…, x-goog-…, and before them), CloudFront, Azure's SAS.
_SIGNING = re.compile(
    r"x-(?:amz|goog)-.+|awsaccesskeyid|googleaccessid|key-pair-id|policy|expires|s[etvrp]|spr|sip|sk(?:oid|tid|[test]|v)|ss|srt",
    re.IGNORECASE,
)
_PIECE = SHORTEST + 1
_CUT = re.compile(r"(\.{3}|…)")
_NO_VALUES = re.compile(r"_(?:FILE|PATH|DIR|URL|CMD|NAME|ALGORITHM|SECONDS|TTL)$", re.IGNORECASE)


def hide(text: str, secrets: frozenset[str]) -> str:
    """The text with every known secret, in any spelling, as `***`; also one that an ellipsis or the end of the text cut off."""
    spelt = _all_spellings(secrets)
    if not spelt:
        return text
    return _without_pieces(_pattern(spelt).sub("***", text), spelt)


def masked(text: str) -> str:
    """A text without the password of a URI, and without the values of parameters that sound like secrets.

    >>> masked("postgresql://me:hunter2@host/db?token=abc")
    'postgresql://***@host/db?token=***'
    """
    text = re.sub(r"(?<=://)(?:[^/:@\s]*:[^\s]*|[^/\s]*)@", "***@", text)
    return re.sub(rf"(?i)({_NAMES}[\w-]*=)(?!\*\*\*(?:[&`'\"),.;:\s]|$))[^&\s]+", r"\1***", text)  # what is masked stays as it is


def public(location: str) -> str:
    """A location as it may be told and kept. An address loses its user and its fragment, and has *** for what gets one in.

    Of one that was signed, so is all that another signing changes: the same file keeps the same name. A path is given back as it is.

    >>> public("https://ana:hunter2@host/a.csv?day=1&apikey=abc")
    'https://host/a.csv?day=1&apikey=***'
    >>> public("https://host/a.csv?se=2030-01-01&sig=abc")
    'https://host/a.csv?se=***&sig=***'
    """
    scheme, divider, rest = location.partition("://")
    if not divider:
        return location
    end = next((at for at, sign in enumerate(rest) if sign in "/?#"), len(rest))
    host, rest = rest[:end].rpartition("@")[2], rest[end:].partition("#")[0]
    if not re.fullmatch(r"[^:]*(?::\d*)?|\[.*\](?::\d*)?", host):  # what looks like a port is the beginning of a password that has a slash
        host, rest = "***", rest.rpartition("@")[2] if "@" in rest else ""
    path, mark, query = rest.partition("?")
    parts = re.split(r"([&;])", query)
    names = [unquote(part.partition("=")[0]) for part in parts]
    is_signed = any(_SIGNATURE.fullmatch(name) for name in names)
    shown = [
        f"{part.partition('=')[0]}=***"
        if "=" in part and (is_sensitive(name) or _WAY_IN.search(name) or (is_signed and _SIGNING.fullmatch(name)))
        else part
        for part, name in zip(parts, names, strict=True)
    ]
    return f"{scheme}://{host}{path}{mark}{''.join(shown)}"


def is_sensitive(name: str) -> bool:
    """Whether what has this name is a secret.

    >>> is_sensitive("aws_secret_access_key"), is_sensitive("region_name")
    (True, False)
    """
    return _SENSITIVE.search(name) is not None


def secrets_in_text(text: str) -> Iterator[str]:
    """The passwords and tokens in an address: of its user, and of parameters that sound like it.

    >>> list(secrets_in_text("https://ana:s%40cret@host/x?token=abcdef&page=2"))
    ['s@cret', 'YW5hOnNAY3JldA', 'abcdef']
    """
    try:
        parts = urlsplit(text)
        user, password = parts.username, parts.password
    except ValueError:  # such as a bracket in the password: all that stands before the host
        yield text.partition("://")[2].rpartition("@")[0]
        return
    if password:
        yield unquote(password)
        yield basic(unquote(user or ""), unquote(password))
    elif user and "://" in text:
        yield unquote(user)  # a token in the place of a user
    for name, value in re.findall(r"[?&;]([^=&;\s]+)=([^&;\s]+)", text):
        if is_sensitive(name):
            yield unquote(value)


def secrets_in_environment(environment: Mapping[str, str]) -> Iterator[str]:
    """The values of variables whose names say that they are secret, and what addresses in the others give away."""
    for name, value in environment.items():
        if _VARIABLES.search(name) and not _NO_VALUES.search(name) and len(value) >= 2 * SHORTEST:
            yield value
            user = environment.get(re.sub("PASSWORD$", "USERNAME", name))
            if user and user != value:
                yield basic(user, value)
        elif "://" in value and not name.startswith("AIRFLOW_CONN_"):  # a connection is read as one
            yield from secrets_in_text(value)


def basic(user: str, password: str) -> str:
    """What HTTP's basic authentication makes of a user and a password; without the padding, which a text may have lost."""
    return _base64(f"{user}:{password}")


def spellings(secret: str) -> frozenset[str]:
    """A secret as it may be met in a text: as it is, each of its lines, and encoded up to two times."""
    found = {secret, secret.strip(), *(line.strip() for line in secret.splitlines())}
    for _ in range(2):
        found |= {spelt for text in found for spelt in encoded(text)}
    found.add(_base64(secret))
    return frozenset(spelt for spelt in found if len(spelt) >= SHORTEST)


def _base64(text: str) -> str:
    return b2a_base64(text.encode("utf-8", "surrogatepass"), newline=False).decode().rstrip("=")


def encoded(text: str) -> Iterator[str]:
    """A text as addresses, JSON, Python and HTML write it, itself among them where that is the same."""
    raw = text.encode("utf-8", "surrogatepass")
    for url in (quote(raw, safe=""), quote(raw), quote_plus(raw)):
        yield url
        yield re.sub(r"%[0-9A-F]{2}", lambda found: found[0].lower(), url)
    yield json.dumps(text)[1:-1]
    yield json.dumps(text, ensure_ascii=False)[1:-1]
    yield from (repr(text)[1:-1], ascii(text)[1:-1], repr(f"'\"{text}")[4:-1])  # the last: beside quotes of both kinds
    yield repr(raw)[2:-1]
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    yield escaped
    yield escaped.replace('"', "&quot;").replace("'", "&#x27;")  # as html.escape, whose table of names is slow to import


@lru_cache(maxsize=8)
def _all_spellings(secrets: frozenset[str]) -> tuple[str, ...]:
    """The longest first, so that it is hidden whole."""
    spelt = {one for secret in secrets if len(secret) >= SHORTEST for one in spellings(secret)}
    return tuple(sorted(spelt, key=lambda one: (-len(one), one)))


@lru_cache(maxsize=8)
def _pattern(spelt: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, spelt)))


def _without_pieces(text: str, spelt: tuple[str, ...]) -> str:
    """Without the beginnings of secrets before a cut, and the ends of them after one: an engine shows a part of a long line of SQL."""
    parts = _CUT.split(text)
    backwards = tuple(one[::-1] for one in spelt)
    for at in range(0, len(parts), 2):
        parts[at] = _without_end(parts[at], spelt)
        if at > 0:
            parts[at] = _without_end(parts[at][::-1], backwards)[::-1]
    return "".join(parts)


def _without_end(text: str, spelt: tuple[str, ...]) -> str:
    for one, length in _beginnings(spelt).get(text[-_PIECE:], ()):
        if text.endswith(one[:length]):
            return f"{text[:-length]}***"
    return text


@lru_cache(maxsize=16)
def _beginnings(spelt: tuple[str, ...]) -> dict[str, list[tuple[str, int]]]:
    """All beginnings of the texts, the longest first, by their last characters."""
    found: dict[str, list[tuple[str, int]]] = {}
    for one in spelt:
        for length in range(len(one) - 1, _PIECE - 1, -1):
            found.setdefault(one[length - _PIECE : length], []).append((one, length))
    return found


def secrets_in_values(values: Iterable[object], *, is_secret: bool = False) -> Iterator[str]:
    """The secrets in nested values of JSON: what stands under a name that says so, and in addresses."""
    for value in values:
        if isinstance(value, Mapping):
            for name, inner in value.items():
                yield from secrets_in_values([inner], is_secret=is_secret or is_sensitive(str(name)))
        elif isinstance(value, list | tuple):
            yield from secrets_in_values(value, is_secret=is_secret)
        elif is_secret and isinstance(value, str | int) and not isinstance(value, bool):
            yield str(value)
        elif isinstance(value, str) and "://" in value:
            yield from secrets_in_text(value)
