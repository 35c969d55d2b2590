"""`reports`: managers have the day's report by mail, each the part that is theirs."""

from collections import defaultdict
from collections.abc import Callable
from datetime import date, datetime
from functools import cached_property
from typing import TYPE_CHECKING

import dagster as dg

from scoopjoy_dagster.accounting.findings import Finding
from scoopjoy_dagster.accounting.past import Past
from scoopjoy_dagster.assets import day_facts
from scoopjoy_dagster.assets.day_facts import DayFacts
from scoopjoy_dagster.assets.outcome import Outcome, PlanLine
from scoopjoy_dagster.assets.report_plans import (
    Readers,
    ReportPlan,
    Sending,
    adopted,
    audiences,
    full_report,
    plans,
    read_readers,
)
from scoopjoy_dagster.assets.runner import asset_of
from scoopjoy_dagster.assets.tools import Tools
from scoopjoy_dagster.erpnext.deliveries import Delivery, announce, confirm
from scoopjoy_dagster.erpnext.errors import ERPNextError, LoginFailed, Unreachable
from scoopjoy_dagster.erpnext.site import Site
from scoopjoy_dagster.resources.mail import MailResource
from scoopjoy_dagster.steps import REPORTS

if TYPE_CHECKING:
    from scoopjoy_dagster.reporting.mail import Mailer
    from scoopjoy_dagster.reporting.render import RenderedReport

NAME = REPORTS.asset


def close(site: Site, day: date, tools: Tools) -> Outcome:
    """Read the day and send its report."""
    mail = tools.mail
    if not mail.configured:
        return _no_mail_server(day)
    if not (tools.mails or tools.close.resend):
        return Outcome(NAME, day, skipped=1, facts={"mails": "not asked for"})
    facts = day_facts.read_day(site, tools.royalty_policy.policy, day)
    return send_reports(
        site,
        facts,
        read_readers(site, mail, facts.reports),
        mail=mail,
        now=tools.clock.now(),
        links=_links(mail, day),
        resend=tools.close.resend,
    )


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
            "no recipient for the report",
            mail.report_role,
            "ERPNext has no enabled user with this role",
            "In ERPNext, give the role to those who are to get the report (`scoopjoy setup` makes the default one), or set "
            "SCOOPJOY_REPORT_RECIPIENTS; then re-run `reports` for this day.",
        )
        return Outcome(NAME, day, findings=(nobody, *missing))
    the_plans = plans(facts, groups)
    if resend or any(one.to_send for one in the_plans):
        facts = day_facts.with_deliveries(site, facts)
        the_plans = plans(facts, groups)
    sender = _Sender(site, mail, now, links, facts)
    for one in the_plans:
        sender.send(one, resend=resend)
    due = [(one, sending) for one in the_plans for sending in one.sendings]
    kept = [] if resend else [adopted(one, sending) for one, sending in due if sending.delivered]
    recipients = sum(len(group.recipients) for group in groups)
    return Outcome(
        NAME,
        day,
        seen=recipients,
        written=len(sender.lines),
        adopted=len(kept),
        skipped=recipients - len(due),
        amount=facts.sales,
        plots={"sales": facts.sales, "royalty": facts.plan.due},
        findings=(*sender.findings, *missing),
        lines=(*sender.lines, *kept),
        facts={"revision": max((sending.revision for _, sending in due), default=0)},
    )


