"""Lists of files for other readers: what Redshift is given, and what it is never given."""

from __future__ import annotations

import pytest

from headrace.core.errors import ConfigurationError
from headrace.core.interval import Interval
from headrace.run.listing import CurrentFile, redshift_manifest

DAY = Interval.of("2026-05-01", "2026-05-02")


def file(uri: str, size: int = 10) -> CurrentFile:
    return CurrentFile("shop.sums", DAY, 1, "rows", uri, size, "00" * 32, 1)


def test_a_manifest_for_redshift_has_every_file_as_mandatory_and_its_length() -> None:
    assert redshift_manifest([file("s3://shop/lake/a.parquet"), file("s3://shop/lake/b.parquet", 20)]) == {
        "entries": [
            {"url": "s3://shop/lake/a.parquet", "mandatory": True, "meta": {"content_length": 10}},
            {"url": "s3://shop/lake/b.parquet", "mandatory": True, "meta": {"content_length": 20}},
        ]
    }


@pytest.mark.parametrize("uri", ["/srv/lake/a.parquet", "gs://shop/a.parquet", "memory:/a.parquet"])
def test_files_that_are_not_on_s3_are_not_given_to_redshift(uri: str) -> None:
    with pytest.raises(ConfigurationError, match=r"A COPY of Redshift reads from S3, and .*a\.parquet is not there"):
        redshift_manifest([file("s3://shop/lake/a.parquet"), file(uri)])


def test_a_manifest_without_a_file_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="refuses a manifest without entries"):
        redshift_manifest([])
