"""Delivery of the outbox: each alert once to each recipient and once to each channel, however often it takes.

Mail and channels know nothing of each other: what one has taken is noted on the run, so nobody gets it again while the
other is down. A run is closed when all have it. One window is left, a crash between a server's yes and the note: that
mail is repeated with the same Message-ID, of which mail readers show one; a message in a channel is repeated.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

import dagster as dg

from scoopjoy_dagster.automation import outbox
from scoopjoy_dagster.automation.alert import Links
from scoopjoy_dagster.automation.channel_post import ChannelPost
from scoopjoy_dagster.automation.channels import usable
from scoopjoy_dagster.automation.mail_post import MailPost
from scoopjoy_dagster.automation.parcels import Parcel, close
from scoopjoy_dagster.automation.recipients import Recipients
from scoopjoy_dagster.resources.locks import connected, lock_number, try_lock
from scoopjoy_dagster.resources.mail import MailResource

NO_NOTE = "they were delivered, but Dagster's storage takes no note of it"

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Delivery:
    """What became of the outbox: subjects sent, what still waits and why, and what will never be taken."""

    sent: list[str] = field(default_factory=list)
    waiting: str = ""
    refused: list[str] = field(default_factory=list)

    @property
    def sentence(self) -> str:
        """The whole in words."""
        sent = f"alerts sent: {len(self.sent)}" if self.sent else ""
        said = [part for part in (sent, self.waiting) if part] or ["no alert is waiting"]
        return "; ".join([*said, *dict.fromkeys(self.refused)])


def deliver_pending(
    instance: dg.DagsterInstance,
    mail: MailResource,
    recipients: Recipients,
    now: datetime,
    *,
    channels: str = "",
    links: Links | None = None,
    days: dg.DailyPartitionsDefinition | None = None,
    location: str | None = None,
) -> Delivery:
    """Send every alert that has not been delivered, oldest first, and say what happened. Delivery errors do not raise.

    Args:
        instance: Whose runs.
        mail: The mail server; without one only channels are served, and without these everything waits.
        recipients: Asked once, and only if there is something to send.
        now: An aware moment of the real clock: it is compared with Dagster's own.
        channels: URLs of channels, separated by spaces or line breaks; a secret.
        links: Addresses that alerts link to; None: Dagster's UI only.
        days: See `outbox.pending`, as for `location`.
        location: Code location whose runs are ours; None for any.
    """
    right, wrong = usable(channels)
    with _sole_sender(instance) as alone:
        if not alone:
            return Delivery(waiting="another delivery is under way", refused=wrong)
        links = links or Links(ui=mail.ui_url)
        parcels = outbox.pending(instance, links, now, days=days, location=location)
        for silent in (parcel for parcel in parcels if not parcel.alerts):
            close(instance, silent, now)
        parcels = [parcel for parcel in parcels if parcel.alerts]
        done = Delivery(refused=wrong)
        if not parcels:
            return done
        # What each way says of each parcel: why it must wait, or nothing.
        by_mail = _mailed(instance, mail, recipients, now, parcels, done)
        by_channel = ChannelPost(instance, right).deliver(parcels)
        # A wrong channel keeps the alerts: they are for the channel that somebody meant.
        kept = NOWHERE if not mail.configured and not right else KEPT if wrong else ""
        left: list[str] = []
        for parcel, *reasons in zip(parcels, by_mail, by_channel, [kept] * len(parcels), strict=True):
            waits = "; ".join(filter(None, reasons))
            if waits:
                left.append(waits)
                continue
            done.sent += [alert.subject for alert in parcel.alerts]
            if not close(instance, parcel, now):
                left.append(NO_NOTE)
        if left:
            done.waiting = f"alerts waiting: {len(left)} ({'; '.join(dict.fromkeys(left))})"
        return done


NOBODY = (
    "no alert recipients are known: set SCOOPJOY_ALERT_RECIPIENTS, or give an enabled ERPNext user the role System Manager "
    "and check that ERPNext can be reached"
)
NOWHERE = "SMTP_HOST is empty, and SCOOPJOY_ALERT_CHANNELS has no channel that can be used, so nobody can be alerted"
KEPT = "a channel of SCOOPJOY_ALERT_CHANNELS cannot be used"


def _mailed(
    instance: dg.DagsterInstance,
    mail: MailResource,
    recipients: Recipients,
    now: datetime,
    parcels: Sequence[Parcel],
    done: Delivery,
) -> Sequence[str]:
    """Why each parcel must wait for the mail server; empty where it has taken it."""
    if not mail.configured:
        return [""] * len(parcels)
    to = list(dict.fromkeys(recipients()))
    if not to:
        return [NOBODY] * len(parcels)
    post = MailPost(instance, mail, to, now)
    why = post.deliver(parcels)
    done.refused = [*post.refused, *done.refused]
    return why


@contextmanager
def _sole_sender(instance: dg.DagsterInstance) -> Iterator[bool]:
    """Whether this is the only delivery under way: two sensors and the watchdog may want to send at the same time.

    The lock is PostgreSQL's and lives in a connection of its own, so a sender that is killed gives it back. Another storage
    has one process and no second sender. A lock that cannot be asked for silences nobody.
    """
    url = str(getattr(instance.run_storage, "postgres_url", ""))
    if not url:
        yield True
        return
    import psycopg2

    connection = None
    try:
        connection = connected(url, "scoopjoy alerts")
        alone = try_lock(connection, lock_number("alerts"))
    except psycopg2.Error:
        log.warning("PostgreSQL cannot be asked whether another process sends alerts; they are sent.")
        alone = True
    try:
        yield alone
    finally:
        if connection:
            connection.close()
