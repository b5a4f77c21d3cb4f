"""Looking for files on the web, and what is said when a server does not give one."""

from __future__ import annotations

import gzip
import socket
import ssl
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from web_server import NOW, OLD, Page, Site, serving

from headrace.backends.origins.http import HttpOrigin
from headrace.core.connection import Connection
from headrace.core.errors import ConfigurationError, SourceError, TransientError
from headrace.core.ports import RawFile
from headrace.core.redaction import masked

SIGNED = "X-Amz-Credential=me%2F2026&X-Amz-Date=20260101T000000Z&X-Amz-Expires=900&X-Amz-Signature=c0ffee"


@pytest.fixture
def other() -> Iterator[Site]:
    with serving() as found:
        yield found


def origin(connection: Connection | None = None, **options) -> HttpOrigin:
    return HttpOrigin(connection=connection, **{"sleep": lambda _: None, **options})


def find(location: str, here: HttpOrigin | None = None) -> RawFile:
    (file,) = (here or origin()).find(location)
    return file


def read(location: str, here: HttpOrigin | None = None) -> bytes:
    here = here or origin()
    with here.open(find(location, here)) as opened:
        return opened.read()


class TestLooking:
    def test_is_one_request_for_headers(self, site: Site) -> None:
        file = find(site.put("/prices/a.csv", b"id\n1\n"))
        assert file == RawFile(f"{site.url}/prices/a.csv", 5, '"1" 5', datetime.fromtimestamp(OLD, UTC))
        assert [(one.method, one.headers["Accept-Encoding"]) for one in site.asked] == [("HEAD", "identity")]

    @pytest.mark.parametrize("status", [400, 403, 405, 501])
    def test_goes_by_get_where_a_server_takes_no_head(self, site: Site, status: int) -> None:
        file = find(site.put("/a.csv", Page(b"id\n1\n", takes_head=status)))
        assert (file.size_bytes, file.mark) == (5, '"1" 5')
        assert site.methods() == ["HEAD", "GET"]

    def test_does_not_believe_a_head_of_no_bytes(self, site: Site) -> None:
        assert find(site.put("/a.csv", Page(b"", length=0), Page(b"id\n1\n"))).size_bytes == 0
        assert site.methods() == ["HEAD", "GET"]

    def test_reads_nothing_of_a_large_file(self, site: Site) -> None:
        large = Page(b"x" * 50_000_000, takes_head=405)
        assert find(site.put("/a.csv", large)).size_bytes == 50_000_000

    @pytest.mark.parametrize("status", [404, 410])
    def test_finds_nothing_where_nothing_is(self, site: Site, status: int) -> None:
        assert origin().find(site.put("/a.csv", Page(b"", status))) == ()

    @pytest.mark.parametrize(
        ("page", "mark"),
        [
            (Page(b"12", etag='W/"x"'), 'W/"x" 2'),
            (Page(b"12", etag=None), "Thu, 01 Jan 2026 06:00:00 GMT 2"),
            (Page(b"12", etag=None, modified=None), ""),
            (Page(b"12", is_chunked=True), '"1"'),
            (Page(b"12", is_chunked=True, etag=None, modified=None), ""),
        ],
    )
    def test_knows_a_file_by_what_its_server_tells(self, site: Site, page: Page, mark: str) -> None:
        assert find(site.put("/a.csv", page)).mark == mark

    def test_does_not_make_up_a_size(self, site: Site) -> None:
        assert find(site.put("/a.csv", Page(b"12", is_chunked=True))).size_bytes is None
        assert find(site.put("/b.csv", Page(b"12", headers={"Content-Encoding": "gzip"}))).size_bytes is None

    def test_takes_no_strange_time_of_change(self, site: Site) -> None:
        assert find(site.put("/a.csv", Page(b"1", modified=None, headers={"Last-Modified": "yesterday"}))).modified_at is None

    @pytest.mark.parametrize(
        ("path", "name"),
        [
            ("/a.csv?day=1/2", "a.csv"),
            ("/export?format=csv", "export"),
            ("/", "file"),
            ("/.csv", "csv"),
            ("/a%20b.csv#top", "a%20b.csv"),
            ("/größe.csv", "größe.csv"),
        ],
    )
    def test_names_a_file_by_its_path(self, site: Site, path: str, name: str) -> None:
        for served in (path.partition("#")[0], "/gr%C3%B6%C3%9Fe.csv"):
            site.put(served, b"1")
        assert find(site.url + path).name == name

    def test_can_not_be_done_by_a_pattern(self, site: Site) -> None:
        with pytest.raises(SourceError, match=r"`.*/\*\.csv` is a pattern, and a web server can't be listed"):
            origin().find(f"{site.url}/*.csv")

    @pytest.mark.parametrize("location", ["http:///a.csv", "http://host:port/a.csv", "http://[::1/a.csv"])
    def test_needs_an_address(self, location: str) -> None:
        with pytest.raises(SourceError, match=r"names no host|is no web address"):
            origin().find(location)


