"""Which mails came twice, and whether they may have: the one window that docs/exactly-once.md names.

A mail may come again when the server took it and the record of that was never written, because the answer was lost, the
process died, or the write of the record was hit by a fault. Anything else is a duplicate.
"""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from scoopjoy_dagster_tests.chaos.truth import Tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext
    from scoopjoy_dagster.sandbox.mail import MailSink, ReceivedMail

DELIVERY = "ScoopJoy Delivery"


def ident(mail: ReceivedMail) -> str:
    """The Message-ID."""
    return str(mail.message["Message-ID"]).strip()


@dataclass(slots=True)
class MailWatch:
    """Sees every mail as it is taken, and hears of every death of a run.

    Attributes:
        deaths: when a run's process was killed, by ``time.monotonic``.
        counted: repeated mails that the oracle has counted already.
    """

    erpnext: SandboxERPNext
    deaths: list[float] = field(default_factory=list)
    counted: set[str] = field(default_factory=set)
    _recorded: set[float] = field(default_factory=set)

    def attach(self, mail: MailSink) -> None:
        """Look at every mail from now on."""
        mail.on_taken = self._taken

    def died(self) -> None:
        """A run's process is dead as of now."""
        self.deaths.append(time.monotonic())

    def _taken(self, mail: ReceivedMail) -> None:
        """Remember those that are on record already while they come."""
        known = Tables(self.erpnext).names(
            f'SELECT name FROM "tab{DELIVERY}" WHERE channel = ? AND reference = ?',
            "report",
            ident(mail),
        )
        if known:
            self._recorded.add(mail.at)

    def repeated(self, mails: Sequence[ReceivedMail]) -> Iterator[tuple[str, bool]]:
        """Each mail that came again (who, what, the how-manieth), and whether that was in the window."""
        copies: dict[tuple[str, str], list[ReceivedMail]] = defaultdict(list)
        for mail in mails:
            copies[mail.recipient, ident(mail)].append(mail)
        for (who, which), mine in sorted(copies.items()):
            for number, (before, again) in enumerate(pairwise(mine), 2):
                label = f"copy {number} of {which} to {who}"
                yield label, again.at not in self._recorded and self._record_was_lost(before, again)

    def _record_was_lost(self, before: ReceivedMail, again: ReceivedMail) -> bool:
        if not before.answered:
            return True
        if any(before.at <= death <= again.at for death in self.deaths):
            return True
        return any(
            one.fault and one.doctype == DELIVERY and before.at <= one.at <= again.at
            for one in self.erpnext.requests.entries
        )
