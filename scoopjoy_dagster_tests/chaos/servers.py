"""The embedded servers of one schedule, started and watched."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scoopjoy_dagster.sandbox.hq import SandboxHQ
from scoopjoy_dagster.sandbox.mail import MailSink
from scoopjoy_dagster_tests.chaos.mails import MailWatch
from scoopjoy_dagster_tests.chaos.oracle import Oracle
from scoopjoy_dagster_tests.world import MANAGERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext


@dataclass(frozen=True, slots=True)
class Servers:
    """ERPNext, headquarters and mail server, and who watches the mails."""

    erpnext: SandboxERPNext
    headquarters: SandboxHQ
    mail: MailSink
    watch: MailWatch

    def oracle(self) -> Oracle:
        """The judge of these servers; the managers are who gets the report."""
        return Oracle(self.erpnext, self.headquarters, self.mail, self.watch, MANAGERS)


@contextmanager
def servers(erpnext: SandboxERPNext, clock: Callable[[], float] = time.time) -> Iterator[Servers]:
    """Start this ERPNext, a headquarters and a mail server; they end with the block. `clock` is headquarters'."""
    with ExitStack() as stack:
        stack.enter_context(erpnext)
        headquarters, mail = SandboxHQ(clock=clock), MailSink()
        headquarters.start()
        stack.callback(headquarters.close)
        mail.start()
        stack.callback(mail.stop)
        watch = MailWatch(erpnext)
        watch.attach(mail)
        yield Servers(erpnext, headquarters, mail, watch)
