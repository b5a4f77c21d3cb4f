"""The permissions that AWS checks for a request, told from the request alone."""

from __future__ import annotations

import pytest
from object_actions import Permission, S3Request, actions_of, permissions_of, request_of

BODY = b"""<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Object><Key>a b/1</Key></Object>
<Object><Key>c</Key><VersionId>7</VersionId></Object><Quiet>true</Quiet></Delete>"""
KMS = {"x-amz-server-side-encryption": "aws:kms", "x-amz-server-side-encryption-aws-kms-key-id": "arn:aws:kms:eu-central-1:1:key/k"}

CASES = [
    ("GET /", {}, "s3:ListAllMyBuckets"),
    ("GET /b?list-type=2&prefix=lake%2F&delimiter=%2F", {}, "s3:ListBucket"),
    ("GET /b/?list-type=2&prefix=", {}, "s3:ListBucket"),
    ("HEAD /b", {}, "s3:ListBucket"),
    ("GET /b?uploads", {}, "s3:ListBucketMultipartUploads"),
    ("GET /b?versions&prefix=x", {}, "s3:ListBucketVersions"),
    ("GET /b?location", {}, "s3:GetBucketLocation"),
    ("PUT /b", {}, "s3:CreateBucket"),
    ("PUT /b?policy", {}, "s3:PutBucketPolicy"),
    ("DELETE /b", {}, "s3:DeleteBucket"),
    ("GET /b/k", {"Range": "bytes=0-9"}, "s3:GetObject"),
    ("GET /b/k?x-id=GetObject", {}, "s3:GetObject"),
    ("GET /b/k?versionId=3", {}, "s3:GetObjectVersion"),
    ("GET /b/k?uploadId=u", {}, "s3:ListMultipartUploadParts"),
    ("HEAD /b/k", {}, "s3:GetObject"),
    ("PUT /b/k", {"If-None-Match": "*"}, "s3:PutObject"),
    ("PUT /b/k", {"If-Match": '"e"'}, "s3:GetObject s3:PutObject"),
    ("PUT /b/k", {"x-amz-acl": "bucket-owner-full-control"}, "s3:PutObject s3:PutObjectAcl"),
    ("PUT /b/k", {"x-amz-tagging": "a=b"}, "s3:PutObject s3:PutObjectTagging"),
    ("PUT /b/k?tagging", {}, "s3:PutObjectTagging"),
    ("PUT /b/k", {"x-amz-copy-source": "/from/a%20b"}, "s3:GetObject s3:PutObject"),
    ("PUT /b/k", {"x-amz-copy-source": "from/a?versionId=3"}, "s3:GetObjectVersion s3:PutObject"),
    ("PUT /b/k", KMS, "kms:GenerateDataKey s3:PutObject"),
    ("POST /b/k?uploads", {}, "s3:PutObject"),
    ("POST /b/k?uploads", KMS, "kms:Decrypt kms:GenerateDataKey s3:PutObject"),
    ("PUT /b/k?partNumber=1&uploadId=u", {}, "s3:PutObject"),
    ("POST /b/k?uploadId=u", {}, "s3:PutObject"),
    ("DELETE /b/k?uploadId=u", {}, "s3:AbortMultipartUpload"),
    ("DELETE /b/k", {}, "s3:DeleteObject"),
    ("DELETE /b/k?versionId=3", {}, "s3:DeleteObjectVersion"),
    ("POST /b?delete", {}, "s3:DeleteObject s3:DeleteObjectVersion"),
    ("POST /b/?delete=", {}, "s3:DeleteObject s3:DeleteObjectVersion"),
]


def asked(line: str, headers: dict[str, str] | None = None) -> S3Request:
    method, _, target = line.partition(" ")
    return request_of(method, target, headers or {}, BODY)


@pytest.mark.parametrize(("line", "headers", "actions"), CASES)
def test_a_request_tells_the_actions_that_it_needs(line: str, headers: dict[str, str], actions: str) -> None:
    assert actions_of(asked(line, headers)) == tuple(actions.split())


def test_each_permission_is_on_its_own_resource() -> None:
    assert permissions_of(asked("POST /b?delete")) == (
        Permission("s3:DeleteObject", "arn:aws:s3:::b/a b/1"),
        Permission("s3:DeleteObjectVersion", "arn:aws:s3:::b/c"),
    )
    assert permissions_of(asked("PUT /b/k%2Fl", {"x-amz-copy-source": "from/a%20b"})) == (
        Permission("s3:PutObject", "arn:aws:s3:::b/k/l"),
        Permission("s3:GetObject", "arn:aws:s3:::from/a b"),
    )


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_to_be_told_that_a_key_is_not_there_needs_the_permission_to_list(method: str) -> None:
    assert permissions_of(asked(f"{method} /b/k"), status=404)[1] == Permission("s3:ListBucket", "arn:aws:s3:::b")


@pytest.mark.parametrize("line", ["GET /b?website", "GET /b/k?torrent", "PUT /b/k?retention", "POST /b/k", "PATCH /b/k", "POST /b"])
def test_a_request_that_is_not_known_is_refused_rather_than_said_to_need_nothing(line: str) -> None:
    with pytest.raises(ValueError, match="which permission does"):
        actions_of(asked(line))


def test_a_request_has_its_key_and_query_decoded_and_no_signature() -> None:
    request = asked("GET /b/a%20b/%C3%BC%2Bc?prefix=x%2Fy&uploads", {"Authorization": "secret", "X-Amz-Date": "now"})
    assert (request.bucket, request.key) == ("b", "a b/ü+c")
    assert request.query == {"prefix": "x/y", "uploads": ""}
    assert request.headers == {"x-amz-date": "now"}
