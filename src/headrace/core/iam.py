"""IAM policies as values: what is granted on which keys of which buckets, and the statements that say so. Pure.

Nothing here knows what a lake is: `headrace.run.permissions` says what is needed. The invariant: a policy allows what was granted and
nothing else; it has Allow statements only, and none for all objects of a bucket unless that was granted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from headrace.core.ports import JSON

__all__ = ["LARGEST", "Grant", "KmsKey", "Policy", "Statement", "Verb", "literal", "partition_of", "policy_of"]

LARGEST = 6144
"""Characters of a managed policy, white space not counted (IAM and AWS STS quotas, "IAM managed policies"). A role's inline policies may have 10,240."""

Verb = Literal["list", "read", "enter", "write", "delete"]
"""What is done with keys. `enter` puts a small object where there is none, `write` an object of any size.

`list` also lets S3 say of a key that it is not there: without it, a get of a missing key is answered as if it were forbidden.
"""

_ACTIONS: Mapping[Verb, tuple[str, ...]] = {
    "read": ("s3:GetObject",),
    "enter": ("s3:PutObject",),
    "write": ("s3:PutObject", "s3:AbortMultipartUpload"),
    "delete": ("s3:DeleteObject",),
}
_ORDER = ("s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:DeleteObject")
_NAMES = {"s3:GetObject": "Read", "s3:PutObject": "Put", "s3:AbortMultipartUpload": "Abort", "s3:DeleteObject": "Delete"}
_ONLY_NEW: Mapping[str, Mapping[str, Sequence[str]]] = {"Null": {"s3:if-none-match": ("false",)}}


@dataclass(frozen=True)
class Grant:
    """What may be done with the keys of a bucket that match `pattern`, in which `*` and `?` are IAM's wildcards."""

    bucket: str
    pattern: str
    verbs: frozenset[Verb]


@dataclass(frozen=True)
class KmsKey:
    """A key as a policy names it: by ARN, perhaps with wildcards; `alias` narrows it to the keys that have that alias."""

    arn: str
    alias: str | None = None

    @classmethod
    def of(cls, named: str, *, partition: str, region: str | None = None, account: str | None = None) -> KmsKey:
        """The key that a setting names: an ARN, an id, or an alias. A policy can't name a key by its alias, so that becomes a condition.

        >>> KmsKey.of("1234abcd", partition="aws", region="eu-central-1").arn
        'arn:aws:kms:eu-central-1:*:key/1234abcd'
        """
        found = re.fullmatch(r"arn:([^:]+):kms:([^:]+):([^:]+):(.+)", named)
        name = named
        if found:
            partition, region, account, name = found.groups()
        at = f"arn:{partition}:kms:{region or '*'}:{account or '*'}"
        if name.startswith("alias/"):
            return cls(f"{at}:key/*", name)
        return cls(f"{at}:key/{name.removeprefix('key/')}")


@dataclass(frozen=True)
class Statement:
    """One Allow statement."""

    sid: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    condition: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict[str, Mapping[str, Sequence[str]]])

    def to_json(self) -> dict[str, JSON]:
        told: dict[str, JSON] = {"Sid": self.sid, "Effect": "Allow", "Action": list(self.actions), "Resource": list(self.resources)}
        if self.condition:
            told["Condition"] = {test: {key: list(values) for key, values in keys.items()} for test, keys in self.condition.items()}
        return told


@dataclass(frozen=True)
class Policy:
    """An identity policy: what a role is allowed."""

    statements: tuple[Statement, ...]

    def to_json(self) -> dict[str, JSON]:
        """The document that IAM takes."""
        return {"Version": "2012-10-17", "Statement": [statement.to_json() for statement in self.statements]}

    @property
    def size(self) -> int:
        """Its characters, as IAM counts them."""
        return len(re.sub(r"\s", "", json.dumps(self.to_json(), ensure_ascii=False)))


def policy_of(grants: Iterable[Grant], *, partition: str = "aws", key: KmsKey | None = None, only_new: bool = False) -> Policy:
    """The smallest policy that allows what was granted.

    `key` is what the objects are encrypted with. With `only_new`, entries may be put only by requests that say "if there is none".
    """
    granted = tuple(grants)
    objects = tuple(_objects(granted, f"arn:{partition}:s3:::", only_new=only_new))
    statements = [*_lists(granted, f"arn:{partition}:s3:::"), *objects, *_uses(objects, key)]
    sids = [statement.sid for statement in statements]
    return Policy(
        tuple(
            Statement(_numbered(sid, n, sids), one.actions, one.resources, one.condition)
            for n, (sid, one) in enumerate(zip(sids, statements, strict=True))
        )
    )


