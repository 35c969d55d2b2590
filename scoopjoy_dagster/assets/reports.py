"""`reports`: managers have the day's report by mail."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from email.utils import parseaddr

import dagster as dg

from scoopjoy_dagster.accounting.figures import DayFigures
from scoopjoy_dagster.accounting.findings import Finding
from scoopjoy_dagster.accounting.money import ZERO
from scoopjoy_dagster.accounting.policy import RoyaltyPolicy
from scoopjoy_dagster.accounting.royalties import Franchise
from scoopjoy_dagster.assets import royalties
from scoopjoy_dagster.assets.day_facts import DayFacts, read_day
from scoopjoy_dagster.assets.nightly import GROUP, OWNERS, close_days
from scoopjoy_dagster.assets.outcome import Outcome, PlanLine
from scoopjoy_dagster.assets.tools import TOOLS
from scoopjoy_dagster.erpnext import people, royalty_entries
from scoopjoy_dagster.erpnext.deliveries import Delivery, deliveries, figures_told, record_delivery
from scoopjoy_dagster.erpnext.site import Site
from scoopjoy_dagster.reporting.mail import (
    InvalidAddress,
    MailRefused,
    MailTransient,
    MailUnavailable,
    deterministic_message_id,
)
from scoopjoy_dagster.reporting.model import DayReport
from scoopjoy_dagster.resources.mail import MailResource

NAME = "reports"
HISTORY_DAYS = 14


def day_report(site: Site, facts: DayFacts) -> DayReport:
    """The day as frames: outlets, shifts, payments, invoices, and the last 14 days of sales and royalties. Revision 0."""
    import pandas as pd

    from scoopjoy_dagster.reporting.model import FRAMES

    plan, day = facts.plan, facts.plan.day

    def frame(name: str, rows: Sequence[dict[str, object]]) -> pd.DataFrame:
        return pd.DataFrame(rows, columns=list(FRAMES[name]), dtype=object)

    start = day - timedelta(days=HISTORY_DAYS - 1)
    franchises = [Franchise(action.royalty.customer, action.royalty.customer_name) for action in plan.actions]
    sales = royalty_entries.sales_by_day(site, facts.books, plan.policy, franchises, start, day)
    owed = royalty_entries.royalties_by_day(site, facts.books, start, day)
    invoices: list[dict[str, object]] = []
    for action in plan.actions:
        royalty = action.royalty
        shares = royalty.shares(plan.policy.precision) if royalty.amount and not royalty.kept else {}
        invoices += [
            {
                "invoice": invoice.name,
                "customer": royalty.customer,
                "customer_name": royalty.customer_name,
                "posting_date": day,
                "is_return": invoice.is_return,
                "currency": invoice.currency,
                "base": invoice.base,
                "rate": royalty.rate,
                "royalty": shares.get(invoice.name, ZERO),
            }
            for invoice in royalty.invoices
        ]
    return DayReport(
        company=plan.company,
        business_day=day,
        currency=facts.books.currency,
        revision=0,
        policy=plan.policy.sentence,
        outlets=frame(
            "outlets",
            [
                {
                    "customer": action.royalty.customer,
                    "customer_name": action.royalty.customer_name,
                    "invoices": len(action.royalty.invoices),
                    "base": action.royalty.base,
                    "rate": action.royalty.rate,
                    "royalty": action.royalty.amount,
                    "journal_entries": ", ".join(entry.name for entry in action.entries),
                    "note": action.reason if action.kind == "skip" else "",
                }
                for action in plan.actions
            ],
        ),
        shifts=frame(
            "shifts",
            [
                {
                    "opening": shift.opening.name,
                    "pos_profile": shift.opening.pos_profile,
                    "cashier": shift.opening.user,
                    "closing": shift.closing,
                    "invoices": shift.invoices,
                    "returns": shift.returns,
                    "sales": shift.sales,
                }
                for shift in facts.shifts
            ],
        ),
        payments=frame(
            "payments",
            [
                {
                    "pos_profile": payment.opening.pos_profile,
                    "opening": payment.opening.name,
                    "mode_of_payment": payment.mode,
                    "opening_amount": payment.opening_amount,
                    "expected": payment.expected,
                    "counted": payment.counted,
                    "difference": payment.difference,
                }
                for payment in facts.payments
            ],
        ),
        invoices=frame("invoices", invoices),
        history=frame(
            "history",
            [
                {"day": one, "sales": sales.get(one, ZERO), "royalty": owed.get(one, ZERO)}
                for one in (start + timedelta(days=offset) for offset in range(HISTORY_DAYS))
            ],
        ),
        findings=facts.findings,
        totals={
            "sales": facts.sales,
            "royalty": plan.due,
            "pos_sales": facts.pos_sales,
            "invoices": Decimal(len(invoices)),
        },
    )


@dataclass(frozen=True, slots=True)
class SendPlan:
    """Which revision of the report is current, who has it, and who is to get it."""

    revision: int
    has_it: tuple[str, ...]
    to_send: tuple[str, ...]


def plan_sending(recipients: Sequence[str], delivered: Sequence[Delivery], digest: str) -> SendPlan:
    """A report that changed goes out as the next revision, to all; one that did not, to those who have not got it."""
    newest = max(delivered, key=lambda one: one.revision, default=None)
    if newest is None:
        return SendPlan(0, (), tuple(recipients))
    if newest.digest != digest:
        return SendPlan(newest.revision + 1, (), tuple(recipients))
    got = {one.recipient.casefold() for one in delivered if one.revision == newest.revision}
    return SendPlan(
        newest.revision,
        tuple(one for one in recipients if one.casefold() in got),
        tuple(one for one in recipients if one.casefold() not in got),
    )


def recipients_of(site: Site, fixed: Sequence[str], role: str) -> list[str]:
    """Who gets the report: the fixed list, or the enabled users with the role."""
    return list(fixed) or people.enabled_users(site, role)


@dataclass(frozen=True, slots=True)
class ReportPlan:
    """The report of a settled day with its revision and what changed since the one before, its digest, and who gets it."""

    report: DayReport
    digest: str
    sending: SendPlan


def plan(site: Site, facts: DayFacts, recipients: Sequence[str]) -> ReportPlan:
    """The report of a settled day, and to whom it must go. Reads only."""
    from scoopjoy_dagster.reporting.digest import report_digest

    report = day_report(site, facts)
    digest = report_digest(report)
    delivered = deliveries(site, "report", facts.books.company, facts.plan.day)
    sending = plan_sending(recipients, delivered, digest)
    if sending.revision and sending.to_send:
        changes = facts.changes_since(figures_told(site, delivered, sending.revision))
        report = replace(report, revision=sending.revision, changes=changes)
    return ReportPlan(report, digest, sending)


def send_reports(
    site: Site, policy: RoyaltyPolicy, day: date, *, mail: MailResource, now: datetime, links: dict[str, str]
) -> Outcome:
    """Send the report of `day` to those who have not got its current revision. `now` is an aware moment."""
    if not mail.configured:
        note = Finding(
            "warning",
            "no mail server configured",
            day.isoformat(),
            "SMTP_HOST is empty: no report was sent",
            "Set SMTP_HOST and SMTP_SENDER, then materialize reports for the day again.",
        )
        return Outcome(NAME, day, skipped=1, findings=(note,))
    facts = read_day(site, policy, day)
    unsettled = facts.plan.unsettled()
    if unsettled:
        return Outcome(NAME, day, findings=(unsettled,))
    recipients = recipients_of(site, mail.report_recipients, mail.report_role)
    if not recipients:
        nobody = Finding(
            "error",
            "nobody to send the report to",
            mail.report_role,
            "ERPNext has no enabled user with this role",
            "Give the role to a user, or set SCOOPJOY_REPORT_RECIPIENTS.",
        )
        return Outcome(NAME, day, findings=(nobody,))
    the_plan = plan(site, facts, recipients)
    sending = the_plan.sending
    sent = 0
    findings: list[Finding] = []
    lines: list[PlanLine] = []
    if sending.to_send:
        sent, findings, lines = _send(site, the_plan, facts.figures, mail, now, links)
    return Outcome(
        NAME,
        day,
        seen=len(recipients),
        written=sent,
        adopted=len(sending.has_it),
        amount=facts.sales,
        findings=tuple(findings),
        lines=(
            *lines,
            *(
                PlanLine("adopt", one, facts.sales, f"has revision {sending.revision}")
                for one in sending.has_it
            ),
        ),
        facts={"revision": sending.revision},
    )


def _send(
    site: Site,
    the_plan: ReportPlan,
    figures: DayFigures,
    mail: MailResource,
    now: datetime,
    links: dict[str, str],
) -> tuple[int, list[Finding], list[PlanLine]]:
    """Send, and record each mail as the server has taken it: a crash in between sends one mail twice, with one ID."""
    from scoopjoy_dagster.reporting.render import render_report_mail

    report, sending = the_plan.report, the_plan.sending
    rendered = render_report_mail(report, links=links)
    domain = parseaddr(mail.sender)[1].rpartition("@")[2] or "localhost"
    day, company, revision = report.business_day, report.company, sending.revision
    findings: list[Finding] = []
    lines: list[PlanLine] = []
    try:
        with mail.mailer() as mailer:
            for recipient in sending.to_send:
                try:
                    message_id = deterministic_message_id(
                        "report", company, day, revision, recipient, domain, content=the_plan.digest
                    )
                    message = rendered.message(
                        sender=mail.sender, recipient=recipient, message_id=message_id, date=now
                    )
                    mailer.send(message)
                except (MailRefused, MailTransient, InvalidAddress) as problem:
                    findings.append(_not_sent(recipient, str(problem)))
                    continue
                record = Delivery("report", day, recipient, revision, the_plan.digest, message_id)
                record_delivery(site, company, record, figures, now.replace(tzinfo=None))
                lines.append(
                    PlanLine("create", recipient, report.totals["sales"], f"revision {revision}", message_id)
                )
    except MailUnavailable as problem:  # no other recipient can do better
        findings.append(_not_sent(f"{len(sending.to_send) - len(lines)} recipients", str(problem)))
    return len(lines), findings, lines


def _not_sent(recipient: str, message: str) -> Finding:
    return Finding(
        "error",
        "report not sent",
        recipient,
        message,
        "Mend the address or the mail server, then materialize reports for the day again: only who has not got it gets it.",
    )


def _links(mail: MailResource, day: date) -> dict[str, str]:
    if not mail.ui_url:
        return {}
    return {"Open in Dagster": f"{mail.ui_url}/assets/{NAME}?view=partitions&partition={day}"}


def build(days: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    """The asset, on these business days."""

    @dg.asset(
        name=NAME,
        deps=[royalties.NAME],
        partitions_def=days,
        group_name=GROUP,
        owners=OWNERS,
        kinds={"erpnext", "email"},
        code_version="1",
        output_required=False,
        required_resource_keys=set(TOOLS),
        tags={"scoopjoy/critical": "no"},
    )
    def reports(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        """**Send Reports** (not critical). Managers have the day's report by mail.

        - HTML with charts, PDF and XLSX attached, to the enabled users with the report role (or a fixed list).
        - Each mail that the server took is recorded in ERPNext (ScoopJoy Delivery): a re-run sends only to those who
          have not got it; a day that changed goes out as the next revision, which says what changed and why.
        - *amount* is the sales of all franchises in company currency. *seen* counts recipients.
        """
        yield from close_days(
            context,
            lambda site, day, tools: send_reports(
                site,
                tools.royalty_policy.policy,
                day,
                mail=tools.mail,
                now=tools.clock.now(),
                links=_links(tools.mail, day),
            ),
        )

    return reports