class _Sender:
    """Sends mails, each recorded before it leaves and confirmed once the server has it: a crash in between sends one mail twice, with one ID."""

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
        due = [*one.to_send, *(one.sent if resend else ())]
        if not due:
            return
        from scoopjoy_dagster.reporting.mail import MailUnavailable

        # One rendering serves all who were told the same before.
        alike: defaultdict[tuple[bool, int, str], list[Sending]] = defaultdict(list)
        for sending in due:
            before = sending.before.digest if sending.before else ""
            alike[sending.delivered, sending.shown, before].append(sending)
        handled = len(self.lines) + len(self.findings)
        try:
            with self._mail.mailer() as mailer:
                for sendings in alike.values():
                    rendered = self._rendered(one, sendings[0])
                    for sending in sendings:
                        self._send(mailer, one, rendered, sending)
        except MailUnavailable as problem:  # no other recipient can do better
            left = len(due) - (len(self.lines) + len(self.findings) - handled)
            self.findings.append(_not_sent(f"{left} recipients", str(problem), passes=True))

    @cached_property
    def _detailed(self) -> tuple[DayFacts, Past]:
        """The day with each of its invoices, and the days before: read once, and only where a report is sent."""
        return (
            day_facts.with_rows(self._site, self._facts),
            day_facts.read_past(self._site, self._facts),
        )

    def _rendered(self, one: ReportPlan, sending: Sending) -> "RenderedReport":
        from scoopjoy_dagster.reporting.render import render_report_mail

        report = full_report(self._site, *self._detailed, one, sending)
        # Dagster's pages show the whole chain: they are no place for those who see some outlets.
        links = {} if report.view else self._links
        return render_report_mail(report, links=links, again=sending.delivered)

    def _send(self, mailer: "Mailer", one: ReportPlan, rendered: "RenderedReport", sending: Sending) -> None:
        """Send one mail and confirm its record."""
        # Sent again it has an ID of its own: mail readers drop the second copy of one.
        content = f"{one.digest}, again {self._now.isoformat()}" if sending.delivered else one.digest
        again = ", sent again" if sending.delivered else ""
        reason = f"revision {sending.revision}{again}{one.about}"
        record = sending.record

        def announced() -> None:
            nonlocal record
            if record is None:
                plan = self._facts.plan
                new = Delivery("report", plan.day, sending.recipient, sending.revision, one.digest)
                record = announce(self._site, plan.company, new, one.figures)

        message_id = self._deliver(mailer, rendered, sending, content, announced)
        if not message_id or record is None:
            return
        self.lines.append(PlanLine("create", sending.recipient, one.figures.sales, reason, message_id))
        try:
            confirm(self._site, record, message_id, self._now.replace(tzinfo=None))
        except (LoginFailed, Unreachable):
            raise
        except ERPNextError as problem:
            self.findings.append(_not_recorded(sending.recipient, problem.said))

    def _deliver(
        self,
        mailer: "Mailer",
        rendered: "RenderedReport",
        sending: Sending,
        content: str,
        announced: Callable[[], None],
    ) -> str:
        """Hand one mail to the server; returns its Message-ID, empty (and a finding) when the server did not take it."""
        from scoopjoy_dagster.reporting.mail import (
            InvalidAddress,
            MailRefused,
            MailTransient,
            deterministic_message_id,
        )

        plan, recipient, revision = self._facts.plan, sending.recipient, sending.revision
        try:
            message_id = deterministic_message_id(
                "report", plan.company, plan.day, revision, recipient, self._domain, content=content
            )
            mailer.send(
                rendered.message(
                    sender=self._mail.sender, recipient=recipient, message_id=message_id, date=self._now
                ),
                handing_over=announced,
            )
        except (MailRefused, MailTransient, InvalidAddress) as problem:
            self.findings.append(
                _not_sent(recipient, str(problem), passes=isinstance(problem, MailTransient))
            )
            return ""
        return message_id


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
        "error",
        "report sent, not recorded",
        recipient,
        f"The mail server took the mail, but its delivery record could not be updated: {message}",
        "Run `scoopjoy setup`: the user needs the permission to write ScoopJoy Delivery. Then re-run `reports` for this day: "
        "a recipient who got the report for the first time gets it once more.",
    )


def _links(mail: MailResource, day: date) -> dict[str, str]:
    if not mail.ui_url:
        return {}
    return {"Open in Dagster": f"{mail.ui_url}/assets/{NAME}?view=partitions&partition={day}"}


DESCRIPTION = """\
Send Reports (not critical): managers have the day's report by mail.

**Green** means: the mail server took the report for everybody who is to have it, with PDF and XLSX attached. Each mail
is recorded in ERPNext (list *ScoopJoy Delivery*): a re-run sends only to those who have not got it; a day that
changed goes out as the next revision, which says what changed and why. A day without any sale, shift, royalty and
exception is not mailed (`skipped`). A backfill mails nothing, unless its runs have the tag `scoopjoy/mail: yes`: `mails`
says *not asked for*. Materialize one day for its mail.

**Red** means: at least one person has no report; the books are right. Read *What to do* in `exception_table`, then
materialize `reports` for the day again. Mails were lost after they were sent? Materialize with `resend: true` in the
launchpad.

**Figures**: `sales` is the invoices of all franchises, tax included, and `royalty` the sum of their royalties, both in
company currency (INR); `seen` counts recipients, `skipped` those to whom nothing was due; `revision` counts from 0.
"""


def build(days: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    """The asset, on these business days."""
    return asset_of(REPORTS, close, days, description=DESCRIPTION, kinds={"erpnext", "email"})
