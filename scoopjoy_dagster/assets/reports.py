"""`reports`: managers have the day's report by mail, each the part that is theirs."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING

import dagster as dg

from scoopjoy_dagster.accounting.findings import Finding
from scoopjoy_dagster.accounting.past import Past
from scoopjoy_dagster.accounting.policy import RoyaltyPolicy
from scoopjoy_dagster.assets import day_facts, royalties
from scoopjoy_dagster.assets.day_facts import DayFacts
from scoopjoy_dagster.assets.day_report import read_past
from scoopjoy_dagster.assets.nightly import BACKFILL, GROUP, OWNERS, Days, close_days
from scoopjoy_dagster.assets.outcome import Outcome, PlanLine
from scoopjoy_dagster.assets.report_plans import (
    Readers,
    ReportPlan,
    audiences,
    full_report,
    plans,
    read_readers,
)
from scoopjoy_dagster.assets.tools import TOOLS
from scoopjoy_dagster.erpnext.deliveries import Delivery, record_again, record_delivery
from scoopjoy_dagster.erpnext.errors import ERPNextError, LoginFailed, Unreachable
from scoopjoy_dagster.erpnext.site import Site
from scoopjoy_dagster.reporting.loading import load_reporting
from scoopjoy_dagster.resources.mail import MailResource

if TYPE_CHECKING:
    from scoopjoy_dagster.reporting.mail import Mailer
    from scoopjoy_dagster.reporting.render import RenderedReport

NAME = "reports"


def plan_days(
    site: Site,
    policy: RoyaltyPolicy,
    days: Sequence[date],
    *,
    mail: MailResource,
    now: datetime,
    resend: bool = False,
) -> Days:
    """The reports of `days` from one reading, and what sends those of each day. `now` is an aware moment in site time."""
    if not mail.configured:
        return {day: partial(_no_mail_server, day) for day in days}
    facts = day_facts.read_days(site, policy, days)
    readers = read_readers(site, mail, [one for of_day in facts.values() for one in of_day.reports])

    def send(day: date) -> Outcome:
        return send_reports(
            site, facts[day], readers, mail=mail, now=now, links=_links(mail, day), resend=resend
        )

    return {day: partial(send, day) for day in days}


def _no_mail_server(day: date) -> Outcome:
    note = Finding(
        "warning",
        "no mail server configured",
        day.isoformat(),
        "SMTP_HOST is empty: no report was sent",
        "Set SMTP_HOST and SMTP_SENDER, then materialize reports for the day again.",
    )
    return Outcome(NAME, day, skipped=1, findings=(note,))


def send_reports(
    site: Site,
    facts: DayFacts,
    readers: Readers,
    *,
    mail: MailResource,
    now: datetime,
    links: dict[str, str],
    resend: bool = False,
) -> Outcome:
    """Send the report of a day to those who have not got its current revision; with `resend`, to the others again.

    `now` is an aware moment in site time.
    """
    day = facts.plan.day
    unsettled = facts.plan.unsettled()
    if unsettled:
        return Outcome(NAME, day, findings=(unsettled,))
    groups, missing = audiences(readers, mail, facts)
    if not groups:
        nobody = Finding(
            "error",
            "nobody to send the report to",
            mail.report_role,
            "ERPNext has no enabled user with this role",
            "Give the role to a user, or set SCOOPJOY_REPORT_RECIPIENTS.",
        )
        return Outcome(NAME, day, findings=(nobody, *missing))
    the_plans = plans(facts, groups)
    if resend or any(one.sending.to_send for one in the_plans):
        facts = day_facts.with_deliveries(site, facts)
        the_plans = plans(facts, groups)
    sender = _Sender(site, mail, now, links, facts)
    for one in the_plans:
        sender.send(one, resend=resend)
    adopted = [] if resend else [(one, who) for one in the_plans for who in one.sending.has_it]
    return Outcome(
        NAME,
        day,
        seen=sum(len(group.recipients) for group in groups),
        written=len(sender.lines),
        adopted=len(adopted),
        amount=facts.sales,
        plots={"sales": facts.sales, "royalty": facts.plan.due},
        findings=(*sender.findings, *missing),
        lines=(
            *sender.lines,
            *(
                PlanLine("adopt", who, one.figures.sales, f"has revision {one.sending.revision}{one.about}")
                for one, who in adopted
            ),
        ),
        facts={"revision": max(one.sending.revision for one in the_plans)},
    )


class _Sender:
    """Sends mails, and records each as the server has taken it: a crash in between sends one mail twice, with one ID."""

    def __init__(
        self, site: Site, mail: MailResource, now: datetime, links: dict[str, str], facts: DayFacts
    ) -> None:
        self._site, self._mail, self._now, self._links = site, mail, now, links
        self._facts = facts
        from scoopjoy_dagster.reporting.mail import sender_domain

        self._domain = sender_domain(mail.sender)
        self.findings: list[Finding] = []
        self.lines: list[PlanLine] = []

    def send(self, one: ReportPlan, *, resend: bool) -> None:
        """Send a report to those who have not got it, and to the others again if that is asked for."""
        again = one.sending.records if resend else ()
        if not one.sending.to_send and not again:
            return
        from scoopjoy_dagster.reporting.mail import MailUnavailable

        before = len(self.lines) + len(self.findings)
        try:
            with self._mail.mailer() as mailer:
                if one.sending.to_send:
                    self._first(mailer, one)
                if again:
                    self._again(mailer, one, again)
        except MailUnavailable as problem:  # no other recipient can do better
            left = len(one.sending.to_send) + len(again) - (len(self.lines) + len(self.findings) - before)
            self.findings.append(_not_sent(f"{left} recipients", str(problem), passes=True))

    @cached_property
    def _detailed(self) -> tuple[DayFacts, Past]:
        """The day with each of its invoices, and the days before: read once, and only where a report is sent."""
        return day_facts.with_rows(self._site, self._facts), read_past(self._site, self._facts)

    def _rendered(self, one: ReportPlan, *, again: bool) -> "RenderedReport":
        load_reporting()
        from scoopjoy_dagster.reporting.render import render_report_mail

        report = full_report(self._site, *self._detailed, one)
        # Dagster's pages show the whole chain: they are no place for those who see some outlets.
        links = {} if report.view else self._links
        return render_report_mail(report, links=links, again=again)

    def _first(self, mailer: "Mailer", one: ReportPlan) -> None:
        rendered, revision = self._rendered(one, again=False), one.sending.revision
        for recipient in one.sending.to_send:
            message_id = self._deliver(mailer, one, rendered, recipient, one.digest)
            if message_id:
                plan = self._facts.plan
                record = Delivery("report", plan.day, recipient, revision, one.digest, message_id)
                at = self._now.replace(tzinfo=None)
                record_delivery(self._site, plan.company, record, one.figures, at)
                self._done(one, recipient, f"revision {revision}{one.about}", message_id)

    def _again(self, mailer: "Mailer", one: ReportPlan, records: Sequence[Delivery]) -> None:
        rendered = self._rendered(one, again=True)
        for record in records:
            # An ID of its own: mail readers drop the second copy of one.
            content = f"{one.digest}, again {self._now.isoformat()}"
            message_id = self._deliver(mailer, one, rendered, record.recipient, content)
            if not message_id:
                continue
            self._done(
                one, record.recipient, f"revision {one.sending.revision}, sent again{one.about}", message_id
            )
            try:
                record_again(
                    self._site, replace(record, reference=message_id), self._now.replace(tzinfo=None)
                )
            except (LoginFailed, Unreachable):
                raise
            except ERPNextError as problem:
                self.findings.append(_not_recorded(record.recipient, problem.said))

    def _deliver(
        self, mailer: "Mailer", one: ReportPlan, rendered: "RenderedReport", recipient: str, content: str
    ) -> str:
        """Hand one mail to the server; returns its Message-ID, empty (and a finding) when the server did not take it."""
        from scoopjoy_dagster.reporting.mail import (
            InvalidAddress,
            MailRefused,
            MailTransient,
            deterministic_message_id,
        )

        plan = self._facts.plan
        try:
            message_id = deterministic_message_id(
                "report",
                plan.company,
                plan.day,
                one.sending.revision,
                recipient,
                self._domain,
                content=content,
            )
            mailer.send(
                rendered.message(
                    sender=self._mail.sender, recipient=recipient, message_id=message_id, date=self._now
                )
            )
        except (MailRefused, MailTransient, InvalidAddress) as problem:
            self.findings.append(
                _not_sent(recipient, str(problem), passes=isinstance(problem, MailTransient))
            )
            return ""
        return message_id

    def _done(self, one: ReportPlan, recipient: str, what: str, message_id: str) -> None:
        self.lines.append(PlanLine("create", recipient, one.figures.sales, what, message_id))


def _not_sent(recipient: str, message: str, *, passes: bool) -> Finding:
    return Finding(
        "error",
        "report not sent",
        recipient,
        message,
        "Fix the address or the mail server, then re-run `reports` for this day. Recipients who already have the report will not "
        "get it again.",
        passes=passes,
    )


def _not_recorded(recipient: str, message: str) -> Finding:
    return Finding(
        "warning",
        "report sent again is not recorded",
        recipient,
        f"the mail was sent again, but its delivery record still shows the first one: {message}",
        "Run `scoopjoy setup`: the user needs the permission to write ScoopJoy Delivery.",
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
        backfill_policy=BACKFILL,
        group_name=GROUP,
        owners=OWNERS,
        kinds={"erpnext", "email"},
        code_version="1",
        output_required=False,
        required_resource_keys=set(TOOLS),
        tags={"scoopjoy/critical": "no"},
    )
    def reports(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        """Send Reports (not critical): managers have the day's report by mail.

        **Green** means: the mail server took the report for everybody who is to have it, with PDF and XLSX attached. Each mail
        is recorded in ERPNext (list *ScoopJoy Delivery*): a re-run sends only to those who have not got it; a day that
        changed goes out as the next revision, which says what changed and why.

        **Red** means: at least one person has no report; the books are right. Read *What to do* in `exception_table`, then
        materialize `reports` for the day again. Mails were lost after they were sent? Materialize with `resend: true` in the
        launchpad.

        **Figures**: `sales` is the invoices of all franchises, tax included, and `royalty` the sum of their royalties, both in
        company currency (INR); `seen` counts recipients; `revision` counts from 0.
        """
        yield from close_days(
            context,
            lambda site, window, tools: plan_days(
                site,
                tools.royalty_policy.policy,
                window,
                mail=tools.mail,
                now=tools.clock.now(),
                resend=tools.close.resend,
            ),
        )

    return reports
