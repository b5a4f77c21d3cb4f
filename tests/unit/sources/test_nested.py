"""Lists and models in a contract: each scalar in them is cast and checked as in a column of its own, and named by its path where it breaks."""

from __future__ import annotations

import ast
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator
from tests.unit.sources.test_typed_casts import TABLE

from headrace.backends.sources import csv as csv_format
from headrace.backends.sources import json as json_format
from headrace.backends.sources import parquet as parquet_format
from headrace.core.contract import Contract, ContractField, ValueType
from headrace.core.contract_models import contract_of
from headrace.core.errors import PipelineError, SourceError
from headrace.core.ports import JSON, Landed, ReadResult, SourceFormat

Row = dict[str, Any]
TEXTS = [ast.literal_eval(line) for line in (Path(__file__).parent / "nasty_texts.txt").read_text().splitlines()]


def read(
    data: bytes, folder: Path, contract: Contract, format_: SourceFormat, name: str, **options: JSON
) -> tuple[ReadResult, list[Row], list[Row]]:
    path = folder / name
    path.write_bytes(data)
    counter = format_.counter(name, options)
    counter.feed(data)
    landed = Landed(str(path), path, sha256(data).hexdigest(), len(data), counter.finish())
    rows, quarantine = folder / "rows.parquet", folder / "quarantine.parquet"
    result = format_.read([landed], contract=contract, options=options, rows=rows, quarantine=quarantine)
    return result, parquet.read_table(rows).to_pylist(), parquet.read_table(quarantine).to_pylist()


def read_json(records: list[Any], folder: Path, contract: Contract, **options: JSON) -> tuple[ReadResult, list[Row], list[Row]]:
    lines = "".join((record if isinstance(record, str) else json.dumps(record)) + "\n" for record in records)
    return read(lines.encode(), folder, contract, json_format.open(), "orders.jsonl", **options)


def read_table(table: pa.Table, folder: Path, contract: Contract) -> tuple[ReadResult, list[Row], list[Row]]:
    target = pa.BufferOutputStream()
    parquet.write_table(table, target, store_schema=True)
    return read(target.getvalue().to_pybytes(), folder, contract, parquet_format.open(), "orders.parquet")


class Item(BaseModel):
    sku: str = Field(pattern="^[a-z]")
    price: Decimal = Field(ge=0, max_digits=20, decimal_places=2)
    sold_at: datetime | None = Field(None, alias="soldAt")
    tags: list[Annotated[str, Field(max_length=3)]] = []


class Order(BaseModel):
    id: int
    items: list[Item] = Field(min_length=1, max_length=4)
    scores: list[float | None] | None = None


# ---------------------------------------------------------------- as columns are


def in_a_list_too(field: ContractField) -> Contract:
    """A column, and beside it the same in a list, and in a list of models."""
    item = ContractField("", "", **{**_said_of(field), "nullable": True})
    model = ContractField("", "", "model", inner=(ContractField("inner", "inner", **_said_of(item)),))
    return Contract(
        "C",
        (
            ContractField("n", "n", "int"),
            ContractField("v", "v", **{**_said_of(field), "nullable": True}),
            ContractField("vs", "vs", "list", item=item),
            ContractField("models", "models", "list", item=model),
        ),
    )


def _said_of(field: ContractField) -> dict[str, Any]:
    return {name: value for name, value in vars(field).items() if name not in ("name", "alias")}


def check_that_they_agree(rows: list[Row], quarantine: list[Row], records: int) -> None:
    assert len(rows) + len(quarantine) == records
    for row in rows:
        assert row["vs"] == [row["v"]]
        assert row["models"] == [{"inner": row["v"]}]
    for row in quarantine:
        said = sorted(set(row["reasons"]))
        shown = {reason.partition(": ")[2] for reason in said}
        assert [reason.partition(": ")[0] for reason in said] == ["models[0].inner", "v", "vs[0]"], said
        assert len(shown) == 1, said


