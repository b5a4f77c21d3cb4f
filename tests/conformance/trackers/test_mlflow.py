"""MLflow's own troubles: a server that is down, busy, locked or something else; a database that is none. No secret in any message."""

from __future__ import annotations

import base64
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from test_trackers import a_note

from headrace import plugins
from headrace.core.connection import parse_connection
from headrace.core.errors import ConfigurationError, HeadraceError, TransientError
from headrace.run import outbox


def opened(uri: str, **environment: str):
    return plugins.load("trackers", "mlflow").open(uri, environment=environment)


def test_a_server_is_told_without_importing_mlflow(project):
    code = "import sys; from headrace.backends.trackers import mlflow; mlflow.open('http://127.0.0.1:1'); sys.exit('mlflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_server_that_is_down_is_transient_and_the_message_says_what_happens_next(server):
    with pytest.raises(TransientError) as caught:
        opened("http://ana:hunter2@127.0.0.1:1").send([a_note(server)])
    assert "127.0.0.1:1 does not answer" in str(caught.value)
    assert "headrace sync" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_busy_server_is_transient(server):
    server.state.failing.add("runs/log-batch")
    with pytest.raises(TransientError, match="503"):
        server.tracker().send([a_note(server)])
    server.state.failing.clear()
    server.tracker().send([a_note(server)])
    assert len(server.runs()) == 1


def test_a_password_in_the_address_is_sent_as_a_header_and_never_shown(server):
    server.state.password = "Basic " + base64.b64encode(b"ana:p@ss").decode()
    address = server.uri.replace("://", "://ana:p%40ss@")
    opened(address).send([a_note(server)])
    assert len(server.runs()) == 1


def test_user_and_token_come_from_the_environment(server):
    server.state.password = "Bearer t0ken"
    opened(server.uri, MLFLOW_TRACKING_TOKEN="t0ken").send([a_note(server)])
    server.state.password = "Basic " + base64.b64encode(b"ana:pw").decode()
    opened(server.uri, MLFLOW_TRACKING_USERNAME="ana", MLFLOW_TRACKING_PASSWORD="pw").send([a_note(server)])
    assert len(server.runs()) == 1


def test_a_connection_has_the_address_and_the_way_in_and_a_sender_gets_it_by_a_pipe_alone(server, tmp_path, monkeypatch):
    server.state.password = "Basic " + base64.b64encode(b"ana:p@s/s w%rd").decode()
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "somebody-else")
    text = server.uri.replace("://", "://ana:p%40s%2Fs%20w%25rd@")
    connection = parse_connection("my_mlflow", text, origin="a test")
    plugins.load("trackers", "mlflow").open(None, connection=connection).send([a_note(server)])

    started = []
    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *words, **options: started.append(popen(*words, **options)) or started[-1])
    outbox.enqueue(tmp_path, a_note(server, identity="by a sender"))
    outbox.start_sender(tmp_path, outbox.Place("mlflow", None, connection))
    (sender,) = started
    seen = [Path(f"/proc/{sender.pid}/{name}") for name in ("environ", "cmdline")]
    assert not any(b"p@s" in path.read_bytes() or b"p%40s" in path.read_bytes() for path in seen if path.exists())
    assert sender.wait(30) == 0
    assert outbox.last_error(tmp_path) is None
    assert len(server.runs()) == 2


@pytest.mark.parametrize(
    ("text", "address", "way_in"),
    [
        ("mlflow://ana:pw@host:5000", "http://host:5000", {"MLFLOW_TRACKING_USERNAME": "ana", "MLFLOW_TRACKING_PASSWORD": "pw"}),
        ("https://:t0ken@host/under/here", "https://host/under/here", {"MLFLOW_TRACKING_TOKEN": "t0ken"}),
        ("http://https://host:443", "https://host:443", {}),
        ("http://host/https", "https://host", {}),
        ("http://[::1]:5000", "http://[::1]:5000", {}),
        ('{"conn_type": "http", "host": "h", "extra": {"token": "t"}}', "http://h", {"MLFLOW_TRACKING_TOKEN": "t"}),
        ("postgresql://ana:p%2Fw@db:5433/mlflow", "postgresql://ana:p%2Fw@db:5433/mlflow", None),
        ('{"conn_type": "sqlite", "host": "/srv/mlflow.db"}', "sqlite:////srv/mlflow.db", None),
    ],
)
def test_a_connection_as_an_address_and_a_way_in(text, address, way_in):
    connection = parse_connection("x", text, origin="a test")
    flavour = plugins.load("trackers", "mlflow")
    assert flavour.address_of(connection) == address
    assert way_in is None or flavour.credentials_of(connection) == way_in


