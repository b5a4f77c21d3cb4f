"""Packed files: what comes out is what went in, in bounded memory, and what is cut short, damaged or ambiguous is refused."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import shutil
import subprocess
import threading
import tracemalloc
import zipfile
from collections.abc import Callable

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.backends.texts.unpacking import Unpacker
from headrace.core.errors import SourceError

TEXT = b"".join(b"%d,tea,%d\n" % (n, n * 7919 % 1000) for n in range(3000))


class Pipe(io.RawIOBase):
    """Where a zip is written that can't go back to what it wrote."""

    def __init__(self) -> None:
        self.data = b""

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        self.data += bytes(data)  # type: ignore[call-overload]
        return len(data)  # type: ignore[arg-type]


def zipped(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return file.getvalue()


def piped_zip(data: bytes) -> bytes:
    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("notes/", b"")
        with archive.open("a.csv", "w", force_zip64=True) as member:
            member.write(data)
    return pipe.data


def zstd(data: bytes) -> bytes:
    packed = pa.BufferOutputStream()
    with pa.CompressedOutputStream(packed, "zstd") as stream:
        stream.write(data)
    return packed.getvalue().to_pybytes()


STREAMS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress, "zstd": zstd}
PACKED: dict[str, Callable[[bytes], bytes]] = {
    **STREAMS,
    "zip": lambda data: zipped(("a.csv", data)),
    "zip, stored": lambda data: zipped(("a.csv", data), method=zipfile.ZIP_STORED),
    "zip, bzip2": lambda data: zipped(("a.csv", data), method=zipfile.ZIP_BZIP2),
    "zip through a pipe": piped_zip,
}


@pytest.fixture(params=PACKED.values(), ids=PACKED.keys())
def pack(request: pytest.FixtureRequest) -> Callable[[bytes], bytes]:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(params=STREAMS.values(), ids=STREAMS.keys())
def pack_stream(request: pytest.FixtureRequest) -> Callable[[bytes], bytes]:
    return request.param  # type: ignore[no-any-return]


def unpacked(data: bytes, *, chunk: int = 1 << 20, member: str = "", max_ratio: int | None = None) -> bytes:
    unpacker = Unpacker("shop.dat", member=member, max_ratio=max_ratio)
    made = [piece for at in range(0, len(data), chunk) for piece in unpacker.feed(data[at : at + chunk])]
    return b"".join([*made, *unpacker.finish()])


# ---------------------------------------------------------------- what comes out


@pytest.mark.parametrize("chunk", [1, 13, 4096, 1 << 20])
def test_what_went_in_comes_out_however_the_bytes_come(pack: Callable[[bytes], bytes], chunk: int) -> None:
    assert unpacked(pack(TEXT), chunk=chunk) == TEXT


def test_nothing_packed_is_nothing(pack: Callable[[bytes], bytes]) -> None:
    assert unpacked(pack(b"")) == b""


@pytest.mark.parametrize("chunk", [1, 1000, 1 << 20])
def test_streams_one_after_the_other_are_one_file(pack_stream: Callable[[bytes], bytes], chunk: int) -> None:
    assert unpacked(pack_stream(TEXT) + pack_stream(b"") + pack_stream(b"the end"), chunk=chunk) == TEXT + b"the end"


@pytest.mark.parametrize("chunk", [1, 1 << 20])
@pytest.mark.parametrize("name", ["gzip", "bzip2", "xz"])
def test_zeros_may_pad_a_stream(name: str, chunk: int) -> None:
    pack = STREAMS[name]
    assert unpacked(pack(TEXT) + bytes(512) + pack(b"more") + bytes(4), chunk=chunk) == TEXT + b"more"


@pytest.mark.parametrize("name", STREAMS)
def test_many_short_streams_are_given_in_large_pieces(name: str) -> None:
    packed = STREAMS[name](TEXT[:1000]) * 2000
    unpacker = Unpacker("shop.dat")
    made = [*unpacker.feed(packed), *unpacker.finish()]
    assert b"".join(made) == TEXT[:1000] * 2000
    assert len(made) == 1


