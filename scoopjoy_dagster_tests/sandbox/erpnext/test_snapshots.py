"""Snapshot isolation: whoever changes what has changed since he began is refused with error 1020, and stores nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest

from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext
from scoopjoy_dagster.sandbox.erpnext.errors import SiteError
from scoopjoy_dagster.sandbox.erpnext.faults import RECORD_CHANGED
from scoopjoy_dagster_tests.sandbox.erpnext.conftest import Client, journal_entry

JE = "/api/resource/Journal Entry"
NOW = datetime(2026, 11, 23, 1)


def insert(world, **extra):
    session = world.session("robot@scoopjoy.example")
    return session.insert(session.new("Journal Entry", journal_entry(**extra))).name


def write_late(world, snapshot, write):
    """Carry out a request that came when the snapshot was taken."""
    with world.site.db.lock, world.site.snapshots.seeing(snapshot), world.site.transaction():
        return write()


def test_the_second_of_two_writers_in_one_naming_series_is_refused_and_stores_nothing(newer, newer_robot):
    came = newer.look()
    newer_robot.post(JE, journal_entry())
    with pytest.raises(SiteError, match=r"1020.*tabSeries") as refused:
        write_late(newer, came, lambda: insert(newer))
    assert refused.value.exc_type == "QueryDeadlockError"
    assert len(newer.documents("Journal Entry")) == 1
    write_late(newer, newer.look(), lambda: insert(newer))
    assert len(newer.documents("Journal Entry")) == 2


def test_writers_in_two_naming_series_do_not_meet(newer, newer_robot):
    newer_robot.post(JE, journal_entry(naming_series="A-.####"))
    came = newer.look()
    newer_robot.post(JE, journal_entry(naming_series="B-.####"))
    assert write_late(newer, came, lambda: insert(newer, naming_series="A-.####")) == "A-0002"


def test_two_changes_of_one_document_meet(newer):
    customer = "/api/resource/Customer/Franchise Thane"
    came = newer.look()
    Client(newer.url, newer.administrator).put(customer, {"website": "https://one.example"})

    def change():
        session = newer.session()
        doc = session.load("Customer", "Franchise Thane")
        session.amend(doc, {"website": "https://two.example"})
        session.save(doc)

    with pytest.raises(SiteError, match=r"1020.*tabCustomer"):
        write_late(newer, came, change)


def test_a_reader_is_never_refused(newer, newer_robot):
    came = newer.look()
    newer_robot.post(JE, journal_entry())
    assert write_late(newer, came, lambda: newer.site.real_name("Customer", "Franchise Thane"))


@pytest.mark.parametrize("options", [{"line": "v15"}, {"line": "v16", "snapshot_isolation": False}])
def test_without_isolation_everybody_waits_and_is_served(options):
    with SandboxERPNext(":memory:", clock=lambda: NOW, **options) as world:
        seed.master_data(world)
        seed.add_franchise(world, "Franchise Thane")
        assert world.look() is None
        came = world.look()
        with world.site.transaction():
            insert(world)
        write_late(world, came, lambda: insert(world))
        assert len(world.documents("Journal Entry")) == 2


def test_a_database_with_isolation_may_have_an_erpnext_v15(template):
    with SandboxERPNext(":memory:", clock=lambda: NOW, template=template, snapshot_isolation=True) as world:
        came = world.look()
        with world.site.transaction():
            insert(world)
        with pytest.raises(SiteError, match="1020"):
            write_late(world, came, lambda: insert(world))


def test_of_many_at_once_each_is_stored_or_refused_with_1020(newer, newer_robot):
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: newer_robot.call("POST", JE, journal_entry()), range(8)))
    stored = [answer for answer in answers if answer.status_code == 200]
    assert stored
    assert len(newer.documents("Journal Entry")) == len(stored)
    for answer in answers:
        if answer not in stored:
            assert (answer.status_code, answer.json()["exc_type"]) == (500, "QueryDeadlockError")


# By the faults


def test_a_request_is_refused_as_if_somebody_else_had_been_faster(newer, newer_robot):
    newer.faults.add("record_changed", method="POST", doctype="Journal Entry")
    answer = newer_robot.call("POST", JE, journal_entry())
    assert (answer.status_code, answer.json()["exc_type"]) == (500, "QueryDeadlockError")
    assert "(1020," in answer.json()["exception"]
    assert newer.documents("Journal Entry") == []
    newer_robot.post(JE, journal_entry())


def queued(world):
    """A closing of ten sales in the queue, and the sales."""
    outlet = seed.OUTLETS[0]
    shift = seed.add_shift(world, outlet.profile, outlet.cashier, datetime(2026, 11, 22, 9), ["100"] * 10)
    session = world.session("robot@scoopjoy.example")
    body = {
        "pos_opening_entry": shift.opening,
        "period_end_date": "2026-11-22 23:00:00",
        "pos_invoices": [{"pos_invoice": name} for name in shift.invoices],
    }
    with world.site.transaction():
        name = session.submit(session.insert(session.new("POS Closing Entry", body))).name
    return name, shift.invoices


def state(world, closing):
    (doc,) = world.documents("POS Closing Entry", name=closing)
    return doc["docstatus"], doc["status"]


def merged(world, invoices):
    return sum(
        bool(world.documents("POS Invoice", name=name)[0]["consolidated_invoice"]) for name in invoices
    )


def test_a_background_closing_that_was_overtaken_is_failed_until_it_is_tried_again(newer, newer_robot):
    closing, invoices = queued(newer)
    newer.faults.fail_jobs(reason=RECORD_CHANGED)
    newer.run_background_jobs()
    assert state(newer, closing) == (1, "Failed")
    assert newer.documents("POS Closing Entry", name=closing)[0]["error_message"].startswith("(1020,")
    assert merged(newer, invoices) == 0
    body = {"dt": "POS Closing Entry", "dn": closing, "method": "retry"}
    newer_robot.post("/api/method/run_doc_method", body)
    newer.run_background_jobs()
    assert state(newer, closing) == (1, "Submitted")
    assert merged(newer, invoices) == 10


def test_sales_invoices_made_while_a_background_closing_runs_fail_it(newer, monkeypatch):
    """Not by a fault: the job began before the invoice was made, and both are of one naming series."""
    closing, invoices = queued(newer)
    began = newer.look()
    day = datetime(2026, 11, 22).date()
    seed.add_invoice(newer, "Franchise Thane", day, "100")
    monkeypatch.setattr(newer, "look", lambda: began)
    assert newer.run_background_jobs() == 1
    assert state(newer, closing) == (1, "Failed")
    assert newer.documents("POS Closing Entry", name=closing)[0]["error_message"].startswith("(1020,")
    assert merged(newer, invoices) == 0
