from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from headrace.core.errors import ConfigurationError, DataError, SourceError, UnknownNameError
from headrace.run.starter import write_starter
from headrace.run.starter.survey import survey


def write_csv(path: Path, header: list[str], rows: list[list[str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def people(path: Path, count: int = 200) -> Path:
    towns = ["Bergen", "Oslo", ""]
    rows = [
        [str(n), f"name {n}", towns[n % 3], str(20 + n % 37), "true" if n % 4 else "false", f"2026-11-{1 + n % 28:02}", "x", str(n * 1.5)]
        for n in range(count)
    ]
    return write_csv(path, ["id", "Full Name", "town", "age", "member", "joined", "same", "income"], rows)


def ruff(*arguments: str, file: Path) -> None:
    tool = Path(sys.executable).with_name("ruff")
    done = subprocess.run([str(tool), *arguments, "--isolated", file.name], cwd=file.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def assert_clean(file: Path) -> None:
    """As ruff would write it by default and at this project's width, from a folder where headrace is a library like others."""
    compile(file.read_text(encoding="utf-8"), str(file), "exec")
    ruff("format", "--diff", file=file)
    ruff("format", "--diff", "--line-length", "140", file=file)
    ruff("check", "--select", "E,F,I,B,UP,SIM,RUF", "--ignore", "E501", file=file)


@pytest.mark.data
@pytest.mark.parametrize(
    ("data", "target", "expected"),
    [
        ("petrol/petrol_consumption.csv", "Petrol_Consumption", "RandomForestRegressor"),
        ("wine/wine-quality.csv", "quality", "RandomForestClassifier"),
        ("userdata_multi_format/csv/userdata1.csv", "salary", "OneHotEncoder"),
        ("userdata_multi_format/csv/userdata2.csv", None, "--target COLUMN"),
    ],
)
def test_a_real_file_gives_a_clean_pipeline(shared_data: Path, tmp_path: Path, data: str, target: str | None, expected: str) -> None:
    file = write_starter(shared_data / data, target=target, into=tmp_path)
    assert_clean(file)
    assert expected in file.read_text()


def test_what_is_written_depends_on_what_the_columns_hold(tmp_path: Path) -> None:
    text = write_starter(people(tmp_path / "people.csv"), target="income", into=tmp_path).read_text()
    assert '    full_name: str = Field(alias="Full Name")' in text
    assert "    town: str | None\n" in text
    assert "    member: bool\n" in text
    assert "    joined: date\n" in text
    assert '@pipeline.table(key="id", split=hr.by_key(test=0.2))' in text
    assert 'FEATURES = ["town", "age", "member"]' in text
    assert 'CATEGORIES = ["town"]' in text
    assert "cast(member as integer) as member" in text
    assert "#   full_name holds 200 different texts: too many for categories" in text
    assert "#   same has one value only" in text
    assert "#   joined is a time" in text
    assert 'pipeline.source("records", "people.csv", contract=Record)' in text


def test_the_written_file_is_ruff_clean(tmp_path: Path) -> None:
    for target in ("income", "member", "town", None):
        folder = tmp_path / str(target)
        folder.mkdir()
        assert_clean(write_starter(people(folder / "people.csv"), target=target, into=folder))


def test_a_record_without_a_target_is_not_learnt_from(tmp_path: Path) -> None:
    text = write_starter(people(tmp_path / "people.csv"), target="town", into=tmp_path).read_text()
    assert "where town is not null" in text
    assert 'gate=hr.at_least("accuracy", 0.5)' in text


def test_without_a_key_a_digest_tells_records_apart(tmp_path: Path) -> None:
    data = write_csv(tmp_path / "points.csv", ["x", "y"], [["1", "2.5"], ["", "3.5"], ["3", "1"]])
    text = write_starter(data, target=None, into=tmp_path).read_text()
    assert "select distinct" in text
    assert "md5(concat_ws('|', coalesce(cast(x as varchar), ''), y)) as record_id" in text


@pytest.mark.parametrize(
    ("header", "rows", "key"),
    [
        (["trip", "km"], [[f"t{n * 7 % 30}", str(n % 9)] for n in range(30)], "trip"),
        (["trip", "km"], [[str(n * n), str(n % 9)] for n in range(30)], "trip"),
        (["km", "trip"], [[str(n % 9), str(100 + n * 7 % 30)] for n in range(30)], "trip"),
        (["km", "income"], [[str(n % 9), str(n * n)] for n in range(30)], "record_id"),
        (["at", "person_id", "km"], [[f"x{n}", str(n * n), str(n % 9)] for n in range(30)], "person_id"),
        (["km", "trip"], [[f"{n}.5", str(n % 9)] for n in range(30)], "record_id"),
    ],
    ids=["first_texts", "first_integers", "numbered", "a_measure", "named", "first_floats"],
)
def test_what_tells_records_apart_is_the_key_and_never_learnt_from(
    tmp_path: Path, header: list[str], rows: list[list[str]], key: str
) -> None:
    data = write_csv(tmp_path / "trips.csv", [*header, "late"], [[*row, "yes" if n % 3 else "no"] for n, row in enumerate(rows)])
    text = write_starter(data, target="late", into=tmp_path).read_text()
    assert f'key="{key}"' in text
    (features,) = [line for line in text.splitlines() if line.startswith("FEATURES = ")]
    assert f'"{key}"' not in features


def test_the_target_is_no_key(tmp_path: Path) -> None:
    data = write_csv(tmp_path / "t.csv", ["y", "x"], [[str(n), str(n % 7)] for n in range(40)])
    assert 'key="record_id"' in write_starter(data, target="y", into=tmp_path).read_text()


@pytest.mark.data
@pytest.mark.parametrize(
    ("data", "key"),
    [
        ("petrol/petrol_consumption.csv", "record_id"),
        ("wine/wine-quality.csv", "record_id"),
        ("userdata_multi_format/csv/userdata1.csv", "id"),
    ],
)
def test_the_key_of_a_real_file(shared_data: Path, tmp_path: Path, data: str, key: str) -> None:
    assert f'key="{key}"' in write_starter(shared_data / data, target=None, into=tmp_path).read_text()


def test_an_id_that_comes_twice_is_no_key(tmp_path: Path) -> None:
    data = write_csv(tmp_path / "visits.csv", ["person_id", "y"], [["1", "2.5"], ["1", "3.5"]])
    assert 'key="record_id"' in write_starter(data, target=None, into=tmp_path).read_text()


def test_a_few_misfits_do_not_make_a_column_of_numbers_text(tmp_path: Path) -> None:
    data = write_csv(tmp_path / "prices.csv", ["price", "n"], [[f"{n}.5", str(n)] for n in range(200)] + [["$9.28", "7"]])
    text = write_starter(data, target="n", into=tmp_path).read_text()
    assert "# 1 record has something else than a number here, and will be in quarantine.\n    price: float" in text


def test_few_records_are_measured_by_cross_validation(tmp_path: Path) -> None:
    for count, is_few in ((60, True), (600, False)):
        data = write_csv(tmp_path / f"n{count}.csv", ["x", "y"], [[str(n % 7), f"{n}.25"] for n in range(count)])
        assert ("cv=5" in write_starter(data, target="y", into=tmp_path).read_text()) == is_few


def test_gaps_in_numbers_are_filled_inside_the_model(tmp_path: Path) -> None:
    data = write_csv(tmp_path / "gaps.csv", ["x", "y"], [[str(n) if n % 5 else "", f"{n}.25"] for n in range(60)])
    file = write_starter(data, target="y", into=tmp_path)
    assert 'Pipeline([("impute", SimpleImputer(strategy="median")), ("forest", forest)])' in file.read_text()
    assert_clean(file)


def test_the_file_to_write_may_be_named(tmp_path: Path) -> None:
    file = write_starter(people(tmp_path / "2026-05-01.csv"), target="income", into=tmp_path / "new" / "first.py")
    assert file == tmp_path / "new" / "first.py"
    assert 'hr.Pipeline("first")' in file.read_text()


def test_other_delimiters_are_found(tmp_path: Path) -> None:
    data = tmp_path / "wine.csv"
    data.write_text('"a;x";b\n1;2\n3;4\n')
    file = write_starter(data, target=None, into=tmp_path)
    assert 'hr.csv("wine.csv", delimiter=";")' in file.read_text()
    assert '    a_x: int = Field(alias="a;x")' in file.read_text()


def test_names_that_python_pydantic_or_sql_would_misread_are_changed(tmp_path: Path) -> None:
    header = ["class", "order", "date", "1st", "Größe", "%", "model_dump", "schema", "a b", "a-b", ""]
    data = write_csv(tmp_path / "csv.csv", header, [["1"] * len(header), ["2"] * len(header)])
    file = write_starter(data, target=None, into=tmp_path)
    text = file.read_text()
    assert file.name == "csv_pipeline.py"
    for name, alias in (
        ("class_", "class"),
        ("order_", "order"),
        ("date_", "date"),
        ("n1st", "1st"),
        ("grosse", "Größe"),
        ("column_6", "%"),
        ("a_b_2", "a-b"),
    ):
        assert f'    {name}: int = Field(alias="{alias}")' in text
    assert "Left out: 1 column without a name" in text
    assert_clean(file)


HEADERS = st.lists(
    st.text(st.characters(codec="utf-8", exclude_characters="\r\n\x00;|\t"), min_size=1, max_size=30), min_size=1, max_size=6, unique=True
)


@given(header=HEADERS)
def test_the_contract_keeps_any_header_as_its_alias(tmp_path_factory: pytest.TempPathFactory, header: list[str]) -> None:
    folder = tmp_path_factory.mktemp("starter")
    data = write_csv(folder / "data.csv", header, [["1"] * len(header), ["2"] * len(header)])
    named = [name for name in header if name.strip()]
    assume(named and survey(data).delimiter == ",")
    text = write_starter(data, target=None, into=folder).read_text(encoding="utf-8")
    body = text[text.index("\nclass Record") : text.index("\npipeline.source")]
    space: dict[str, object] = {}
    exec("from pydantic import BaseModel, Field\n" + body, space)
    fields = space["Record"].model_fields  # type: ignore[attr-defined]
    assert [field.alias or name for name, field in fields.items()] == named


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1", "-2", "+3"], "int"),
        (["1", "2.5", "1e3"], "float"),
        ([*map(str, range(500)), "2.5"], "float"),
        (["007", "123"], "str"),
        (["12345678901234567890"], "str"),
        (["true", "FALSE"], "bool"),
        (["2026-11-20", "2026-11-21"], "date"),
        (["2026-02-30"], "str"),
        (["2026-11-20T08:00:00Z", "2026-11-20 08:00"], "datetime"),
        (["12/1/10"], "str"),
        (["1,5"], "str"),
        (["", ""], "str"),
    ],
)
def test_a_column_has_the_narrowest_type_of_its_values(tmp_path: Path, values: list[str], expected: str) -> None:
    seen = survey(write_csv(tmp_path / "one.csv", ["v", "w"], [[v, "x"] for v in values]))
    assert seen.columns[0].type == expected


def test_only_the_first_records_are_looked_at(tmp_path: Path) -> None:
    data = write_csv(tmp_path / "long.csv", ["n"], [[str(n)] for n in range(30)])
    seen = survey(data, limit=10)
    assert (seen.records, seen.is_whole, seen.columns[0].distinct) == (10, False, 10)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,a\n1,2\n", "names `a` more than once"),
        ("a,b\n", "no record below the header has 2 fields"),
        ("", "its first line names none"),
    ],
)
def test_a_file_that_tells_no_types_is_refused(tmp_path: Path, text: str, message: str) -> None:
    data = tmp_path / "odd.csv"
    data.write_text(text)
    with pytest.raises(SourceError, match=message):
        write_starter(data, target=None, into=tmp_path)


