"""Contracts: what is read from a pydantic model, and what is refused because it would not be checked."""

from __future__ import annotations

import enum
import pickle
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

import duckdb
import pytest
from annotated_types import Interval
from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    PlainValidator,
    PositiveInt,
    StringConstraints,
    ValidationError,
    model_validator,
)

from headrace.core.casts import cast_sql
from headrace.core.checks import breaches_of
from headrace.core.contract import Contract, ContractField
from headrace.core.contract_models import contract_of
from headrace.core.errors import PipelineError, Where
from headrace.core.ports import Column


class Size(enum.Enum):
    SMALL = "s"
    LARGE = "l"


class Purchase(BaseModel):
    invoice: str = Field(alias="InvoiceNo")
    quantity: int
    unit_price: float = Field(ge=0)
    is_gift: bool = False
    customer_id: int | None = None
    amount: Decimal = Field(max_digits=12, decimal_places=2)
    day: date
    invoiced_at: datetime = Field(ge=datetime(2010, 1, 1))
    size: Size = Size.SMALL
    kind: Literal["web", "shop"]


def fields(model: type[BaseModel]) -> dict[str, ContractField]:
    return {field.name: field for field in contract_of(model).fields}


def test_the_schema_has_duckdb_types_in_the_models_order() -> None:
    assert contract_of(Purchase).schema == (
        Column("invoice", "VARCHAR", nullable=False),
        Column("quantity", "BIGINT", nullable=False),
        Column("unit_price", "DOUBLE", nullable=False),
        Column("is_gift", "BOOLEAN", nullable=False),
        Column("customer_id", "BIGINT", nullable=True),
        Column("amount", "DECIMAL(12,2)", nullable=False),
        Column("day", "DATE", nullable=False),
        Column("invoiced_at", "TIMESTAMP WITH TIME ZONE", nullable=False),
        Column("size", "VARCHAR", nullable=False),
        Column("kind", "VARCHAR", nullable=False),
    )


def test_a_column_is_called_by_its_alias_in_the_file() -> None:
    assert (fields(Purchase)["invoice"].alias, fields(Purchase)["quantity"].alias) == ("InvoiceNo", "quantity")


def test_a_decimal_without_digits_has_nine_decimals() -> None:
    class Plain(BaseModel):
        amount: Decimal

    assert contract_of(Plain).schema[0].type == "DECIMAL(38,9)"


def test_enums_and_literals_of_texts_become_choices() -> None:
    assert (fields(Purchase)["size"].choices, fields(Purchase)["kind"].choices) == (("s", "l"), ("web", "shop"))
    assert fields(Purchase)["size"].default == "s"


def test_enums_and_literals_of_whole_numbers_and_of_truth_values_have_those_types() -> None:
    class Floor(enum.IntEnum):
        GROUND = 0
        FIRST = 1

    class Room(BaseModel):
        floor: Floor = Floor.GROUND
        beds: Literal[1, 2] | None
        is_open: Literal[True]

    found = fields(Room)
    assert (found["floor"].type, found["floor"].choices, found["floor"].default) == ("int", (0, 1), 0)
    assert (found["beds"].type, found["beds"].choices, found["beds"].nullable) == ("int", (1, 2), True)
    assert (found["is_open"].type, found["is_open"].choices) == ("bool", (True,))
    (breach,) = breaches_of(found["beds"], "v", "t")
    assert (breach.kind, breach.condition) == (
        "beds: is none of 1, 2",
        "coalesce(v NOT IN (CAST('1' AS BIGINT), CAST('2' AS BIGINT)), false)",
    )


def test_a_naive_bound_of_a_time_is_utc() -> None:
    assert fields(Purchase)["invoiced_at"].ge == datetime(2010, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (PositiveInt, {"gt": 0}),
        (FiniteFloat, {"is_finite": True}),
        (Annotated[int, Interval(ge=1, le=9)], {"ge": 1, "le": 9}),
        (Annotated[int, Field(ge=0)] | None, {"ge": 0, "nullable": True}),
        (Annotated[str, StringConstraints(min_length=2, max_length=4, pattern="^a")], {"min_length": 2, "max_length": 4, "pattern": "^a"}),
        (Annotated[float | None, Field(gt=0, lt=1)], {"gt": 0, "lt": 1, "nullable": True}),
    ],
    ids=str,
)
def test_bounds_are_found_wherever_pydantic_takes_them(annotation: object, expected: dict[str, object]) -> None:
    model = type("Model", (BaseModel,), {"__annotations__": {"x": annotation}})
    assert {key: getattr(fields(model)["x"], key) for key in expected} == expected


