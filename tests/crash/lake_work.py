"""What the crash tests do to a lake, and what a reader and a rerun must find there afterwards.

A place is a folder, or the URI of a prefix in a bucket, which is reached as the environment says, like anyone's.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import cast

from headrace.backends.stores import local
from headrace.core.errors import Where
from headrace.core.interval import Grid, Interval
from headrace.core.manifest import Content, InputRef, Manifest
from headrace.core.ports import Column, EngineSession
from headrace.core.source_options import dataset
from headrace.core.step import Source
from headrace.core.store import Store
from headrace.lake.chain import Decision
from headrace.lake.collect import collect, plan_collection
from headrace.lake.commit import Attempt
from headrace.lake.lake import Lake
from headrace.lake.log import DatasetLog
from headrace.plugins import load
from headrace.run.access import access_from_afar
from headrace.run.catalog import Catalog
from headrace.run.upstream import look_upstream
from headrace.steps.datasets import take_rows

HOUR = Interval.of("2026-11-20T08", "2026-11-20T09")
PARTS = ("rows", "quarantine")
LARGE = 9 * 2**20  # more than goes to a bucket in one request

Place = Path | str


def store_at(place: Place) -> Store:
    if isinstance(place, Path):
        return local.open(str(place))
    return cast(Store, load("stores", "s3").open(place, access_from_afar({}, None)))


def open_lake(place: Place, *, read_only: bool = False) -> Lake:
    return Lake.open(store_at(place), clock=lambda: datetime.now(UTC), read_only=read_only)


def log_of(lake: Lake) -> DatasetLog:
    return lake.log("shop", "sums")


def text_of(part: str, code: str) -> bytes:
    return f"{part} by {code}, ".encode() * 50


def commit(place: Place, code: str, interval: Interval = HOUR) -> Manifest:
    """What a run does: open the lake, claim the dataset, commit two parts in two layers made from an input, or adopt what is there."""
    lake = open_lake(place)
    log = log_of(lake)
    log.claim({"step": "table"})

    def work(attempt: Attempt, current: Manifest | None):
        if current and current.content.fingerprint == code:
            return None
        made = []
        for part in PARTS:
            layer = "quarantine" if part == "quarantine" else "gold"
            attempt.file(part, layer=layer).write_bytes(text_of(part, code))
            made.append(attempt.part(part, layer, rows=50))
        return Content("data", parts=tuple(made), fingerprint=code, inputs=_inputs(lake)), {}

    return log.commit(interval, work)


def make_input(place: Place) -> Manifest:
    log = open_lake(place).log("shop", "purchases")

    def work(attempt: Attempt, current: Manifest | None):
        if current and current.content.fingerprint == "input":
            return None
        attempt.file("rows", layer="silver").write_bytes(b"input")
        return Content("data", parts=(attempt.part("rows", "silver"),), fingerprint="input"), {}

    return log.commit(HOUR, work)


def _inputs(lake: Lake) -> tuple[InputRef, ...]:
    found = lake.log("shop", "purchases").current(HOUR)
    return (InputRef.of("shop.purchases", HOUR, [(HOUR, found.version, found.content.digest)]),) if found else ()


def collect_all(place: Place) -> None:
    lake = open_lake(place)
    collect(lake, plan_collection(lake, keep=0, polite=timedelta(0)))


def read(place: Place, interval: Interval = HOUR) -> str | None:
    """The code that made what a reader gets now; None when there is nothing. Everything that it opens is verified."""
    try:
        lake = open_lake(place, read_only=True)
    except LookupError:
        return None
    log = log_of(lake)
    if log.current(interval) is None:
        return None

    def use(manifest: Manifest) -> str:
        for part in PARTS:
            (path,) = lake.read_paths(manifest, part, verify=True)
            assert path.read_bytes() == text_of(part, manifest.content.fingerprint)
        return manifest.content.fingerprint

    return log.read(interval, use)


def check_whole(place: Place) -> None:
    """Versions without holes; every input that an entry names is there."""
    lake = open_lake(place)
    for name in lake.datasets():
        log = lake.log(*name.split("."))
        for interval, versions in log.versions().items():
            assert versions == tuple(range(1, len(versions) + 1))
            for manifest in log.history(interval):
                for ref in manifest.content.inputs:
                    for read_interval, version in ref.versions_of().items():
                        lake.log(*ref.dataset.split(".")).manifest(read_interval, version)


def files_in(place: Place) -> set[str]:
    """The data files in a lake, whatever names them."""
    return {key for key in open_lake(place).store.keys("") if key.endswith(".parquet")}


# ---------------------------------------------------------------- a commit of several files, one of them large


def large_of(code: str) -> bytes:
    return sha256(code.encode()).digest() * (LARGE // 32)


def commit_large(place: Place, code: str) -> Manifest:
    """A commit of four files, one of which is uploaded in parts."""
    lake = open_lake(place)
    log = lake.log("shop", "archive")

    def work(attempt: Attempt, current: Manifest | None):
        if current and current.content.fingerprint == code:
            return None
        for number in range(3):
            attempt.file("rows", layer="bronze", number=number).write_bytes(text_of(str(number), code))
        attempt.file("raw", layer="bronze", suffix="csv").write_bytes(large_of(code))
        parts = (attempt.part("rows", "bronze", file_rows=[1, 1, 1]), attempt.part("raw", "bronze"))
        return Content("data", parts=parts, fingerprint=code), {}

    return log.commit(HOUR, work)


def read_large(place: Place) -> str | None:
    """The code that made the archive that a reader gets now. Everything that it opens is verified."""
    lake = open_lake(place)
    log = lake.log("shop", "archive")
    if log.current(HOUR) is None:
        return None

    def use(manifest: Manifest) -> str:
        code = manifest.content.fingerprint
        assert [path.read_bytes() for path in lake.read_paths(manifest, "rows")] == [text_of(str(n), code) for n in range(3)]
        assert [path.read_bytes() for path in lake.read_paths(manifest, "raw")] == [large_of(code)]
        return code

    return log.read(HOUR, use)


# ---------------------------------------------------------------- a chain


def make_model(place: Place, code: str, interval: Interval = HOUR) -> Manifest:
    log = open_lake(place).log("shop", "groups")

    def work(attempt: Attempt, current: Manifest | None):
        if current and current.content.fingerprint == code:
            return None
        for name in ("model.skops", "contract.json"):
            attempt.file("model", layer="models", name=name).write_bytes(text_of(name, code))
        return Content("data", parts=(attempt.part("model", "models"),), fingerprint=code), {}

    return log.commit(interval, work)


def promote(place: Place, who: str, interval: Interval = HOUR) -> str:
    """What a run does with a challenger: judge it against what serves, until it is judged. It answers `promoted`, or why not."""
    lake = open_lake(place)
    chain = lake.chain("shop", "groups")
    model = lake.log("shop", "groups").current(interval)
    assert model is not None
    while True:
        head = chain.head()
        if head is not None and head.who == who:
            return "promoted"
        objection = chain.objection(interval, after=head)
        if objection:
            return objection
        decision = Decision("promote", interval, model.version, model.content.digest, who, "it is better")
        if chain.append(decision, after=head, files=model.content.parts[0].files):
            return "promoted"


def champion(place: Place) -> str | None:
    """Who promoted what serves now. Its files are opened, and verified."""
    lake = open_lake(place)
    decision = lake.chain("shop", "groups").champion()
    if decision is None:
        return None
    for file, path in zip(decision.files, lake.store.paths(decision.files), strict=True):
        assert sha256(path.read_bytes()).hexdigest() == file.sha256
    return decision.who


def check_chain(place: Place) -> None:
    """Decisions without holes; each follows the one before; the champions have their files."""
    lake = open_lake(place)
    entries = lake.chain("shop", "groups").entries()
    assert [entry.number for entry in entries] == list(range(1, len(entries) + 1))
    serving = None
    for entry in entries:
        assert (entry.previous, entry.serving) == (serving, entry.number)
        serving = entry.serving


# ---------------------------------------------------------------- another pipeline's dataset as a source


SOURCE = Source("sums", Where("crm.py", 1), Grid.parse("@hourly"), dataset("shop.purchases"))


def make_upstream(place: Place, text: str) -> Manifest:
    """A version of the dataset that `take` reads: two sides of a split."""
    log = open_lake(place).log("shop", "purchases")
    log.claim({"step": "purchases", "kind": "table", "every": "1h"})

    def work(attempt: Attempt, current: Manifest | None):
        if current and current.content.fingerprint == text:
            return None
        parts = []
        for side in ("test", "train"):
            attempt.file(side, layer="silver").write_bytes(f"{side} of {text}".encode())
            parts.append(attempt.part(side, "silver", rows=2))
        schema = dict.fromkeys(("test", "train"), (Column("id", "BIGINT"),))
        return Content("data", "table", tuple(parts), schema, fingerprint=text), {}

    return log.commit(HOUR, work)


def take(place: Place) -> Manifest:
    """What a run of a source does whose location is another pipeline's dataset."""
    lake = open_lake(place)
    log = lake.log("crm", "sums")
    log.claim({"step": "sums"})

    def work(attempt: Attempt, current: Manifest | None):
        upstream = look_upstream(Catalog(lake, "shop"), "shop.purchases", HOUR)
        if current and current.content.fingerprint == upstream.digest:
            return None
        made = take_rows(SOURCE, HOUR, attempt=attempt, upstream=upstream, paths=lake.read_paths, engine=_no_engine)
        return Content("data", "source", made.parts, made.schema, fingerprint=upstream.digest, inputs=(upstream.ref,)), {}

    return log.commit(HOUR, work)


