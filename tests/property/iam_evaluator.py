"""What IAM makes of a policy, as far as headrace's policies go: Allow statements, wildcards, and the conditions that are in them.

Written apart from what writes the policies. `missing` and `superfluous` hold a policy against the requests of a real run: what it would
have been refused, and what of the policy nobody used. The invariant: a condition that is not known here fails the test that meets it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

__all__ = ["FAILURES_ONLY", "Recorded", "allows", "missing", "superfluous"]

Document = Mapping[str, Any]

FAILURES_ONLY = ("s3:AbortMultipartUpload",)
"""Actions of runs in which something breaks."""


class Recorded(NamedTuple):
    """One request. For `s3:ListBucket`, `prefix` is what was asked for (None: without a prefix); otherwise `key` is. A get of what is not
    there has to be recorded twice: as the get, and as `s3:ListBucket` with the key as its prefix, which is how S3 decides between 404 and 403.

    `is_new` is whether a put said `If-None-Match: *`.
    """

    action: str
    bucket: str
    key: str = ""
    prefix: str | None = None
    is_new: bool = True

    @property
    def arn(self) -> str:
        return f"arn:aws:s3:::{self.bucket}" if self.action == "s3:ListBucket" else f"arn:aws:s3:::{self.bucket}/{self.key}"

    @property
    def context(self) -> dict[str, str]:
        if self.action == "s3:ListBucket":
            return {} if self.prefix is None else {"s3:prefix": self.prefix}
        return {"s3:if-none-match": "*"} if self.action == "s3:PutObject" and self.is_new else {}


def allows(policy: Document, action: str, resource_arn: str, context: Mapping[str, str] | None = None) -> bool:
    """Whether a request would be allowed; `context` has the condition keys that it comes with."""
    return any(_grants(statement, action, resource_arn, context or {}) for statement in policy["Statement"])


def missing(policy: Document, recorded: Iterable[Recorded]) -> list[Recorded]:
    """The requests that would have been refused."""
    return [one for one in dict.fromkeys(recorded) if not allows(policy, one.action, one.arn, one.context)]


def superfluous(policy: Document, recorded: Iterable[Recorded], *, rare: Collection[str] = FAILURES_ONLY) -> list[str]:
    """What of a policy no request needed, as `action resource` (for a listing, `s3:ListBucket bucket prefix`), but for `rare` actions.

    A prefix that may be listed is needed by a get below it too: by it, S3 says of a missing key that it is missing.
    """
    seen = list(dict.fromkeys(recorded))
    return [said for statement in policy["Statement"] for said in _unused(statement, seen, rare)]


def _grants(statement: Document, action: str, arn: str, context: Mapping[str, str]) -> bool:
    assert statement["Effect"] == "Allow"
    return (
        any(_matches(pattern, action) for pattern in statement["Action"])
        and any(_matches(pattern, arn) for pattern in statement["Resource"])
        and all(_holds(test, keys, context) for test, keys in statement.get("Condition", {}).items())
    )


def _holds(test: str, keys: Mapping[str, list[str]], context: Mapping[str, str]) -> bool:
    if test == "StringLike":
        return all(key in context and any(_matches(value, context[key]) for value in values) for key, values in keys.items())
    if test == "ForAnyValue:StringEquals":
        return all(context.get(key) in values for key, values in keys.items())
    assert test == "Null", test
    return all((key not in context) == (values == ["true"]) for key, values in keys.items())


def _unused(statement: Document, seen: Collection[Recorded], rare: Collection[str]) -> Iterator[str]:
    for action in statement["Action"]:
        if action in rare:
            continue
        if action == "s3:ListBucket":
            yield from _unlisted(statement, seen)
            continue
        by = {"kms:Decrypt": "s3:GetObject", "kms:GenerateDataKey": "s3:PutObject"}.get(action)
        for pattern in statement["Resource"]:
            if not any(one.action == by if by else one.action == action and _matches(pattern, one.arn) for one in seen):
                yield f"{action} {pattern}"


def _unlisted(statement: Document, seen: Collection[Recorded]) -> Iterator[str]:
    (bucket,) = statement["Resource"]
    asked = [one.prefix if one.action == "s3:ListBucket" else one.key for one in seen if f"arn:aws:s3:::{one.bucket}" == bucket]
    for pattern in statement.get("Condition", {}).get("StringLike", {}).get("s3:prefix", [None]):
        if not any(_matches(pattern, prefix) if pattern and prefix is not None else pattern is None for prefix in asked):
            yield f"s3:ListBucket {bucket} {pattern}"


def _matches(pattern: str, text: str) -> bool:
    return _compiled(pattern).fullmatch(text) is not None


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """IAM's wildcards: `*` is anything, slashes too, `?` one character; `${*}`, `${?}` and `${$}` are themselves."""
    pieces = re.split(r"(\$\{[*?$]\}|[*?])", pattern)
    wild = {"*": ".*", "?": "."}
    told = (wild.get(piece) or re.escape(piece[2] if re.fullmatch(r"\$\{.\}", piece) else piece) for piece in pieces)
    return re.compile("".join(told), re.DOTALL)
