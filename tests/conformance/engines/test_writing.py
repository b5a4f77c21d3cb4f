"""What is written: columns and types, an order that never varies, keys, contracts, sides."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headrace.core.contract import Contract, ContractField
from headrace.core.errors import DataError
from headrace.core.interval import Interval
from headrace.core.ports import Bound, Column, Engine, InputFiles, WriteOrder, Written
from headrace.core.split import by_key, by_time

DAY = Interval.of("2026-11-20", "2026-11-21")


class Writer:
    """Writes results into a folder of its own."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine, self.folder = engine, folder

    def __call__(self, result: object, *, values: dict[str, Bound] | None = None, name: str = "rows", **order: Any) -> Written:
        split = order.get("split")
        paths = {side: self.path(side) for side in split.parts} if split else {"rows": self.path(name)}
        with self.engine.session(work=self.folder) as session:
            return session.write(result, WriteOrder(paths, interval=DAY, **order), values=values or {})

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.parquet"

    def rows(self, name: str = "rows") -> list[dict[str, Any]]:
        return pq.read_table(self.path(name)).to_pylist()


@pytest.fixture
def write(engine: Engine, tmp_path: Path) -> Writer:
    return Writer(engine, tmp_path)


# ---------------------------------------------------------------- columns


def test_settings_and_the_interval_are_bound_as_values(write: Writer) -> None:
    write(
        "select $name as name, $start as at, '$name' as text -- $nothing", values={"name": "O'Hara; drop", "start": DAY.start, "unused": 1}
    )
    assert write.rows() == [{"name": "O'Hara; drop", "at": datetime(2026, 11, 20, tzinfo=UTC), "text": "$name"}]


def test_nan_becomes_null(write: Writer) -> None:
    written = write("select * from (values (1.5::double, 'nan'::float), ('nan', 2)) t(a, b)")
    assert write.rows() == [{"a": 1.5, "b": None}, {"a": None, "b": 2.0}]
    assert written.details["nulls"] == {"a": 1, "b": 1}


@pytest.mark.parametrize(
    ("sql", "stored"),
    [
        ("sum(1::bigint)", "BIGINT"),
        ("1::uhugeint", "UBIGINT"),
        ("[1::hugeint]", "BIGINT[]"),
        ("'a'::enum('a', 'b')", "VARCHAR"),
        ("'2026-11-20'::timestamp_ns", "TIMESTAMP"),
        ("null", "INTEGER"),
        ("uuid()", "UUID"),
        ("{'a b': 1}", 'STRUCT("a b" INTEGER)'),
        ("map {'a': 1}", "MAP(VARCHAR, INTEGER)"),
        ("[1, 2]::integer[2]", "INTEGER[]"),
    ],
)
def test_a_column_is_stored_in_a_type_that_reads_back_as_itself(
    write: Writer, engine: Engine, tmp_path: Path, sql: str, stored: str
) -> None:
    assert write(f"select {sql} as a").schema == (Column("a", stored),)
    with engine.session(work=tmp_path) as session:
        session.give(InputFiles("t", ((DAY, (write.path("rows"),)),), ()), "frame")
        assert session.write("select * from t", WriteOrder({"rows": write.path("again")}), values={}).schema == (Column("a", stored),)


@pytest.mark.parametrize("sql", ["interval '1 day'", "union_value(a := 1)", "row(1, 2)", "[interval '1 day']"])
def test_a_type_that_cannot_be_stored_is_refused(write: Writer, sql: str) -> None:
    with pytest.raises(DataError, match=r"The column `a` has the type .* which cannot be stored"):
        write(f"select {sql} as a")


def test_a_sum_that_is_too_large_is_an_error_and_not_a_float(write: Writer) -> None:
    with pytest.raises(DataError, match="out of range"):
        write("select sum(x) as total from (values (9223372036854775807), (1)) t(x)")


@pytest.mark.parametrize(
    ("sql", "found"), [("select 1 as a, 2 as a", "`a` more than once"), ("select 1 as a, 2 as A", "`A`, `a` more than once")]
)
def test_columns_of_one_name_are_refused(write: Writer, sql: str, found: str) -> None:
    with pytest.raises(DataError, match=found):
        write(sql)


def test_columns_of_one_name_in_arrow_are_refused(write: Writer) -> None:
    with pytest.raises(DataError, match="`a` more than once"):
        write(pa.table([[1], [2]], names=["a", "a"]))