def taken(place: Place) -> list[bytes] | None:
    """What a reader of that source gets: the bytes of its files, verified."""
    lake = open_lake(place)
    current = lake.log("crm", "sums").current(HOUR)
    return None if current is None else [path.read_bytes() for path in lake.read_paths(current, "rows", verify=True)]


def _no_engine() -> EngineSession:
    raise AssertionError("rows are copied, and not read")


# ---------------------------------------------------------------- all of it


@contextmanager
def on_another_machine() -> Iterator[None]:
    """What is opened within has a cache of its own, and nothing in it."""
    cache = os.environ.get("HEADRACE_CACHE", "")
    os.environ["HEADRACE_CACHE"] = f"{cache}-{os.urandom(8).hex()}"
    try:
        yield
    finally:
        os.environ["HEADRACE_CACHE"] = cache


def story(place: Place) -> list[str | None]:
    """What a lake goes through in its life, each act once; what its readers elsewhere get at the end."""
    make_input(place)
    for code in ("first", "second"):
        commit(place, code)
        make_model(place, code)
        promote(place, code)
    commit_large(place, "large")
    make_upstream(place, "today")
    take(place)
    collect_all(place)
    with on_another_machine():
        return [read(place), champion(place), read_large(place), *(text.decode() for text in taken(place) or ())]
