"""The shares in the royalty entries: seen in each sale at once, whatever happens to sales, entries and requests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from scoopjoy_dagster.accounting.policy import RoyaltyPolicy
from scoopjoy_dagster.cli.verify import verify
from scoopjoy_dagster.erpnext.royalty_shares import TABLE
from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster_tests.world import (
    BANJARA,
    DAY,
    FRANCHISES,
    INDIRANAGAR,
    NO_ROYALTY,
    NOW,
    RATES,
    THANE,
    World,
    carried,
    change,
    entries,
    exact,
    ledger_balance,
    owed,
    shown,
)

INSERT = "/api/method/frappe.client.insert_many"


@pytest.fixture
def closed(chain: World) -> World:
    """An ordinary day whose royalties and statements are there."""
    chain.a_day()
    assert chain.close().success
    return chain


@contextmanager
def later(chain: World, hours: int = 1) -> Iterator[None]:
    with seed.at(chain.erpnext, NOW + timedelta(hours=hours)):
        yield


def sales(chain: World, customer: str = THANE) -> list[str]:
    found = chain.erpnext.documents("Sales Invoice", customer=customer, posting_date=DAY.isoformat())
    return [doc["name"] for doc in found]


def amounts(chain: World, customer: str = THANE) -> list[Decimal]:
    """The share that each sale shows, oldest sale first."""
    return [shown(chain.erpnext, name)[1] for name in sales(chain, customer)]


def rows(entry: dict[str, Any]) -> list[tuple[str, Decimal, Decimal]]:
    """The rows of an entry: sale, base, share."""
    return [
        (row["document"], exact(row["royalty_base"]), exact(row["royalty_share"])) for row in entry[TABLE]
    ]


def differences(chain: World) -> list[tuple[str, str]]:
    """What `scoopjoy verify` says of the day."""
    with chain.site() as site:
        found = verify(site, RoyaltyPolicy(), DAY, DAY, headquarters=False, tell=lambda *_: None)
    return [(one.who, one.what) for one in found.differences]


def right(chain: World) -> None:
    """Another run writes nothing, all control totals are green, and `verify` is silent."""
    chain.erpnext.requests.reset()
    again = chain.close()
    assert again.success
    assert chain.erpnext.requests.writes == 0
    assert all(one.passed for one in again.result.get_asset_check_evaluations())
    assert differences(chain) == []
    assert ledger_balance(chain.erpnext) == 0


def test_the_entry_of_a_first_close_carries_every_sale_of_the_day(closed: World) -> None:
    (entry,) = entries(closed.erpnext, THANE)
    assert rows(entry) == [
        (name, Decimal(base), Decimal(share))
        for name, base, share in zip(
            sales(closed), ("1000.01", "66.67", "-100.00"), ("75.00", "5.00", "-7.50"), strict=True
        )
    ]
    assert {(row["business_day"], row["franchise"], row["document_type"]) for row in entry[TABLE]} == {
        (DAY.isoformat(), THANE, "Sales Invoice")
    }
    for customer in FRANCHISES:
        assert sum(amounts(closed, customer)) == owed(closed.erpnext, customer)
    right(closed)


def test_a_late_sale_and_a_cancelled_one_are_rows_of_the_adjustment_and_nothing_else_changes(
    closed: World,
) -> None:
    first, second, back = sales(closed)
    (entry,) = entries(closed.erpnext, THANE)
    late = closed.invoice(THANE, "40")
    seed.cancel_document(closed.erpnext, "Sales Invoice", second)
    assert closed.close("royalties").success
    before, adjustment = entries(closed.erpnext, THANE)
    assert before[TABLE] == entry[TABLE]
    assert sorted(rows(adjustment)) == sorted(
        [(late, Decimal(40), Decimal("3.00")), (second, Decimal("-66.67"), Decimal("-5.00"))]
    )
    both = f"{entry['name']}, {adjustment['name']}"
    rate = RATES[THANE]
    assert {name: shown(closed.erpnext, name) for name in sales(closed)} == {
        first: (rate, Decimal("75.00"), entry["name"]),
        second: (rate, Decimal("0.00"), both),
        back: (rate, Decimal("-7.50"), entry["name"]),
        late: (rate, Decimal("3.00"), adjustment["name"]),
    }
    assert closed.close().success
    right(closed)


def test_a_sale_that_is_cancelled_and_amended_to_the_same_total_takes_over_the_share_for_nothing(
    closed: World,
) -> None:
    gone = sales(closed)[0]
    balance = owed(closed.erpnext, THANE)
    with later(closed):
        seed.cancel_document(closed.erpnext, "Sales Invoice", gone)
        new = closed.invoice(THANE, "1000.01")
    assert differences(closed) == [(THANE, "shares lie on other sales")]
    with later(closed, 2):
        run = closed.close()
    assert run.success
    entry, adjustment = entries(closed.erpnext, THANE)
    assert sorted(rows(adjustment)) == sorted(
        [(new, Decimal("1000.01"), Decimal("75.00")), (gone, Decimal("-1000.01"), Decimal("-75.00"))]
    )
    assert [
        (row["account"], row["party"], exact(row["debit"]), exact(row["credit"]))
        for row in adjustment["accounts"]
    ] == [("Debtors - SJ", THANE, Decimal(75), Decimal(0)), ("Debtors - SJ", THANE, Decimal(0), Decimal(75))]
    assert owed(closed.erpnext, THANE) == balance
    assert shown(closed.erpnext, gone)[1] == 0
    assert shown(closed.erpnext, new) == (RATES[THANE], Decimal("75.00"), adjustment["name"])
    assert run.outcome("royalties")["written"] == 1
    assert [statement["attached_to_name"] for statement in statements(closed, entry, adjustment)] == [
        entry["name"]
    ]
    right(closed)


def statements(chain: World, *posted: dict[str, Any]) -> list[dict[str, Any]]:
    names = {one["name"] for one in posted}
    return [doc for doc in chain.erpnext.documents("File") if doc["attached_to_name"] in names]


def look_at(chain: World) -> None:
    """A person saves the sales of the day later, as they are; so did earlier versions, for the shares."""
    with later(chain):
        for name in sales(chain):
            change(chain.erpnext, "Sales Invoice", name, po_no="seen by a person")


def test_a_sale_that_was_only_looked_at_moves_nothing(closed: World) -> None:
    look_at(closed)
    right(closed)


# -- entries without rows -------------------------------------------------------------------------------------------


def without_rows(chain: World, *customers: str) -> list[str]:
    """Their entries as an earlier version posted them. Returns their names."""
    names = [entry["name"] for customer in customers for entry in entries(chain.erpnext, customer)]
    with chain.erpnext.site.transaction():
        for name in names:
            chain.erpnext.site.db.run('DELETE FROM "tabRoyalty Share" WHERE parent = ?', (name,))
    return names


def test_entries_without_rows_are_adopted_and_named_and_the_next_adjustment_brings_the_shares(
    closed: World,
) -> None:
    without_rows(closed, THANE, BANJARA)
    closed.erpnext.requests.reset()
    run = closed.close()
    assert run.success
    assert closed.erpnext.requests.writes == 0
    total = run.check("do_the_shares_add_up")
    assert total.passed
    assert set(str(total.metadata["franchises_without_shares"].value).split(", ")) == {THANE, BANJARA}
    assert {shown(closed.erpnext, name) for name in sales(closed)} == {NO_ROYALTY}
    assert differences(closed) == []
    look_at(closed)
    assert closed.close().outcome("royalties")["written"] == 0

    closed.invoice(THANE, "1000")
    run = closed.close()
    assert run.success
    assert run.check("do_the_shares_add_up").metadata["franchises_without_shares"].value == BANJARA
    assert amounts(closed) == [Decimal(share) for share in ("75.00", "5.00", "-7.50", "75.00")]
    assert carried(closed.erpnext, THANE) == owed(closed.erpnext, THANE) == Decimal("147.50")
    assert "added" not in entries(closed.erpnext, THANE)[1]["custom_scoopjoy_reason"]  # it is not known
    assert run.check("do_the_shares_add_up").passed
    right(closed)
    with later(closed, 3):
        last = closed.invoice(THANE, "40")
    assert closed.close("royalties").success
    assert rows(entries(closed.erpnext, THANE)[2]) == [(last, Decimal(40), Decimal("3.00"))]


# -- other writers, and requests that are lost ------------------------------------------------------------------------


def test_sales_that_change_between_their_sums_and_themselves_wait_for_the_next_run_alone(
    chain: World,
) -> None:
    chain.a_day()
    chain.erpnext.faults.add(
        "meanwhile",
        path="get_list",
        doctype="Sales Invoice",
        nth=2,
        hook=lambda _: chain.invoice(INDIRANAGAR, "10"),
    )
    run = chain.close("royalties")
    assert not run.success
    (row,) = run.exceptions("royalties")
    assert (row["what"], row["who"], row["passes"]) == (
        "sales changed while they were read",
        INDIRANAGAR,
        True,
    )
    assert run.failure("royalties").user_failure_data is not None
    before = {name: amount for name, amount in chain.expected().items() if name != INDIRANAGAR}
    assert chain.owed() == {**before, INDIRANAGAR: Decimal(0)}
    assert all(carried(chain.erpnext, name) == amount for name, amount in before.items())

    assert chain.close().success
    assert chain.owed() == chain.expected()
    assert amounts(chain, INDIRANAGAR) == [Decimal("16.67"), Decimal("0.50")]
    right(chain)


def test_an_adjustment_whose_sales_change_meanwhile_is_refused_and_the_others_are_posted(
    closed: World,
) -> None:
    closed.invoice(THANE, "100")
    closed.invoice(BANJARA, "100")
    closed.erpnext.faults.add(
        "meanwhile",
        path="get_list",
        doctype="Sales Invoice",
        nth=2,
        hook=lambda _: seed.cancel_document(closed.erpnext, "Sales Invoice", sales(closed)[1]),
    )
    run = closed.close("royalties")
    (row,) = run.exceptions("royalties")
    assert (row["who"], row["passes"]) == (THANE, True)
    assert (owed(closed.erpnext, THANE), owed(closed.erpnext, BANJARA)) == (
        Decimal("72.50"),
        Decimal("225.46"),
    )
    assert closed.close().success
    assert owed(closed.erpnext, THANE) == carried(closed.erpnext, THANE) == Decimal("75.00")
    right(closed)


@pytest.mark.parametrize(
    "kind",
    ["committed_never_answered", "reset_in_body", "refused_before_commit", "bad_gateway_after_commit"],
)
def test_an_adjustment_whose_answer_is_lost_is_adopted_with_its_rows(closed: World, kind: str) -> None:
    late = closed.invoice(THANE, "40")
    rule = closed.erpnext.faults.add(kind, path=INSERT, doctype="Journal Entry")
    assert closed.close().success
    assert rule.hit == 1
    _, adjustment = entries(closed.erpnext, THANE)
    assert rows(adjustment) == [(late, Decimal(40), Decimal("3.00"))]
    assert shown(closed.erpnext, late) == (RATES[THANE], Decimal("3.00"), adjustment["name"])
    right(closed)


@pytest.mark.parametrize("kind", ["kill_before_commit", "kill_after_commit"])
@pytest.mark.parametrize("nth", [1, 2])
def test_a_run_that_is_gone_while_it_posts_is_finished_by_the_next_and_no_row_is_there_twice(
    chain: World, kind: str, nth: int
) -> None:
    """The process is gone: neither the request is repeated nor the rest of the run carried out."""
    chain.options = {"royalty_batch": 2, "royalty_series": ["SJ-ROY-A-.YYYY.-"], "attempts": 1}
    chain.a_day()
    gone: list[str] = []

    def die(_: Any) -> None:
        gone.append(kind)
        for request in ("POST", "GET"):
            chain.erpnext.faults.add("refused_before_commit", method=request, times=None)

    chain.erpnext.faults.add(kind, path=INSERT, doctype="Journal Entry", nth=nth, hook=die)
    assert not chain.close("royalties").success
    assert gone == [kind]
    chain.erpnext.faults.clear()
    posted = entries(chain.erpnext)
    assert bool(posted) == ((kind, nth) != ("kill_before_commit", 1))
    assert len(posted) < 5
    assert all(entry[TABLE] for entry in posted)

    assert chain.close().success
    assert chain.owed() == chain.expected()
    for customer in FRANCHISES:
        assert carried(chain.erpnext, customer) == owed(chain.erpnext, customer)
        names = sorted(name for entry in entries(chain.erpnext, customer) for name, *_ in rows(entry))
        assert all(one != other for one, other in pairwise(names))
    right(chain)