def test_frames_of_zstd_that_hold_no_data_are_passed_over() -> None:
    aside = b"\x50\x2a\x4d\x18\x04\0\0\0note"
    assert unpacked(aside + zstd(TEXT) + aside) == TEXT


@pytest.mark.parametrize("tool", ["gzip", "bzip2", "xz", "zstd", "zip"])
def test_what_the_usual_tools_pack_is_unpacked(tool: str) -> None:
    if not shutil.which(tool):
        pytest.skip(f"{tool} is not installed")
    command = ["zip", "-q", "-", "-"] if tool == "zip" else [tool, "-c"]
    packed = subprocess.run(command, input=TEXT, capture_output=True, check=True).stdout
    assert packed != TEXT
    assert unpacked(packed, chunk=1000) == TEXT


@given(data=st.binary(max_size=300), chunk=st.integers(1, 40))
@settings(max_examples=100)
def test_bytes_that_are_not_packed_pass_unchanged(data: bytes, chunk: int) -> None:
    plain = b"x" + data
    assert unpacked(plain, chunk=chunk) == plain


def test_a_text_that_begins_as_bzip2_does_is_a_text() -> None:
    assert unpacked(b"BZh9,price\n1,2\n") == b"BZh9,price\n1,2\n"


# ---------------------------------------------------------------- what is refused


def test_every_file_that_is_cut_short_is_noticed(pack: Callable[[bytes], bytes]) -> None:
    packed = pack(TEXT[:3000])
    for size in {*range(10, 60), *range(60, len(packed), 37), *range(len(packed) - 30, len(packed))}:
        with pytest.raises(SourceError, match=r"`shop.dat` is .* (cut short|can't be unpacked)"):
            unpacked(packed[:size], chunk=997)


def test_what_is_cut_short_is_told_with_what_to_do() -> None:
    message = "`shop.dat` is an xz file that was cut short: it ends after 100 bytes, before its data do. Fetch it again."
    with pytest.raises(SourceError, match=message):
        unpacked(lzma.compress(TEXT)[:100])


@given(place=st.floats(0, 0.999), bit=st.integers(0, 7))
@settings(max_examples=60)
def test_a_bit_that_was_turned_over_is_noticed_or_changes_nothing(place: float, bit: int) -> None:
    for name in ("gzip", "bzip2", "xz", "zip", "zip, stored", "zip through a pipe"):
        packed = bytearray(PACKED[name](TEXT[:500]))
        packed[int(place * len(packed))] ^= 1 << bit
        try:
            found = unpacked(bytes(packed))
        except SourceError:
            continue
        assert found in (TEXT[:500], bytes(packed)), name


@pytest.mark.parametrize("name", ["gzip", "xz", "bzip2", "zstd"])
def test_bytes_behind_a_stream_that_are_none_are_refused(name: str) -> None:
    with pytest.raises(SourceError, match=f"is an? {name} file that can't be unpacked: .* Fetch it again."):
        unpacked(STREAMS[name](TEXT) + b"<html>error</html>")


def test_a_bomb_is_refused_before_it_unfolds_and_takes_no_memory() -> None:
    bomb = gzip.compress(bytes(300 << 20), 1)
    unpacker = Unpacker("shop.dat", max_ratio=50)
    tracemalloc.start()
    try:
        with pytest.raises(SourceError, match=r"unfolds to more than 50 times its size: .* allow more with max_ratio=…"):
            for _ in unpacker.feed(bomb):
                pass
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()
    assert sum(len(piece) for piece in Unpacker("shop.dat").feed(bomb)) == 300 << 20


def test_a_dictionary_that_does_not_fit_into_memory_is_refused() -> None:
    packed = lzma.compress(b"a,b\n", filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 29}])
    with pytest.raises(
        SourceError, match=r"is an xz file that can't be unpacked: Memory usage limit exceeded.* Pack it again with a smaller"
    ):
        unpacked(packed)