@pytest.mark.parametrize("options", [{}, {"null_words": ["on", "1.5", "true", ""]}, {"timezone": "Europe/London"}], ids=str)
@pytest.mark.parametrize("type_", get_args(ValueType))
def test_a_text_in_a_list_is_what_it_is_in_a_column(tmp_path: Path, type_: ValueType, options: dict[str, JSON]) -> None:
    records = [{"n": n, "v": text, "vs": [text], "models": [{"inner": text}]} for n, text in enumerate(TEXTS)]
    _, rows, quarantine = read_json(records, tmp_path, in_a_list_too(ContractField("v", "v", type_)), **options)
    check_that_they_agree(rows, quarantine, len(TEXTS))


@pytest.mark.parametrize("name", TABLE)
def test_a_value_with_a_type_in_a_list_is_what_it_is_in_a_column(tmp_path: Path, name: str) -> None:
    column, field, _ = TABLE[name]
    if isinstance(column.type, pa.DictionaryType):
        column = column.dictionary_decode()
    single = pa.ListArray.from_arrays(list(range(len(column) + 1)), column)
    inner = pa.ListArray.from_arrays(list(range(len(column) + 1)), pa.StructArray.from_arrays([column], ["inner"]))
    table = pa.table({"n": range(len(column)), "v": column, "vs": single, "models": inner})
    _, rows, quarantine = read_table(table, tmp_path, in_a_list_too(field))
    check_that_they_agree(rows, quarantine, len(column))


_LEAF = st.one_of(st.none(), st.booleans(), st.integers(-3, 200), st.sampled_from(["a", "B", "long", "1.50", "1.555", "-2", "x" * 9, ""]))
_ITEM = st.one_of(
    _LEAF,
    st.fixed_dictionaries(
        {},
        optional={
            "sku": st.sampled_from(["a", "B", "", None]),
            "price": _LEAF,
            "tags": st.one_of(_LEAF, st.lists(_LEAF, max_size=2)),
            "more": _LEAF,
        },
    ),
)
_ORDER = st.fixed_dictionaries(
    {"id": st.integers(0, 9)}, optional={"items": st.one_of(_LEAF, st.lists(_ITEM, max_size=5)), "scores": st.lists(_LEAF, max_size=2)}
)


@settings(max_examples=40)
@given(records=st.lists(_ORDER, min_size=1, max_size=20))
def test_what_is_kept_is_what_pydantic_takes_of_the_texts(tmp_path_factory: pytest.TempPathFactory, records: list[Row]) -> None:
    """Of scalars as texts: JSON's own numbers and truth values are texts in a column, too."""
    expected = []
    records = [*records, {"id": 1, "items": [{"sku": "a", "price": 1}]}]  # a key that no record has is a refusal
    for record in records:
        told = as_columns_have_it(record)
        try:
            expected.append(Order.model_validate(told).model_dump())
        except ValidationError:
            continue
    result, rows, quarantine = read_json(records, tmp_path_factory.mktemp("reading"), contract_of(Order))
    assert rows == [{**row, "items": [{name: item[name] for name in Item.model_fields} for item in row["items"]]} for row in expected]
    assert result.rows_read == len(records) == len(rows) + len(quarantine)


def as_columns_have_it(value: Any, name: str = "") -> Any:
    """Scalars as texts, and where a column has a default or takes None, no value in the place of an empty one."""
    if isinstance(value, dict):
        found = {key: as_columns_have_it(inner, key) for key, inner in value.items()}
        return {key: inner for key, inner in found.items() if not (inner is None and key == "tags")}
    if isinstance(value, list):
        return [as_columns_have_it(inner, name) for inner in value]
    if value is None or (value == "" and name in ("scores", "price")):
        return None
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


# ---------------------------------------------------------------- reasons


def test_a_reason_names_the_first_part_that_breaks_and_counts_the_others(tmp_path: Path) -> None:
    items = [{"sku": "a", "price": 1}, {"sku": "b", "price": -1}, {"price": 1.111}, {"sku": "x", "price": -2, "tags": ["ok", "long", None]}]
    result, _, quarantine = read_json([{"id": 1, "items": items, "scores": ["x"]}], tmp_path, contract_of(Order))
    assert sorted(quarantine[0]["reasons"]) == [
        "items[1].price: -1 is below 0 (ge=0) (and 1 more)",
        "items[2].price: '1.111' is not a decimal number that fits DECIMAL(20,2)",
        "items[2].sku: missing",
        "items[3].tags[1]: 'long' is longer than 3 (max_length=3)",
        "items[3].tags[2]: missing",
        "scores[0]: 'x' is not a number",
    ]
    assert set(quarantine[0]["columns"]) == {"items", "scores"}
    assert result.reasons["items[].price: is below 0 (ge=0)"] == 1
    assert result.reasons["items[].tags[]: is longer than 3 (max_length=3)"] == 1


