"""`scoopjoy report`: the reports and statements of a day as files; nothing is mailed, and ERPNext is only read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from rich.console import Console

from scoopjoy_dagster.assets.day_facts import DayFacts, read_day, read_past, with_rows
from scoopjoy_dagster.assets.report_plans import Audience, audiences, full_report, plans, read_readers
from scoopjoy_dagster.assets.report_views import WHOLE
from scoopjoy_dagster.assets.royalty_statements import month_to_date, plan_statements, with_month
from scoopjoy_dagster.definitions import site_resources
from scoopjoy_dagster.erpnext.site import Site
from scoopjoy_dagster.reporting.pdf_statement import statement_pdf
from scoopjoy_dagster.reporting.render import render_report_mail
from scoopjoy_dagster.resources.mail import MailResource
from scoopjoy_dagster.settings import Settings, SettingsError


def write_reports(out: Console, settings: Settings, day: date, directory: Path) -> int:
    """Write the reports of `day` into a directory, which is made, and say what was written. Returns the exit code, 0.

    Raises:
        SettingsError: the royalties of the day are not settled, or the directory cannot be written.
        ERPNextError: ERPNext cannot be read.
    """
    from dagster import build_resources

    resources = site_resources(settings)
    with (
        build_resources({name: resources[name] for name in ("erpnext", "mail")}) as opened,
        opened.erpnext.open() as site,
    ):
        facts = read_day(site, settings.policy, day)
        unsettled = facts.plan.unsettled()
        if unsettled:
            message = f"There is no report of {day} yet: {unsettled.message}; close the day first: scoopjoy close --date {day}"
            raise SettingsError(message)
        facts = with_rows(site, facts)
        files = [*_reports(out, site, opened.mail, facts), *_statements(site, facts)]
    try:
        for name, content in files:
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            out.print(f"{path}", highlight=False, markup=False, soft_wrap=True)
    except OSError as problem:
        message = f"{directory} cannot be written: {problem.strerror or problem}; choose another --out."
        raise SettingsError(message) from None
    return 0


def _reports(out: Console, site: Site, mail: MailResource, facts: DayFacts) -> Iterator[tuple[str, bytes]]:
    groups, missing = audiences(read_readers(site, mail, facts.reports), mail, facts)
    for finding in missing:
        out.print(f"warning: {finding.message}.", highlight=False, markup=False, soft_wrap=True)
    if not any(group.view == WHOLE for group in groups):
        groups = [Audience(WHOLE, ()), *groups]
    past = read_past(site, facts)
    for one in plans(facts, groups):
        rendered = render_report_mail(full_report(site, facts, past, one), links={})
        view = one.audience.view.label
        # Two names may differ in nothing that a directory's name may hold.
        folder = f"outlets/{_file_name(view)}-{one.figures.view[:6]}/" if view else ""
        stem = f"{folder}nightly-close-{facts.plan.day}"
        yield f"{stem}.html", rendered.html.encode()
        yield f"{stem}.txt", rendered.text.encode()
        for attachment in rendered.attachments:
            yield f"{folder}{attachment.file_name}", attachment.content


def _statements(site: Site, facts: DayFacts) -> Iterator[tuple[str, bytes]]:
    due = plan_statements(facts.books, facts.plan, {})
    months = month_to_date(site, facts.books, facts.plan) if due else {}
    for one in due:
        yield f"statements/{one.file_name}", statement_pdf(with_month(one.statement, months))


def _file_name(text: str) -> str:
    """Names of outlets as a directory's name."""
    return re.sub(r"[^\w.-]+", "-", text).strip("-.")[:80] or "outlet"
