"""A user's policy held against what the user asked of a server: requests as IAM sees them, and answers as AWS gives them.

versitygw refuses what a policy does not allow; it does not do as AWS does with a key that is not there, which is told only to who may list
it. By AWS (and by Ceph, which does as AWS does) the key is the prefix of that listing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from iam_evaluator import Recorded, allows
from object_actions import permissions_of
from object_misbehaviour import error_answer
from object_proxy import Exchange, How
from object_proxy import Recorded as Passed

__all__ = ["as_on_aws", "asked_in"]


def asked_in(passed: Passed) -> Iterator[Recorded]:
    """What a request that came by asked for, one a permission."""
    for permission in permissions_of(passed.request, status=passed.served):
        bucket, _, key = permission.resource.rpartition(":")[2].partition("/")
        if permission.action == "s3:ListBucket":
            yield Recorded(permission.action, bucket, prefix=passed.key or passed.query.get("prefix"))
        else:
            yield Recorded(permission.action, bucket, key, is_new=passed.request.headers.get("if-none-match") == "*")


def as_on_aws(policy: Mapping[str, Any]) -> How:
    """What is not there is denied to whoever may not list it."""

    def how(exchange: Exchange) -> None:
        answer, request = exchange.forward(), exchange.request
        if answer.status == HTTPStatus.NOT_FOUND and request.method in ("GET", "HEAD") and request.key:
            listed = allows(policy, "s3:ListBucket", f"arn:aws:s3:::{request.bucket}", {"s3:prefix": request.key})
            answer = answer if listed else error_answer(403, "AccessDenied", f"/{request.bucket}/{request.key}")
        exchange.answer(answer)

    return how
