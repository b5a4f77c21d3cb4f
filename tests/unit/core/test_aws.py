"""Credentials for AWS: what Airflow's AwsConnectionWrapper (amazon provider 9.39) gave for the same connections, pinned."""

from __future__ import annotations

import pytest

from headrace.core.aws import AwsCredentials, aws_credentials, aws_credentials_of_environment
from headrace.core.connection import parse_connection
from headrace.core.errors import ConfigurationError

CASES = {
    "aws://AKIA:se%2Fcret@/?region_name=eu-central-1": AwsCredentials("AKIA", "se/cret", region="eu-central-1"),
    '{"conn_type": "aws", "login": "A", "password": "S", "extra": {"aws_access_key_id": "B", "aws_secret_access_key": "T"}}': AwsCredentials(
        "A", "S"
    ),
    '{"conn_type": "aws", "login": "A", "extra": {"aws_access_key_id": "B", "aws_secret_access_key": "T", "aws_session_token": "U"}}': AwsCredentials(
        "B", "T", "U"
    ),
    '{"conn_type": "aws", "extra": {"session_kwargs": {"aws_access_key_id": "C", "aws_secret_access_key": "V", "aws_session_token": "W"}}}': AwsCredentials(
        "C", "V", "W"
    ),
    '{"conn_type": "aws", "extra": {"aws_access_key_id": "B"}}': AwsCredentials("B"),
    '{"conn_type": "aws", "extra": {"profile_name": "dev", "region_name": "us-east-1"}}': AwsCredentials(profile="dev", region="us-east-1"),
    '{"conn_type": "aws", "extra": {"endpoint_url": "http://all", "service_config": {"s3": {"endpoint_url": "http://s3"}}}}': AwsCredentials(
        endpoint_url="http://s3"
    ),
    '{"conn_type": "aws", "extra": {"endpoint_url": "http://all", "service_config": {"sts": {"endpoint_url": "http://sts"}}}}': AwsCredentials(
        endpoint_url="http://all", sts_endpoint_url="http://sts"
    ),
    '{"conn_type": "aws", "extra": {"role_arn": "arn:aws:iam::1:role/x", "assume_role_kwargs": {"ExternalId": "e"}}}': AwsCredentials(
        role_arn="arn:aws:iam::1:role/x", role_method="assume_role", role_arguments={"ExternalId": "e"}
    ),
    '{"conn_type": "aws", "extra": {"assume_role_method": "assume_role_with_saml"}}': AwsCredentials(),
    "aws://": AwsCredentials(),
}


@pytest.mark.parametrize(("text", "expected"), CASES.items())
def test_a_connection_gives_what_airflow_gives(text, expected):
    assert aws_credentials(parse_connection("my_aws", text, origin="a test")) == expected


def test_a_connection_of_another_type_is_refused_by_its_id():
    with pytest.raises(ConfigurationError, match="`my_db` from a test is of type `postgres`"):
        aws_credentials(parse_connection("my_db", "postgres://a:hunter2@h", origin="a test"))


def test_an_unknown_way_to_a_role_is_refused():
    text = '{"conn_type": "aws", "extra": {"role_arn": "arn:x", "assume_role_method": "ask_nicely"}}'
    with pytest.raises(ConfigurationError, match="ask_nicely"):
        aws_credentials(parse_connection("my_aws", text, origin="a test"))


def test_without_a_connection_the_usual_variables_count():
    environment = {
        "AWS_ACCESS_KEY_ID": "A",
        "AWS_SECRET_ACCESS_KEY": "S",
        "AWS_DEFAULT_REGION": "r",
        "AWS_ENDPOINT_URL": "http://e",
        "AWS_PROFILE": "",
    }
    assert aws_credentials_of_environment(environment) == AwsCredentials("A", "S", region="r", endpoint_url="http://e")


def test_printed_credentials_show_no_key():
    assert "S3CRET" not in repr(AwsCredentials("S3CRET", "S3CRET", "S3CRET", role_arguments={"x": "S3CRET"}))
