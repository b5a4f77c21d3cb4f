"""How the columns of one file become the columns of a contract, as SQL over a table of texts.

Pure: names and text in, SQL out. The invariant: a value is in the rows only if none of its breaches is true.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, replace

from headrace.core.casts import cast_sql, failure_words, literal
from headrace.core.checks import Breach, breaches_of, literal_of
from headrace.core.contract import Contract, ContractField
from headrace.core.delimiters import delimiter_advice
from headrace.core.errors import SourceError, did_you_mean
from headrace.core.nested_casts import finish_sql, pair_sql, raw_type
from headrace.core.nested_checks import nested_breaches
from headrace.core.ports import JSON
from headrace.core.sniffing import AUTO
from headrace.core.usual_casts import usual_cast

__all__ = ["Layout", "Usual", "find_columns", "lay_out", "with_validators"]

_SHOWN = 60


@dataclass(frozen=True)
class Usual:
    """One field where its text is written as usual: SQL of the value, of whether it is right and breaks nothing, and of the value with its default."""

    value: str
    is_sound: str
    finished: str


@dataclass(frozen=True)
class Layout:
    """One file's columns against a contract. `positions` says where each field of the contract is in the file, if it is.

    `usual` is a shorter way for rows that are written as usual; empty where there is none.
    """

    names: tuple[str, ...]
    contract: Contract
    positions: tuple[int | None, ...]
    undeclared: tuple[str, ...]
    values: tuple[str, ...]
    breaches: tuple[Breach, ...]
    _: KW_ONLY
    usual: tuple[Usual, ...] = ()

    @property
    def usual_values_sql(self) -> str:
        """The values `v0`, `v1`, … as far as they are usual."""
        return ", ".join(f"{one.value} AS v{n}" for n, one in enumerate(self.usual))

    @property
    def unusual_sql(self) -> str:
        """The texts of a row that is not written as usual, or is not sound, as a list; NULL of the others."""
        proofs = [one.is_sound for one, position in zip(self.usual, self.positions, strict=True) if position is not None]
        return f"CASE WHEN {' AND '.join(proofs) or 'true'} THEN NULL ELSE [{', '.join(f't{n}' for n in range(len(self.usual)))}] END"

    @property
    def casts_sql(self) -> str:
        """The values `v0`, `v1`, … from their texts `t0`, `t1`, …: by number, since a column may be called anything."""
        validated = self.validated
        return ", ".join(f"{f'coalesce(b{n}, {value})' if n in validated else value} AS v{n}" for n, value in enumerate(self.values))

    @property
    def validated(self) -> tuple[int, ...]:
        """The numbers of the fields whose values pass through validators."""
        return tuple(n for n, field in enumerate(self.contract.fields) if field.validators and self.positions[n] is not None)

    @property
    def is_prepared(self) -> bool:
        """Whether the contract asks for more than casts of texts."""
        return bool(self.validated or self.shaped)

    @property
    def prepared_sql(self) -> str:
        """The texts as validators get them, and places for what they say of each, and for shapes: see `texts.validating` and `texts.shaping`."""
        fields = self.contract.fields
        places = [
            f"CAST(NULL AS {fields[n].sql_type}) AS b{n}, CAST(NULL AS INTEGER) AS w{n}, CAST(NULL AS VARCHAR) AS e{n}"
            for n in self.validated
        ]
        places += [f"CAST(NULL AS {raw_type(fields[n])}) AS s{n}" for n in self.shaped]
        return f"*{self._as_texts_sql}, {', '.join(places)}"

    @property
    def shaped(self) -> tuple[int, ...]:
        """The numbers of the fields that are lists or models, from texts of JSON."""
        return tuple(n for n, field in enumerate(self.contract.fields) if field.is_nested and self.positions[n] is not None)

    @property
    def _as_texts_sql(self) -> str:
        """How what is no text is replaced by its text, for validators that run before the cast."""
        return ""

    @property
    def finished_sql(self) -> tuple[str, ...]:
        """The values with their defaults, in the contract's order."""
        return tuple(_finished(n, field) for n, field in enumerate(self.contract.fields))

    @property
    def first_sql(self) -> str:
        """The number of the first breach of a row, or NULL."""
        found = " ".join(f"WHEN {breach.condition} THEN {n}::UINTEGER" for n, breach in enumerate(self.breaches))
        return f"CASE {found} END" if found else "CAST(NULL AS UINTEGER)"

    @property
    def broken_sql(self) -> str:
        """The breaches of a row by their numbers, as a list; NULL for a row whose `first` is. Mostly it is the last too, and no list is searched."""
        if not self.breaches:
            return "CAST(NULL AS UINTEGER[])"
        numbered = list(enumerate(self.breaches))
        last = " ".join(f"WHEN {breach.condition} THEN {n}::UINTEGER" for n, breach in reversed(numbered))
        numbers = ", ".join(f"CASE WHEN {breach.condition} THEN {n}::UINTEGER END" for n, breach in numbered)
        several = f"list_filter(CAST([{numbers}] AS UINTEGER[]), lambda b: b IS NOT NULL)"
        return f"CASE WHEN first IS NULL THEN NULL WHEN first = CASE {last} END THEN [first] ELSE {several} END"

    @property
    def reasons_sql(self) -> str:
        """The reasons of a row whose breaches are the list `broken`. Mostly that is `first` alone, which is looked up, and the others are not asked."""
        if not self.breaches:
            return "CAST(NULL AS VARCHAR[])"
        one = " ".join(f"WHEN {n} THEN {breach.sql}" for n, breach in enumerate(self.breaches))
        each = ", ".join(f"CASE WHEN {breach.condition} THEN {breach.sql} END" for breach in self.breaches)
        several = f"list_filter([{each}], lambda b: b IS NOT NULL)"
        return f"CASE WHEN first IS NOT NULL THEN CASE WHEN len(broken) = 1 THEN [CASE first {one} END] ELSE {several} END END"

    @property
    def columns_sql(self) -> str:
        """The columns of the breaches in the list `broken`."""
        if not self.breaches:
            return "CAST([] AS VARCHAR[])"
        names = f"[{', '.join(literal(breach.column) for breach in self.breaches)}]"
        return f"list_transform(broken, lambda b: {names}[b + 1])"


