"""Connections: read from the text of a variable, and never shown with a secret."""

from __future__ import annotations

import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.core.connection import Connection, parse_connection, variable_of
from headrace.core.errors import ConfigurationError


def parsed(text: str) -> Connection:
    return parse_connection("my_db", text, origin="AIRFLOW_CONN_MY_DB")


def refused(text: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        parsed(text)
    assert caught.value.__cause__ is None
    return str(caught.value)


def test_a_uri_has_a_type_a_user_a_host_a_port_a_schema_and_extras():
    found = parsed("postgresql://ana:s%2Fcret%40@db.example.org:5433/shop?sslmode=require&opt=")
    assert (found.type, found.host, found.port, found.schema) == ("postgres", "db.example.org", 5433, "shop")
    assert (found.login, found.password, found.extra) == ("ana", "s/cret@", {"sslmode": "require", "opt": ""})
    assert found.origin == "AIRFLOW_CONN_MY_DB"


def test_json_says_the_same_and_its_extra_may_be_an_object_or_a_text():
    told = {"conn_type": "google-cloud", "login": "ana", "password": "p", "port": "8080", "extra": {"a": {"b": 1}}}
    found = parsed(json.dumps(told))
    assert (found.type, found.port, found.extra) == ("google_cloud", 8080, {"a": {"b": 1}})
    assert parsed(json.dumps({**told, "extra": '{"a": {"b": 1}}'})) == found


def test_a_host_keeps_the_protocol_that_stands_before_it():
    assert parsed("http://https://mlflow.example.org:443/api").host == "https://mlflow.example.org"
    assert parsed("aws://AKIA:key@/?region_name=eu-central-1").extra == {"region_name": "eu-central-1"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("postgres://ana:hunter2/hunter3@host/db", "percent-encoded"),
        ("postgres://ana:hunter2[@host/db", "percent-encoded"),
        ("a://b://c://ana:hunter2@host", "percent-encoded"),
        ('{"password": "hunter2", ', "is no JSON"),
        ('{"conn_type": "aws", "pass": "hunter2"}', "has the key `pass`"),
        ('{"conn_type": "aws", "password": ["hunter2"]}', "`password` is no text"),
        ('{"conn_type": "aws", "port": "hunter2"}', "`port` is no whole number"),
        ('{"conn_type": "aws", "extra": "hunter2"}', "`extra` is no JSON"),
        ('{"conn_type": "aws", "extra": ["hunter2"]}', "`extra` is no JSON object"),
        ("aws://?__extra__=hunter2", "`extra` is no JSON"),
    ],
)
def test_what_can_not_be_read_is_told_without_showing_it(text, words):
    message = refused(text)
    assert words in message
    assert "`my_db` from AIRFLOW_CONN_MY_DB" in message
    assert "hunter" not in message


secrets = st.text(min_size=5, max_size=30).map(lambda text: f"S3c{text}rt")


@given(login=secrets, password=secrets, inner=secrets)
def test_no_way_of_printing_a_connection_shows_a_secret(login, password, inner):
    found = Connection("x", "aws", login=login, password=password, extra={"aws_secret_access_key": inner}, origin="Airflow")
    for text in (repr(found), str(found), f"{found}", f"{found!r:>200}", repr([found]), repr({"a": found})):
        assert text.strip().count("Connection('x', type='aws', from Airflow)") == 1
        assert login not in text
        assert password not in text
        assert inner not in text


def test_its_secrets_are_the_password_named_extras_and_what_addresses_give_away():
    extra = {"region_name": "eu-central-1", "aws_secret_access_key": "k3y", "deep": [{"token": "t0ken", "proxy": "http://u:pr0xy@p"}]}
    found = Connection("x", "http", host="https://me:h0st@host", login="ana", password="pw", extra=extra)
    assert found.secrets == {"pw", "YW5hOnB3", "k3y", "t0ken", "pr0xy", "dTpwcjB4eQ", "h0st", "bWU6aDBzdA"}


def test_a_connection_goes_to_another_process_whole():
    found = parsed("postgresql://ana:s%2Fcret@db:5433/shop?sslmode=require")
    assert Connection(**json.loads(json.dumps(found.told()))) == found
    assert pickle.loads(pickle.dumps(found)) == found


def test_the_variable_is_named_by_the_id_in_capitals():
    assert variable_of("my-Aws.1") == "AIRFLOW_CONN_MY-AWS.1"
