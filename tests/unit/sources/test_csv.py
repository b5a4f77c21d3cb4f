"""CSV in particular: real files, dialects, compression, defaults, and what is refused."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import pytest
from pyarrow import parquet
from pydantic import BaseModel, Field, create_model

from headrace.backends.sources.csv import open as open_csv
from headrace.backends.sources.csv.landing import cut
from headrace.core.contract import Contract, ContractField
from headrace.core.contract_models import contract_of
from headrace.core.errors import SourceError
from headrace.core.ports import Landed, ReadResult


def land(path: Path, options: Mapping[str, Any], *, chunk: int = 1 << 20) -> Landed:
    data = path.read_bytes()
    counter = open_csv().counter(path.name, options)
    for at in range(0, len(data), chunk):
        counter.feed(data[at : at + chunk])
    return Landed(str(path), path, sha256(data).hexdigest(), len(data), counter.finish())


def read(
    paths: list[Path], folder: Path, contract: Contract | None = None, **options: Any
) -> tuple[ReadResult, list[dict[str, Any]], list[dict[str, Any]]]:
    rows, quarantine = folder / "rows.parquet", folder / "quarantine.parquet"
    result = open_csv().read([land(path, options) for path in paths], contract=contract, options=options, rows=rows, quarantine=quarantine)
    return result, parquet.read_table(rows).to_pylist(), parquet.read_table(quarantine).to_pylist()


def read_bytes(data: bytes, folder: Path, contract: Contract | None = None, **options: Any) -> list[dict[str, Any]]:
    path = folder / "file.csv"
    path.write_bytes(data)
    return read([path], folder, contract, **options)[1]


def texts(*names: str) -> Contract:
    return Contract("Texts", tuple(ContractField(name, name, "str", nullable=True) for name in names))


# ---------------------------------------------------------------- real files

SPECTRUM = [
    "comma_in_quotes", "empty", "empty_crlf", "escaped_quotes", "json", "newlines", "newlines_crlf", "quotes_and_newlines", "simple", "simple_crlf", "utf8",
]  # fmt: skip


@pytest.mark.data
@pytest.mark.parametrize("name", SPECTRUM)
def test_csv_spectrum_comes_out_as_its_json_says(shared_data: Path, tmp_path: Path, name: str) -> None:
    folder = shared_data / "csv_spectrum"
    expected = json.loads((folder / "json" / f"{name}.json").read_text())
    data = (folder / "csvs" / f"{name}.csv").read_bytes()
    if name.endswith("_crlf") and b"\r" not in data:  # as published: the stored copies have lost their carriage returns
        data = data.replace(b"\n", b"\r\n")
    assert read_bytes(data, tmp_path, texts(*expected[0])) == expected


@pytest.mark.data
def test_online_retail_is_accounted_for_record_by_record(shared_data: Path, tmp_path: Path) -> None:
    class Purchase(BaseModel):
        invoice: str = Field(alias="InvoiceNo")
        quantity: int = Field(alias="Quantity", gt=0)
        customer_id: int = Field(alias="CustomerID")

    path = shared_data / "online_retail_by_day" / "2010-12-01.csv"
    lines = path.read_text().splitlines()[1:]
    result, rows, quarantine = read([path], tmp_path, contract_of(Purchase))
    assert result.rows_read == len(lines) == len(rows) + len(quarantine)
    assert {row["customer_id"] for row in rows} >= {17850}
    assert all(lines[row["line"] - 2] == row["raw"].decode() for row in quarantine)
    assert result.reasons["customer_id: missing"] == sum(line.split(",")[-2] == "" for line in lines)


@pytest.mark.data
def test_petrol_is_read_without_a_contract(shared_data: Path, tmp_path: Path) -> None:
    result, rows, _ = read([shared_data / "petrol" / "petrol_consumption.csv"], tmp_path)
    assert [(column.name, column.type) for column in result.schema][-2:] == [
        ("Population_Driver_licence(%)", "DOUBLE"),
        ("Petrol_Consumption", "BIGINT"),
    ]
    assert (len(rows), rows[0]["Petrol_Consumption"]) == (48, 541)


# ---------------------------------------------------------------- missing values and defaults


class Line(BaseModel):
    item: str
    note: str | None = None
    quantity: int = 1
    size: Literal["s", "l"] = "s"
    price: float | None


def test_an_empty_field_is_missing_and_a_quoted_one_is_an_empty_text(tmp_path: Path) -> None:
    data = b'item,note,quantity,size,price\n"","",,,\ntea,,"","l",nan\n'
    assert read_bytes(data, tmp_path, contract_of(Line)) == [
        {"item": "", "note": "", "quantity": 1, "size": "s", "price": None},
        {"item": "tea", "note": None, "quantity": 1, "size": "l", "price": None},
    ]


def test_a_quoted_empty_field_that_is_no_text_is_missing_too(tmp_path: Path) -> None:
    contract = Contract("N", (ContractField("n", "n", "int", nullable=True), ContractField("x", "x", "float", nullable=True)))
    assert read_bytes(b'n,x\n"",""\n1,2\n', tmp_path, contract) == [{"n": None, "x": None}, {"n": 1, "x": 2.0}]


def test_a_column_that_the_file_lacks_takes_its_default(tmp_path: Path) -> None:
    assert read_bytes(b"price,item\n2,tea\n", tmp_path, contract_of(Line)) == [
        {"item": "tea", "note": None, "quantity": 1, "size": "s", "price": 2.0}
    ]


def test_null_words_are_missing_unless_they_are_quoted(tmp_path: Path) -> None:
    assert read_bytes(b'a,b\nNA,"NA"\n-,x\n', tmp_path, texts("a", "b"), null_words=["NA", "-"]) == [
        {"a": None, "b": "NA"},
        {"a": None, "b": "x"},
    ]


def test_both_ways_of_reading_take_the_same_for_missing(tmp_path: Path) -> None:
    sound = b'a,b\n"",\nNA,"NA"\n'
    fast = read_bytes(sound, tmp_path, texts("a", "b"), null_words=["NA"])
    assert read_bytes(sound + b'x,  "y"\n', tmp_path, texts("a", "b"), null_words=["NA"]) == [*fast, {"a": "x", "b": "y"}]


# ---------------------------------------------------------------- dialects


@pytest.mark.parametrize(
    ("data", "options"),
    [
        (b"a;b\n1;x,y\n", {"delimiter": ";"}),
        (b"a\tb\n1\tx,y\n", {"delimiter": "\t"}),
        (b"a,b\n1,'x,y'\n", {"quote": "'"}),
        (b'a,b\n"1","x,y"\n', {}),
        (b"\xef\xbb\xbfa,b\n1,\"x,y\"", {}),
        (b"a,b\r1,\"x,y\"\r", {}),
        (b"one line\nand another\na,b\n1,\"x,y\"\n", {"skip": 2}),
        (b"1,\"x,y\"\n", {"names": ["a", "b"]}),
        (b"c,d\n1,\"x,y\"\n", {"names": ["a", "b"], "skip": 1}),
        (b" a , b \n\n1,\"x,y\"\n\n", {}),
    ],
    ids=["semicolon", "tab", "apostrophe", "all quoted", "byte order mark", "cr", "skip", "names", "names for a header", "spaces and blank lines"],
)  # fmt: skip
def test_dialects_read_the_same_record(tmp_path: Path, data: bytes, options: dict[str, Any]) -> None:
    assert read_bytes(data, tmp_path, texts("a", "b"), **options) == [{"a": "1", "b": "x,y"}]


def test_without_quoting_a_quote_is_a_sign_like_any_other(tmp_path: Path) -> None:
    assert read_bytes(b'a,b\n5",x\n"y,z\n', tmp_path, texts("a", "b"), quote=None) == [{"a": '5"', "b": "x"}, {"a": '"y', "b": "z"}]


def test_gzip_is_known_by_its_bytes_and_may_have_many_members(tmp_path: Path) -> None:
    data = gzip.compress(b"a,b\n1,2\n") + gzip.compress(b"3,4\n") + b"\0" * 8
    assert read_bytes(data, tmp_path, texts("a", "b")) == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]


def test_column_names_that_sql_cannot_carry_bare_are_kept(tmp_path: Path) -> None:
    data = 'n,"select ""x""",is_bad,v0,größe (%)\n1,2,3,4,5\n'.encode()
    assert list(read_bytes(data, tmp_path)[0]) == ["n", 'select "x"', "is_bad", "v0", "größe (%)"]


