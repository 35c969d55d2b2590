"""The plan of a whole day, read and not carried out: what a dry run shows, on the command line and in Dagster."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date

from scoopjoy_dagster.accounting.findings import Finding
from scoopjoy_dagster.accounting.royalties import RoyaltyPlan
from scoopjoy_dagster.assets import closed_shifts, hq_sync, invoices, reports, royalties
from scoopjoy_dagster.assets.day_facts import DayFacts, read_day
from scoopjoy_dagster.assets.outcome import PlanLine
from scoopjoy_dagster.assets.report_plans import planned_mails, read_readers
from scoopjoy_dagster.assets.royalty_statements import plan_statements
from scoopjoy_dagster.assets.tools import Tools
from scoopjoy_dagster.erpnext.site import Books, Site
from scoopjoy_dagster.steps import upstream_of


@dataclass(frozen=True, slots=True)
class Preview:
    """What one asset would do: its actions with reasons and amounts, and what a person should know."""

    asset: str
    lines: tuple[PlanLine, ...]
    findings: tuple[Finding, ...] = ()


def shown_by(asset: str, chosen: AbstractSet[str]) -> str | None:
    """The asset whose step shows the plan of `asset` in a dry run of `chosen` (none: all); None when it is not chosen.

    It is the first of those that wait for each other: nothing is materialized, so the steps behind it are skipped.
    """
    if chosen and asset not in chosen:
        return None
    before = upstream_of(asset, chosen)
    return shown_by(before, chosen) if before else asset


def preview_day(site: Site, tools: Tools, day: date) -> Iterator[Preview]:
    """The plan of every asset for `day`, in order of the close. Reads only.

    While shifts are still to be closed or royalties to be posted, nobody can know what the steps behind will say: they
    are shown as waiting.
    """
    policy = tools.royalty_policy.policy
    now = tools.clock.site_now()
    shifts = closed_shifts.plan(site, day, now, tools.erpnext.patience.quiet)
    yield Preview(
        closed_shifts.NAME,
        tuple(
            PlanLine(one.kind, one.opening.label, one.sales, one.reason, one.closing)
            for one in shifts.actions
        ),
        tuple(shifts.findings),
    )
    books = site.books()
    plan = royalties.read_day(site, books, policy, day, re_rate=tools.close.re_rate)
    accounts = royalties.accounts_of(site, books, plan)
    royalties.require(site, accounts, plan)
    plan = royalties.complete(site, books, plan)
    lines, findings = royalties.foreseen(site, accounts, plan, now.date())
    yield Preview(royalties.NAME, tuple(lines), (*_before_closing(day, shifts.to_consolidate), *findings))
    if shifts.pending or plan.unsettled():
        reason = "after the shifts are closed" if shifts.pending else "after the royalties are posted"
        for asset in (invoices.NAME, reports.NAME, hq_sync.NAME):
            yield Preview(asset, (PlanLine("wait", day.isoformat(), plan.due, reason),))
        return
    yield Preview(invoices.NAME, tuple(_statements(site, books, plan)))
    facts = read_day(site, policy, day)
    yield Preview(reports.NAME, tuple(_mails(site, tools, facts)))
    yield Preview(hq_sync.NAME, tuple(_headquarters(tools, facts)))


def _before_closing(day: date, to_consolidate: int) -> list[Finding]:
    """Sales Invoices that do not exist yet cannot be in the plan; those that the tills of v16+ made themselves are in it."""
    if not to_consolidate:
        return []
    return [
        Finding(
            "warning",
            "shifts not closed yet",
            day.isoformat(),
            f"the POS Invoices of {to_consolidate} shifts are still to be consolidated: the Sales Invoices that ERPNext will make of "
            "them are not in this plan",
            "Nothing to do: a close takes the steps in this order. To see the whole plan, run `closed_shifts` for this day first.",
        )
    ]


def _statements(site: Site, books: Books, plan: RoyaltyPlan) -> Iterator[PlanLine]:
    for due in plan_statements(books, plan, invoices.read_statements(site, plan)):
        kind = "adopt" if due.present else "create"
        royalty = due.action.royalty
        yield PlanLine(kind, royalty.customer_name, royalty.amount, due.file_name, due.entry)


def _mails(site: Site, tools: Tools, facts: DayFacts) -> Iterator[PlanLine]:
    if not (tools.mail.configured and (tools.mails or tools.close.resend)):
        return
    readers = read_readers(site, tools.mail, facts.reports)
    yield from planned_mails(readers, tools.mail, facts, resend=tools.close.resend)


def _headquarters(tools: Tools, facts: DayFacts) -> Iterator[PlanLine]:
    if not tools.headquarters.configured:
        return
    last, revision, _ = hq_sync.plan(facts)
    if hq_sync.acknowledged(last, revision):
        done = ("create", "is sent again") if tools.close.resend else ("adopt", "is acknowledged")
        yield PlanLine(done[0], hq_sync.RECIPIENT, facts.plan.due, f"revision {revision} {done[1]}")
    else:
        yield PlanLine("create", hq_sync.RECIPIENT, facts.plan.due, f"revision {revision}")
