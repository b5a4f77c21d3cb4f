"""Text in every encoding: the same rows as in UTF-8, with places and bytes as they are in the file, and no byte replaced."""

from __future__ import annotations

import codecs
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from headrace.backends.sources.csv import open as open_csv
from headrace.backends.texts.transcoding import Transcoder
from headrace.core.contract import Contract, ContractField
from headrace.core.encodings import ENCODINGS, encoded
from headrace.core.errors import SourceError
from headrace.core.ports import Landed

CONTRACT = Contract("Sale", (ContractField("n", "n", "int", ge=0), ContractField("größe", "größe", "str", nullable=True)))
SINGLE_BYTE = [name for name in ENCODINGS if not name.startswith("utf-")]


def read(
    folder: Path, data: bytes, options: dict[str, str | int], contract: Contract | None = CONTRACT
) -> tuple[list[dict[str, object]], list[dict[str, object]], object]:
    path = folder / "file.csv"
    path.write_bytes(data)
    counter = open_csv().counter(path.name, options)
    for at in range(0, len(data), 7):
        counter.feed(data[at : at + 7])
    landed = Landed(str(path), path, sha256(data).hexdigest(), len(data), counter.finish())
    rows, quarantine = folder / "rows.parquet", folder / "quarantine.parquet"
    result = open_csv().read([landed], contract=contract, options=options, rows=rows, quarantine=quarantine)
    return parquet.read_table(rows).to_pylist(), parquet.read_table(quarantine).to_pylist(), result.read_as.get("file.csv")


def transcoded(data: bytes, said: str, chunk: int) -> bytes:
    transcoder = Transcoder("file.csv", said)
    return b"".join([*(transcoder.feed(data[at : at + chunk]) for at in range(0, len(data), chunk)), transcoder.finish()])


# ---------------------------------------------------------------- transcoding against Python's codecs


@pytest.mark.parametrize("encoding", SINGLE_BYTE)
def test_every_byte_of_an_encoding_is_its_character_and_comes_back(encoding: str) -> None:
    for byte in range(1, 256):
        data = bytes([byte])
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            with pytest.raises(SourceError, match=f"is not {encoding}: 0x{byte:02x} at byte 0 "):
                transcoded(data, encoding, 1)
            continue
        assert transcoded(data, encoding, 1) == text.encode()
        assert encoded(text.encode(), encoding) == data


@given(
    text=st.text(st.characters(exclude_characters="\0\ufeff", exclude_categories=["Cs"])),
    encoding=st.sampled_from(["utf-16-le", "utf-16-be"]),
    chunk=st.integers(1, 9),
    has_mark=st.booleans(),
)
@settings(max_examples=150)
def test_utf_16_is_what_python_takes_it_for(text: str, encoding: str, chunk: int, has_mark: bool) -> None:
    mark = (codecs.BOM_UTF16_LE if encoding == "utf-16-le" else codecs.BOM_UTF16_BE) if has_mark else b""
    data = mark + text.encode(encoding)
    expected = (codecs.BOM_UTF8 if has_mark else b"") + text.encode()
    assert transcoded(data, encoding, chunk) == expected
    if has_mark and data[2:4] != b"\0\0":
        assert transcoded(data, "auto", chunk) == transcoded(data, "utf-16", chunk) == expected
    assert encoded(text.encode(), encoding) == text.encode(encoding)


@given(
    data=st.lists(st.sampled_from([b"a", b"\r", b"\n", b"\0", b"\xd8", b"\xdc", b"\x81", b"\xe9", b"\xff"]), max_size=24).map(b"".join),
    encoding=st.sampled_from(["utf-16-le", "utf-16-be", "cp1252", "latin-1", "cp1250"]),
    chunk=st.integers(1, 9),
)
@settings(max_examples=300)
def test_any_bytes_are_decoded_as_python_does_or_refused_where_python_fails(data: bytes, encoding: str, chunk: int) -> None:
    data = ("x,y" * 2).encode(encoding) + data
    try:
        text, wrong = data.decode(encoding), []
    except UnicodeDecodeError as error:
        text, wrong = data[: error.start].decode(encoding), [error.start]
    if "\0" in text:  # met before or after the other, as the chunks come
        wrong.append(len(text[: text.index("\0")].encode(encoding)))
    if not wrong:
        assert transcoded(data, encoding, chunk) == text.encode()
        return
    with pytest.raises(SourceError) as caught:
        transcoded(data, encoding, chunk)
    places = [f"byte {at} (line {line_of(data[:at].decode(encoding))})" for at in wrong]
    assert any(place in str(caught.value) for place in places)


def line_of(before: str) -> int:
    return len(before.replace("\r\n", "\n").replace("\r", "\n").split("\n"))