def test_a_bound_is_compared_as_it_is_written(tmp_path: Path) -> None:
    class Bounded(BaseModel):
        n: float = Field(ge=2.5)
        name: str = Field(min_length=2, max_length=3, pattern="^[a-zé]+$")

    path = tmp_path / "file.csv"
    path.write_text("n,name\n2,aé\n3,éa\n3,x\n3,abcd\n3,A'B\n")
    result, rows, _ = read([path], tmp_path, contract_of(Bounded))
    assert rows == [{"n": 3.0, "name": "éa"}]
    assert list(result.reasons) == [
        "n: is below 2.5 (ge=2.5)", "name: is shorter than 2 (min_length=2)", "name: is longer than 3 (max_length=3)", "name: does not match ^[a-zé]+$ (pattern)",
    ]  # fmt: skip


def test_large_files_are_read_in_pieces_that_lose_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headrace.backends.texts.incoming.PIECE_BYTES", 4096)
    lines = [f'{n},"text, {n}\nmore"' if n % 7 else f"{n},x,y" for n in range(3000)]
    path = tmp_path / "file.csv"
    path.write_text("a,b\n" + "\n".join(lines))
    result, rows, quarantine = read([path], tmp_path, texts("a", "b"))
    assert [int(row["a"]) for row in rows] == [n for n in range(3000) if n % 7]
    assert [row["raw"].decode() for row in quarantine] == [f"{n},x,y" for n in range(0, 3000, 7)]
    assert quarantine[-1]["line"] == 2 + sum(1 + (n % 7 > 0) for n in range(2996 // 7 * 7))
    assert result.notes


def test_mixed_line_ends_change_no_text(tmp_path: Path) -> None:
    data = b"a\r\nx\r y \r z \n"  # DuckDB alone drops the space that follows a CR here
    assert read_bytes(data, tmp_path, texts("a")) == [{"a": "x"}, {"a": " y "}, {"a": " z "}]


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a,b,a\n1,2,3\n", "has the column `a` more than once"),
        (b"\n\r\n", "has only blank lines: there is no header"),
        (b'"a"x,b\n1,2\n', r"The header of `file.csv` \(line 1\) can't be read: text after a closing quote in field 1"),
        (gzip.compress(b"a,b\n" + b"1,2\n" * 5000)[:-20], "is a gzip file that was cut short"),
        (gzip.compress(b"a,b\n1,2\n")[:-8] + bytes(8), "is a gzip file that can't be unpacked"),
        (b",".join(b"c%d" % n for n in range(10_001)) + b"\n", "has 10001 columns, and 10000 is the most that is read"),
    ],
    ids=["twice", "blank", "header", "cut", "damaged", "wide"],
)  # fmt: skip
def test_what_is_no_csv_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        read_bytes(data, tmp_path)