class TestReading:
    def test_asks_for_the_bytes_as_they_are(self, site: Site) -> None:
        assert read(site.put("/a.csv", b"id\n1\n")) == b"id\n1\n"
        assert site.asked[-1].headers["Accept-Encoding"] == "identity"

    def test_undoes_a_packing_that_was_not_asked_for(self, site: Site) -> None:
        assert read(site.put("/a.csv", Page(gzip.compress(b"id\n1\n"), headers={"Content-Encoding": "gzip"}))) == b"id\n1\n"

    def test_leaves_a_file_that_is_gzip_itself_as_it_is(self, site: Site) -> None:
        packed = gzip.compress(b"id\n1\n")
        for headers in ({}, {"Content-Encoding": "x-gzip"}):
            assert read(site.put("/a.csv.gz", Page(packed, headers=headers))) == packed

    def test_refuses_a_packing_that_it_does_not_know(self, site: Site) -> None:
        with pytest.raises(SourceError, match="comes packed as `br`"):
            read(site.put("/a.csv", Page(b"..", headers={"Content-Encoding": "br"})))

    @pytest.mark.parametrize("page", [Page(b"1" * 101), Page(b"1" * 101, is_chunked=True)])
    def test_takes_no_more_than_it_may(self, site: Site, page: Page) -> None:
        with pytest.raises(
            SourceError, match=r'or more, and at most 100 are taken. If it is right, allow more in headrace\.toml: max_size = "20GB"'
        ):
            read(site.put("/a.csv", page), origin(max_bytes=100))
        assert read(site.url + "/a.csv", origin(max_bytes=101)) == b"1" * 101

    def test_is_not_deceived_by_what_folds_out(self, site: Site) -> None:
        bomb = Page(gzip.compress(b"0" * 10_000_000), headers={"Content-Encoding": "gzip"})
        with pytest.raises(SourceError, match="at most 1,000,000 are taken"):
            read(site.put("/a.csv", bomb), origin(max_bytes=1_000_000))

    def test_takes_no_other_file_than_was_found(self, site: Site) -> None:
        here, url = origin(), site.put("/a.csv", b"id\n1\n")
        file = find(url, here)
        for page in (Page(b"id\n2\n", etag='"2"'), Page(b"id\n1\n2\n"), Page(b"", 404)):
            site.put("/a.csv", page)
            with pytest.raises(TransientError, match="since it was found: it is still being written, or was replaced"):
                here.open(file)


class TestServersThatAreBusy:
    @pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
    def test_are_asked_again(self, site: Site, status: int) -> None:
        slept: list[float] = []
        url = site.put("/a.csv", Page(b"id\n1\n"))
        here = origin(sleep=slept.append)
        file = find(url, here)
        site.put("/a.csv", Page(b"", status), Page(b"", status), Page(b"id\n1\n"))
        with here.open(file) as opened:
            assert opened.read() == b"id\n1\n"
        assert len(slept) == 2
        assert slept[0] < slept[1]

    @pytest.mark.parametrize("said", ["7", "Thu, 01 Jan 2026 07:00:07 GMT"])
    def test_say_when_to_come_back(self, site: Site, said: str) -> None:
        slept: list[float] = []
        here = origin(sleep=slept.append)
        file = find(site.put("/a.csv", b"1"), here)
        site.put("/a.csv", Page(b"", 503, headers={"Retry-After": said}), Page(b"1"))
        assert datetime(2026, 1, 1, 7, tzinfo=UTC).timestamp() == NOW
        assert here.open(file).read() == b"1"
        assert slept == [7.0]

    def test_are_left_alone_where_they_ask_for_long(self, site: Site) -> None:
        slept: list[float] = []
        url = site.put("/a.csv", Page(b"", 429, headers={"Retry-After": "3600"}))
        with pytest.raises(TransientError, match=r"answers 429 .*, and asks to come back in 3600 s\. Run again later\."):
            find(url, origin(sleep=slept.append))
        assert slept == []

    def test_are_given_up_after_a_few_times(self, site: Site) -> None:
        with pytest.raises(TransientError, match="can't be fetched now: its server answers 503"):
            find(site.put("/a.csv", Page(b"", 503)))
        assert len(site.asked) == 4


