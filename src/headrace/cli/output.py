"""What commands print: errors, tables and JSON, for people at a terminal, in a log file and for programs.

Rich is imported only where a terminal is there to draw on. The invariant: with --json, standard output holds one JSON document and
nothing else; whatever is told besides goes to standard error.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence

import click

from headrace.core.errors import ConfigurationError, HeadraceError, NotReadyError, PipelineError, UnknownNameError
from headrace.core.ports import JSON
from headrace.run.redaction import redacted

__all__ = ["exit_code", "is_terminal", "print_json", "print_table", "rows_text", "seconds_text", "show_error", "size_text", "tell"]


def is_terminal() -> bool:
    return sys.stdout.isatty()


def print_json(value: JSON) -> None:
    """Print a document where --json was given: on the standard output that was put aside for it."""
    context = click.get_current_context(silent=True)
    target = context.meta.get("headrace.stdout") if context else None
    click.echo(json.dumps(value, indent=2, allow_nan=False, default=str), file=target)


def tell(text: str, *, err: bool = False) -> None:
    """Print a line; what is about an error goes to standard error, without secrets."""
    click.echo(redacted(text) if err else text, err=err)


def exit_code(error: BaseException) -> int:
    """The exit code of a command that an error ended: see `headrace.cli.main`."""
    if isinstance(error, ConfigurationError | PipelineError):
        return 2
    return 3 if isinstance(error, UnknownNameError | NotReadyError) else 1


def show_error(error: HeadraceError) -> int:
    """Print an error to standard error; the exit code."""
    label = click.style("error:", fg="red", bold=True) if sys.stderr.isatty() else "error:"
    click.echo(f"{label} {redacted(str(error))}", err=True)
    return exit_code(error)


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[int] = ()) -> None:
    """Columns aligned by spaces; `right` names those that hold numbers. The last column is never padded."""
    lines = [list(header), *(list(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    for number, line in enumerate(lines):
        cells = [cell.rjust(widths[i]) if i in right else cell.ljust(widths[i]) for i, cell in enumerate(line)]
        text = "  ".join(cells).rstrip()
        click.echo(click.style(text, dim=True) if number == 0 and is_terminal() else text)


def rows_text(count: int) -> str:
    return f"{count:,}" if count else "·"


def seconds_text(seconds: float) -> str:
    return "·" if seconds < 0.0005 else f"{seconds:.2f}" if seconds < 10 else f"{seconds:.1f}"


def size_text(size_bytes: int) -> str:
    size = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