@pytest.mark.parametrize(
    ("items", "reason"),
    [
        ([], "items: has fewer than 1 element (min_length=1)"),
        ([{"sku": "a", "price": 1}] * 5, "items: has more than 4 elements (max_length=4)"),
        ("none", "items: 'none' is not an array"),
        ({"sku": "a"}, 'items: \'{"sku":"a"}\' is not an array'),
        (None, "items: missing"),
        ([5], "items[0]: '5' is not an object"),
        ([None], "items[0]: missing"),
        ([[]], "items[0]: '[]' is not an object"),
    ],
)
def test_what_is_no_list_or_no_model_is_told_as_such(tmp_path: Path, items: object, reason: str) -> None:
    _, rows, quarantine = read_json([{"id": 1, "items": items}], tmp_path, contract_of(Order))
    assert (rows, [row["reasons"] for row in quarantine]) == ([], [[reason]])


# ---------------------------------------------------------------- values


def test_digits_are_kept_as_they_are_written_and_records_in_their_order(tmp_path: Path) -> None:
    lines = [
        f'{{"id": {n}, "items": [{{"sku": "a", "price": 123456789012345678.{n:02d}, "soldAt": "2026-07-01T12:00:00+02:00"}}]}}'
        for n in range(50)
    ]
    _, rows, _ = read_json(lines, tmp_path, contract_of(Order))
    assert [row["id"] for row in rows] == list(range(50))
    assert [row["items"][0]["price"] for row in rows] == [Decimal(f"123456789012345678.{n:02d}") for n in range(50)]
    assert rows[0]["items"][0] == {
        "sku": "a",
        "price": Decimal("123456789012345678.00"),
        "sold_at": datetime(2026, 7, 1, 10, tzinfo=UTC),
        "tags": [],
    }


def test_a_column_of_json_texts_in_a_csv_file_is_taken_apart_too(tmp_path: Path) -> None:
    data = b'id,items,scores\n1,"[{""sku"":""a"",""price"":1.10}]","[1,null]"\n2,"[",\n3,"[{""sku"":""a"",""price"":2}]",""\n'
    _, rows, quarantine = read(data, tmp_path, contract_of(Order), csv_format.open(), "orders.csv")
    assert [(row["items"][0]["price"], row["scores"]) for row in rows] == [(Decimal("1.10"), [1.0, None]), (Decimal("2.00"), None)]
    assert [row["reasons"] for row in quarantine] == [["items: '[' is not an array"]]


def test_durations_are_shown_as_python_has_them_and_what_is_kept_aside_says_the_same_when_it_is_read_again(tmp_path: Path) -> None:
    class Stop(BaseModel):
        stayed: timedelta = Field(ge=timedelta(0), le=timedelta(hours=26))

    class Trip(BaseModel):
        lasted: timedelta = Field(ge=timedelta(minutes=-1))
        stops: list[Stop] = Field(max_length=1)

    long = {"stayed": timedelta(days=3, seconds=1, microseconds=5)}
    table = pa.table(
        {
            "lasted": pa.array([timedelta(minutes=-5), timedelta(0), timedelta(0)]),
            "stops": [[], [long], [{"stayed": timedelta(0)}] * 2],
        }
    )
    _, _, quarantine = read_table(table, tmp_path, contract_of(Trip))
    assert [row["reasons"] for row in quarantine] == [
        ["lasted: -0:05:00 is below -0:01:00 (ge=-0:01:00)"],
        ["stops[0].stayed: 3 days, 0:00:01.000005 is above 1 day, 2:00:00 (le=1 day, 2:00:00)"],
        ["stops: has more than 1 element (max_length=1)"],
    ]
    raw = [json.loads(row["raw"]) for row in quarantine]
    assert raw[:2] == [{"lasted": "-0:05:00", "stops": []}, {"lasted": "0:00:00", "stops": [{"stayed": "3 days, 0:00:01.000005"}]}]
    _, _, again = read_json(raw, tmp_path, contract_of(Trip))
    assert [row["reasons"] for row in again] == [row["reasons"] for row in quarantine]


