"""What a store in S3 sends: whose keys, which encryption, who pays. A server on loopback notes the headers of each request."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from headrace.backends.stores import s3
from headrace.core.access import Access
from headrace.core.connection import Connection
from headrace.core.errors import ConfigurationError

NO_CLOUD = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}
KEYS = {"AWS_ACCESS_KEY_ID": "AKIAENVIRONMENT", "AWS_SECRET_ACCESS_KEY": "secret-of-the-environment"}
ROLE = "arn:aws:iam::123456789012:role/reader"
_ASSUMED = """<AssumeRole{0}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRole{0}Result><Credentials>
<AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>secret-of-the-role</SecretAccessKey><SessionToken>token-of-the-role</SessionToken>
<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRole{0}Result></AssumeRole{0}Response>"""


class Noted:
    """What a server was asked: the headers of each request, and the bodies sent to its role service."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.headers: list[Mapping[str, str]] = []
        self.asked_for_roles: list[str] = []

    @property
    def signer(self) -> str:
        found = re.search(r"Credential=([^/]+)/", self.headers[-1].get("authorization", ""))
        return found[1] if found else ""


@pytest.fixture
def noted() -> Iterator[Noted]:
    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            told.headers.append({name.lower(): value for name, value in self.headers.items()})
            self._answer(b"", ETag='"1"')

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            told.asked_for_roles.append(body)
            self._answer(_ASSUMED.format("WithWebIdentity" if "WithWebIdentity" in body else "").encode())

        def _answer(self, body: bytes, **headers: str) -> None:
            self.send_response(200)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told = Noted(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield told
    server.shutdown()
    thread.join()
    server.server_close()


def put(noted: Noted, folder: Path, **access: Any) -> Noted:
    environment = {**NO_CLOUD, **access.pop("environment", {})}
    store = s3.open("s3://shop/lake", Access(endpoint=noted.address, cache=folder / "cache", environment=environment, **access))
    assert store.create("log/a", b"entry")
    store.close()
    return noted


def test_keys_of_the_environment_sign(noted: Noted, tmp_path: Path) -> None:
    put(noted, tmp_path, environment=KEYS)
    assert noted.signer == "AKIAENVIRONMENT"
    assert "x-amz-security-token" not in noted.headers[-1]
    assert noted.headers[-1]["if-none-match"] == "*"


def test_a_token_of_the_environment_is_sent_with_its_keys(noted: Noted, tmp_path: Path) -> None:
    put(noted, tmp_path, environment={**KEYS, "AWS_SESSION_TOKEN": "token"})
    assert noted.headers[-1]["x-amz-security-token"] == "token"


def test_keys_of_a_connection_sign_without_the_token_of_the_environment(
    noted: Noted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token-of-somebody-else")
    put(noted, tmp_path, environment=KEYS, connection=Connection("my_aws", "aws", login="AKIACONNECTION", password="secret"))
    assert noted.signer == "AKIACONNECTION"
    assert "x-amz-security-token" not in noted.headers[-1]


def test_a_profile_of_the_users_files_signs(noted: Noted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "credentials").write_text("[shop]\naws_access_key_id = AKIAPROFILE\naws_secret_access_key = secret\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    put(noted, tmp_path, environment={"AWS_PROFILE": "shop"})
    assert noted.signer == "AKIAPROFILE"


def test_a_role_of_a_connection_is_taken_on(noted: Noted, tmp_path: Path) -> None:
    extra = {"role_arn": ROLE, "region_name": "eu-central-1", "service_config": {"sts": {"endpoint_url": noted.address}}}
    put(noted, tmp_path, connection=Connection("my_aws", "aws", login="AKIACONNECTION", password="secret", extra=extra))
    assert (noted.signer, noted.headers[-1]["x-amz-security-token"]) == ("ASIAROLE", "token-of-the-role")
    assert "RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Freader" in noted.asked_for_roles[0]


def test_a_web_identity_is_changed_into_credentials(noted: Noted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("identity")
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        **NO_CLOUD,
        "AWS_ROLE_ARN": ROLE,
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"),
        "AWS_ENDPOINT_URL_STS": noted.address,
        "AWS_REGION": "eu-central-1",
    }.items():
        monkeypatch.setenv(name, value)
    put(noted, tmp_path)
    assert noted.signer == "ASIAROLE"
    assert "WebIdentityToken=identity" in noted.asked_for_roles[0]


def test_without_any_credentials_it_says_where_they_were_looked_for(noted: Noted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)
    for name, value in NO_CLOUD.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=r"No credentials for s3://shop/lake were found\. Looked at: .* AWS_PROFILE"):
        put(noted, tmp_path)


def test_encryption_and_its_key_are_asked_for(noted: Noted, tmp_path: Path) -> None:
    put(noted, tmp_path, environment=KEYS, encryption="aws:kms", kms_key="arn:aws:kms:eu-central-1:1:key/2")
    sent = noted.headers[-1]
    assert sent["x-amz-server-side-encryption"] == "aws:kms"
    assert sent["x-amz-server-side-encryption-aws-kms-key-id"] == "arn:aws:kms:eu-central-1:1:key/2"
    assert sent["x-amz-server-side-encryption-bucket-key-enabled"] == "true"


def test_encryption_is_asked_for_at_copies_too(noted: Noted, tmp_path: Path) -> None:
    store = s3.open("s3://shop/lake", Access(endpoint=noted.address, cache=tmp_path, environment={**NO_CLOUD, **KEYS}, encryption="AES256"))
    store.copy("gold/a", "gold/b")
    assert noted.headers[-1]["x-amz-copy-source"] == "shop/lake/gold/a"
    assert noted.headers[-1]["x-amz-server-side-encryption"] == "AES256"


def test_the_requester_pays_where_that_is_set(noted: Noted, tmp_path: Path) -> None:
    put(noted, tmp_path, environment=KEYS, requester_pays=True)
    assert noted.headers[-1]["x-amz-request-payer"] == "requester"


def test_a_body_is_sent_with_its_digest(noted: Noted, tmp_path: Path) -> None:
    put(noted, tmp_path, environment=KEYS)
    assert re.fullmatch(r"[0-9a-f]{64}", noted.headers[-1]["x-amz-content-sha256"])


def test_a_secret_is_never_sent_or_shown(noted: Noted, tmp_path: Path) -> None:
    put(noted, tmp_path, environment=KEYS)
    assert "secret-of-the-environment" not in str(noted.headers)
