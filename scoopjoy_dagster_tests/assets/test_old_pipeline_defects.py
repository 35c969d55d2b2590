"""The seven known defects of the pipeline that this one replaces, each as it would show."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import dagster as dg
import pytest

from scoopjoy_dagster.partitions import business_days, last_ended_day
from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster_tests.world import (
    BANJARA,
    DAY,
    FRANCHISES,
    GELATO,
    KORAMANGALA,
    NOW,
    THANE,
    World,
    change,
    entries,
    exact,
    insert,
    owed,
    submitted_closings,
    unconsolidated,
)


def test_an_empty_closing_orphans_invoices(chain: World) -> None:
    """The old pipeline submitted a closing without rows: ERPNext closed the shift and never booked its sales."""
    shift = chain.shift(3)
    insert(
        chain.erpnext,
        "POS Closing Entry",
        user="robot@scoopjoy.example",
        pos_opening_entry=shift.opening,
        company="ScoopJoy",
        period_end_date=f"{NOW}",
        posting_date=f"{DAY}",
    )
    assert chain.close("closed_shifts").success
    (closing,) = submitted_closings(chain.erpnext, shift.opening)
    assert sorted(row["pos_invoice"] for row in closing["pos_transactions"]) == sorted(shift.invoices)
    assert unconsolidated(chain.erpnext, shift.invoices) == []
    sold = sum(
        exact(doc["grand_total"])
        for doc in chain.erpnext.documents("Sales Invoice", is_consolidated=1, docstatus=1)
    )
    assert sold == Decimal("315.00")


def test_the_wrong_day_is_closed(chain: World) -> None:
    """The old cron ran at 01:00 with *today's* date: the day that had just begun was closed, the ended one never."""
    ended = chain.shift(2)
    with seed.at(chain.erpnext, datetime(2026, 11, 23, 9)):
        begun = chain.shift(1, opened=datetime(2026, 11, 23, 0, 30))
    at_one = datetime.fromisoformat("2026-11-23T01:00:00+05:30")
    assert last_ended_day(at_one) == DAY
    assert business_days(DAY).get_partition_keys(current_time=at_one) == [DAY.isoformat()]

    chain.invoice(THANE, "1000")
    chain.invoice(THANE, "7777", day=NOW.date())
    assert chain.close().success
    (closing,) = submitted_closings(chain.erpnext, ended.opening)
    assert closing["posting_date"] == DAY.isoformat()
    assert submitted_closings(chain.erpnext, begun.opening) == []
    assert chain.erpnext.documents("POS Opening Entry", name=begun.opening)[0]["status"] == "Open"
    assert [entry["posting_date"] for entry in chain.erpnext.documents("Journal Entry")] == [DAY.isoformat()]
    assert owed(chain.erpnext, THANE) == Decimal("75.00")


def test_a_re_run_posts_royalties_again(full_chain: World) -> None:
    full_chain.shift(3)
    full_chain.a_day()
    assert full_chain.close().success
    posted, mails = full_chain.owed(), len(full_chain.mail.messages)
    assert posted == full_chain.expected()
    for _ in range(2):
        full_chain.erpnext.requests.reset()
        assert full_chain.close().success
        assert full_chain.erpnext.requests.writes == 0
    assert full_chain.owed() == posted
    assert len(full_chain.mail.messages) == mails
    assert len(full_chain.headquarters.attempts) == 1


def test_retrying_a_step_does_not_run_what_was_skipped_behind_it(full_chain: World, tmp_path) -> None:
    """A failed upstream partition is materialized, then what was skipped behind it: the day becomes complete."""
    full_chain.shift(2)
    full_chain.a_day()
    full_chain.erpnext.settings.frozen_upto = DAY
    with dg.DagsterInstance.local_temp(str(tmp_path)) as full_chain.instance:
        first = full_chain.close()
        assert first.status("royalties") in {"never", "skipped"}
        assert first.status("closed_shifts") == "failure"
        full_chain.erpnext.settings.frozen_upto = None
        assert full_chain.close("closed_shifts").success
        assert full_chain.close("royalties", "invoices", "reports", "hq_sync").success
        for asset in ("closed_shifts", "royalties", "invoices", "reports", "hq_sync"):
            done = full_chain.instance.get_materialized_partitions(dg.AssetKey(asset))
            assert done == {DAY.isoformat()}
    assert full_chain.owed() == full_chain.expected()
    assert list(full_chain.headquarters.days) == [("ScoopJoy", DAY.isoformat())]
    assert len(full_chain.mail.messages) == 2


def test_alert_mail_inside_the_pipeline_can_fail_it(full_chain: World) -> None:
    """A mail server that is down fails the mail, and nothing else."""
    full_chain.shift(2)
    full_chain.a_day()
    full_chain.mail.down = True
    day = full_chain.close()
    states = {
        asset: day.status(asset) for asset in ("closed_shifts", "royalties", "invoices", "reports", "hq_sync")
    }
    assert states == {
        "closed_shifts": "success",
        "royalties": "success",
        "invoices": "success",
        "reports": "failure",
        "hq_sync": "success",
    }
    assert full_chain.owed() == full_chain.expected()


def test_a_party_on_the_income_row(chain: World) -> None:
    """With the party on both rows the franchise's balance does not move, while Accounts Receivable does."""
    chain.a_day()
    assert chain.close("royalties").success
    posted = entries(chain.erpnext)
    assert len(posted) == 5
    for entry in posted:
        debtors, income = entry["accounts"]
        assert (debtors["account"], debtors["party_type"]) == ("Debtors - SJ", "Customer")
        assert debtors["party"] in FRANCHISES
        assert (income["account"], income["cost_center"]) == ("Royalty Income - SJ", "Main - SJ")
        assert not income["party"]
        assert not income["party_type"]
    income_rows = chain.erpnext.documents("GL Entry", account="Royalty Income - SJ")
    assert {row["party"] or "" for row in income_rows} == {""}


@pytest.mark.parametrize("customer", [THANE, BANJARA, GELATO])
def test_franchises_in_a_child_customer_group_are_missed(chain: World, customer: str) -> None:
    """One level below Franchise (Thane), and two (the others)."""
    assert chain.erpnext.documents("Customer", name=customer)[0]["customer_group"] != "Franchise"
    chain.invoice(customer, "1000")
    assert chain.close("royalties").success
    assert owed(chain.erpnext, customer) == chain.expected()[customer] > 0


def test_a_customer_outside_the_franchise_group_owes_nothing(chain: World) -> None:
    chain.invoice("Hotel Blue Lagoon", "5000")
    change(chain.erpnext, "Customer", KORAMANGALA, customer_group="Commercial")
    chain.invoice(KORAMANGALA, "5000")
    assert chain.close("royalties").success
    assert chain.erpnext.documents("Journal Entry") == []
