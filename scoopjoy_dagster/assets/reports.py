"""`reports`: managers have the day's report by mail, each the part that is theirs."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime
from email.utils import parseaddr

import dagster as dg

from scoopjoy_dagster.accounting.findings import Finding
from scoopjoy_dagster.accounting.policy import RoyaltyPolicy
from scoopjoy_dagster.assets import royalties
from scoopjoy_dagster.assets.day_facts import read_day
from scoopjoy_dagster.assets.day_report import day_report
from scoopjoy_dagster.assets.nightly import GROUP, OWNERS, close_days
from scoopjoy_dagster.assets.outcome import Outcome, PlanLine
from scoopjoy_dagster.assets.report_plans import ReportPlan, audiences, planned_mails, plans
from scoopjoy_dagster.assets.tools import TOOLS
from scoopjoy_dagster.erpnext.deliveries import Delivery, record_again, record_delivery
from scoopjoy_dagster.erpnext.errors import ERPNextError, LoginFailed, Unreachable
from scoopjoy_dagster.erpnext.site import Site
from scoopjoy_dagster.reporting.mail import (
    InvalidAddress,
    Mailer,
    MailRefused,
    MailTransient,
    MailUnavailable,
    deterministic_message_id,
)
from scoopjoy_dagster.reporting.render import RenderedReport
from scoopjoy_dagster.resources.mail import MailResource

__all__ = ["build", "day_report", "planned_mails", "send_reports"]

NAME = "reports"


def send_reports(
    site: Site,
    policy: RoyaltyPolicy,
    day: date,
    *,
    mail: MailResource,
    now: datetime,
    links: dict[str, str],
    resend: bool = False,
) -> Outcome:
    """Send the report of `day` to those who have not got its current revision; with `resend`, to the others again.

    `now` is an aware moment in site time.
    """
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
    groups, missing = audiences(site, mail, facts)
    if not groups:
        nobody = Finding(
            "error",
            "nobody to send the report to",
            mail.report_role,
            "ERPNext has no enabled user with this role",
            "Give the role to a user, or set SCOOPJOY_REPORT_RECIPIENTS.",
        )
        return Outcome(NAME, day, findings=(nobody, *missing))
    the_plans = plans(site, facts, groups)
    sender = _Sender(site, mail, now, links)
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

    def __init__(self, site: Site, mail: MailResource, now: datetime, links: dict[str, str]) -> None:
        self._site, self._mail, self._now, self._links = site, mail, now, links
        self._domain = parseaddr(mail.sender)[1].rpartition("@")[2] or "localhost"
        self.findings: list[Finding] = []
        self.lines: list[PlanLine] = []

    def send(self, one: ReportPlan, *, resend: bool) -> None:
        """Send a report to those who have not got it, and to the others again if that is asked for."""
        again = one.sending.records if resend else ()
        if not one.sending.to_send and not again:
            return
        before = len(self.lines) + len(self.findings)
        try:
            with self._mail.mailer() as mailer:
                if one.sending.to_send:
                    self._first(mailer, one)
                if again:
                    self._again(mailer, one, again)
        except MailUnavailable as problem:  # no other recipient can do better
            left = len(one.sending.to_send) + len(again) - (len(self.lines) + len(self.findings) - before)
            self.findings.append(_not_sent(f"{left} recipients", str(problem)))

    def _rendered(self, one: ReportPlan, *, again: bool) -> RenderedReport:
        from scoopjoy_dagster.reporting.render import render_report_mail

        # Dagster's pages show the whole chain: they are no place for those who see some outlets.
        links = {} if one.report.view else self._links
        return render_report_mail(one.report, links=links, again=again)

    def _first(self, mailer: Mailer, one: ReportPlan) -> None:
        rendered, revision = self._rendered(one, again=False), one.sending.revision
        for recipient in one.sending.to_send:
            message_id = self._deliver(mailer, one, rendered, recipient, one.digest)
            if message_id:
                day = one.report.business_day
                record = Delivery("report", day, recipient, revision, one.digest, message_id)
                at = self._now.replace(tzinfo=None)
                record_delivery(self._site, one.report.company, record, one.figures, at)
                self._done(one, recipient, f"revision {revision}{one.about}", message_id)

    def _again(self, mailer: Mailer, one: ReportPlan, records: Sequence[Delivery]) -> None:
        report = replace(one.report, revision=one.sending.revision)
        rendered = self._rendered(replace(one, report=report), again=True)
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
        self, mailer: Mailer, one: ReportPlan, rendered: RenderedReport, recipient: str, content: str
    ) -> str:
        """Hand one mail to the server; returns its Message-ID, empty (and a finding) when the server did not take it."""
        report = one.report
        try:
            message_id = deterministic_message_id(
                "report",
                report.company,
                report.business_day,
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
            self.findings.append(_not_sent(recipient, str(problem)))
            return ""
        return message_id

    def _done(self, one: ReportPlan, recipient: str, what: str, message_id: str) -> None:
        self.lines.append(PlanLine("create", recipient, one.figures.sales, what, message_id))


def _not_sent(recipient: str, message: str) -> Finding:
    return Finding(
        "error",
        "report not sent",
        recipient,
        message,
        "Mend the address or the mail server, then materialize reports for the day again: only who has not got it gets it.",
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
            lambda site, day, tools: send_reports(
                site,
                tools.royalty_policy.policy,
                day,
                mail=tools.mail,
                now=tools.clock.now(),
                links=_links(tools.mail, day),
                resend=tools.close.resend,
            ),
        )

    return reports
