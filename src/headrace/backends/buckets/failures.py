"""What a bucket answers when it does not do what it was asked, in words: the bucket, the key, the operation, what is missing, what to do.

The invariant: what may go away by itself (throttling, time-outs, broken connections, errors of the server, bytes that were changed on the
way) is transient, and nothing else.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from obstore.exceptions import BaseError, InvalidPathError, PermissionDeniedError, PreconditionError, UnauthenticatedError

from headrace.backends.buckets.address import Address
from headrace.core.errors import HeadraceError, LakeError, TransientError

__all__ = ["DeniedError", "is_about_another_version", "told"]

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
_KEYS_REFUSED = {
    "InvalidAccessKeyId": "does not know the access key",
    "SignatureDoesNotMatch": "does not accept the secret key",
    "AuthenticationFailed": "does not accept the key",
    "ExpiredToken": "says that the session token has expired",
    "InvalidToken": "does not accept the session token",
}
_DENIED = {"AccessDenied", "AllAccessDisabled", "AccountProblem", "AuthorizationFailure", "AuthorizationPermissionMismatch"}
_IS_DENIED = "access is denied"
_ELSEWHERE = {"PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}
_PASSING = {
    "RequestTimeout",
    "IncompleteBody",
    "BadDigest",
    "XAmzContentSHA256Mismatch",
    "Md5Mismatch",
    "NoSuchUpload",
}  # yet worth another try
_PASSING_STATUSES = {408, 409, 425, 429}
_LASTING_STATUSES = {501, 505}
_NO_BUCKET = ("NoSuchBucket", "ContainerNotFound", "The specified bucket does not exist")
_NO_CREDENTIALS = ("token request", "credential provider", "metadata/instance")
_NO_ANSWER = {  # in the library's account of a connection: what happened
    "kind: Timeout": "the server did not answer in time",
    "dns error": "the name of the server is not known; see `endpoint` and `region`",
    "ConnectionRefused": "nothing listens at the server's address; see `endpoint`",
    "InvalidContentType": "the server does not speak https; see `endpoint`",
    "kind: Connect,": "the server could not be reached",
    "kind: Interrupted": "the connection broke",
    "kind: Body": "the answer ended in the middle",
}

_CODE = re.compile(r"<Code>([\w.]+)</Code>|\(code: ([\w.]+)\)")  # of an answer; of one key in the answer to a deletion of many
_STATUS = re.compile(r"status(?: code)?:? (\d{3})")
_MESSAGE = re.compile(r"<Message>([^<]*)</Message>")
_REGION = re.compile(r"<Region>([\w-]+)</Region>|expecting [^\w]*(?:quot;|#34;)?([a-z]+-[a-z-]+-\d)")


class DeniedError(LakeError):
    """It is not allowed to ask, whether there is something or not."""


@contextmanager
def told(action: str, key: str, place: Address) -> Iterator[None]:
    """Errors of obstore within become headrace's own: KeyError for what is not there, TransientError, or LakeError."""
    try:
        yield
    except HeadraceError:
        raise
    except FileNotFoundError as cause:
        if cause.errno is not None:
            raise _of_this_machine(action, key, place, cause) from cause
        if any(word in str(cause) for word in (*_NO_BUCKET, *_PASSING)):
            raise failure(action, key, place, cause) from cause
        raise KeyError(key) from None
    except (BaseError, ValueError, TimeoutError, ConnectionError) as cause:
        raise failure(action, key, place, cause) from cause
    except OSError as cause:
        raise _of_this_machine(action, key, place, cause) from cause


def failure(action: str, key: str, place: Address, cause: BaseException) -> HeadraceError:
    """The error that says what went wrong."""
    text, _, account = str(cause).partition("\n\nDebug source")
    code = next((first or second for first, second in _CODE.findall(text)), "")
    status = _status(text)
    start = f"Could not {action} `{key}` in {place}"
    lasting = _lasting(action, place, cause, text, code=code, status=status)
    if lasting:
        return (DeniedError if lasting.startswith(_IS_DENIED) else LakeError)(f"{start}: {lasting}")
    short = _no_answer(account) if not status and not code else ""
    may_be_done = "" if action in ("read", "list") else " What was asked may have been done all the same."
    return TransientError(f"{start}: {short or _short(text, code)}.{may_be_done} Run again.")


