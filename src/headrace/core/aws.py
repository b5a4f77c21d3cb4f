"""Credentials for Amazon Web Services, from a connection or from the usual variables. Pure; no library of AWS is needed.

The rules are those of Airflow's `AwsConnectionWrapper` (amazon provider 9.39), so that a bucket is reached alike by either. The
invariant: printed, credentials show no key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from headrace.core.connection import Connection
from headrace.core.errors import ConfigurationError
from headrace.core.ports import JSON

__all__ = ["AwsCredentials", "aws_credentials", "aws_credentials_of_environment", "variables_of"]

_METHODS = ("assume_role", "assume_role_with_saml", "assume_role_with_web_identity")


@dataclass(frozen=True)
class AwsCredentials:
    """What a client of AWS is told; None where it is to find out by itself (a profile, the machine's role)."""

    access_key_id: str | None = field(default=None, repr=False)
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    region: str | None = None
    endpoint_url: str | None = None
    sts_endpoint_url: str | None = None
    profile: str | None = None
    role_arn: str | None = None
    role_method: str | None = None
    role_arguments: Mapping[str, JSON] = field(default_factory=dict[str, JSON], repr=False)


def aws_credentials(connection: Connection, *, service: str = "s3") -> AwsCredentials:
    """The credentials in an `aws` connection: login and password before `extra`, `extra` before its `session_kwargs`.

    The address is the one that `service_config` has for the `service`, else the one for all.

    ConfigurationError for a connection of another type, and for a way to take on a role that Airflow does not know.
    """
    if connection.type not in ("aws", ""):
        raise ConfigurationError(
            f"The connection `{connection.id}` from {connection.origin} is of type `{connection.type}`, where one of type `aws` is needed."
        )
    extra = connection.extra
    key, secret, token = _keys(connection)
    role = _text(extra, "role_arn")
    method = (_text(extra, "assume_role_method") or "assume_role") if role else None
    if method is not None and method not in _METHODS:
        raise ConfigurationError(
            f"The connection `{connection.id}` from {connection.origin} has assume_role_method={method!r}. Known: {', '.join(_METHODS)}."
        )
    return AwsCredentials(
        access_key_id=key,
        secret_access_key=secret,
        session_token=token,
        region=_text(extra, "region_name"),
        endpoint_url=_text(_inner(_inner(extra, "service_config"), service), "endpoint_url") or _text(extra, "endpoint_url"),
        sts_endpoint_url=_text(_inner(_inner(extra, "service_config"), "sts"), "endpoint_url"),
        profile=_text(extra, "profile_name"),
        role_arn=role,
        role_method=method,
        role_arguments=_inner(extra, "assume_role_kwargs") if role else {},
    )


def aws_credentials_of_environment(environment: Mapping[str, str]) -> AwsCredentials:
    """The same from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION, AWS_ENDPOINT_URL_S3 and AWS_PROFILE."""
    return AwsCredentials(
        access_key_id=environment.get("AWS_ACCESS_KEY_ID") or None,
        secret_access_key=environment.get("AWS_SECRET_ACCESS_KEY") or None,
        session_token=environment.get("AWS_SESSION_TOKEN") or None,
        region=environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or None,
        endpoint_url=environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL") or None,
        profile=environment.get("AWS_PROFILE") or None,
    )


def variables_of(credentials: AwsCredentials) -> dict[str, str]:
    """What is known of credentials, by the names of the variables that libraries of AWS read."""
    told = {
        "AWS_ACCESS_KEY_ID": credentials.access_key_id,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_access_key,
        "AWS_SESSION_TOKEN": credentials.session_token,
        "AWS_REGION": credentials.region,
        "AWS_ENDPOINT_URL": credentials.endpoint_url,
        "AWS_PROFILE": credentials.profile,
        "AWS_IAM_ROLE_ARN": credentials.role_arn,
    }
    return {name: value for name, value in told.items() if value}


def _keys(connection: Connection) -> tuple[str | None, str | None, str | None]:
    extra = connection.extra
    older = _inner(extra, "session_kwargs")
    key, secret = _text(extra, "aws_access_key_id"), _text(extra, "aws_secret_access_key")
    if connection.login and connection.password:
        key, secret = connection.login, connection.password
    elif not (key and secret) and _text(older, "aws_access_key_id") and _text(older, "aws_secret_access_key"):
        key, secret = _text(older, "aws_access_key_id"), _text(older, "aws_secret_access_key")
    return key, secret, _text(extra, "aws_session_token") or _text(older, "aws_session_token")


def _text(values: Mapping[str, JSON], name: str) -> str | None:
    value = values.get(name)
    return None if value is None else str(value)


def _inner(values: Mapping[str, JSON], name: str) -> Mapping[str, JSON]:
    value = values.get(name)
    return value if isinstance(value, Mapping) else {}
