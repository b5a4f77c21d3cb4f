"""A local Airflow's folder: what it shows of the pipelines, and who may use it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from headrace.airflow.discovery import calls_airflow_dag, pipeline_files, unsearched
from headrace.airflow.home import Home, RunsAlreadyError
from headrace.core.errors import ConfigurationError


def write(file: Path, text: str = "dag = hr.airflow_dag(shop)\n") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project with everything in it that is no pipeline."""
    project = tmp_path / "project"
    write(project / "shop.py")
    write(project / "more" / "wine.py", "dag = hr.airflow_dag(\n    wine,\n)\n")
    write(project / "cleaning.py", '"""airflow_dag is not called here."""\n')
    write(project / "env" / "lib" / "site.py")
    write(project / "env" / "pyvenv.cfg", "")
    write(project / ".venv" / "other.py")
    write(project / "lake" / "headrace.json", "{}")
    write(project / "lake" / "strange.py")
    return project


def test_a_pipeline_file_is_one_that_calls_airflow_dag(folder: Path) -> None:
    assert pipeline_files(folder) == [Path("more/wine.py"), Path("shop.py")]
    assert calls_airflow_dag(str(folder / "shop.py"))
    assert not calls_airflow_dag(str(folder / "cleaning.py"))
    assert not calls_airflow_dag(str(write(folder / "notes.md")))


def test_environments_and_lakes_are_not_searched(folder: Path) -> None:
    assert unsearched(folder) == [Path("env"), Path("lake")]


def test_the_pipelines_are_shown_by_a_link_and_nothing_is_written_among_them(folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    home = Home(folder.parent / "home")
    home.make()
    home.show(folder)
    home.show(folder)  # again, as at the next start
    assert sorted(folder.rglob("*")) == before
    assert home.files(None) == [Path("project/more/wine.py"), Path("project/shop.py")]
    assert (home.shown / "project" / "shop.py").resolve() == folder / "shop.py"
    ignored = (home.shown / ".airflowignore").read_text().splitlines()
    assert {".*/", "/project/env/", "/project/lake/"} <= set(ignored)


def test_a_lake_that_the_first_run_will_make_is_not_searched_but_a_folder_of_that_name_is(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.make()
    home.show(write(tmp_path / "new" / "shop.py").parent)
    assert "/new/lake/" in (home.shown / ".airflowignore").read_text()
    home.show(write(tmp_path / "old" / "lake" / "levels.py").parents[1])
    assert "/old/lake/" not in (home.shown / ".airflowignore").read_text()
    assert home.files(None) == [Path("old/lake/levels.py")]


def test_a_database_is_prepared_once_for_a_version(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.note_prepared("3.3.2")
    assert not home.is_prepared("3.3.2")  # the database is gone
    write(tmp_path / "airflow.db", "")
    assert home.is_prepared("3.3.2")
    assert not home.is_prepared("3.4.0")


def test_git_does_not_see_a_home(tmp_path: Path) -> None:
    home = Home(tmp_path / ".airflow")
    home.make()
    assert (home.folder / ".gitignore").read_text() == "*\n"


def test_a_home_that_cannot_be_made_is_told_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="--home"):
        Home(write(tmp_path / "file") / "home").make()


def test_one_airflow_at_a_time_uses_a_home(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.make()
    lock = home.lock()
    home.write(address="http://127.0.0.1:8081", session=2**22 + 1)
    try:
        with pytest.raises(RunsAlreadyError, match=r"runs already, at http://127\.0\.0\.1:8081") as refused:
            home.lock()
    finally:
        os.close(lock)
    assert refused.value.address == "http://127.0.0.1:8081"
    os.close(home.lock())
    assert not (tmp_path / "up.json").exists()


@pytest.mark.parametrize("note", ["", "{", "[]", '{"session": "x"}', '{"session": 4194305, "address": "http://127.0.0.1:1"}'])
def test_what_is_noted_of_an_airflow_that_is_gone_does_not_matter(tmp_path: Path, note: str) -> None:
    home = Home(tmp_path)
    home.make()
    (tmp_path / "up.json").write_text(note)
    os.close(home.lock())
    assert not (tmp_path / "up.json").exists()
