"""A day that changes after its close: one signed adjustment, and everything that was told follows with a revision."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from decimal import Decimal
from importlib.resources import files
from typing import Any

import jsonschema
import pytest
from openpyxl import load_workbook
from pypdf import PdfReader

from scoopjoy_dagster.accounting.policy import RoyaltyPolicy
from scoopjoy_dagster.erpnext import invoice_royalty, royalty_entries
from scoopjoy_dagster.erpnext.client import KEY_FIELD, POLICY_FIELD, RUN_FIELD
from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster_tests.world import (
    DAY,
    FRANCHISES,
    INDIRANAGAR,
    MANAGERS,
    RATES,
    THANE,
    Close,
    World,
    by_rule,
    change,
    entries,
    exact,
    ledger_balance,
    owed,
)

pytestmark = pytest.mark.usefixtures("quick_charts")

ADJUSTS = royalty_entries.ENTRY_ADJUSTS_FIELD
REASON = royalty_entries.ENTRY_REASON_FIELD


@pytest.fixture
def closed(full_chain: World) -> World:
    """An ordinary day, closed with all that belongs to it."""
    full_chain.shift(2)
    full_chain.a_day()
    assert full_chain.close().success
    return full_chain


def of_thane(chain: World, **which: Any) -> list[str]:
    found = chain.erpnext.documents("Sales Invoice", customer=THANE, docstatus=1, **which)
    return [doc["name"] for doc in found]


def back_date(chain: World) -> Decimal:
    chain.invoice(THANE, "250.01")
    return RATES[THANE]


def give_back(chain: World) -> Decimal:
    chain.invoice(THANE, "100", is_return=True, return_against=of_thane(chain, is_return=0)[0])
    return RATES[THANE]


def cancel(chain: World) -> Decimal:
    seed.cancel_document(chain.erpnext, "Sales Invoice", of_thane(chain, is_return=0)[1])
    return RATES[THANE]


def submit_a_draft(chain: World) -> Decimal:
    draft = chain.invoice(THANE, "77.77", submit=False)
    change(chain.erpnext, "Sales Invoice", draft, docstatus=1)
    return RATES[THANE]


def change_rate(chain: World) -> Decimal:
    change(chain.erpnext, "Customer", THANE, custom_royalty_percentage=9)
    return Decimal(9)


def exempt(chain: World) -> Decimal:
    change(chain.erpnext, "Customer", THANE, custom_royalty_exempt=1)
    return Decimal(0)


def move_out(chain: World) -> Decimal:
    change(chain.erpnext, "Customer", THANE, customer_group="Commercial")
    return Decimal(0)


CHANGES: dict[str, tuple[Callable[[World], Decimal], str]] = {
    "back-dated": (back_date, "base 966.68 -> 1216.69"),
    "returned": (give_back, "base 966.68 -> 866.68"),
    "cancelled": (cancel, "base 966.68 -> 900.01"),
    "added": (submit_a_draft, "base 966.68 -> 1044.45"),
    "rate": (change_rate, "rate 7.5 % -> 9 %"),
    "exempted": (exempt, "rate 7.5 % -> 0 %"),
    "moved out": (move_out, "the customer is in the group Commercial now"),
}


def told(chain: World, channel: str) -> list[dict[str, Any]]:
    return chain.erpnext.documents("ScoopJoy Delivery", channel=channel)


def annotated(chain: World, customer: str) -> dict[str, tuple[Decimal, Decimal, str]]:
    return {
        doc["name"]: (
            Decimal(str(doc[invoice_royalty.RATE] or 0)),
            exact(doc[invoice_royalty.SHARE]),
            doc[invoice_royalty.ENTRY] or "",
        )
        for doc in chain.erpnext.documents("Sales Invoice", customer=customer, docstatus=1)
        if doc["posting_date"] == DAY.isoformat()
    }


def statement_text(chain: World, entry: str) -> str:
    """The text of the only statement on an entry, on one line."""
    (file,) = chain.erpnext.documents("File", attached_to_name=entry)
    with chain.site() as site:
        content = site.client.session.download(file["file_url"], doing="read the statement")
    return on_one_line(content)


def on_one_line(pdf: bytes) -> str:
    return " ".join(" ".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages).split())


def report_texts(chain: World, number: int) -> dict[str, str]:
    """HTML, plain text, PDF and XLSX of a mail as text on one line each."""
    message = chain.mail.messages[number].message
    parts = {part.get_content_type(): part for part in message.iter_attachments()}
    (xlsx,) = (part for kind, part in parts.items() if "spreadsheet" in kind)
    book = load_workbook(io.BytesIO(xlsx.get_payload(decode=True)))
    cells = [str(cell) for row in book["Changes"].iter_rows(values_only=True) for cell in row]
    return {
        "html": " ".join(message.get_body(("html",)).get_content().split()),
        "text": " ".join(message.get_body(("plain",)).get_content().split()),
        "pdf": on_one_line(parts["application/pdf"].get_payload(decode=True)),
        "xlsx": " ".join(cells),
    }


def adjusted_once(chain: World, run: Close, customer: str = THANE) -> tuple[dict[str, Any], dict[str, Any]]:
    """The run posted one adjustment, linked and explained. Returns the first entry and the adjustment."""
    assert run.success
    assert run.outcome("royalties")["written"] == 1
    first, *_, adjustment = entries(chain.erpnext, customer)
    assert adjustment[ADJUSTS] == first["name"]
    assert adjustment[RUN_FIELD] == run.result.run_id
    assert adjustment[POLICY_FIELD] == RoyaltyPolicy().version
    assert adjustment[REASON].startswith("royalty ")
    assert ledger_balance(chain.erpnext) == 0
    return first, adjustment


def nothing_more(chain: World) -> None:
    """The next run of the whole day writes nothing, sends nothing, tells nothing."""
    mails, heard = len(chain.mail.messages), len(chain.headquarters.attempts)
    chain.erpnext.requests.reset()
    again = chain.close()
    assert again.success
    assert chain.erpnext.requests.writes == 0
    assert (len(chain.mail.messages), len(chain.headquarters.attempts)) == (mails, heard)


@pytest.mark.parametrize(("late", "why"), CHANGES.values(), ids=CHANGES.keys())
def test_a_late_change_is_one_adjustment_and_all_that_was_told_follows(
    closed: World, late: Callable[[World], Decimal], why: str
) -> None:
    before = {one["name"] for one in closed.erpnext.documents("File")}
    rate = late(closed)
    run = closed.close()
    first, adjustment = adjusted_once(closed, run)
    expected = by_rule(closed.erpnext, THANE, rate)
    assert owed(closed.erpnext, THANE) == expected
    assert adjustment[KEY_FIELD] == f"royalty:ScoopJoy:{DAY}:{THANE}:1"
    assert f"royalty 72.50 -> {expected}: " in adjustment[REASON]
    assert why in adjustment[REASON]

    carried = annotated(closed, THANE)
    assert sum(share for _, share, _ in carried.values()) == expected
    if late is move_out:
        assert set(carried.values()) == {(Decimal(0), Decimal("0.00"), "")}
    else:
        assert {(one_rate, entry) for one_rate, _, entry in carried.values()} == {(rate, first["name"])}

    now = {one["name"] for one in closed.erpnext.documents("File")}
    assert len(now - before) == len(before - now) == 1
    assert closed.erpnext.documents("File", attached_to_name=adjustment["name"]) == []
    statement = statement_text(closed, first["name"])
    assert adjustment["name"] in statement
    assert why in statement

    assert sorted(mail.recipient for mail in closed.mail.messages) == sorted(2 * MANAGERS)
    for kind, text in report_texts(closed, -1).items():
        shown = text.replace("&gt;", ">").replace("&rarr;", "->")
        if kind == "xlsx":
            assert "Before Now Why" in shown
        else:
            assert "what changed since the report before" in shown.casefold(), kind
        assert THANE in shown, kind
        assert why in shown, kind

    held = closed.headquarters.days["ScoopJoy", DAY.isoformat()]
    assert held["revision"] == 1
    assert Decimal(held["totals"]["royalty"]) == sum(closed.owed().values())
    (line,) = held["changes"]
    assert line["who"] == THANE
    assert "royalty 72.50" in line["before"]
    assert why in line["reason"]
    schema = json.loads((files("scoopjoy_dagster.hq") / "daily_totals.schema.json").read_text())
    for delivery in closed.headquarters.deliveries:
        jsonschema.Draft202012Validator(schema).validate(delivery.payload)
    assert closed.headquarters.deliveries[0].payload["changes"] == []
    nothing_more(closed)


def test_every_document_names_the_run_that_made_it_and_the_policy(full_chain: World) -> None:
    full_chain.shift(2)
    full_chain.a_day()
    first = full_chain.close()
    closing = full_chain.erpnext.documents("POS Closing Entry", docstatus=1)
    made = [*closing, *entries(full_chain.erpnext), *full_chain.erpnext.documents("ScoopJoy Delivery")]
    assert len(made) == 1 + 5 + 4  # mails to two managers, headquarters, and the statements
    assert {doc[RUN_FIELD] for doc in made} == {first.result.run_id}
    assert {doc[POLICY_FIELD] for doc in made} == {RoyaltyPolicy().version}

    told = {doc["name"] for doc in full_chain.erpnext.documents("ScoopJoy Delivery")}
    full_chain.invoice(THANE, "1000")
    second = full_chain.close()
    later = [
        entries(full_chain.erpnext, THANE)[1],
        *(doc for doc in full_chain.erpnext.documents("ScoopJoy Delivery") if doc["name"] not in told),
    ]
    assert len(later) == 1 + 4
    assert {doc[RUN_FIELD] for doc in later} == {second.result.run_id}
    assert {doc[RUN_FIELD] for doc in made} == {first.result.run_id}
    # The statement tells it in its properties.
    (file,) = full_chain.erpnext.documents(
        "File", attached_to_name=entries(full_chain.erpnext, THANE)[0]["name"]
    )
    with full_chain.site() as site:
        pdf = PdfReader(io.BytesIO(site.client.session.download(file["file_url"], doing="read it")))
    assert pdf.metadata is not None
    assert pdf.metadata.subject == f"policy {RoyaltyPolicy().version} run {second.result.run_id}"


def test_the_reason_names_the_invoices_that_came_and_went(closed: World) -> None:
    gone = of_thane(closed, is_return=0)[1]
    seed.cancel_document(closed.erpnext, "Sales Invoice", gone)
    added = closed.invoice(THANE, "10")
    run = closed.close("royalties")
    _, adjustment = adjusted_once(closed, run)
    assert adjustment[REASON].endswith(f"; {added} added; {gone} cancelled or no longer of this day")


def test_a_franchise_that_moved_out_and_back_in_owes_what_it_owed(closed: World) -> None:
    before = annotated(closed, THANE)
    move_out(closed)
    assert closed.close().success
    change(closed.erpnext, "Customer", THANE, customer_group="Partner Outlets")
    _, back = adjusted_once(closed, closed.close())
    assert back[KEY_FIELD].endswith(":2")
    assert owed(closed.erpnext, THANE) == Decimal("72.50")
    assert annotated(closed, THANE) == before
    assert closed.headquarters.days["ScoopJoy", DAY.isoformat()]["revision"] == 2
    assert [record["revision"] for record in told(closed, "report")].count(2) == len(MANAGERS)
    nothing_more(closed)


def test_a_disabled_franchise_is_an_exception_with_its_amount_since_erpnext_takes_no_entry_for_it(
    closed: World,
) -> None:
    change(closed.erpnext, "Customer", THANE, disabled=1)
    day = closed.close()
    assert not day.success
    (row,) = day.exceptions("royalties")
    assert (row["what"], row["who"]) == ("royalty not posted", THANE)
    assert "-72.50" in row["message"]
    assert "the customer is disabled" in row["message"]
    assert "former_franchises to keep" in row["action"]
    assert owed(closed.erpnext, THANE) == Decimal("72.50")
    assert {day.status(asset) for asset in ("invoices", "reports", "hq_sync")} == {"never"}
    assert len(closed.mail.messages) == len(MANAGERS)

    change(closed.erpnext, "Customer", THANE, disabled=0)
    nothing_more(closed)


def test_by_policy_a_disabled_franchise_keeps_entry_annotations_and_statement(closed: World) -> None:
    """Nothing that was written about it is touched; the policy's version is another, so the day is told again."""
    closed.policy = {"former_franchises": "keep"}
    assert closed.close().success  # the policy is new, the day is not
    (entry,) = entries(closed.erpnext, THANE)
    carried, statement = annotated(closed, THANE), statement_text(closed, entry["name"])
    closed.erpnext.requests.reset()
    change(closed.erpnext, "Customer", THANE, disabled=1)
    day = closed.close()
    assert day.success
    (warning,) = day.warnings("royalties", "former franchise")
    assert "72.50" in warning["message"]
    assert [one["name"] for one in entries(closed.erpnext, THANE)] == [entry["name"]]
    assert annotated(closed, THANE) == carried
    assert statement_text(closed, entry["name"]) == statement
    held = closed.headquarters.days["ScoopJoy", DAY.isoformat()]
    assert Decimal(held["totals"]["royalty"]) == sum(closed.owed().values())
    nothing_more(closed)


