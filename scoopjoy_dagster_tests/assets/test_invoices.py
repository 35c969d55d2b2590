"""`invoices`: every invoice carries its share, the shares add up, and every royalty has its statement, once."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from pypdf import PdfReader

from scoopjoy_dagster.erpnext import invoice_royalty, statement_files
from scoopjoy_dagster.erpnext.statement_files import StatementFile
from scoopjoy_dagster.reporting.numbers import money
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
    change,
    entries,
    exact,
    owed,
)

MANY = "/api/method/frappe.client.insert_many"


@pytest.fixture
def settled(chain: World) -> World:
    """An ordinary day whose royalties are posted."""
    chain.a_day()
    assert chain.close("royalties").success
    return chain


def annotated(chain: World, customer: str) -> list[dict[str, Any]]:
    return [
        doc
        for doc in chain.erpnext.documents("Sales Invoice", customer=customer, posting_date=DAY.isoformat())
        if doc["docstatus"] == 1
    ]


def shares(chain: World, customer: str) -> Decimal:
    return sum((exact(doc[invoice_royalty.SHARE]) for doc in annotated(chain, customer)), Decimal(0))


def statements(chain: World, entry: str) -> list[dict[str, Any]]:
    return chain.erpnext.documents("File", attached_to_name=entry)


def attach(chain: World, file: StatementFile) -> None:
    with chain.site() as site:
        assert list(statement_files.attach_all(site, [file], company="ScoopJoy", day=DAY)) == [(file, None)]


def pdf_text(chain: World, file: dict[str, Any]) -> str:
    with chain.site() as site:
        content = site.client.session.download(file["file_url"], doing="read the statement")
    return "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(content)).pages)


def test_annotations_are_exact_and_add_up(settled: World) -> None:
    day = settled.close("invoices")
    assert day.success
    for customer in FRANCHISES:
        assert shares(settled, customer) == owed(settled.erpnext, customer)
        first = entries(settled.erpnext, customer)
        for doc in annotated(settled, customer):
            assert Decimal(str(doc[invoice_royalty.RATE])) == RATES[customer]
            assert (doc[invoice_royalty.ENTRY] or "") == (first[0]["name"] if first else "")
    sale, second, back = annotated(settled, THANE)
    assert [exact(doc[invoice_royalty.SHARE]) for doc in (sale, second, back)] == [
        Decimal("75.00"),
        Decimal("5.00"),
        Decimal("-7.50"),
    ]
    outcome = day.outcome("invoices")
    assert Decimal(outcome["amount"]) == sum(settled.owed().values())
    assert outcome["seen"] == 8


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
def test_what_was_posted_gets_its_shares_and_its_statement_whatever_has_become_of_the_franchise(
    settled: World, what: Callable[[World], None], sold_since: str
) -> None:
    """The royalties are posted; before `invoices` runs, the franchise leaves or the policy changes, and sales come."""
    if Decimal(sold_since):
        settled.invoice(THANE, sold_since)
    what(settled)
    assert settled.close("invoices").success
    assert shares(settled, THANE) == owed(settled.erpnext, THANE) == Decimal("72.50")
    (entry,) = entries(settled.erpnext, THANE)
    assert {doc[invoice_royalty.ENTRY] for doc in annotated(settled, THANE)} == {entry["name"]}
    (file,) = statements(settled, entry["name"])
    assert "72.50" in pdf_text(settled, file)
    again = settled.close("invoices")
    assert again.outcome("invoices")["written"] == 0


def test_invoices_of_others_are_not_touched(settled: World) -> None:
    other = settled.invoice("Hotel Blue Lagoon", "100")
    assert settled.close("invoices").success
    (doc,) = settled.erpnext.documents("Sales Invoice", name=other)
    assert not doc[invoice_royalty.ENTRY]
    assert not doc[invoice_royalty.RATE]


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


def test_annotations_and_statements_follow_an_adjustment(settled: World) -> None:
    assert settled.close("invoices").success
    (first,) = entries(settled.erpnext, THANE)
    (old,) = statements(settled, first["name"])
    others = {file["name"] for file in settled.erpnext.documents("File")} - {old["name"]}
    settled.invoice(THANE, "1000")
    assert settled.close("royalties", "invoices").success
    assert shares(settled, THANE) == owed(settled.erpnext, THANE) == Decimal("147.50")
    assert {doc[invoice_royalty.ENTRY] for doc in annotated(settled, THANE)} == {first["name"]}
    adjustment = entries(settled.erpnext, THANE)[1]
    (new,) = statements(settled, first["name"])
    assert new["name"] != old["name"]
    assert statements(settled, adjustment["name"]) == []
    assert others < {file["name"] for file in settled.erpnext.documents("File")}
    assert "147.50" in pdf_text(settled, new)
    assert adjustment["name"] in pdf_text(settled, new)
    settled.erpnext.requests.reset()
    assert settled.close("royalties", "invoices").success
    assert settled.erpnext.requests.writes == 0


def test_a_franchise_that_owes_nothing_any_more_has_empty_annotations_or_zero_shares(settled: World) -> None:
    assert settled.close("invoices").success
    change(settled.erpnext, "Customer", THANE, custom_royalty_exempt=1)
    assert settled.close("royalties", "invoices", launchpad={"close": {"re_rate": True}}).success
    assert owed(settled.erpnext, THANE) == shares(settled, THANE) == 0


def test_one_invoice_that_cannot_be_saved_is_an_exception_row_and_the_others_are_saved(
    settled: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person cancels an invoice while its annotation is on its way."""
    (stuck,) = [doc["name"] for doc in annotated(settled, BANJARA)]
    write = invoice_royalty.write_annotations

    def cancel_then_write(site: Any, annotations: Any) -> Any:
        seed.cancel_document(settled.erpnext, "Sales Invoice", stuck)
        return write(site, annotations)

    monkeypatch.setattr("scoopjoy_dagster.assets.invoices.write_annotations", cancel_then_write)
    day = settled.close("invoices")
    assert not day.success
    (row,) = day.exceptions("invoices")
    assert (row["what"], row["who"]) == ("invoice not annotated", stuck)
    assert "cancelled" in row["message"].lower()
    for customer in (THANE, KORAMANGALA, GELATO, INDIRANAGAR):
        assert shares(settled, customer) == owed(settled.erpnext, customer)
    assert len(settled.erpnext.documents("File")) == 5


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


@pytest.mark.parametrize("kind", ["committed_never_answered", "bad_gateway_before_commit", "deadlock"])
def test_a_fault_on_the_annotations_is_repeated(settled: World, kind: str) -> None:
    settled.erpnext.faults.add(kind, path="bulk_update")
    assert settled.close("invoices").success
    assert shares(settled, THANE) == owed(settled.erpnext, THANE)


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
    (doc,) = annotated(settled, HEBBAL)
    assert not doc[invoice_royalty.ENTRY]


def test_a_statement_shows_the_month_to_date_of_its_franchise(settled: World) -> None:
    before = DAY - timedelta(days=3)
    settled.invoice(THANE, "2000", before)
    settled.invoice(BANJARA, "4000", before)
    settled.invoice(THANE, "9999", DAY.replace(day=1) - timedelta(days=1))  # last month
    assert settled.close("royalties", day=before).success
    assert settled.close("invoices").success
    base = sum((exact(doc["base_grand_total"]) for doc in annotated(settled, THANE)), Decimal(0))
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