@pytest.mark.parametrize(
    ("data", "options", "shown"),
    [
        (b"a;b;c\n1;2;3\n", {}, ";"),
        (b"a|b|c\n1|2|3\n", {}, "|"),
        (b"a\tb\tc\n1\t2\t3\n", {}, "\\t"),
        (b"a,b,c\n1,2,3\n", {"delimiter": ";"}, ","),
        (b'"a";"b";"c"\n1;2;3\n', {}, ";"),
    ],
)
@pytest.mark.parametrize("contract", [None, texts("a", "b", "c")], ids=["inferred", "contract"])
def test_a_wrong_delimiter_is_told_with_the_right_one(
    tmp_path: Path, data: bytes, options: dict[str, str], shown: str, contract: Contract | None
) -> None:
    with pytest.raises(SourceError) as caught:
        read_bytes(data, tmp_path, contract, **options)
    assert f'Read it with hr.csv(…, delimiter="{shown}").' in str(caught.value)


def test_no_delimiter_is_told_where_none_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        read_bytes(b"a,b,c;d\n1,2,3\n", tmp_path, texts("a", "d"))
    assert "delimiter=" not in str(caught.value)
    assert read_bytes(b"a;b,c\n1,2\n", tmp_path) == [{"a;b": 1, "c": 2}]
    assert read_bytes(b"a;b\nx\n", tmp_path, texts("a;b")) == [{"a;b": "x"}]
    assert read_bytes(b"x;y\n", tmp_path, names=["one"]) == [{"one": "x;y"}]


