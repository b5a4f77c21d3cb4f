"""Raw files in buckets of Google Cloud Storage."""

from __future__ import annotations

from headrace.backends.buckets.origin import open_origin as open  # noqa: A004  # every flavour's module has this function

__all__ = ["open"]
