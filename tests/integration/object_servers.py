"""Real object stores for tests, each on a free loopback port and with a bucket that is there: what a client needs to reach it, as a value.

    with s3_server(tmp_path) as s3:
        s3.client().put_object(Bucket=s3.bucket, Key="a", Body=b"1")

`s3_server` is versitygw: real signatures, users with policies, conditional writes, objects on the disk. `moto_server` starts faster and
checks none of that. `azure_server` is Azurite, which checks signatures; `gcs_server` is fake-gcs-server, which checks no credentials at
all. scripts/object-servers installs all but moto; `why_no(...)` says what is missing. The invariant: when the `with` is left, however it
is left, no process of the server is there.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from functools import cache
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, ClassVar

from gcs_xml import xml_api
from server_process import ServerProcess, running

__all__ = ["AzureServer", "GcsServer", "S3Server", "azure_server", "gcs_server", "moto_server", "s3_server", "why_no"]

_SERVERS = Path(__file__).resolve().parents[2] / ".servers"
_PROGRAMS = {
    "versitygw": _SERVERS / "versitygw" / "versitygw",
    "fake-gcs-server": _SERVERS / "fake-gcs-server" / "fake-gcs-server",
    "azurite": _SERVERS / "azurite" / "node_modules" / ".bin" / "azurite-blob",
}
_REGION = "eu-central-1"
_ROOT, _ROOT_SECRET = "AKIAROOTOFTESTS", "root-secret-not-to-be-shown"
_CLIENT = {"allow_http": True}
_NO_CLOUD = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}


def why_no(program: str) -> str:
    """What is missing for `versitygw`, `azurite` or `fake-gcs-server`; empty if it is there."""
    if not _PROGRAMS[program].exists():
        return f"needs {program}: scripts/object-servers installs it"
    if program == "azurite" and shutil.which("node") is None:
        return "needs Node.js, for azurite"
    return ""


@dataclass(frozen=True)
class S3Server:
    """A server that speaks S3, seen by one of its users. `process` can be killed and started again."""

    endpoint: str
    bucket: str
    access_key: str
    secret: str = field(repr=False)
    region: str
    process: ServerProcess = field(repr=False, compare=False)
    root: ClassVar[str] = ""

    @property
    def environment(self) -> dict[str, str]:
        """The variables that boto3, obstore, DuckDB and the others read."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ALLOW_HTTP": "true",
            **_NO_CLOUD,
        }

    def at(self, endpoint: str) -> S3Server:
        """The same by another way: through a proxy."""
        return replace(self, endpoint=endpoint)

    def with_bucket(self, bucket: str = "") -> S3Server:
        """The same with a new bucket, so that tests can share a server and see nothing of each other."""
        bucket = bucket or _new_bucket()
        self.client().create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": self.region})
        return replace(self, bucket=bucket)

    def user(self, name: str, policy: Mapping[str, Any], secret: str = "") -> S3Server:
        """The same for a new user, who may do what an identity policy says (as one would attach it to a role), and nothing else.

        versitygw only. Its users have no policies, so it becomes part of those of its buckets; other users' parts are kept.
        """
        user = replace(self, access_key=name, secret=secret or uuid.uuid4().hex)
        self._admin("create-user", "--access", user.access_key, "--secret", user.secret, "--role", "user")
        self.attach(name, policy)
        return user

    def attach(self, name: str, policy: Mapping[str, Any]) -> None:
        """Let a user do what an identity policy says, from now on, instead of what an earlier one said; in each bucket that it names."""
        for bucket in {
            self.bucket,
            *(resource.split(":")[-1].partition("/")[0] for part in policy["Statement"] for resource in _resources(part)),
        }:
            self._attach(bucket, name, policy)

    def _attach(self, bucket: str, name: str, policy: Mapping[str, Any]) -> None:
        client = self.client()
        try:
            there = json.loads(client.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"]
        except client.exceptions.ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchBucketPolicy":
                raise
            there = []
        others = [part for part in there if part["Principal"] != {"AWS": [name]}]
        own = [
            (part, [resource for resource in _resources(part) if f"{resource}/".startswith(f"arn:aws:s3:::{bucket}/")])
            for part in policy["Statement"]
        ]
        parts = [{**part, "Resource": resources, "Principal": {"AWS": [name]}} for part, resources in own if resources]
        if not others and not parts:
            client.delete_bucket_policy(Bucket=bucket)
            return
        client.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [*others, *parts]}))

    def store(self, **options: Any) -> Any:
        """An obstore store of the bucket. It tries again but for `retry_config={"max_retries": 0}`."""
        from obstore.store import S3Store

        user = {"access_key_id": self.access_key, "secret_access_key": self.secret, "region": self.region}
        return S3Store(self.bucket, endpoint=self.endpoint, **user, **{"client_options": _CLIENT, **options})

    def client(self, *, attempts: int = 1, timeout_s: float = 60, **config: Any) -> Any:
        """A boto3 client that tries each request so many times, whatever the surroundings say."""
        from botocore.config import Config

        return _session().client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret,
            region_name=self.region,
            config=Config(
                retries={"total_max_attempts": attempts},
                connect_timeout=timeout_s,
                read_timeout=timeout_s,
                proxies={},
                **{"max_pool_connections": 32, "s3": {"addressing_style": "path"}, **config},
            ),
        )

    def _admin(self, *arguments: str) -> None:
        command = [str(_PROGRAMS["versitygw"]), "admin", "--endpoint-url", self.process.address, "--region", self.region, *arguments]
        secrets = {"ADMIN_ACCESS_KEY_ID": self.access_key, "ADMIN_SECRET_ACCESS_KEY": self.secret}
        done = subprocess.run(command, env=secrets, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@dataclass(frozen=True)
class AzureServer:
    """A server that speaks Azure's blob API; `bucket` is a container, `access_key` the account."""

    endpoint: str
    bucket: str
    access_key: str
    secret: str = field(repr=False)
    region: str
    process: ServerProcess = field(repr=False, compare=False)

    @property
    def environment(self) -> dict[str, str]:
        """The variables that obstore reads, and the string that Azure's own library takes."""
        address = self.endpoint + self.root
        parts = ("DefaultEndpointsProtocol=http", f"AccountName={self.access_key}", f"AccountKey={self.secret}", f"BlobEndpoint={address}")
        return {
            "AZURE_STORAGE_ACCOUNT_NAME": self.access_key,
            "AZURE_STORAGE_ACCOUNT_KEY": self.secret,
            "AZURE_STORAGE_ENDPOINT": address,
            "AZURE_ALLOW_HTTP": "true",
            "AZURE_STORAGE_CONNECTION_STRING": ";".join(parts),
        }

    @property
    def root(self) -> str:
        """The account, which is a part of the path in front of buckets."""
        return f"/{self.access_key}"

    def store(self, **options: Any) -> Any:
        """An obstore store of the container. It tries again but for `retry_config={"max_retries": 0}`."""
        from obstore.store import AzureStore

        at = {"account_name": self.access_key, "account_key": self.secret, "endpoint": self.endpoint + self.root}
        return AzureStore(self.bucket, **at, **{"client_options": _CLIENT, **options})

    def at(self, endpoint: str) -> AzureServer:
        """The same by another way: through a proxy."""
        return replace(self, endpoint=endpoint)

    def with_bucket(self, bucket: str = "") -> AzureServer:
        """The same with a new container."""
        bucket = bucket or _new_bucket()
        status = self.request("PUT", f"/{bucket}", restype="container")
        assert status == HTTPStatus.CREATED, f"creating container {bucket}: {status}"
        return replace(self, bucket=bucket)

    def request(self, method: str, path: str, **query: str) -> int:
        """A signed request without a body, such as those that obstore has no call for; the status."""
        headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2021-12-02"}
        canonical = [f"{name}:{value}" for name, value in sorted(headers.items())]
        resource = "\n".join([f"/{self.access_key}/{self.access_key}{path}", *(f"{k}:{v}" for k, v in sorted(query.items()))])
        text = "\n".join([method, *[""] * 11, *canonical, resource])
        digest = hmac.new(base64.b64decode(self.secret), text.encode(), hashlib.sha256).digest()
        headers["Authorization"] = f"SharedKey {self.access_key}:{base64.b64encode(digest).decode()}"
        target = f"/{self.access_key}{path}?" + "&".join(f"{k}={v}" for k, v in query.items())
        return _status(self.process.port, method, target, headers, b"")


@dataclass(frozen=True)
class GcsServer:
    """A server that speaks Google Cloud Storage's API and asks for no credentials, so `access_key` and `secret` are empty."""

    endpoint: str
    bucket: str
    access_key: str
    secret: str = field(repr=False)
    region: str
    process: ServerProcess = field(repr=False, compare=False)
    root: ClassVar[str] = ""

    @property
    def environment(self) -> dict[str, str]:
        """The variables that obstore reads, and Google's own library."""
        account = {"gcs_base_url": self.endpoint, "disable_oauth": True, "client_email": "", "private_key": "", "private_key_id": ""}
        return {"GOOGLE_SERVICE_ACCOUNT_KEY": json.dumps(account), "STORAGE_EMULATOR_HOST": self.endpoint}

    def store(self, **options: Any) -> Any:
        """An obstore store of the bucket. It tries again but for `retry_config={"max_retries": 0}`."""
        from obstore.store import GCSStore

        key = self.environment["GOOGLE_SERVICE_ACCOUNT_KEY"]
        return GCSStore(self.bucket, service_account_key=key, **{"client_options": _CLIENT, **options})

    def at(self, endpoint: str) -> GcsServer:
        """The same by another way: through a proxy."""
        return replace(self, endpoint=endpoint)

    def with_bucket(self, bucket: str = "") -> GcsServer:
        """The same with a new bucket."""
        bucket = bucket or _new_bucket()
        body = json.dumps({"name": bucket}).encode()
        status = _status(self.process.port, "POST", "/storage/v1/b?project=tests", {"Content-Type": "application/json"}, body)
        assert status == HTTPStatus.OK, f"creating bucket {bucket}: {status}"
        return replace(self, bucket=bucket)


@contextmanager
def s3_server(folder: Path, *, has_long_policies: bool = False) -> Iterator[S3Server]:
    """A versitygw that keeps its objects in `folder`, which has to be on a file system with extended attributes.

    Those of a file hold 4 KB at most; with `has_long_policies` what they would hold is in files of its own.
    """
    objects, users, beside = folder / "objects", folder / "users", folder / "beside"
    for made in (objects, users, beside):
        made.mkdir(parents=True, exist_ok=True)
    attributes = ["--sidecar", str(beside)] if has_long_policies else []

    def command(port: int) -> Sequence[str]:
        gateway = [str(_PROGRAMS["versitygw"]), "--port", f"127.0.0.1:{port}", "--region", _REGION, "--keep-alive", "--quiet"]
        return [*gateway, "--iam-dir", str(users), "--iam-cache-disable", "posix", *attributes, str(objects)]

    environment = {"ROOT_ACCESS_KEY": _ROOT, "ROOT_SECRET_KEY": _ROOT_SECRET}
    with running(folder, command, environment) as process:
        yield S3Server(process.address, "", _ROOT, _ROOT_SECRET, _REGION, process).with_bucket()


@contextmanager
def moto_server() -> Iterator[S3Server]:
    """moto's server, which keeps its objects in memory and takes any credentials."""
    with tempfile.TemporaryDirectory(prefix="headrace-moto-") as folder:

        def command(port: int) -> Sequence[str]:
            return [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]

        with running(Path(folder), command, {"MOTO_S3_CUSTOM_ENDPOINTS": ""}) as process:
            yield S3Server(process.address, "", "testing", "any-will-do", _REGION, process).with_bucket()


@contextmanager
def azure_server(folder: Path) -> Iterator[AzureServer]:
    """An Azurite that keeps its blobs in `folder`, with an account of its own."""
    account, key = "headracetests", base64.b64encode(b"not-to-be-shown-either" * 3)[:88].decode()

    def command(port: int) -> Sequence[str]:
        server = [str(_PROGRAMS["azurite"]), "--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", str(folder / "blobs")]
        return [*server, "--silent", "--disableTelemetry", "--skipApiVersionCheck"]

    with running(folder, command, {"AZURITE_ACCOUNTS": f"{account}:{key}"}) as process:
        yield AzureServer(process.address, "", account, key, "", process).with_bucket()


@contextmanager
def gcs_server(folder: Path) -> Iterator[GcsServer]:
    """A fake-gcs-server that keeps its objects in `folder`, behind the XML API that obstore speaks and it does not."""

    def command(port: int) -> Sequence[str]:
        server = [str(_PROGRAMS["fake-gcs-server"]), "-scheme", "http", "-host", "127.0.0.1", "-port", str(port)]
        root = ["-backend", "filesystem", "-filesystem-root", str(folder / "objects")]
        return [*server, *root, "-public-host", f"127.0.0.1:{port}", "-external-url", f"http://127.0.0.1:{port}", "-log-level", "error"]

    with running(folder, command) as process, xml_api(process.port) as address:
        yield GcsServer(address, "", "", "", "", process).with_bucket()


def _resources(statement: Mapping[str, Any]) -> list[str]:
    resources = statement["Resource"]
    return [resources] if isinstance(resources, str) else list(resources)


@cache
def _session() -> Any:
    """One for all clients: a second of its own would read what it knows of S3 again, for 0.2 s."""
    import boto3

    return boto3.session.Session()


def _new_bucket() -> str:
    return f"headrace-{uuid.uuid4().hex[:12]}"


def _status(port: int, method: str, target: str, headers: Mapping[str, str], body: bytes) -> int:
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, target, body, dict(headers))
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()
