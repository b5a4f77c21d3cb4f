"""The address of something in a bucket, taken apart: `s3://bucket/a/prefix`. Pure."""

from __future__ import annotations

from typing import NamedTuple

from headrace.core.errors import ConfigurationError

__all__ = ["Address", "parse_address"]

KINDS = {"s3": "s3", "gs": "gcs", "gcs": "gcs", "az": "azure", "azure": "azure", "abfs": "azure", "abfss": "azure"}
"""The kind of bucket by the scheme of its address."""


class Address(NamedTuple):
    """A place in a bucket. `prefix` has no slash at either end; `bucket` is Azure's container."""

    scheme: str
    bucket: str
    prefix: str

    @property
    def kind(self) -> str:
        return KINDS[self.scheme]

    def __str__(self) -> str:
        return f"{self.scheme}://{self.bucket}" + (f"/{self.prefix}" if self.prefix else "")


def parse_address(uri: str) -> Address:
    """The address in a URI.

    >>> parse_address("s3://shop/lake/")
    Address(scheme='s3', bucket='shop', prefix='lake')
    """
    scheme, _, rest = uri.partition("://")
    bucket, _, prefix = rest.partition("/")
    if scheme not in KINDS or not bucket or "@" in bucket or "//" in rest:
        raise ConfigurationError(f"`{uri}` is not the address of a place in a bucket. Write it as {scheme or 's3'}://bucket/prefix.")
    return Address(scheme, bucket, prefix.strip("/"))