def test_what_the_engine_says_of_a_frame_shows_no_sql(write: Writer) -> None:
    with pytest.raises(DataError, match=r"^The result cannot be evaluated: [^\n]*$"):
        write([{"a": "\ud800"}])


def test_a_column_without_a_name_that_can_be_written_is_refused(write: Writer) -> None:
    with pytest.raises(DataError, match="which cannot be stored"):
        write('select 1 as "a\nb"')


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ([{"a": 1}, {"a": "x"}], "`a` holds values of several types: `BIGINT`, `VARCHAR`"),
        ([{"a": 1}, 5], "Row 1 of the list is a int"),
        ([], "no rows and no columns"),
        ({"a": [1], "b": [1, 2]}, "different lengths: `a` 1, `b` 2"),
        ([{1: 1}], "named by texts, found 1"),
        ([{"a": 2**64}], "`a` holds 18446744073709551616, which is no 64-bit integer"),
        ([{"a": Decimal("0.12345678901")}], "more than 9 decimal places"),
    ],
)
def test_plain_rows_that_are_no_table_are_refused(write: Writer, rows: object, found: str) -> None:
    with pytest.raises(DataError, match=found):
        write(rows)


def test_the_types_of_plain_rows_do_not_depend_on_how_large_values_are(write: Writer) -> None:
    small = write([{"a": 1, "b": [1], "c": 1.0, "d": Decimal(1), "e": {"x": 1}}, {"a": None, "c": 2}])
    large = write(
        [{"a": 2**62, "b": [2**40, None], "c": 1, "d": Decimal("0.5"), "e": {"x": 2**40}}, {"a": None, "c": 2.5, "d": Decimal("NaN")}]
    )
    assert [column.type for column in small.schema] == ["BIGINT", "BIGINT[]", "DOUBLE", "DECIMAL(38,9)", "STRUCT(x BIGINT)"]
    assert small.schema == large.schema


# ---------------------------------------------------------------- order


def _digest(write: Writer, sql: str, **order: Any) -> str:
    write(sql, **order)
    return hashlib.sha256(write.path("rows").read_bytes()).hexdigest()


@pytest.mark.parametrize(
    "sql",
    [
        "select range % 5003 as k, count(*) as n, sum(range) as s from range(400000) group by 1",
        "select distinct range * 7919 % 100003 as k from range(300000)",
        "select a.range as k, b.range as n from range(300000) a join range(200000) b on a.range = b.range * 2",
        "select range as k, row_number() over (partition by range % 7 order by range desc) as n from range(200000)",
        "select range as k from range(1000) union select range from range(2000)",
    ],
)
def test_the_same_query_writes_the_same_bytes(write: Writer, sql: str) -> None:
    assert len({_digest(write, sql) for _ in range(3)}) == 1


def test_rows_whose_order_is_free_are_sorted_by_key(write: Writer) -> None:
    write("select 1000 - range as n, range % 1000 as id from range(1000) group by all", key=("id",))
    assert [row["id"] for row in write.rows()] == list(range(1000))


def test_rows_that_the_user_sorted_stay_so(write: Writer) -> None:
    write("select range % 10 as id, count(*) as n from range(100) group by 1 order by id desc", key=("id",))
    assert [row["id"] for row in write.rows()] == list(range(9, -1, -1))


def test_rows_that_were_only_filtered_keep_the_order_of_their_file(write: Writer, engine: Engine, tmp_path: Path) -> None:
    write([{"id": n * 7 % 11} for n in range(11)])
    with engine.session(work=tmp_path) as session:
        session.give(InputFiles("t", ((DAY, (write.path("rows"),)),), (Column("id", "BIGINT"),)), "frame")
        session.write("select id + 1 as id from t where id > 0", WriteOrder({"rows": write.path("out")}), values={})
    assert [row["id"] - 1 for row in write.rows("out")] == [n * 7 % 11 for n in range(1, 11)]


# ---------------------------------------------------------------- keys and contracts


def test_a_key_that_is_not_unique_is_refused_with_examples(write: Writer) -> None:
    with pytest.raises(DataError, match=r"The key `id` is not unique: 3 values are in several rows: 0 \(4 rows\), 1 \(3 rows\)"):
        write("select range % 3 as id from range(10)", key=("id",))


def test_a_key_that_is_null_is_refused_with_the_count(write: Writer) -> None:
    with pytest.raises(DataError, match="The key `id` is null in 2 of 3 rows"):
        write([{"id": 1}, {"id": None}, {"id": None}], key=("id",))


