"""`headrace init`: a first pipeline file, from a CSV file."""

from __future__ import annotations

from pathlib import Path

import click

from headrace.cli.output import tell
from headrace.run.starter import write_starter

__all__ = ["init"]


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--target", metavar="COLUMN", help="The column to predict. Without one: a contract and a table.")
@click.option(
    "--into", metavar="FILE", type=click.Path(path_type=Path), help="The file to write, or its folder.  [named after the data, here]"
)
def init(data: Path, target: str | None, into: Path | None) -> int:
    """Write a pipeline file that runs, from the CSV file DATA: a contract inferred from it, a table, a first model."""
    written = write_starter(data, target=target, into=into or Path.cwd())
    tell(f"wrote {written}")
    tell(f"Run it: headrace run {written}")
    return 0