def _of_this_machine(action: str, key: str, place: Address, cause: OSError) -> HeadraceError:
    """The error for what went wrong on this side: a full disk, or a cache that was cleared under us."""
    start = f"Could not {action} `{key}` in {place}: the local copy `{cause.filename}`"
    if isinstance(cause, FileNotFoundError):
        return TransientError(f"{start} is gone: the cache was cleared while it was used. Run again.")
    return LakeError(f"{start} can't be used: {cause.strerror}. The setting `cache` says where local copies are kept.")


def _lasting(action: str, place: Address, cause: BaseException, text: str, *, code: str, status: int) -> str:
    """What stays as it is until somebody does something; empty for what may pass."""
    if any(word in text for word in _NO_BUCKET):
        return f"there is no bucket `{place.bucket}` there. Make it, or mend its name."
    if isinstance(cause, InvalidPathError):
        return f"{_short(text, '')}. Such a key can't be listed or read: copy the object to another and delete it."
    if any(word in text for word in _NO_CREDENTIALS):
        return f"no credentials were found, or the service that gives them did not ({_short(text, '')}). See what is used: headrace doctor"
    if code in _KEYS_REFUSED:
        return f"the server {_KEYS_REFUSED[code]} ({code}). The keys came from the settings that `headrace doctor` shows."
    if code == "RequestTimeTooSkewed":
        return f"the server says that this machine's clock is wrong ({code}). Set the clock."
    if 300 <= status < 400 or "redirect without LOCATION" in text or code in _ELSEWHERE:
        region = next((first or second for first, second in _REGION.findall(html.unescape(text))), "")
        advice = f'Set region = "{region}".' if region else "Set `region`."
        return f"the bucket is in another region than the one that was asked. {advice} ({_short(text, code)})"
    if isinstance(cause, PermissionDeniedError | UnauthenticatedError) or code in _DENIED or status in (401, 403):
        return _denied(action, place, text)
    if status in _LASTING_STATUSES or (status and status < 500 and status not in _PASSING_STATUSES and code not in _PASSING):
        return f"{_short(text, code)}."
    return ""


def is_about_another_version(cause: BaseException) -> bool:
    """Whether a request that was for one version of an object (If-Match) was refused since there is another."""
    return isinstance(cause, PreconditionError) or _status(str(cause).partition("\n\nDebug source")[0]) == HTTPStatus.PRECONDITION_FAILED


def _status(text: str) -> int:
    """The status of the last answer; 0 if there was none."""
    return next((int(status) for status in reversed(_STATUS.findall(text))), 0)


def _denied(action: str, place: Address, text: str) -> str:
    needed = _PERMISSIONS[place.kind].get(action, "")
    said = _short(text, "")
    if "kms:" in said.lower():  # in the server's own words: the numbers of requests beside them may have any letters
        return f"{_IS_DENIED} by the encryption key: kms:GenerateDataKey (to put) and kms:Decrypt (to read) are needed on it. ({said})"
    more = ""
    if action == "read" and place.kind == "s3":
        more = " Without s3:ListBucket on the bucket S3 also says so of what is not there."
    return f"{_IS_DENIED}. The permission that is needed: {needed}.{more} See: headrace iam FILE --profile …"


def _no_answer(account: str) -> str:
    return next((words for sign, words in _NO_ANSWER.items() if sign in account), "")


def _short(text: str, code: str) -> str:
    """The server's own words, without XML, addresses and the retries' arithmetic."""
    message = html.unescape(next(iter(_MESSAGE.findall(text)), ""))
    if code or message:
        return ": ".join(part for part in (code, message.rstrip(".")) if part)
    last = text.strip().splitlines()[-1] if text.strip() else "no answer"
    return re.sub(r"https?://\S+", "the server", last.rpartition(" - ")[2] or last)[:300]
