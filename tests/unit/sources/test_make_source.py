"""A source's step: bytes landed unchanged, rows and quarantine from them, and what is said when that can't be."""

from __future__ import annotations

import gzip
import io
import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from pyarrow import parquet
from pydantic import BaseModel, Field

from headrace.backends.origins import local
from headrace.backends.sources import csv as csv_format
from headrace.backends.stores import local as local_store
from headrace.core import counted
from headrace.core.contract_models import contract_of
from headrace.core.errors import DamageError, SourceError, TooManyRejectedError, TransientError, Where
from headrace.core.forgetting import Forgotten, forgotten_key
from headrace.core.interval import Grid, Interval
from headrace.core.manifest import Content, Manifest
from headrace.core.ports import Landed, RawFile
from headrace.core.quarantine import QUARANTINE, encoding_of
from headrace.core.source_options import options_for
from headrace.core.step import Source
from headrace.lake.lake import Lake
from headrace.steps.forgetting import Forgetting
from headrace.steps.landing import Bronze, marks_of
from headrace.steps.made import Made
from headrace.steps.sources import commit_refused, make_source, nearest, raw_digest

DAY = Interval.of("2026-11-20", "2026-11-21")
NOW = datetime(2026, 11, 21, 1, tzinfo=UTC)
DAILY = "shop/{start:%Y-%m-%d}.csv"


class Sale(BaseModel):
    item: str
    quantity: int = Field(gt=0)


class Bench:
    """A folder of raw files and a lake, and the step in between."""

    def __init__(self, folder: Path) -> None:
        self.raw = folder / "raw"
        (self.raw / "shop").mkdir(parents=True)
        self.lake = Lake.open(local_store.open(str(folder / "lake")), clock=lambda: NOW)
        self.origin: Any = local.open(self.raw)

    def write(self, name: str, text: str) -> Path:
        path = self.raw / name
        path.write_text(text)
        return path

    def attempt(self) -> Any:
        return self.lake.log("shop", "sales").attempt(DAY)

    def make(
        self,
        location: str = DAILY,
        *,
        attempt: Any = None,
        now: datetime = NOW,
        contract: type[BaseModel] | None = Sale,
        landed: Bronze | None = None,
        **step: Any,
    ) -> Made:
        source = Source(
            "sales",
            Where("shop.py", 3),
            Grid.parse("@daily"),
            options_for(location),
            contract=contract_of(contract) if contract else None,
            **step,
        )
        return make_source(
            source,
            DAY,
            attempt=attempt or self.attempt(),
            origin=self.origin,
            format=csv_format.open(),
            location=location,
            now=now,
            landed=landed,
        )

    def commit(self, location: str = DAILY, **step: Any) -> Manifest:
        attempt = self.attempt()
        made = self.make(location, attempt=attempt, **step)
        return attempt.commit(Content("data", "source", made.parts, made.schema, details=made.details), {"origin": made.origin})

    def rows(self, manifest: Manifest, part: str) -> list[dict[str, Any]]:
        (path,) = self.lake.read_paths(manifest, part)
        return parquet.read_table(path).to_pylist()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_how_a_file_was_read_is_told_and_why(bench: Bench) -> None:
    (bench.raw / "shop/2026-11-20.csv").write_bytes(gzip.compress("item,quantity\nthé,2\ncafé,0\n".encode("utf-16")))
    manifest = bench.commit(max_rejected=1)
    because = {
        "compression": "its first bytes",
        "encoding": "its byte order mark",
        "delimiter": "the default",
        "quote": "the default",
        "header": "it has the names that are asked for",
    }
    assert manifest.content.details["read_as"] == {
        "compression": "gzip",
        "encoding": "utf-16-le",
        "because": because,
        "delimiter": ",",
        "quote": '"',
        "header": "first line",
    }
    (rejected,) = bench.rows(manifest, "quarantine")
    assert rejected["raw"].decode(encoding_of(manifest.content.details, "2026-11-20.csv")) == "café,0"
    assert bench.make(max_rejected=1).notes == ("read as utf-16-le, by its byte order mark: `2026-11-20.csv`",)


def test_files_that_were_read_in_different_ways_are_told_apart(bench: Bench) -> None:
    bench.write("shop/a.csv", "item,quantity\ntea,2\n")
    (bench.raw / "shop/b.csv").write_bytes("item,quantity\ntea,2\n".encode("utf-16"))
    details = bench.commit("shop/*.csv").content.details
    assert "read_as" not in details
    assert [encoding_of(details, name) for name in ("a.csv", "b.csv", "gone.csv")] == ["utf-8", "utf-16-le", "utf-8"]


