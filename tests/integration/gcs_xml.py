"""The XML API of Google Cloud Storage in front of fake-gcs-server, which stores objects through the JSON API only.

obstore speaks the XML API. Each request becomes one of the JSON API: the emulator keeps the objects, decides which conditional put
wins, and answers; here only the words are turned. Uploads in parts are ours alone: the parts wait in memory until they are completed. So what
passes against this shows that our requests and answers are well formed and our own code right, not how Google's servers behave.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.client import HTTPConnection
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit
from xml.sax.saxutils import escape

from loopback_server import LoopbackHandler, LoopbackServer, serving

__all__ = ["xml_api"]

_JSON_API = ("/storage/", "/upload/", "/download/", "/_internal/")
_SPACE = "http://doc.s3.amazonaws.com/2006-03-01"
_CONDITION = "x-goog-if-generation-match"


class _Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes


@contextmanager
def xml_api(port: int) -> Iterator[str]:
    """Serve it in front of the emulator at a port; its address."""
    server = _Server(port)
    with serving(server):
        yield server.address


class _Server(LoopbackServer):
    def __init__(self, port: int) -> None:
        self.port = port
        self.uploads: dict[str, dict[int, bytes]] = {}
        super().__init__(_Handler)


class _Handler(LoopbackHandler):
    server: _Server

    def serve(self) -> None:
        parts = urlsplit(self.path)
        bucket, _, key = (unquote(part) for part in parts.path.removeprefix("/").partition("/"))
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if parts.path.startswith(_JSON_API):
            answer = self._ask(self.command, self.path, body, dict(self.headers))
        elif not key:
            answer = self._list(bucket, query)
        elif self.command in ("GET", "HEAD"):
            answer = self._ask(self.command, f"/download{_object(bucket, key)}?alt=media", b"", _asked(self.headers))
        elif self.command == "DELETE":
            answer = self._abort(query["uploadId"]) if "uploadId" in query else self._ask("DELETE", _object(bucket, key))
        else:
            answer = self._write(bucket, key, query, body)
        self._answer(answer)

    # ------------------------------------------------------------ writing

    def _write(self, bucket: str, key: str, query: Mapping[str, str], body: bytes) -> _Answer:
        if "uploads" in query:
            upload = uuid.uuid4().hex
            self.server.uploads[upload] = {}
            return _xml("InitiateMultipartUploadResult", f"<Bucket>{bucket}</Bucket><Key>{escape(key)}</Key><UploadId>{upload}</UploadId>")
        if "partNumber" in query:
            self.server.uploads[query["uploadId"]][int(query["partNumber"])] = body
            return _Answer(HTTPStatus.OK, {"ETag": f'"{hashlib.md5(body).hexdigest()}"'}, b"")
        if "uploadId" in query:
            return self._complete(bucket, key, query["uploadId"])
        if source := self.headers.get("x-goog-copy-source"):
            return self._copy(source, bucket, key)
        return self._insert(bucket, key, body)

    def _insert(self, bucket: str, key: str, body: bytes) -> _Answer:
        query = {"uploadType": "media", "name": key}
        if self.headers.get(_CONDITION):
            query["ifGenerationMatch"] = self.headers[_CONDITION]
        kind = {"Content-Type": self.headers.get("content-type") or "application/octet-stream"}
        return _told(self._ask("POST", f"/upload/storage/v1/b/{quote(bucket)}/o?{urlencode(query)}", body, kind))

    def _copy(self, source: str, bucket: str, key: str) -> _Answer:
        if self.headers.get(_CONDITION):
            return _Answer(HTTPStatus.NOT_IMPLEMENTED, {}, b"the emulator knows no conditional copy")
        of, _, name = unquote(source).removeprefix("/").partition("/")
        return _told(self._ask("POST", f"{_object(of, name)}/copyTo/b/{quote(bucket)}/o/{quote(key, safe='')}"))

    def _complete(self, bucket: str, key: str, upload: str) -> _Answer:
        parts = self.server.uploads.pop(upload)
        answer = self._insert(bucket, key, b"".join(body for _, body in sorted(parts.items())))
        if answer.status != HTTPStatus.OK:
            return answer
        whole = _xml("CompleteMultipartUploadResult", f"<ETag>{escape(answer.headers['ETag'])}</ETag>")
        return whole._replace(headers={**whole.headers, **answer.headers})

    def _abort(self, upload: str) -> _Answer:
        return _Answer(HTTPStatus.NO_CONTENT if self.server.uploads.pop(upload, None) is not None else HTTPStatus.NOT_FOUND, {}, b"")

    # ------------------------------------------------------------ listing

    def _list(self, bucket: str, query: Mapping[str, str]) -> _Answer:
        asked = {"maxResults": query.get("max-keys", "1000"), "pageToken": query.get("continuation-token", "")}
        asked |= {"prefix": query.get("prefix", ""), "delimiter": query.get("delimiter", ""), "startOffset": query.get("start-after", "")}
        answer = self._ask("GET", f"/storage/v1/b/{quote(bucket)}/o?" + urlencode({k: v for k, v in asked.items() if v}))
        if answer.status != HTTPStatus.OK:
            return answer
        told = json.loads(answer.body)
        found = [each for each in told.get("items", []) if each["name"] > query.get("start-after", "")]
        token = told.get("nextPageToken", "")
        content = "".join(_listed(each) for each in found)
        content += "".join(f"<CommonPrefixes><Prefix>{escape(each)}</Prefix></CommonPrefixes>" for each in told.get("prefixes", []))
        content += f"<IsTruncated>{str(bool(token)).lower()}</IsTruncated>"
        content += f"<NextContinuationToken>{escape(token)}</NextContinuationToken>" if token else ""
        return _xml("ListBucketResult", f"<Name>{bucket}</Name>{content}")

    # ------------------------------------------------------------ asking and answering

    def _ask(self, method: str, target: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> _Answer:
        connection = HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        try:
            kept = {k: v for k, v in (headers or {}).items() if k.lower() not in ("host", "connection", "content-length")}
            host = {"Host": f"127.0.0.1:{self.server.port}", "Accept-Encoding": "identity"}
            connection.request(method, target, body, {**kept, **host})
            response = connection.getresponse()
            return _Answer(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()

    def _answer(self, answer: _Answer) -> None:
        self.send_response_only(answer.status)
        length = answer.headers.get("Content-Length") if self.command == "HEAD" else None
        for name, value in answer.headers.items():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        if answer.status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", length or str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)


def _object(bucket: str, key: str) -> str:
    return f"/storage/v1/b/{quote(bucket)}/o/{quote(key, safe='')}"


def _asked(headers: Any) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() in ("range", "if-match", "if-none-match", "if-modified-since")}


def _told(answer: _Answer) -> _Answer:
    """The JSON of an object that was written, as the headers of the XML API."""
    if answer.status != HTTPStatus.OK:
        return answer
    told = json.loads(answer.body)
    return _Answer(HTTPStatus.OK, {"ETag": f'"{told["etag"].strip(chr(34))}"', "x-goog-generation": str(told["generation"])}, b"")


def _listed(each: Mapping[str, Any]) -> str:
    facts = {
        "Key": each["name"],
        "Generation": each["generation"],
        "LastModified": each["updated"],
        "ETag": each["etag"],
        "Size": each["size"],
    }
    return "<Contents>" + "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in facts.items()) + "</Contents>"


def _xml(name: str, content: str) -> _Answer:
    body = f'<?xml version="1.0" encoding="UTF-8"?><{name} xmlns="{_SPACE}">{content}</{name}>'
    return _Answer(HTTPStatus.OK, {"Content-Type": "application/xml"}, body.encode())
