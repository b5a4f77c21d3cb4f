"""`headrace airflow`: commands about Airflow, each in a file of its own that is imported when it is called."""

from __future__ import annotations

import click

from headrace.cli.lazy import LazyGroup

__all__ = ["airflow"]

_COMMANDS = {
    "up": "Start a local Airflow that has the pipelines of a folder or a git repository.",
    "check": "Read a file as Airflow does: errors, warnings, what it costs, clashes.",
}
_HOMES = {name: f"airflow_{name}" for name in _COMMANDS}


@click.group(cls=LazyGroup, helps=_COMMANDS, homes=_HOMES)
def airflow() -> None:
    """What has to do with Airflow: a local one, and checks."""