def test_the_bytes_land_unchanged_and_the_rows_are_made_from_them(bench: Bench) -> None:
    path = bench.write("shop/2026-11-20.csv", "item,quantity,colour\ntea,2,green\n")
    manifest = bench.commit()
    (raw,) = bench.lake.read_paths(manifest, "raw")
    assert (raw.name, raw.read_bytes()) == ("2026-11-20.csv", path.read_bytes())
    assert bench.rows(manifest, "rows") == [{"item": "tea", "quantity": 2}]
    assert sorted((part.name, part.layer, part.rows) for part in manifest.content.parts) == [("raw", "bronze", 1), ("rows", "silver", 1)]
    assert manifest.content.details["undeclared"] == ["colour"]
    assert manifest.content.details["files"] == [
        {"name": "2026-11-20.csv", "size": path.stat().st_size, "sha256": sha256(path.read_bytes()).hexdigest(), "records": 1}
    ]


def test_rejected_records_are_a_part_of_the_same_commit(bench: Bench) -> None:
    bench.write("shop/2026-11-20.csv", "item,quantity\ntea,2\ntea,0\n")
    manifest = bench.commit(max_rejected=0.5)
    assert bench.rows(manifest, "quarantine") == [
        {
            "file": "2026-11-20.csv",
            "line": 3,
            "columns": ["quantity"],
            "byte_offset": 20,
            "reasons": ["quantity: 0 is not above 0 (gt=0)"],
            "raw": b"tea,0",
            "raw_size": 5,
        }
    ]
    assert manifest.content.schema["quarantine"] == QUARANTINE
    assert manifest.content.details["reasons"] == {"quantity: is not above 0 (gt=0)": 1}


def test_equal_bytes_make_an_equal_content_wherever_they_come_from(bench: Bench, tmp_path: Path) -> None:
    text = "item,quantity\ntea,2\n,2\n"
    bench.write("shop/2026-11-20.csv", text)
    other = Bench(tmp_path / "elsewhere")
    other.write("shop/2026-11-20.csv", text)
    assert bench.commit(max_rejected=1).content.digest == other.commit(max_rejected=1).content.digest


def test_many_files_of_one_name_stay_apart(bench: Bench) -> None:
    for folder in ("a", "b"):
        (bench.raw / folder).mkdir()
        bench.write(f"{folder}/sales.csv", f"item,quantity\n{folder},1\n")
    manifest = bench.commit("*/sales.csv")
    assert [path.name for path in bench.lake.read_paths(manifest, "raw")] == ["0-sales.csv", "1-sales.csv"]
    assert [row["item"] for row in bench.rows(manifest, "rows")] == ["a", "b"]


# ---------------------------------------------------------------- nothing there


def test_a_missing_file_is_an_error_that_names_the_nearest_interval(bench: Bench) -> None:
    bench.write("shop/2026-11-18.csv", "item,quantity\n")
    bench.write("shop/2026-12-20.csv", "item,quantity\n")
    with pytest.raises(SourceError) as caught:
        bench.make()
    assert str(caught.value) == (
        "Source `sales` [2026-11-20, 2026-11-21): There is no file at `shop/2026-11-20.csv`. The nearest interval that has one is 2026-11-18: "
        'run with --at 2026-11-18. If an interval without a file is normal, declare missing="empty".'
    )


@pytest.mark.parametrize(
    ("location", "hint"), [(DAILY, r"None was found for any other interval either \(`shop/\*.csv`\)"), ("no.csv", "Is the location right")]
)
def test_a_missing_file_without_any_near_says_where_was_looked(bench: Bench, location: str, hint: str) -> None:
    with pytest.raises(SourceError, match=hint):
        bench.make(location)


def test_a_missing_file_may_be_declared_normal(bench: Bench) -> None:
    manifest = bench.commit(missing="empty")
    assert (bench.rows(manifest, "rows"), manifest.content.details["missing"]) == ([], True)
    assert [column.name for column in manifest.content.schema["rows"]] == ["item", "quantity"]


def test_an_empty_interval_needs_a_contract_to_have_columns(bench: Bench) -> None:
    with pytest.raises(SourceError, match=r'declare contract= beside missing="empty"'):
        bench.make(missing="empty", contract=None)


