"""Sources: raw files landed unchanged in bronze, and read from there into typed rows and a quarantine.

What a file's format is and where it comes from are behind ports. The invariant: rows are made from the bytes in the lake, which are
the bytes that were at the origin, and rows read == rows kept + rows quarantined, with rows read counted apart from any parser.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path
from tempfile import mkdtemp
from weakref import finalize

from headrace.core.advice import AdvisingFormat
from headrace.core.contract import Contract
from headrace.core.errors import HeadraceError, SourceError, TooManyRejectedError, TransientError
from headrace.core.interval import Grid, Interval
from headrace.core.location import interval_of, is_named_by, pattern_of, resolve
from headrace.core.manifest import Content, Manifest, Part, digest_of
from headrace.core.ports import JSON, Landed, Origin, RawFile, ReadResult, SourceFormat
from headrace.core.quarantine import QUARANTINE
from headrace.core.redaction import public
from headrace.core.step import Source
from headrace.lake.commit import Attempt
from headrace.lake.log import DatasetLog
from headrace.lake.premise import Premise
from headrace.steps.forgetting import Forgetting, begun, left_of, saying
from headrace.steps.intake import TAKEN, Past, take_again, take_new, taken_part, told_files
from headrace.steps.landing import Bronze, Landing, check_unchanged, is_known_to_be, land, land_again, marks_of, news_of
from headrace.steps.made import Made
from headrace.steps.mending import MENDS, Mended, mend, mended_by, mends_part
from headrace.steps.sifting import NO_RULES, RuledBy, keys_part, sifted
from headrace.steps.validating import bounded

__all__ = [
    "commit_refused",
    "make_of_landed",
    "make_of_new",
    "make_source",
    "nearest",
    "raw_digest",
    "resolve",
    "source_inputs",
]


_UNMENDED = Mended()


class _RefusedError(TooManyRejectedError):
    """Keeps the quarantine, a file beside the attempt, for as long as it lives itself: it is committed under a name of its own."""

    quarantine: Path | None = None
    result: ReadResult
    details: Mapping[str, JSON]


def make_source(
    step: Source,
    interval: Interval,
    *,
    attempt: Attempt,
    origin: Origin,
    format: SourceFormat,  # noqa: A002  # the port's word
    location: str,
    now: datetime,
    landed: Bronze | None = None,
    known: Bronze | None = None,
    mended: Mended = _UNMENDED,
    ruled: RuledBy = NO_RULES,
    recorded: Contract | None = None,
    forgetting: Forgetting | None = None,
) -> Made:
    """Land a source's files of an interval and read them, without a contract by the columns that are recorded, if there are any.

    Given what `landed` before, the rows are made of those bytes again when the files at the origin are the same or are gone. Those that
    are as they are `known` from an earlier commit are copied from there. Raises SourceError when there are none (unless `missing="empty"`) or when one is not what it claims to be, TransientError when one
    changes while it lands, TooManyRejectedError above `max_rejected`; its quarantine is for `commit_refused`.
    """
    with _named(step, interval):
        files = origin.find(resolve(location, interval))
        leave = begun(forgetting, mended)
        if landed and _is_landed(files, landed.manifest, resolve(location, interval)):
            again = land_again(landed, attempt, format, step.options.options, leave)
            made = _read(step, interval, again, attempt, format, left_of(forgetting, mended), ruled, recorded)
            made = saying(forgetting, made)
            return replace(made, origin={**_told_again(landed.manifest), **made.origin})
        if not files and step.missing == "fail":
            raise SourceError(_nothing_found(step, interval, origin, location))
        landings = land(files, attempt, origin, format, step.options.options, known=known, leave=leave)
        check_unchanged(origin, resolve(location, interval), files)
        own = [landing.landed for landing in landings]
        made = saying(forgetting, _read(step, interval, own, attempt, format, left_of(forgetting, mended), ruled, recorded))
        return replace(made, origin={**_told(step, interval, landings, now), **news_of(landings, known), **made.origin})


def make_of_landed(
    step: Source,
    interval: Interval,
    *,
    attempt: Attempt,
    format: SourceFormat,  # noqa: A002  # the port's word
    landed: Bronze,
    mended: Mended,
    ruled: RuledBy = NO_RULES,
    recorded: Contract | None = None,
    forgetting: Forgetting | None = None,
) -> Made:
    """The same of the bytes that an earlier commit has, whatever is at the origin now, and of files that were mended since.

    What it says of files that are taken once is copied from there.
    """
    with _named(step, interval):
        again = land_again(landed, attempt, format, step.options.options, begun(forgetting, mended))
        made = saying(forgetting, _read(step, interval, again, attempt, format, left_of(forgetting, mended), ruled, recorded))
        taken = landed.manifest.content.part(TAKEN)
        for file in taken.files if taken else ():
            attempt.copy(file, TAKEN, layer="bronze")
        parts = (*made.parts, *((attempt.part(TAKEN, "bronze"),) if taken else ()))
        before = landed.manifest.receipt.get("origin")
        return replace(made, parts=parts, origin={**(before if isinstance(before, Mapping) else {}), **made.origin})


def make_of_new(
    step: Source,
    interval: Interval,
    *,
    attempt: Attempt,
    origin: Origin,
    format: SourceFormat,  # noqa: A002  # the port's word
    now: datetime,
    past: Past,
    mended: Mended | None = None,
    ruled: RuledBy = NO_RULES,
    forgetting: Forgetting | None = None,
) -> Made:
    """The same for a source that takes each file once: of what is new, or of what an earlier commit of the interval took. Nothing new is no error."""
    with _named(step, interval):
        mended = mended or (_UNMENDED if past.own is None else mended_by(past.own))
        leave = begun(forgetting, mended)
        intake = (
            take_again(step, past.own, attempt, origin, format, leave)
            if past.own
            else take_new(step, interval, past, attempt, origin, format, leave)
        )
        if intake is None:
            raise SourceError(
                f'{_nothing_found(step, interval, origin, step.options.location)} If it is, and is only empty yet, declare missing="empty".'
            )
        made = saying(forgetting, _read(step, interval, intake.landed, attempt, format, left_of(forgetting, mended), ruled))
        told = {"taken_at": now.isoformat(), **intake.origin, **made.origin}
        remarks = (*made.remarks, *intake.remarks)
        return replace(made, parts=(*made.parts, taken_part(past, intake, attempt)), origin=told, remarks=remarks)


def nearest(location: str, origin: Origin, interval: Interval, grid: Grid) -> Interval | None:
    """The interval nearest to this one that a file is found for; None where the location has no time in it, or no file is found."""
    if pattern_of(location) == location:
        return None
    files = _listed(origin, pattern_of(location)) or ()
    found = {known for file in files if (known := interval_of(location, file.uri, grid))}
    return min(found, key=lambda known: (abs(known.start - interval.start), known.start), default=None)


def raw_digest(made: Made) -> str:
    """A digest of the raw files: their names and bytes, in order; and of what was mended in them."""
    files = [file for part in made.parts if part.name in ("raw", MENDS) for file in part.files]
    return digest_of([[file.name, file.sha256] for file in files])


def source_inputs(made: Made) -> dict[str, str]:
    """What a source was made of, for its fingerprint: the raw files, and the columns where the files alone do not tell them."""
    return {"files": raw_digest(made), **({"columns": made.columns} if made.columns else {})}


def commit_refused(
    log: DatasetLog, interval: Interval, error: TooManyRejectedError, *, after: int = 0, premise: Premise | None = None
) -> Manifest | None:
    """Keep the quarantine of a source that was refused, in a dataset of its own; None when there is nothing to keep.

    `after` is the source's own version that was the newest then (0 for none): a later one was not refused. `premise` is what it was made by.
    """
    quarantine = error.quarantine if isinstance(error, _RefusedError) else None
    if not isinstance(error, _RefusedError) or quarantine is None:
        return None

    def work(attempt: Attempt, _: Manifest | None) -> tuple[Content, Mapping[str, JSON]]:
        shutil.copyfile(quarantine, attempt.file("quarantine", layer="quarantine"))
        part = attempt.part("quarantine", "quarantine", rows=error.result.rows_quarantined)
        content = Content("data", "source", (part,), {"quarantine": QUARANTINE}, fingerprint=part.files[0].sha256, details=error.details)
        return content, {"after_version": after}

    return log.commit(interval, work, premise=premise)


# ---------------------------------------------------------------- reading


def _is_landed(files: Sequence[RawFile], before: Manifest, location: str) -> bool:
    """Whether the bytes of a commit are those that the location is about: its files are unchanged, or gone and were named by it."""
    marks = marks_of(before)
    if files:
        return is_known_to_be(files, marks)
    return bool(marks) and all(is_named_by(public(location), uri) for uri in marks)


def _read(
    step: Source,
    interval: Interval,
    landed: Sequence[Landed],
    attempt: Attempt,
    reader: SourceFormat,
    mended: Mended,
    ruled: RuledBy,
    recorded: Contract | None = None,
) -> Made:
    if not landed and step.contract is None and recorded is None:
        raise SourceError(
            "There is no file, and nobody knows the columns of an empty table before one was read. "
            'Run an interval that has files first, or declare contract= beside missing="empty".'
        )
    with ExitStack() as stack:
        folder = mkdtemp(prefix="headrace-quarantine-")
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        aside = Path(folder) / "quarantine.parquet"
        rows = attempt.file("rows", layer="silver")
        mending = mend(landed, mended, attempt, reader, step.options.options)
        files = mending.landed
        contract = bounded(step.contract, step.name, interval) or (None if landed else recorded)
        options = step.options.options
        result = reader.read(files, contract=contract, options=options, rows=rows, quarantine=aside, recorded=recorded)
        result = sifted(result, ruled, files, reader, options, rows=rows, quarantine=aside)
        _check_conserved(files, result)
        details = {**_details(step, landed, result), **mending.details()}
        if _is_over(step.max_rejected, result):
            advice = reader.advice(files, options, result) if isinstance(reader, AdvisingFormat) else ()
            error = _refused(step, result, details, aside, advice)
            finalize(error, stack.pop_all().close)
            raise error
        return Made(
            parts=(*_parts(attempt, files, result, aside), *mends_part(attempt, mending), *keys_part(ruled, rows, attempt)),
            schema={"rows": result.schema, **({"quarantine": QUARANTINE} if result.rows_quarantined else {})},
            details=details,
            rows_read=result.rows_read,
            rows_kept=result.rows_kept,
            rows_quarantined=result.rows_quarantined,
            notes=result.notes,
            origin=mending.origin(),
            remarks=mending.remarks(),
            columns="" if step.contract else _told_columns(result),
        )


def _told_columns(result: ReadResult) -> str:
    """Empty where the files show their columns by themselves, as they do in any commit of before columns were recorded."""
    return "" if result.own == result.schema else digest_of([[column.name, column.type] for column in result.schema])


def _check_conserved(landed: Sequence[Landed], result: ReadResult) -> None:
    counted = sum(one.records_that_count for one in landed)
    if not counted == result.rows_read == result.rows_kept + result.rows_quarantined:
        raise SourceError(
            f"{counted} records were counted, {result.rows_kept} kept and {result.rows_quarantined} quarantined: some were lost, so nothing was committed. "
            "That is a defect of headrace: please report it with the file."
        )


def _parts(attempt: Attempt, landed: Sequence[Landed], result: ReadResult, aside: Path) -> tuple[Part, ...]:
    parts = [attempt.part("rows", "silver", rows=result.rows_kept if result.rows_written is None else result.rows_written)]
    if landed:
        named = sorted(landed, key=lambda one: one.name)
        raw = attempt.part("raw", "bronze", sha256=[one.sha256 for one in named])
        files = tuple(replace(file, rows=one.records) for file, one in zip(raw.files, named, strict=True))
        parts.append(replace(raw, files=files, rows=sum(one.records for one in named)))
    if result.rows_quarantined:
        shutil.copyfile(aside, attempt.file("quarantine", layer="quarantine"))
        parts.append(attempt.part("quarantine", "quarantine", rows=result.rows_quarantined))
    return tuple(parts)


def _is_over(allowed: float, result: ReadResult) -> bool:
    """A whole number is a count, a fraction a share of the records read. Lines that may be records count as rejected ones."""
    limit = allowed if isinstance(allowed, int) else allowed * (result.rows_read + result.hidden)
    return result.rows_quarantined + result.hidden > limit


def _refused(step: Source, result: ReadResult, details: Mapping[str, JSON], quarantine: Path, advice: Sequence[str]) -> _RefusedError:
    share = result.rows_quarantined / result.rows_read
    allowed = f"{step.max_rejected} records" if isinstance(step.max_rejected, int) else f"{step.max_rejected * 100:.3g}%"
    hidden = f"In them are {result.hidden} lines that may be records, too, and count as such. " if result.hidden else ""
    lines = [
        f"{result.rows_quarantined} of {result.rows_read} records ({share:.1%}) were rejected, and max_rejected allows {allowed}. {hidden}The most frequent reasons:",
        *(f"  {count:>8}  {reason}\n            {result.examples.get(reason, '')}" for reason, count in list(result.reasons.items())[:5]),
        *(f"What may help: {text}" for text in advice),
        f"Nothing was committed as data; every rejected record is kept in `{step.name}.refused.quarantine`. Mend the files or the contract, or raise max_rejected.",
    ]
    error = _RefusedError("\n".join(lines))
    error.quarantine, error.result, error.details = quarantine, result, details
    return error


def _details(step: Source, landed: Sequence[Landed], result: ReadResult) -> dict[str, JSON]:
    ways = list(result.read_as.values())
    are_alike = len(ways) == len(landed) and all(way == ways[0] for way in ways)
    files: list[JSON] = [
        {
            "name": one.name,
            "size": one.size_bytes,
            "sha256": one.sha256,
            "records": one.records,
            **({"read_as": result.read_as[one.name]} if one.name in result.read_as and not are_alike else {}),
        }
        for one in landed
    ]
    details: dict[str, JSON] = {
        "files": files,
        "undeclared": list(result.undeclared),
        "reasons": dict(result.reasons),
        "options": dict(step.options.options),
    }
    if ways and are_alike:
        details["read_as"] = ways[0]
    if not landed:
        details["missing"] = True
    if step.contract is None:
        details["inferred"] = {column.name: column.type for column in result.schema}
    return details


# ---------------------------------------------------------------- telling


@contextmanager
def _named(step: Source, interval: Interval) -> Iterator[None]:
    """Put the step and the interval before what went wrong."""
    try:
        yield
    except (SourceError, TransientError) as error:
        error.args = (f"Source `{step.name}` {interval}: {error}", *error.args[1:])
        raise


def _told(step: Source, interval: Interval, landings: Sequence[Landing], now: datetime) -> dict[str, JSON]:
    """What only the receipt says: where the bytes came from, and when."""
    told: dict[str, JSON] = {"files": told_files([one.found for one in landings]), "taken_at": now.isoformat()}
    if not step.options.is_by_interval and now > interval.end + interval.length:
        told["taken_later"] = True
    return told


def _told_again(before: Manifest) -> dict[str, JSON]:
    """The origin as the earlier commit tells it, since the bytes are those of then; and which commit that was."""
    origin = before.receipt.get("origin")
    return {**(origin if isinstance(origin, Mapping) else {}), "read_again_from_version": before.version}


def _nothing_found(step: Source, interval: Interval, origin: Origin, location: str) -> str:
    looked = f"There is no file at `{public(resolve(location, interval))}`."
    near = nearest(location, origin, interval, step.grid)
    if near:
        return f'{looked} The nearest interval that has one is {near.label}: run with --at {near.label}. If an interval without a file is normal, declare missing="empty".'
    is_by_interval = pattern_of(location) != location
    others = _listed(origin, pattern_of(location) if is_by_interval else _beside(location))
    if others is None:
        return f'{looked} Is the location right? What else is there can\'t be listed. If an interval without a file is normal, declare missing="empty".'
    if is_by_interval:
        return f"{looked} None was found for any other interval either (`{public(pattern_of(location))}`). Is the location right?"
    near_names = get_close_matches(location.rpartition("/")[2], [file.name for file in others], n=3, cutoff=0.6)
    near_text = f" Beside it: {', '.join(f'`{name}`' for name in near_names)}." if near_names else ""
    return f"{looked}{near_text} Is the location right? A relative one starts at the folder of the pipeline's file."


def _listed(origin: Origin, pattern: str) -> Sequence[RawFile] | None:
    """What a pattern finds; None where nothing can be listed, as on the web or where that is denied."""
    try:
        return origin.find(pattern)
    except HeadraceError:
        return None


def _beside(location: str) -> str:
    """A pattern of all that lies in the folder of a location."""
    folder, slash, _ = location.rpartition("/")
    return f"{folder}{slash}*"
