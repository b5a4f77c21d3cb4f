"""Whatever breaks on the way, a file from the web is whole or there is an error."""

from __future__ import annotations

import contextlib
import gzip
from collections.abc import Iterator

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from web_server import NOW, Page, Site, serving

from headrace.backends.origins.http import HttpOrigin
from headrace.core.errors import HeadraceError, SourceError, TransientError

BODY = b"".join(b"%06d,some text\n" % n for n in range(20_000))
OTHERS = [BODY[:-7], BODY + b"one more\n", BODY[::-1], b"short", b""]


@pytest.fixture(scope="module")
def breaking() -> Iterator[Site]:
    with serving() as site:
        yield site


def origin(slept: list[float] | None = None, stalled_s: float = 30.0) -> HttpOrigin:
    return HttpOrigin(sleep=(lambda _: None) if slept is None else slept.append, stalled_s=stalled_s)


def read(site: Site, *pages: Page, slept: list[float] | None = None, stalled_s: float = 30.0) -> bytes:
    url = site.put("/a.csv", *pages)
    site.asked.clear()
    here = origin(slept, stalled_s)
    for file in here.find(url):
        with here.open(file) as opened:
            return opened.read()
    raise SourceError(f"{url} is not there")


# ---------------------------------------------------------------- any sequence of troubles

lengths = st.integers(0, len(BODY))
kinds = st.fixed_dictionaries(
    {
        "breaks_after": st.none() | lengths,
        "resets": st.booleans(),
        "takes_ranges": st.booleans(),
        "is_chunked": st.booleans(),
        "status": st.sampled_from([200, 200, 200, 200, 503, 404]),
    }
)


@st.composite
def answers(draw: st.DrawFn) -> list[Page]:
    """Answers to one GET after another: the file, with troubles, and at times another file in its place, which some servers do not tell."""
    told = draw(st.sampled_from(["etag", "weak", "modified", "nothing"]))
    pages = []
    for kind in draw(st.lists(kinds, min_size=1, max_size=7)):
        body = BODY if draw(st.integers(0, 5)) else draw(st.sampled_from(OTHERS))
        version = 1 if body == BODY else 2 + OTHERS.index(body)
        etag = {"etag": f'"{version}"', "weak": f'W/"{version}"'}.get(told)
        pages.append(Page(body, etag=etag, modified=NOW - 1000 * version if told == "modified" else None, **kind))
    return pages


@given(pages=answers())
@settings(max_examples=150)
def test_a_file_is_one_answers_from_its_first_byte_to_its_last_or_an_error(breaking: Site, pages: list[Page]) -> None:
    first = next((page for page in pages if page.status == 200), None)
    try:
        got = read(breaking, *pages, pages[-1].but(breaks_after=None, status=200))
    except HeadraceError as error:
        event(type(error).__name__)
        return
    event("whole")
    assert got in [BODY, *OTHERS]
    if first is not None and first.etag is not None and first.etag.startswith('"'):
        assert got == first.body


@given(
    places=st.lists(lengths, max_size=5), resets=st.booleans(), takes_ranges=st.booleans(), is_chunked=st.booleans(), is_told=st.booleans()
)
@settings(max_examples=50)
def test_a_few_breaks_do_no_harm(
    breaking: Site, places: list[int], resets: bool, takes_ranges: bool, is_chunked: bool, is_told: bool
) -> None:
    page = Page(BODY, takes_ranges=takes_ranges, is_chunked=is_chunked, etag='"1"' if is_told else None, modified=None)
    assert read(breaking, *(page.but(breaks_after=place, resets=resets) for place in places), page) == BODY


# ---------------------------------------------------------------- one at a time


def test_a_break_is_taken_up_where_it_was(breaking: Site) -> None:
    slept: list[float] = []
    assert read(breaking, Page(BODY, breaks_after=100_000), Page(BODY), slept=slept) == BODY
    again = breaking.asked[-1]
    assert (again.headers["Range"], again.headers["If-Range"]) == ("bytes=100000-", '"1"')
    assert len(slept) == 1


def test_a_time_of_change_will_do_where_it_is_exact(breaking: Site) -> None:
    page = Page(BODY, etag=None)
    assert read(breaking, page.but(breaks_after=100_000), page) == BODY
    assert breaking.asked[-1].headers["If-Range"].endswith(" GMT")


@pytest.mark.parametrize("page", [Page(BODY, etag='W/"1"'), Page(BODY, etag=None, modified=NOW), Page(BODY, etag=None, modified=None)])
def test_where_nothing_is_exact_the_file_is_read_again_and_compared(breaking: Site, page: Page) -> None:
    assert read(breaking, page.but(breaks_after=100_000), page) == BODY
    assert "Range" not in breaking.asked[-1].headers
    other = page.but(body=b"x" + BODY[1:])
    with pytest.raises(TransientError, match="changed while it was read"):
        read(breaking, page.but(breaks_after=100_000), other)