def lay_out(names: tuple[str, ...], contract: Contract, options: Mapping[str, JSON], *, file: str, has_header: bool = True) -> Layout:
    """Match a file's columns with a contract. Raises SourceError naming each column that the file lacks."""

    def advice(lacking: list[str]) -> str:
        return _advice(names, lacking, contract, options) if has_header else ""

    positions = find_columns(names, contract, file=file, advice=advice, has_header=has_header)
    declared = {field.alias for field in contract.fields}
    undeclared = tuple(name for name in names if name not in declared)
    if undeclared and contract.forbids_others:
        raise SourceError(f"`{file}` has columns that the contract `{contract.name}` forbids (extra='forbid'): {', '.join(undeclared)}.")
    values = tuple(
        _value(n, field, options, is_there=position is not None)
        for n, (field, position) in enumerate(zip(contract.fields, positions, strict=True))
    )
    breaches = tuple(
        breach
        for n, (field, position) in enumerate(zip(contract.fields, positions, strict=True))
        if position is not None
        for breach in _breaches(n, field, options)
    )
    is_flat = not any(field.is_nested or field.validators for field in contract.fields)
    usual = tuple(_usual(n, field, options) for n, field in enumerate(contract.fields)) if is_flat else ()
    return Layout(names, contract, positions, undeclared, values, breaches, usual=usual)


def _usual(n: int, field: ContractField, options: Mapping[str, JSON]) -> Usual:
    """What is missing is NULL as a text, and so as a value; of a column that the file lacks both are."""
    text, value = f"t{n}", f"v{n}"
    cast, proof = usual_cast(text, value, field, options)
    sound = " AND ".join([proof, *(f"NOT ({breach.condition})" for breach in breaches_of(field, value, ""))])
    may_miss = field.nullable or field.has_default
    finished = value if field.default is None else f"coalesce({value}, {literal_of(field.default, field.sql_type)})"
    return Usual(cast, f"({text} IS NULL OR ({sound}))" if may_miss else sound, finished)


def _value(n: int, field: ContractField, options: Mapping[str, JSON], *, is_there: bool) -> str:
    if field.is_nested:
        return pair_sql(f"s{n}" if is_there else f"CAST(NULL AS {raw_type(field)})", field, None, options)
    return cast_sql(f"t{n}", field, options) if is_there else f"CAST(NULL AS {field.sql_type})"


