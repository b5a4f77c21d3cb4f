"""What other programs read of a lake: the list of files, a published folder and a Delta table, each by somebody else's reader."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest
from commands import Said
from commands import headrace as run

import headrace as hr

Headrace = Callable[..., Said]

SALES = '''\
"""Sales of every kind of type."""
import headrace as hr

print("the file says something")
sales = hr.Pipeline("sales", schedule="@hourly", start="2026-05-01")
sales.source("given", "given/{start:%Y-%m-%dT%H}.csv")


@sales.table(key="id", split=hr.by_key(test=0.4), publish="published")
def typed(hour: hr.Interval):
    return """
        select range as id, $start + to_minutes(range::int) as moment, (date '1969-12-31' + range::int) as day,
            (range * 123456789012.34 - 5)::decimal(20, 2) as price, 'déjà ' || range || chr(10) || ',"' as text,
            case when range % 3 = 0 then null else range * 0.1 end as maybe, range % 2 = 0 as flag, [range, null] as many,
            timestamp '2026-01-01 12:30:15.123456' as local
        from range(WIDE)
    """


@sales.table(publish=True)
def plain(typed):
    return "select id, moment from typed"
'''
HOURS = ["2026-05-01T00", "2026-05-01T01", "2026-05-01T02"]
KINDS = {
    "moment": pa.timestamp("us", "UTC"),
    "day": pa.date32(),
    "price": pa.decimal128(20, 2),
    "text": pa.string(),
    "local": pa.timestamp("us"),
}


def write(folder: Path, rows: int = 20, **changes: str) -> None:
    text = SALES.replace("WIDE", str(rows))
    for old, new in changes.items():
        text = text.replace(old, new)
    (folder / "sales.py").write_text(text)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("made")
    write(place)
    (place / "given").mkdir()
    for hour in HOURS:
        (place / "given" / f"{hour}.csv").write_text("x\n1\n")
    said = run("backfill", "sales.py", "--to", HOURS[-1], "--no-report", cwd=place)
    assert said.code == 0, said.err
    return place


@pytest.fixture(autouse=True)
def _made(made: Path, folder: Path) -> None:
    shutil.copytree(made, folder, dirs_exist_ok=True)


def wanted(folder: Path, at: Any = ("2026-05-01", "2026-05-02"), name: str = "sales.typed") -> list[dict[str, Any]]:
    return ordered(hr.open_lake(folder / "lake").read(name, at))


def ordered(table: pa.Table) -> list[dict[str, Any]]:
    """Rows that can be compared: those columns that the step made, in one order."""
    assert {name: table.schema.field(name).type for name in KINDS} == KINDS
    names = ["id", "moment", "day", "price", "text", "maybe", "flag", "many", "local"]
    return table.select(names).sort_by([("moment", "ascending")]).to_pylist()


# ---------------------------------------------------------------- the list of files


def test_the_list_of_files_is_read_by_others_as_the_lake_reads_it(headrace: Headrace, folder: Path) -> None:
    said = headrace("files", "sales.py", "typed")
    paths = said.out.split()
    assert "the file says something" in said.err
    assert all(Path(path).is_absolute() for path in paths)
    rows = wanted(folder)
    assert len(rows) == 3 * 20
    assert ordered(pads.dataset(paths).to_table()) == rows
    assert ordered(pq.read_table(paths)) == rows
    assert ordered(duckdb.sql(f"set timezone = 'UTC'; select * from read_parquet({paths})").to_arrow_table()) == rows
    polars = pytest.importorskip("polars")
    assert polars.read_parquet(paths).sort("moment").select(list(rows[0])).to_dicts() == rows


@pytest.mark.parametrize(
    ("name", "options", "count"),
    [
        ("typed", [], 6),
        ("typed", ["--at", HOURS[1]], 2),
        ("typed", ["--from", HOURS[1]], 4),
        ("typed", ["--to", HOURS[1]], 4),
        ("typed", ["--from", HOURS[1], "--to", HOURS[1]], 2),
        ("typed.test", ["--at", HOURS[1]], 1),
        ("typed", ["--part", "test"], 3),
        ("typed.test", ["--part", "test"], 3),
        ("plain", [], 3),
    ],
)
def test_files_are_those_of_the_intervals_and_parts_that_are_asked_for(
    headrace: Headrace, name: str, options: list[str], count: int
) -> None:
    assert len(headrace("files", "sales.py", name, *options).out.split()) == count


def test_each_file_is_told_with_what_its_manifest_says(headrace: Headrace, folder: Path) -> None:
    listed = headrace("files", "sales.py", "typed", "--at", HOURS[1], "--json").document
    manifest = hr.open_lake(folder / "lake").manifest("sales.typed", HOURS[1])
    told = {(part.name, file.sha256, file.bytes, file.rows) for part in manifest.content.parts for file in part.files}
    assert {(one["part"], one["sha256"], one["bytes"], one["rows"]) for one in listed} == told
    assert {one["version"] for one in listed} == {1}
    assert listed[0] | {"interval": HOURS[1], "start": "2026-05-01T01:00:00Z", "end": "2026-05-01T02:00:00Z"} == listed[0]
    assert all(Path(one["uri"]).stat().st_size == one["bytes"] for one in listed)


def test_only_current_files_are_listed_beside_old_versions_and_abandoned_attempts(headrace: Headrace, folder: Path) -> None:
    before = headrace("files", "sales.py", "plain").out.split()
    write(folder, **{"select id, moment from typed": "select id, moment from typed where id > 0"})
    headrace("run", "sales.py", "--at", HOURS[0], "--no-report")
    now = headrace("files", "sales.py", "plain").out.split()
    assert (len(now), len(set(before) & set(now))) == (3, 2)
    assert len(list((folder / "lake").rglob("plain/**/*.parquet"))) == 4, "so a pattern would read an old version, too"


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["typd"], 3, "Did you mean `typed`?"),
        (["typed.tset"], 3, "Did you mean `test`?"),
        (["plain.test"], 3, "has no part `test`"),
        (["typed", "--at", "2026-04-01"], 3, "no interval that starts at 2026-04-01"),
        (["typed", "--from", "2026-06-01"], 3, "has no data from 2026-06-01 00:00"),
        (["typed", "--from", HOURS[1], "--to", HOURS[0]], 2, "is after --to"),
        (["typed", "--at", HOURS[1], "--to", HOURS[0]], 2, "give one or the other"),
        (["typed", "--redshift", "--json"], 2, "give one of them"),
        (["typed", "--redshift"], 2, "A COPY of Redshift reads from S3"),
    ],
)
def test_what_can_not_be_listed_is_told(headrace: Headrace, arguments: list[str], code: int, text: str) -> None:
    said = headrace("files", "sales.py", *arguments)
    assert (said.code, said.out, text in said.err) == (code, "", True), said.err


# ---------------------------------------------------------------- a published folder


def published(folder: Path, hour: str = "2026-05-01T00-00") -> Path:
    return folder / "published/sales/typed" / f"interval_start={hour}"


def test_a_published_dataset_is_read_by_pattern_and_its_intervals_are_a_column(folder: Path) -> None:
    rows = wanted(folder)
    place = folder / "published/sales/typed"
    table = pads.dataset(place, partitioning="hive").to_table()
    assert ordered(table) == rows
    assert set(table.column("interval_start").to_pylist()) == {"2026-05-01T00-00", "2026-05-01T01-00", "2026-05-01T02-00"}
    assert ordered(pq.read_table(place)) == rows
    found = duckdb.sql(
        f"set timezone = 'UTC'; select * from '{place}/**/*.parquet' where interval_start >= '2026-05-01T01'"
    ).to_arrow_table()
    assert ordered(found) == rows[20:]
    polars = pytest.importorskip("polars")
    lazy = polars.scan_parquet(place / "**/*.parquet", hive_partitioning=True).filter(polars.col("interval_start") == "2026-05-01T01-00")
    assert lazy.collect().sort("moment").select(list(rows[0])).to_dicts() == rows[20:40]
    pandas = pytest.importorskip("pandas")
    assert len(pandas.read_parquet(place)) == len(rows)


def test_one_side_of_a_split_is_read_by_its_name(folder: Path) -> None:
    found = duckdb.sql(f"set timezone = 'UTC'; select * from '{published(folder)}/test-*.parquet'").to_arrow_table()
    assert ordered(found) == wanted(folder, HOURS[0], "sales.typed.test")


def test_the_mark_names_the_version_its_digest_and_the_files(folder: Path) -> None:
    said = json.loads((published(folder) / "_SUCCESS").read_bytes())
    manifest = hr.open_lake(folder / "lake").manifest("sales.typed", HOURS[0])
    assert (said["complete"], said["version"], said["digest"]) == (True, 1, manifest.content.digest)
    assert {f["name"]: f["bytes"] for f in said["files"]} == {p.name: p.stat().st_size for p in published(folder).glob("*.parquet")}


def test_a_new_version_takes_the_place_of_the_old_one_and_no_row_is_read_twice(headrace: Headrace, folder: Path) -> None:
    write(folder, 5, **{"split=hr.by_key(test=0.4), ": ""})
    headrace("run", "sales.py", "--at", HOURS[0], "--no-report", "--only", "typed")
    assert sorted(p.name for p in published(folder).iterdir()) == [
        "_SUCCESS",
        "rows-0000.parquet",
        "test-0000.parquet",
        "train-0000.parquet",
    ]
    assert pq.read_table(published(folder) / "test-0000.parquet").num_rows == 0
    rows = wanted(folder, HOURS[0])
    assert len(rows) == 5
    assert ordered(pq.read_table(published(folder))) == rows
    assert ordered(duckdb.sql(f"set timezone = 'UTC'; select * from '{published(folder)}/*.parquet'").to_arrow_table()) == rows
    assert [f["name"] for f in json.loads((published(folder) / "_SUCCESS").read_bytes())["files"]] == ["rows-0000.parquet"]


def test_what_was_interrupted_is_published_by_the_next_run_although_the_step_is_cached(headrace: Headrace, folder: Path) -> None:
    """As after kill -9 between the commit and the mark."""
    for file in published(folder).iterdir():
        file.unlink()
    planned = {
        d["step"]: (d["action"], d["reason"]) for d in headrace("plan", "sales.py", "--at", HOURS[0], "--json").document["decisions"]
    }
    assert planned["typed"] == ("run", f"not published in {folder}/published yet")
    assert planned["plain"] == ("skip", "nothing changed"), "its reader has nothing new to read"
    said = headrace("run", "sales.py", "--at", HOURS[0], "--no-report", "--json")
    assert (said.receipt("typed")["state"], said.receipt("typed")["version"]) == ("cached", 1)
    assert said.receipt("typed")["why"] == f"published in {published(folder)}"
    assert ordered(pq.read_table(published(folder))) == wanted(folder, HOURS[0])
    again = headrace("run", "sales.py", "--at", HOURS[0], "--no-report", "--json")
    assert again.receipt("typed")["why"] == "nothing changed"


def test_a_mark_of_another_version_is_seen(headrace: Headrace, folder: Path) -> None:
    (published(folder) / "_SUCCESS").write_text("{}")
    planned = headrace("plan", "sales.py", "--at", HOURS[0], "--json").document["decisions"]
    assert f"its copy in {folder}/published is not of version 1" in [d["reason"] for d in planned]


def test_files_of_others_in_the_folder_are_left_alone(headrace: Headrace, folder: Path) -> None:
    theirs = published(folder) / "notes.parquet"
    theirs.write_bytes(b"theirs")
    (published(folder) / "_SUCCESS").unlink()
    headrace("run", "sales.py", "--at", HOURS[0], "--no-report")
    assert theirs.read_bytes() == b"theirs"


def test_an_experiment_is_not_published(headrace: Headrace, folder: Path) -> None:
    before = (published(folder) / "_SUCCESS").read_bytes()
    said = headrace("run", "sales.py", "--at", HOURS[0], "--no-report", "--force", "typed")
    assert said.code == 0
    assert (published(folder) / "_SUCCESS").read_bytes() == before


def test_a_profile_says_where_or_that_nothing_is_published(headrace: Headrace, folder: Path) -> None:
    (folder / "headrace.toml").write_text('[local.publish]\ntyped = false\n[prod.publish]\ntyped = "there"\nplain = "there"\n')
    (published(folder) / "_SUCCESS").unlink()
    assert headrace("run", "sales.py", "--at", HOURS[0], "--no-report").code == 0
    assert not (published(folder) / "_SUCCESS").exists()
    assert headrace("run", "sales.py", "--at", HOURS[0], "--no-report", "--profile", "prod").code == 0
    assert sorted(p.parent.parent.name for p in (folder / "there").rglob("_SUCCESS")) == ["plain", "typed"]
    assert not (published(folder) / "_SUCCESS").exists()


@pytest.mark.parametrize(
    ("toml", "text"),
    [
        ('[local.publish]\ngiven = "there"\n', "`given` is not published. Declare it with publish=True"),
        ('[local.publish]\ntypd = "there"\n', "Did you mean `typed`?"),
        ("[local.publish]\ntyped = true\n", "or false for none"),
        ('[local.publish]\ntyped = ""\n', "or false for none"),
    ],
)
def test_a_place_that_makes_no_sense_is_refused(headrace: Headrace, folder: Path, toml: str, text: str) -> None:
    (folder / "headrace.toml").write_text(toml)
    said = headrace("plan", "sales.py", "--at", HOURS[0])
    assert (said.code, text in said.err) == (2, True), said.err


def test_rows_are_never_published_into_the_lake(headrace: Headrace, folder: Path) -> None:
    (folder / "headrace.toml").write_text('[local.publish]\ntyped = "lake/published"\n')
    said = headrace("run", "sales.py", "--at", HOURS[0], "--no-report")
    assert (said.code, "a lake holds only its own files" in said.err) == (1, True), said.err
    assert not (folder / "lake/published").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_place_that_can_not_be_written_fails_the_step_and_not_the_commit(headrace: Headrace, folder: Path) -> None:
    (folder / "closed").mkdir(mode=0o500)
    (folder / "headrace.toml").write_text('[local.publish]\ntyped = "closed"\n')
    said = headrace("run", "sales.py", "--at", HOURS[0], "--no-report")
    assert (said.code, "is committed as version 1, but could not be published" in said.err) == (1, True), said.err


def test_a_place_that_is_a_file_fails_the_step_and_not_the_commit(headrace: Headrace, folder: Path) -> None:
    (folder / "closed").write_text("a file")
    (folder / "headrace.toml").write_text('[local.publish]\ntyped = "closed"\n')
    said = headrace("run", "sales.py", "--at", HOURS[0], "--no-report", "--json")
    assert said.code == 1
    assert "is committed as version 1, but could not be published" in said.receipt("typed")["error"]


def test_a_lab_publishes_nothing(folder: Path) -> None:
    from headrace.run.loading import load_pipeline
    from headrace.testing import Lab

    class Loaded:
        def graph(self) -> Any:
            return load_pipeline(folder / "sales.py").graph

    (published(folder) / "_SUCCESS").unlink()
    (folder / "headrace.toml").write_text('[local.publish]\ntyped = "there"\n')
    Lab(Loaded()).run(HOURS[0])
    assert not (published(folder) / "_SUCCESS").exists()
    assert not (folder / "there").exists()


# ---------------------------------------------------------------- a Delta table


@pytest.fixture
def delta() -> Iterator[Any]:
    return pytest.importorskip("deltalake")


def test_a_delta_table_is_read_by_others_as_the_lake_reads_it(headrace: Headrace, folder: Path, delta: Any) -> None:
    said = headrace("export", "sales.py", "typed", "out/typed")
    assert said.out.splitlines()[-1] == "sales.typed: 3 intervals written (60 rows), 0 stood already in out/typed"
    rows = wanted(folder)
    table = delta.DeltaTable(folder / "out/typed")
    assert ordered(table.to_pyarrow_table()) == rows
    given = table.to_pyarrow_dataset()  # noqa: F841  # DuckDB finds it by its name
    assert ordered(duckdb.sql("set timezone = 'UTC'; select * from given where split = 'test'").to_arrow_table()) == wanted(
        folder, ("2026-05-01", "2026-05-02"), "sales.typed.test"
    )
    polars = pytest.importorskip("polars")
    assert polars.read_delta(str(folder / "out/typed")).sort("moment").select(list(rows[0])).to_dicts() == rows
    assert table.history(1)[0]["headrace.version"] == "1"


def test_an_export_again_does_nothing_and_a_new_version_replaces_its_interval(headrace: Headrace, folder: Path, delta: Any) -> None:
    headrace("export", "sales.py", "typed", "out/typed", "--to", HOURS[1])
    said = headrace("export", "sales.py", "typed", "out/typed", "--json")
    assert [(one["interval"], one["was"]) for one in said.document] == [
        ("2026-05-01", "standing"),
        (HOURS[1], "standing"),
        (HOURS[2], "written"),
    ]
    before = delta.DeltaTable(folder / "out/typed").version()
    write(folder, 12)
    headrace("run", "sales.py", "--at", HOURS[1], "--no-report", "--only", "typed")
    headrace("export", "sales.py", "typed", "out/typed")
    table = delta.DeltaTable(folder / "out/typed")
    assert table.version() == before + 1
    assert ordered(table.to_pyarrow_table()) == wanted(folder)
    assert len(wanted(folder)) == 52


def test_one_side_is_exported_without_a_column_for_it(headrace: Headrace, folder: Path, delta: Any) -> None:
    headrace("export", "sales.py", "typed.test", "out/test")
    table = delta.DeltaTable(folder / "out/test").to_pyarrow_table()
    assert "split" not in table.column_names
    assert ordered(table) == wanted(folder, ("2026-05-01", "2026-05-02"), "sales.typed.test")


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["typed", "lake/out"], 2, "which holds only its own files"),
        (["typed", "out", "--format", "dleta"], 2, "Did you mean `delta`?"),
        (["given.raw", "out"], 1, "Only rows can be exported"),
        (["typed", "out", "--at", "2020-01-01"], 3, "no interval that starts"),
    ],
)
def test_what_can_not_be_exported_is_told(headrace: Headrace, folder: Path, arguments: list[str], code: int, text: str) -> None:
    said = headrace("export", "sales.py", *arguments)
    assert (said.code, text in said.err) == (code, True), said.err
    assert not (folder / "out").exists()


def test_a_lake_that_was_made_anew_is_not_exported_over_the_table_of_another(headrace: Headrace, folder: Path, delta: Any) -> None:
    write(folder, 12)
    headrace("run", "sales.py", "--at", HOURS[0], "--no-report", "--only", "typed")
    headrace("export", "sales.py", "typed", "out", "--at", HOURS[0])
    made = headrace("run", "sales.py", "--at", HOURS[0], "--no-report", "--lake", "other")
    assert made.code == 0, made.err
    said = headrace("export", "sales.py", "typed", "out", "--at", HOURS[0], "--lake", "other")
    assert (said.code, "it was exported from another lake" in said.err) == (1, True), said.err
