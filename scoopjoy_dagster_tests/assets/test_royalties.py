"""`royalties`: every franchise owes exactly its royalty of the day, once, and the ledger says so."""

from __future__ import annotations

import contextlib
import threading
from collections import defaultdict
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scoopjoy_dagster.accounting.policy import RoyaltyPolicy
from scoopjoy_dagster.assets import royalties as asset
from scoopjoy_dagster.assets.outcome import Outcome
from scoopjoy_dagster.erpnext import royalty_entries
from scoopjoy_dagster.erpnext.client import DIGEST_FIELD, KEY_FIELD, POLICY_FIELD, RUN_FIELD, Client
from scoopjoy_dagster.erpnext.errors import ERPNextError
from scoopjoy_dagster.erpnext.royalty_shares import DOCTYPE
from scoopjoy_dagster.erpnext.site import Site
from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster_tests.world import (
    BANJARA,
    DAY,
    FRANCHISES,
    GELATO,
    HEBBAL,
    INDIRANAGAR,
    KORAMANGALA,
    RATES,
    THANE,
    World,
    amend,
    by_rule,
    carried,
    change,
    entries,
    exact,
    ledger_balance,
    owed,
    started_site,
)

INSERT = "/api/method/frappe.client.insert_many"


def settled(chain: World) -> None:
    """The ledger holds what the rule says, franchise by franchise, and balances; the entries carry each sale once."""
    assert chain.owed() == chain.expected()
    assert ledger_balance(chain.erpnext) == 0
    for customer in FRANCHISES:
        assert carried(chain.erpnext, customer) == owed(chain.erpnext, customer)
        if entries(chain.erpnext, customer):
            assert posted_bases(chain, customer) == sold_bases(chain, customer)


def posted_bases(chain: World, customer: str) -> dict[str, Decimal]:
    """The base of each sale by the entries that stand."""
    found: dict[str, Decimal] = defaultdict(Decimal)
    for row in chain.erpnext.documents(DOCTYPE, franchise=customer, docstatus=1):
        found[row["document"]] += exact(row["royalty_base"])
    return {name: base for name, base in found.items() if base}


def sold_bases(chain: World, customer: str) -> dict[str, Decimal]:
    of_day = {"customer": customer, "posting_date": DAY.isoformat(), "docstatus": 1}
    sales = chain.erpnext.documents("Sales Invoice", **of_day)
    return {doc["name"]: exact(doc["base_grand_total"]) for doc in sales}


def post(chain: World, site: Site) -> Outcome:
    """The asset's work without Dagster."""
    return asset.close(site, DAY, chain.tools())


def test_every_franchise_of_any_depth_owes_its_royalty(chain: World) -> None:
    chain.a_day()
    day = chain.close("royalties")
    assert day.success
    settled(chain)
    assert chain.owed() == {
        KORAMANGALA: Decimal("555.56"),  # 4.5 % of 12345.67 = 555.55515
        INDIRANAGAR: Decimal("16.67"),  # 5 % of 333.33 = 16.6665
        HEBBAL: Decimal("0.00"),
        THANE: Decimal("72.50"),  # 7.5 % of 966.68 = 72.501
        BANJARA: Decimal("217.46"),  # 8 % of 2718.28 = 217.4624
        GELATO: Decimal("7.12"),  # 7.125 % of 99.99 = 7.1242875
    }
    outcome = day.outcome("royalties")
    assert (outcome["seen"], outcome["written"], outcome["adopted"], outcome["skipped"]) == (6, 5, 0, 1)
    assert Decimal(outcome["amount"]) == sum(chain.owed().values())


def test_an_entry_says_whose_royalty_it_is_of_which_day_and_how_it_was_computed(chain: World) -> None:
    chain.a_day()
    day = chain.close("royalties")
    assert day.success
    (entry,) = entries(chain.erpnext, THANE)
    assert (entry["docstatus"], entry["posting_date"], entry["voucher_type"]) == (
        1,
        DAY.isoformat(),
        "Journal Entry",
    )
    assert entry["user_remark"] == f"Royalty for {THANE} on {DAY}"
    assert entry[KEY_FIELD] == f"royalty:ScoopJoy:{DAY}:{THANE}:0"
    assert len(entry[DIGEST_FIELD]) == 32
    assert exact(entry[royalty_entries.ENTRY_BASE_FIELD]) == Decimal("966.68")
    assert entry[royalty_entries.ENTRY_RATE_FIELD] == 7.5
    assert entry[POLICY_FIELD] == RoyaltyPolicy().version
    assert entry[royalty_entries.ENTRY_REASON_FIELD] == "7.5 % of 966.68"
    assert entry[RUN_FIELD] == day.result.run_id
    assert exact(entry["total_debit"]) == exact(entry["total_credit"]) == Decimal("72.50")


