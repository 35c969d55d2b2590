"""Delivery of the outbox over SMTP: each alert once to each recipient, however often it takes.

A run is closed when the mail server has taken the mail of every recipient; what it took before it went away is noted
on the run, so that nobody gets it again. One window is left, a crash between the server's yes and the note: that mail
is repeated with the same Message-ID, of which mail readers show one.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from email.message import EmailMessage
from email.utils import parseaddr
from pathlib import Path

import dagster as dg
from filelock import FileLock, Timeout

from scoopjoy_dagster.automation import outbox
from scoopjoy_dagster.automation.messages import Alert
from scoopjoy_dagster.automation.outbox import Parcel
from scoopjoy_dagster.automation.recipients import Recipients
from scoopjoy_dagster.reporting.mail import (
    InvalidAddress,
    Mailer,
    MailRefused,
    MailTransient,
    MailUnavailable,
    build_message,
    deterministic_message_id,
)
from scoopjoy_dagster.resources.mail import MailResource

PROGRESS = "scoopjoy/alert_progress"
"""Run tag: which mails of an alert that is not fully delivered the server has taken, as hashes."""

TRIES = 2
SMTP_TIMEOUT_S = 5.0
BUDGET_S = 20.0
"""No mail is begun after this: a sensor's tick has 60 seconds, and one mail to a server that has stopped answering
costs several timeouts."""


@dataclass(slots=True)
class Delivery:
    """What became of the outbox: subjects sent, what still waits and why, and what the server refused for good."""

    sent: list[str] = field(default_factory=list)
    waiting: str = ""
    refused: list[str] = field(default_factory=list)

    @property
    def sentence(self) -> str:
        """The whole in words."""
        sent = f"alerts sent: {len(self.sent)}" if self.sent else ""
        said = [part for part in (sent, self.waiting, *dict.fromkeys(self.refused)) if part]
        return "; ".join(said) or "no alert is waiting"


def deliver_pending(
    instance: dg.DagsterInstance,
    mail: MailResource,
    recipients: Recipients,
    now: datetime,
    *,
    only: str | None = None,
    location: str | None = None,
    window_days: int = outbox.WINDOW_DAYS,
) -> Delivery:
    """Send every alert that has not been delivered, oldest first, and say what happened. Delivery errors do not raise.

    Args:
        instance: Whose runs.
        mail: The mail server; without one everything waits.
        recipients: Asked once, and only if there is something to send.
        now: An aware moment of the real clock: it is compared with Dagster's own.
        only: See `outbox.pending`, as for `location` and `window_days`.
        location: Code location whose runs are ours; None for any.
        window_days: Runs that failed before are left alone.
    """
    with _sole_sender(instance) as alone:
        if not alone:
            return Delivery(waiting="another delivery is under way")
        parcels = outbox.pending(
            instance, mail.ui_url, now, only=only, location=location, window_days=window_days
        )
        for made_good in (parcel for parcel in parcels if not parcel.alerts):
            outbox.close(instance, made_good, now)
        parcels = [parcel for parcel in parcels if parcel.alerts]
        if not parcels:
            return Delivery()
        if not mail.configured:
            return Delivery(waiting=_wait(parcels, "SMTP_HOST is empty, so no mail can be sent"))
        to = list(dict.fromkeys(recipients()))
        if not to:
            return Delivery(waiting=_wait(parcels, NOBODY))
        return _Post(instance, mail, to, now).deliver(parcels)


NOBODY = (
    "nobody to tell is known; set SCOOPJOY_ALERT_RECIPIENTS, or give an enabled ERPNext user the role System Manager "
    "and see that ERPNext can be reached"
)


def _wait(parcels: Sequence[Parcel], why: str) -> str:
    return f"alerts waiting: {len(parcels)} ({why})"


@contextmanager
def _sole_sender(instance: dg.DagsterInstance) -> Iterator[bool]:
    """Whether this is the only delivery under way on this machine: two sensors and the watchdog may want to send."""
    directory = Path(instance.storage_directory())
    directory.mkdir(parents=True, exist_ok=True)
    lock = FileLock(directory / "scoopjoy-alerts.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


class _Post:
    """One delivery: a few tries within the time that a tick has."""

    def __init__(
        self, instance: dg.DagsterInstance, mail: MailResource, to: Sequence[str], now: datetime
    ) -> None:
        self._instance, self._to, self._now = instance, to, now
        self._mail = mail.model_copy(update={"timeout_s": min(mail.timeout_s, SMTP_TIMEOUT_S)})
        self._deadline = time.monotonic() + BUDGET_S

    def deliver(self, parcels: Sequence[Parcel]) -> Delivery:
        left = list(parcels)
        done = Delivery()
        problem = ""
        for _ in range(TRIES):
            done.refused = []
            try:
                with self._mail.mailer() as mailer:
                    for parcel in list(left):
                        trouble = self._send(mailer, parcel, done)
                        if trouble:  # does not hold up those behind it
                            problem = trouble
                            continue
                        outbox.close(self._instance, parcel, self._now)
                        left.remove(parcel)
                        done.sent += [alert.subject for alert in parcel.alerts]
            except MailUnavailable as unavailable:
                problem = str(unavailable)
            if not left or self._out_of_time:
                break
        if left:
            done.waiting = _wait(left, problem)
        return done

    @property
    def _out_of_time(self) -> bool:
        return time.monotonic() > self._deadline

    def _send(self, mailer: Mailer, parcel: Parcel, done: Delivery) -> str:
        """Send what of a parcel has not been taken yet; the text says why it must wait, and is empty when it is done.

        An address that the server refuses for good holds up nobody, but of every alert one person at least must know.

        Raises:
            MailUnavailable: nothing can be sent to anybody; what was taken is noted.
        """
        run_id = parcel.runs[0].run_id
        before = self._taken(run_id)
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
                        done.refused.append(str(never))
                    except MailTransient as later:
                        trouble = str(later)
        finally:
            if taken != before:
                note = json.dumps({"run": run_id, "taken": sorted(taken)})
                self._instance.add_run_tags(run_id, {PROGRESS: note})
        told = all(any(_mark(alert, one) in taken for one in self._to) for alert in parcel.alerts)
        return trouble or ("" if told else "the mail server refuses every recipient")

    def _taken(self, run_id: str) -> set[str]:
        record = self._instance.get_run_record_by_id(run_id)
        note = record.dagster_run.tags.get(PROGRESS) if record else None
        content = json.loads(note) if note else {}
        return set(content["taken"]) if content.get("run") == run_id else set()

    def _message(self, alert: Alert, recipient: str) -> EmailMessage:
        domain = parseaddr(self._mail.sender)[1].rpartition("@")[2] or "localhost"
        day = date.fromisoformat(alert.day)
        return build_message(
            sender=self._mail.sender,
            recipient=recipient,
            subject=alert.subject,
            html=alert.html,
            text=alert.text,
            inline_images={},
            attachments=[],
            message_id=deterministic_message_id("alert", alert.key, day, 0, recipient, domain),
            date=self._now,
        )


def _mark(alert: Alert, recipient: str) -> str:
    """A mail in the progress note: nobody's address appears in a tag."""
    return hashlib.sha256(f"{alert.key}\x1f{recipient.casefold()}".encode()).hexdigest()[:16]