def test_a_franchise_that_is_enabled_late_gets_its_first_entry(full_chain: World) -> None:
    full_chain.a_day()
    change(full_chain.erpnext, "Customer", INDIRANAGAR, disabled=1)
    assert full_chain.close().success
    assert entries(full_chain.erpnext, INDIRANAGAR) == []
    change(full_chain.erpnext, "Customer", INDIRANAGAR, disabled=0)
    run = full_chain.close()
    assert run.success
    (entry,) = entries(full_chain.erpnext, INDIRANAGAR)
    assert not entry[ADJUSTS]
    assert full_chain.owed() == full_chain.expected()
    held = full_chain.headquarters.days["ScoopJoy", DAY.isoformat()]
    assert [(one["who"], one["before"]) for one in held["changes"]] == [(INDIRANAGAR, "no franchise")]
    nothing_more(full_chain)


def test_a_customer_that_is_renamed_is_not_charged_twice(closed: World) -> None:
    """ERPNext changes the party of posted entries with the name; the keys keep the old one."""
    new = "Franchise Thane West"
    with closed.erpnext.site.transaction():
        for doctype, column in (
            ("Customer", "name"),
            ("Sales Invoice", "customer"),
            ("GL Entry", "party"),
            ("Journal Entry Account", "party"),
        ):
            closed.erpnext.site.db.run(
                f'UPDATE "tab{doctype}" SET {column} = ? WHERE {column} = ?', (new, THANE)
            )
    run = closed.close("royalties")
    assert run.success
    assert run.outcome("royalties")["written"] == 0
    closed.invoice(new, "1000")
    assert closed.close("royalties").success
    found = entries(closed.erpnext, new)
    assert [entry[KEY_FIELD] for entry in found] == [
        f"royalty:ScoopJoy:{DAY}:{THANE}:0",
        f"royalty:ScoopJoy:{DAY}:{new}:1",
    ]
    assert owed(closed.erpnext, new) == Decimal("147.50")


