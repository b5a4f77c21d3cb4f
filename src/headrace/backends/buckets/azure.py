"""Reaching a container of Azure Blob Storage; the storage account is in the connection or in AZURE_STORAGE_ACCOUNT_NAME.

Credentials: a connection of Airflow's type `wasb` (login: the account; password: its key, or `sas_token`, or `tenant_id` with a client's id
and secret in its extra), else what obstore finds by itself: AZURE_* variables, a workload's or the machine's identity.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from obstore.store import AzureStore

from headrace.backends.buckets.address import Address
from headrace.backends.buckets.client import client_options, retries
from headrace.core.access import Access
from headrace.core.connection import Connection
from headrace.core.errors import ConfigurationError

if TYPE_CHECKING:
    from obstore.store import AzureConfig

__all__ = ["open_azure"]

_VARIABLES = {
    "AZURE_STORAGE_ACCOUNT_NAME": "account_name",
    "AZURE_STORAGE_ACCOUNT_KEY": "account_key",
    "AZURE_STORAGE_SAS_TOKEN": "sas_key",
    "AZURE_STORAGE_ENDPOINT": "endpoint",
    "AZURE_CLIENT_ID": "client_id",
    "AZURE_CLIENT_SECRET": "client_secret",
    "AZURE_TENANT_ID": "tenant_id",
    "AZURE_FEDERATED_TOKEN_FILE": "federated_token_file",
}


def open_azure(place: Address, access: Access) -> AzureStore:
    """Obstore's client for a place in a container."""
    if access.encryption or access.requester_pays:
        raise ConfigurationError(
            "`encryption` and `requester_pays` are settings of S3. In Azure, set the account's or the container's encryption scope."
        )
    config = _of_environment(access.environment)
    if access.connection is not None:
        config |= _of_connection(access.connection)
    endpoint = access.endpoint or config.get("endpoint")
    if endpoint:
        config["endpoint"] = endpoint
    if "account_name" not in config:
        raise ConfigurationError(
            f"Which storage account has the container `{place.bucket}`? Set AZURE_STORAGE_ACCOUNT_NAME, or name a `connection` whose login it is."
        )
    return AzureStore(
        place.bucket,
        prefix=place.prefix or None,
        config=config,
        client_options=client_options(access, endpoint),
        retry_config=retries(access),
    )


def _of_environment(environment: Mapping[str, str]) -> AzureConfig:
    found = {name: environment[variable] for variable, name in _VARIABLES.items() if environment.get(variable)}
    return cast("AzureConfig", found)


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
