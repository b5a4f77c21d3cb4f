"""What a local Airflow is told: pure, and without Airflow."""

from __future__ import annotations

import json
from pathlib import Path

from headrace.airflow.home import Home
from headrace.airflow.surroundings import Wanted, surroundings

HOME = Home(Path("/flows/.airflow"))
FOLDER = Wanted(folder=Path("/flows"), home=HOME.folder)


def told(wanted: Wanted = FOLDER, **environment: str) -> dict[str, str]:
    return surroundings(wanted, HOME, port=8081, environment=environment)


def bundle(wanted: Wanted) -> dict[str, object]:
    (found,) = json.loads(told(wanted)["AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"])
    assert isinstance(found, dict)
    return found


def test_everything_is_on_loopback_at_one_port() -> None:
    environment = told(AIRFLOW__API__HOST="0.0.0.0", AIRFLOW__API__PORT="80", AIRFLOW__API__BASE_URL="https://airflow.example.org")
    assert (environment["AIRFLOW__API__HOST"], environment["AIRFLOW__API__PORT"]) == ("127.0.0.1", "8081")
    assert environment["AIRFLOW__API__BASE_URL"] == "http://127.0.0.1:8081"
    assert environment["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:8081/execution/"


def test_a_proxy_is_not_asked_for_loopback() -> None:
    environment = told(HTTP_PROXY="http://proxy:3128", no_proxy="intra.example.org")
    assert environment["NO_PROXY"] == environment["no_proxy"] == "127.0.0.1,localhost,intra.example.org"


def test_what_the_user_has_set_is_kept_where_it_can_be() -> None:
    environment = told(AIRFLOW__CORE__PARALLELISM="32", AIRFLOW_HOME="/etc/airflow", HEADRACE_LAKE="s3://lake", AIRFLOW_CONN_SHOP="{}")
    assert environment["AIRFLOW__CORE__PARALLELISM"] == "32"
    assert environment["AIRFLOW_HOME"] == "/flows/.airflow"
    assert environment["HEADRACE_LAKE"] == "s3://lake"
    assert environment["AIRFLOW_CONN_SHOP"] == "{}"


def test_a_database_a_lake_and_a_profile_are_passed_on_when_they_are_named() -> None:
    url = "postgresql+psycopg2://me:hunter2@db/airflow"
    assert told(AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=url)["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] == url
    environment = told(Wanted(Path("/flows"), HOME.folder, database=url, lake="/lake", profile="prod"), HEADRACE_LAKE="/other")
    assert environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] == url
    assert (environment["HEADRACE_LAKE"], environment["HEADRACE_PROFILE"]) == ("/lake", "prod")


def test_the_server_is_told_of_the_lake_in_the_settings_and_how_a_bucket_is_reached() -> None:
    wanted = Wanted(Path("/flows"), HOME.folder, shown="s3://shop/lake", reached={"connection": "my_aws", "region": "eu-west-1"})
    environment = told(wanted, AIRFLOW__HEADRACE__REGION="us-east-1")
    assert environment["AIRFLOW__HEADRACE__LAKES"] == "s3://shop/lake"
    assert (environment["AIRFLOW__HEADRACE__CONNECTION"], environment["AIRFLOW__HEADRACE__REGION"]) == ("my_aws", "us-east-1")
    assert "AIRFLOW__HEADRACE__CONNECTION" not in told()


def test_without_a_database_it_is_sqlite_in_the_home() -> None:
    assert told()["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] == "sqlite:////flows/.airflow/airflow.db?timeout=60"
    assert "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN" not in told(AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_CMD="pass show airflow")


def test_a_folder_is_shown_through_the_home_and_its_modules_are_found() -> None:
    assert bundle(FOLDER)["kwargs"] == {"path": "/flows/.airflow/pipelines", "refresh_interval": 5}
    assert told(PYTHONPATH="/lib")["PYTHONPATH"] == "/flows:/lib"


def test_a_repository_is_a_bundle_of_its_branch() -> None:
    wanted = Wanted(Path("/flows"), HOME.folder, git="https://example.org/flows.git", branch="prod", git_folder="pipelines")
    assert bundle(wanted)["classpath"] == "airflow.providers.git.bundles.git.GitDagBundle"
    expected = {"repo_url": "https://example.org/flows.git", "tracking_ref": "prod", "refresh_interval": 5, "subdir": "pipelines"}
    assert bundle(wanted)["kwargs"] == expected
    assert "PYTHONPATH" not in told(wanted)
