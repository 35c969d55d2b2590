"""`scoopjoy check`: the preflight of everything outside this process."""

from __future__ import annotations

import os
import smtplib
import socket
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from itertools import chain
from urllib.parse import urlsplit

from rich.console import Console

from scoopjoy_dagster.accounting.shifts import named
from scoopjoy_dagster.automation.alert_checks import alert_checks
from scoopjoy_dagster.automation.recipients import ROLE as ALERT_ROLE
from scoopjoy_dagster.cli.closing import closable_day
from scoopjoy_dagster.cli.next_command import OTHER_ROYALTIES, Days, days_on_record, next_command
from scoopjoy_dagster.cli.show import print_checks
from scoopjoy_dagster.cli.workplace import workplace
from scoopjoy_dagster.definitions import site_resources
from scoopjoy_dagster.erpnext.client import Filter
from scoopjoy_dagster.erpnext.errors import ERPNextError, Forbidden, Rejected
from scoopjoy_dagster.erpnext.other_royalties import read_other_royalties, read_royalty_invoices
from scoopjoy_dagster.erpnext.people import enabled_users
from scoopjoy_dagster.erpnext.preflight import Check, check_site, roles_action
from scoopjoy_dagster.erpnext.report_role import REPORT_ROLE
from scoopjoy_dagster.erpnext.site import Site
from scoopjoy_dagster.instance import REMEDY, home_problem
from scoopjoy_dagster.local.home import psycopg2_url
from scoopjoy_dagster.partitions import TIME_ZONE, last_ended_day
from scoopjoy_dagster.reporting.mail import MailError
from scoopjoy_dagster.settings import Settings, unread

REACH_S = 5.0
"""Seconds to wait for a connection in a check."""


def run_check(out: Console, day: str | None, now: datetime, command: str = "scoopjoy") -> int:
    """Print a line for each thing that the close needs, and the command to type next. Returns the number of errors.

    Args:
        out: where it is printed.
        day: business day as text; None for the last one that has ended.
        now: the time.
        command: how the program is called, with the options that every call needs.

    Raises:
        SettingsError: a setting is missing or wrong, or the day cannot be closed.
    """
    dagster = list(_dagster(os.environ))  # before the command has made a home of its own
    with workplace() as place:
        last = last_ended_day(now, place.settings.day_ends_at)
        # Before go-live there is no day to close yet, and a preflight is just what is wanted then.
        business_day = closable_day(day, place.settings, now) if day else last
        url = place.postgres_url
        found: list[Check] = []

        def listed() -> Iterator[Check]:
            for one in chain(dagster, all_checks(place.settings, url, business_day)):
                found.append(one)
                yield one

        errors = print_checks(out, listed())
        days = Days(place.settings.go_live, last, frozenset())
        if not errors and _has_record(url):
            with place.instance() as instance:
                days = days_on_record(instance, place.settings, last)
        out.print(
            f"\nNext: {next_command(found, days, command)}", highlight=False, markup=False, soft_wrap=True
        )
    return errors


def all_checks(settings: Settings, postgres_url: str, day: date) -> Iterator[Check]:
    """The environment's names, ERPNext, mail, headquarters and PostgreSQL, for the close of `day`."""
    yield from _names(os.environ)
    yield from _site(settings, day)
    yield from _mail(settings)
    yield from alert_checks(settings)
    yield from _headquarters(settings)
    yield from _postgres(postgres_url)
    if settings.executor == "celery":
        yield _celery(settings)


def _dagster(environment: Mapping[str, str]) -> Iterator[Check]:
    """Whether DAGSTER_HOME, where somebody has set it for Dagster's services, holds their settings."""
    problem = home_problem(environment)
    if problem:
        yield Check("error", "Dagster", problem, REMEDY)


def _names(environment: Mapping[str, str]) -> Iterator[Check]:
    for name, meant in unread(environment).items():
        action = f"Did you mean {meant}?" if meant else "See docs/configuration.md, or unset it."
        yield Check("warning", "settings", f"{name} is set, and nothing reads it", action)