def test_a_key_of_two_columns_may_repeat_in_each(write: Writer) -> None:
    assert write("select range % 2 as a, range // 2 as b from range(4)", key=("a", "b")).rows == {"rows": 4}


def test_a_key_that_is_no_column_is_refused_with_the_nearest(write: Writer) -> None:
    with pytest.raises(DataError, match=r"The table's key is `custmer`, .* Did you mean `customer`"):
        write("select 1 as customer", key=("custmer",))


CONTRACT = Contract(
    "Sale", (ContractField("id", "id", "int"), ContractField("price", "price", "float", nullable=True, ge=0)), forbids_others=True
)


def test_a_contract_gives_columns_their_types(write: Writer) -> None:
    written = write("select 1::smallint as id, 2.50 as price", contract=CONTRACT)
    assert written.schema == (Column("id", "BIGINT"), Column("price", "DOUBLE"))
    assert write([], contract=CONTRACT).schema == written.schema


def test_a_duration_is_kept_in_microseconds(write: Writer) -> None:
    contract = Contract("Shift", (ContractField("lasts", "lasts", "timedelta", le=timedelta(hours=2)),))
    written = write("select interval '1 hour 30 minutes' as lasts", contract=contract)
    assert (written.schema, write.rows()) == ((Column("lasts", "BIGINT"),), [{"lasts": 5_400_000_000}])
    write(pa.table({"lasts": pa.array([timedelta(seconds=1)], pa.duration("ns"))}), contract=contract)
    assert write.rows() == [{"lasts": 1_000_000}]
    with pytest.raises(DataError, match=r"`lasts` is above 2:00:00 \(le=2:00:00\) in 1 of 1 rows, such as 3:00:00"):
        write("select interval 3 hours as lasts", contract=contract)
    with pytest.raises(DataError, match=r"An INTERVAL with years or months has no fixed length, .*: 1 month"):
        write("select interval 1 month as lasts", contract=contract)
    with pytest.raises(
        DataError, match=r"`lasts` is VARCHAR, the contract says timedelta, which is an INTERVAL, or a BIGINT of microseconds: cast"
    ):
        write("select '1:00:00' as lasts", contract=contract)


def test_a_table_may_hold_lists_and_models(write: Writer) -> None:
    item = ContractField("", "", "model", inner=(ContractField("sku", "sku", "str"), ContractField("order", "order", "int", ge=0)))
    contract = Contract("Basket", (ContractField("items", "items", "list", item=item, max_length=2),))
    sql = "select [{'sku': sku, 'order': 1::bigint}, {'sku': 'b', 'order': n::bigint}] as items from (values ($sku, $n)) t(sku, n)"
    written = write(sql, contract=contract, values={"sku": "a", "n": 2})
    assert written.schema == (Column("items", 'STRUCT(sku VARCHAR, "order" BIGINT)[]'),)
    assert write([], contract=contract).schema == written.schema
    with pytest.raises(DataError, match=r"`items\[\].sku` missing in 1 of 1 rows, such as items\[0\].sku: missing"):
        write(sql, contract=contract, values={"sku": None, "n": 2})
    with pytest.raises(DataError, match=r"`items\[\].order` is below 0 \(ge=0\) in 1 of 1 rows, such as items\[1\].order: -2 is below 0"):
        write(sql, contract=contract, values={"sku": "a", "n": -2})
    with pytest.raises(DataError, match=r"`items` is INTEGER\[\], the contract says STRUCT\(sku VARCHAR, \"order\" BIGINT\)\[\]: cast it"):
        write("select [1] as items", contract=contract)


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("select 1 as idd, 1.0 as price", "`id` is missing. Did you mean `idd`"),
        ("select '1' as id, 1.0 as price", "`id` is VARCHAR, the contract says BIGINT"),
        ("select 1.5 as id, 1.0 as price", r"`id` is DECIMAL\(2,1\), the contract says BIGINT"),
        ("select null::int as id, 1.0 as price", "`id` missing in 1 of 1 rows"),
        ("select 1 as id, -1.0 as price", r"`price` is below 0 \(ge=0\) in 1 of 1 rows, such as -1.0"),
        ("select 1 as id, 1.0 as price, 2 as extra", "`extra` is not in the contract"),
    ],
)
def test_a_result_that_breaks_its_contract_is_refused(write: Writer, sql: str, found: str) -> None:
    with pytest.raises(DataError, match=found):
        write(sql, contract=CONTRACT)


