"""A bucket's client and a lake's store in it, by address."""

from __future__ import annotations

from typing import cast

from obstore.store import ObjectStore

from headrace.backends.buckets.address import Address, parse_address
from headrace.backends.buckets.cache import Cache
from headrace.backends.buckets.store import BucketStore
from headrace.core.access import Access
from headrace.core.errors import ConfigurationError

__all__ = ["open_client", "open_store"]


def open_client(place: Address, access: Access) -> ObjectStore:
    """Obstore's client, rooted at the prefix of the place. Nothing is asked of the server yet."""
    if place.kind == "s3":
        from headrace.backends.buckets.aws import open_s3

        return cast(ObjectStore, open_s3(place, access))
    if place.kind == "gcs":
        from headrace.backends.buckets.google import open_gcs

        return cast(ObjectStore, open_gcs(place, access))
    from headrace.backends.buckets.azure import open_azure

    return cast(ObjectStore, open_azure(place, access))


def open_store(uri: str, access: Access) -> BucketStore:
    """The store of a lake at an address."""
    place = parse_address(uri)
    if access.cache is None:
        raise ConfigurationError(f"The lake {place} needs a folder for local copies: set `cache`.")
    return BucketStore(open_client(place, access), place, Cache(access.cache, limit_bytes=access.cache_bytes))