def test_a_list_of_customers_that_came_back_short_takes_nobody_s_royalty_back(
    closed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen for itself, the customer is an enabled franchise: something is wrong with the list, not with it."""
    franchises = royalty_entries.franchises
    monkeypatch.setattr(
        royalty_entries,
        "franchises",
        lambda site, group: [one for one in franchises(site, group) if one.customer != THANE],
    )
    closed.erpnext.requests.reset()
    day = closed.close("royalties")
    assert not day.success
    assert closed.erpnext.requests.writes == 0
    (row,) = day.exceptions("royalties", "royalty entry of nobody")
    assert "72.50" in row["message"]


def test_two_franchises_that_change_are_two_lines_and_one_revision(closed: World) -> None:
    closed.invoice(THANE, "100")
    closed.invoice(INDIRANAGAR, "100")
    run = closed.close()
    assert run.success
    held = closed.headquarters.days["ScoopJoy", DAY.isoformat()]
    assert [one["who"] for one in held["changes"]] == [INDIRANAGAR, THANE]
    assert held["revision"] == 1
    assert {doc["party"] for entry in entries(closed.erpnext)[5:] for doc in entry["accounts"][:1]} == {
        INDIRANAGAR,
        THANE,
    }
    assert set(closed.owed()) == set(FRANCHISES)


def test_a_revision_whose_figures_before_were_not_kept_says_so(closed: World) -> None:
    """The records of an earlier version of the program hold no figures."""
    with closed.erpnext.site.transaction():
        closed.erpnext.site.db.run('UPDATE "tabScoopJoy Delivery" SET figures = NULL')
    closed.invoice(THANE, "100")
    assert closed.close().success
    (line,) = closed.headquarters.days["ScoopJoy", DAY.isoformat()]["changes"]
    assert (line["who"], line["before"]) == ("The day", "not kept")
