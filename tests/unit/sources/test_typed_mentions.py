"""Of typed records those are found whose JSON says a word, and no other, whatever the types of their columns."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from headrace.backends.sources.parquet import open as open_parquet
from headrace.core.mentions import Place, Words
from headrace.core.ports import Landed

REALS = [17850.0, 17850.5, 0.5, 5.0, 1e15, 1.785e16, 5e-05, 1.785e-7, float("nan"), float("inf"), -5.0, None]
COLUMNS: dict[str, pa.DataType] = {
    "text": pa.string(),
    "whole": pa.int64(),
    "real": pa.float64(),
    "short": pa.float32(),
    "exact": pa.decimal128(12, 2),
    "day": pa.date32(),
    "clock": pa.time64("us"),
    "at": pa.timestamp("us", tz="UTC"),
    "took": pa.duration("us"),
    "is_new": pa.bool_(),
    "raw": pa.binary(),
    "list": pa.list_(pa.string()),
}
ROWS = st.fixed_dictionaries(
    {
        "text": st.sampled_from(["anna", "hannah", "see anna", "5", "x5", 'say "anna"', "é", None]),
        "whole": st.sampled_from([5, -5, 55, 17850, None]),
        "real": st.sampled_from(REALS),
        "short": st.sampled_from([0.1, 5.5, 16777216.0, None]),
        "exact": st.sampled_from([Decimal("17850.00"), Decimal("0.05"), None]),
        "day": st.sampled_from([date(2026, 5, 1), None]),
        "clock": st.sampled_from([time(5, 17, 50), None]),
        "at": st.sampled_from([datetime(2026, 5, 1, 5, tzinfo=UTC), None]),
        "took": st.sampled_from([timedelta(days=5), timedelta(seconds=5), None]),
        "is_new": st.booleans(),
        "raw": st.sampled_from([b"\x50", b"anna", None]),
        "list": st.sampled_from([["anna"], ["5"], [], None]),
    }
)


@pytest.fixture(scope="module")
def land(tmp_path_factory: pytest.TempPathFactory) -> Callable[[pa.Table], Landed]:
    folder = tmp_path_factory.mktemp("typed")

    def land(table: pa.Table) -> Landed:
        path: Path = folder / "a.parquet"
        parquet.write_table(table, path)
        return Landed("", path, sha256(path.read_bytes()).hexdigest(), path.stat().st_size, table.num_rows)

    return land


@given(
    rows=st.lists(ROWS, min_size=1, max_size=8),
    kept=st.sets(st.sampled_from(sorted(COLUMNS)), min_size=1),
    value=st.sampled_from(["anna", "5", "0", "5.0", "17850", "17850.0", "e", "05", "2026", "true", "nan", "inf", "50", "1e", "é", "days"]),
)
@example(rows=[{"real": 5.0}], kept={"real"}, value="0")
@settings(max_examples=60, deadline=None)
def test_what_is_passed_over_does_not_say_it(
    land: Callable[[pa.Table], Landed], rows: list[dict[str, object]], kept: set[str], value: str
) -> None:
    schema = pa.schema([(name, COLUMNS[name]) for name in sorted(kept)])
    file = land(pa.Table.from_pylist([{name: row.get(name) for name in sorted(kept)} for row in rows], schema))
    words, reader = Words([value]), open_parquet()
    expected = [record.line for record in reader.records(file.path, {}) if words.are_in(record.raw.decode())]
    found = list(reader.mentions(file, words, options={}))
    named = words.are_in("\n".join(schema.names))
    assert [one.line for one in found if isinstance(one, Place)] == [*([0] if named else []), *expected]
