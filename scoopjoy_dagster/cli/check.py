"""`scoopjoy check`: the preflight of everything outside this process."""

from __future__ import annotations

import smtplib
import socket
from collections.abc import Iterator
from datetime import date
from urllib.parse import urlsplit

from scoopjoy_dagster.definitions import site_resources
from scoopjoy_dagster.erpnext.errors import ERPNextError
from scoopjoy_dagster.erpnext.preflight import Check, check_site
from scoopjoy_dagster.local.home import psycopg2_url
from scoopjoy_dagster.partitions import TIME_ZONE
from scoopjoy_dagster.reporting.mail import MailError
from scoopjoy_dagster.settings import Settings

REACH_S = 5.0
"""Seconds to wait for a connection in a check."""


def all_checks(settings: Settings, postgres_url: str, day: date) -> Iterator[Check]:
    """ERPNext, mail, headquarters and PostgreSQL, for the close of `day`."""
    yield from _site(settings, day)
    yield from _mail(settings)
    yield from _headquarters(settings)
    yield from _postgres(postgres_url)


def _site(settings: Settings, day: date) -> Iterator[Check]:
    from dagster import build_resources

    try:
        with (
            build_resources({"erpnext": site_resources(settings)["erpnext"]}) as resources,
            resources.erpnext.open() as site,
        ):
            yield from check_site(site, time_zone=TIME_ZONE, day=day)
    except ERPNextError as problem:
        yield Check(
            "error", "ERPNext", str(problem), "Check ERPNEXT_URL, ERPNEXT_API_KEY and ERPNEXT_API_SECRET."
        )


def _mail(settings: Settings) -> Iterator[Check]:
    from dagster import build_resources

    if not settings.smtp_host:
        yield Check(
            "warning",
            "mail",
            "SMTP_HOST is empty: no reports and no alerts are sent",
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