def test_what_is_not_text_is_refused(tmp_path: Path) -> None:
    data = tmp_path / "odd.csv"
    data.write_bytes(b"a,b\n\xff\xfe,1\n")
    with pytest.raises(SourceError, match="not CSV text in UTF-8"):
        write_starter(data, target=None, into=tmp_path)
    with pytest.raises(SourceError, match="there is no such file"):
        write_starter(tmp_path / "nowhere.csv", target=None, into=tmp_path)


def test_a_target_that_cannot_be_learnt_is_said_before_anything_is_written(tmp_path: Path) -> None:
    data = people(tmp_path / "people.csv")
    with pytest.raises(UnknownNameError, match="Did you mean `income`"):
        write_starter(data, target="incme", into=tmp_path)
    for target, message in (("same", "one value"), ("joined", "holds times"), ("Full Name", "too many to be classes")):
        with pytest.raises(DataError, match=message):
            write_starter(data, target=target, into=tmp_path)
    assert not (tmp_path / "people.py").exists()


def test_a_file_that_exists_is_left_as_it_is(tmp_path: Path) -> None:
    data = people(tmp_path / "people.csv")
    write_starter(data, target=None, into=tmp_path).write_text("mine")
    with pytest.raises(ConfigurationError, match="exists already"):
        write_starter(data, target=None, into=tmp_path)
    assert (tmp_path / "people.py").read_text() == "mine"