class TestRedirects:
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_are_followed(self, site: Site, other: Site, status: int) -> None:
        url = site.put("/a.csv", Page(b"", status, headers={"Location": other.put("/b.csv", b"id\n1\n")}))
        assert find(url).uri == url
        assert read(url) == b"id\n1\n"

    def test_may_be_relative(self, site: Site) -> None:
        site.put("/there/b.csv", b"1")
        assert read(site.put("/here/a.csv", Page(b"", 302, headers={"Location": "../there/b.csv"}))) == b"1"

    def test_are_followed_for_each_part(self, site: Site, other: Site) -> None:
        target = other.put("/b.csv", Page(b"12345", breaks_after=2), Page(b"12345"))
        assert read(site.put("/a.csv", Page(b"", 307, headers={"Location": target}))) == b"12345"
        assert site.methods() == ["HEAD", "GET", "GET"]

    def test_end(self, site: Site) -> None:
        with pytest.raises(SourceError, match="redirects more than 10 times"):
            find(site.put("/a.csv", Page(b"", 302, headers={"Location": "/a.csv"})))
        assert len(site.asked) == 11

    def test_lead_nowhere_but_the_web(self, site: Site) -> None:
        with pytest.raises(SourceError, match="redirects to `file:`, which is not on the web"):
            find(site.put("/a.csv", Page(b"", 302, headers={"Location": "file:///etc/passwd"})))

    def test_take_no_way_in_to_another_host(self, site: Site, other: Site) -> None:
        way_in = Connection("my_site", "http", login="ana", password="hunter2", extra={"headers": {"X-API-Key": "abcdef"}})
        site.put("/here.csv", Page(b"", 302, headers={"Location": "/there.csv"}))
        site.put("/there.csv", Page(b"", 302, headers={"Location": other.put("/b.csv", b"1")}))
        assert read(f"{site.url}/here.csv", origin(way_in)) == b"1"
        assert all(one.headers.get("Authorization") and one.headers.get("X-API-Key") for one in site.asked)
        assert not [one for one in other.asked if "Authorization" in one.headers or "X-API-Key" in one.headers]


class TestAWayIn:
    def test_is_a_user_and_a_password(self, site: Site) -> None:
        url = site.put("/a.csv", b"1")
        read(url, origin(Connection("my_site", "http", login="ana", password="pä:ss")))
        assert {one.headers["Authorization"] for one in site.asked} == {"Basic " + b64encode("ana:pä:ss".encode()).decode()}

    @pytest.mark.parametrize("told", [{"password": "abc.def"}, {"extra": {"token": "abc.def"}}])
    def test_is_a_token(self, site: Site, told: dict) -> None:
        read(site.put("/a.csv", b"1"), origin(Connection("my_site", "http", **told)))
        assert {one.headers["Authorization"] for one in site.asked} == {"Bearer abc.def"}

    def test_is_a_user_in_the_address(self, site: Site) -> None:
        site.put("/a.csv", b"1")
        file = find(site.url.replace("://", "://ana:hunter%2F2@") + "/a.csv")
        assert origin().open(file).read() == b"1"
        assert {one.headers["Authorization"] for one in site.asked} == {"Basic " + b64encode(b"ana:hunter/2").decode()}
        assert file.uri == f"{site.url}/a.csv"
        assert "hunter" not in repr(file)

    def test_is_signed_into_the_address_and_no_part_of_its_name(self, site: Site) -> None:
        site.put("/a.csv", Page(b"1", takes_head=403))
        file = find(f"{site.url}/a.csv?day=7&{SIGNED}")
        assert origin().open(file).read() == b"1"
        assert {one.path for one in site.asked} == {f"/a.csv?day=7&{SIGNED}"}
        assert file.uri == f"{site.url}/a.csv?day=7&X-Amz-Credential=***&X-Amz-Date=***&X-Amz-Expires=***&X-Amz-Signature=***"
        assert "c0ffee" not in repr(file)

    def test_is_not_told_twice(self, site: Site) -> None:
        with pytest.raises(ConfigurationError, match="is written with a user, and the connection `my_site` is set for it too"):
            find(site.url.replace("://", "://ana@") + "/a.csv", origin(Connection("my_site", "http", login="ana")))

    def test_is_for_the_host_that_it_names(self, site: Site) -> None:
        site.put("/a.csv", b"1")
        for host in ("127.0.0.1", "http://127.0.0.1/", "127.0.0.1:80", None, ""):
            assert find(f"{site.url}/a.csv", origin(Connection("my_site", "http", host=host, password="hunter2")))
        asked = len(site.asked)
        with pytest.raises(
            ConfigurationError, match=r"The connection `my_site` from .* is for `example\.org`, and `http://127.* is elsewhere"
        ):
            find(f"{site.url}/a.csv", origin(Connection("my_site", "http", host="Example.org", password="hunter2")))
        assert len(site.asked) == asked

    @pytest.mark.parametrize("password", ["two\r\nlines: x", "naïve"])
    def test_that_is_no_header_is_not_shown(self, site: Site, password: str) -> None:
        with pytest.raises(ConfigurationError, match="has signs that can't be sent") as caught:
            find(f"{site.url}/a.csv", origin(Connection("my_site", "http", password=password)))
        assert password not in str(caught.value)


