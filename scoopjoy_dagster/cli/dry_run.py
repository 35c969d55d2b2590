"""`scoopjoy close --dry-run`: the plan of a day, printed; nothing is written and Dagster records nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from scoopjoy_dagster.accounting.findings import Finding
from scoopjoy_dagster.assets import closed_shifts, hq_sync, invoices, reports, royalties
from scoopjoy_dagster.assets.day_facts import DayFacts, read_day
from scoopjoy_dagster.assets.outcome import PlanLine
from scoopjoy_dagster.definitions import site_resources
from scoopjoy_dagster.erpnext.invoice_royalty import read_annotations
from scoopjoy_dagster.erpnext.site import Site
from scoopjoy_dagster.partitions import site_time
from scoopjoy_dagster.settings import Settings


def print_plan(
    out: Console, settings: Settings, day: date, only: Sequence[str], now: datetime, *, as_json: bool
) -> int:
    """Print what a close of `day` would do. Returns the exit code: 2 when something would be refused, else 0."""
    from dagster import build_resources

    with (
        build_resources({"erpnext": site_resources(settings)["erpnext"]}) as resources,
        resources.erpnext.open() as site,
    ):
        plans = {
            asset: (lines, findings)
            for asset, lines, findings in _plans(site, settings, day, now)
            if not only or asset in only
        }
    if as_json:
        click.echo(
            json.dumps(
                {"business_day": day.isoformat(), "dry_run": True, "plan": _as_dict(plans)},
                ensure_ascii=False,
                indent=2,
            )
        )
    else:
        _print(out, day, plans)
    return 2 if any(one.severity == "error" for _, findings in plans.values() for one in findings) else 0


Plans = dict[str, tuple[list[PlanLine], list[Finding]]]


def _plans(
    site: Site, settings: Settings, day: date, now: datetime
) -> Iterator[tuple[str, list[PlanLine], list[Finding]]]:
    actions, findings = closed_shifts.plan(site, day, site_time(now))
    yield (
        closed_shifts.NAME,
        [PlanLine(one.kind, one.opening.label, one.sales, one.reason, one.closing) for one in actions],
        findings,
    )
    books = royalties.checked_books(site)
    plan = royalties.plan(site, books, settings.policy, day)
    yield (
        royalties.NAME,
        [
            PlanLine(
                one.kind, one.royalty.customer_name, one.amount or one.royalty.amount, one.reason, one.adjusts
            )
            for one in plan.actions
        ],
        list(plan.findings),
    )
    if plan.unsettled():
        for asset in ("invoices", "reports", "hq_sync"):
            yield asset, [PlanLine("wait", day.isoformat(), plan.due, "after the royalties are posted")], []
        return
    wanted = invoices.wanted_annotations(plan)
    present = read_annotations(site, [one.invoice for one in wanted])
    yield (
        invoices.NAME,
        [
            PlanLine(
                "adopt" if present.get(one.invoice) == one else "create",
                one.invoice,
                one.share,
                f"{one.rate.normalize():f} %",
                one.journal_entry,
            )
            for one in wanted
        ],
        [],
    )
    facts = read_day(site, settings.policy, day)
    yield reports.NAME, _mails(site, settings, facts), []
    yield hq_sync.NAME, _headquarters(site, settings, facts), []


def _mails(site: Site, settings: Settings, facts: DayFacts) -> list[PlanLine]:
    if not settings.smtp_host:
        return []
    recipients = reports.recipients_of(site, settings.report_recipients, settings.report_role)
    _, _, sending = reports.plan(site, facts, recipients)
    return [
        *(PlanLine("create", one, facts.sales, f"revision {sending.revision}") for one in sending.to_send),
        *(PlanLine("adopt", one, facts.sales, f"has revision {sending.revision}") for one in sending.has_it),
    ]


def _headquarters(site: Site, settings: Settings, facts: DayFacts) -> list[PlanLine]:
    if not settings.hq_url:
        return []
    last, revision, _ = hq_sync.plan(site, facts)
    if last and last.revision == revision:
        return [PlanLine("adopt", hq_sync.RECIPIENT, facts.plan.due, f"revision {revision} is acknowledged")]
    return [PlanLine("create", hq_sync.RECIPIENT, facts.plan.due, f"revision {revision}")]


def _as_dict(plans: Plans) -> dict[str, Any]:
    return {
        asset: {
            "actions": [
                {"action": one.action, "who": one.who, "amount": f"{one.amount:.2f}", "reason": one.reason}
                for one in lines
            ],
            "exceptions": [one.as_dict() for one in findings],
        }
        for asset, (lines, findings) in plans.items()
    }


def _print(out: Console, day: date, plans: Plans) -> None:
    out.print(f"Plan for [bold]{day}[/bold]; nothing is written.", highlight=False)
    for asset, (lines, findings) in plans.items():
        table = Table("Action", "For", title=asset, title_justify="left", box=None, pad_edge=False)
        table.add_column("Amount", justify="right")
        table.add_column("Why")
        for one in lines:
            table.add_row(one.action, escape(one.who), f"{one.amount:.2f}", escape(one.reason))
        out.print()
        out.print(table if lines else f"{asset}: nothing to do")
        for finding in findings:
            out.print(
                f"  {finding.severity}: {escape(finding.what)} - {escape(finding.who)}: {escape(finding.message)}",
                highlight=False,
            )
