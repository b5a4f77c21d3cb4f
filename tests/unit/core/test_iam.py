"""Policies as values: which statements, for which grants; and the evaluator that the tests hold them against."""

from __future__ import annotations

from typing import Any

import pytest
from iam_evaluator import Recorded, allows, missing, superfluous

from headrace.core.iam import LARGEST, Grant, KmsKey, Policy, Statement, literal, policy_of
from headrace.core.location import shape_of, stem_of

DATA = frozenset({"list", "read", "write"})


def grant(pattern: str, *verbs: Any, bucket: str = "lake") -> Grant:
    return Grant(bucket, pattern, frozenset(verbs))


def by_sid(policy: Policy) -> dict[str, Statement]:
    return {statement.sid: statement for statement in policy.statements}


def test_what_is_allowed_alike_is_one_statement() -> None:
    policy = policy_of([grant("log/*", "list", "read", "enter"), grant("gold/*", *DATA), grant("silver/*", *DATA)])
    assert {sid: (one.actions, one.resources) for sid, one in by_sid(policy).items()} == {
        "List": (("s3:ListBucket",), ("arn:aws:s3:::lake",)),
        "ReadPut": (("s3:GetObject", "s3:PutObject"), ("arn:aws:s3:::lake/log/*",)),
        "ReadPutAbort": (
            ("s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"),
            ("arn:aws:s3:::lake/gold/*", "arn:aws:s3:::lake/silver/*"),
        ),
    }
    assert by_sid(policy)["List"].condition == {"StringLike": {"s3:prefix": ("gold/*", "log/*", "silver/*")}}


def test_each_bucket_is_listed_by_a_statement_of_its_own() -> None:
    policy = policy_of([grant("log/*", "list"), grant("in/*", "list", bucket="raw")])
    assert [(one.sid, one.resources) for one in policy.statements] == [("List1", ("arn:aws:s3:::lake",)), ("List2", ("arn:aws:s3:::raw",))]


def test_the_root_of_a_bucket_is_listed_without_a_prefix_so_without_a_condition() -> None:
    (only,) = policy_of([grant("*", "list"), grant("log/*", "list")]).statements
    assert only.condition == {}


def test_a_pattern_that_another_covers_is_left_out() -> None:
    (only,) = policy_of([grant("in/*", "read"), grant("in/a/*", "read"), grant("in/????.csv", "read"), grant("int", "read")]).statements
    assert only.resources == ("arn:aws:s3:::lake/in/*", "arn:aws:s3:::lake/int")


def test_only_new_entries_may_be_put_where_that_is_asked() -> None:
    document = policy_of([grant("log/*", "list", "read", "enter"), grant("gold/*", *DATA)], only_new=True).to_json()
    entry, data = "arn:aws:s3:::lake/log/x", "arn:aws:s3:::lake/gold/x"
    assert allows(document, "s3:PutObject", entry, {"s3:if-none-match": "*"})
    assert not allows(document, "s3:PutObject", entry)
    assert allows(document, "s3:GetObject", entry)
    assert allows(document, "s3:PutObject", data)


@pytest.mark.parametrize(
    ("named", "arn", "alias"),
    [
        ("arn:aws-cn:kms:cn-north-1:123456789012:key/mrk-1", "arn:aws-cn:kms:cn-north-1:123456789012:key/mrk-1", None),
        ("1234-abcd", "arn:aws:kms:eu-west-1:*:key/1234-abcd", None),
        ("alias/lake", "arn:aws:kms:eu-west-1:*:key/*", "alias/lake"),
        ("arn:aws:kms:us-east-1:123456789012:alias/lake", "arn:aws:kms:us-east-1:123456789012:key/*", "alias/lake"),
    ],
)
def test_a_key_is_named_by_its_arn_and_an_alias_becomes_a_condition(named: str, arn: str, alias: str | None) -> None:
    key = KmsKey.of(named, partition="aws", region="eu-west-1")
    assert (key.arn, key.alias) == (arn, alias)
    document = policy_of([grant("log/*", "read")], key=key).to_json()
    through_s3 = {"kms:ViaService": "s3.eu-west-1.amazonaws.com", "kms:ResourceAliases": alias or "another"}
    assert allows(document, "kms:Decrypt", arn, through_s3)
    assert not allows(document, "kms:Decrypt", arn, {**through_s3, "kms:ViaService": "ec2.eu-west-1.amazonaws.com"})
    assert not allows(document, "kms:GenerateDataKey", arn, through_s3)


def test_who_puts_needs_data_keys_and_reads_what_was_begun() -> None:
    key = KmsKey.of("k", partition="aws")
    assert by_sid(policy_of([grant("log/*", "write")], key=key))["UseKey"].actions == ("kms:Decrypt", "kms:GenerateDataKey")
    assert "UseKey" not in by_sid(policy_of([grant("log/*", "list", "delete")], key=key))


