"""`headrace airflow up`: a local Airflow with the pipelines of a folder or a git repository, in one command."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from headrace.cli.options import lake_options
from headrace.cli.output import tell

if TYPE_CHECKING:
    from headrace.airflow.local import LocalAirflow, Seen
    from headrace.airflow.surroundings import Wanted

__all__ = ["up"]

_PAUSE_S = 0.5


@click.command()
@click.argument("folder", default=".", type=click.Path(path_type=Path))
@click.option("--git", metavar="URL", help="Take the pipelines from a git repository; FOLDER is then the one within it.")
@click.option("--branch", metavar="NAME", help="The branch or tag of the repository.  [main]")
@click.option("--port", type=click.IntRange(1, 65535), help="The port of the web page, on 127.0.0.1.  [8080, or any that is free]")
@click.option("--home", type=click.Path(path_type=Path), help="Airflow's own folder, used again the next time.  [FOLDER/.airflow]")
@click.option("--database", metavar="URL", help="Airflow's database.  [AIRFLOW__DATABASE__SQL_ALCHEMY_CONN; SQLite in its folder]")
@click.option("--timeout", metavar="SECONDS", type=click.FloatRange(1), default=300.0, help="The longest wait until it is up.  [300]")
@lake_options
def up(
    folder: Path,
    git: str | None,
    branch: str | None,
    port: int | None,
    home: Path | None,
    database: str | None,
    timeout: float,
    lake: str | None,
    profile: str | None,
) -> int:
    """Start a local Airflow that has the pipelines in FOLDER: the files that call `airflow_dag`.

    It prepares its database, starts, waits until all is well and says where it is. Whoever is on this machine may use it; nobody else
    can. Ctrl-C stops it.
    """
    from headrace.airflow.local import start
    from headrace.airflow.surroundings import Wanted

    if branch and not git:
        raise click.UsageError("--branch goes with --git.")
    folders = _folders(folder, git, home)
    shown, reached = (None, {}) if git else _lake_in_settings(folders[0], profile)
    wanted = Wanted(
        folder=folders[0],
        home=folders[1],
        git=git if git is None or not Path(git).exists() else str(Path(git).absolute()),
        branch=branch or "main",
        git_folder=None if git is None else "" if folder == Path() else str(folder),
        port=port,
        database=database,
        lake=_lake(lake, git, profile),
        shown=shown,
        reached=reached,
        profile=profile,
        timeout_s=timeout,
    )
    with _stoppable():
        airflow: LocalAirflow | None = None
        try:
            airflow = start(wanted, environment=os.environ, tell=tell)
            _show(airflow.wait_until_up(), airflow, wanted)
            while True:
                airflow.check()
                time.sleep(_PAUSE_S)
        except _StopError:
            tell("stopping")
        finally:
            if airflow is not None:
                airflow.stop()
    return 0


def _folders(folder: Path, git: str | None, home: Path | None) -> tuple[Path, Path]:
    """The pipelines' folder, with its links followed, and Airflow's own."""
    from headrace.core.errors import ConfigurationError

    place = (Path.cwd() if git else folder).resolve()
    if not place.is_dir():
        raise ConfigurationError(f"There is no folder {place}. Name the one that has the pipelines: headrace airflow up FOLDER")
    return place, (home or place / ".airflow").absolute()


def _lake(lake: str | None, git: str | None, profile: str | None) -> str | None:
    """The lake to pass on: the one that was asked for, or None for what the settings say.

    A repository is checked out anew for every version, so a lake beside the pipelines would be another one each time.
    """
    asked = lake or os.environ.get("HEADRACE_LAKE")
    if asked is None and git and not (profile or os.environ.get("HEADRACE_PROFILE")):
        asked = "lake"
        tell("the lake is ./lake here; say otherwise with --lake or --profile")
    return asked if asked is None or "://" in asked else str(Path(asked).expanduser().absolute())


def _lake_in_settings(folder: Path, profile: str | None) -> tuple[str | None, Mapping[str, str]]:
    """The lake of the pipelines in a folder itself, and how a bucket is reached: the server may show its reports.

    None for settings that the pipelines will complain of.
    """
    from headrace.config import read_config
    from headrace.core.errors import HeadraceError
    from headrace.run.access import plain_way_in

    try:
        config = read_config(folder / "pipelines.py", environment=os.environ, profile=profile)
    except HeadraceError:
        return None, {}
    return config.lake_uri, plain_way_in(config)


def _show(seen: Seen, airflow: LocalAirflow, wanted: Wanted) -> None:
    from headrace.cli.output import print_table
    from headrace.run.redaction import redacted

    if seen.dags:
        print_table(("dag", "schedule", "file"), seen.dags)
    for file, error in seen.errors:
        tell(redacted(f"can't be read: {file}: {error}"))
    for file in seen.silent:
        tell(f"has no DAG: {file}")
    if wanted.git and not (seen.dags or seen.errors):
        tell(f"nothing that calls `airflow_dag` was found; see {airflow.home.logs / 'dag-processor.log'}")
    tell(f"Airflow is up: {airflow.address}\nCtrl-C stops it")


class _StopError(Exception):
    """Ctrl-C, or the signal that asks a process to end."""


@contextmanager
def _stoppable() -> Iterator[None]:
    """Within it, the first signal raises; while stopping, another one changes nothing, since the keeper ends everything anyway."""

    def gently(*_: object) -> NoReturn:
        for sign in signs:
            signal.signal(sign, signal.SIG_IGN)
        raise _StopError

    signs = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {sign: signal.signal(sign, gently) for sign in signs}
    try:
        yield
    finally:
        for sign, handler in before.items():
            signal.signal(sign, handler)
