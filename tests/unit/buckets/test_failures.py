"""What a bucket's answers become: which error, with which words."""

from __future__ import annotations

import pytest
from obstore.exceptions import AlreadyExistsError, GenericError, PermissionDeniedError, UnauthenticatedError

from headrace.backends.buckets.address import parse_address
from headrace.backends.buckets.failures import told
from headrace.core.errors import HeadraceError, LakeError, TransientError

PLACE = parse_address("s3://shop/lake")


def answered(status: str, code: str, message: str = "Sorry.") -> str:
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return (
        "Generic S3 error: Error performing PUT https://shop.s3.amazonaws.com/lake/log/a in 1.2s, after 8 retries, max_retries: 8 - "
        f"Server returned non-2xx status code: {status}: {body}\n\nDebug source:\nGeneric {{\n}}"
    )


def failing(error: BaseException, action: str = "put") -> HeadraceError:
    with pytest.raises(HeadraceError) as caught, told(action, "log/a", PLACE):
        raise error
    return caught.value


@pytest.mark.parametrize(
    "text",
    [
        answered("503 Slow Down", "SlowDown"),
        answered("500 Internal Server Error", "InternalError"),
        answered("409 Conflict", "ConditionalRequestConflict"),
        answered("429 Too Many Requests", "TooManyRequests"),
        answered("408 Request Timeout", "RequestTimeout"),
        "Generic S3 error: Error performing PUT https://shop in 30s - HTTP error: operation timed out",
        "Generic S3 error: Error performing PUT https://shop in 30s - HTTP error: connection closed before message completed",
    ],
)
def test_what_may_go_away_by_itself_is_transient(text: str) -> None:
    error = failing(GenericError(text))
    assert isinstance(error, TransientError)
    assert str(error).startswith("Could not put `log/a` in s3://shop/lake: ")
    assert "<" not in str(error)
    assert "amazonaws" not in str(error)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (GenericError(answered("400 Bad Request", "KMS.NotFoundException", "Key is gone.")), "Key is gone."),
        (GenericError(answered("301 Moved Permanently", "PermanentRedirect")), "Set `region`"),
        (GenericError(answered("403 Forbidden", "RequestTimeTooSkewed")), "clock is wrong"),
        (PermissionDeniedError(answered("403 Forbidden", "SignatureDoesNotMatch")), "does not accept the secret key"),
        (PermissionDeniedError(answered("403 Forbidden", "InvalidAccessKeyId")), "does not know the access key"),
        (UnauthenticatedError(answered("401 Unauthorized", "ExpiredToken")), "has expired"),
        (GenericError("Generic GCS error: Error performing token request: Error performing GET http://metadata"), "no credentials"),
        (FileNotFoundError(answered("404 Not Found", "NoSuchBucket")), "no bucket `shop`"),
    ],
)
def test_what_only_a_person_can_mend_says_what(error: BaseException, words: str) -> None:
    found = failing(error)
    assert isinstance(found, LakeError)
    assert words in str(found)
    assert not found.is_transient


@pytest.mark.parametrize(
    ("action", "permission"),
    [
        ("put", "s3:PutObject"),
        ("read", "s3:GetObject"),
        ("list", "s3:ListBucket"),
        ("copy", "s3:GetObject and s3:PutObject"),
        ("delete", "s3:DeleteObject"),
    ],
)
def test_a_denial_names_the_permission(action: str, permission: str) -> None:
    found = failing(PermissionDeniedError(answered("403 Forbidden", "AccessDenied")), action)
    assert f"`log/a` in s3://shop/lake: access is denied. The permission that is needed: {permission}." in str(found)


def test_a_denial_by_the_key_names_its_permissions() -> None:
    text = answered("403 Forbidden", "AccessDenied", "User is not authorized to perform: kms:GenerateDataKey")
    assert "kms:GenerateDataKey (to put) and kms:Decrypt (to read)" in str(failing(PermissionDeniedError(text)))
    by_chance = text.replace("User is not authorized to perform: kms:GenerateDataKey", "Access Denied").replace(
        "</Error>", "<HostId>q0kMs7Fk=</HostId></Error>"
    )
    assert "kMs" in by_chance
    assert "encryption key" not in str(failing(PermissionDeniedError(by_chance)))


def test_what_is_not_there_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="log/a"), told("read", "log/a", PLACE):
        raise FileNotFoundError(answered("404 Not Found", "NoSuchKey"))


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (OSError(28, "No space left on device", "/cache/a"), LakeError, "`/cache/a` can't be used: No space left on device. The setting"),
        (FileNotFoundError(2, "No such file", "/cache/a"), TransientError, "`/cache/a` is gone: the cache was cleared while it was used."),
    ],
    ids=["a full disk", "a cleared cache"],
)
def test_what_goes_wrong_on_this_machine_is_not_said_of_the_bucket(error: OSError, kind: type[HeadraceError], words: str) -> None:
    found = failing(error, "read")
    assert isinstance(found, kind)
    assert str(found).startswith("Could not read `log/a` in s3://shop/lake: the local copy ")
    assert words in str(found)


def test_errors_of_the_caller_pass() -> None:
    with pytest.raises(ZeroDivisionError), told("read", "log/a", PLACE):
        raise ZeroDivisionError
    with pytest.raises(HeadraceError), told("read", "log/a", PLACE):
        raise AlreadyExistsError("there")
