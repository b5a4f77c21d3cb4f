"""Redaction: no spelling of a known secret stays in a text, and what is no secret does."""

from __future__ import annotations

import html
import json
import re
from base64 import b64encode
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.core.redaction import basic, hide, is_sensitive, masked, public, secrets_in_environment, secrets_in_text

secrets = st.text(st.characters(exclude_categories=["Cs"]), min_size=8, max_size=30).map(str.strip).filter(lambda s: len(s) >= 8)

SPELT = {
    "as it is": lambda s: s,
    "in a URL": lambda s: f"https://ana:{quote(s, safe='')}@host",
    "in a path": lambda s: quote(s),
    "in a form": lambda s: urlencode({"x": s}),
    "plus": quote_plus,
    "small hex": lambda s: re.sub("%..", lambda found: found[0].lower(), quote(s, safe="")),
    "in JSON": lambda s: json.dumps({"x": [s]}),
    "in JSON as UTF-8": lambda s: json.dumps({"x": s}, ensure_ascii=False),
    "in JSON in JSON": lambda s: json.dumps(json.dumps({"x": s})),
    "a URL in JSON": lambda s: json.dumps(f"https://ana:{quote(s, safe='')}@host"),
    "in Python": repr,
    "in Python beside quotes": lambda s: repr({"x": f'it\'s "{s}"'}),
    "in a key error": lambda s: str(KeyError(s)),
    "bytes": lambda s: repr(s.encode()),
    "Python in JSON": lambda s: json.dumps(repr(s)),
    "ascii": ascii,
    "in HTML": html.escape,
    "JSON in HTML": lambda s: html.escape(json.dumps(s)),
    "in base64": lambda s: b64encode(s.encode()).decode(),
    "its first line": lambda s: s.strip().splitlines()[0] if len(s.strip().splitlines()[0].strip()) > 5 else "",
}


@pytest.mark.parametrize("spell", SPELT.values(), ids=SPELT)
@given(secret=secrets)
def test_no_spelling_of_a_secret_stays(spell, secret):
    text = f"it failed at {spell(secret)}: {secret}!"
    hidden = hide(text, frozenset([secret]))
    assert spell(secret).strip("'\"") not in hidden or not spell(secret)
    assert secret not in hidden
    assert hidden.startswith("it failed at ")


def test_of_two_secrets_the_longer_is_hidden_whole():
    assert hide("hunter2-and-more hunter2", frozenset(["hunter2", "hunter2-and-more"])) == "*** ***"


@given(secret=secrets, cut=st.integers(6, 29), mark=st.sampled_from(["...", "…", ""]))
def test_a_secret_that_was_cut_off_is_hidden_too(secret, cut, mark):
    piece = secret[:cut]
    assert piece not in hide(f"line 1: select {piece}{mark}", frozenset([secret])).partition("select ")[2] or len(piece.strip()) <= 5
    end = secret[-cut:]
    assert end not in hide(f"...{end} from here", frozenset([secret])) or len(end.strip()) <= 5


def test_a_secret_of_many_lines_is_hidden_line_by_line():
    key = "-----BEGIN KEY-----\nMIIEvAIBADANB\nkqhkiG9w0BAQE\n-----END KEY-----"
    assert hide("raised ValueError: MIIEvAIBADANB", frozenset([key])) == "raised ValueError: ***"


@given(st.text())
def test_a_text_without_a_secret_stays_as_it_is(text):
    assert hide(text, frozenset()) == text
    assert hide(text, frozenset(["", "a", "ab", "four"])) == text


def test_names_that_say_secret():
    assert all(
        map(is_sensitive, ["password", "AWS_SECRET_ACCESS_KEY", "private_key", "apiKey", "sig", "x_sig", "keyfile_dict", "refresh_token"])
    )
    assert not any(map(is_sensitive, ["region_name", "endpoint_url", "role_arn", "design", "sslmode", "verify", "host"]))


