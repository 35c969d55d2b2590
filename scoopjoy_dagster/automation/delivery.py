"""Delivery of the outbox: each alert once to each recipient and once to each channel, however often it takes.

Mail and channels know nothing of each other: what one has taken is noted on the run, so nobody gets it again while the
other is down. A run is closed when all have it. One window is left, a crash between a server's yes and the note: that
mail is repeated with the same Message-ID, of which mail readers show one; a message in a channel is repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import dagster as dg
from filelock import FileLock, Timeout

from scoopjoy_dagster.automation import outbox
from scoopjoy_dagster.automation.alert import Links
from scoopjoy_dagster.automation.channel_post import ChannelPost
from scoopjoy_dagster.automation.channels import Channel, usable
from scoopjoy_dagster.automation.mail_post import MailPost
from scoopjoy_dagster.automation.parcels import Parcel, close
from scoopjoy_dagster.automation.recipients import Recipients
from scoopjoy_dagster.resources.mail import MailResource


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
    only: str | None = None,
    location: str | None = None,
    window_days: int = outbox.WINDOW_DAYS,
) -> Delivery:
    """Send every alert that has not been delivered, oldest first, and say what happened. Delivery errors do not raise.

    Args:
        instance: Whose runs.
        mail: The mail server; without one only channels are served, and without these everything waits.
        recipients: Asked once, and only if there is something to send.
        now: An aware moment of the real clock: it is compared with Dagster's own.
        channels: URLs of channels, separated by spaces or line breaks; a secret.
        links: Addresses that alerts link to; None: Dagster's UI only.
        days: See `outbox.pending`, as for `only`, `location` and `window_days`.
        only: A run id, to look at the failure of this run and at nothing else.
        location: Code location whose runs are ours; None for any.
        window_days: Runs that failed before are left alone.
    """
    right, wrong = usable(channels)
    with _sole_sender(instance) as alone:
        if not alone:
            return Delivery(waiting="another delivery is under way", refused=wrong)
        parcels = outbox.pending(
            instance,
            links or Links(ui=mail.ui_url),
            now,
            days=days,
            only=only,
            location=location,
            window_days=window_days,
        )
        for made_good in (parcel for parcel in parcels if not parcel.alerts):
            close(instance, made_good, now)
        parcels = [parcel for parcel in parcels if parcel.alerts]
        done = Delivery(refused=wrong)
        if not parcels:
            return done
        outlets = [_channels(instance, right, wrong)]
        if mail.configured:
            outlets.insert(0, _mail(instance, mail, recipients, now, done))
        elif not right:
            outlets = [_nowhere]
        # What each outlet says of each parcel: why it must wait, or nothing.
        said = list(zip(*(outlet(parcels) for outlet in outlets), strict=True))
        left: list[str] = []
        for parcel, reasons in zip(parcels, said, strict=True):
            waits = "; ".join(filter(None, reasons))
            if waits:
                left.append(waits)
            else:
                close(instance, parcel, now)
                done.sent += [alert.subject for alert in parcel.alerts]
        if left:
            done.waiting = f"alerts waiting: {len(left)} ({'; '.join(dict.fromkeys(left))})"
        return done


Outlet = Callable[[Sequence[Parcel]], Sequence[str]]
"""Sends parcels, and says of each why it must wait; empty when all have got it."""

NOBODY = (
    "nobody to tell is known; set SCOOPJOY_ALERT_RECIPIENTS, or give an enabled ERPNext user the role System Manager "
    "and see that ERPNext can be reached"
)
NOWHERE = (
    "SMTP_HOST is empty, and SCOOPJOY_ALERT_CHANNELS has no channel that can be used, so nobody can be told"
)


def _nowhere(parcels: Sequence[Parcel]) -> list[str]:
    return [NOWHERE] * len(parcels)


def _mail(
    instance: dg.DagsterInstance, mail: MailResource, recipients: Recipients, now: datetime, done: Delivery
) -> Outlet:
    def send(parcels: Sequence[Parcel]) -> list[str]:
        to = list(dict.fromkeys(recipients()))
        if not to:
            return [NOBODY] * len(parcels)
        post = MailPost(instance, mail, to, now)
        why = post.deliver(parcels)
        done.refused = [*post.refused, *done.refused]
        return why

    return send


def _channels(instance: dg.DagsterInstance, right: Sequence[Channel], wrong: Sequence[str]) -> Outlet:
    # What is wrong keeps the alerts: they are for the channel that somebody meant.
    kept = "a channel of SCOOPJOY_ALERT_CHANNELS cannot be used" if wrong else ""

    def send(parcels: Sequence[Parcel]) -> list[str]:
        why = ChannelPost(instance, right).deliver(parcels)
        return ["; ".join(filter(None, (reason, kept))) for reason in why]

    return send


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
