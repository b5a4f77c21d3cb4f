"""Raw files in buckets of Amazon S3, or of a server that speaks its protocol."""

from __future__ import annotations

from headrace.backends.buckets.origin import open_origin as open  # noqa: A004  # every flavour's module has this function

__all__ = ["open"]
