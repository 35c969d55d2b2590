"""The seeded world: the same every time, consistent, with the days that matter."""

from __future__ import annotations

from datetime import date, datetime

import pytest

from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext

TODAY = date(2026, 11, 23)


@pytest.fixture(scope="module")
def seeded():
    world = SandboxERPNext(":memory:", clock=lambda: datetime(2026, 11, 23, 1, 0))
    yield world, seed.seed(world, today=TODAY, weeks=1)
    world.close()


def test_history_is_closed_and_the_last_days_are_open(seeded):
    world, summary = seeded
    assert summary.last_business_day == date(2026, 11, 22)
    openings = world.documents("POS Opening Entry")
    for doc in openings:
        closed = doc["posting_date"] <= summary.closed_until.isoformat()
        assert doc["status"] == ("Closed" if closed else "Open")
    assert {doc["status"] for doc in world.documents("POS Closing Entry")} == {"Submitted"}


def test_the_ledger_balances(seeded):
    world, _ = seeded
    rows = world.documents("GL Entry")
    assert round(sum(row["debit"] for row in rows), 2) == round(sum(row["credit"] for row in rows), 2)


def test_the_last_day_holds_what_makes_a_night_hard(seeded):
    world, summary = seeded
    day = summary.last_business_day.isoformat()
    sizes = sorted(
        sum(
            invoice["pos_profile"] == opening["pos_profile"]
            and invoice["posting_date"] == day
            and not invoice["consolidated_invoice"]
            for invoice in world.documents("POS Invoice")
        )
        for opening in world.documents("POS Opening Entry", posting_date=day)
    )
    assert sizes[0] == 0
    assert sizes[-1] == 40
    invoices = world.documents("Sales Invoice", posting_date=day, is_consolidated=0)
    assert {doc["docstatus"] for doc in invoices} == {0, 1, 2}
    assert any(doc["currency"] == "USD" and doc["base_grand_total"] == 10388.32 for doc in invoices)
    late = world.documents("POS Invoice", posting_date=TODAY.isoformat())
    assert late
    assert all(doc["posting_time"].startswith("0:") for doc in late)


def test_one_franchise_has_a_negative_day(seeded):
    world, summary = seeded
    total = sum(
        doc["base_grand_total"]
        for doc in world.documents(
            "Sales Invoice",
            customer=summary.negative_franchise,
            posting_date=summary.negative_day.isoformat(),
            docstatus=1,
        )
    )
    assert total < 0


def test_the_same_day_gives_the_same_world():
    def facts() -> list[tuple[object, ...]]:
        world = SandboxERPNext(":memory:", clock=lambda: datetime(2026, 11, 23, 1, 0))
        seed.seed(world, today=TODAY, weeks=1)
        docs = world.documents("Sales Invoice") + world.documents("POS Invoice")
        world.close()
        return [(d["name"], d["customer"], d["grand_total"], d["status"], d["modified"]) for d in docs]

    assert facts() == facts()


def test_royalty_terms_wait_for_their_fields(seeded):
    world, _ = seeded
    assert seed.set_royalty_terms(world) == 0
    session = world.session()
    with world.site.transaction():
        for name, kind in (("custom_royalty_percentage", "Percent"), ("custom_royalty_exempt", "Check")):
            field = {"dt": "Customer", "fieldname": name, "label": name, "fieldtype": kind}
            session.insert(session.new("Custom Field", field))
    assert seed.set_royalty_terms(world) > 5
    thane = world.documents("Customer", name="Franchise Thane")[0]
    assert (thane["custom_royalty_percentage"], thane["custom_royalty_exempt"]) == (7.5, 0)


# The same chain on v16


@pytest.fixture(scope="module", params=["POS Invoice", "Sales Invoice"])
def newer_seeded(request):
    world = SandboxERPNext(":memory:", clock=lambda: datetime(2026, 11, 23, 1, 0), line="v16")
    yield world, seed.seed(world, today=TODAY, weeks=1, invoice_type=request.param), request.param
    world.close()


def test_the_tills_of_v16_make_what_they_are_set_to(newer_seeded):
    world, _, kind = newer_seeded
    by_pos = world.documents("Sales Invoice", is_created_using_pos=1)
    assert bool(world.documents("POS Invoice")) == (kind == "POS Invoice")
    assert bool(by_pos) == (kind == "Sales Invoice")


def test_on_v16_the_shifts_of_the_last_day_are_open_and_those_before_closed(newer_seeded):
    world, summary, _ = newer_seeded
    for doc in world.documents("POS Opening Entry"):
        closed = doc["posting_date"] <= summary.closed_until.isoformat()
        assert doc["status"] == ("Closed" if closed else "Open")
    assert {doc["status"] for doc in world.documents("POS Closing Entry")} == {"Submitted"}


def test_on_v16_no_profile_and_no_cashier_has_two_open_shifts(newer_seeded):
    world, _, _ = newer_seeded
    openings = world.documents("POS Opening Entry", status="Open")
    for field in ("pos_profile", "user"):
        assert len({doc[field] for doc in openings}) == len(openings)


def test_on_v16_every_sale_of_a_closed_shift_is_taken(newer_seeded):
    world, summary, kind = newer_seeded
    mark, only = (
        ("consolidated_invoice", {}) if kind == "POS Invoice" else ("pos_closing_entry", {"is_pos": 1})
    )
    sales = [doc for doc in world.documents(kind, docstatus=1, **only) if not doc.get("is_consolidated")]
    closed = [doc for doc in sales if doc["posting_date"] <= summary.closed_until.isoformat()]
    assert closed
    assert all(doc[mark] for doc in closed)
    assert any(not doc[mark] for doc in sales)


def test_on_v16_the_ledger_balances(newer_seeded):
    world, _, _ = newer_seeded
    rows = world.documents("GL Entry")
    assert round(sum(row["debit"] for row in rows), 2) == round(sum(row["credit"] for row in rows), 2)


def test_on_v16_no_customer_is_in_a_group_of_groups(newer_seeded):
    world, _, _ = newer_seeded
    groups = {doc["name"] for doc in world.documents("Customer Group", is_group=1)}
    assert not {doc["customer_group"] for doc in world.documents("Customer")} & groups
