"""What a request to S3 asks for, and the permissions that AWS checks for it: pure, so that a run's policy can be told from its requests.

The rules are those of "Required permissions for Amazon S3 API operations" in the user guide of Amazon S3. The invariant: a request that is
not understood is an error, never a request that needs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.etree import ElementTree as ET

__all__ = ["Permission", "S3Request", "actions_of", "is_deletion", "permissions_of", "request_of"]

_ON_BUCKET = {
    "GET": {
        "uploads": "s3:ListBucketMultipartUploads",
        "versions": "s3:ListBucketVersions",
        "location": "s3:GetBucketLocation",
        "versioning": "s3:GetBucketVersioning",
        "policy": "s3:GetBucketPolicy",
        "lifecycle": "s3:GetLifecycleConfiguration",
        "encryption": "s3:GetEncryptionConfiguration",
        "requestPayment": "s3:GetBucketRequestPayment",
        "object-lock": "s3:GetBucketObjectLockConfiguration",
        "acl": "s3:GetBucketAcl",
        "tagging": "s3:GetBucketTagging",
        "": "s3:ListBucket",
    },
    "HEAD": {"": "s3:ListBucket"},
    "PUT": {
        "versioning": "s3:PutBucketVersioning",
        "policy": "s3:PutBucketPolicy",
        "lifecycle": "s3:PutLifecycleConfiguration",
        "encryption": "s3:PutEncryptionConfiguration",
        "requestPayment": "s3:PutBucketRequestPayment",
        "": "s3:CreateBucket",
    },
    "DELETE": {
        "policy": "s3:DeleteBucketPolicy",
        "lifecycle": "s3:PutLifecycleConfiguration",
        "encryption": "s3:PutEncryptionConfiguration",
        "": "s3:DeleteBucket",
    },
}
_ON_OBJECT = {
    "GET": {"acl": "s3:GetObjectAcl", "tagging": "s3:GetObjectTagging", "uploadId": "s3:ListMultipartUploadParts", "": "s3:GetObject"},
    "HEAD": {"": "s3:GetObject"},
    "PUT": {"acl": "s3:PutObjectAcl", "tagging": "s3:PutObjectTagging", "": "s3:PutObject"},  # a part of an upload is a PutObject, too
    "POST": {"uploads": "s3:PutObject", "uploadId": "s3:PutObject"},
    "DELETE": {"uploadId": "s3:AbortMultipartUpload", "tagging": "s3:DeleteObjectTagging", "": "s3:DeleteObject"},
}
_OF_VERSIONS = {"s3:GetObject": "s3:GetObjectVersion", "s3:DeleteObject": "s3:DeleteObjectVersion"}
_WITH_HEADERS = {
    "x-amz-acl": "s3:PutObjectAcl",
    "x-amz-tagging": "s3:PutObjectTagging",
    "x-amz-object-lock-mode": "s3:PutObjectRetention",
    "x-amz-object-lock-legal-hold": "s3:PutObjectLegalHold",
}
_IN_QUERY_ONLY = {"x-id", "list-type", "prefix", "delimiter", "max-keys", "continuation-token", "start-after", "encoding-type", "marker"}


class Permission(NamedTuple):
    """An action, and the ARN that it is checked on."""

    action: str
    resource: str


@dataclass(frozen=True)
class S3Request:
    """What is asked, path-style. `headers` have lower-case names; `deletes` are the keys in the body of a DeleteObjects, with versions."""

    method: str
    bucket: str
    key: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    deletes: tuple[tuple[str, str], ...] = ()


def request_of(method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> S3Request:
    """The request that a request line, its headers and, for a DeleteObjects, its body make."""
    bucket, _, key = urlsplit(target).path.removeprefix("/").partition("/")
    named = {name.lower(): value for name, value in headers.items() if name.lower() != "authorization"}
    deletes = _deletes(body) if is_deletion(method, target) else ()
    return S3Request(method, unquote(bucket), unquote(key), _query(target), named, deletes)


def is_deletion(method: str, target: str) -> bool:
    """Whether it is a DeleteObjects, whose keys are in its body."""
    return method == "POST" and "delete" in _query(target)


def actions_of(request: S3Request, *, status: int = 200) -> tuple[str, ...]:
    """The actions alone, sorted, each once."""
    return tuple(sorted({permission.action for permission in permissions_of(request, status=status)}))


def permissions_of(request: S3Request, *, status: int = 200) -> tuple[Permission, ...]:
    """All that the caller has to be allowed for an answer of this status. ValueError for a request that is not known here."""
    if not request.bucket:
        return (Permission("s3:ListAllMyBuckets", "*"),)
    bucket = f"arn:aws:s3:::{request.bucket}"
    if request.method == "POST" and "delete" in request.query:
        return tuple(_delete(f"{bucket}/{key}", version) for key, version in request.deletes)
    if not request.key:
        return (Permission(_action(_ON_BUCKET, request), bucket),)
    found = [Permission(_action(_ON_OBJECT, request), f"{bucket}/{request.key}")]
    if "versionId" in request.query:
        found = [Permission(_OF_VERSIONS.get(p.action, p.action), p.resource) for p in found]
    found += _with_headers(request, found[0])
    if status == HTTPStatus.NOT_FOUND and request.method in ("GET", "HEAD"):
        found.append(Permission("s3:ListBucket", bucket))  # without it S3 answers 403, not to tell what is not there
    return tuple(found)


def _with_headers(request: S3Request, main: Permission) -> list[Permission]:
    """What the headers of a request for an object ask for beside the action itself."""
    found: list[Permission] = []
    if main.action != "s3:PutObject":
        return found
    source = request.headers.get("x-amz-copy-source")
    if source:
        path, _, version = source.removeprefix("/").partition("?versionId=")
        found.append(Permission("s3:GetObjectVersion" if version else "s3:GetObject", f"arn:aws:s3:::{unquote(path)}"))
    if "if-match" in request.headers:
        found.append(Permission("s3:GetObject", main.resource))
    found += [Permission(action, main.resource) for header, action in _WITH_HEADERS.items() if header in request.headers]
    if request.headers.get("x-amz-server-side-encryption") == "aws:kms":
        key = request.headers.get("x-amz-server-side-encryption-aws-kms-key-id", "alias/aws/s3")
        found.append(Permission("kms:GenerateDataKey", key))
        if "uploads" in request.query:
            found.append(Permission("kms:Decrypt", key))
    return found


def _action(table: Mapping[str, Mapping[str, str]], request: S3Request) -> str:
    rules = table.get(request.method, {})
    for name, action in rules.items():
        if name and name in request.query:
            return action
    is_plain = "" in rules and not (set(_subresources(request)) & _KNOWN)
    if not is_plain:
        raise ValueError(f"which permission does {request.method} /{request.bucket}/{request.key} {dict(request.query)} need? Add it here.")
    return rules[""]


def _subresources(request: S3Request) -> list[str]:
    """The words of a query that stand alone and choose an operation."""
    return [name for name, value in request.query.items() if not value and name not in _IN_QUERY_ONLY]


_KNOWN = {
    *(name for table in (_ON_BUCKET, _ON_OBJECT) for rules in table.values() for name in rules if name),
    *("accelerate", "analytics", "attributes", "cors", "intelligent-tiering", "inventory", "legal-hold", "logging", "metrics"),
    *("notification", "ownershipControls", "policyStatus", "publicAccessBlock", "replication", "restore", "retention", "select"),
    *("torrent", "website"),
}


def _delete(resource: str, version: str) -> Permission:
    return Permission("s3:DeleteObjectVersion" if version else "s3:DeleteObject", resource)


def _query(target: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(target).query, keep_blank_values=True))


def _deletes(body: bytes) -> tuple[tuple[str, str], ...]:
    root = ET.fromstring(body)
    space = root.tag.partition("}")[0] + "}" if root.tag.startswith("{") else ""
    found = [(each.findtext(f"{space}Key"), each.findtext(f"{space}VersionId")) for each in root.iter(f"{space}Object")]
    return tuple((key or "", version or "") for key, version in found)
