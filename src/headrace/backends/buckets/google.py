"""Reaching a bucket of Google Cloud Storage.

Credentials: a connection of Airflow's type `google_cloud_platform` (`keyfile_dict` or `key_path` in its extra), else what obstore finds by
itself: GOOGLE_SERVICE_ACCOUNT, GOOGLE_APPLICATION_CREDENTIALS, gcloud's own file, the machine's account.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from obstore.store import GCSStore

from headrace.backends.buckets.address import Address
from headrace.backends.buckets.client import client_options, retries
from headrace.core.access import Access
from headrace.core.connection import Connection
from headrace.core.errors import ConfigurationError

if TYPE_CHECKING:
    from obstore.store import GCSConfig

__all__ = ["open_gcs"]

_VARIABLES = {
    "GOOGLE_SERVICE_ACCOUNT": "service_account",
    "GOOGLE_SERVICE_ACCOUNT_KEY": "service_account_key",
    "GOOGLE_APPLICATION_CREDENTIALS": "application_credentials",
}


def open_gcs(place: Address, access: Access) -> GCSStore:
    """Obstore's client for a place in a bucket."""
    if access.encryption or access.requester_pays:
        raise ConfigurationError(
            "`encryption` and `requester_pays` are settings of S3. In Google Cloud Storage, set the bucket's default key instead."
        )
    endpoint = access.endpoint or access.environment.get("STORAGE_EMULATOR_HOST")
    found = {name: access.environment[variable] for variable, name in _VARIABLES.items() if access.environment.get(variable)}
    config = cast("GCSConfig", found)
    if endpoint:
        config["base_url"] = endpoint
        config["skip_signature"] = endpoint.startswith("http://")  # an emulator; Google's own is https
    if access.connection is not None:
        config["service_account_key"] = _key_of(access.connection)
    return GCSStore(
        place.bucket,
        prefix=place.prefix or None,
        config=config,
        client_options=client_options(access, endpoint),
        retry_config=retries(access),
    )


def _key_of(connection: Connection) -> str:
    key = connection.extra.get("keyfile_dict")
    path = connection.extra.get("key_path")
    if isinstance(key, Mapping):
        return json.dumps(key)
    if isinstance(key, str) and key:
        return key
    if isinstance(path, str) and path:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123  # a file that the connection names, wherever it lies
            return file.read()
    raise ConfigurationError(
        f"The connection `{connection.id}` from {connection.origin} has neither `keyfile_dict` nor `key_path` in its extra. "
        "Add one, or leave `connection` out to use the machine's own account."
    )