def _site(settings: Settings, day: date) -> Iterator[Check]:
    from dagster import build_resources

    needed: set[str] = set()
    try:
        with (
            build_resources({"erpnext": site_resources(settings)["erpnext"]}) as resources,
            resources.erpnext.open() as site,
        ):
            for line in check_site(site, time_zone=TIME_ZONE, day=day, desk=settings.batch_run_desk == "on"):
                needed |= {line.needs} if line.level == "error" else set()
                yield line
            yield from _recipients(site, settings)
            yield from _other_royalties(site, settings.go_live, whole="setup" not in needed)
    except Forbidden as problem:
        if "roles" not in needed:
            yield Check("error", "ERPNext", str(problem), roles_action(), "roles")
    except ERPNextError as problem:
        yield Check(
            "error",
            "ERPNext",
            str(problem),
            problem.cause.remedy or "Check ERPNEXT_URL, ERPNEXT_API_KEY and ERPNEXT_API_SECRET.",
        )


def _recipients(site: Site, settings: Settings) -> Iterator[Check]:
    """Who gets mail where no addresses are set: reports and alerts must not find out in the night."""
    for what, fixed, role, setting in (
        ("reports", settings.report_recipients, settings.report_role, "SCOOPJOY_REPORT_RECIPIENTS"),
        ("alerts", settings.alert_recipients, ALERT_ROLE, "SCOOPJOY_ALERT_RECIPIENTS"),
    ):
        if fixed or not settings.smtp_host:
            continue
        try:
            found = enabled_users(site, role)
        except ERPNextError as problem:
            yield Check(
                "error",
                f"recipients of {what}",
                f"this user may not list the users with the role {role}: {problem.said}",
                f"Set {setting} to the addresses.",
            )
            continue
        if found:
            yield Check("ok", f"recipients of {what}", f"{len(found)} enabled users with the role {role}")
        else:
            makes = " (`scoopjoy setup` makes it)" if role == REPORT_ROLE else ""
            yield Check(
                "warning",
                f"recipients of {what}",
                f"no enabled user has the role {role}: nobody gets {what}",
                f"Give the role{makes} to those who are to get them in ERPNext, or set {setting}.",
            )


def _other_royalties(site: Site, go_live: date, *, whole: bool) -> Iterator[Check]:
    """Whether somebody else, or a pipeline that was there before, has posted royalties on days that are ours.

    Without our fields (`whole` is False) our own entries look like another's: nobody may be told to cancel them.
    """
    try:
        books = site.books()
    except Rejected:
        return  # there is no such company: said already
    in_group: Filter = ["customer_group", "descendants of (inclusive)", books.franchise_group]
    customers = [str(row["name"]) for row in site.client.rows("Customer", ["name"], [in_group])]
    try:
        found, has_field = read_other_royalties(site, books, customers, go_live), True
    except Rejected:
        found, has_field = read_other_royalties(site, books, customers, go_live, no_key=()), False
    invoices = read_royalty_invoices(site, books, customers, go_live)
    if invoices:
        bill = "1 Sales Invoice bills" if len(invoices) == 1 else f"{len(invoices)} Sales Invoices bill"
        yield Check(
            "warning",
            OTHER_ROYALTIES,
            f"{bill} franchises on {books.income_account} on {go_live} or later: {named(invoices)}",
            "Cancel in ERPNext those that charge the same sales as the close; the others count as sales to the franchise.",
        )
    if not found and not invoices:
        yield Check(
            "ok",
            OTHER_ROYALTIES,
            f"on {go_live} or later no entry without our key, and no Sales Invoice, charges a franchise on {books.income_account}",
        )
    if not found:
        return
    days, names = sorted({one.day for one in found}), sorted({one.name for one in found})
    span = f"on {days[0]}" if len(days) == 1 else f"on {len(days)} days from {days[0]} to {days[-1]}"
    listed = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    if not (whole and has_field):
        yield Check(
            "warning",
            OTHER_ROYALTIES,
            f"{_counted(len(names))} {span} ({listed}) may be ours: nobody can tell while our custom fields are not complete",
            "Leave them as they are. Run `scoopjoy setup`, which keeps what the fields held, then `scoopjoy check` again.",
        )
        return
    yield Check(
        "warning",
        OTHER_ROYALTIES,
        f"{_counted(len(names))} {span} {'is' if len(names) == 1 else 'are'} not ours ({listed}): the close counts none of them",
        "Cancel in ERPNext what charges the same sales as the close; leave what is meant (docs/from-the-frappe-pipeline.md).",
    )


