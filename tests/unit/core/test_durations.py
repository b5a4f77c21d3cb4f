"""Durations as a text: the same in Python and in the engine, and the same duration when it is read again."""

from __future__ import annotations

from datetime import timedelta

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from headrace.core.durations import duration_sql, duration_text, duration_text_sql, microseconds

AS_PYDANTIC = TypeAdapter(timedelta)


@pytest.fixture(scope="module")
def engine() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


def of(engine: duckdb.DuckDBPyConnection, sql: str, value: object) -> object:
    (found,) = engine.execute(f"SELECT {sql} FROM (SELECT $1 AS v)", [value]).fetchall()
    return found[0]


@given(st.timedeltas(timedelta(days=-100_000), timedelta(days=100_000)))
def test_a_duration_is_shown_alike_everywhere_and_read_again_as_what_it_was(engine: duckdb.DuckDBPyConnection, duration: timedelta) -> None:
    text = duration_text(duration)
    assert of(engine, duration_text_sql("CAST(v AS BIGINT)"), microseconds(duration)) == text
    assert of(engine, duration_sql("CAST(v AS VARCHAR)"), text) == microseconds(duration)
    assert AS_PYDANTIC.validate_python(text) == duration


@pytest.mark.parametrize("least", [-(2**63), -(2**63) + 1, 2**63 - 1])
def test_the_longest_durations_are_shown(engine: duckdb.DuckDBPyConnection, least: int) -> None:
    shown = str(of(engine, duration_text_sql("CAST(v AS BIGINT)"), least))
    assert shown.endswith(" days, 4:00:54.775808" if least == -(2**63) else " days, 4:00:54.775807")


def test_no_duration_is_shown_as_nothing(engine: duckdb.DuckDBPyConnection) -> None:
    assert of(engine, duration_text_sql("CAST(v AS BIGINT)"), None) is None