def test_a_file_of_zstd_that_nobody_wants_any_more_leaves_no_thread() -> None:
    unpacker = Unpacker("shop.dat")
    pieces = unpacker.feed(zstd(TEXT)[:-10])
    list(pieces)
    ours = [thread for thread in threading.enumerate() if thread.name == "headrace-zstd"]
    del pieces, unpacker
    for thread in ours:
        thread.join(10)
    assert ours
    assert not any(thread.is_alive() for thread in ours)


# ---------------------------------------------------------------- which member of a zip


SEVERAL = zipped(("read me.pdf", b"%PDF"), ("data/", b""), ("data/a.csv", TEXT), ("__MACOSX/data/._a.csv", b"x"), ("b.txt", b"b"))


@pytest.mark.parametrize("member", ["data/a.csv", "*.csv", "data/?.csv"])
def test_a_member_is_chosen_by_name_or_pattern(member: str) -> None:
    assert unpacked(SEVERAL, member=member, chunk=100) == TEXT


def test_folders_and_what_a_mac_adds_are_no_files() -> None:
    assert unpacked(zipped(("data/", b""), ("data/a.csv", TEXT), ("__MACOSX/data/._a.csv", b"x"))) == TEXT


@pytest.mark.parametrize(
    ("data", "member", "message"),
    [
        (SEVERAL, "", r"is a zip archive of 3 files: `read me.pdf`, `data/a.csv`, `b.txt`. Say which is meant, .*: member='data/a.csv'"),
        (SEVERAL, "c.csv", r"has no file that member='c.csv' names. It has: `read me.pdf`, `data/a.csv`, `b.txt`"),
        (SEVERAL, "*", r"has 3 files that member='\*' names"),
        (zipped(), "", "is a zip archive without a file in it"),
        (zipped(*((f"{n}.csv", b"") for n in range(10_001))), "9.csv", "is a zip archive of more than 10000 members"),
        (zipped(("[Content_Types].xml", b"<x/>"), ("xl/workbook.xml", b"<x/>")), "", "is an Excel workbook .* Save its sheet as CSV"),
        (gzip.compress(TEXT), "a.csv", "is no zip archive, so it has no member 'a.csv'. Leave member= out"),
        (zipped(("a.csv", TEXT), method=zipfile.ZIP_LZMA), "", "its member `a.csv` is packed with lzma, which is not read. Pack it again"),
        (zipped(("a.csv", TEXT)).replace(b"PK\x03\x04\x14\0\0", b"PK\x03\x04\x14\0\1"), "", "its member `a.csv` is encrypted"),
    ],
    ids=["several", "none of that name", "several by pattern", "empty", "many", "excel", "no zip", "method", "encrypted"],
)
@pytest.mark.parametrize("chunk", [1, 1 << 20])
def test_a_zip_that_has_not_one_file_is_refused_with_what_it_has(data: bytes, member: str, message: str, chunk: int) -> None:
    with pytest.raises(SourceError, match=message):
        unpacked(data, member=member, chunk=chunk)


def test_nothing_of_a_zip_of_several_small_files_is_given_before_it_is_refused() -> None:
    unpacker = Unpacker("shop.dat")
    assert list(unpacker.feed(SEVERAL)) == []


def test_bytes_behind_an_archive_are_refused_but_for_zeros() -> None:
    packed = zipped(("a.csv", TEXT))
    assert unpacked(packed + b"\0" * 512) == TEXT
    with pytest.raises(SourceError, match=r"can't be unpacked: .* bytes stand behind its end, perhaps of another archive"):
        unpacked(packed + zipped(("b.csv", TEXT)))


def test_a_directory_that_lists_other_members_is_refused() -> None:
    packed = zipped(("a.csv", TEXT))
    with pytest.raises(SourceError, match="is a zip archive that can't be unpacked: its directory and its members do not agree"):
        unpacked(packed.replace(b"a.csv", b"b.csv", 1))
