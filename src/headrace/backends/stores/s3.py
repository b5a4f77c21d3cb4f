"""A lake in a bucket of Amazon S3, or a server that speaks its protocol."""

from __future__ import annotations

from headrace.backends.buckets.opening import open_store as open  # noqa: A004  # every flavour's module has this function

__all__ = ["open"]