def test_the_default_rate_is_used_and_said(chain: World) -> None:
    chain.a_day()
    day = chain.close("royalties")
    (warning,) = day.warnings("royalties", "no royalty rate set")
    assert warning["who"] == INDIRANAGAR
    assert "the default of 5 % was used" in warning["message"]


def test_an_exempt_franchise_owes_nothing(chain: World) -> None:
    chain.invoice(HEBBAL, "99999")
    assert chain.close("royalties").success
    assert entries(chain.erpnext) == []


def test_a_disabled_franchise_is_no_franchise(chain: World) -> None:
    chain.invoice(THANE, "1000")
    change(chain.erpnext, "Customer", THANE, disabled=1)
    day = chain.close("royalties")
    assert day.success
    assert entries(chain.erpnext) == []
    assert day.outcome("royalties")["seen"] == len(FRANCHISES) - 1


def test_drafts_cancelled_invoices_and_other_days_are_not_in_the_base(chain: World) -> None:
    chain.invoice(THANE, "1000")
    chain.invoice(THANE, "1", submit=False)
    chain.invoice(THANE, "2", day=DAY - timedelta(days=1))
    chain.invoice(THANE, "4", day=DAY + timedelta(days=1))
    seed.cancel_document(chain.erpnext, "Sales Invoice", chain.invoice(THANE, "8"))
    assert chain.close("royalties").success
    assert owed(chain.erpnext, THANE) == Decimal("75.00")


@pytest.mark.parametrize(("rate", "shown"), [(-3, "-3"), (250, "250"), (100.5, "100.5")])
def test_a_rate_out_of_range_is_an_exception_row_and_hides_nobody(
    chain: World, rate: float, shown: str
) -> None:
    chain.a_day()
    change(chain.erpnext, "Customer", THANE, custom_royalty_percentage=rate)
    day = chain.close("royalties")
    assert not day.success
    (row,) = day.exceptions("royalties")
    assert (row["what"], row["who"]) == ("royalty rate out of range", THANE)
    assert f"custom_royalty_percentage is {shown}; it must lie between 0 and 100 percent" in row["message"]
    assert chain.owed() == chain.expected() | {THANE: Decimal(0)}

    change(chain.erpnext, "Customer", THANE, custom_royalty_percentage=7.5)
    assert chain.close("royalties").success
    settled(chain)


def test_an_invoice_in_a_foreign_currency_counts_at_its_base_amount_and_is_listed(chain: World) -> None:
    chain.invoice(THANE, "123.45", currency="USD", conversion_rate="84.15")
    day = chain.close("royalties")
    assert day.success
    assert owed(chain.erpnext, THANE) == Decimal("779.12")  # 7.5 % of 10388.32 (123.45 USD at 84.15)
    (warning,) = day.warnings("royalties", "foreign currency")
    assert warning["who"] == f"{THANE}: 1 in USD"
    assert "USD" in warning["message"]


def test_a_negative_day_posts_nothing_and_names_the_amount(chain: World) -> None:
    chain.invoice(THANE, "100")
    chain.invoice(THANE, "300.50", is_return=True)
    day = chain.close("royalties")
    assert day.success
    assert entries(chain.erpnext) == []
    (warning,) = day.warnings("royalties", "returns exceed sales")
    assert "the base of the day is -200.50 INR" in warning["message"]


def test_a_negative_day_is_reversed_where_the_policy_says_so(chain: World) -> None:
    chain.policy = {"negative_days": "reverse"}
    chain.invoice(THANE, "100")
    chain.invoice(THANE, "300.50", is_return=True)
    assert chain.close("royalties").success
    (entry,) = entries(chain.erpnext, THANE)
    debtors, income = entry["accounts"]
    assert (exact(debtors["credit"]), exact(income["debit"])) == (Decimal("15.04"), Decimal("15.04"))
    assert owed(chain.erpnext, THANE) == Decimal("-15.04")  # 7.5 % of 200.50 = 15.0375
    assert ledger_balance(chain.erpnext) == 0
    chain.erpnext.requests.reset()
    assert chain.close("royalties").success
    assert chain.erpnext.requests.writes == 0


