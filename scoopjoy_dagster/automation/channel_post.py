"""Alerts to channels: each once to each channel, and one that is down costs its own time once in a tick."""

from __future__ import annotations

import time
from collections.abc import Sequence

import dagster as dg

from scoopjoy_dagster.automation.alert import Alert
from scoopjoy_dagster.automation.channels import SEND_S, Channel, send
from scoopjoy_dagster.automation.parcels import Parcel, mark, note_taken, noted

BUDGET_S = 6.0
"""No alert is begun after this; the last one may take as long again."""


class ChannelPost:
    """One delivery to these channels, all of them right."""

    def __init__(
        self, instance: dg.DagsterInstance, channels: Sequence[Channel], timeout_s: float = SEND_S
    ) -> None:
        self._instance, self._channels, self._timeout_s = instance, channels, timeout_s
        self._deadline = time.monotonic() + BUDGET_S
        self._down: dict[Channel, str] = {}

    def deliver(self, parcels: Sequence[Parcel]) -> list[str]:
        """For each parcel why it must wait, empty when every channel has taken it."""
        return ["; ".join(self._send(parcel)) for parcel in parcels]

    def _send(self, parcel: Parcel) -> list[str]:
        taken = noted(self._instance, parcel)
        why: dict[Channel, str] = {}
        for alert in parcel.alerts:
            due = [one for one in self._channels if _mark(alert, one) not in taken]
            # A channel that has just failed is left alone until the next tick, for every alert alike.
            why |= {one: self._down[one] for one in due if one in self._down}
            due = [one for one in due if one not in self._down]
            if not due:
                continue
            if time.monotonic() > self._deadline:
                why |= dict.fromkeys(due, "no time was left")
                continue
            answers = send(alert, due, self._timeout_s)
            took = {_mark(alert, one) for one, reason in answers.items() if not reason}
            if took:  # noted before anything else is sent: a crash repeats this alert, and no other
                taken |= took
                note_taken(self._instance, parcel, took)
            failed = {one: reason for one, reason in answers.items() if reason}
            self._down |= failed
            why |= failed
        return [f"{channel.name}: {reason}" for channel, reason in why.items()]


def _mark(alert: Alert, channel: Channel) -> str:
    return mark(alert, channel.url)
