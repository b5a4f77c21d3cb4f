"""How patient a bucket's client is: what it hands to the library, and what it asks again by itself."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from obstore.exceptions import GenericError

from headrace.backends.buckets.address import parse_address
from headrace.backends.buckets.client import client_options, patiently, retries
from headrace.core.access import Access
from headrace.core.errors import LakeError, TransientError

PLACE = parse_address("s3://shop/lake")
CUT = (
    "Generic S3 error: Error performing GET https://shop in 1.6ms - HTTP error: request or response body error\n\nDebug source:\nretries: 0"
)
BUSY = "Generic S3 error: Error performing GET https://shop in 9s, after 8 retries, max_retries: 8 - status code: 503 Slow Down: <Code>SlowDown</Code>"
UNKNOWN_UPLOAD = "… in 9ms, after 1 retries, max_retries: 8 - status code: 404 Not Found: <Code>NoSuchUpload</Code>"
DENIED = "Generic S3 error: … - status code: 403 Forbidden: <Code>AccessDenied</Code>"


def failing(*errors: BaseException) -> tuple[Callable[[], int], list[BaseException]]:
    """An act that fails so often and is done then; what it has failed with."""
    left, had = list(errors), list[BaseException]()

    def act() -> int:
        if not left:
            return 42
        had.append(left.pop(0))
        raise had[-1]

    return act, had


@pytest.mark.parametrize("error", [GenericError(CUT), FileNotFoundError(UNKNOWN_UPLOAD)], ids=["a cut body", "an unknown upload"])
def test_what_the_library_does_not_try_again_is_asked_three_times(error: BaseException) -> None:
    act, had = failing(error, error)
    assert patiently("read", "a", PLACE, act) == 42
    act, had = failing(*[error] * 9)
    with pytest.raises(TransientError):
        patiently("read", "a", PLACE, act)
    assert len(had) == 3


@pytest.mark.parametrize(
    ("error", "told"),
    [(GenericError(BUSY), TransientError), (GenericError(DENIED), LakeError), (FileNotFoundError("NoSuchKey"), KeyError)],
    ids=["tried by the library", "denied", "not there"],
)
def test_what_the_library_has_tried_again_or_what_stays_so_is_asked_once(error: BaseException, told: type[Exception]) -> None:
    act, had = failing(*[error] * 9)
    with pytest.raises(told):
        patiently("read", "a", PLACE, act)
    assert len(had) == 1


@pytest.mark.parametrize(("patience_s", "silence_s"), [(2.0, 0.5), (120.0, 30.0), (3_600.0, 30.0)])
def test_patience_bounds_the_tries_of_a_request_and_how_long_silence_is_borne(patience_s: float, silence_s: float) -> None:
    access = Access(patience_s=patience_s)
    assert retries(access)["retry_timeout"] == timedelta(seconds=patience_s)
    assert client_options(access, None)["read_timeout"] == timedelta(seconds=silence_s)
    assert retries(access)["backoff"]["max_backoff"] <= timedelta(seconds=10)
