"""The `scoopjoy` command: arguments, exit codes, and one sentence for everything that is wrong.

Exit codes: 0 Completed, 1 Completed with Errors, 2 Failed, 3 wrong settings or bad input.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import datetime

import click
from rich.console import Console

from scoopjoy_dagster.erpnext.errors import ERPNextError
from scoopjoy_dagster.local.home import HomeError
from scoopjoy_dagster.local.postgres import PostgresError
from scoopjoy_dagster.local.processes import ProcessError, orderly_end
from scoopjoy_dagster.settings import SettingsError

BAD_INPUT = 3
PLAIN_WIDTH = 160

day_option = click.option(
    "--date", "day", metavar="YYYY-MM-DD", help="Business day; default: the last one that has ended."
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document instead of tables."
)
port_type = click.IntRange(0, 65535)


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, invoke_without_command=True)
@click.pass_context
def app(context: click.Context) -> None:
    """The nightly close of a franchise on ERPNext."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def _consoles(as_json: bool) -> tuple[Console, Console]:
    """Where results and progress go: with --json, standard output carries the JSON alone."""
    return _console(), _console(stderr=True) if as_json else _console()


def _console(*, stderr: bool = False) -> Console:
    """As wide as the terminal; wide enough for every table where the output goes to a file or another program."""
    console = Console(stderr=stderr)
    return console if console.is_terminal else Console(stderr=stderr, width=PLAIN_WIDTH)


def _now() -> datetime:
    from scoopjoy_dagster.partitions import ZONE

    return datetime.now(ZONE)


@app.command()
@day_option
@click.option("--only", metavar="ASSET", help="Run this asset alone.")
@click.option("--dry-run", is_flag=True, help="Print what would be done and write nothing.")
@json_option
def close(day: str | None, only: str | None, dry_run: bool, as_json: bool) -> None:
    """Close one business day."""
    from scoopjoy_dagster.cli.closing import EXIT_CODES, NAMES, closable_day, close_day
    from scoopjoy_dagster.cli.show import print_day, step_progress
    from scoopjoy_dagster.cli.workplace import workplace
    from scoopjoy_dagster.definitions import build_defs
    from scoopjoy_dagster.settings import load_settings

    if only is not None and only not in NAMES:
        message = f"--only {only!r} is no asset; the assets are {', '.join(NAMES)}."
        raise SettingsError(message)
    settings = load_settings()
    business_day = closable_day(day, settings, _now())
    out, progress = _consoles(as_json)
    chosen = [only] if only else []
    if dry_run:
        from scoopjoy_dagster.cli.dry_run import print_plan

        raise click.exceptions.Exit(print_plan(out, settings, business_day, chosen, as_json=as_json))
    with (
        workplace() as place,
        place.instance() as instance,
        step_progress(progress, business_day, chosen) as tell,
    ):
        result = close_day(build_defs(settings), instance, business_day, only=chosen, tell=tell)
    if as_json:
        click.echo(json.dumps(result.as_dict(), ensure_ascii=False, indent=2))
    else:
        print_day(out, result)
    raise click.exceptions.Exit(EXIT_CODES[result.status])


@app.command()
@click.option("--from", "first", required=True, metavar="YYYY-MM-DD", help="First business day.")
@click.option("--to", "last", required=True, metavar="YYYY-MM-DD", help="Last business day.")
@json_option
def backfill(first: str, last: str, as_json: bool) -> None:
    """Close every business day from --from to --to, oldest first. Days that are right already cost no write."""
    import uuid

    from scoopjoy_dagster.cli.closing import EXIT_CODES, closable_day, close_day, days_between
    from scoopjoy_dagster.cli.show import print_day, step_progress
    from scoopjoy_dagster.cli.workplace import workplace
    from scoopjoy_dagster.definitions import build_defs
    from scoopjoy_dagster.settings import load_settings

    settings = load_settings()
    now = _now()
    days = days_between(closable_day(first, settings, now), closable_day(last, settings, now))
    out, progress = _consoles(as_json)
    tags = {"scoopjoy/backfill": uuid.uuid4().hex[:8]}
    results = []
    with workplace() as place, place.instance() as instance:
        definitions = build_defs(settings)
        for business_day in days:
            with step_progress(progress, business_day, []) as tell:
                results.append(close_day(definitions, instance, business_day, tell=tell, tags=tags))
            if not as_json:
                print_day(out, results[-1])
    if as_json:
        click.echo(json.dumps([result.as_dict() for result in results], ensure_ascii=False, indent=2))
    raise click.exceptions.Exit(max(EXIT_CODES[result.status] for result in results))


@app.command()
@click.option("--from", "first", required=True, metavar="YYYY-MM-DD", help="First business day.")
@click.option("--to", "last", required=True, metavar="YYYY-MM-DD", help="Last business day.")
@json_option
def verify(first: str, last: str, as_json: bool) -> None:
    """Compare ledger, invoices and deliveries of a range of days with the rule. Changes nothing.

    The rule is the one of today. Ends with 0 when nothing differs and 2 when something does.
    """
    from scoopjoy_dagster.cli.closing import closable_day, days_between
    from scoopjoy_dagster.cli.verify import print_verification
    from scoopjoy_dagster.settings import load_settings

    settings = load_settings()
    now = _now()
    days = days_between(closable_day(first, settings, now), closable_day(last, settings, now))
    out, progress = _consoles(as_json)
    raise click.exceptions.Exit(
        print_verification(out, progress, settings, days[0], days[-1], as_json=as_json)
    )