def _counted(entries: int) -> str:
    return "1 royalty entry" if entries == 1 else f"{entries} royalty entries"


def _mail(settings: Settings) -> Iterator[Check]:
    from dagster import build_resources

    if not settings.smtp_host:
        yield Check(
            "warning",
            "mail",
            "SMTP_HOST is empty: no reports are sent",
            "Set SMTP_HOST and SMTP_SENDER.",
        )
        return
    try:
        with (
            build_resources({"mail": site_resources(settings)["mail"]}) as resources,
            resources.mail.mailer(),  # entering it connects and logs in
        ):
            pass
        yield Check(
            "ok",
            "mail",
            f"{settings.smtp_host}:{settings.smtp_port} ({settings.smtp_security}) takes our login",
        )
    except (MailError, ValueError, smtplib.SMTPException) as problem:
        yield Check("error", "mail", str(problem), "Check the SMTP settings.")


def _headquarters(settings: Settings) -> Iterator[Check]:
    if not settings.hq_url:
        yield Check(
            "warning",
            "headquarters",
            "SCOOPJOY_HQ_URL is empty: nobody is told the day's totals",
            "Set SCOOPJOY_HQ_URL.",
        )
        return
    parts = urlsplit(settings.hq_url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        with socket.create_connection((parts.hostname or "", port), timeout=REACH_S):
            yield Check("ok", "headquarters", f"{parts.hostname}:{port} can be reached")
    except OSError as problem:
        yield Check(
            "error",
            "headquarters",
            f"{parts.hostname}:{port} cannot be reached ({problem})",
            "Check SCOOPJOY_HQ_URL.",
        )


def _postgres(url: str) -> Iterator[Check]:
    from sqlalchemy import create_engine, text
    from sqlalchemy.exc import SQLAlchemyError

    try:
        engine = create_engine(psycopg2_url(url), connect_args={"connect_timeout": int(REACH_S)})
        with engine.connect() as connection:
            version = str(connection.execute(text("show server_version")).scalar())
        engine.dispose()
        yield Check("ok", "PostgreSQL", f"version {version}")
    except (SQLAlchemyError, ValueError) as problem:
        # The URL may hold a password: only the kind of problem is shown.
        yield Check(
            "error", "PostgreSQL", f"no connection ({type(problem).__name__})", "Check SCOOPJOY_POSTGRES_URL."
        )


def _celery(settings: Settings) -> Check:
    """Whether a worker listens to the site's queue: a run waits for ever for steps that nobody takes."""
    try:
        from celery import Celery
    except ImportError:
        return Check(
            "error", "Celery workers", "it is not installed", "Run `pip install 'scoopjoy_dagster[celery]'`."
        )
    queue = settings.celery_queue
    app = Celery(broker=settings.celery_broker.get_secret_value(), set_as_current=False)
    app.conf.broker_transport_options = {"socket_connect_timeout": REACH_S}
    try:
        answers = app.control.inspect(timeout=REACH_S / 2).active_queues() or {}
    except Exception as problem:  # noqa: BLE001 - each broker raises its own; the URL may hold a password, so only the kind is shown
        return Check(
            "error",
            "Celery workers",
            f"no broker ({type(problem).__name__})",
            "Check SCOOPJOY_CELERY_BROKER.",
        )
    finally:
        app.close()
    workers = sum(any(one["name"] == queue for one in queues) for queues in answers.values())
    if workers:
        return Check("ok", "Celery workers", f"{workers} on the queue {queue}")
    return Check(
        "error",
        "Celery workers",
        f"no worker listens to the queue {queue}: runs would hang",
        "Start a worker with this site's settings, as docs/scale.md shows; set SCOOPJOY_CELERY_QUEUE alike for it and here.",
    )


def _has_record(url: str) -> bool:
    """Whether Dagster has made its tables there: opening the instance would make them, and a check writes nothing."""
    from sqlalchemy import create_engine, inspect

    engine = create_engine(psycopg2_url(url), connect_args={"connect_timeout": int(REACH_S)})
    try:
        return bool(inspect(engine).has_table("runs"))
    finally:
        engine.dispose()