def find_columns(
    names: tuple[str, ...],
    contract: Contract,
    *,
    file: str,
    advice: Callable[[list[str]], str] = lambda _: "",
    has_header: bool = True,
) -> tuple[int | None, ...]:
    """Where each field of a contract is among a file's columns. Raises SourceError naming each that is lacking and has no default."""
    place = {name: n for n, name in enumerate(names)}
    positions = tuple(place.get(field.alias) for field in contract.fields)
    lacking = [f.alias for f, position in zip(contract.fields, positions, strict=True) if position is None and not f.has_default]
    if lacking:
        listed = "\n".join(f"  `{alias}`  {did_you_mean(alias, names)}" for alias in lacking)
        raise SourceError(
            f"{'The header of ' if has_header else 'Every record of '}`{file}` lacks {len(lacking)} of the {len(contract.fields)} columns "
            f"that the contract `{contract.name}` asks for:\n"
            f"{listed}\n{advice(lacking)}Mend the file, or say the column's name in the file with Field(alias=…), or give the field a default."
        )
    return positions


def _advice(names: tuple[str, ...], lacking: list[str], contract: Contract, options: Mapping[str, JSON]) -> str:
    """Where most columns are lacking: the delimiter that would find them, if there is one."""
    if options.get("names") or 2 * len(lacking) <= len(contract.fields):
        return ""
    if options.get("delimiter") == AUTO:
        return "Its delimiter was found by itself: if it is another, say delimiter=… Or: "
    advice = delimiter_advice(names, str(options.get("delimiter", ",")), lacking)
    return f"{advice} Or: " if advice else ""


def _breaches(n: int, field: ContractField, options: Mapping[str, JSON]) -> list[Breach]:
    if field.is_nested:
        return list(nested_breaches(f"v{n}", field, options))
    found: list[Breach] = []
    long = f"concat('''', left(t{n}, {_SHOWN}), CASE WHEN length(t{n}) > {_SHOWN} THEN '…' ELSE '' END, '''')"
    quoted = f"CASE WHEN strlen(t{n}) <= {_SHOWN} THEN concat('''', t{n}, '''') ELSE {long} END"
    if not field.nullable and not field.has_default:
        found.append(Breach(field.name, "missing", _is_missing(n, field)))
    if field.type != "str":
        found.append(Breach(field.name, failure_words(field, options), f"NOT {_is_missing(n, field)} AND v{n} IS NULL", quoted))
    shown = quoted if field.type == "str" else f"left(t{n}, {_SHOWN})"
    bounds = breaches_of(field, f"v{n}", shown)
    if field.type == "float":
        bounds = (replace(b, condition=f"NOT {_is_missing(n, field)} AND {b.condition}") for b in bounds)
    return list(with_validators(n, field, [*found, *bounds], quoted))


def with_validators(n: int, field: ContractField, breaches: Iterable[Breach], shown: str) -> Iterator[Breach]:
    """The breaches of a field, and that a validator refused it; then nothing else is said of the value, as in pydantic."""
    for breach in breaches:
        yield replace(breach, condition=f"w{n} IS NULL AND {breach.condition}") if field.validators else breach
    for number, validator in enumerate(field.validators):
        yield Breach(field.name, f"is refused by {validator.name}", f"coalesce(w{n} = {number}, false)", shown, because=f"e{n}")


def _is_missing(n: int, field: ContractField) -> str:
    """An empty text in quotes is a text, and no value of any other type; NaN is no number."""
    ways = [
        f"t{n} IS NULL",
        *([f"t{n} = ''"] if field.type != "str" else []),
        *([f"coalesce(isnan(v{n}), false)"] if field.type == "float" else []),
    ]
    return f"({' OR '.join(ways)})"


def _finished(n: int, field: ContractField) -> str:
    """The value of a row that is kept. Where no other is put in its place, what is missing is NULL already, but for NaN."""
    if field.is_nested:
        return finish_sql(f"v{n}", field)
    if field.default is None and not field.validators and (field.type != "float" or not field.nullable):
        return f"v{n}"
    default = literal_of(field.default, field.sql_type)
    return f"CASE WHEN {_is_missing(n, field)} THEN {default} ELSE v{n} END"
