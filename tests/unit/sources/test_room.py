"""What a format hands to DuckDB by a room's file: what was given last, and nothing of what was there before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from headrace.backends.texts.room import opened_room


def test_a_shorter_text_leaves_nothing_of_a_longer_one_behind(tmp_path: Path) -> None:
    with opened_room(tmp_path) as room:
        for texts in ([b"a,b\n" * 100_000], [b"c,d\n", b"e,f\n"], [], [b"g,h\n" * 3]):
            room.write(texts)
            assert room.file.read_bytes() == b"".join(texts)
            content = room.connection.execute("SELECT content FROM read_text($1)", [str(room.file)]).fetchall()
            assert content == [(b"".join(texts).decode(),)]


def test_a_text_that_breaks_off_leaves_nothing_that_is_read_for_the_next(tmp_path: Path) -> None:
    def breaking() -> Iterator[bytes]:
        yield b"a,b\n"
        raise ValueError

    with opened_room(tmp_path) as room:
        room.write([b"x" * 1000])
        try:
            room.write(breaking())
        except ValueError:
            room.write([b"c,d\n"])
        assert room.file.read_bytes() == b"c,d\n"
