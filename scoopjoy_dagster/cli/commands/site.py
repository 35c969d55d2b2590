"""Commands about the site and its settings: init, check, setup."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import click

from scoopjoy_dagster.cli.app import BAD_INPUT, app, command_with, day_option, examples, new_console, now
from scoopjoy_dagster.cli.questions import QUESTIONS


def _asked(command: Callable[..., None]) -> Callable[..., None]:
    """An option for every question of `init`."""
    for question in reversed(QUESTIONS):
        command = click.option(
            question.option,
            question.name,
            metavar="FILE" if question.secret else "VALUE",
            type=click.Path(dir_okay=False, allow_dash=True) if question.secret else str,
            help=f"{question.text.partition(' (')[0]}{', in this file (- for standard input)' if question.secret else ''}: {question.name}",
        )(command)
    return command


@app.command(
    epilog=examples(
        "scoopjoy init                        # asks, writes .env, and runs the check",
        "scoopjoy init --no-input --erpnext-url https://erp.example.com --go-live 2026-12-01 \\",
        "    --api-key-file key --api-secret-file secret --set SCOOPJOY_DEFAULT_RATE=6",
    )
)
@click.option(
    "--file",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    default=".env",
    show_default=True,
    metavar="FILE",
    help="What to write.",
)
@_asked
@click.option("--set", "more", multiple=True, metavar="NAME=VALUE", help="Any other setting; not a secret.")
@click.option(
    "--no-input", is_flag=True, help="Ask nothing: what is missing ends the command with a sentence."
)
@click.option("--no-check", is_flag=True, help="Do not run `scoopjoy check` afterwards.")
@click.option(
    "--force", is_flag=True, help="Write over the file; its values are offered, and a copy is kept."
)
def init(
    path: Path, more: tuple[str, ...], no_input: bool, no_check: bool, force: bool, **options: str | None
) -> None:
    """Write the settings for your ERPNext to a commented .env by asking, then run the check.

    Secrets are no options, because others can read a program's arguments: they are asked without an echo, or come from
    a file, standard input, or the environment.
    """
    from scoopjoy_dagster.cli.init import given_values, how_to_load, run_init

    asking = sys.stdin.isatty() and not no_input
    run_init(given_values(options, more), path, force=force, asking=asking, now=now())
    errors = 0
    if not no_check:
        from scoopjoy_dagster.cli.check import run_check

        errors = run_check(new_console(), None, now(), command_with(path))
    click.echo(f"\n{how_to_load(path)}")
    raise click.exceptions.Exit(BAD_INPUT if errors else 0)


@app.command(
    epilog=examples(
        "scoopjoy check",
        "scoopjoy --env-file .env check --date 2026-11-22",
    )
)
@day_option
@click.pass_obj
def check(env_file: Path | None, day: str | None) -> None:
    """Look at everything the close needs: ERPNext, mail, headquarters, PostgreSQL. Changes nothing.

    Ends with the command to type next.
    """
    from scoopjoy_dagster.cli.check import run_check

    errors = run_check(new_console(), day, now(), command_with(env_file))
    raise click.exceptions.Exit(BAD_INPUT if errors else 0)


@app.command(
    epilog=examples(
        "scoopjoy setup --dry-run             # what would be installed",
        "scoopjoy setup",
        "scoopjoy setup --remove --dry-run    # what would be deleted of the Batch Run desk",
    )
)
@click.option("--dry-run", is_flag=True, help="List what would be done, and do nothing.")
@click.option("--remove", is_flag=True, help="Take the Batch Run desk off the site, with its documents.")
@click.option("--yes", is_flag=True, help="With --remove: do not ask.")
def setup(dry_run: bool, remove: bool, yes: bool) -> None:
    """Install our custom fields, ScoopJoy Delivery, our naming series and the Batch Run desk on the site.

    What is there already is left alone; what an earlier version installed is brought up to date.
    """
    from scoopjoy_dagster.cli.setup import run_removal, run_setup
    from scoopjoy_dagster.settings import load_settings

    if yes and not remove:
        raise click.UsageError("--yes goes with --remove; setup asks nothing")
    settings = load_settings()
    if remove:
        run_removal(new_console(), settings, dry_run=dry_run, yes=yes)
    else:
        run_setup(new_console(), settings, desk=settings.batch_run_desk == "on", dry_run=dry_run)