@pytest.mark.parametrize(
    ("location", "names", "expected"),
    [
        ("shop/{start:%Y-%m-%d}.csv", ["2026-11-18.csv", "2026-11-23.csv", "x.csv"], "2026-11-18"),
        ("shop/{start:%Y-%m-%d}.csv", ["2026-11-18.csv", "2026-11-22.csv"], "2026-11-18"),
        ("./shop/sales-{start:%Y}{start:%m}{start:%d}-*.csv", ["sales-20261123-a.csv"], "2026-11-23"),
        ("shop/{end:%Y-%m-%d}.csv", ["2026-11-19.csv"], "2026-11-18"),
        ("shop/{start:%Y-%m-%d}_{end:%Y-%m-%d}.csv", ["2026-11-19_2026-11-21.csv"], None),
        ("shop/{start:%Y-%m-%d}.csv", ["2026-13-40.csv"], None),
        ("shop/all.csv", ["all.csv"], None),
    ],
)
def test_the_nearest_interval_is_read_from_the_names_of_files(bench: Bench, location: str, names: list[str], expected: str | None) -> None:
    for name in names:
        bench.write(f"shop/{name}", "")
    found = nearest(location, bench.origin, DAY, Grid.parse("@daily"))
    assert (found.label if found else None) == expected


# ---------------------------------------------------------------- too many


def test_too_many_rejected_records_fail_the_step_and_are_kept_apart(bench: Bench) -> None:
    bench.write("shop/2026-11-20.csv", "item,quantity\ntea,2\ntea,0\ntea,-1\n,x\n")
    attempt = bench.attempt()
    with pytest.raises(TooManyRejectedError) as caught:
        bench.make(attempt=attempt)
    attempt.discard()
    assert str(caught.value).splitlines() == [
        "Source `sales` [2026-11-20, 2026-11-21): 3 of 4 records (75.0%) were rejected, and max_rejected allows 5%. The most frequent reasons:",
        "         2  quantity: is not above 0 (gt=0)",
        "            2026-11-20.csv:3: tea,0",
        "         1  item: missing",
        "            2026-11-20.csv:5: ,x",
        "         1  quantity: is not an integer of 64 bits or fewer",
        "            2026-11-20.csv:5: ,x",
        "Nothing was committed as data; every rejected record is kept in `sales.refused.quarantine`. Mend the files or the contract, or raise max_rejected.",
    ]
    log = bench.lake.log("shop", "sales.refused")
    manifest = commit_refused(log, DAY, caught.value)
    assert manifest is not None
    assert [row["line"] for row in bench.rows(manifest, "quarantine")] == [3, 4, 5]
    assert bench.lake.log("shop", "sales").current(DAY) is None


@pytest.mark.parametrize(("allowed", "is_over"), [(1, False), (0, True), (0.5, False), (0.49, True), (1.0, False)])
def test_the_budget_is_a_number_or_a_share(bench: Bench, allowed: float, is_over: bool) -> None:
    bench.write("shop/2026-11-20.csv", "item,quantity\ntea,2\ntea,0\n")
    try:
        bench.make(max_rejected=allowed)
    except TooManyRejectedError:
        assert is_over
    else:
        assert not is_over


def test_only_a_refusal_of_this_floor_is_kept(bench: Bench) -> None:
    assert commit_refused(bench.lake.log("shop", "sales.refused"), DAY, TooManyRejectedError("another's")) is None


# ---------------------------------------------------------------- what changes meanwhile


class Moving:
    """An origin whose file changes while it is read."""

    concurrency = 1

    def __init__(self, path: Path, change: Callable[[Path], None]) -> None:
        self.path, self.change = path, change
        self.inner = local.open(path.parent)

    def find(self, location: str) -> Sequence[RawFile]:
        return self.inner.find(self.path.name)

    def open(self, file: RawFile) -> BinaryIO:
        data = self.path.read_bytes()
        self.change(self.path)
        return io.BytesIO(data)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda path: path.write_text("item,quantity\ntea,3\n"), "changed while it landed"),
        (lambda path: os.utime(path, ns=(1, 1)), "changed while it landed"),
        (lambda path: path.unlink(), "was removed while it landed"),
    ],
    ids=["written", "touched", "removed"],
)
def test_a_file_that_changes_while_it_lands_is_tried_again(bench: Bench, change: Callable[[Path], None], message: str) -> None:
    bench.origin = Moving(bench.write("shop/2026-11-20.csv", "item,quantity\ntea,2\n"), change)
    with pytest.raises(TransientError, match=f"{message}: it is still being written"):
        bench.make()


