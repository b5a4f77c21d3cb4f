"""What a bucket answers when it does not do what it was asked, in words: the bucket, the key, the operation, what is missing, what to do.

The invariant: what may go away by itself (throttling, time-outs, broken connections, errors of the server) is transient, and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from obstore.exceptions import BaseError, InvalidPathError, PermissionDeniedError, PreconditionError, UnauthenticatedError

from headrace.backends.buckets.address import Address
from headrace.core.errors import HeadraceError, LakeError, TransientError

__all__ = ["is_about_another_version", "told"]

_PERMISSIONS = {
    "s3": {
        "read": "s3:GetObject",
        "put": "s3:PutObject",
        "copy": "s3:GetObject and s3:PutObject",
        "list": "s3:ListBucket",
        "delete": "s3:DeleteObject",
    },
    "gcs": {
        "read": "storage.objects.get",
        "put": "storage.objects.create",
        "copy": "storage.objects.get and storage.objects.create",
        "list": "storage.objects.list",
        "delete": "storage.objects.delete",
    },
    "azure": {
        "read": "the role Storage Blob Data Reader",
        "put": "the role Storage Blob Data Contributor",
        "copy": "the role Storage Blob Data Contributor",
        "list": "the role Storage Blob Data Reader",
        "delete": "the role Storage Blob Data Contributor",
    },
}
_CODE = re.compile(r"<Code>(\w+)</Code>")
_STATUS = re.compile(r"status(?: code)?:? (\d{3})")
_ANSWERED = re.compile(r"<Message>([^<]*)</Message>")
_KEYS_REFUSED = {
    "InvalidAccessKeyId": "does not know the access key",
    "SignatureDoesNotMatch": "does not accept the secret key",
    "AuthenticationFailed": "does not accept the key",
    "ExpiredToken": "says that the session token has expired",
    "InvalidToken": "does not accept the session token",
    "RequestTimeTooSkewed": "says that this machine's clock is wrong",
}
_NO_BUCKET = ("NoSuchBucket", "ContainerNotFound", "The specified bucket does not exist")
_NO_CREDENTIALS = ("token request", "credential provider", "metadata/instance")
_PASSING = {408, 409, 425, 429}
_DENIED = {401, 403}  # listings are told so: obstore has no error of its own there


@contextmanager
def told(action: str, key: str, place: Address) -> Iterator[None]:
    """Errors of obstore within become headrace's own: KeyError for what is not there, TransientError, or LakeError."""
    try:
        yield
    except FileNotFoundError as cause:
        if any(word in str(cause) for word in _NO_BUCKET):
            raise failure(action, key, place, cause) from None
        raise KeyError(key) from None
    except (BaseError, ValueError, TimeoutError, ConnectionError) as cause:
        if isinstance(cause, HeadraceError):
            raise
        raise failure(action, key, place, cause) from cause


def failure(action: str, key: str, place: Address, cause: BaseException) -> HeadraceError:
    """The error that says what went wrong."""
    text = str(cause).partition("\n\nDebug source")[0]
    code = next(iter(_CODE.findall(text)), "")
    start = f"Could not {action} `{key}` in {place}"
    if any(word in text for word in _NO_BUCKET):
        return LakeError(f"{start}: there is no bucket `{place.bucket}` there. Make it, or mend its name.")
    if isinstance(cause, InvalidPathError):
        return LakeError(f"{start}: {_short(text, '')}. Such a key can't be listed or read: copy the object to another and delete it.")
    if any(word in text for word in _NO_CREDENTIALS):
        return LakeError(
            f"{start}: no credentials were found, or the service that gives them did not ({_short(text, '')}). See what is used: headrace doctor"
        )
    if code in _KEYS_REFUSED:
        kind = "The keys" if code != "RequestTimeTooSkewed" else "It"
        return LakeError(f"{start}: the server {_KEYS_REFUSED[code]} ({code}). {kind} came from the settings that `headrace doctor` shows.")
    status = _status(text)
    if isinstance(cause, PermissionDeniedError | UnauthenticatedError) or status in _DENIED:
        return LakeError(f"{start}: {_denied(action, place, text)}")
    short = _short(text, code)
    if 300 <= status < 400:  # a redirect is how S3 says that the bucket is elsewhere
        return LakeError(f"{start}: the bucket is in another region than the one that was asked. Set `region`. ({short})")
    if status and status < 500 and status not in _PASSING:
        return LakeError(f"{start}: {short}")
    return TransientError(f"{start}: {short}. What was asked may have been done all the same. Run again.")


def is_about_another_version(cause: BaseException) -> bool:
    """Whether a request that was for one version of an object (If-Match) was refused since there is another."""
    return isinstance(cause, PreconditionError) or _status(str(cause).partition("\n\nDebug source")[0]) == HTTPStatus.PRECONDITION_FAILED


def _status(text: str) -> int:
    """The status of the last answer; 0 if there was none."""
    return next((int(status) for status in reversed(_STATUS.findall(text))), 0)


def _denied(action: str, place: Address, text: str) -> str:
    needed = _PERMISSIONS[place.kind].get(action, "")
    if "kms" in text.lower():
        return f"access is denied by the encryption key: kms:GenerateDataKey (to put) and kms:Decrypt (to read) are needed on it. ({_short(text, '')})"
    more = ""
    if action == "read" and place.kind == "s3":
        more = " Without s3:ListBucket on the bucket S3 also says so of what is not there."
    return f"access is denied. The permission that is needed: {needed}.{more} See: headrace iam FILE --profile …"


def _short(text: str, code: str) -> str:
    """The server's own words, without XML, addresses and the retries' arithmetic."""
    message = next(iter(_ANSWERED.findall(text)), "")
    if code or message:
        return ": ".join(part for part in (code, message) if part)
    last = text.strip().splitlines()[-1] if text.strip() else "no answer"
    return re.sub(r"https?://\S+", "the server", last.rpartition(" - ")[2] or last)[:300]
