"""JSON Lines: what a line says is what the row has, digit by digit, and what is no record says why."""

from __future__ import annotations

import gzip
from decimal import Decimal
from hashlib import sha256
from pathlib import Path

import pytest
from pyarrow import parquet

from headrace.backends.sources.json import open as open_json
from headrace.core.contract import Contract, ContractField
from headrace.core.errors import SourceError
from headrace.core.ports import JSON, Landed, ReadResult

Row = dict[str, object]


def land(folder: Path, data: bytes, name: str = "file.jsonl", **options: JSON) -> Landed:
    path = folder / name
    path.write_bytes(data)
    counter = open_json().counter(name, options)
    counter.feed(data)
    return Landed(str(path), path, sha256(data).hexdigest(), len(data), counter.finish())


def read(
    folder: Path, data: bytes, *fields: ContractField, forbids: bool = False, **options: JSON
) -> tuple[ReadResult, list[Row], list[Row]]:
    rows, quarantine = folder / "rows.parquet", folder / "quarantine.parquet"
    contract = Contract("C", fields, forbids_others=forbids) if fields else None
    result = open_json().read([land(folder, data, **options)], contract=contract, options=options, rows=rows, quarantine=quarantine)
    return result, parquet.read_table(rows).to_pylist(), parquet.read_table(quarantine).to_pylist()


def text(alias: str) -> ContractField:
    return ContractField("v", alias, "str", nullable=True)


# ---------------------------------------------------------------- values


def test_numbers_keep_every_digit(tmp_path: Path) -> None:
    data = b'{"i": 9007199254740993, "d": 0.1, "f": 1e2, "t": 1.10}\n{"i": 9223372036854775807, "d": 12345678901234567890.123456789, "f": 5, "t": 1E400}\n'
    fields = [ContractField("i", "i", "int"), ContractField("d", "d", "Decimal"), ContractField("f", "f", "float"), text("t")]
    _, rows, quarantine = read(tmp_path, data, *fields)
    assert quarantine == []
    assert [tuple(row.values()) for row in rows] == [
        (9007199254740993, Decimal("0.1"), 100.0, "1.10"),
        (9223372036854775807, Decimal("12345678901234567890.123456789"), 5.0, "1E400"),
    ]


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ('"tea"', "tea"),
        ('""', ""),
        ("null", None),
        ("17850.0", "17850.0"),
        ("-0", "-0"),
        ("true", "true"),
        ('{"b": [1.50, "x\\u00e9", null, {}],  "a": false}', '{"b":[1.50,"xé",null,{}],"a":false}'),
        ('"\\ud83d\\ude00 \\u0000\\n"', "\U0001f600 \0\n"),
        ("[]", "[]"),
    ],
)
def test_a_field_of_texts_has_a_value_as_it_is_written_and_what_has_parts_as_json(tmp_path: Path, value: str, found: str | None) -> None:
    _, rows, _ = read(tmp_path, f'{{"v": {value}}}\n{{"v": "last"}}'.encode(), text("v"))
    assert [row["v"] for row in rows] == [found, "last"]


def test_texts_and_numbers_follow_the_one_table_of_casts(tmp_path: Path) -> None:
    data = b'{"n": "12"}\n{"n": 12}\n{"n": "12.0"}\n{"n": 1e3}\n{"n": ""}\n{"n": null}\n{}\n{"n": true}\n{"n": [12]}\n{"n": NaN}\n'
    _, rows, quarantine = read(tmp_path, data, ContractField("n", "n", "int", nullable=True))
    assert [row["n"] for row in rows] == [12, 12, 12, None, None, None]
    words = "is not an integer of 64 bits or fewer"
    assert [row["reasons"] for row in quarantine] == [[f"n: '{bad}' {words}"] for bad in ("1e3", "true", "[12]", "NaN")]