def test_a_server_without_ranges_sends_the_beginning_again(breaking: Site) -> None:
    page = Page(BODY, takes_ranges=False)
    assert read(breaking, page.but(breaks_after=100_000), page) == BODY


@pytest.mark.parametrize(
    "after",
    [
        Page(BODY, etag='"2"'),
        Page(BODY, etag='"2"', takes_ranges=False),
        Page(BODY[:50_000], etag='"2"'),
        Page(b"", 404),
        Page(b"", 416),
        Page(b"x" * 10, 206, headers={"Content-Range": f"bytes 100000-100009/{len(BODY) + 1}"}),
        Page(BODY[100_000:], 206, etag='"2"', headers={"Content-Range": f"bytes 100000-{len(BODY) - 1}/{len(BODY)}"}),
    ],
    ids=["another", "another, no ranges", "shorter", "gone", "out of range", "another total", "a part of another"],
)
def test_a_file_that_changes_meanwhile_is_an_error_that_may_pass(breaking: Site, after: Page) -> None:
    with pytest.raises(TransientError, match=r"changed while it was read: it is still being written, or was replaced\. Run again later\."):
        read(breaking, Page(BODY, breaks_after=100_000), after)


@pytest.mark.parametrize("said", ["bytes 5-9/10", "bytes 100000-100009/*", "nonsense", ""])
def test_a_part_that_was_not_asked_for_is_not_taken(breaking: Site, said: str) -> None:
    strange = Page(b"x" * 10, 206, headers={"Content-Range": said})
    assert read(breaking, Page(BODY, breaks_after=100_000), strange, Page(BODY)) == BODY
    assert "Range" not in breaking.asked[-1].headers


def test_a_part_that_ends_before_the_file_does_is_gone_on_from(breaking: Site) -> None:
    part = Page(BODY[100_000:100_010], 206, headers={"Content-Range": f"bytes 100000-100009/{len(BODY)}"})
    assert read(breaking, Page(BODY, breaks_after=100_000), part, Page(BODY)) == BODY
    assert breaking.asked[-1].headers["Range"] == "bytes=100010-"


def test_a_server_that_breaks_off_again_and_again_is_given_up(breaking: Site) -> None:
    with pytest.raises(TransientError, match=r"can't be read to its end: .*, after 1,000 of 340,000 bytes and 5 tries"):
        read(breaking, Page(BODY, breaks_after=1000, takes_ranges=False))


def test_as_long_as_it_goes_on_it_may_break_often(breaking: Site) -> None:
    body = BODY * 20
    assert read(breaking, Page(body, breaks_after=1_200_000), *[Page(body, breaks_after=600_000)] * 9, Page(body)) == body


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_short_body_is_not_a_whole_one(breaking: Site, is_chunked: bool) -> None:
    with pytest.raises(TransientError, match="can't be read to its end"):
        read(breaking, Page(BODY, breaks_after=len(BODY) - 1, is_chunked=is_chunked, etag=None, modified=None))


def test_a_body_whose_end_nobody_tells_is_refused(breaking: Site) -> None:
    with pytest.raises(HeadraceError, match=r"neither how long it is \(Content-Length\) nor where it ends"):
        read(breaking, Page(BODY, length=None))


def test_a_server_that_stops_sending_is_not_waited_for(breaking: Site) -> None:
    assert read(breaking, Page(BODY, stalls_after=100_000), Page(BODY), stalled_s=0.5) == BODY
    with pytest.raises(TransientError, match="its server stopped sending, after 1,000 of"):
        read(breaking, Page(BODY, stalls_after=1000, takes_ranges=False), stalled_s=0.05)


def test_what_was_packed_for_the_way_is_taken_up_too(breaking: Site) -> None:
    packed = Page(gzip.compress(BODY), headers={"Content-Encoding": "gzip"})
    assert read(breaking, packed.but(breaks_after=10_000), packed) == BODY
    with pytest.raises(TransientError, match="came packed as gzip, and can't be unpacked"):
        read(breaking, packed.but(body=packed.body[:-9]))
    with pytest.raises(TransientError, match="came packed as gzip, and can't be unpacked"):
        read(breaking, packed.but(body=BODY))


def test_closing_early_leaves_nothing_behind(breaking: Site) -> None:
    here = origin()
    (file,) = here.find(breaking.put("/a.csv", BODY))
    opened = here.open(file)
    assert opened.read(10) == BODY[:10]
    opened.close()
    assert opened.closed
    with contextlib.suppress(ValueError):
        opened.read(1)
    with here.open(file) as again:
        assert again.read() == BODY
