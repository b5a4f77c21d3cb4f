"""Connections are found where the task runs, are looked for when they are needed, and are secret from then on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from headrace.config import read_config
from headrace.core.connection import Connection
from headrace.core.errors import ConfigurationError
from headrace.run import connections, redaction
from headrace.run.connections import Connections, find_connection

URI = "https://ana:canary%2Fin%20uri@host"


@pytest.fixture(autouse=True)
def _as_in_a_new_process(monkeypatch):
    monkeypatch.setattr(connections, "_providers", [])
    monkeypatch.setattr(redaction, "_known", set())
    monkeypatch.setattr(redaction, "_listeners", [])


def config(folder: Path, toml: str = "", **environment: str):
    (folder / "headrace.toml").write_text(toml)
    return read_config(folder / "shop.py", environment=environment)


def test_it_is_found_in_the_variable_that_airflow_reads():
    found = find_connection("my_mlflow", asked="a test", environment={"AIRFLOW_CONN_MY_MLFLOW": URI})
    assert (found.login, found.password, found.host) == ("ana", "canary/in uri", "host")
    assert found.origin == "the variable AIRFLOW_CONN_MY_MLFLOW"


def test_an_orchestrator_is_asked_first_and_the_variable_where_it_has_none():
    connections.use_provider("Airflow", lambda name: Connection(name, "http", origin="Airflow") if name == "one" else None)
    environment = {"AIRFLOW_CONN_ONE": URI, "AIRFLOW_CONN_TWO": URI}
    assert find_connection("one", asked="a test", environment=environment).origin == "Airflow"
    assert find_connection("two", asked="a test", environment=environment).origin == "the variable AIRFLOW_CONN_TWO"


def test_what_is_not_there_is_told_with_where_it_was_asked_for_and_how_to_add_it():
    connections.use_provider("Airflow", lambda _: None)
    with pytest.raises(ConfigurationError) as caught:
        find_connection("my_aws", asked="connection, headrace.toml, [prod]", environment={})
    message = str(caught.value)
    assert "no connection `my_aws`, which connection, headrace.toml, [prod] asks for" in message
    assert "Looked in: Airflow, the variable AIRFLOW_CONN_MY_AWS" in message
    assert "airflow connections add my_aws" in message
    assert "export AIRFLOW_CONN_MY_AWS='{" in message
    assert redaction.redacted(message) == message


def test_a_setting_names_it_and_it_is_looked_for_once_and_not_before(tmp_path, monkeypatch):
    asked = []
    connections.use_provider("Airflow", lambda name: asked.append(name) or Connection(name, "http", origin="Airflow"))
    found = Connections(config(tmp_path, '[local]\ntracking_connection = "my_mlflow"\n'))
    assert asked == []
    assert found.of("tracking_connection") is found.of("tracking_connection")
    assert found.of("connection") is None
    assert asked == ["my_mlflow"]


def test_a_lake_in_a_folder_looks_for_none(tmp_path):
    connections.use_provider("Airflow", lambda name: pytest.fail(f"{name} was asked for"))
    assert Connections(config(tmp_path, '[local]\nconnection = "my_aws"\n')).of_lake() is None


def test_what_was_found_is_secret_from_then_on_and_others_are_told():
    told = []
    redaction.on_secret(told.append)
    find_connection("x", asked="a test", environment={"AIRFLOW_CONN_X": URI})
    assert "canary/in uri" in told
    assert redaction.redacted("it said: canary/in uri, canary%2Fin%20uri, YW5hOmNhbmFyeS9pbiB1cmk=") == "it said: ***, ***, ***="


def test_what_the_environment_holds_is_secret_without_being_asked_for(monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_Y", '{"conn_type": "aws", "extra": {"aws_session_token": "canary-token"}}')
    monkeypatch.setenv("AIRFLOW_CONN_BROKEN", "canary-that-is[no-uri://a://b://c")
    monkeypatch.setenv("HEADRACE_TRACKING_URI", "https://ana:canary-here@host")
    said = "canary-token canary-that-is[no-uri://a://b://c canary-here"
    assert redaction.redacted(said) == "*** *** ***"
    assert redaction.redacted_values({"a": [said, 1, None]}) == {"a": ["*** *** ***", 1, None]}


def test_a_child_process_is_handed_what_was_found(tmp_path):
    settings = config(tmp_path, '[local]\nconnection = "only_airflow_has_it"\n')
    connections.use_provider(
        "Airflow", lambda name: Connection(name, "aws", login="A", password="canary", extra={"a": [1]}, origin="Airflow")
    )
    ours = Connections(settings)
    found = ours.of("connection")
    handed = json.loads(json.dumps(ours.told()))
    connections._providers.clear()
    assert Connections(settings, given=handed).of("connection") == found
    assert redaction.redacted("canary") == "***"


_STORE = """
from headrace.backends.stores.memory import open as open_memory

def open(uri, access):
    print("opened with", access.connection, access.connection.password)
    return open_memory("memory://")
"""


def test_a_lake_that_is_no_folder_is_opened_with_the_connection(tmp_path):
    (tmp_path / "vault-1.dist-info").mkdir()
    (tmp_path / "vault_flavour.py").write_text(_STORE)
    (tmp_path / "vault-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: vault\nVersion: 1\n")
    (tmp_path / "vault-1.dist-info" / "entry_points.txt").write_text("[headrace.stores]\nvault = vault_flavour\n")
    (tmp_path / "headrace.toml").write_text('[local]\nlake = "vault://lake"\nconnection = "my_vault"\ntracking = "none"\n')
    (tmp_path / "shop.py").write_text(
        'import headrace as hr\nshop = hr.Pipeline("shop")\n@shop.table\ndef one():\n    return "select 1 as n"\n'
    )
    code = "from pathlib import Path; from headrace.run.opening import open_pipeline; open_pipeline(Path('shop.py'))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path]), "AIRFLOW_CONN_MY_VAULT": URI}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.stdout == "opened with Connection('my_vault', type='https', from the variable AIRFLOW_CONN_MY_VAULT) canary/in uri\n", (
        done.stderr
    )
