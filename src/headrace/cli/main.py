"""The command `headrace`: its sub-commands, each in a file of its own that is imported when it is called.

Nothing heavy is imported here, so that `headrace --help` answers at once. The invariant: a command turns words into the calls of
`headrace.run`, prints what they return, and holds no logic of its own.

Exit codes: 0 done; 1 a step failed or data was refused; 2 the command, the pipeline file or a setting is wrong; 3 something asked for
is not there (yet); 130 interrupted.
"""

from __future__ import annotations

import gc
import importlib
import sys
from collections.abc import Sequence

import click

from headrace import __version__

__all__ = ["main"]

_COMMANDS = {
    "run": "Run a pipeline for one interval.",
    "plan": "Show what a run would do, and why.",
    "backfill": "Run a range of intervals, each once.",
    "show": "Draw the graph of a pipeline.",
    "ls": "List the datasets and models in the lake.",
    "log": "List the versions of a dataset.",
    "files": "List the current files of a dataset.",
    "clear": "Make intervals of a dataset count as not made.",
    "promote": "Promote a trained model by hand.",
    "rollback": "Go back to an earlier champion.",
    "hold": "Keep the champion until it is released.",
    "release": "Let runs promote again.",
    "sync": "Send what waits for the experiment tracker.",
    "gc": "Show, and with --yes free, what is no longer needed.",
    "init": "Write a first pipeline file from a CSV file.",
    "doctor": "Say where each setting came from, and what is installed.",
}
_OBJECTS = 100_000  # between collections of garbage: at the default of 700 they are a tenth of what importing scikit-learn costs
_HOMES = {"promote": "champions", "rollback": "champions", "hold": "champions", "release": "champions"}


class _Commands(click.Group):
    """Sub-commands that are imported when they are called; their one-line helps are known without."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click calls it
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"headrace.cli.{_HOMES.get(cmd_name, cmd_name)}")
        command = getattr(module, cmd_name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from headrace.core.errors import did_you_mean

            raise click.UsageError(f"There is no command `{args[0]}`. {did_you_mean(args[0], _COMMANDS)}", ctx) from error


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
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
    sys.exit(code if isinstance(code, int) else 0)
