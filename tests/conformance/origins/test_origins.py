"""What every origin must do, wherever its files are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.backends import origins
from headrace.core.errors import HeadraceError
from headrace.core.ports import Origin, RawFile

LARGE = bytes(range(256)) * 20_000


def found(place, name: str) -> RawFile:
    (file,) = place.origin().find(place.location(name))
    return file


def read(origin: Origin, file: RawFile) -> bytes:
    with origin.open(file) as opened:
        return opened.read()


def outcome(act: Callable[[], object]) -> object:
    """What came of it: a value or an error."""
    try:
        return act()
    except HeadraceError as error:
        return error


def test_every_flavour_has_a_case() -> None:
    flavours = {path.stem for folder in origins.__path__ for path in Path(folder).iterdir() if path.stem[0] != "_"}
    assert flavours == {path.stem for path in (Path(__file__).parent / "cases").glob("*.py")}


@pytest.mark.parametrize("data", [b"id\n1\n", b"", LARGE], ids=["small", "empty", "large"])
def test_a_file_is_found_with_its_size_and_its_bytes_are_opened(place, data: bytes) -> None:
    place.put("a.csv", data)
    file = found(place, "a.csv")
    assert (file.name, file.size_bytes) == ("a.csv", len(data))
    assert read(place.origin(), file) == data


def test_it_is_read_in_pieces_and_ends_once(place) -> None:
    place.put("a.csv", LARGE)
    with place.origin().open(found(place, "a.csv")) as opened:
        pieces = []
        while piece := opened.read(100_000):
            pieces.append(piece)
        assert b"".join(pieces) == LARGE
        assert opened.read(1) == b""


def test_a_file_is_the_same_at_each_look_until_its_bytes_change(place) -> None:
    place.put("a.csv", b"id\n1\n")
    first = found(place, "a.csv")
    assert first.mark
    assert found(place, "a.csv") == first
    place.put("a.csv", b"id\n1\n2\n")
    second = found(place, "a.csv")
    assert (second.uri, second.name) == (first.uri, first.name)
    assert second.mark != first.mark


def test_other_files_have_other_uris(place) -> None:
    place.put("a.csv", b"x")
    place.put("b.csv", b"x")
    assert found(place, "a.csv").uri != found(place, "b.csv").uri


def test_what_is_not_there_is_not_found(place) -> None:
    place.put("a.csv", b"x")
    assert list(place.origin().find(place.location("b.csv"))) == []
    place.remove("a.csv")
    assert list(place.origin().find(place.location("a.csv"))) == []


def test_a_pattern_finds_files_in_the_order_of_their_names_or_says_that_it_can_not(place) -> None:
    for name in ("b.csv", "a.csv", "c.txt"):
        place.put(name, b"x")
    origin = place.origin()
    if place.is_listed:
        assert [file.name for file in origin.find(place.location("*.csv"))] == ["a.csv", "b.csv"]
        return
    found = outcome(lambda: list(origin.find(place.location("*.csv"))))
    assert found == [] or "can't be listed" in str(found)


def test_opening_what_is_gone_is_an_error_that_names_it(place) -> None:
    place.put("a.csv", b"x")
    file = found(place, "a.csv")
    place.remove("a.csv")
    with pytest.raises(HeadraceError) as caught:
        read(place.origin(), file)
    assert "a.csv" in str(caught.value)


def test_a_file_that_was_replaced_is_read_whole_or_not_at_all(place) -> None:
    place.put("a.csv", b"old" * 1000)
    file = found(place, "a.csv")
    place.put("a.csv", b"newer" * 2000)
    got = outcome(lambda: read(place.origin(), file))
    assert got == b"newer" * 2000 or (isinstance(got, HeadraceError) and "a.csv" in str(got))


def test_what_tells_of_a_file_shows_no_way_in(place) -> None:
    place.put("a.csv", b"x")
    file = found(place, "a.csv")
    assert "way" not in repr(file)
    assert repr(file) == repr(found(place, "a.csv"))
