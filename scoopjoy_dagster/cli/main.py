"""The `scoopjoy` command: its entry point, exit codes, and one sentence for everything that is wrong.

Exit codes: 0 Completed, 1 Completed with Errors, 2 Failed, 3 wrong settings or bad input, 130 stopped.
"""

from __future__ import annotations

import os
import sys

import click

from scoopjoy_dagster.cli.app import BAD_INPUT, COMPLETE, app
from scoopjoy_dagster.cli.commands import days, serving, shell, site

__all__ = ["app", "main"]

COMMANDS = (days, site, serving, shell)
"""The modules whose import puts commands into the group."""


def main() -> None:
    """Entry point of the console script."""
    if COMPLETE in os.environ:
        app(prog_name="scoopjoy")  # click answers the shell and ends the process
    from scoopjoy_dagster.local.processes import orderly_end

    # A wrong setting or a refused request is a sentence on standard error and an exit code, never a traceback.
    try:
        with orderly_end():
            code = app(prog_name="scoopjoy", standalone_mode=False)
    except click.ClickException as problem:
        _end(problem.format_message())
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except Exception as problem:
        sentence = _sentence(problem)
        if sentence is None:
            raise
        _end(sentence)
    sys.exit(code if isinstance(code, int) else 0)


def _sentence(problem: Exception) -> str | None:
    """What is said of a problem that the program foresees; None for any other."""
    from scoopjoy_dagster.erpnext.errors import ERPNextError
    from scoopjoy_dagster.local.home import HomeError
    from scoopjoy_dagster.local.postgres import PostgresError
    from scoopjoy_dagster.local.processes import ProcessError
    from scoopjoy_dagster.settings import SettingsError

    if isinstance(problem, ERPNextError):
        return f"{problem} (`scoopjoy check` looks at everything that the close needs)"
    if isinstance(problem, SettingsError | HomeError | PostgresError | ProcessError):
        return str(problem)
    return None


def _end(sentence: str) -> None:
    from rich.console import Console

    Console(stderr=True).print(f"scoopjoy: {sentence}", highlight=False, markup=False, soft_wrap=True)
    sys.exit(BAD_INPUT)
