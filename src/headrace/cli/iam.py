"""`headrace iam`: the smallest IAM policies for a pipeline whose lake is on S3."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from headrace.cli.options import as_json, file_argument, lake_options
from headrace.cli.output import print_json, tell
from headrace.config import read_config
from headrace.core.iam import LARGEST
from headrace.run.loading import load_pipeline
from headrace.run.permissions import PURPOSES, Asked, Permissions, permissions
from headrace.run.placing import placed

__all__ = ["iam"]


@click.command()
@file_argument
@click.option("--for", "purpose", type=click.Choice(PURPOSES), help="Only this policy, alone on standard output.  [all four]")
@click.option("--reads", multiple=True, metavar="NAME", help="A dataset for the readers, as often as needed.  [the predictions]")
@click.option("--wide", is_flag=True, help="Allow the pipeline's folders as a whole, so that a new step needs no new policy.")
@click.option("--only-new", is_flag=True, help="Let AWS refuse to replace an entry of the lake (condition s3:if-none-match).")
@click.option("--account", metavar="ID", help="The account of a KMS key that is not named by its ARN.")
@click.option("--partition", metavar="NAME", help="Such as aws-cn.  [that of the profile's region; aws]")
@lake_options
@as_json
def iam(
    file: Path,
    purpose: str | None,
    reads: tuple[str, ...],
    wide: bool,  # noqa: FBT001  # click passes options by name
    only_new: bool,  # noqa: FBT001
    account: str | None,
    partition: str | None,
    lake: str | None,
    profile: str | None,
    as_json: bool,  # noqa: FBT001
) -> int:
    """Print the smallest IAM policies for the pipeline in FILE: for its steps, for gc, for an endpoint, for readers.

    Nothing is asked of AWS, and no lake is opened. A policy names datasets: print it again when the pipeline has new ones.
    """
    loaded = load_pipeline(file)
    config = read_config(loaded.file, environment=os.environ, profile=profile, overrides={"lake": lake})
    found = permissions(placed(loaded.graph, config, loaded.file.parent), config, Asked(account, partition, only_new, wide, reads))
    if as_json:
        print_json({one.purpose: one.policy.to_json() if one.policy else None for one in found if purpose in (None, one.purpose)})
    for one in found:
        if purpose in (None, one.purpose):
            _show(one, is_alone=as_json or purpose is not None, is_document=not as_json)
    return 0


def _show(one: Permissions, *, is_alone: bool, is_document: bool) -> None:
    """A line that says which it is, what is to be known of it, and the document; what is said goes aside where the document is alone."""
    size = f": {one.policy.size:,} of {LARGEST:,} characters" if one.policy else ": none"
    tell(f"{one.purpose}, {one.about}{size}", err=is_alone)
    for note in one.notes:
        tell(f"  {note}", err=is_alone)
    if is_document and one.policy:
        click.echo(json.dumps(one.policy.to_json(), indent=2))
    if is_document and not is_alone:
        tell("")
