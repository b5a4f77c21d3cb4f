"""Secrets planted for a run that fails in many ways, and a search for them in everything that the run left.

Each canary holds the word MARK, which stands nowhere else, beside characters that URLs, JSON, Python and HTML write in other ways:
so a secret that was spelt in any of them, or cut, is found.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

MARK = "cAnArY"
PASSWORD = f"""{MARK}-one /"quote's"&<b>@é%#"""
TOKEN = f"{MARK}-two+plus\\back=\u2028{{brace}}"
KEY = f"-----BEGIN {MARK}-----\n{MARK}-three/abcdef\n-----END {MARK}-----"
URI_PASSWORD = f"{MARK}-four:/?[x]@"
LOGIN = "ana"
BASIC = b64encode(f"{LOGIN}:{PASSWORD}".encode()).decode().rstrip("=")


def connection(server: str) -> dict[str, object]:
    """The tracker's connection, with secrets in its password and its extra."""
    host, _, port = server.rpartition(":")
    return {"conn_type": "http", "host": host, "port": int(port), "login": LOGIN, "password": PASSWORD, "extra": {"private_key": KEY}}


def environment() -> dict[str, str]:
    return {
        "SHOP_API_TOKEN": TOKEN,
        "SHOP_PASSWORD": PASSWORD,
        "SHOP_SECRET_KEY": KEY,
        "SHOP_URL": f"https://ana:{_quoted(URI_PASSWORD)}@127.0.0.1:9/x",
    }


def _quoted(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="")


PIPELINE = '''
"""Fails in as many ways as there are to tell a secret."""

import json
import os
import time
from urllib.parse import unquote, urlsplit

import headrace as hr

leaks = hr.Pipeline("leaks", schedule="@daily", start="2026-01-01")


def secrets():
    url = os.environ["SHOP_URL"]
    return [os.environ["SHOP_API_TOKEN"], os.environ["SHOP_PASSWORD"], os.environ["SHOP_SECRET_KEY"], url, unquote(urlsplit(url).password)]


@leaks.table
def good():
    return "select range as x, 2 * range as y, range % 2 as g from range(40)"


@leaks.table
def plain(good):
    raise ValueError("no answer: " + " ".join(secrets()))


@leaks.table
def keyed(good):
    raise KeyError(tuple(secrets()))


@leaks.table
def chained(good):
    try:
        raise OSError(json.dumps(secrets()))
    except OSError as error:
        error.add_note(repr(secrets()))
        raise RuntimeError(f"wrapped {error!r}") from error


@leaks.table
def grouped(good):
    raise ExceptionGroup("both", [ValueError(secret) for secret in secrets()])


@leaks.table(retries=1)
def passing(good):
    raise ConnectionError(str(secrets()).encode())


@leaks.table
def panicking(good):
    raise BaseException(str(secrets()))


@leaks.table(timeout="90s")
def apart(good):
    raise ValueError(json.dumps(secrets()))


@leaks.table(timeout="1s")
def slow(good):
    time.sleep(30)


@leaks.table
def sql(good):
    return "select * from nowhere where url = '" + secrets()[3] + "' and token = '" + secrets()[0].replace("'", "''") + "'"





@leaks.model(good, features=["x"], target="y", gate=[hr.at_least("r2", 0.1)])
def line():
    from sklearn.linear_model import LinearRegression

    return LinearRegression()


dag = hr.airflow_dag(leaks)
'''

SPOILT = """
import os

import headrace as hr

spoilt = hr.Pipeline("spoilt")
raise ValueError(os.environ["SHOP_API_TOKEN"] + os.environ["SHOP_URL"])
"""


@contextmanager
def echoing_server() -> Iterator[tuple[str, list[str]]]:
    """A tracker that refuses everybody, and says in its answer how they tried to get in."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            header = self.headers.get("Authorization", "")
            seen.append(header)
            way_in = b64decode(header.partition(" ")[2]).decode()
            body = json.dumps({"error_code": "REFUSED", "message": f"{header} is {way_in} in {json.dumps(way_in)}"}).encode()
            self.send_response(500)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = _answer

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}", seen
    finally:
        server.shutdown()
        server.server_close()


def leaks_in(name: str, data: bytes) -> list[str]:
    """Where the mark stands in some bytes, or the password as HTTP sends it; with what is around it."""
    found = []
    for sought in (MARK.encode(), MARK.encode("utf-16-le"), b64encode(MARK.encode())[:6], BASIC.encode()):
        at = data.find(sought)
        if at >= 0:
            found.append(f"{name}: …{data[max(0, at - 120) : at + 60]!r}")
    return found


def leaks_under(folder: Path, *, ignored: frozenset[str] = frozenset()) -> list[str]:
    """Every file that a secret was left in; of a database each row, but those of the tables that are `ignored`."""
    found: list[str] = []
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.suffix == ".pyc":
            continue
        if path.read_bytes()[:15] == b"SQLite format 3":
            found += [leak for name, row in rows_of(path) if name not in ignored for leak in leaks_in(f"{path.name}, {name}", row)]
        else:
            found += leaks_in(str(path.relative_to(folder)), path.read_bytes())
    return found


def rows_of(database: Path) -> Iterator[tuple[str, bytes]]:
    with closing(sqlite3.connect(database)) as opened:
        for (name,) in opened.execute("select name from sqlite_master where type = 'table'").fetchall():
            for row in opened.execute(f'select * from "{name}"'):
                yield name, b"\0".join(value if isinstance(value, bytes) else str(value).encode("utf-8", "replace") for value in row)