def literal(text: str) -> str:
    """A text as a part of a pattern, in which it stands for itself.

    >>> literal("2026*"), literal("a$b")
    ('2026${*}', 'a${$}b')
    """
    return re.sub(r"[*?$]", lambda found: f"${{{found[0]}}}", text)


def partition_of(region: str | None) -> str:
    """The partition that a region is in.

    >>> partition_of("eu-central-1"), partition_of("cn-north-1"), partition_of("us-gov-west-1")
    ('aws', 'aws-cn', 'aws-us-gov')
    """
    begins = {"cn-": "aws-cn", "us-gov-": "aws-us-gov", "eusc-": "aws-eusc"}
    return next((name for begin, name in begins.items() if (region or "").startswith(begin)), "aws")


# ---------------------------------------------------------------- statements


def _lists(grants: Sequence[Grant], root: str) -> Iterator[Statement]:
    """One statement a bucket: the prefixes that may be listed. What is at the root of a bucket is listed without a prefix."""
    for bucket in dict.fromkeys(grant.bucket for grant in grants if "list" in grant.verbs):
        patterns = _distinct(grant.pattern for grant in grants if grant.bucket == bucket and "list" in grant.verbs)
        condition: Mapping[str, Mapping[str, Sequence[str]]] = {} if "*" in patterns else {"StringLike": {"s3:prefix": patterns}}
        yield Statement("List", ("s3:ListBucket",), (root + bucket,), condition)


def _objects(grants: Sequence[Grant], root: str, *, only_new: bool) -> Iterator[Statement]:
    """One statement for all objects on which the same is allowed."""
    verbs: dict[str, set[Verb]] = {}
    for grant in grants:
        verbs.setdefault(f"{root}{grant.bucket}/{grant.pattern}", set()).update(grant.verbs)
    by_actions: dict[tuple[tuple[str, ...], bool], list[str]] = {}
    for resource, asked in verbs.items():
        is_entry = only_new and "enter" in asked and "write" not in asked
        if is_entry:
            by_actions.setdefault((_ACTIONS["enter"], True), []).append(resource)
        actions = {action for verb in asked - ({"enter"} if is_entry else set()) for action in _ACTIONS.get(verb, ())}
        if actions:
            by_actions.setdefault((tuple(action for action in _ORDER if action in actions), False), []).append(resource)
    for (actions_, is_new), resources in by_actions.items():
        sid = "PutOnlyNew" if is_new else "".join(_NAMES[action] for action in actions_)
        yield Statement(sid, actions_, _distinct(resources), _ONLY_NEW if is_new else {})


def _uses(objects: Sequence[Statement], key: KmsKey | None) -> Iterator[Statement]:
    """The use of a key by S3: to read what is encrypted with it (a multipart upload reads too), and to encrypt."""
    actions = {action for statement in objects for action in statement.actions}
    needed = []
    if actions & {"s3:GetObject", "s3:PutObject"}:
        needed.append("kms:Decrypt")
    if "s3:PutObject" in actions:
        needed.append("kms:GenerateDataKey")
    if key is None or not needed:
        return
    condition: dict[str, Mapping[str, Sequence[str]]] = {"StringLike": {"kms:ViaService": ("s3.*",)}}
    if key.alias:
        condition["ForAnyValue:StringEquals"] = {"kms:ResourceAliases": (key.alias,)}
    yield Statement("UseKey", tuple(needed), (key.arn,), condition)


def _distinct(patterns: Iterable[str]) -> tuple[str, ...]:
    """Patterns in order, without those that another one covers: `in/a/*` says nothing that `in/*` does not."""
    found = sorted(set(patterns))
    stems = {one[:-1] for one in found if re.fullmatch(r"[^*?]*\*", one)}
    return tuple(one for one in found if not any(one[:n] in stems for n in range(len(one) + 1) if one[n:] != "*"))


def _numbered(sid: str, n: int, sids: Sequence[str]) -> str:
    """A Sid that no other statement has: they are letters and digits."""
    return f"{sid}{sids[: n + 1].count(sid)}" if sids.count(sid) > 1 else sid
