"""Days whose books take no entry: nothing is lost, and by policy the next open day takes it and says for which day."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from scoopjoy_dagster.accounting.policy import RoyaltyPolicy
from scoopjoy_dagster.assets import royalties
from scoopjoy_dagster.assets.day_facts import read_day
from scoopjoy_dagster.assets.day_report import day_report
from scoopjoy_dagster.erpnext import royalty_entries
from scoopjoy_dagster.erpnext.client import KEY_FIELD
from scoopjoy_dagster.resources.clock import ClockResource
from scoopjoy_dagster.resources.policy import RoyaltyPolicyResource
from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext
from scoopjoy_dagster_tests.world import (
    DAY,
    INDIRANAGAR,
    KORAMANGALA,
    THANE,
    World,
    change,
    entries,
    exact,
    insert,
    ledger_balance,
    owed,
)

NEXT = DAY + timedelta(days=1)
INSERT = "/api/method/frappe.client.insert_many"
Open = Callable[[], object]


def freeze(site: SandboxERPNext) -> Open:
    site.settings.frozen_upto = DAY

    def thaw() -> None:
        site.settings.frozen_upto = DAY - timedelta(days=1)

    return thaw


def close_period(site: SandboxERPNext) -> Open:
    name = insert(
        site,
        "Accounting Period",
        period_name="November",
        company="ScoopJoy",
        start_date="2026-11-01",
        end_date=DAY.isoformat(),
        closed_documents=[{"document_type": "Journal Entry", "closed": 1}],
    )
    row = site.documents("Accounting Period", name=name)[0]["closed_documents"][0]
    return lambda: change(site, "Accounting Period", name, closed_documents=[row | {"closed": 0}])


def close_year(site: SandboxERPNext) -> Open:
    name = insert(
        site,
        "Period Closing Voucher",
        company="ScoopJoy",
        fiscal_year="2026-2027",
        period_start_date="2026-04-01",
        period_end_date=DAY.isoformat(),
        closing_account_head="Royalty Income - SJ",
        remarks="closed",
        docstatus=1,
    )
    return lambda: seed.cancel_document(site, "Period Closing Voucher", name)


def disable_year(site: SandboxERPNext) -> Open:
    change(site, "Fiscal Year", "2026-2027", disabled=1)
    return lambda: change(site, "Fiscal Year", "2026-2027", disabled=0)


def refused_attempts(site: SandboxERPNext) -> int:
    return sum(
        one.method == "POST" and one.path == INSERT and one.status == 417 for one in site.requests.entries
    )


@pytest.mark.parametrize(
    ("lock", "reason"),
    [
        (freeze, f"the books are frozen up to {DAY}"),
        (close_period, "the Accounting Period November is closed for Journal Entries"),
        (close_year, f"the books are closed by a Period Closing Voucher up to {DAY}"),
        (disable_year, f"no active Fiscal Year covers {DAY}"),
    ],
    ids=["frozen", "accounting period", "period closing voucher", "fiscal year"],
)
def test_a_locked_day_is_an_exception_row_with_its_amount_for_each_franchise_until_it_opens(
    chain: World, lock: Callable[[SandboxERPNext], Open], reason: str
) -> None:
    chain.a_day()
    unlock = lock(chain.erpnext)
    chain.erpnext.requests.reset()
    day = chain.close("royalties")
    assert not day.success
    due = {name: amount for name, amount in chain.expected().items() if amount}
    rows = day.exceptions("royalties")
    assert {(row["what"], row["who"]) for row in rows} == {("books locked", name) for name in due}
    for row in rows:
        assert f"{due[row['who']]} are not in the ledger: {reason}" in row["message"]
        assert "next_open_day" in row["action"]
    # Halved down to one entry; what its refusal has shown is not asked again.
    assert refused_attempts(chain.erpnext) == 3
    assert chain.erpnext.requests.writes == 0
    assert entries(chain.erpnext) == []

    unlock()
    assert chain.close("royalties").success
    assert chain.owed() == chain.expected()
    assert {entry["posting_date"] for entry in entries(chain.erpnext)} == {DAY.isoformat()}


def test_a_late_change_of_a_locked_day_is_an_exception_row_with_the_difference(chain: World) -> None:
    chain.a_day()
    assert chain.close("royalties").success
    before = chain.owed()
    chain.invoice(THANE, "1000")
    unlock = freeze(chain.erpnext)
    day = chain.close("royalties")
    (row,) = day.exceptions("royalties")
    assert (row["what"], row["who"]) == ("books locked", THANE)
    assert "75.00 are not in the ledger" in row["message"]
    assert "base 966.68 -> 1966.68" in row["message"]
    assert chain.owed() == before
    unlock()
    assert chain.close("royalties").success
    assert chain.owed() == chain.expected()


def test_a_settled_day_that_is_locked_is_a_right_day(chain: World) -> None:
    chain.a_day()
    assert chain.close("royalties").success
    freeze(chain.erpnext)
    assert chain.close("royalties").success


def test_whoever_may_post_on_a_frozen_day_does_so_on_the_day(chain: World) -> None:
    chain.policy = {"locked_days": "next_open_day"}
    chain.a_day()
    freeze(chain.erpnext)
    change(
        chain.erpnext, "Accounts Settings", "Accounts Settings", frozen_accounts_modifier="Accounts Manager"
    )
    day = chain.close("royalties")
    assert day.success
    assert day.warnings("royalties", "another day") == []
    assert chain.owed() == chain.expected()


# -- the policy next_open_day -------------------------------------------------------------------------------------


@pytest.fixture
def moving(chain: World) -> World:
    """An ordinary day that is frozen, with the policy that posts on the next open day."""
    chain.policy = {"locked_days": "next_open_day"}
    chain.a_day()
    freeze(chain.erpnext)
    return chain


def test_by_policy_it_is_posted_on_the_first_open_day_and_says_for_which_day_and_why(moving: World) -> None:
    day = moving.close("royalties")
    assert day.success
    assert entries(moving.erpnext) == []
    (entry,) = entries(moving.erpnext, THANE, NEXT)
    assert entry[KEY_FIELD] == f"royalty:ScoopJoy:{DAY}:{THANE}:0"
    late = f"posted on {NEXT} because the books are frozen up to {DAY}"
    assert entry["user_remark"] == f"Royalty for {THANE} on {DAY}, {late}"
    assert entry[royalty_entries.ENTRY_REASON_FIELD] == f"7.5 % of 966.68; {late}"
    assert moving.owed(NEXT) == moving.expected()

    rows = day.warnings("royalties", "royalty posted on another day")
    assert {row["who"] for row in rows} == {name for name, due in moving.expected().items() if due}
    assert any(f"72.50 for {DAY} are posted on {NEXT}" in row["message"] for row in rows)
    table = str(day.metadata("royalties")["documents"].value)
    assert f"posted on {NEXT}" in table


def test_a_locked_day_is_known_when_a_batch_is_halved_down_to_one_entry(moving: World) -> None:
    moving.erpnext.requests.reset()
    assert moving.close("royalties").success
    assert refused_attempts(moving.erpnext) == 3  # of five entries: 5, 2, 1


def test_a_re_run_writes_nothing_whether_the_day_is_still_locked_or_open_again(moving: World) -> None:
    assert moving.close("royalties").success
    for frozen in (DAY, DAY - timedelta(days=1)):
        moving.erpnext.settings.frozen_upto = frozen
        moving.erpnext.requests.reset()
        again = moving.close("royalties")
        assert again.success
        assert moving.erpnext.requests.writes == 0
        assert again.outcome("royalties")["adopted"] == 5
        assert again.warnings("royalties", "another day") == []


def test_the_day_on_which_it_was_posted_is_closed_as_if_nothing_had_happened(moving: World) -> None:
    """The entries of D lie on D + 1, and are none of D + 1."""
    assert moving.close("royalties").success
    moving.invoice(THANE, "100", day=NEXT)
    with moving.site() as site:
        later = ClockResource(fixed="2026-11-24T01:00:00+05:30")
        after = royalties.close(site, NEXT, moving.tools(royalty_policy=RoyaltyPolicyResource(), clock=later))
    assert (after.failed, after.amount) == (False, Decimal("7.50"))
    assert owed(moving.erpnext, THANE, NEXT) == Decimal("72.50") + Decimal("7.50")
    again = moving.close("royalties")
    assert again.outcome("royalties")["written"] == 0


def test_the_history_of_the_report_counts_it_for_the_business_day(moving: World) -> None:
    assert moving.close("royalties").success
    with moving.site() as site:
        posted = royalty_entries.entries_between(site, site.books(), DAY - timedelta(days=3), NEXT)
        report = day_report(site, read_day(site, RoyaltyPolicy(), DAY))
    assert posted.keys() == {DAY}
    assert sum(one.amount for one in posted[DAY]) == sum(moving.expected().values())
    history = {row["day"]: row["royalty"] for row in report.history.to_dict("records")}
    assert history[DAY] == sum(moving.expected().values())


def test_a_late_change_of_a_locked_day_is_adjusted_on_the_next_open_day(chain: World) -> None:
    chain.policy = {"locked_days": "next_open_day"}
    chain.a_day()
    assert chain.close("royalties").success
    (first,) = entries(chain.erpnext, THANE)
    chain.invoice(THANE, "1000")
    freeze(chain.erpnext)
    assert chain.close("royalties").success
    (adjustment,) = entries(chain.erpnext, THANE, NEXT)
    assert adjustment[KEY_FIELD] == f"royalty:ScoopJoy:{DAY}:{THANE}:1"
    assert adjustment[royalty_entries.ENTRY_ADJUSTS_FIELD] == first["name"]
    assert exact(adjustment["total_debit"]) == Decimal("75.00")
    assert owed(chain.erpnext, THANE) + owed(chain.erpnext, THANE, NEXT) == Decimal("147.50")
    assert ledger_balance(chain.erpnext) == 0


@pytest.mark.parametrize("lock", ["today too", "no year"])
def test_without_an_open_day_until_today_it_stays_an_exception_row(chain: World, lock: str) -> None:
    chain.policy = {"locked_days": "next_open_day"}
    chain.a_day()
    if lock == "today too":
        chain.erpnext.settings.frozen_upto = NEXT
    else:
        disable_year(chain.erpnext)
    day = chain.close("royalties")
    assert not day.success
    assert {row["what"] for row in day.exceptions("royalties")} == {"books locked"}
    assert entries(chain.erpnext) == entries(chain.erpnext, day=NEXT) == []


def test_open_days_between_locks_are_found(chain: World) -> None:
    chain.policy = {"locked_days": "next_open_day"}
    chain.now = datetime(2026, 12, 5, 1, 0)
    chain.a_day()
    freeze(chain.erpnext)
    insert(
        chain.erpnext,
        "Accounting Period",
        period_name="late November",
        company="ScoopJoy",
        start_date=NEXT.isoformat(),
        end_date="2026-11-30",
        closed_documents=[{"document_type": "Journal Entry", "closed": 1}],
    )
    assert chain.close("royalties").success
    assert chain.owed(date(2026, 12, 1)) == chain.expected()


# -- refusals that are no lock ----------------------------------------------------------------------------------


def disabled_while_posting(chain: World, monkeypatch: pytest.MonkeyPatch, customer: str) -> None:
    """The customer is disabled after the plan was made and before its entry is posted."""
    entry_document = royalty_entries.entry_document

    def disable_then_write(site: Any, books: Any, action: Any, *days: Any) -> Any:
        if action.royalty.customer == customer:
            change(chain.erpnext, "Customer", customer, disabled=1)
        return entry_document(site, books, action, *days)

    monkeypatch.setattr(royalty_entries, "entry_document", disable_then_write)


@pytest.mark.parametrize("policy", ["exception", "next_open_day"])
@pytest.mark.parametrize("customer", ["Franchise Banjara Hills", KORAMANGALA], ids=["first", "in the middle"])
def test_a_disabled_customer_is_no_lock_even_where_this_user_may_post_on_a_frozen_day(
    chain: World, monkeypatch: pytest.MonkeyPatch, policy: str, customer: str
) -> None:
    """One refusal must neither hide its cause nor keep the others from their day."""
    chain.policy = {"locked_days": policy}
    chain.a_day()
    freeze(chain.erpnext)
    change(
        chain.erpnext, "Accounts Settings", "Accounts Settings", frozen_accounts_modifier="Accounts Manager"
    )
    disabled_while_posting(chain, monkeypatch, customer)
    day = chain.close("royalties")
    (row,) = day.exceptions("royalties")
    assert (row["what"], row["who"]) == ("royalty not posted", customer)
    assert f"Customer {customer} is disabled" in row["message"]
    assert chain.owed() == chain.expected() | {customer: Decimal(0)}
    assert entries(chain.erpnext, day=NEXT) == []


def test_a_refusal_on_an_open_day_is_what_erpnext_says(chain: World, monkeypatch: pytest.MonkeyPatch) -> None:
    chain.a_day()
    disabled_while_posting(chain, monkeypatch, INDIRANAGAR)
    day = chain.close("royalties")
    (row,) = day.exceptions("royalties")
    assert (row["what"], row["who"]) == ("royalty not posted", INDIRANAGAR)
    assert "PartyDisabled" in row["message"]
    assert "enable it" in row["action"]
    assert chain.owed() == chain.expected() | {INDIRANAGAR: Decimal(0)}


def test_a_user_who_may_not_read_the_locks_is_told_what_erpnext_said(chain: World) -> None:
    chain.a_day()
    freeze(chain.erpnext)
    chain.erpnext.faults.add("permission_lost", path="get_list", doctype="Accounting Period", times=None)
    day = chain.close("royalties")
    rows = day.exceptions("royalties", "royalty not posted")
    assert len(rows) == 5
    assert all("not authorized to add or update entries before" in row["message"] for row in rows)
    assert any("(royalty of 72.50)" in row["message"] for row in rows)