def test_a_server_that_redirects_elsewhere_does_not_pass_the_password_on(server):
    seen = []

    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append(self.headers.get("Authorization"))
            if self.path.startswith("/there"):
                self.send_error(404)
                return
            self.send_response(302)
            self.send_header("Location", "/there")
            self.end_headers()

        def log_message(self, *_):
            pass

    running = HTTPServer(("127.0.0.1", 0), Elsewhere)
    threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        with pytest.raises(ConfigurationError):
            opened(f"http://ana:hunter2@127.0.0.1:{running.server_address[1]}").send([a_note(server)])
    finally:
        running.shutdown()
        running.server_close()
    assert [way is None for way in seen] == [False, True]


def test_a_connection_without_a_host_is_no_address():
    with pytest.raises(ConfigurationError, match="`x` from a test names no host"):
        plugins.load("trackers", "mlflow").open(None, connection=parse_connection("x", "http://ana:hunter2@", origin="a test"))


def test_a_server_that_lets_nobody_in_says_which_variables_to_set(server):
    server.state.password = "Bearer t0ken"
    with pytest.raises(ConfigurationError, match="MLFLOW_TRACKING_USERNAME"):
        opened(server.uri.replace("://", "://ana:hunter2@")).send([a_note(server)])


def test_a_server_that_is_not_mlflow_is_said_so(server):
    with pytest.raises(ConfigurationError, match="not an MLflow server"):
        opened(server.uri + "/elsewhere").send([a_note(server)])


def test_what_the_server_refuses_is_not_tried_again(server):
    server.tracker().send([a_note(server)])
    next(iter(server.state.runs.values()))["status"] = "RUNNING"
    with pytest.raises(HeadraceError, match="INVALID_PARAMETER_VALUE") as caught:
        server.tracker().send([a_note(server, parameters={"clusters": 6})])
    assert not caught.value.is_transient


@pytest.mark.parametrize("uri", ["file:///tmp/mlruns", "mlruns", "", "ftp://ana:hunter2@host/x", "http://"])
def test_an_address_that_is_neither_server_nor_database_is_refused(uri):
    with pytest.raises(ConfigurationError) as caught:
        opened(uri)
    assert "http://host:5000" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_file_that_is_no_database_is_said_so(tmp_path):
    pytest.importorskip("mlflow")
    (tmp_path / "mlflow.db").write_text("this is no database at all, " * 50)
    with pytest.raises(ConfigurationError, match="could not use the database"):
        opened(f"sqlite:///{tmp_path}/mlflow.db")


def test_notes_wait_while_the_server_is_down_and_arrive_when_it_is_up(server, tmp_path):
    server.state.failing.add("experiments/get-by-name")
    for index in range(3):
        outbox.enqueue(tmp_path, a_note(server, identity=str(index)))
    down = outbox.sync(tmp_path, server.tracker())
    assert (down.sent, down.waiting) == (0, 3)
    assert "failed at experiments/get-by-name (503)" in str(down.error)

    server.state.failing.clear()
    assert outbox.sync(tmp_path, server.tracker()).sent == 3
    assert [run["tags"]["headrace.identity"] for run in server.runs()] == ["0", "1", "2"]


def test_a_sender_that_nobody_watches_leaves_its_error_without_secrets_and_keeps_the_note(server, tmp_path):
    outbox.enqueue(tmp_path, a_note(server))
    outbox.start_sender(tmp_path, outbox.Place("mlflow", "http://ana:hunter2@127.0.0.1:1"))
    end = time.monotonic() + 30
    while outbox.last_error(tmp_path) is None:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert "127.0.0.1:1 does not answer" in str(outbox.last_error(tmp_path))
    assert "hunter2" not in str(outbox.last_error(tmp_path))
    assert outbox.pending(tmp_path) == 1
