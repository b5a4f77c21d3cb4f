"""Which columns fit those that are recorded, and how a difference is told."""

from __future__ import annotations

from typing import Any

import pytest

from headrace.core.columns import Difference, Found, accepted, columns_to_read, difference, joined, recorded, shown, uneven
from headrace.core.contract import Contract, ContractField
from headrace.core.errors import ColumnsChangedError, SourceError

TEXTS: dict[str, Any] = {}


def field(name: str, type_: str) -> ContractField:
    kind, _, digits = type_.partition("(")
    precision, scale = (int(part) for part in digits[:-1].split(",")) if digits else (None, None)
    return ContractField(name, name, kind, nullable=True, max_digits=precision, decimal_places=scale)  # type: ignore[arg-type]


def record(**types: str) -> Contract:
    return Contract("recorded", tuple(field(name, type_) for name, type_ in types.items()))


def found(**types: str | None) -> list[Found]:
    """Columns by their types: `empty` has no value, None is of no type that a contract has."""
    return [
        Found(name, None) if type_ is None else Found(name, field(name, "str" if type_ == "empty" else type_), has_values=type_ != "empty")
        for name, type_ in types.items()
    ]


def told(before: Contract, now: list[Found], options: Any = TEXTS) -> Difference:
    one = difference(before, now, options)
    assert one is not None
    return one


@pytest.mark.parametrize(
    ("before", "now", "of_texts", "of_types"),
    [
        ("int", "int", True, True),
        ("float", "int", True, True),
        ("int", "float", False, False),
        ("str", "int", True, False),
        ("int", "str", False, False),
        ("str", "str", True, True),
        ("datetime", "date", True, True),
        ("date", "datetime", False, False),
        ("bool", "int", False, False),
        ("int", "bool", False, False),
        ("int", "empty", True, True),
        ("date", "empty", True, True),
        ("Decimal(10,2)", "Decimal(8,1)", True, True),
        ("Decimal(10,2)", "Decimal(10,3)", False, False),
        ("Decimal(10,2)", "Decimal(11,2)", False, False),
        ("Decimal(21,2)", "int", True, True),
        ("Decimal(10,2)", "int", False, False),
        ("float", "Decimal(4,2)", False, False),
        ("Decimal(38,2)", "str", False, False),
        ("str", None, False, False),
    ],
)
def test_a_column_fits_where_reading_it_as_recorded_keeps_its_values(before: str, now: str | None, of_texts: bool, of_types: bool) -> None:
    assert (difference(record(a=before), found(a=now), TEXTS) is None) is of_texts
    assert (difference(record(a=before), found(a=now), None) is None) is of_types


def test_dates_do_not_fit_times_where_their_forms_were_told() -> None:
    assert difference(record(a="datetime"), found(a="date"), {"datetime_format": "%d.%m.%Y %H:%M"}) is not None


def test_columns_in_another_order_fit() -> None:
    assert columns_to_read(found(b="str", a="int"), record(a="int", b="str"), TEXTS) == record(a="int", b="str")


def test_a_column_that_no_contract_can_hold_is_passed_over_where_it_is_not_recorded() -> None:
    assert columns_to_read(found(a="int", blob=None), record(a="int"), None) == record(a="int")


def test_the_difference_is_a_table_with_a_line_a_column() -> None:
    one = told(record(id="int", Price="float", at="date", gone="str"), found(id="str", price="float", at="date", more="bool", extra="int"))
    assert one.table().splitlines() == [
        "  column          recorded  found",
        "  id              int       str    changed",
        "  Price -> price  float     float  renamed, as it seems: near names, the same place and type",
        "  gone            str       -      missing",
        "  more            -         bool   added",
        "  extra           -         int    added",
    ]
    assert one.words() == "changed: id; renamed: Price; missing: gone; added: more, extra"
    with pytest.raises(ColumnsChangedError, match=r"not those that are recorded \(changed: id; renamed: Price; missing: gone"):
        columns_to_read(one.found, one.recorded, TEXTS)


@pytest.mark.parametrize(
    ("before", "now", "because"),
    [
        ({"unit_price": "float", "b": "int"}, {"b": "int", "UnitPrice": "float"}, "near names"),
        ({"customer": "int", "b": "int"}, {"buyer": "int", "b": "int"}, "the same place and type"),
        ({"customer": "int", "b": "int"}, {"customers": "str", "b": "int"}, "near names"),
    ],
)
def test_a_column_seems_renamed_by_its_name_or_by_its_place_and_type(
    before: dict[str, str], now: dict[str, str | None], because: str
) -> None:
    (change,) = told(record(**before), found(**now)).changes
    assert (change.kind, change.because) == ("renamed", because)


def test_a_missing_and_an_added_column_with_nothing_in_common_are_no_renaming() -> None:
    kinds = {change.kind for change in told(record(a="int", customer="int"), found(weather="str", a="int")).changes}
    assert kinds == {"missing", "added"}


def test_each_column_is_renamed_once() -> None:
    changes = told(record(name="str", names="str"), found(nam="str", b="str")).changes
    assert [(c.kind, (c.before or c.now).name) for c in changes] == [("renamed", "name"), ("renamed", "names")]  # type: ignore[union-attr]
    assert changes[1].because == "the same place and type"


def test_what_is_accepted_keeps_the_recorded_type_where_it_fits() -> None:
    one = told(record(a="float", b="int", c="date", d="str"), found(d="int", a="int", b="float", c="empty", e="bool"))
    assert accepted(one) == record(d="str", a="float", b="float", c="date", e="bool")


def test_a_schema_says_the_contract_that_it_was_read_by() -> None:
    one = record(a="int", b="float", c="str", d="bool", e="date", f="datetime", g="Decimal(10,2)")
    assert recorded(one.schema) == one
    assert [shown(f) for f in one.fields] == ["int", "float", "str", "bool", "date", "datetime", "Decimal(10,2)"]


def test_files_that_are_read_as_one_have_the_type_that_all_of_theirs_fit() -> None:
    files = {"a": found(x="int", y="empty", z=None), "b": found(y="bool", x="float", z=None), "c": found(x="int", y="bool", z=None)}
    for order in (files, dict(reversed(files.items()))):
        types = {column.name: shown(column.field) for column in joined(order, None)}
        assert types == {"x": "float", "y": "bool", "z": "no type of a contract"}


def test_files_of_different_columns_are_named_with_what_each_lacks() -> None:
    with pytest.raises(SourceError, match=r"\(y, z\): `b` lacks `y`, and has `z` besides\. Give"):
        joined({"a": found(x="int", y="int"), "b": found(x="int", z="int"), "c": found(x="int", y="int")}, None)
    with pytest.raises(SourceError, match=r"`x` is int in `a` and str in `b`"):
        joined({"a": found(x="int"), "b": found(x="str")}, None)
    assert "; and 2 more files" in uneven({"a": ["x"], "b": ["x"], **{f"c{n}": [f"y{n}"] for n in range(7)}})


def test_files_are_held_against_what_is_recorded_where_it_is_known() -> None:
    assert "`a` lacks `y`." in uneven({"a": ["x"], "b": ["x", "y"]}, record(x="int", y="int"))