def test_a_royalty_that_rounds_to_zero_is_listed_and_not_posted(chain: World) -> None:
    chain.invoice(THANE, "0.05")
    day = chain.close("royalties")
    assert day.success
    assert entries(chain.erpnext) == []
    (warning,) = day.warnings("royalties", "rounds to zero")
    assert warning["who"] == THANE


def test_the_policy_s_base_and_rounding_are_used(chain: World) -> None:
    chain.policy = {"base": "net_total", "rounding": "down"}
    chain.invoice(THANE, "1111.11", taxes=5)
    assert chain.close("royalties").success
    assert owed(chain.erpnext, THANE) == Decimal("83.33")  # 7.5 % of 1111.11 = 83.33325, without the tax


@pytest.mark.parametrize(
    "name",
    [
        GELATO,
        "O'Cone's Café \\ Goa",
        "<b>Bold</b> & [x](http://evil.example) | pipe",
        "'; DROP TABLE x; --",
        "50% off_shop",
        "आइसक्रीम",
        "Ice " + "very " * 24 + "long",
    ],
)
def test_a_franchise_of_any_name_owes_its_royalty_once(chain: World, name: str) -> None:
    if name != GELATO:
        seed.add_franchise(chain.erpnext, name, group="Metro Partners", rate=10)
    customer = chain.erpnext.documents("Customer", customer_name=name)[0]["name"]
    chain.invoice(customer, "1000")
    first = chain.close("royalties")
    assert first.success
    assert owed(chain.erpnext, customer) == by_rule(chain.erpnext, customer, RATES.get(name, Decimal(10))) > 0
    table = first.metadata("royalties")["documents"].value
    assert "<b>" not in table
    assert {line.count("|") for line in table.splitlines()} == {5}
    chain.erpnext.requests.reset()
    assert chain.close("royalties").success
    assert chain.erpnext.requests.writes == 0


# -- what stops everything, and what stops one ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"income_account": "Nowhere - SJ"}, "there is no Account 'Nowhere - SJ'"),
        ({"income_account": "Direct Income - SJ"}, "is a group and cannot be posted to"),
        ({"receivable_account": "Cash - SJ"}, "not Receivable"),
        ({"cost_center": "Nowhere - SJ"}, "there is no Cost Center 'Nowhere - SJ'"),
        ({"company": "Scoop"}, "there is no Company 'Scoop'"),
    ],
)
def test_a_wrong_account_posts_nothing_and_is_one_sentence(
    chain: World, options: dict[str, str], message: str
) -> None:
    chain.a_day()
    chain.options = options
    chain.erpnext.requests.reset()
    day = chain.close("royalties")
    assert not day.success
    assert chain.erpnext.requests.writes == 0
    (row,) = day.exceptions("royalties")
    assert message in row["message"]
    assert "Traceback" not in row["message"]