def test_all_that_would_not_be_checked_is_listed_at_once() -> None:
    class Broken(BaseModel):
        tags: set[str]
        either: int | str
        code: Literal[1, "2"]
        triple: str = Field(multiple_of=3)
        made: str = Field(default_factory=str)
        other: str = Field(validation_alias=AliasChoices("a", "b"))
        strict: int = Field(strict=True)
        changed: Annotated[int, PlainValidator(abs)]
        stripped: Annotated[str, StringConstraints(strip_whitespace=True)]
        flag: bool = Field(ge=0)

        @model_validator(mode="after")
        def odd(self) -> Broken:
            return self

    with pytest.raises(PipelineError) as caught:
        contract_of(Broken, where=Where("shop.py", 7))
    named = [problem.message.split("`")[1] for problem in caught.value.problems]
    assert named == [f"Broken.{name}" for name in ("odd", *Broken.model_fields)]
    assert str(caught.value.problems[1]) == (
        "shop.py:7: `Broken.tags`: set[str] is not supported. "
        "Supported: list, models, str, int, float, bool, Decimal, date, datetime, time, timedelta, UUID, Literal or Enum of texts, of whole numbers or of truth values, each also `| None`."
    )


def test_a_setting_of_the_model_that_would_not_be_followed_is_refused() -> None:
    class Stripped(BaseModel):
        model_config = ConfigDict(str_strip_whitespace=True)
        name: str

    with pytest.raises(PipelineError, match="sets str_strip_whitespace in its model_config, which contracts do not follow"):
        contract_of(Stripped)


@pytest.mark.parametrize(
    ("annotations", "message"),
    [
        ({"a": int, "A": int}, "another field differs from it only in case"),
        ({"a": Annotated[Decimal, Field(max_digits=5)]}, "max_digits needs decimal_places beside it"),
        ({"a": Annotated[Decimal, Field(max_digits=39, decimal_places=2)]}, "is 38 at most"),
        ({"a": Annotated[int, Field(min_length=2)]}, "are for texts .*, and the column is a int"),
    ],
)
def test_what_a_column_cannot_carry_is_refused(annotations: dict[str, object], message: str) -> None:
    model = type("Model", (BaseModel,), {"__annotations__": annotations})
    with pytest.raises(PipelineError, match=message):
        contract_of(model)


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(PipelineError, match=r"contract= takes a pydantic model .*, got <class 'dict'>"):
        contract_of(dict)  # type: ignore[arg-type]


def test_a_contract_is_a_value() -> None:
    contract = contract_of(Purchase)
    assert contract == contract_of(Purchase)
    assert hash(contract) == hash(contract_of(Purchase))
    assert pickle.loads(pickle.dumps(contract)) == contract


def test_the_digest_is_of_what_is_accepted_and_not_of_the_name() -> None:
    field = ContractField("x", "x", "int")
    assert Contract("A", (field,)).digest == Contract("B", (field,)).digest
    others = [
        ContractField("x", "X", "int"),
        ContractField("x", "x", "float"),
        ContractField("x", "x", "int", nullable=True),
        ContractField("x", "x", "int", ge=0),
        ContractField("x", "x", "int", ge=1),
        ContractField("x", "x", "bool", has_default=True, default=False),
        ContractField("x", "x", "bool", has_default=True, default=None),
    ]
    digests = [Contract("A", (other,)).digest for other in (field, *others)]
    assert len(set(digests)) == len(digests)


class Shift(BaseModel):
    badge: UUID
    begins: time = Field(ge=time(6), lt=time(22))
    lasts: timedelta = Field(ge=timedelta(minutes=30), lt=timedelta(hours=12))
    minutes: int = Field(multiple_of=15)
    share: float = Field(default=0.5, multiple_of=0.1)
    pay: Decimal = Field(multiple_of=Decimal("0.05"))


_ROWS = {
    "badge": ["12345678123456781234567812345678", "x", "{12345678-1234-5678-1234-567812345678}"],
    "begins": ["06:00", "05:59:59.999999", "22:00", "21:59", "7"],
    "lasts": ["PT30M", "00:29:59.999999", "PT12H", "11:59:59.999999", "-PT1H", "3600"],
    "minutes": ["0", "15", "-30", "20", "15.0"],
    "share": ["0.3", "0.7000000000000001", "0.05", "-0.2", "1e300"],
    "pay": ["1.05", "1.07", "0", "-0.10", "1.0500"],
}


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in _ROWS.items() for text in texts])
def test_times_of_day_durations_uuids_and_multiples_are_checked_as_pydantic_does(name: str, text: str) -> None:
    field = next(field for field in contract_of(Shift).fields if field.name == name)
    cast = cast_sql("t", field, {})
    broken = " OR ".join(f"({breach.condition})" for breach in breaches_of(field, "v", "t")) or "false"
    with duckdb.connect(config={"threads": 1}) as connection:
        found = connection.execute(f"SELECT v IS NOT NULL AND NOT ({broken}) FROM (SELECT t, {cast} AS v FROM (SELECT $1 AS t))", [text])
        is_kept = found.fetchall()[0][0]
    good = {"badge": _ROWS["badge"][0], "begins": "06:00", "lasts": "PT8H", "minutes": "15", "share": "0.5", "pay": "1"}
    try:
        Shift.model_validate({**good, name: text})
        is_valid = True
    except ValidationError:
        is_valid = False
    assert is_kept == is_valid


def test_a_multiple_is_asked_of_numbers_only() -> None:
    class Odd(BaseModel):
        name: str = Field(multiple_of=2)

    with pytest.raises(PipelineError, match="multiple_of is for numbers, and the column is a str"):
        contract_of(Odd)