# ---------------------------------------------------------------- sides


def test_a_split_writes_each_row_to_one_side(write: Writer) -> None:
    written = write("select range as id from range(1000)", key=("id",), split=by_key(test=0.2, valid=0.2))
    ids = {side: {row["id"] for row in write.rows(side)} for side in ("train", "valid", "test")}
    assert {side: len(found) for side, found in ids.items()} == written.rows
    assert sorted(n for found in ids.values() for n in found) == list(range(1000))


def test_rows_in_the_gap_are_kept_apart_from_the_sides(write: Writer) -> None:
    hours = "select $start - to_hours(range::int) as at from range(100)"
    written = write(hours, values={"start": DAY.end}, time="at", split=by_time(test="1d", gap="6h"))
    assert written.rows == {"train": 69, "test": 25, "gap": 6}
    assert len(write.rows("gap")) == 6


@pytest.mark.parametrize(
    ("sql", "order", "found"),
    [
        ("select null::int as id", {"split": by_key("id", test=0.2)}, "1 of 1 rows have no `id`"),
        ("select 1 as id", {"split": by_key("id", test=0.2)}, "Not enough data for a split: of 1 rows train 1, test 0"),
        ("select 1 as id", {"split": by_key(test=0.2)}, "split by key, but it has no key"),
        ("select 1 as id", {"split": by_time(test="1d")}, "split by time, but it has no time"),
        ("select 1 as id", {"split": by_time(test="1d"), "time": "id"}, "the time `id`, which is INTEGER"),
        ("select 1 as id", {"split": by_key("idd", test=0.5)}, "the column `idd`, which the result lacks. Did you mean `id`"),
        ("select null::date as at", {"split": by_time(test="1d"), "time": "at"}, "1 of 1 rows have no `at`"),
    ],
)
def test_a_split_that_cannot_be_made_is_refused(write: Writer, sql: str, order: dict[str, Any], found: str) -> None:
    with pytest.raises(DataError, match=found):
        write(sql, **order)


def test_the_sides_are_compared_by_column(write: Writer, engine: Engine) -> None:
    write(
        "select range as id, if(range % 2 = 0, null, range) as half, 'a' || range % 3 as name from range(1000)",
        key=("id",),
        split=by_key(test=0.2),
    )
    told: Any = engine.profile({side: [write.path(side)] for side in ("train", "test")})
    assert told["rows"]["train"] + told["rows"]["test"] == 1000
    assert set(told["columns"]) == {"id", "half", "name"}
    assert abs(told["columns"]["half"]["test"]["null_share"] - 0.5) < 0.1
    assert abs(told["columns"]["id"]["test"]["distance"]) < 0.2
    assert told["columns"]["name"]["train"]["distinct"] == 3


# ---------------------------------------------------------------- sessions


def test_sessions_side_by_side_do_not_see_each_others_tables(engine: Engine, write: Writer, tmp_path: Path) -> None:
    write([{"a": 1}], name="one")
    write([{"a": 2}], name="two")
    schema = (Column("a", "BIGINT"),)
    with engine.session(work=tmp_path) as first, engine.session(work=tmp_path) as second, engine.session(work=tmp_path) as third:
        first.give(InputFiles("t", ((DAY, (write.path("one"),)),), schema), "frame")
        second.give(InputFiles("t", ((DAY, (write.path("two"),)),), schema), "frame")
        first.write("from t", WriteOrder({"rows": write.path("first")}), values={})
        second.write("from t", WriteOrder({"rows": write.path("second")}), values={})
        with pytest.raises(DataError, match="reads the table `t`"):
            third.write("from t", WriteOrder({"rows": write.path("third")}), values={})
    assert (write.rows("first"), write.rows("second")) == ([{"a": 1}], [{"a": 2}])


def test_sessions_in_many_threads_write_what_is_theirs(engine: Engine, write: Writer) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def one(number: int) -> int:
        write(f"select range % 1000 as k, {number} as n from range(50000) group by all", name=f"t{number}", key=("k",))
        return len({row["n"] for row in write.rows(f"t{number}")} - {number})

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(one, range(12))) == 0


def test_a_python_variable_is_never_taken_for_a_table(write: Writer) -> None:
    purchases = [{"a": 1}]
    with pytest.raises(DataError, match="reads the table `purchases`"):
        write("select * from purchases")
    assert purchases
