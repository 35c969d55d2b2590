"""Any order of sales, changes, broken closes and good ones ends with books that the oracle finds right."""

from __future__ import annotations

import random
from contextlib import ExitStack
from pathlib import Path

import dagster as dg
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from scoopjoy_dagster.sandbox.hq import SandboxHQ
from scoopjoy_dagster.sandbox.mail import MailSink
from scoopjoy_dagster_tests.chaos import faults
from scoopjoy_dagster_tests.chaos.facts import AMOUNTS, GROUPS, OUTSIDE, RATES, Facts
from scoopjoy_dagster_tests.chaos.mails import MailWatch
from scoopjoy_dagster_tests.chaos.oracle import Oracle
from scoopjoy_dagster_tests.world import (
    DAY,
    INDIRANAGAR,
    KORAMANGALA,
    MANAGERS,
    THANE,
    World,
    change,
    started_site,
)

SELLERS = (KORAMANGALA, INDIRANAGAR, THANE)
customers = st.sampled_from(SELLERS)


class Books(RuleBasedStateMachine):
    """One business day that people work on while it is closed again and again."""

    template: Path
    instance: dg.DagsterInstance

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        site = self._stack.enter_context(started_site(self.template))
        headquarters, mail = SandboxHQ(), MailSink()
        headquarters.start()
        self._stack.callback(headquarters.close)
        mail.start()
        self._stack.callback(mail.stop)
        self.world = World(site, self.instance, headquarters, mail)
        self.headquarters, self.mail = headquarters, mail
        watch = MailWatch(site)
        watch.attach(mail)
        self.oracle = Oracle(site, headquarters, mail, watch, MANAGERS)
        self.facts = Facts(site, [DAY], SELLERS)
        self.clean = False
        """Whether the last close went through and nothing has changed since."""

    def teardown(self) -> None:
        self._stack.close()

    @initialize(
        sales=st.lists(st.tuples(customers, st.sampled_from(AMOUNTS)), min_size=1, max_size=3),
        till=st.integers(0, 3),
    )
    def the_day(self, sales: list[tuple[str, str]], till: int) -> None:
        for customer, amount in sales:
            self.world.invoice(customer, amount)
        self.world.shift(till)
        self.changed()

    def changed(self) -> None:
        self.oracle.note([DAY])
        self.clean = False

    @rule(customer=customers, amount=st.sampled_from(AMOUNTS))
    def invoice_added(self, customer: str, amount: str) -> None:
        self.world.invoice(customer, amount)
        self.changed()

    @rule(customer=customers, place=st.integers(0, 5))
    def invoice_cancelled(self, customer: str, place: int) -> None:
        if found := self.facts.invoices(customer, DAY):
            self.facts.cancel_invoice(found[place % len(found)], again=False)
            self.changed()

    @rule(customer=customers, place=st.integers(0, 5))
    def invoice_replaced(self, customer: str, place: int) -> None:
        if found := self.facts.invoices(customer, DAY):
            self.facts.cancel_invoice(found[place % len(found)], again=True)
            self.changed()

    @rule(customer=customers, place=st.integers(0, 5))
    def invoice_returned(self, customer: str, place: int) -> None:
        if found := self.facts.invoices(customer, DAY):
            self.world.invoice(customer, "7.77", is_return=True, return_against=found[place % len(found)])
            self.changed()

    @rule(customer=customers)
    def more_returned_than_sold(self, customer: str) -> None:
        self.world.invoice(customer, "99999", is_return=True)
        self.changed()

    @rule(customer=customers, rate=st.sampled_from(RATES))
    def rate_changed(self, customer: str, rate: float) -> None:
        change(self.world.erpnext, "Customer", customer, custom_royalty_percentage=rate)
        self.changed()

    @rule(customer=customers)
    def franchise_moved_out_or_in(self, customer: str) -> None:
        now = self.world.erpnext.documents("Customer", name=customer)[0]["customer_group"]
        change(
            self.world.erpnext,
            "Customer",
            customer,
            customer_group=GROUPS[customer] if now == OUTSIDE else OUTSIDE,
        )
        self.changed()

    @rule(number=st.integers(0, 2**16))
    def closed_under_faults(self, number: int) -> None:
        nothing = faults.Hooks(lambda: None, lambda: None, lambda: None, lambda _name: None)
        faults.set_faults(random.Random(number), self.world.erpnext, self.headquarters, self.mail, nothing)
        self.world.options = faults.IMPATIENT
        try:
            self.clean = self.world.close().success
        finally:
            faults.heal(self.world.erpnext, self.headquarters, self.mail)
            self.world.options = {}

    @rule()
    def closed(self) -> None:
        close = self.world.close()
        assert close.success, [event.message for event in close.logged if event.is_failure]
        self.clean = True

    @precondition(lambda self: self.clean)
    @invariant()
    def the_books_are_right(self) -> None:
        assert [str(one) for one in self.oracle.judge(DAY)] == []

    @precondition(lambda self: self.clean)
    @rule()
    def closed_again(self) -> None:
        """A close of a settled day writes nothing, sends nothing, tells nothing."""
        before = (
            self.world.erpnext.requests.writes,
            len(self.mail.messages),
            len(self.headquarters.deliveries),
        )
        assert self.world.close().success
        after = (
            self.world.erpnext.requests.writes,
            len(self.mail.messages),
            len(self.headquarters.deliveries),
        )
        assert after == before


def test_the_books_are_right_after_any_order_of_events(
    chain_template: Path, shared_instance: dg.DagsterInstance
) -> None:
    made = type("Books", (Books,), {"template": chain_template, "instance": shared_instance})
    run_state_machine_as_test(
        made,
        settings=settings(
            max_examples=6,
            stateful_step_count=8,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