def test_one_franchise_that_erpnext_refuses_hides_nobody(
    chain: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A customer is disabled after the plan was made and before its entry is posted."""
    chain.a_day()
    entry_document = royalty_entries.entry_document

    def disable_then_write(site: Any, books: Any, action: Any, *days: Any) -> Any:
        if action.royalty.customer == INDIRANAGAR:
            change(chain.erpnext, "Customer", INDIRANAGAR, disabled=1)
        return entry_document(site, books, action, *days)

    monkeypatch.setattr(royalty_entries, "entry_document", disable_then_write)
    day = chain.close("royalties")
    assert not day.success
    (row,) = day.exceptions("royalties")
    assert row["who"] == INDIRANAGAR
    assert f"PartyDisabled: Customer {INDIRANAGAR} is disabled" in row["message"]
    assert chain.owed() == chain.expected() | {INDIRANAGAR: Decimal(0)}


@pytest.mark.parametrize(
    "kind",
    [
        "refused_before_commit",
        "committed_never_answered",
        "reset_in_body",
        "deadlock",
        "bad_gateway_before_commit",
        "bad_gateway_after_commit",
    ],
)
@pytest.mark.parametrize(("batch", "nth"), [(1, 1), (1, 3), (1, 5), (3, 2), (100, 1)])
def test_a_fault_on_any_entry_leaves_each_posted_once(chain: World, kind: str, batch: int, nth: int) -> None:
    chain.options = {"royalty_batch": batch}
    chain.a_day()
    rule = chain.erpnext.faults.add(kind, method="POST", path=INSERT, nth=nth)
    day = chain.close("royalties")
    assert day.success
    assert rule.hit == 1
    settled(chain)
    assert len(entries(chain.erpnext)) == 5


def test_a_run_that_dies_in_the_middle_is_finished_by_the_next(
    chain: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain.options = {"royalty_batch": 1, "royalty_series": ["SJ-ROY-A-.YYYY.-"]}
    chain.a_day()
    call = Client.call
    posted: list[str] = []

    def die_after_two(client: Client, method: str, *args: Any, **options: Any) -> Any:
        if method == "frappe.client.insert_many":
            if len(posted) == 2:
                raise KeyError("the process is gone")
            posted.append(method)
        return call(client, method, *args, **options)

    with monkeypatch.context() as patched:
        patched.setattr(Client, "call", die_after_two)
        assert not chain.close("royalties").success
    assert len(entries(chain.erpnext)) == 2
    again = chain.close("royalties")
    assert again.success
    settled(chain)
    assert (again.outcome("royalties")["written"], again.outcome("royalties")["adopted"]) == (3, 2)


def test_two_runs_at_once_post_each_entry_once(chain: World, monkeypatch: pytest.MonkeyPatch) -> None:
    chain.a_day()
    both_planned = threading.Barrier(2)
    entry_document = royalty_entries.entry_document
    met = threading.local()

    def meet_then_write(*args: Any) -> Any:
        if not getattr(met, "yes", False):
            met.yes = True
            both_planned.wait(10)
        return entry_document(*args)

    monkeypatch.setattr(royalty_entries, "entry_document", meet_then_write)
    outcomes = []

    def work() -> None:
        with chain.site() as site:
            outcomes.append(post(chain, site))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    settled(chain)
    assert len(entries(chain.erpnext)) == 5
    assert [outcome.failed for outcome in outcomes] == [False, False]
    assert sum(outcome.written for outcome in outcomes) == 5
    assert sum(outcome.adopted for outcome in outcomes) == 5


# -- again, and later ----------------------------------------------------------------------------------------


def test_a_re_run_adopts_everything_and_writes_nothing(chain: World) -> None:
    chain.a_day()
    assert chain.close("royalties").success
    chain.erpnext.requests.reset()
    again = chain.close("royalties")
    assert again.success
    assert chain.erpnext.requests.writes == 0
    outcome = again.outcome("royalties")
    assert (outcome["written"], outcome["adopted"], outcome["skipped"]) == (0, 5, 1)
    assert Decimal(outcome["amount"]) == sum(chain.owed().values())


@pytest.mark.parametrize("late", ["invoice", "return", "cancel"])
def test_a_late_change_is_followed_by_one_signed_adjustment(chain: World, late: str) -> None:
    made = chain.a_day()
    assert chain.close("royalties").success
    (first,) = entries(chain.erpnext, THANE)
    match late:
        case "invoice":
            chain.invoice(THANE, "250.01")
        case "return":
            chain.invoice(THANE, "250.01", is_return=True)
        case "cancel":
            (back,) = (
                doc["name"] for doc in chain.erpnext.documents("Sales Invoice", customer=THANE, is_return=1)
            )
            seed.cancel_document(chain.erpnext, "Sales Invoice", back)
            seed.cancel_document(chain.erpnext, "Sales Invoice", made[THANE])
    day = chain.close("royalties")
    assert day.success
    assert day.outcome("royalties")["written"] == 1
    assert owed(chain.erpnext, THANE) == by_rule(chain.erpnext, THANE, RATES[THANE])
    before, adjustment = entries(chain.erpnext, THANE)
    assert before["modified"] == first["modified"]
    assert adjustment[KEY_FIELD] == f"royalty:ScoopJoy:{DAY}:{THANE}:1"
    assert adjustment[royalty_entries.ENTRY_ADJUSTS_FIELD] == first["name"]
    reason = adjustment[royalty_entries.ENTRY_REASON_FIELD]
    assert adjustment["user_remark"] == (
        f"Royalty for {THANE} on {DAY} (adjustment of {first['name']}: {reason})"
    )
    assert adjustment[RUN_FIELD] == day.result.run_id
    assert all(row[side] >= 0 for row in adjustment["accounts"] for side in ("debit", "credit"))
    assert ledger_balance(chain.erpnext) == 0

    chain.erpnext.requests.reset()
    assert chain.close("royalties").success
    assert chain.erpnext.requests.writes == 0


def test_changes_upon_changes_are_adjustments_of_the_first_entry(chain: World) -> None:
    chain.a_day()
    for amount, back in (("100", False), ("33.33", False), ("100", True), ("5000", True)):
        assert chain.close("royalties").success
        settled(chain)
        chain.invoice(THANE, amount, is_return=back)
    assert chain.close("royalties").success
    settled(chain)
    found = entries(chain.erpnext, THANE)
    assert [entry[KEY_FIELD][-1] for entry in found] == ["0", "1", "2", "3", "4"]
    assert {entry[royalty_entries.ENTRY_ADJUSTS_FIELD] for entry in found[1:]} == {found[0]["name"]}
    assert owed(chain.erpnext, THANE) == 0  # a negative day owes nothing


def test_an_entry_that_a_person_cancelled_stays_cancelled_and_is_said(chain: World) -> None:
    chain.a_day()
    assert chain.close("royalties").success
    (entry,) = entries(chain.erpnext, THANE)
    seed.cancel_document(chain.erpnext, "Journal Entry", entry["name"])
    chain.erpnext.requests.reset()
    day = chain.close("royalties")
    assert not day.success
    assert chain.erpnext.requests.writes == 0
    (row,) = day.exceptions("royalties")
    assert (row["what"], row["who"]) == ("royalty entry cancelled by a person", THANE)
    assert entry["name"] in row["message"]
    assert "72.50" in row["message"]


def test_a_cancelled_entry_of_a_franchise_that_owes_nothing_any_more_is_fine(chain: World) -> None:
    chain.a_day()
    assert chain.close("royalties").success
    seed.cancel_document(chain.erpnext, "Journal Entry", entries(chain.erpnext, THANE)[0]["name"])
    change(chain.erpnext, "Customer", THANE, custom_royalty_exempt=1)
    assert chain.close("royalties").success


def test_an_entry_that_a_person_amended_to_the_right_amount_is_adopted(chain: World) -> None:
    chain.a_day()
    assert chain.close("royalties").success
    (entry,) = entries(chain.erpnext, THANE)
    seed.cancel_document(chain.erpnext, "Journal Entry", entry["name"])
    amend(chain.erpnext, entry["name"], Decimal("72.50"))
    chain.erpnext.requests.reset()
    day = chain.close("royalties")
    assert day.success
    assert chain.erpnext.requests.writes == 0
    settled(chain)


def test_an_amendment_that_is_still_a_draft_is_to_be_submitted(chain: World) -> None:
    chain.a_day()
    assert chain.close("royalties").success
    (entry,) = entries(chain.erpnext, THANE)
    seed.cancel_document(chain.erpnext, "Journal Entry", entry["name"])
    heir = amend(chain.erpnext, entry["name"], Decimal("72.50"), docstatus=0)
    day = chain.close("royalties")
    (row,) = day.exceptions("royalties")
    assert (row["what"], row["who"]) == ("royalty entry left as a draft by a person", THANE)
    assert row["action"].startswith(f"Submit {heir} in ERPNext")
    change(chain.erpnext, "Journal Entry", heir, docstatus=1)
    assert chain.close("royalties").success
    settled(chain)


def adjustments(chain: World) -> list[tuple[Decimal, str]]:
    """Amount of each adjustment of the franchise at Thane, and which entry it adjusts."""
    return [
        (exact(doc["accounts"][0]["debit"]) - exact(doc["accounts"][0]["credit"]), doc[ADJUSTS])
        for doc in entries(chain.erpnext, THANE)
        if doc["docstatus"] == 1 and doc[ADJUSTS]
    ]


ADJUSTS = royalty_entries.ENTRY_ADJUSTS_FIELD


@pytest.mark.parametrize("added", ["100", "-2.50"])
def test_what_a_person_changed_by_amending_an_entry_stands_until_a_person_takes_it_back(
    chain: World, added: str
) -> None:
    chain.a_day()
    assert chain.close("royalties").success
    (entry,) = entries(chain.erpnext, THANE)
    seed.cancel_document(chain.erpnext, "Journal Entry", entry["name"])
    heir = amend(chain.erpnext, entry["name"], Decimal("72.50") + Decimal(added))
    for _ in range(2):
        chain.erpnext.requests.reset()
        day = chain.close("royalties")
        assert day.success
        assert chain.erpnext.requests.writes == 0
        (row,) = day.warnings("royalties", "royalty changed by a person")
        assert (row["who"], row["action"]) == (
            THANE,
            f"To go back to the rule, run `scoopjoy close --date {DAY} --re-rate`.",
        )
        assert f"{heir} differ by {Decimal(added):+.2f} from 7.5 % of 966.68" in row["message"]
    assert owed(chain.erpnext, THANE) == Decimal("72.50") + Decimal(added)
    assert carried(chain.erpnext, THANE) == Decimal("72.50")

    chain.invoice(THANE, "1000")
    assert chain.close("royalties").success
    assert owed(chain.erpnext, THANE) == Decimal("147.50") + Decimal(added)
    assert carried(chain.erpnext, THANE) == Decimal("147.50")

    assert chain.close("royalties", launchpad={"close": {"re_rate": True}}).success
    settled(chain)
    assert adjustments(chain) == [(Decimal("75.00"), heir), (-Decimal(added), heir)]
    assert chain.close("royalties").warnings("royalties", "royalty changed by a person") == []
    settled(chain)


def test_an_amount_that_is_not_an_amendment_is_put_right(chain: World) -> None:
    """Somebody changed an entry and its ledger in the database."""
    chain.a_day()
    assert chain.close("royalties").success
    (entry,) = entries(chain.erpnext, THANE)
    with chain.erpnext.site.transaction():
        for table, of_entry in (("GL Entry", "voucher_no"), ("Journal Entry Account", "parent")):
            for column in ("debit", "credit"):
                chain.erpnext.site.db.run(
                    f'UPDATE "tab{table}" SET {column} = 172.5 WHERE {of_entry} = ? AND {column} > 0',
                    (entry["name"],),
                )
    assert chain.close("royalties").success
    settled(chain)
    assert adjustments(chain) == [(Decimal(-100), entry["name"])]


def test_a_person_s_own_journal_entry_for_a_franchise_is_none_of_our_business(chain: World) -> None:
    from scoopjoy_dagster_tests.world import insert

    chain.a_day()
    insert(
        chain.erpnext,
        "Journal Entry",
        voucher_type="Journal Entry",
        company="ScoopJoy",
        posting_date=DAY.isoformat(),
        docstatus=1,
        accounts=[
            {
                "account": "Debtors - SJ",
                "party_type": "Customer",
                "party": THANE,
                "debit_in_account_currency": 11,
            },
            {"account": "Royalty Income - SJ", "credit_in_account_currency": 11, "cost_center": "Main - SJ"},
        ],
    )
    assert chain.close("royalties").success
    assert owed(chain.erpnext, THANE) == Decimal("72.50") + 11


def test_the_cost_in_requests_does_not_grow_with_the_franchises(chain: World) -> None:
    chain.a_day()
    assert chain.close("royalties").success
    chain.erpnext.requests.reset()
    few = chain.close("royalties").outcome("royalties")["requests"]
    for number in range(30):
        seed.add_franchise(chain.erpnext, f"Outlet {number}", rate=5)
    many = chain.close("royalties").outcome("royalties")["requests"]
    assert many == few


def test_a_naming_series_of_its_own_is_used(chain: World) -> None:
    chain.options = {"royalty_series": ["SJ-ROY-.YYYY.-"]}
    chain.a_day()
    assert chain.close("royalties").success
    assert all(entry["name"].startswith("SJ-ROY-2026-") for entry in entries(chain.erpnext))


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    number=st.integers(0, 2**16),
    amounts=st.lists(
        st.tuples(st.sampled_from(FRANCHISES), st.integers(1, 10**8), st.booleans()), min_size=1, max_size=12
    ),
)
def test_any_day_on_any_bad_network_ends_with_the_ledger_equal_to_the_rule(
    chain_template, number: int, amounts: list[tuple[str, int, bool]]
) -> None:
    with started_site(chain_template) as site:
        chain = World(site, instance=None)  # type: ignore[arg-type]
        for customer, paise, is_return in amounts:
            chain.invoice(customer, str(Decimal(paise) / 100), is_return=is_return)
        site.faults.reseed(number)
        for kind in ("committed_never_answered", "deadlock", "reset_in_body", "refused_before_commit"):
            site.faults.add(kind, probability=0.08)
        for _ in range(2):
            # Whatever a bad network does to a run, it fails as our errors do, and the next one finishes the day.
            with contextlib.suppress(ERPNextError), chain.site() as opened:
                post(chain, opened)
        site.faults.clear()
        with chain.site() as opened:
            last = post(chain, opened)
        assert not last.failed
        settled(chain)
        keys = [entry[KEY_FIELD] for entry in entries(site)]
        assert len(keys) == len(set(keys)) == sum(1 for due in chain.expected().values() if due)
