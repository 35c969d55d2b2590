"""`invoices`: every sale shows its share, the shares add up, and every royalty has its statement, once."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from pypdf import PdfReader

from scoopjoy_dagster.erpnext import statement_files
from scoopjoy_dagster.erpnext.statement_files import StatementFile
from scoopjoy_dagster.reporting.numbers import money
from scoopjoy_dagster_tests.world import (
    BANJARA,
    DAY,
    FRANCHISES,
    HEBBAL,
    NO_ROYALTY,
    RATES,
    THANE,
    World,
    carried,
    change,
    entries,
    exact,
    owed,
    shown,
)

MANY = "/api/method/frappe.client.insert_many"


@pytest.fixture
def settled(chain: World) -> World:
    """An ordinary day whose royalties are posted."""
    chain.a_day()
    assert chain.close("royalties").success
    return chain


def sales(chain: World, customer: str) -> list[dict[str, Any]]:
    return [
        doc
        for doc in chain.erpnext.documents("Sales Invoice", customer=customer, posting_date=DAY.isoformat())
        if doc["docstatus"] == 1
    ]


def shares(chain: World, customer: str) -> dict[str, tuple[Decimal, Decimal, str]]:
    """What each sale of a customer shows: rate, share, entries."""
    return {doc["name"]: shown(chain.erpnext, doc["name"]) for doc in sales(chain, customer)}


def statements(chain: World, entry: str) -> list[dict[str, Any]]:
    return chain.erpnext.documents("File", attached_to_name=entry)


def attach(chain: World, file: StatementFile) -> None:
    with chain.site() as site:
        assert list(statement_files.attach_all(site, [file], company="ScoopJoy", day=DAY)) == [(file, None)]


def pdf_text(chain: World, file: dict[str, Any]) -> str:
    with chain.site() as site:
        content = site.client.session.download(file["file_url"], doing="read the statement")
    return "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(content)).pages)


def test_every_sale_shows_its_royalty_as_soon_as_it_is_posted_and_the_shares_add_up(settled: World) -> None:
    for customer in FRANCHISES:
        found = shares(settled, customer)
        assert found
        assert sum(share for _, share, _ in found.values()) == owed(settled.erpnext, customer)
        posted = entries(settled.erpnext, customer)
        named = {(rate, entry) for rate, _, entry in found.values()}
        assert named == {(RATES[customer], one["name"]) for one in posted} or customer == HEBBAL
    assert [share for _, share, _ in shares(settled, THANE).values()] == [
        Decimal("75.00"),
        Decimal("5.00"),
        Decimal("-7.50"),
    ]
    before = settled.erpnext.documents("Sales Invoice")
    outcome = settled.close("invoices").outcome("invoices")
    assert Decimal(outcome["amount"]) == sum(settled.owed().values())
    assert (outcome["seen"], outcome["written"]) == (5, 5)
    assert settled.erpnext.documents("Sales Invoice") == before


def test_a_re_run_writes_nothing(settled: World) -> None:
    assert settled.close("invoices").success
    settled.erpnext.requests.reset()
    again = settled.close("invoices")
    assert again.success
    assert settled.erpnext.requests.writes == 0
    assert again.outcome("invoices")["written"] == 0
    assert again.metadata("invoices")["statements"].value == 5


def other_policy(chain: World) -> None:
    chain.policy = {"base": "net_total"}


@pytest.mark.parametrize("sold_since", ["0", "500"])
@pytest.mark.parametrize(
    "what",
    [
        lambda chain: change(chain.erpnext, "Customer", THANE, customer_group="Commercial"),
        lambda chain: change(chain.erpnext, "Customer", THANE, disabled=1),
        other_policy,
    ],
    ids=["moved out", "disabled", "another policy"],
)
def test_what_was_posted_keeps_its_shares_and_gets_its_statement_whatever_has_become_of_the_franchise(
    settled: World, what: Callable[[World], None], sold_since: str
) -> None:
    """The royalties are posted; before `invoices` runs, the franchise leaves or the policy changes, and sales come."""
    before = shares(settled, THANE)
    since = {settled.invoice(THANE, sold_since): NO_ROYALTY} if Decimal(sold_since) else {}
    what(settled)
    assert settled.close("invoices").success
    assert carried(settled.erpnext, THANE) == owed(settled.erpnext, THANE) == Decimal("72.50")
    assert shares(settled, THANE) == {**before, **since}
    (entry,) = entries(settled.erpnext, THANE)
    (file,) = statements(settled, entry["name"])
    assert "72.50" in pdf_text(settled, file)
    again = settled.close("royalties", "invoices")
    assert [again.outcome(asset)["written"] for asset in ("royalties", "invoices")] == [0, 0]


def test_sales_to_others_show_no_royalty(settled: World) -> None:
    other = settled.invoice("Hotel Blue Lagoon", "100")
    assert settled.close("royalties", "invoices").success
    assert shown(settled.erpnext, other) == NO_ROYALTY


def test_a_statement_is_attached_to_each_entry_once_and_is_private(settled: World) -> None:
    assert settled.close("invoices").success
    posted = entries(settled.erpnext)
    assert len(settled.erpnext.documents("File")) == len(posted) == 5
    for entry in posted:
        (file,) = statements(settled, entry["name"])
        assert (file["is_private"], file["attached_to_doctype"]) == (1, "Journal Entry")
        assert file["file_name"].startswith(f"royalty-statement-{DAY}-{entry['name']}-")
        assert file["file_url"].startswith("/private/")
    text = pdf_text(settled, statements(settled, entries(settled.erpnext, THANE)[0]["name"])[0])
    for expected in (THANE, "72.50", "966.68", "7.5"):
        assert expected in text


def test_shares_and_statements_follow_an_adjustment(settled: World) -> None:
    assert settled.close("invoices").success
    (first,) = entries(settled.erpnext, THANE)
    (old,) = statements(settled, first["name"])
    others = {file["name"] for file in settled.erpnext.documents("File")} - {old["name"]}
    before = shares(settled, THANE)
    late = settled.invoice(THANE, "1000")
    assert settled.close("royalties", "invoices").success
    adjustment = entries(settled.erpnext, THANE)[1]
    new_sale = {late: (RATES[THANE], Decimal("75.00"), adjustment["name"])}
    assert shares(settled, THANE) == {**before, **new_sale}
    assert carried(settled.erpnext, THANE) == owed(settled.erpnext, THANE) == Decimal("147.50")
    (new,) = statements(settled, first["name"])
    assert new["name"] != old["name"]
    assert statements(settled, adjustment["name"]) == []
    assert others < {file["name"] for file in settled.erpnext.documents("File")}
    assert "147.50" in pdf_text(settled, new)
    assert adjustment["name"] in pdf_text(settled, new)
    settled.erpnext.requests.reset()
    assert settled.close("royalties", "invoices").success
    assert settled.erpnext.requests.writes == 0


def test_the_sales_of_a_franchise_that_owes_nothing_any_more_show_shares_of_nothing(settled: World) -> None:
    assert settled.close("invoices").success
    change(settled.erpnext, "Customer", THANE, custom_royalty_exempt=1)
    assert settled.close("royalties", "invoices", launchpad={"close": {"re_rate": True}}).success
    assert owed(settled.erpnext, THANE) == 0
    both = ", ".join(one["name"] for one in entries(settled.erpnext, THANE))
    assert set(shares(settled, THANE).values()) == {(Decimal(0), Decimal("0.00"), both)}


@pytest.mark.parametrize(
    "kind",
    [
        "committed_never_answered",
        "reset_in_body",
        "bad_gateway_after_commit",
        "refused_before_commit",
        "deadlock",
    ],
)
@pytest.mark.parametrize(("most", "nth"), [(50, 1), (2, 2), (1, 4)])
def test_a_fault_on_an_upload_leaves_one_file(
    settled: World, monkeypatch: pytest.MonkeyPatch, kind: str, most: int, nth: int
) -> None:
    monkeypatch.setattr(statement_files, "MOST_FILES", most)
    rule = settled.erpnext.faults.add(kind, path=MANY, doctype="File", nth=nth)
    assert settled.close("invoices").success
    assert rule.hit == 1
    for entry in entries(settled.erpnext):
        assert len(statements(settled, entry["name"])) == 1


def test_one_statement_that_cannot_be_attached_hides_nobody(settled: World) -> None:
    # Five are refused, then the first two of them, then the first.
    rule = settled.erpnext.faults.add("permission_lost", path=MANY, doctype="File", times=3)
    day = settled.close("invoices")
    assert rule.hit == 3
    (row,) = day.exceptions("invoices")
    assert row["what"] == "statement not attached"
    assert len(settled.erpnext.documents("File")) == 4
    assert settled.close("invoices").success
    assert len(settled.erpnext.documents("File")) == 5


def test_a_second_copy_of_a_statement_is_removed(settled: World) -> None:
    """Two runs at once may both have uploaded it."""
    assert settled.close("invoices").success
    (entry,) = entries(settled.erpnext, THANE)
    (file,) = statements(settled, entry["name"])
    attach(settled, StatementFile(entry["name"], file["file_name"], b"%PDF-1.4 another"))
    assert len(statements(settled, entry["name"])) == 2
    assert settled.close("invoices").success
    assert [one["name"] for one in statements(settled, entry["name"])] == [file["name"]]


def test_files_of_people_on_an_entry_stay(settled: World) -> None:
    (entry,) = entries(settled.erpnext, THANE)
    attach(settled, StatementFile(entry["name"], "agreed by phone.pdf", b"%PDF-1.4 mine"))
    assert settled.close("invoices").success
    assert len(statements(settled, entry["name"])) == 2


def test_nothing_is_told_of_a_day_whose_royalties_are_not_settled(chain: World) -> None:
    chain.a_day()
    chain.erpnext.requests.reset()
    day = chain.close("invoices")
    assert not day.success
    (row,) = day.exceptions("invoices")
    assert row["what"] == "royalties not settled"
    assert "Materialize royalties for the day first" in row["action"]
    assert chain.erpnext.requests.writes == 0


def test_an_exempt_franchise_has_no_statement(settled: World) -> None:
    assert settled.close("invoices").success
    assert not [file for file in settled.erpnext.documents("File") if HEBBAL in file["file_name"]]
    assert list(shares(settled, HEBBAL).values()) == [NO_ROYALTY]


def test_a_statement_shows_the_month_to_date_of_its_franchise(settled: World) -> None:
    before = DAY - timedelta(days=3)
    settled.invoice(THANE, "2000", before)
    settled.invoice(BANJARA, "4000", before)
    settled.invoice(THANE, "9999", DAY.replace(day=1) - timedelta(days=1))  # last month
    assert settled.close("royalties", day=before).success
    assert settled.close("invoices").success
    base = sum((exact(doc["base_grand_total"]) for doc in sales(settled, THANE)), Decimal(0))
    (first,) = entries(settled.erpnext, THANE)
    (file,) = statements(settled, first["name"])
    text = " ".join(pdf_text(settled, file).split())
    month = [
        exact(doc["base_grand_total"])
        for doc in settled.erpnext.documents(
            "Sales Invoice", customer=THANE, docstatus=1, posting_date=before.isoformat()
        )
    ]
    royalty = owed(settled.erpnext, THANE) + owed(settled.erpnext, THANE, before)
    assert (
        f"November 2026 up to and including this day: sales {money(base + sum(month), 'INR')}, "
        f"royalty {money(royalty, 'INR')}." in text
    )


def test_the_months_of_all_franchises_cost_as_many_requests_as_that_of_one(chain: World) -> None:
    chain.invoice(THANE, "1000")
    assert chain.close("royalties").success
    one = chain.close("invoices").outcome("invoices")["requests"]
    for customer in FRANCHISES:
        chain.invoice(customer, "1000", DAY - timedelta(days=1))
        chain.invoice(customer, "2000", DAY - timedelta(days=1))
    day = DAY - timedelta(days=1)
    assert chain.close("royalties", day=day).success
    outcome = chain.close("invoices", day=day).outcome("invoices")
    assert int(outcome["facts"]["statements_attached"]) > 1
    assert outcome["requests"] <= one
