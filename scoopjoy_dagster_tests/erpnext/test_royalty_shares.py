"""The rows of royalty entries, written and read over a socket: each row of each entry to the paisa, and what sales show of them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from scoopjoy_dagster.accounting.shares import Share
from scoopjoy_dagster.erpnext.royalty_shares import TABLE, share_totals, shares_of, table_rows
from scoopjoy_dagster.erpnext.site import Site
from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext
from scoopjoy_dagster_tests.world import DAY, THANE, by_hand

SI, POS = "Sales Invoice", "POS Invoice"
SALES = [
    Share((SI, "A-1"), Decimal("1000.01"), Decimal("75.00")),
    Share((POS, "A-1"), Decimal("0.10"), Decimal("0.01")),
    Share((SI, "R-1"), Decimal("-66.67"), Decimal("-5.00")),
]
"""Two documents of one name, and a return."""


@pytest.fixture
def site(client: Any) -> Site:
    return Site.open(client.session)


def post(erp: SandboxERPNext, shares: list[Share], **fields: Any) -> str:
    """A Journal Entry with these rows; returns its name."""
    return by_hand(erp, THANE, DAY, **{TABLE: table_rows(shares, DAY, THANE)}, **fields)


def of(entry: str, shares: list[Share]) -> list[Share]:
    return [Share(one.document, one.base, one.share, entry) for one in shares]


def test_a_row_says_which_sale_of_which_day_and_franchise() -> None:
    first, *_ = table_rows(SALES, DAY, THANE)
    assert first == {
        "document_type": SI,
        "document": "A-1",
        "business_day": "2026-11-22",
        "franchise": THANE,
        "royalty_base": Decimal("1000.01"),
        "royalty_share": Decimal("75.00"),
    }


def test_what_was_posted_is_read_back_in_order_and_by_entry(erp: SandboxERPNext, site: Site) -> None:
    first, second, bare = post(erp, SALES), post(erp, SALES[::-1]), post(erp, [])
    erp.requests.reset()
    assert shares_of(site, [second, first, bare]) == {
        first: of(first, SALES),
        second: of(second, SALES[::-1]),
    }
    assert erp.requests.total == 1


def test_the_server_adds_up_the_shares_of_each_entry(erp: SandboxERPNext, site: Site) -> None:
    tenths = [Share((SI, f"T-{number}"), Decimal(1), Decimal("0.10")) for number in range(300)]
    first, many, bare = post(erp, SALES), post(erp, tenths), post(erp, [])
    other = post(erp, SALES)
    assert share_totals(site, [first, many, bare]) == {first: Decimal("70.01"), many: Decimal("30.00")}
    assert other not in share_totals(site, [first])


def test_shares_that_cancel_each_other_out_are_a_sum_of_nothing_and_not_no_shares(
    erp: SandboxERPNext, site: Site
) -> None:
    """As an adjustment of 0.00 carries them."""
    moved = [
        Share((SI, "OLD"), Decimal(-100), Decimal("-7.50")),
        Share((SI, "NEW"), Decimal(100), Decimal("7.50")),
    ]
    entry = post(erp, moved)
    assert share_totals(site, [entry]) == {entry: Decimal(0)}
    assert shares_of(site, [entry]) == {entry: of(entry, moved)}


def test_more_rows_than_a_page_are_all_read(erp: SandboxERPNext, site: Site) -> None:
    rows = [Share((SI, f"P-{number:04d}"), Decimal(2), Decimal("0.15")) for number in range(1234)]
    entry = post(erp, rows)
    assert shares_of(site, [entry]) == {entry: of(entry, rows)}
    assert share_totals(site, [entry]) == {entry: Decimal("185.10")}


def test_without_an_entry_nothing_is_asked(erp: SandboxERPNext, site: Site) -> None:
    erp.requests.reset()
    assert shares_of(site, []) == {}
    assert share_totals(site, []) == {}
    assert erp.requests.total == 0


def test_a_row_that_names_no_document_is_not_read(erp: SandboxERPNext, site: Site) -> None:
    entry = by_hand(erp, THANE, DAY, **{TABLE: [{"business_day": DAY.isoformat()}]})
    assert shares_of(site, [entry]) == {}


# -- what a sale shows ----------------------------------------------------------------------------------------------


def shown(site: Site, invoice: str) -> tuple[Decimal, Decimal, str]:
    found = site.client.get(SI, invoice)
    rate, share, entry = (found[f"custom_sale_royalty_{what}"] for what in ("rate", "share", "entry"))
    return Decimal(str(rate)), Decimal(str(share)), entry


def test_a_sale_shows_the_rows_of_the_entries_that_stand_and_the_rate_of_the_newest(
    erp: SandboxERPNext, site: Site
) -> None:
    invoice = seed.add_invoice(erp, THANE, DAY, "1000")
    assert shown(site, invoice) == (0, 0, "")
    first = post(erp, [Share((SI, invoice), Decimal(1000), Decimal(75))], custom_royalty_rate=7.5)
    assert shown(site, invoice) == (Decimal("7.5"), 75, first)
    with seed.at(erp, erp.site.clock().replace(hour=9)):
        second = post(erp, [Share((SI, invoice), Decimal(0), Decimal("2.50"))], custom_royalty_rate=7.75)
    assert shown(site, invoice) == (Decimal("7.75"), Decimal("77.5"), f"{first}, {second}")
    seed.cancel_document(erp, "Journal Entry", second)
    assert shown(site, invoice) == (Decimal("7.5"), 75, first)
    seed.cancel_document(erp, "Journal Entry", first)
    assert shown(site, invoice) == (0, 0, "")


def test_a_draft_and_a_pos_invoice_of_the_same_name_are_no_share_of_a_sale(
    erp: SandboxERPNext, site: Site
) -> None:
    invoice = seed.add_invoice(erp, THANE, DAY, "1000")
    post(erp, [Share((SI, invoice), Decimal(1000), Decimal(75))], docstatus=0)
    post(erp, [Share((POS, invoice), Decimal(1000), Decimal(75))])
    assert shown(site, invoice) == (0, 0, "")


def test_an_entry_with_shares_is_in_nobodys_way_who_cancels_his_invoice(
    erp: SandboxERPNext, site: Site
) -> None:
    invoice = seed.add_invoice(erp, THANE, DAY, "1000")
    entry = post(erp, [Share((SI, invoice), Decimal(1000), Decimal(75))])
    seed.cancel_document(erp, SI, invoice)
    assert shares_of(site, [entry]) == {entry: [Share((SI, invoice), Decimal(1000), Decimal(75), entry)]}
