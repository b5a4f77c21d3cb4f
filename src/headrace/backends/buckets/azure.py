"""Reaching a container of Azure Blob Storage; the storage account is in the connection or in AZURE_STORAGE_ACCOUNT_NAME.

Credentials: a connection of Airflow's type `wasb` (login: the account; password: its key, or `sas_token`, or `tenant_id` with a client's id
and secret in its extra), else what obstore finds by itself: AZURE_* variables, a workload's or the machine's identity.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from obstore.store import AzureStore

from headrace.backends.buckets.address import Address
from headrace.backends.buckets.client import client_options, retries
from headrace.core.access import Access
from headrace.core.connection import Connection
from headrace.core.errors import ConfigurationError

if TYPE_CHECKING:
    from obstore.store import AzureConfig

__all__ = ["open_azure"]


def open_azure(place: Address, access: Access) -> AzureStore:
    """Obstore's client for a place in a container."""
    if access.encryption or access.requester_pays:
        raise ConfigurationError(
            "`encryption` and `requester_pays` are settings of S3. In Azure, set the account's or the container's encryption scope."
        )
    config: AzureConfig = _of_connection(access.connection) if access.connection is not None else {}
    endpoint = access.endpoint or access.environment.get("AZURE_STORAGE_ENDPOINT")
    if endpoint:
        config["endpoint"] = endpoint
    if "account_name" not in config and not access.environment.get("AZURE_STORAGE_ACCOUNT_NAME"):
        raise ConfigurationError(
            f"Which storage account has the container `{place.bucket}`? Set AZURE_STORAGE_ACCOUNT_NAME, or name a `connection` whose login it is."
        )
    return AzureStore(
        place.bucket, prefix=place.prefix or None, config=config, client_options=client_options(endpoint), retry_config=retries()
    )


def _of_connection(connection: Connection) -> AzureConfig:
    config: AzureConfig = {}
    if connection.login:
        config["account_name"] = connection.login
    sas, tenant = connection.extra.get("sas_token"), connection.extra.get("tenant_id")
    if isinstance(sas, str) and sas:
        config["sas_key"] = sas
    elif isinstance(tenant, str) and tenant:
        config["tenant_id"] = tenant
        config["client_id"] = str(connection.extra.get("client_id", ""))
        config["client_secret"] = str(connection.extra.get("client_secret", ""))
    elif connection.password:
        config["account_key"] = connection.password
    return config