def test_a_delimiter_that_is_found_is_told_with_its_reason(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes(b"a;b\n1;2,5\n3;\n")
    result, rows, _ = read([path], tmp_path, texts("a", "b"), delimiter="auto")
    assert rows == [{"a": "1", "b": "2,5"}, {"a": "3", "b": None}]
    told = result.read_as["file.csv"]
    assert told["delimiter"] == ";"
    assert "'delimiter': 'the first records'" in str(told["because"])
    with pytest.raises(SourceError, match="found by itself: if it is another, say delimiter=…"):
        read([path], tmp_path, texts("x", "y"), delimiter="auto")
    assert open_csv().header(path, {"delimiter": "auto"}) == ("a", "b")


def test_one_field_is_told_in_the_singular(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes(b"a,b\n1\n1,2,3\n")
    quarantine = read([path], tmp_path, texts("a", "b"))[2]
    assert [row["reasons"] for row in quarantine] == [["record has 1 field, the header has 2"], ["record has 3 fields, the header has 2"]]


def test_files_of_different_columns_need_a_contract(tmp_path: Path) -> None:
    paths = [tmp_path / "1.csv", tmp_path / "2.csv"]
    paths[0].write_text("a,b\n1,2\n")
    paths[1].write_text("a,c\n1,2\n")
    with pytest.raises(SourceError, match=r"The files have different columns \(b, c\): `2.csv` lacks `b`, and has `c` besides\."):
        read(paths, tmp_path)


def test_columns_that_differ_in_case_alone_need_a_contract(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="The columns a, A differ only in case"):
        read_bytes(b"a,A\n1,2\n", tmp_path)
    assert read_bytes(b"a,A\n1,2\n", tmp_path, texts("A")) == [{"A": "2"}]


def test_a_contract_may_forbid_other_columns(tmp_path: Path) -> None:
    model = create_model("Closed", __config__={"extra": "forbid"}, a=(int, ...))
    with pytest.raises(SourceError, match=r"has columns that the contract `Closed` forbids \(extra='forbid'\): b"):
        read_bytes(b"a,b\n1,2\n", tmp_path, contract_of(model))


@pytest.mark.parametrize(
    ("column", "options", "message"),
    [
        (ContractField("a", "a", "str", pattern="(?=x)"), {}, "invalid perl operator: \\(\\?="),
        (ContractField("a", "a", "date"), {"date_format": "%Q"}, "Failed to parse format specifier %Q"),
        (ContractField("a", "a", "datetime"), {"timezone": "Mars/Olympus"}, "Unknown TimeZone 'Mars/Olympus'"),
    ],
    ids=["pattern", "form", "zone"],
)
def test_what_the_engine_cannot_check_is_said(tmp_path: Path, column: ContractField, options: dict[str, str], message: str) -> None:
    with pytest.raises(SourceError, match=f"`file.csv` can't be checked against its contract and options: .*{message}"):
        read_bytes(b"a\n2026-11-20\n", tmp_path, Contract("C", (column,)), **options)


def test_a_bomb_of_compressed_bytes_is_unfolded_bit_by_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headrace.core.records.MAX_RECORD_BYTES", 1 << 20)
    monkeypatch.setattr("headrace.backends.texts.streams.PIECE_BYTES", 1 << 18)
    with pytest.raises(SourceError, match="a record longer than 1 MiB, which begins on line 1"):
        read_bytes(gzip.compress(b"x" * (64 << 20)), tmp_path)


def test_without_a_contract_dates_and_times_are_told_by_the_form_that_the_source_was_told(tmp_path: Path) -> None:
    (tmp_path / "file.csv").write_bytes(b"day,at,no\n1.12.10,1.12.10 8:26,1.12.10 8\n,31.12.10 23:59,x\n")
    result, rows, quarantine = read([tmp_path / "file.csv"], tmp_path, None, date_format="%d.%m.%y", datetime_format="%d.%m.%y %H:%M")
    assert [column.type for column in result.schema] == ["DATE", "TIMESTAMP WITH TIME ZONE", "VARCHAR"]
    assert (rows[1]["at"].isoformat(), quarantine) == ("2010-12-31T23:59:00+00:00", [])


# ---------------------------------------------------------------- what is found in the file

HEADERLESS = b"5.1,3.5,setosa\n4.9,3.0,setosa\n"


def test_a_first_record_that_may_be_none_is_refused_with_what_to_say(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as refused:
        read_bytes(HEADERLESS, tmp_path)
    assert str(refused.value) == (
        "The first record of `file.csv` may be a record, and no header: '5.1' is a number, as those below it are. Taken for a header, it would be "
        "lost. If the file has no header, name its 3 columns: names=[…]. If it is the header, say header=True."
    )


def test_what_was_said_of_the_header_is_done(tmp_path: Path) -> None:
    named = read_bytes(HEADERLESS, tmp_path, names=["length", "width", "kind"])
    assert [row["length"] for row in named] == [5.1, 4.9]
    numbered = read_bytes(HEADERLESS, tmp_path, header=False)
    assert numbered[0] == {"column_1": 5.1, "column_2": 3.5, "column_3": "setosa"}
    assert len(numbered) == 2
    assert read_bytes(HEADERLESS, tmp_path, header=True) == [{"5.1": 4.9, "3.5": 3.0, "setosa": "setosa"}]


def test_without_a_header_every_record_counts_wherever_the_file_is_cut(tmp_path: Path) -> None:
    data = b"\n# a note\n" + b"".join(b"%d,x\n" % n for n in range(50))
    assert len(read_bytes(data, tmp_path, header=False, comment="#")) == 50
    (tmp_path / "some.csv.gz").write_bytes(b"".join(gzip.compress(line + b"\n") for line in (b"id,name", b"1,Ana", b"2,Ben")))
    assert read([tmp_path / "some.csv.gz"], tmp_path)[1] == [{"id": 1, "name": "Ana"}, {"id": 2, "name": "Ben"}]


def test_with_a_contract_its_names_tell_the_header(tmp_path: Path) -> None:
    contract = Contract("Years", (ContractField("a", "2010", "int"), ContractField("b", "2015", "int", has_default=True, default=0)))
    assert read_bytes(b"2010,2020\n1,2\n", tmp_path, contract) == [{"a": 1, "b": 0}]
    optional = Contract("None", (ContractField("a", "a", "int", nullable=True, has_default=True),))
    with pytest.raises(SourceError, match="may be a record, and no header"):
        read_bytes(b"1,2\n3,4\n", tmp_path, optional)


def test_quotes_are_found_and_told(tmp_path: Path) -> None:
    (tmp_path / "file.csv").write_bytes(b"item;price\n'tea; black';1\n'it\\'s';2\n")
    result, rows, _ = read([tmp_path / "file.csv"], tmp_path, delimiter="auto", quote="auto")
    assert rows == [{"item": "tea; black", "price": 1}, {"item": "it's", "price": 2}]
    told = result.read_as["file.csv"]
    assert (told["delimiter"], told["quote"], told["escape"], told["header"]) == (";", "'", "\\", "first line")
    because = told["because"]
    assert isinstance(because, Mapping)
    assert (because["quote"], because["delimiter"]) == ("the first records", "the first records")
    assert because["header"] == "'price' is no number, as those below it are"


def test_a_file_to_mend_has_quotes_that_were_said() -> None:
    with pytest.raises(SourceError, match='A file to mend has one quote, and the source has quote="auto"'):
        open_csv().head(["a"], {"quote": "auto"})


# ---------------------------------------------------------------- very many columns


def test_a_table_of_very_many_columns_is_read_as_one_of_few(tmp_path: Path) -> None:
    names = [f"c{n}" for n in range(400)]
    lines = [",".join(names), *(",".join(str(row * n) for n in range(400)) for row in range(3)), ",".join(["9"] * 399 + ["x"])]
    (tmp_path / "wide.csv").write_text("\n".join(lines))
    contract = Contract("Wide", tuple(ContractField(name, name, "int", le=700) for name in names))
    result, rows, quarantine = read([tmp_path / "wide.csv"], tmp_path, contract)
    assert rows == [{name: row * n for n, name in enumerate(names)} for row in range(2)]
    assert [(row["line"], len(row["reasons"]), row["columns"][-1]) for row in quarantine] == [(4, 49, "c399"), (5, 1, "c399")]
    assert result.reasons["c399: is not an integer of 64 bits or fewer"] == 1
    inferred, rows, _ = read([tmp_path / "wide.csv"], tmp_path)
    assert [column.type for column in inferred.schema] == ["BIGINT"] * 399 + ["VARCHAR"]
    assert [row["c399"] for row in rows] == ["0", "399", "798", "x"]


def test_without_a_contract_more_columns_than_are_read_are_refused_and_with_one_those_that_it_wants_are_read(tmp_path: Path) -> None:
    (tmp_path / "wide.csv").write_text("\n".join(",".join(f"{sign}{n}" for n in range(5001)) for sign in ("c", "")))
    with pytest.raises(
        SourceError, match=r"5001 columns, and without a contract 5000 is the most that is read. Give the source a contract"
    ):
        read([tmp_path / "wide.csv"], tmp_path)
    assert read([tmp_path / "wide.csv"], tmp_path, texts("c5000", "c7"))[1] == [{"c5000": "5000", "c7": "7"}]


# ---------------------------------------------------------------- seen in files as published


def test_a_header_without_a_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"line 2\) names no column\. .* pass over it with skip=2; or name the columns: names="):
        read_bytes(b"\n , ,\n1,2,3\n", tmp_path)
    assert read_bytes(b"a,\nx,1\n", tmp_path, header=True) == [{"a": "x", "column_2": 1}]


def test_byte_order_marks_of_files_that_were_put_together_are_no_part_of_the_first_name(tmp_path: Path) -> None:
    assert read_bytes(b"\xef\xbb\xbf\xef\xbb\xbfname\nAna\n", tmp_path) == [{"name": "Ana"}]


def test_a_name_of_a_column_that_is_as_long_as_a_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"has a name of 100000 characters, and 5000 is the most that is read: it begins with 'nnn"):
        read_bytes(b"id," + b"n" * 100_000 + b"\n1,2\n", tmp_path)


def test_a_piece_of_short_records_has_not_more_of_them_than_fit_into_memory_as_objects(tmp_path: Path) -> None:
    path = tmp_path / "dense.csv"
    path.write_bytes(b"a,b\n" + b"1\n" * 1_000_000 + b"1,2,3,4,5,6,7,8,9,0\n" * 100_000)
    pieces = list(cut(path, {}, name="dense.csv").pieces)
    assert sum(piece.records for piece in pieces) == 1_100_000
    assert max(piece.records for piece in pieces) <= 200_000
    assert max(len(piece.data) for piece in pieces) > 1024 * 1024  # longer ones are not cut any smaller for it