class TestARefusal:
    @pytest.mark.parametrize(
        ("status", "message"),
        [
            (401, r"is not given without a way in: its server answers 401.* connection = \"my_site\" under .* AIRFLOW_CONN_MY_SITE"),
            (
                403,
                r"is not given to those who do not say who they are: its server answers 403.* An address that was signed may be past its time",
            ),
            (418, r"its server answers 418.*, where a file is expected"),
        ],
    )
    def test_says_what_to_do(self, site: Site, status: int, message: str) -> None:
        with pytest.raises(SourceError, match=message):
            find(site.put("/a.csv", Page(b"", status)))

    @pytest.mark.parametrize("status", [401, 403])
    def test_names_the_connection_that_was_used(self, site: Site, status: int) -> None:
        way_in = Connection("my_site", "http", login="ana", password="hunter2", origin="the variable AIRFLOW_CONN_MY_SITE")
        with pytest.raises(SourceError, match=r"the connection `my_site` from the variable AIRFLOW_CONN_MY_SITE") as caught:
            find(site.put("/a.csv", Page(b"", status)), origin(way_in))
        assert "hunter2" not in str(caught.value)

    @pytest.mark.parametrize("status", [401, 403, 418, 429, 404])
    def test_shows_no_secret(self, site: Site, status: int) -> None:
        here = origin()
        url = site.url.replace("://", "://ana:hunter2@") + f"/a.csv?apikey=abcdef&{SIGNED}"
        site.put("/a.csv", b"1")
        file = find(url, here)
        site.put("/a.csv", Page(b"", status))
        with pytest.raises((SourceError, TransientError)) as caught:
            here.open(file)
        said = str(caught.value)
        assert said.startswith(f"`{site.url}/a.csv?apikey=***&X-Amz-")
        assert masked(said) == said
        assert not [secret for secret in ("hunter2", "abcdef", "c0ffee") if secret in said]


class TestNoAnswer:
    def test_from_a_closed_port(self) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
        with pytest.raises(
            TransientError, match=r"can't be fetched: no connection to its server \(Connection refused\)\. Run again later\."
        ):
            find(f"http://127.0.0.1:{port}/a.csv")

    @pytest.mark.parametrize(
        ("number", "kind", "message"),
        [
            (socket.EAI_NONAME, SourceError, "the name of its host is not known to DNS"),
            (socket.EAI_AGAIN, TransientError, r"can't be looked up now \(DNS does not answer\)"),
        ],
    )
    def test_from_the_names_of_hosts(self, monkeypatch: pytest.MonkeyPatch, number: int, kind: type, message: str) -> None:
        def fail(*_: object, **__: object) -> None:
            raise socket.gaierror(number, "as DNS has it")

        monkeypatch.setattr(socket, "getaddrinfo", fail)
        with pytest.raises(kind, match=message):
            find("https://prices.example/a.csv?token=abcdef")

    def test_from_who_says_nothing(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(TransientError, match="its server stopped sending"):
            find(f"http://127.0.0.1:{silent.getsockname()[1]}/a.csv", origin(stalled_s=0.02))

    def test_that_is_tls(self, site: Site) -> None:
        with pytest.raises(SourceError, match=r"what answers there does not speak TLS\. Is it http:// in place of https://"):
            find(site.url.replace("http://", "https://") + "/a.csv")


# ---------------------------------------------------------------- TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for this machine that nobody signed, with its key."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a test")])
    here = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    made = made.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1)).add_extension(here, critical=False)
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    plain = serialization.PrivateFormat.PKCS8
    secret = key.private_bytes(serialization.Encoding.PEM, plain, serialization.NoEncryption())
    path.write_bytes(secret + made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def secure(certificate: Path) -> Iterator[Site]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with serving(tls=context) as found:
        yield found


def test_a_certificate_that_nobody_vouches_for_is_not_trusted(secure: Site) -> None:
    with pytest.raises(SourceError, match=r"the certificate of its server is not trusted \(self-signed certificate\)\. .* SSL_CERT_FILE"):
        find(secure.put("/a.csv", b"1"))
    assert secure.asked == []


def test_a_certificate_of_ones_own_authority_is(secure: Site, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert read(secure.put("/a.csv", b"id\n1\n")) == b"id\n1\n"


def test_nobody_is_led_from_tls_into_the_open(secure: Site, site: Site, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    target = site.put("/a.csv", b"1")
    with pytest.raises(SourceError, match="redirects from https to `http://127"):
        find(secure.put("/a.csv", Page(b"", 302, headers={"Location": target})))
    assert site.asked == []
