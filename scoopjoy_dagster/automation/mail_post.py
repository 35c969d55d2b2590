"""Alerts over SMTP: each once to each recipient, whatever the server does in between."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import date, datetime
from email.message import EmailMessage

import dagster as dg

from scoopjoy_dagster.automation.alert import Alert
from scoopjoy_dagster.automation.parcels import Parcel, mark, note_taken, noted
from scoopjoy_dagster.reporting.mail import (
    InvalidAddress,
    Mailer,
    MailRefused,
    MailTransient,
    MailUnavailable,
    build_message,
    deterministic_message_id,
    sender_domain,
)
from scoopjoy_dagster.resources.mail import MailResource

SMTP_TIMEOUT_S = 5.0
BUDGET_S = 15.0
"""No mail is begun after this: a sensor's tick has 60 seconds, and one mail to a server that has stopped answering
costs several timeouts."""


class MailPost:
    """One delivery, within the time that a tick has; the next tick tries again. `refused` are sentences about addresses
    that the server will never take.
    """

    def __init__(
        self, instance: dg.DagsterInstance, mail: MailResource, to: Sequence[str], now: datetime
    ) -> None:
        self._instance, self._to, self._now = instance, to, now
        self._mail = mail.model_copy(update={"timeout_s": min(mail.timeout_s, SMTP_TIMEOUT_S)})
        self._deadline = time.monotonic() + BUDGET_S
        self.refused: list[str] = []

    def deliver(self, parcels: Sequence[Parcel]) -> list[str]:
        """For each parcel why it must wait, empty when every recipient's mail was taken."""
        why: list[str] = []
        if not any(map(self._due, parcels)):  # what mail has done and a channel has not needs no connection
            return [""] * len(parcels)
        try:
            with self._mail.mailer() as mailer:
                for parcel in parcels:  # trouble with one does not hold up those behind it
                    why.append(self._send(mailer, parcel))
        except MailUnavailable as unavailable:
            why += [str(unavailable) if self._due(one) else "" for one in parcels[len(why) :]]
        return why

    @property
    def _out_of_time(self) -> bool:
        return time.monotonic() > self._deadline

    def _due(self, parcel: Parcel) -> bool:
        taken = noted(self._instance, parcel)
        return any(_mark(alert, one) not in taken for alert in parcel.alerts for one in self._to)

    def _send(self, mailer: Mailer, parcel: Parcel) -> str:
        """Send what of a parcel has not been taken yet; the text says why it must wait, and is empty when it is done.

        An address that the server refuses for good holds up nobody, but of every alert one person at least must know.

        Raises:
            MailUnavailable: nothing can be sent to anybody; what was taken is noted.
        """
        before = noted(self._instance, parcel)
        taken = set(before)
        trouble = ""
        try:
            for alert in parcel.alerts:
                for recipient in self._to:
                    if _mark(alert, recipient) in taken:
                        continue
                    if self._out_of_time:
                        return "the mail server is slow"
                    try:
                        mailer.send(self._message(alert, recipient))
                        taken.add(_mark(alert, recipient))
                    except (MailRefused, InvalidAddress) as never:
                        self.refused.append(str(never))
                    except MailTransient as later:
                        trouble = str(later)
        finally:
            if taken != before:
                note_taken(self._instance, parcel, taken)
        reached = all(any(_mark(alert, one) in taken for one in self._to) for alert in parcel.alerts)
        return trouble or ("" if reached else "the mail server refuses every recipient")

    def _message(self, alert: Alert, recipient: str) -> EmailMessage:
        day = date.fromisoformat(alert.day)
        return build_message(
            sender=self._mail.sender,
            recipient=recipient,
            subject=alert.subject,
            html=alert.html,
            text=alert.text,
            attachments=[],
            message_id=deterministic_message_id(
                "alert", alert.key, day, 0, recipient, sender_domain(self._mail.sender)
            ),
            date=self._now,
        )


def _mark(alert: Alert, recipient: str) -> str:
    return mark(alert, recipient.casefold())
