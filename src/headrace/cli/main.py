"""The command `headrace`: its sub-commands, each in a file of its own that is imported when it is called.

Nothing heavy is imported here, so that `headrace --help` answers at once. The invariant: a command turns words into the calls of
`headrace.run`, prints what they return, and holds no logic of its own.

Exit codes: 0 done; 1 a step failed or data was refused; 2 the command, the pipeline file or a setting is wrong; 3 something asked for
is not there (yet); 130 interrupted.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence

import click

from headrace import __version__
from headrace.cli.lazy import LazyGroup

__all__ = ["main"]

_COMMANDS = {
    "run": "Run a pipeline for one interval.",
    "plan": "Show what a run would do, and why.",
    "backfill": "Run a range of intervals, each once.",
    "show": "Draw the graph of a pipeline.",
    "ls": "List the datasets and models in the lake.",
    "log": "List the versions of a dataset.",
    "files": "List the current files of a dataset.",
    "trace": "Follow a key back to the raw records and on to the predictions.",
    "contract": "Draft a contract from what a source read.",
    "quarantine": "Show the records that a source did not keep.",
    "replay": "Put mended records back into their interval.",
    "forget": "Show, and with --yes erase, all that holds a person's key.",
    "export": "Write the rows of a dataset as a Delta table.",
    "clear": "Make intervals of a dataset count as not made.",
    "pending": "Show the challengers that wait for a person.",
    "approve": "Say yes to the challenger that waits.",
    "reject": "Say no to the challenger that waits.",
    "promote": "Promote a trained model by hand.",
    "rollback": "Go back to an earlier champion.",
    "hold": "Keep the champion until it is released.",
    "release": "Let runs promote again.",
    "sync": "Send what waits for the experiment tracker.",
    "gc": "Show, and with --yes free, what is no longer needed.",
    "iam": "Print the smallest IAM policies for a lake on S3.",
    "airflow": "Start a local Airflow; check what Airflow makes of a file.",
    "init": "Write a first pipeline file from a CSV file.",
    "doctor": "Say where each setting came from, and what is installed.",
}
_OBJECTS = 100_000  # between collections of garbage: at the default of 700 they are a tenth of what importing scikit-learn costs
_HOMES = dict.fromkeys(("pending", "approve", "reject", "promote", "rollback", "hold", "release"), "champions")


@click.group(
    cls=LazyGroup, helps=_COMMANDS, homes=_HOMES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(__version__, prog_name="headrace")
def _headrace() -> None:
    """From raw files to a gated, published model: one file of plain functions."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and exit with its code."""
    from headrace.core.errors import HeadraceError

    gc.set_threshold(_OBJECTS, 20, 50)
    try:
        code = _headrace.main(args=arguments, prog_name="headrace", standalone_mode=False)
    except click.exceptions.Exit as done:
        code = done.exit_code
    except click.Abort:
        code = 130
    except KeyboardInterrupt:
        click.echo("interrupted", err=True)
        code = 130
    except click.ClickException as error:
        error.show()
        code = 2
    except HeadraceError as error:
        from headrace.cli.output import show_error

        code = show_error(error)
    except BrokenPipeError:
        code = 0
    except Exception:
        from headrace.run.redaction import tell_crashes_redacted

        tell_crashes_redacted()
        raise
    sys.exit(code if isinstance(code, int) else 0)
