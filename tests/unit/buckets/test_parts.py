"""An upload in parts is counted as its parts arrive, never before, and whole in the end."""

from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st

from headrace.backends.buckets.parts import Parts
from headrace.core.traffic import Traffic


@given(data=st.binary(max_size=400), part=st.integers(1, 50), at_once=st.integers(1, 5))
def test_what_may_still_be_underway_is_not_counted_and_all_is_in_the_end(data: bytes, part: int, at_once: int) -> None:
    traffic = Traffic()
    parts = Parts(io.BytesIO(data), part, traffic, at_once=at_once)
    handed = []
    for piece in parts:
        handed.append(piece)
        arrived = handed[: max(0, len(handed) - 1 - at_once)]  # the newest is not sent yet, and so many before it may be underway
        assert traffic.bytes_up == sum(map(len, arrived))
    parts.finish()
    assert b"".join(handed) == data
    assert traffic.bytes_up == len(data)
    assert traffic.requests == len(handed) + 1  # its parts, and what makes them an object


def test_a_large_upload_is_counted_while_it_goes_on() -> None:
    traffic = Traffic()
    parts = Parts(io.BytesIO(b"x" * 100), 10, traffic, at_once=4)
    assert [traffic.bytes_up for _ in parts] == [0, 0, 0, 0, 0, 10, 20, 30, 40, 50]
