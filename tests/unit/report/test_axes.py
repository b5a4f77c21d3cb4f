"""Axes: round ticks that span what is shown, for any finite values."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headrace.report.axes import frame, short, ticks

values = st.floats(min_value=-1e99, max_value=1e99, allow_nan=False)


@given(values, values)
def test_ticks_rise_and_span_the_values(a, b):
    low, high = min(a, b), max(a, b)
    marks = ticks(low, high)
    slack = max(abs(low), abs(high)) * 1e-6
    assert 2 <= len(marks) <= 12
    assert marks == sorted(set(marks))
    assert marks[0] <= low + slack
    assert marks[-1] >= high - slack


@given(values, values)
def test_a_frame_puts_its_ends_inside_its_area(a, b):
    box = frame((min(a, b), max(a, b)), (0, 1), x_label="x", y_label="y")
    assert 0 <= box.x(min(a, b)) <= box.width
    assert 0 <= box.x(max(a, b)) <= box.width


def test_figures_are_short_whatever_their_size():
    assert [short(value) for value in (0.0, 1234.56, -0.00001234, 1e12, 99_999.4)] == ["0", "1,234.6", "−1.23e−05", "1e+12", "99,999"]
