"""What every command is built from: the group, options that several take, consoles, and the clock.

Only click is imported here and in `commands`: the shell asks this program at every press of Tab, and what a command
needs is imported when it runs.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from scoopjoy_dagster.steps import STEPS

if TYPE_CHECKING:
    from rich.console import Console

BAD_INPUT = 3
COMPLETE = "_SCOOPJOY_COMPLETE"
"""The variable by which the shell asks for completions; click's default for this name."""
PLAIN_WIDTH = 160
ASSETS = tuple(step.asset for step in STEPS)
OFFERED_DAYS = 14


def examples(*lines: str) -> str:
    """The end of a command's help: what one types. A test walks all commands and wants one of each."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def now() -> datetime:
    """The time, in the time zone of the business day."""
    return _clock()


def _clock() -> datetime:
    from scoopjoy_dagster.partitions import ZONE

    return datetime.now(ZONE)


class Day(click.ParamType[str]):
    """A business day as text; what it must be depends on go-live and is `closable_day`'s business."""

    name = "day"

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem]:
        """The newest days that have ended, newest first, none before go-live. Asks nobody."""
        from scoopjoy_dagster.partitions import last_ended_day

        last = last_ended_day(now(), _day_ends_at())
        days = [last - timedelta(days=back) for back in range(OFFERED_DAYS)]
        first = _go_live()
        return [
            CompletionItem(day.isoformat(), help=f"{day:%A}")
            for day in days
            if (first is None or day >= first) and day.isoformat().startswith(incomplete)
        ]


def _go_live() -> date | None:
    try:
        return date.fromisoformat(os.environ.get("SCOOPJOY_GO_LIVE", ""))
    except ValueError:
        return None


def _day_ends_at() -> time:
    try:
        return time.fromisoformat(os.environ.get("SCOOPJOY_DAY_ENDS_AT", ""))
    except ValueError:
        return time.min


def _complete_asset(
    ctx: click.Context,  # noqa: ARG001 - click calls it so
    param: click.Parameter,  # noqa: ARG001
    incomplete: str,
) -> list[str]:
    return [name for name in ASSETS if name.startswith(incomplete)]


Decorator = Callable[[Callable[..., None]], Callable[..., None]]

day_option: Decorator = click.option(
    "--date",
    "day",
    type=Day(),
    metavar="YYYY-MM-DD",
    help="Business day; default: the last one that has ended.",
)
first_option: Decorator = click.option(
    "--from", "first", required=True, type=Day(), metavar="YYYY-MM-DD", help="First business day."
)
last_option: Decorator = click.option(
    "--to", "last", required=True, type=Day(), metavar="YYYY-MM-DD", help="Last business day."
)
only_option: Decorator = click.option(
    "--only", metavar="ASSET", shell_complete=_complete_asset, help="Run this asset alone."
)
json_option: Decorator = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document instead of tables."
)
port_type = click.IntRange(0, 65535)


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    invoke_without_command=True,
    epilog=examples(
        "scoopjoy demo                                  # the whole of it on this machine, nothing needed",
        "scoopjoy init                                  # write the settings for your ERPNext, then check them",
        "scoopjoy --env-file .env close --dry-run       # what tonight's close would do",
    ),
)
@click.option(
    "--env-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Read the settings from this file, as if it had been sourced; otherwise only the environment counts.",
)
@click.pass_context
def app(context: click.Context, env_file: Path | None) -> None:
    """The nightly close of a franchise on ERPNext."""
    context.obj = env_file
    if env_file is not None:
        from scoopjoy_dagster.cli.env_file import read_env_file

        os.environ.update(read_env_file(env_file))
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def command_with(env_file: Path | None) -> str:
    """How the program is to be called again with the same settings."""
    return f"scoopjoy --env-file {shlex.quote(str(env_file))}" if env_file else "scoopjoy"


def consoles(*, as_json: bool) -> tuple[Console, Console]:
    """Where results and progress go: with --json, standard output carries the JSON alone."""
    return new_console(), new_console(stderr=True) if as_json else new_console()


def new_console(*, stderr: bool = False) -> Console:
    """As wide as the terminal; wide enough for every table where the output goes to a file or another program."""
    from rich.console import Console

    console = Console(stderr=stderr)
    return console if console.is_terminal else Console(stderr=stderr, width=PLAIN_WIDTH)
