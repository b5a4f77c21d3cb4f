"""Validators of a contract: run as pydantic runs them, over the distinct values of a column, with what they refuse in quarantine."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    PlainValidator,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from headrace.backends.sources import csv as csv_format
from headrace.backends.sources import json as json_format
from headrace.backends.sources import parquet as parquet_format
from headrace.backends.texts import validating
from headrace.core.contract_models import contract_of
from headrace.core.errors import PipelineError, SourceError
from headrace.core.ports import Landed, ReadResult, SourceFormat

Row = dict[str, Any]


def read(data: bytes, folder: Path, model: type[BaseModel], format_: SourceFormat, name: str) -> tuple[ReadResult, list[Row], list[Row]]:
    path = folder / name
    path.write_bytes(data)
    counter = format_.counter(name, {})
    counter.feed(data)
    landed = Landed(str(path), path, sha256(data).hexdigest(), len(data), counter.finish())
    rows, quarantine = folder / "rows.parquet", folder / "quarantine.parquet"
    result = format_.read([landed], contract=contract_of(model), options={}, rows=rows, quarantine=quarantine)
    return result, parquet.read_table(rows).to_pylist(), parquet.read_table(quarantine).to_pylist()


def read_csv(records: list[Row], folder: Path, model: type[BaseModel]) -> tuple[ReadResult, list[Row], list[Row]]:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(model.model_fields))
    writer.writeheader()
    writer.writerows(records)
    return read(text.getvalue().encode(), folder, model, csv_format.open(), "sales.csv")


def read_json(records: list[Row], folder: Path, model: type[BaseModel]) -> tuple[ReadResult, list[Row], list[Row]]:
    return read("".join(json.dumps(record) + "\n" for record in records).encode(), folder, model, json_format.open(), "sales.json")


def read_parquet(records: list[Row], folder: Path, model: type[BaseModel]) -> tuple[ReadResult, list[Row], list[Row]]:
    target = pa.BufferOutputStream()
    parquet.write_table(pa.Table.from_pylist(records, pa.schema([(name, pa.string()) for name in model.model_fields])), target)
    return read(target.getvalue().to_pybytes(), folder, model, parquet_format.open(), "sales.parquet")


def model_of(**annotations: object) -> type[BaseModel]:
    return type("Model", (BaseModel,), {"__annotations__": annotations})


def without_currency(text: str) -> object:
    return Decimal(text[1:]) if text.startswith("$") else text


def not_thirteen(value: Decimal) -> Decimal:
    assert value != 13, "thirteen brings bad luck"
    return value


class Size(Enum):
    SMALL = "s"
    LARGE = "l"


class Sale(BaseModel):
    code: Annotated[str, AfterValidator(str.strip), AfterValidator(str.upper), Field(max_length=2)]
    price: Annotated[Decimal, BeforeValidator(without_currency), Field(ge=0, max_digits=9, decimal_places=2), AfterValidator(not_thirteen)]
    size: Size | None
    count: int = Field(lt=100)

    @field_validator("count")
    @classmethod
    def even(cls, value: int) -> int:
        if value % 2:
            raise ValueError(f"{value} is odd")
        return value // 2

    @field_validator("count", mode="before")
    @classmethod
    def dozen(cls, value: str) -> str:
        return "12" if value == "dozen" else value

    @field_validator("size")
    @classmethod
    def no_large(cls, value: Size | None) -> Size | None:
        return Size.SMALL if value is Size.LARGE else value


RECORDS = st.lists(
    st.fixed_dictionaries(
        {
            "code": st.sampled_from(["a", " ab ", "abc", "AB", "  "]),
            "price": st.sampled_from(["1.50", "$2", "13", "$13", "-1", "x", "1.501", "0"]),
            "size": st.sampled_from(["s", "l", None, "m"]),
            "count": st.sampled_from(["4", "3", "dozen", "100", "-6", "none"]),
        }
    ),
    min_size=1,
    max_size=40,
)


@pytest.mark.parametrize("reader", [read_csv, read_json, read_parquet])
@given(records=RECORDS)
def test_what_is_kept_is_what_pydantic_makes_of_it(
    tmp_path_factory: pytest.TempPathFactory, reader: Callable[..., tuple[ReadResult, list[Row], list[Row]]], records: list[Row]
) -> None:
    expected = []
    for record in records:
        try:
            expected.append(Sale.model_validate(record).model_dump(mode="python"))
        except ValidationError:
            continue
    result, rows, quarantine = reader(records, tmp_path_factory.mktemp("reading"), Sale)
    assert rows == [{**row, "size": row["size"] and row["size"].value} for row in expected]
    assert len(quarantine) == len(records) - len(rows) == result.rows_quarantined


def test_a_reason_has_the_words_of_the_validator_and_its_kind_has_no_value(tmp_path: Path) -> None:
    sound = {"code": "a", "price": "1", "size": None, "count": "2"}
    result, _, quarantine = read_csv([{**sound, "count": "3"}, {**sound, "count": "5", "price": "$13"}], tmp_path, Sale)
    assert [row["reasons"] for row in quarantine] == [
        ["count: '3' is refused by Sale.even: 3 is odd"],
        ["price: '$13' is refused by not_thirteen: thirteen brings bad luck", "count: '5' is refused by Sale.even: 5 is odd"],
    ]
    assert result.reasons == {"count: is refused by Sale.even": 2, "price: is refused by not_thirteen": 1}


def test_each_distinct_value_is_given_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: Counter[str] = Counter()

    word = model_of(word=Annotated[str, AfterValidator(lambda value: seen.update([value]) or value)])
    words = [{"word": f"w{n % 7}"} for n in range(1000)]
    assert len(read_json(words, tmp_path, word)[1]) == 1000
    assert seen == Counter({f"w{n}": 1 for n in range(7)})
    monkeypatch.setattr(validating, "_BATCH", 3)
    monkeypatch.setattr(validating, "_MOST_KNOWN", 2)
    assert read_json(words, tmp_path, word)[1] == words


def test_a_validator_is_given_the_models_own_types(tmp_path: Path) -> None:
    given: list[object] = []

    event = model_of(
        at=Annotated[datetime, AfterValidator(lambda value: given.append(value) or value + timedelta(hours=1))],
        lasts=Annotated[timedelta, AfterValidator(lambda value: given.append(value) or -value)],
        who=Annotated[UUID, AfterValidator(lambda value: given.append(value) or value)],
    )
    record = {"at": "2026-07-01T12:00:00+02:00", "lasts": "PT1H", "who": UUID(int=7).hex}
    _, rows, _ = read_json([record], tmp_path, event)
    assert given == [datetime(2026, 7, 1, 10, tzinfo=UTC), timedelta(hours=1), UUID(int=7)]
    assert rows == [{"at": datetime(2026, 7, 1, 11, tzinfo=UTC), "lasts": -3_600_000_000, "who": str(UUID(int=7))}]


def test_none_from_a_validator_is_a_missing_value(tmp_path: Path) -> None:
    class Reading(BaseModel):
        unit: Annotated[str | None, AfterValidator(lambda value: None if value == "?" else value)]
        level: Annotated[float, BeforeValidator(lambda text: None if text == "?" else text)]

    _, rows, quarantine = read_csv([{"unit": "?", "level": "1"}, {"unit": "m", "level": "?"}], tmp_path, Reading)
    assert rows == [{"unit": None, "level": 1.0}]
    assert quarantine[0]["reasons"] == ["level: missing"]


def test_bounds_hold_of_what_a_validator_returns(tmp_path: Path) -> None:
    class Low(BaseModel):
        n: Annotated[int, Field(ge=0), AfterValidator(lambda value: value - 5)]

    _, rows, quarantine = read_csv([{"n": "7"}, {"n": "3"}, {"n": "-1"}], tmp_path, Low)
    assert rows == [{"n": 2}]
    assert [row["reasons"] for row in quarantine] == [["n: 3 is below 0 (ge=0)"], ["n: -1 is below 0 (ge=0)"]]


@pytest.mark.parametrize(
    ("type_", "returned", "said"),
    [
        (int, "x", r"returned 'x' \(str\) for 1, and the column is a int. Return a int, or raise ValueError"),
        (int, True, r"returned True \(bool\)"),
        (int, 2**63, r"returned 9223372036854775808 \(int\)"),
        (str, 1, r"returned 1 \(int\) for '1', and the column is a str"),
        (Decimal, Decimal("0.1234567891"), r"returned Decimal\('0.1234567891'\)"),
        (float, [1.0], r"returned \[1.0\] \(list\)"),
    ],
)
def test_what_the_column_can_not_hold_stops_the_step(tmp_path: Path, type_: type, returned: object, said: str) -> None:
    model = model_of(x=Annotated[type_, AfterValidator(lambda _: returned)])
    with pytest.raises(SourceError, match=f"A validator of `x` {said}"):
        read_csv([{"x": "1"}], tmp_path, model)


def test_a_validator_before_the_cast_is_given_texts_of_columns_that_have_types(tmp_path: Path) -> None:
    class Row(BaseModel):
        n: Annotated[int, BeforeValidator(lambda text: f"{text}0")]
        at: Annotated[str, BeforeValidator(str.upper)]

    target = pa.BufferOutputStream()
    parquet.write_table(pa.table({"n": [1, 2], "at": [timedelta(seconds=1), None]}), target)
    _, rows, quarantine = read(target.getvalue().to_pybytes(), tmp_path, Row, parquet_format.open(), "rows.parquet")
    assert (rows, len(quarantine)) == ([{"n": 10, "at": "00:00:01"}], 1)


def test_what_a_contract_can_not_run_is_refused_and_told_why() -> None:
    class Odd(BaseModel):
        plain: Annotated[int, PlainValidator(int)]
        mixed: Annotated[int, Field(ge=0), AfterValidator(abs), Field(le=9)]
        other: int

        @field_validator("other")
        @classmethod
        def with_info(cls, value: int, info: ValidationInfo) -> int:
            return value

        @model_validator(mode="after")
        def whole(self) -> Odd:
            return self

    with pytest.raises(PipelineError) as caught:
        contract_of(Odd)
    told = [problem.message for problem in caught.value.problems]
    assert [text.split("`")[1] for text in told] == ["Odd.whole", "Odd.plain", "Odd.mixed", "Odd.other"]
    assert "is a validator of whole records" in told[0]
    assert "the PlainValidator `int` is not run" in told[1]
    assert "it has constraints before a validator and after it" in told[2]
    assert "takes `info`, which has the record's other fields" in told[3]


def test_a_validator_counts_for_the_digest_by_its_name_and_never_by_its_address() -> None:
    def model(*validators: object) -> type[BaseModel]:
        return model_of(x=Annotated[(int, *validators)] if validators else int)

    bare, one, again = contract_of(model()), contract_of(model(AfterValidator(abs))), contract_of(model(AfterValidator(abs)))
    assert one.digest == again.digest != bare.digest
    assert contract_of(model(BeforeValidator(abs))).digest != one.digest
