"""A group of commands that are imported when they are called, so that a help page costs next to nothing.

The invariant: the names and the one-line helps are known without importing any command.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click

__all__ = ["LazyGroup"]


class LazyGroup(click.Group):
    """Commands by name, each with its one-line help; `homes` says in which module of `headrace.cli` a command is, when not in that of its name."""

    def __init__(self, *arguments: Any, helps: Mapping[str, str], homes: Mapping[str, str], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.helps = helps
        self.homes = homes

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click calls it
        return list(self.helps)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in self.helps:
            return None
        module = importlib.import_module(f"headrace.cli.{self.homes.get(cmd_name, cmd_name)}")
        command = getattr(module, cmd_name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(self.helps.items()))

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from headrace.core.errors import did_you_mean

            raise click.UsageError(f"There is no command `{args[0]}`. {did_you_mean(args[0], self.helps)}", ctx) from error
