"""Addresses of places in buckets."""

from __future__ import annotations

import pytest

from headrace.backends.buckets.address import parse_address
from headrace.core.errors import ConfigurationError


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("s3://shop", ("s3", "shop", "", "s3")),
        ("s3://shop/", ("s3", "shop", "", "s3")),
        ("s3://shop/a/lake/", ("s3", "shop", "a/lake", "s3")),
        ("gs://shop/lake", ("gs", "shop", "lake", "gcs")),
        ("abfs://box/lake", ("abfs", "box", "lake", "azure")),
    ],
)
def test_an_address_is_a_bucket_and_a_prefix(uri: str, expected: tuple[str, ...]) -> None:
    found = parse_address(uri)
    assert (*found, found.kind) == expected
    assert str(found) == uri.rstrip("/")


@pytest.mark.parametrize("uri", ["s3://", "s3:///lake", "s3://key:secret@shop/lake", "ftp://shop/lake", "s3://shop//lake", "shop/lake"])
def test_what_is_no_such_address_is_refused_with_the_way_to_write_one(uri: str) -> None:
    with pytest.raises(ConfigurationError, match=r"Write it as \S*://bucket/prefix"):
        parse_address(uri)