def test_null_words_are_missing(tmp_path: Path) -> None:
    _, rows, _ = read(tmp_path, b'{"v": "n/a"}\n{"v": -999}\n{"v": "x"}\n', text("v"), null_words=["n/a", "-999"])
    assert [row["v"] for row in rows] == [None, None, "x"]


@pytest.mark.parametrize(
    ("alias", "found"),
    [
        ("customer.id", "7"),
        ("customer.addresses[1].city", "Oslo"),
        ("customer.addresses[0]", '{"city":"Rome"}'),
        ("matrix[1][0]", "3"),
        ("a.b", "flat"),
        ("a.c", "1"),
        ("a [EUR]", "9"),
        ("größe.ü", "1"),
    ],
)
def test_a_path_finds_a_nested_value_unless_a_key_is_called_so(tmp_path: Path, alias: str, found: str) -> None:
    record = (
        '{"customer": {"id": 7, "addresses": [{"city": "Rome"}, {"city": "Oslo"}]}, "matrix": [[1, 2], [3]], "a.b": "flat", '
        '"a": {"b": "nested", "c": 1}, "a [EUR]": 9, "größe": {"ü": 1}}'
    )
    _, rows, _ = read(tmp_path, record.encode(), text(alias))
    assert [row["v"] for row in rows] == [found]


def test_a_path_that_leads_nowhere_is_a_missing_value(tmp_path: Path) -> None:
    records = ['{"a": {"b": [1]}}', '{"a": {"b": []}}', '{"a": {"b": 5}}', '{"a": null}', '{"a": [1]}', "{}"]
    _, rows, _ = read(tmp_path, "\n".join(records).encode(), text("a.b[0]"))
    assert [row["v"] for row in rows] == ["1", None, None, None, None, None]


# ---------------------------------------------------------------- lines that are no records


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"   ", "record is blank: it has only spaces"),
        (b"tea", "record is no JSON: expecting value at character 1"),
        (b'  {"v": tru}', "record is no JSON: expecting value at character 9"),
        (b'{"v": "a', "record is no JSON: unterminated string starting at character 7"),
        (b'{"v": "a\tb"}', "record is no JSON: invalid control character at character 9"),
        (b'{"v": 01}', "record is no JSON: expecting ',' delimiter at character 8"),
        (b'{"v": 1} {"v": 2}', "record is no JSON: extra data at character 10"),
        (b"[1]", "record is no JSON object but an array"),
        (b'"v"', "record is no JSON object but a text"),
        (b"12", "record is no JSON object but a number"),
        (b"null", "record is no JSON object but null"),
        (b"true", "record is no JSON object but true or false"),
        (b'{"v": 1, "v": 2}', "record has a key twice: 'v'"),
        (b'{"w": {"k\'": 1, "k\'": 1}}', 'record has a key twice: "k\'"'),
        (b'{"v": "\\ud83d"}', "record has half of a surrogate pair (\\ud800 to \\udfff), which is no character"),
        (b'{"\\udc00": 1}', "record has half of a surrogate pair (\\ud800 to \\udfff), which is no character"),
        (b'{"v": ' + b"[" * 200 + b"]" * 200 + b"}", "record is nested deeper than 200 levels"),
        (b'{"v": ' + b"[" * 90_000 + b"]" * 90_000 + b"}", "record is nested deeper than 200 levels"),
    ],
    ids=range(18),
)
def test_a_line_that_is_no_record_is_quarantined_with_the_reason_and_the_others_are_not(tmp_path: Path, line: bytes, why: str) -> None:
    result, rows, quarantine = read(tmp_path, b'{"v": "first"}\n' + line + b'\n{"v": "last"}', text("v"))
    assert [row["v"] for row in rows] == ["first", "last"]
    assert [(row["line"], row["byte_offset"], row["columns"], row["reasons"]) for row in quarantine] == [(2, 15, [], [why])]
    assert list(result.reasons) == [why.partition(" at character")[0].partition(": '")[0].partition(': "')[0]]