def test_lists_in_slices_and_of_a_fixed_size_are_read_as_they_are(tmp_path: Path) -> None:
    class Row(BaseModel):
        n: int
        a: list[int | None] | None
        b: list[float]

    fixed = pa.array([[1.5, 2.5], [3.5, 4.5], [0, 0]], pa.list_(pa.float32(), 2))
    table = pa.table({"n": [1, 2, 3], "a": pa.array([[1], None, [2, None]], pa.large_list(pa.int64())), "b": fixed})
    _, rows, _ = read_table(table.slice(1), tmp_path, contract_of(Row))
    assert rows == [{"n": 2, "a": None, "b": [3.5, 4.5]}, {"n": 3, "a": [2, None], "b": [0.0, 0.0]}]


def test_a_file_whose_structs_lack_what_the_contract_asks_for_is_refused(tmp_path: Path) -> None:
    table = pa.table({"id": [1], "items": [[{"sku": "a"}]], "scores": [[1.0]]})
    with pytest.raises(SourceError, match=r"Every record of `orders.parquet` lacks `items\[\].price`"):
        read_table(table, tmp_path, contract_of(Order))


def test_another_type_in_the_place_of_a_list_or_a_model_is_no_list(tmp_path: Path) -> None:
    class Row(BaseModel):
        ids: list[int] | None
        item: Item | None

    _, rows, quarantine = read_table(pa.table({"ids": [1, None], "item": [[1], None]}), tmp_path, contract_of(Row))
    assert rows == [{"ids": None, "item": None}]
    assert quarantine[0]["reasons"] == ["ids: '1' is not an array", "item: '[1]' is not an object"]


# ---------------------------------------------------------------- declarations


def test_what_can_not_be_inside_is_refused(tmp_path: Path) -> None:
    class Strict(BaseModel):
        model_config = ConfigDict(extra="forbid")
        a: set[int]

        @field_validator("a")
        @classmethod
        def check(cls, value: set[int]) -> set[int]:
            return value

    class Odd(BaseModel):
        strict: Strict
        checked: list[Annotated[int, AfterValidator(abs)]]
        full: list[int] = [1]
        bounded: list[int] = Field(ge=1)
        matched: list[int] = Field(pattern="x")
        untyped: list  # type: ignore[type-arg]

    with pytest.raises(PipelineError) as caught:
        contract_of(Odd)
    told = [problem.message.partition(": ")[2] for problem in caught.value.problems]
    assert [text[:60] for text in told] == [
        "in its model, `Strict.a`: set[int] is not supported. Supported: list, models"[:60],
        "in its model, `Strict` has extra='forbid', which is for the columns of a file"[:60],
        "in its list, validators are run over whole columns of single values"[:60],
        "the default of a list is None or an empty one, and of a model None."[:60],
        "ge, gt, le and lt are for numbers and times, and the column is a list."[:60],
        "pattern is for texts, and the column is a list.",
        "list is not supported. Supported: list, models, str, int, float, bool"[:60],
    ]


def test_a_model_inside_itself_is_refused() -> None:
    with pytest.raises(PipelineError, match="`Node` is inside itself"):
        contract_of(Node)


class Node(BaseModel):
    children: list[Node]


def test_the_digest_tells_what_is_inside() -> None:
    def digest(annotation: object) -> str:
        return contract_of(type("Model", (BaseModel,), {"__annotations__": {"x": annotation}})).digest

    kinds = [
        list[int],
        list[int | None],
        list[str],
        list[list[int]],
        list[Literal["a"]],
        list[Annotated[int, Field(ge=0)]],
        Item,
        list[Item],
    ]
    assert len({digest(kind) for kind in kinds}) == len(kinds)
    assert contract_of(Order).schema[1].type.startswith('STRUCT("sku" VARCHAR, "price" DECIMAL(20,2)')
