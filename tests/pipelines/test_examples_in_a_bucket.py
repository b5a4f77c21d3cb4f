"""A lake in a bucket holds what a lake in a folder holds: every example is run in both, each as a user runs it.

Each run has a machine of its own: an empty home, an empty temporary folder, and a working folder with the pipeline and its files in it.
One thread and one job, in both: sums of floating-point numbers depend on their order, which several threads choose anew in each run, in a
folder as in a bucket; and of two jobs it depends on who is first whether an hour is made or copied from another.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from commands import Said, headrace
from example_runs import EXAMPLES, FOLDER, Example
from lake_contents import contents, decisions
from object_servers import S3Server, moto_server, s3_server, why_no

import headrace as hr
from headrace.core.split import ROW_PARTS
from headrace.lake.lake import Lake
from headrace.run.session import open_lake_at

CASES = [
    pytest.param(("moto", "tumours"), id="tumours-moto"),
    *(pytest.param(("versitygw", name), id=f"{name}-versitygw", marks=pytest.mark.integration) for name in EXAMPLES),
]


class Machine:
    """Where the processes of an example may leave something, and what they are told."""

    def __init__(self, folder: Path, name: str, lake: str, given: Mapping[str, str]) -> None:
        self.folder, self.name, self.lake = folder, name, lake
        for made in ("home", "temp", "work/files"):
            (folder / made).mkdir(parents=True)
        shutil.copy(FOLDER / f"{name}.py", folder / "work")
        here = {"HOME": str(folder / "home"), "TMPDIR": str(folder / "temp"), "XDG_CACHE_HOME": "", "PYTHONDONTWRITEBYTECODE": "1"}
        one = {"HEADRACE_THREADS": "1", "HEADRACE_JOBS": "1"}
        self.variables = {**given, **here, **one, **EXAMPLES[name].draw(folder / "work" / "files")}
        self.brought = self.files()

    @property
    def cache(self) -> Path:
        return self.folder / "home" / ".cache" / "headrace"

    def run(self, command: str, *arguments: str) -> Said:
        words = (command, f"{self.name}.py", *arguments, "--lake", self.lake, "--json")
        said = headrace(*words, cwd=self.folder / "work", env={"HEADRACE_TRACKING": "auto", **self.variables})
        assert said.code == 0, said.err
        return said

    def files(self) -> set[str]:
        return {path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*") if path.is_file()}


@dataclass(frozen=True)
class Both:
    """An example that was run on a machine with its lake in a folder, and on one with its lake in a bucket."""

    example: Example
    in_folder: Machine
    in_bucket: Machine
    said: list[tuple[Said, Said]]

    def lakes(self) -> tuple[Lake, Lake]:
        folder, bucket = (open_lake_at(machine.lake, read_only=True) for machine in (self.in_folder, self.in_bucket))
        return folder, bucket


@pytest.fixture(scope="session")
def run_in_both() -> Iterator[Callable[[str, str], Both]]:
    """Runs an example in a folder and on a server, once."""
    done: dict[tuple[str, str], Both] = {}
    servers: dict[str, S3Server] = {}
    with ExitStack() as stack:

        def place() -> Path:
            return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headrace-examples-")))

        def run(server: str, name: str) -> Both:
            if server not in servers:
                servers[server] = stack.enter_context(moto_server() if server == "moto" else s3_server(place()))
            if (server, name) not in done:
                s3 = servers[server]
                folder, home = place(), place()
                machines = Machine(folder, name, str(folder / "lake"), {}), Machine(home, name, f"s3://{s3.bucket}/{name}", s3.environment)
                commands = EXAMPLES[name].commands
                said = [(machines[0].run(*command), machines[1].run(*command)) for command in commands]
                done[server, name] = Both(EXAMPLES[name], *machines, said)
            return done[server, name]

        yield run


@pytest.fixture(params=CASES)
def both(request: pytest.FixtureRequest, run_in_both: Callable[[str, str], Both], monkeypatch: pytest.MonkeyPatch) -> Both:
    """An example that was run in both; this process has the variables of the machine with the bucket."""
    server, name = request.param
    if server == "versitygw" and why_no(server):
        pytest.skip(why_no(server))
    found = run_in_both(server, name)
    for variable, value in found.in_bucket.variables.items():
        monkeypatch.setenv(variable, value)
    return found


def test_every_example_is_run() -> None:
    assert {file.stem for file in FOLDER.glob("*.py")} == set(EXAMPLES)


def test_contents_and_fingerprints_are_equal_dataset_by_dataset_and_interval_by_interval(both: Both) -> None:
    folder, bucket = map(contents, both.lakes())
    assert len(folder) >= 5
    assert bucket == folder


def test_the_same_was_decided_about_models_for_the_same_reasons(both: Both) -> None:
    folder, bucket = map(decisions, both.lakes())
    assert all(folder.values())
    assert bucket == folder


def test_receipts_tell_the_same(both: Both) -> None:
    for folder, bucket in both.said:
        assert told(bucket) == told(folder)


def told(said: Said) -> list[Any]:
    kept = ("step", "interval", "state", "why", "version", "rows_read", "rows_kept", "rows_quarantined", "metrics")
    return sorted([receipt.get(name) for name in kept] for receipt in said.document["receipts"])


def test_nothing_is_left_on_the_disk_but_the_cache(both: Both) -> None:
    left = both.in_bucket.files() - both.in_bucket.brought
    assert left
    assert {file for file in left if not file.startswith("home/.cache/headrace/objects/")} == set()


def test_when_the_cache_is_gone_everything_still_reads_and_nothing_runs_again(both: Both) -> None:
    shutil.rmtree(both.in_bucket.cache)
    opened, beside = hr.open_lake(both.in_bucket.lake), hr.open_lake(both.in_folder.lake)
    names = [listing.name for listing in opened.ls() if not listing.name.endswith("._runs")]
    assert names == [listing.name for listing in beside.ls() if not listing.name.endswith("._runs")]
    for name in names:
        parts = [part.name for part in opened.manifest(name).content.parts]
        if set(parts) & set(ROW_PARTS):
            assert opened.read(name).equals(beside.read(name)), name
    for model in both.example.models:
        pipeline = both.in_bucket.name
        assert type(opened.model(f"{pipeline}.{model}")) is type(beside.model(f"{pipeline}.{model}"))
    again = both.in_bucket.run(*both.example.commands[-1])
    assert {receipt["state"] for receipt in again.document["receipts"]} == {"cached"}