def test_variables_that_hold_secrets():
    environment = {
        "MLFLOW_TRACKING_USERNAME": "bob",
        "MLFLOW_TRACKING_PASSWORD": "p4ssw0rd-1",
        "AWS_SECRET_ACCESS_KEY": "k3y-of-mine",
        "HEADRACE_TRACKING_URI": "https://ana:from%2Furi@host",
        "TOKENIZERS_PARALLELISM": "false-and-long",
        "AWS_WEB_IDENTITY_TOKEN_FILE": "/var/run/secrets/token",
        "PWD": "/home/ana/project",
        "SHORT_TOKEN": "true",
        "AIRFLOW_CONN_X": "https://ana:read-as-a-connection@host",
    }
    assert set(secrets_in_environment(environment)) == {
        "p4ssw0rd-1",
        "k3y-of-mine",
        "from/uri",
        basic("ana", "from/uri"),
        basic("bob", "p4ssw0rd-1"),
    }


def test_addresses_give_away_passwords_and_tokens_even_when_they_are_malformed():
    assert list(secrets_in_text("https://token-alone@host/x")) == ["token-alone"]
    assert list(secrets_in_text("https://ana:p[w@host")) == ["ana:p[w"]
    assert not list(secrets_in_text("s3://bucket/key?versionId=3"))


def test_addresses_are_masked_without_knowing_them():
    assert masked("postgresql://me:hunter2@host/db?token=abc") == "postgresql://***@host/db?token=***"


words = st.text("abcXYZ019-_.~%{}:", min_size=1, max_size=12).filter(lambda s: "canary" not in s)
SECRET_PARAMETERS = [
    "token",
    "access_token",
    "apikey",
    "api-key",
    "subscription-key",
    "key",
    "sig",
    "X-Amz-Signature",
    "X-Amz-Security-Token",
    "auth",
    "appid",
]


@given(
    user=st.none()
    | st.sampled_from(["canary@", "canary:@", ":canary@", "ana:canary@", "ana:can@canary@", "ana:x/canary@", "ana:x?canary@"]),
    path=words,
    query=st.lists(st.tuples(words, words)),
    secret=st.sampled_from(SECRET_PARAMETERS),
    between=st.sampled_from("&;"),
)
def test_what_gets_one_in_is_not_public_and_the_rest_is(user, path, query, secret, between):
    rest = between.join(["a=1", *(f"{name}={value}" for name, value in query), f"{secret}=canary", "z=2"])
    location = f"https://{user or ''}host.example/{path}?{rest}#canary"
    told = public(location)
    assert "canary" not in told
    if user is None or "x" not in user:
        assert told.startswith(f"https://host.example/{path}?a=1")
        assert told.endswith(f"{between}z=2")
    assert public(told) == told


def test_a_signature_hides_all_that_another_signing_would_change():
    def signed(time: str) -> str:
        return f"https://a.example/b.csv?day=7&X-Amz-Algorithm=A&X-Amz-Date={time}&X-Amz-Expires=900&X-Amz-SignedHeaders=host&X-Amz-Signature=x{time}"

    assert public(signed("1")) == public(signed("2"))
    assert "day=7" in public(signed("1"))
    assert public("https://a.example/b?sv=2&st=1&se=3&sp=r&sr=b&sig=x") == "https://a.example/b?sv=***&st=***&se=***&sp=***&sr=***&sig=***"
    assert public("https://a.example/b?st=1&expires=3") == "https://a.example/b?st=1&expires=3"


@pytest.mark.parametrize(
    "location",
    [
        "data/a@b:c?token=x.csv",
        "/srv/a.csv",
        "s3://bucket/a.csv",
        "https://h:8080/a@b.csv?x={start:%H:%M}",
        "https://[::1]:80/a",
        "package://a.b/c.csv",
    ],
)
def test_what_is_no_secret_is_public_as_it_is(location):
    assert public(location) == location