def test_what_nests_as_deep_as_may_be_is_a_record(tmp_path: Path) -> None:
    _, rows, _ = read(tmp_path, b'{"v": ' + b"[" * 199 + b"]" * 199 + b"}", text("v"))
    assert rows == [{"v": "[" * 199 + "]" * 199}]


def test_brackets_in_texts_are_no_depth(tmp_path: Path) -> None:
    assert read(tmp_path, b'{"v": "' + b"[{" * 500 + b'"}', text("v"))[1] == [{"v": "[{" * 500}]


def test_reasons_are_counted_by_their_kind_not_by_their_place(tmp_path: Path) -> None:
    data = b"\n".join(b'{"v": ' + b" " * n + b"x}" for n in range(500))
    result, _, quarantine = read(tmp_path, data + b'\n{"v": 1}', text("v"))
    assert result.reasons == {"record is no JSON: expecting value": 500}
    assert quarantine[7]["reasons"] == ["record is no JSON: expecting value at character 14"]


def test_lines_end_in_any_way_and_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    result, rows, quarantine = read(tmp_path, b'\xef\xbb\xbf{"v": "a"}\r\n\r\nx\r{"v": "b"}\n\n', text("v"))
    assert ([row["v"] for row in rows], result.rows_read) == (["a", "b"], 3)
    assert [(row["line"], row["byte_offset"], row["raw"]) for row in quarantine] == [(3, 17, b"x")]


@pytest.mark.parametrize(("encoding", "said"), [("utf-16", "auto"), ("utf-16-be", "utf-16-be"), ("cp1252", "cp1252")])
def test_in_every_encoding_places_and_bytes_are_the_files_own(tmp_path: Path, encoding: str, said: str) -> None:
    good, bad = '{"é": "Zoë"}\r\n'.encode(encoding), '{"é": "Renée"'
    own = bad.encode("utf-16-le" if encoding == "utf-16" else encoding)
    result, rows, quarantine = read(tmp_path, gzip.compress(good + own), text("é"), encoding=said)
    assert [row["v"] for row in rows] == ["Zoë"]
    assert [(row["line"], row["byte_offset"], row["raw"]) for row in quarantine] == [(2, len(good), own)]
    assert list(result.examples.values()) == [f"file.jsonl:2: {bad}"]
    (told,) = result.read_as.values()
    assert (told["compression"], told["encoding"]) == ("gzip", {"utf-16": "utf-16-le"}.get(encoding, encoding))


# ---------------------------------------------------------------- files


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "`file.jsonl` is empty: it has no bytes."),
        (b'[{"v": 1},\n{"v": 2}\n', "begins with an array that does not end: it was cut short"),
        (
            b'\xef\xbb\xbf\n  [\n  {"v": 1}\n] {"v": 2}\n',
            r"has more after its array has ended, at byte 21 of its text.* `jq -c '.\[\]' file.jsonl > file.jsonl`",
        ),
        (b'[{"v": 1} {"v": 2}]', "has no comma between two elements of its array, at byte 10"),
        (b'[{"v": 1}}, {"v": 2}]', "has '}' between the elements of its array, at byte 9"),
        (b'{\n  "v": 1\n}\n', r"has a record over several lines, and a record is an object on one line. Write one a line: `jq -c . "),
        (b'{"v": [\n  1]}\n', "has a record over several lines"),
        (b"<html><body>Not found</body></html>", "HTML or XML under another name"),
        (b'{"v": "\x00"}\n', "it has a NUL byte at byte 7"),
        (b'{"v": "\xe9"}\n', "is not UTF-8: .* at byte 7"),
        (b"PAR1....", "`file.jsonl` is not a JSON Lines file: its first bytes are those of a Parquet file"),
        ('{"v": "é"}\n'.encode("utf-16-le"), "UTF-16"),
        ('{"v": "é"}\n'.encode("utf-32"), "UTF-32"),
        (gzip.compress(b'{"v": 1}\n' * 999)[:-20], "cut short"),
    ],
    ids=range(14),
)
def test_what_is_no_file_of_json_lines_is_refused_as_it_lands(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        land(tmp_path, data)


def test_an_array_on_one_long_line_is_no_long_record(tmp_path: Path) -> None:
    assert land(tmp_path, b"[" + b'{"v": "0123456789012345678901234567890123456789"},' * 400_000 + b"{}]").records == 400_001


@pytest.mark.parametrize("begin", [b'[{"v": "', b'["', b"[1", b'[{"v": 1, "', b'[{"v": '])
def test_an_element_that_never_ends_is_refused(tmp_path: Path, begin: bytes) -> None:
    with pytest.raises(SourceError, match="longer than 16 MiB"):
        land(tmp_path, begin + b"1" * (40 << 20))


def test_a_record_that_never_ends_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="a record longer than 16 MiB, which begins on line 2: no JSON Lines file has"):
        land(tmp_path, b'{"v": 1}\n{"v": "' + b"x" * (17 << 20))


