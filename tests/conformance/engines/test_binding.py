"""SQL that is looked at before it runs: what is wrong is named, with the nearest name and the place."""

from __future__ import annotations

import pytest

from headrace.core.errors import DataError
from headrace.core.interval import parse_time
from headrace.core.ports import Column, Engine

TABLES = {
    "purchases": (Column("customer_id", "BIGINT"), Column("quantity", "BIGINT"), Column("sold_at", "TIMESTAMP WITH TIME ZONE")),
    "customers": (Column("customer_id", "BIGINT"), Column("name", "VARCHAR")),
}
VALUES = {"least": 3, "start": parse_time("2026-11-20"), "end": parse_time("2026-11-21")}


def test_a_query_tells_its_columns_as_they_would_be_stored(engine: Engine) -> None:
    sql = "select customer_id, sum(quantity) as n, $least as least, max(sold_at) as sold_at from purchases where sold_at >= $start group by all"
    expected = (
        Column("customer_id", "BIGINT"),
        Column("n", "BIGINT"),
        Column("least", "INTEGER"),
        Column("sold_at", "TIMESTAMP WITH TIME ZONE"),
    )
    assert engine.bind(sql, TABLES, VALUES) == expected


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        (
            "select custmer_id from purchases",
            "names the column `custmer_id`, which is not there. Did you mean `customer_id`?\n  line 1: select custmer_id from purchases\n                 ^",
        ),
        ("select p.quantty\nfrom purchases p", "names the column `quantty`, which is not there. Did you mean `quantity`?"),
        ("select c.name from purchases", "names `c`, which is not there"),
        ("select * from purchase", "reads the table `purchase`, but the step has no such parameter. Did you mean `purchases`?"),
        ("select * from purchases where quantity > $lest", "names `$lest`, but the step has no such setting. Did you mean `least`?"),
        (
            "select *\nfrom purchases\nwhere where quantity",
            "something is wrong at or before `where`.\n  line 3: where where quantity\n                ^",
        ),
        ("select summ(quantity) from purchases", "calls `summ`, which is no function of DuckDB. Did you mean `sum`?"),
        ("select sum(name) from customers", "calls `sum` on (VARCHAR)"),
        ("select 1; select 2", "this is 2 statements"),
        ("", "this is no statement"),
        ("drop table purchases", "this is DROP"),
        ("create table x as select 1", "this is CREATE"),
        ("copy purchases to 'x.csv'", "this is COPY"),
        ("select ? as a", "Values are bound by name"),
        ("select * from 'x.csv'", "reads a file by itself"),
        ("select * from read_csv('/etc/passwd')", "reads a file by itself"),
        ("select customer_id, count(*) from purchases", "must appear in the GROUP BY clause"),
    ],
)
def test_what_is_wrong_is_named(engine: Engine, sql: str, found: str) -> None:
    with pytest.raises(DataError) as caught:
        engine.bind(sql, TABLES, VALUES)
    assert found in str(caught.value)
    assert "Error:" not in str(caught.value)
    assert "Candidate" not in str(caught.value)