def test_a_file_that_is_longer_than_it_was_is_tried_again(bench: Bench) -> None:
    path = bench.write("shop/2026-11-20.csv", "item,quantity\ntea,2\n")
    bench.origin = Moving(path, lambda _: None)
    bench.origin.open = lambda file: io.BytesIO(path.read_bytes() + b"tea,3\n")
    with pytest.raises(TransientError, match="had 20 bytes when it was found and 26 when it was read"):
        bench.make()


def test_bytes_in_the_lake_that_were_changed_are_not_read_again(bench: Bench) -> None:
    path = bench.write("shop/2026-11-20.csv", "item,quantity\ntea,2\n")
    before = bench.commit()
    path.unlink()
    (raw,) = bench.lake.read_paths(before, "raw")
    assert bench.make(landed=Bronze(before, lambda _: [raw])).rows_kept == 1
    raw.chmod(0o644)
    raw.write_text("item,quantity\ntea,3\n")
    with pytest.raises(DamageError, match="its bytes were changed"):
        bench.make(landed=Bronze(before, lambda _: [raw]))


# ---------------------------------------------------------------- what is told


def test_the_origin_is_told_in_the_receipt_and_its_marks_can_be_asked_for(bench: Bench) -> None:
    path = bench.write("shop/2026-11-20.csv", "item,quantity\ntea,2\n")
    manifest = bench.commit()
    assert marks_of(manifest) == {str(path): f"{path.stat().st_size}-{path.stat().st_mtime_ns}"}
    assert manifest.receipt["origin"]["taken_at"] == NOW.isoformat()
    assert marks_of(bench.lake.log("shop", "other").fence(DAY, 1, why="test")) == {}


@pytest.mark.parametrize(
    ("location", "hours", "is_later"),
    [("shop/all.csv", 1, False), ("shop/all.csv", 25, True), (DAILY, 25, False)],
)
def test_a_snapshot_that_was_taken_later_than_its_interval_says_so(bench: Bench, location: str, hours: int, is_later: bool) -> None:
    for name in ("all", "2026-11-20"):
        bench.write(f"shop/{name}.csv", "item,quantity\n")
    made = bench.make(location, now=DAY.end.replace(day=21 + hours // 24, hour=hours % 24))
    assert ("taken_later" in made.origin) == is_later


def test_the_digest_of_the_raw_files_is_of_their_names_and_bytes(bench: Bench) -> None:
    bench.write("shop/2026-11-20.csv", "item,quantity\ntea,2\n")
    before = raw_digest(bench.make())
    assert raw_digest(bench.make()) == before
    bench.write("shop/2026-11-20.csv", "item,quantity\ntea,3\n")
    assert raw_digest(bench.make()) != before


def test_what_is_wrong_with_a_file_names_the_source_and_the_interval(bench: Bench) -> None:
    bench.write("shop/2026-11-20.csv", "")
    with pytest.raises(SourceError, match=r"^Source `sales` \[2026-11-20, 2026-11-21\): `2026-11-20.csv` is empty"):
        bench.make()


def test_inferred_types_are_told(bench: Bench) -> None:
    bench.write("shop/2026-11-20.csv", "item,quantity\ntea,2\n")
    assert bench.make(contract=None).details["inferred"] == {"item": "VARCHAR", "quantity": "BIGINT"}


# ---------------------------------------------------------------- what landing counted


def test_reading_knows_what_landing_counted_of_the_very_bytes_that_it_reads(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counted, "_APART", 1)
    bench.write("shop/2026-11-20.csv", "item,quantity\n" + "anna,1\ntea,2\n" * 1000)
    seen: list[Landed] = []
    read = csv_format.CsvFormat.read
    monkeypatch.setattr(csv_format.CsvFormat, "read", lambda self, files, **how: seen.extend(files) or read(self, files, **how))
    bench.make()
    (landed,) = seen
    key = forgotten_key({("item", "_item"): "anna"}, "salt")
    rest = Forgetting(Forgotten("salt", (key,)), csv_format.open(), {}, contract_of(Sale)).without(landed)
    assert rest is not None
    for file, size in ((landed, len("item,quantity\n" + "anna,1\ntea,2\n" * 1000)), (rest, len("item,quantity\n" + "tea,2\n" * 1000))):
        assert file.counted is not None
        known = file.counted.last_in(0, 10**9)
        assert known is not None
        assert known == (size, file.records + 1, file.records + 1)
