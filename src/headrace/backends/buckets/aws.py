"""Reaching a bucket of Amazon S3, or of a server that speaks its protocol: address, region, encryption and credentials.

Credentials that are given (a connection, AWS_ACCESS_KEY_ID) are used as they are; for all other ways (a profile, a role, web identity,
a container's or an instance's role) botocore is asked, which knows them and renews what expires. The invariant: no key is in a message.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from obstore.store import S3Store

from headrace.backends.buckets.address import Address
from headrace.backends.buckets.client import client_options, retries
from headrace.core.access import Access
from headrace.core.aws import AwsCredentials, aws_credentials, aws_credentials_of_environment
from headrace.core.errors import ConfigurationError, MissingLibraryError

if TYPE_CHECKING:
    from botocore.session import Session
    from obstore.store import S3Config, S3Credential

__all__ = ["open_s3"]

_RENEWED_AFTER = timedelta(minutes=5)  # botocore renews by itself; it is asked so often
_REGION = "us-east-1"


def open_s3(place: Address, access: Access) -> S3Store:
    """Obstore's client for a place in a bucket. ConfigurationError when no credentials are found."""
    found = _credentials(access)
    session = None if found.access_key_id and not found.role_arn and not found.profile else _session(found)
    endpoint = access.endpoint or found.endpoint_url
    config: S3Config = {"region": access.region or found.region or _region_of(session) or _REGION}
    if endpoint:
        config["endpoint"] = endpoint
        config["virtual_hosted_style_request"] = False
    if access.encryption:
        config["server_side_encryption"] = access.encryption
    if access.kms_key:
        config["sse_kms_key_id"] = access.kms_key
        config["sse_bucket_key_enabled"] = True  # one key for many objects: thousands of requests fewer to KMS
    if access.requester_pays:
        config["request_payer"] = True
    provider = None
    if access.environment.get("AWS_SKIP_SIGNATURE", "").lower() in ("1", "true"):
        config["skip_signature"] = True
    else:
        provider = _given(found) if session is None else _provider(found, session, place)
    return S3Store(
        place.bucket,
        prefix=place.prefix or None,
        config=config,
        client_options=client_options(access, endpoint),
        retry_config=retries(access),
        credential_provider=provider,
    )


def _credentials(access: Access) -> AwsCredentials:
    if access.connection is not None:
        return aws_credentials(access.connection)
    return aws_credentials_of_environment(access.environment)


def _given(found: AwsCredentials) -> Callable[[], S3Credential]:
    """Keys as they are; by a provider, since obstore would add a token of the environment to keys of a connection."""
    key, secret, token = found.access_key_id or "", found.secret_access_key or "", found.session_token
    return lambda: {"access_key_id": key, "secret_access_key": secret, "token": token, "expires_at": None}


def _session(found: AwsCredentials) -> Session:
    try:
        from botocore.session import Session
    except ImportError as error:
        raise MissingLibraryError(
            "Credentials of a profile or a role need `botocore`, which is not installed. Install it with: pip install 'headrace[s3]'"
        ) from error
    session = Session(profile=found.profile)
    if found.access_key_id and found.secret_access_key:
        session.set_credentials(found.access_key_id, found.secret_access_key, found.session_token)
    return session


def _region_of(session: Session | None) -> str | None:
    return None if session is None else cast("str | None", session.get_config_variable("region"))


def _provider(found: AwsCredentials, session: Session, place: Address) -> Callable[[], S3Credential]:
    if found.role_arn:
        return _Role(found, session)
    credentials = session.get_credentials()
    if credentials is None:
        raise ConfigurationError(
            f"No credentials for {place} were found. Looked at: the connection that the settings name, AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, AWS_PROFILE and ~/.aws, a web identity token, the role of the container or of the machine. "
            "Set one of them, or name a profile of headrace.toml: --profile on the command line, open_lake(uri, profile=…) in Python."
        )

    def current() -> S3Credential:
        frozen = credentials.get_frozen_credentials()
        return {
            "access_key_id": frozen.access_key,
            "secret_access_key": frozen.secret_key,
            "token": frozen.token,
            "expires_at": datetime.now(UTC) + _RENEWED_AFTER,
        }

    return current


class _Role:
    """Credentials of a role that a connection names, taken on anew when they are about to expire."""

    def __init__(self, found: AwsCredentials, session: Session) -> None:
        self._found = found
        self._client = session.create_client("sts", region_name=found.region or _REGION, endpoint_url=found.sts_endpoint_url)

    def __call__(self) -> S3Credential:
        arguments: dict[str, Any] = {"RoleArn": self._found.role_arn, "RoleSessionName": "headrace", **self._found.role_arguments}
        if self._found.role_method == "assume_role_with_web_identity":
            answer = self._client.assume_role_with_web_identity(**arguments)
        elif self._found.role_method == "assume_role":
            answer = self._client.assume_role(**arguments)
        else:
            raise ConfigurationError(f"A role is not taken on by {self._found.role_method} here. Use assume_role, or a profile.")
        given = answer["Credentials"]
        return {
            "access_key_id": given["AccessKeyId"],
            "secret_access_key": given["SecretAccessKey"],
            "token": given["SessionToken"],
            "expires_at": given["Expiration"].astimezone(UTC),
        }
