"""What spares the pattern for the usual text of a time decides nothing that the exact rule would not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.core.casts import cast_sql
from headrace.core.contract import ContractField
from headrace.core.usual_times import usual_time_sql

_EXACT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"  # then DuckDB's cast takes what is a time, but for hour 24 and year 0
_SIGNS = [*"0123469-+:./TtZz_ae", *map(chr, [9, 10, 11, 12, 13, 28, 32, 0x85, 0xA0, 0x2212, 0x661, 0x2003])]
_BASES = ("2024-02-29T08:15:07", "1999-11-20 23:59:59", "0001-10-12T00:00:00")


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 1}) as opened:
        opened.execute("SET TimeZone = 'UTC'")
        yield opened


def wrong(connection: duckdb.DuckDBPyConnection, texts: str, parameters: Sequence[object]) -> list[tuple[object, ...]]:
    """Of a query of texts those that the short way reads and the exact one does not, or otherwise."""
    is_exact = f"regexp_full_match(t, '{_EXACT}') AND t >= '0001' AND substr(t, 12, 2) < '24' AND usual = TRY_CAST(t AS TIMESTAMP)"
    read = f"SELECT t, {usual_time_sql('t')} AS usual FROM ({texts})"
    return connection.execute(
        f"SELECT t, usual FROM ({read}) WHERE usual IS NOT NULL AND NOT coalesce({is_exact}, false)", parameters
    ).fetchall()


@pytest.mark.parametrize("base", _BASES)
def test_a_time_with_any_two_of_its_signs_changed_is_read_only_if_it_is_one(connection: duckdb.DuckDBPyConnection, base: str) -> None:
    places = "SELECT i, j FROM range(1, length($1) + 1) AS a(i), range(1, length($1) + 1) AS b(j) WHERE i < j"
    text = "left($1, i - 1) || x || substr($1, i + 1, j - i - 1) || y || substr($1, j + 1)"
    texts = f"SELECT {text} AS t FROM ({places}), (SELECT unnest($2::VARCHAR[]) AS x), (SELECT unnest($2::VARCHAR[]) AS y)"
    assert wrong(connection, texts, [base, _SIGNS]) == []


@pytest.mark.parametrize("base", _BASES)
def test_a_time_with_a_sign_more_or_less_is_not_read(connection: duckdb.DuckDBPyConnection, base: str) -> None:
    texts = [base[:n] + sign + base[n:] for n in range(len(base) + 1) for sign in _SIGNS] + [
        base[:n] + base[n + 1 :] for n in range(len(base))
    ]
    read = f"SELECT t FROM (SELECT unnest($1::VARCHAR[]) AS t) WHERE {usual_time_sql('t')} IS NOT NULL"
    assert connection.execute(read, [texts]).fetchall() == []


def test_each_day_and_each_second_that_there_is_is_read_and_no_other(connection: duckdb.DuckDBPyConnection) -> None:
    two = "lpad(CAST({} AS VARCHAR), 2, '0')".format
    days = f"SELECT y || '-' || {two('m')} || '-' || {two('d')} || 'T01:02:03' AS t FROM (SELECT unnest($1) AS y), range(100) AS a(m), range(100) AS b(d)"
    clocks = f"SELECT '2024-02-29T' || {two('h')} || ':' || {two('m')} || ':' || {two('s')} AS t FROM range(100) AS a(h), range(100) AS b(m), range(100) AS c(s)"
    years = ["0000", "0001", "0004", "0100", "1900", "2000", "2023", "2024", "9999"]
    leap_years, other_years = 3, 5
    for texts, parameters, count in ((days, [years], 366 * leap_years + 365 * other_years), (clocks, [], 86_400)):
        assert wrong(connection, texts, parameters) == []
        assert connection.execute(f"SELECT count({usual_time_sql('t')}) FROM ({texts})", parameters).fetchall() == [(count,)]


@given(texts=st.lists(st.text(st.sampled_from(_SIGNS), min_size=17, max_size=21), min_size=20, max_size=60))
def test_any_text_of_the_signs_of_times_is_read_only_if_it_is_one(connection: duckdb.DuckDBPyConnection, texts: list[str]) -> None:
    assert wrong(connection, "SELECT unnest($1::VARCHAR[]) AS t", [texts]) == []


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/St_Johns"])
@given(times=st.lists(st.datetimes(), min_size=20, max_size=60))
def test_a_time_is_the_same_in_each_zone_with_and_without_the_short_way(
    connection: duckdb.DuckDBPyConnection, zone: str, times: list[object]
) -> None:
    """A blank for the T is read by the pattern and the cast."""
    cast = cast_sql("t", ContractField("x", "x", "datetime"), {"timezone": zone})
    read = f"SELECT epoch_us({cast}) FROM (SELECT unnest($1::VARCHAR[]) AS t)"
    texts = [str(time)[:19] for time in times]
    assert connection.execute(read, [[text.replace(" ", "T") for text in texts]]).fetchall() == connection.execute(read, [texts]).fetchall()