# ---------------------------------------------------------------- reading

LETTERS = "aäéß€"
_ENDS = ["\n", "\r\n", "\r"]


@given(
    fields=st.lists(st.tuples(st.integers(-2, 3), st.text(LETTERS + '",\n', max_size=6)), max_size=30),
    end=st.sampled_from(_ENDS),
    encoding=st.sampled_from(["cp1252", "utf-16-le", "utf-16-be", "utf-16", "utf-8", "utf-8-sig", "iso8859-15"]),
    skip=st.integers(0, 2),
    broken=st.sets(st.integers(0, 29), max_size=2),
)
@settings(max_examples=50)
def test_rows_are_the_same_and_each_reject_has_its_place_and_bytes_in_the_file(
    tmp_path_factory: pytest.TempPathFactory, fields: list[tuple[int, str]], end: str, encoding: str, skip: int, broken: set[int]
) -> None:
    records = ['{},"{}"'.format(n, text.replace('"', '""')) + (",é" if at in broken else "") for at, (n, text) in enumerate(fields)]
    text = "".join(f"première {n}{end}" for n in range(skip)) + "n,größe" + end + "".join(record + end for record in records)
    data = text.encode(encoding)
    if encoding.startswith("utf-16-"):
        data = (codecs.BOM_UTF16_LE if encoding == "utf-16-le" else codecs.BOM_UTF16_BE) + data
    options: dict[str, str | int] = {"skip": skip}
    if not encoding.startswith("utf"):
        options["encoding"] = encoding
    rows, quarantine, read_as = read(tmp_path_factory.mktemp("encodings"), data, options)
    good = [(n, text) for at, (n, text) in enumerate(fields) if n >= 0 and at not in broken]
    assert [(row["n"], row["größe"]) for row in rows] == good
    bare = {"utf-8-sig": "utf-8", "utf-16": "utf-16-le"}.get(encoding, encoding)
    bad = [record for at, record in enumerate(records) if fields[at][0] < 0 or at in broken]
    assert [row["raw"] for row in quarantine] == [record.encode(bare) for record in bad]
    for row in quarantine:
        offset, raw = row["byte_offset"], row["raw"]
        assert isinstance(offset, int)
        assert isinstance(raw, bytes)
        assert data[offset : offset + len(raw)] == raw
        before = data[:offset].decode(bare)
        assert row["line"] == line_of(before)
    assert isinstance(read_as, dict)
    assert read_as["encoding"] == bare


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("data", "said", "message"),
    [
        ("a,b\né,1\n".encode("cp1252"), "auto", r'is not UTF-8: .* \(0xe9\) at byte 4 \(line 2\). .* say encoding="cp1252": it is never guessed'),
        (b"a,b\n\x81,1\n", "cp1252", r"is not cp1252: 0x81 at byte 4 \(line 2\) stands for no character .* say another encoding="),
        ("a,b\n".encode("utf-16") + b"\x00\xd8a\0", "auto", r"is not utf-16-le: 0x00d8 at byte 10 \(line 2\) stands for no character"),
        ("a,b\n".encode("utf-16") + b"a", "auto", r"is not utf-16-le: 0x61 at byte 10 \(line 2\) stands for no character \(truncated data\)"),
        ("a,b\n".encode("utf-16-le"), "auto", "has a NUL byte at byte 1 .* It looks like UTF-16 without a byte order mark: say encoding=.utf-16-le."),
        ("a,b\n".encode("utf-16-le"), "utf-16", 'has no byte order mark of UTF-16, .* say encoding="utf-16-le" or "utf-16-be"'),
        ("a,b\n".encode("utf-8-sig"), "cp1252", "begins with the byte order mark of utf-8, and encoding='cp1252' was said. Leave encoding= out"),
        ("a,b\n".encode("utf-16"), "utf-8", "begins with the byte order mark of utf-16-le, and encoding='utf-8' was said"),
        ("a,b\n".encode("utf-32"), "auto", "is UTF-32 text, which is not read. Convert it with `iconv"),
        (b"a,b\n1,\0\n", "cp1252", r"is binary, or not cp1252: it has a NUL character at byte 6 \(line 2\)"),
        (b"\xff\xfe", "auto", "has only blank lines|is empty"),
    ],
    ids=["cp1252", "no character", "surrogate", "half", "no mark", "no mark, said", "utf-8 mark", "utf-16 mark", "utf-32", "nul", "mark alone"],
)  # fmt: skip
def test_what_is_not_the_encoding_is_refused_with_its_place(tmp_path: Path, data: bytes, said: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        read(tmp_path, data, {"encoding": said}, None)