@app.command()
@click.argument("subject", metavar="KEY|FRANCHISE")
@day_option
@json_option
def explain(subject: str, day: str | None, as_json: bool) -> None:
    """Show how a royalty came about. Changes nothing.

    KEY|FRANCHISE is the ID or name of a franchise, the key of a royalty entry, or the name of its Journal Entry; a
    key or an entry needs no date. Ends with 2 when the ledger differs from the rule.
    """
    from scoopjoy_dagster.cli.explain import run_explain
    from scoopjoy_dagster.settings import load_settings

    out, _ = _consoles(as_json)
    raise click.exceptions.Exit(run_explain(out, load_settings(), subject, day, _now(), as_json=as_json))


@app.command()
@day_option
def check(day: str | None) -> None:
    """Look at everything the close needs: ERPNext, mail, headquarters, PostgreSQL. Changes nothing."""
    from scoopjoy_dagster.cli.check import all_checks
    from scoopjoy_dagster.cli.closing import closable_day
    from scoopjoy_dagster.cli.show import print_checks
    from scoopjoy_dagster.cli.workplace import workplace
    from scoopjoy_dagster.partitions import last_ended_day

    with workplace() as place:
        now = _now()
        # Before go-live there is no day to close yet, and a preflight is just what is wanted then.
        business_day = closable_day(day, place.settings, now) if day else last_ended_day(now)
        errors = print_checks(
            _console(), all_checks(place.settings, place.environment["SCOOPJOY_POSTGRES_URL"], business_day)
        )
    raise click.exceptions.Exit(BAD_INPUT if errors else 0)


@app.command()
@click.option("--dry-run", is_flag=True, help="List what would be installed.")
def setup(dry_run: bool) -> None:
    """Install our custom fields on the site; what is there already is left alone."""
    from dagster import build_resources

    from scoopjoy_dagster.definitions import site_resources
    from scoopjoy_dagster.erpnext.installation import InstallStep, install, read_installation
    from scoopjoy_dagster.settings import load_settings

    out = _console()
    resources = build_resources({"erpnext": site_resources(load_settings())["erpnext"]})
    with resources as opened, opened.erpnext.open() as site:
        steps = read_installation(site.client)
        if not steps:
            out.print("Everything is installed.")
        elif dry_run:
            for step in steps:
                out.print(f"would {step.sentence}", highlight=False, markup=False)
        else:

            def tell(step: InstallStep) -> None:
                out.print(f"done: {step.sentence}", highlight=False, markup=False)

            install(site.client, steps, tell)


@app.command()
@click.option(
    "--port",
    type=port_type,
    default=3000,
    show_default=True,
    help="Port of the UI, on loopback; 0: a free one.",
)
def dev(port: int) -> None:
    """Serve Dagster's UI with its daemon for the configured site, until Ctrl-C."""
    from scoopjoy_dagster.cli.workplace import usable_port, workplace
    from scoopjoy_dagster.local.processes import ChildProcesses
    from scoopjoy_dagster.local.services import running_dagster

    out = _console()
    port = usable_port(port)
    with workplace() as place:
        place.prepare_storage()
        environment = {
            **place.environment,
            "SCOOPJOY_UI_URL": os.environ.get("SCOOPJOY_UI_URL") or f"http://127.0.0.1:{port}",
        }
        children = ChildProcesses(place.directory / "logs")
        with running_dagster(children, environment, port=port, directory=place.directory) as running:
            out.print(
                f"Dagster: {running.url} (logs in {place.directory / 'logs'}; Ctrl-C ends it)",
                highlight=False,
            )
            children.watch()


@app.command()
@click.option(
    "--port",
    type=port_type,
    default=8000,
    show_default=True,
    help="Port of the embedded ERPNext; 0: a free one.",
)
def sandbox(port: int) -> None:
    """Serve the embedded ERPNext with its example data, mail sink and headquarters, until Ctrl-C."""
    from scoopjoy_dagster.cli.demo import serve_sandbox

    serve_sandbox(_console(), port)


@app.command()
@click.option("--once", is_flag=True, help="Exit after the close instead of serving the UI.")
@json_option
@click.option(
    "--port", type=port_type, default=3000, show_default=True, help="Port of the UI; 0: a free one."
)
def demo(once: bool, as_json: bool, port: int) -> None:
    """Start the embedded world, close its last business day, and keep serving Dagster's UI until Ctrl-C."""
    from scoopjoy_dagster.cli.demo import run_demo

    out, progress = _consoles(as_json)
    raise click.exceptions.Exit(run_demo(out, progress, once=once, as_json=as_json, port=port, now=_now()))


def main() -> None:
    """Entry point of the console script."""
    # A wrong setting or a refused request is a sentence on standard error and an exit code, never a traceback.
    try:
        with orderly_end():
            code = app(standalone_mode=False)
    except (SettingsError, HomeError, PostgresError, ProcessError) as problem:
        _end(str(problem))
    except ERPNextError as problem:
        _end(f"{problem} (`scoopjoy check` looks at everything that the close needs)")
    except click.ClickException as problem:
        _end(problem.format_message())
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    sys.exit(code if isinstance(code, int) else 0)


def _end(sentence: str) -> None:
    Console(stderr=True).print(f"scoopjoy: {sentence}", highlight=False, markup=False, soft_wrap=True)
    sys.exit(BAD_INPUT)
