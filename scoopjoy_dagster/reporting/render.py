"""One report mail, rendered once and addressed to many.

What belongs here: putting subject, bodies and files of a day together. What does not: the transport (that is
`mail`) and who gets it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scoopjoy_dagster.reporting.digest import report_digest
from scoopjoy_dagster.reporting.fonts import shorten
from scoopjoy_dagster.reporting.html import report_html, report_text
from scoopjoy_dagster.reporting.mail import Attachment, build_message
from scoopjoy_dagster.reporting.pdf import report_pdf
from scoopjoy_dagster.reporting.summary import headline
from scoopjoy_dagster.reporting.xlsx import report_xlsx

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from email.message import EmailMessage

    from scoopjoy_dagster.reporting.model import DayReport

XLSX_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@dataclass(frozen=True)
class RenderedReport:
    """Everything of a report mail except the recipient."""

    subject: str
    html: str
    text: str
    attachments: tuple[Attachment, ...]
    """The PDF and the XLSX."""
    digest: str
    """`report_digest` of the content: what a delivery record keeps to know whether this was sent already."""

    def message(self, *, sender: str, recipient: str, message_id: str, date: datetime) -> EmailMessage:
        """The mail to one recipient; see `mail.build_message` for the arguments and errors."""
        return build_message(
            sender=sender,
            recipient=recipient,
            subject=self.subject,
            html=self.html,
            text=self.text,
            attachments=self.attachments,
            message_id=message_id,
            date=date,
        )


def render_report_mail(report: DayReport, *, links: Mapping[str, str], again: bool = False) -> RenderedReport:
    """Renders the mail of one day: `[ScoopJoy] Nightly close 2026-11-22: ...`.

    Args:
        report: The day.
        links: Address by label, shown as buttons; may be empty.
        again: Whether somebody asked for it to be sent although it was delivered: subject and first line say so.

    Raises:
        ValueError: a link is not http or https.
    """
    day = report.business_day.isoformat()
    revision = f" (revision {report.revision})" if report.revision else ""
    suffix = f"-r{report.revision}" if report.revision else ""
    about = f"{day}, {shorten(report.view, 60)}" if report.view else day
    return RenderedReport(
        subject=f"[{report.company}] Nightly close {about}: {headline(report)}{revision}"
        + (" (sent again)" if again else ""),
        html=report_html(report, links=links, again=again),
        text=report_text(report, links=links, again=again),
        attachments=(
            Attachment(f"nightly-close-{day}{suffix}.pdf", "application/pdf", report_pdf(report)),
            Attachment(f"nightly-close-{day}{suffix}.xlsx", XLSX_TYPE, report_xlsx(report)),
        ),
        digest=report_digest(report),
    )