def test_the_size_is_that_of_the_document_without_white_space() -> None:
    assert Policy(()).size == len('{"Version":"2012-10-17","Statement":[]}')
    assert policy_of([grant("a b/*", "read")]).size == policy_of([grant("ab/*", "read")]).size
    assert LARGEST == 6144


def test_signs_that_mean_something_to_iam_stand_for_themselves_in_a_text() -> None:
    document = policy_of([grant(literal("odd*$?/") + "*", "read")]).to_json()
    assert allows(document, "s3:GetObject", "arn:aws:s3:::lake/odd*$?/x")
    assert not allows(document, "s3:GetObject", "arn:aws:s3:::lake/oddly/x/x")


@pytest.mark.parametrize(
    ("location", "shape", "stem"),
    [
        ("in/all.csv", "in/all.csv", "in/all.csv"),
        ("in/{start:%Y/%m/%d}/part-*.csv", "in/????/??/??/part-*.csv", "in/"),
        ("in/x{start}.csv", "in/x????-??-??.csv", "in/x"),
        ("in/{start:%-d-%B}.csv", "in/*-*.csv", "in/"),
        ("in/**/[ab]?.csv", "in/*?.csv", "in/"),
        ("in/{end:%j}.csv", "in/???.csv", "in/"),
    ],
)
def test_the_shape_of_a_location(location: str, shape: str, stem: str) -> None:
    assert (shape_of(location), stem_of(location)) == (shape, stem)


# ---------------------------------------------------------------- the evaluator


POLICY: dict[str, Any] = {
    "Statement": [
        {
            "Effect": "Allow",
            "Action": ["s3:ListBucket"],
            "Resource": ["arn:aws:s3:::lake"],
            "Condition": {"StringLike": {"s3:prefix": ["log/*", "gold/*"]}},
        },
        {
            "Effect": "Allow",
            "Action": ["s3:GetObject", "s3:AbortMultipartUpload"],
            "Resource": ["arn:aws:s3:::lake/log/*", "arn:aws:s3:::lake/gold/*"],
        },
    ]
}
LISTED = Recorded("s3:ListBucket", "lake", prefix="log/shop/")
GOT = Recorded("s3:GetObject", "lake", "gold/x")


def test_the_evaluator_allows_what_is_granted_and_nothing_else() -> None:
    assert allows(POLICY, "s3:ListBucket", "arn:aws:s3:::lake", {"s3:prefix": "log/"})
    assert not allows(POLICY, "s3:ListBucket", "arn:aws:s3:::lake", {"s3:prefix": "lo"})
    assert not allows(POLICY, "s3:ListBucket", "arn:aws:s3:::lake")
    assert not allows(POLICY, "s3:ListBucket", "arn:aws:s3:::lake2", {"s3:prefix": "log/"})
    assert not allows(POLICY, "s3:PutObject", "arn:aws:s3:::lake/log/x")
    assert not allows(POLICY, "s3:GetObject", "arn:aws:s3:::lake/silver/x")


def test_the_evaluator_refuses_conditions_that_it_does_not_know() -> None:
    strange = {"Statement": [{**POLICY["Statement"][0], "Condition": {"Bool": {"aws:SecureTransport": ["true"]}}}]}
    with pytest.raises(AssertionError):
        allows(strange, "s3:ListBucket", "arn:aws:s3:::lake", {"s3:prefix": "log/"})


def test_what_a_run_was_missing_is_told_once() -> None:
    deleted = Recorded("s3:DeleteObject", "lake", "log/x")
    whole = Recorded("s3:ListBucket", "lake")
    assert missing(POLICY, [LISTED, GOT, deleted, deleted, whole]) == [deleted, whole]


def test_what_a_run_did_not_need_is_told_by_action_and_pattern() -> None:
    assert superfluous(POLICY, [LISTED, GOT]) == ["s3:GetObject arn:aws:s3:::lake/log/*"]
    assert superfluous(POLICY, [LISTED]) == [
        "s3:ListBucket arn:aws:s3:::lake gold/*",
        "s3:GetObject arn:aws:s3:::lake/log/*",
        "s3:GetObject arn:aws:s3:::lake/gold/*",
    ]
    assert "s3:AbortMultipartUpload arn:aws:s3:::lake/log/*" in superfluous(POLICY, [LISTED, GOT], rare=())


def test_a_key_is_superfluous_where_nothing_is_got_or_put() -> None:
    document = policy_of([grant("log/*", "read", "enter")], key=KmsKey.of("k", partition="aws")).to_json()
    assert "kms:GenerateDataKey arn:aws:kms:*:*:key/k" in superfluous(document, [Recorded("s3:GetObject", "lake", "log/x")])
    both = [Recorded("s3:GetObject", "lake", "log/x"), Recorded("s3:PutObject", "lake", "log/x")]
    assert superfluous(document, both) == []
