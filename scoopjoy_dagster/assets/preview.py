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
from scoopjoy_dagster.assets.tools import Tools
from scoopjoy_dagster.erpnext.invoice_royalty import read_annotations
from scoopjoy_dagster.erpnext.site import Books, Site

BEFORE = {
    royalties.NAME: closed_shifts.NAME,
    **dict.fromkeys((invoices.NAME, reports.NAME, hq_sync.NAME), royalties.NAME),
}
"""The asset that each of the others waits for."""


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
    before = BEFORE.get(asset)
    return shown_by(before, chosen) or asset if before else asset


def preview_day(site: Site, tools: Tools, day: date) -> Iterator[Preview]:
    """The plan of every asset for `day`, in order of the close. Reads only.

    While shifts are still to be closed or royalties to be posted, nobody can know what the steps behind will say: they
    are shown as waiting.
    """
    policy = tools.royalty_policy.policy
    actions, findings = closed_shifts.plan(site, day, tools.clock.site_now())
    yield Preview(
        closed_shifts.NAME,
        tuple(PlanLine(one.kind, one.opening.label, one.sales, one.reason, one.closing) for one in actions),
        tuple(findings),
    )
    pending = sum(one.kind in {"create", "complete", "wait", "retry"} for one in actions)
    books = royalties.checked_books(site)
    plan = royalties.plan(site, books, policy, day)
    yield Preview(
        royalties.NAME,
        tuple(royalties.plan_line(one, one.reason, one.adjusts) for one in plan.actions),
        (*_before_closing(day, pending), *plan.findings),
    )
    if pending or plan.unsettled():
        reason = "after the shifts are closed" if pending else "after the royalties are posted"
        for asset in (invoices.NAME, reports.NAME, hq_sync.NAME):
            yield Preview(asset, (PlanLine("wait", day.isoformat(), plan.due, reason),))
        return
    yield Preview(invoices.NAME, tuple(_annotations(site, books, plan)))
    facts = read_day(site, policy, day)
    yield Preview(reports.NAME, tuple(_mails(site, tools, facts)))
    yield Preview(hq_sync.NAME, tuple(_headquarters(site, tools, facts)))


def _before_closing(day: date, pending: int) -> list[Finding]:
    if not pending:
        return []
    return [
        Finding(
            "warning",
            "shifts not closed yet",
            day.isoformat(),
            f"{pending} shifts are to be closed first; their Sales Invoices will be in the base, and are not in this plan",
            "Nothing is to do: a close takes the steps in this order. Materialize closed_shifts to see the whole plan.",
        )
    ]


def _annotations(site: Site, books: Books, plan: RoyaltyPlan) -> Iterator[PlanLine]:
    wanted = invoices.wanted_annotations(plan)
    changed = invoices.changed_annotations(plan, read_annotations(site, books.company, plan.day))
    due = {one.invoice for one in changed}
    for one in [*changed, *(one for one in wanted if one.invoice not in due)]:
        kind = "create" if one.invoice in due else "adopt"
        yield PlanLine(kind, one.invoice, one.share, f"{one.rate.normalize():f} %", one.journal_entry)
    for due_statement in invoices.plan_statements(site, books, plan):
        action, entry = due_statement.action, due_statement.action.entries[0].name
        kind = "adopt" if due_statement.present else "create"
        yield PlanLine(
            kind, action.royalty.customer_name, action.royalty.amount, due_statement.file_name, entry
        )


def _mails(site: Site, tools: Tools, facts: DayFacts) -> Iterator[PlanLine]:
    if not tools.mail.configured:
        return
    yield from reports.planned_mails(site, tools.mail, facts, resend=tools.close.resend)


def _headquarters(site: Site, tools: Tools, facts: DayFacts) -> Iterator[PlanLine]:
    if not tools.headquarters.configured:
        return
    last, revision, _ = hq_sync.plan(site, facts)
    if last and last.revision == revision:
        done = ("create", "is sent again") if tools.close.resend else ("adopt", "is acknowledged")
        yield PlanLine(done[0], hq_sync.RECIPIENT, facts.plan.due, f"revision {revision} {done[1]}")
    else:
        yield PlanLine("create", hq_sync.RECIPIENT, facts.plan.due, f"revision {revision}")