def test_a_first_record_that_was_cut_off_is_quarantined_not_the_file(tmp_path: Path) -> None:
    assert len(read(tmp_path, b'{"v": "a\n{"v": "b"}\n', text("v"))[2]) == 1


def test_a_column_that_no_record_has_is_refused_with_the_nearest_key_and_a_sparse_one_is_not(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"Every record of `file.jsonl` lacks 1 of the 1 columns .*\n  `custmer.id`"):
        read(tmp_path, b'{"customer": {"id": 1}}\n', text("custmer.id"))
    assert read(tmp_path, b"{}\n" * 3 + b'{"v": null}\n', text("v"))[0].rows_kept == 4


def test_keys_that_a_contract_forbids_refuse_the_file_and_roots_of_paths_are_declared(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"has columns that the contract `C` forbids \(extra='forbid'\): x"):
        read(tmp_path, b'{"a": {"b": 1}, "x": 1}', text("a.b"), forbids=True)
    assert read(tmp_path, b'{"a": {"b": 1}}', text("a.b"), forbids=True)[0].undeclared == ()


def test_undeclared_keys_are_listed_up_to_a_bound(tmp_path: Path) -> None:
    data = b'{"v": 1}\n' + b"\n".join(b'{"k%d": 1}' % n for n in range(20_000))
    result, _, _ = read(tmp_path, data, text("v"))
    assert result.undeclared == tuple(f"k{n}" for n in range(1000))


# ---------------------------------------------------------------- without a contract


def test_without_a_contract_the_columns_are_the_keys_of_all_records_and_texts_are_no_numbers(tmp_path: Path) -> None:
    data = b'{"id": 1, "sku": "12", "at": "2026-11-20T08:00:00Z"}\nbroken\n{"id": 2, "day": "2026-11-20", "ok": true, "part": {"a": 1.0}, "price": 1}\n{"price": 2.50}'
    result, rows, quarantine = read(tmp_path, data)
    assert [(column.name, column.type) for column in result.schema] == [
        ("id", "BIGINT"),
        ("sku", "VARCHAR"),
        ("at", "TIMESTAMP WITH TIME ZONE"),
        ("day", "DATE"),
        ("ok", "BOOLEAN"),
        ("part", "VARCHAR"),
        ("price", "DOUBLE"),
    ]
    assert (len(rows), len(quarantine), rows[1]["part"], rows[2]["price"]) == (3, 1, '{"a":1.0}', 2.5)


def test_without_a_contract_too_many_keys_and_keys_that_are_no_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="more than 10000 different keys"):
        read(tmp_path, b"\n".join(b'{"k%d": 1}' % n for n in range(10_001)))
    with pytest.raises(SourceError, match="a key that can't be a column's name: ''"):
        read(tmp_path, b'{"": 1}')