def zipped(data: bytes, *names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, data)
    return file.getvalue()


@pytest.mark.parametrize(
    ("ending", "pack"),
    [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress), (".zip", lambda data: zipped(data, "a.csv"))],
)
def test_a_packed_file_is_looked_at_as_it_is(tmp_path: Path, ending: str, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / f"one.csv{ending}"
    path.write_bytes(pack(b"id,price\n1,2.5\n2,3\n"))
    assert [(column.header, column.type) for column in survey(path).columns] == [("id", "int"), ("price", "float")]


@pytest.mark.parametrize(
    ("ending", "data", "message"),
    [
        (".gz", gzip.compress(b"id\n" * 99)[:-9], "is not CSV text in UTF-8"),
        (".gz", b"id,price\n1,2\n", "it can't be unpacked"),
        (".bz2", b"id,price\n1,2\n", "it can't be unpacked"),
        (".xz", b"id,price\n1,2\n", "is not CSV text in UTF-8"),
        (".zip", b"id,price\n1,2\n", "is not CSV text in UTF-8"),
        (".zip", zipped(b"id\n", "a.csv", "b.csv"), "it has 2 files, and one is looked at. Unpack the one that is meant"),
        (".zst", b"\x28\xb5\x2f\xfd", "zstd is read by runs only. Unpack it with `zstd -d`"),
    ],
)
def test_a_packed_file_that_cannot_be_looked_at_is_an_error(tmp_path: Path, ending: str, data: bytes, message: str) -> None:
    path = tmp_path / f"one.csv{ending}"
    path.write_bytes(data)
    with pytest.raises(SourceError, match=message):
        survey(path)
