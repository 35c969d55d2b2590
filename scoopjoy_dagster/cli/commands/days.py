"""Commands about business days: close, backfill, verify, explain, report."""

from __future__ import annotations

import json
from pathlib import Path

import click

from scoopjoy_dagster.cli.app import (
    ASSETS,
    app,
    consoles,
    day_option,
    examples,
    first_option,
    json_option,
    last_option,
    now,
    only_option,
)


@app.command(
    epilog=examples(
        "scoopjoy close                                        # the last day that has ended",
        "scoopjoy close --date 2026-11-22 --dry-run             # what would be done, and why; writes nothing",
        "scoopjoy close --date 2026-11-22 --only reports        # one step again",
        "scoopjoy close --date 2026-11-22 --re-rate             # today's rates for a day that was posted at others",
    )
)
@day_option
@only_option
@click.option("--dry-run", is_flag=True, help="Print what would be done and write nothing.")
@click.option(
    "--re-rate", is_flag=True, help="Apply today's rates and franchises to a day that was posted by others."
)
@json_option
def close(day: str | None, only: str | None, dry_run: bool, re_rate: bool, as_json: bool) -> None:
    """Close one business day."""
    from scoopjoy_dagster.cli.closing import EXIT_CODES, closable_day, close_day, end_lost_runs
    from scoopjoy_dagster.cli.desk_mirror import desk_mirror
    from scoopjoy_dagster.cli.show import print_day, step_progress
    from scoopjoy_dagster.cli.workplace import workplace
    from scoopjoy_dagster.definitions import build_defs
    from scoopjoy_dagster.nearest import did_you_mean
    from scoopjoy_dagster.settings import SettingsError, load_settings

    if only is not None and only not in ASSETS:
        message = f"--only {only!r} is no asset; the assets are {', '.join(ASSETS)}{did_you_mean(only, ASSETS) or '.'}"
        raise SettingsError(message)
    settings = load_settings()
    business_day = closable_day(day, settings, now())
    out, progress = consoles(as_json=as_json)
    chosen = [only] if only else []
    if dry_run:
        from scoopjoy_dagster.cli.dry_run import print_plan

        raise click.exceptions.Exit(
            print_plan(out, settings, business_day, chosen, re_rate=re_rate, as_json=as_json)
        )
    with workplace() as place, place.instance() as instance:
        for sentence in end_lost_runs(instance, place.postgres_url):
            progress.print(sentence, highlight=False, markup=False, soft_wrap=True)
        with step_progress(progress, business_day, chosen) as tell:
            result = close_day(
                build_defs(settings),
                instance,
                business_day,
                only=chosen,
                re_rate=re_rate,
                tell=tell,
                mirror=desk_mirror(settings, instance),
            )
    if as_json:
        click.echo(json.dumps(result.as_dict(), ensure_ascii=False, indent=2))
    else:
        print_day(out, result)
    raise click.exceptions.Exit(EXIT_CODES[result.status])


@app.command(
    epilog=examples(
        "scoopjoy backfill --from 2026-11-15 --to 2026-11-22",
        "scoopjoy backfill --from 2026-11-20 --to 2026-11-22 --mail     # managers get the reports, too",
    )
)
@first_option
@last_option
@click.option(
    "--mail",
    is_flag=True,
    help="Mail the reports of the days; only that of a single day is mailed without it.",
)
@json_option
def backfill(first: str, last: str, mail: bool, as_json: bool) -> None:
    """Close every business day from --from to --to, a run for each. Days that are right already cost no write."""
    import uuid
    from functools import partial

    from scoopjoy_dagster.assets.tools import MAIL_TAG
    from scoopjoy_dagster.cli.closing import EXIT_CODES, closable_day, close_days, days_between, end_lost_runs
    from scoopjoy_dagster.cli.desk_mirror import desk_mirror
    from scoopjoy_dagster.cli.show import print_days, step_progress
    from scoopjoy_dagster.cli.workplace import workplace
    from scoopjoy_dagster.definitions import build_defs
    from scoopjoy_dagster.partitions import COMMAND_BACKFILL
    from scoopjoy_dagster.settings import load_settings

    settings = load_settings()
    today = now()
    days = days_between(closable_day(first, settings, today), closable_day(last, settings, today))
    out, progress = consoles(as_json=as_json)
    mail = mail or len(days) == 1
    if not mail and settings.smtp_host:
        progress.print("The reports of these days are not mailed. To mail them, add --mail.")
    with workplace() as place, place.instance() as instance:
        for sentence in end_lost_runs(instance, place.postgres_url):
            progress.print(sentence, highlight=False, markup=False, soft_wrap=True)
        results = close_days(
            build_defs(settings),
            instance,
            days,
            telling=partial(step_progress, progress),
            tags={COMMAND_BACKFILL: uuid.uuid4().hex[:8], **({MAIL_TAG: "yes"} if mail else {})},
            mirror=desk_mirror(settings, instance),
        )
    if as_json:
        click.echo(json.dumps([result.as_dict() for result in results], ensure_ascii=False, indent=2))
    else:
        print_days(out, results)
    raise click.exceptions.Exit(max(EXIT_CODES[result.status] for result in results))


@app.command(
    epilog=examples(
        "scoopjoy verify --from 2026-04-01 --to 2026-11-22",
        "scoopjoy verify --from 2026-04-01 --to 2026-11-22 --json > verified.json",
    )
)
@first_option
@last_option
@json_option
def verify(first: str, last: str, as_json: bool) -> None:
    """Compare ledger, invoices and deliveries of a range of days with the rule. Changes nothing.

    A posted day is compared at the rate that it was posted at. Ends with 0 when nothing differs and 2 when something does.
    """
    from scoopjoy_dagster.cli.closing import closable_day, days_between
    from scoopjoy_dagster.cli.verify import print_verification
    from scoopjoy_dagster.settings import load_settings

    settings = load_settings()
    today = now()
    days = days_between(closable_day(first, settings, today), closable_day(last, settings, today))
    out, progress = consoles(as_json=as_json)
    raise click.exceptions.Exit(
        print_verification(out, progress, settings, days[0], days[-1], as_json=as_json)
    )


@app.command(
    epilog=examples(
        'scoopjoy explain "Franchise Thane" --date 2026-11-22',
        "scoopjoy explain ACC-JV-2026-00013",
    )
)
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

    out, _ = consoles(as_json=as_json)
    raise click.exceptions.Exit(run_explain(out, load_settings(), subject, day, now(), as_json=as_json))


@app.command(
    epilog=examples(
        "scoopjoy report --date 2026-11-22 --out reports/2026-11-22",
    )
)
@day_option
@click.option(
    "--out",
    "directory",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Directory for the files; it is made.",
)
def report(day: str | None, directory: Path) -> None:
    """Write the reports and statements of a day as files. Mails nothing, changes nothing.

    HTML, text, PDF and XLSX of the whole chain; the same for each entry of SCOOPJOY_REPORT_OUTLETS; a statement for every
    franchise with a royalty.
    """
    from scoopjoy_dagster.cli.closing import closable_day
    from scoopjoy_dagster.cli.report import write_reports
    from scoopjoy_dagster.settings import load_settings

    settings = load_settings()
    out, _ = consoles(as_json=False)
    raise click.exceptions.Exit(write_reports(out, settings, closable_day(day, settings, now()), directory))
