"""A day that changes after its close: one signed adjustment, and everything that was told follows with a revision."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from importlib.resources import files
from typing import Any

import jsonschema
import pytest
from openpyxl import load_workbook
from pypdf import PdfReader

from scoopjoy_dagster.accounting.policy import RoyaltyPolicy
from scoopjoy_dagster.erpnext import royalty_entries
from scoopjoy_dagster.erpnext.client import KEY_FIELD, POLICY_FIELD, RUN_FIELD
from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster_tests.world import (
    DAY,
    FRANCHISES,
    INDIRANAGAR,
    MANAGERS,
    NO_ROYALTY,
    NOW,
    RATES,
    THANE,
    Close,
    World,
    by_rule,
    carried,
    change,
    entries,
    exact,
    ledger_balance,
    merge,
    owed,
    rename,
    shown,
)

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


CHANGES: dict[str, tuple[Callable[[World], Decimal], str]] = {
    "back-dated": (back_date, "base 966.68 -> 1216.69"),
    "returned": (give_back, "base 966.68 -> 866.68"),
    "cancelled": (cancel, "base 966.68 -> 900.01"),
    "added": (submit_a_draft, "base 966.68 -> 1044.45"),
}


def told(chain: World, channel: str) -> list[dict[str, Any]]:
    return chain.erpnext.documents("ScoopJoy Delivery", channel=channel)


def shares(chain: World, customer: str) -> dict[str, tuple[Decimal, Decimal, str]]:
    """What each sale of the day shows: rate, share, entries; a cancelled one, too."""
    found = chain.erpnext.documents("Sales Invoice", customer=customer, posting_date=DAY.isoformat())
    return {doc["name"]: shown(chain.erpnext, doc["name"]) for doc in found}


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


def nothing_more(chain: World) -> Close:
    """The next run of the whole day writes nothing, sends nothing, tells nothing."""
    mails, heard = len(chain.mail.messages), len(chain.headquarters.attempts)
    chain.erpnext.requests.reset()
    again = chain.close()
    assert again.success
    assert chain.erpnext.requests.writes == 0
    assert (len(chain.mail.messages), len(chain.headquarters.attempts)) == (mails, heard)
    return again


@pytest.mark.parametrize(("late", "why"), CHANGES.values(), ids=CHANGES.keys())
def test_a_late_change_is_one_adjustment_and_all_that_was_told_follows(
    closed: World, late: Callable[[World], Decimal], why: str
) -> None:
    before = {one["name"] for one in closed.erpnext.documents("File")}
    showed = shares(closed, THANE)
    rate = late(closed)
    run = closed.close()
    first, adjustment = adjusted_once(closed, run)
    expected = by_rule(closed.erpnext, THANE, rate)
    assert owed(closed.erpnext, THANE) == expected
    assert adjustment[KEY_FIELD] == f"royalty:ScoopJoy:{DAY}:{THANE}:1"
    assert f"royalty 72.50 -> {expected}: " in adjustment[REASON]
    assert why in adjustment[REASON]

    assert carried(closed.erpnext, THANE) == expected
    difference = expected - Decimal("72.50")
    show = shares(closed, THANE)
    assert sum(share for _, share, _ in show.values()) == expected
    (moved,) = (name for name, one in show.items() if one != showed.get(name))
    if moved in showed:  # cancelled: both entries say it, and together nothing
        both = ", ".join(sorted([first["name"], adjustment["name"]]))
        assert show[moved] == (rate, Decimal("0.00"), both)
        assert difference == -showed[moved][1]
    else:
        assert show[moved] == (rate, difference, adjustment["name"])

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
    assert adjustment[REASON].endswith(f"; {added} added; {gone} cancelled")


def test_the_reason_names_only_what_came_and_went_since_the_entry_before(closed: World) -> None:
    """What the first adjustment has named is in its rows, and the second one goes on from there."""
    gone = of_thane(closed, is_return=0)[1]
    seed.cancel_document(closed.erpnext, "Sales Invoice", gone)
    first = closed.invoice(THANE, "10")
    assert closed.close("royalties").success
    with seed.at(closed.erpnext, NOW + timedelta(hours=1)):
        second = closed.invoice(THANE, "20")
    run = closed.close("royalties")
    *_, adjustment = entries(closed.erpnext, THANE)
    assert run.success
    assert adjustment[REASON].endswith(f"base 910.01 -> 930.01; {second} added")
    assert (first in adjustment[REASON], gone in adjustment[REASON]) == (False, False)


# -- what becomes of a franchise afterwards --------------------------------------------------------------------------


def change_rate(chain: World) -> None:
    change(chain.erpnext, "Customer", THANE, custom_royalty_percentage=9)


def exempt(chain: World) -> None:
    change(chain.erpnext, "Customer", THANE, custom_royalty_exempt=1)


def move_out(chain: World) -> None:
    change(chain.erpnext, "Customer", THANE, customer_group="Commercial")


def disable(chain: World) -> None:
    change(chain.erpnext, "Customer", THANE, disabled=1)


def rename_it(chain: World) -> None:
    rename(chain.erpnext, THANE, "Franchise Thane West")


def other_default(chain: World) -> None:
    chain.policy = {"default_rate": "6.5"}


AFTERWARDS = {
    "another rate": (change_rate, ["posted rate kept"]),
    "exempt": (exempt, ["posted rate kept"]),
    "moved out": (move_out, ["former franchise"]),
    "disabled": (disable, ["former franchise"]),
    "renamed": (rename_it, []),
    "another default rate": (other_default, ["posted rate kept"]),
}


@pytest.mark.parametrize(("what", "said"), AFTERWARDS.values(), ids=AFTERWARDS)
def test_what_becomes_of_a_franchise_moves_no_money_and_sends_nothing(
    closed: World, what: Callable[[World], None], said: list[str]
) -> None:
    """Money, shares, statements, the report, and headquarters' totals of a posted day are those of its posting."""
    what(closed)
    run = nothing_more(closed)
    rows = {one["what"] for one in run.warnings("royalties")} - {
        "no royalty rate set",
        "royalty policy overridden",
        "returns exceed sales",
    }
    assert rows == set(said)


def test_a_person_s_wish_applies_today_s_rates_to_a_posted_day_and_they_stay(closed: World) -> None:
    change_rate(closed)
    run = closed.close(launchpad={"close": {"re_rate": True}})
    _, adjustment = adjusted_once(closed, run)
    assert owed(closed.erpnext, THANE) == by_rule(closed.erpnext, THANE, Decimal(9)) == Decimal("87.00")
    assert adjustment[REASON] == "royalty 72.50 -> 87.00: rate 7.5 % -> 9 %"
    (row,) = run.warnings("royalties", "royalty policy overridden")
    assert "re_rate" in row["message"]
    assert {one_rate for one_rate, *_ in shares(closed, THANE).values()} == {Decimal(9)}
    assert carried(closed.erpnext, THANE) == Decimal("87.00")
    nothing_more(closed)
    closed.invoice(THANE, "100")
    assert closed.close().success
    assert owed(closed.erpnext, THANE) == Decimal("96.00")


def test_a_person_s_wish_takes_a_former_franchise_s_royalty_back_and_its_sales_show_it(
    closed: World,
) -> None:
    move_out(closed)
    first, adjustment = adjusted_once(closed, closed.close(launchpad={"close": {"re_rate": True}}))
    assert exact(adjustment["total_debit"]) == Decimal("72.50")
    assert owed(closed.erpnext, THANE) == Decimal(0)
    both = f"{first['name']}, {adjustment['name']}"
    assert set(shares(closed, THANE).values()) == {(Decimal(0), Decimal("0.00"), both)}
    nothing_more(closed)


def test_a_late_sale_of_a_former_franchise_is_told_and_not_charged(closed: World) -> None:
    move_out(closed)
    late = closed.invoice(THANE, "1000")
    run = closed.close()
    assert run.success
    assert owed(closed.erpnext, THANE) == Decimal("72.50")
    (row,) = run.warnings("royalties", "former franchise")
    assert "966.68 then and are 1966.68 now" in row["message"]
    assert shown(closed.erpnext, late) == NO_ROYALTY
    nothing_more(closed)


def test_a_former_franchise_whose_sales_are_cancelled_keeps_its_royalty_and_the_day_is_right(
    closed: World,
) -> None:
    disable(closed)
    with closed.erpnext.site.transaction():
        closed.erpnext.site.db.run('UPDATE "tabSales Invoice" SET docstatus = 2 WHERE customer = ?', (THANE,))
    run = closed.close()
    assert run.success
    assert owed(closed.erpnext, THANE) == Decimal("72.50")
    assert run.check("do_the_shares_add_up").passed
    nothing_more(closed)


def test_what_was_posted_on_another_base_stays_until_a_person_runs_it_on_that_base(closed: World) -> None:
    closed.policy = {"base": "net_total"}
    closed.invoice(THANE, "1000")
    run = closed.close()
    assert run.success
    assert owed(closed.erpnext, THANE) == Decimal("72.50")
    (row,) = run.warnings("royalties", "posted by another policy")
    assert "grand_total half_up skip" in row["message"]
    closed.policy = {}
    assert closed.close().success
    assert owed(closed.erpnext, THANE) == Decimal("147.50")


def test_two_merged_franchises_owe_what_both_were_posted_and_a_late_sale_alone(closed: World) -> None:
    before = {**shares(closed, THANE), **shares(closed, INDIRANAGAR)}
    both = owed(closed.erpnext, THANE) + owed(closed.erpnext, INDIRANAGAR)
    merge(closed.erpnext, THANE, INDIRANAGAR)
    run = closed.close()
    assert run.success
    assert run.outcome("royalties")["written"] == 0
    assert owed(closed.erpnext, INDIRANAGAR) == both
    assert shares(closed, INDIRANAGAR) == before
    added = closed.invoice(INDIRANAGAR, "100")
    run = closed.close()
    assert run.success
    *_, adjustment = entries(closed.erpnext, INDIRANAGAR)
    rate = RATES[INDIRANAGAR]  # the lower key's
    assert owed(closed.erpnext, INDIRANAGAR) == both + rate
    assert adjustment[REASON].endswith(f"; {added} added")
    assert adjustment[REASON].count("->") == 2  # the royalty and the base of Indiranagar's own entry
    now = {added: (rate, rate.quantize(Decimal("0.01")), adjustment["name"])}
    assert shares(closed, INDIRANAGAR) == {**before, **now}
    assert sum(share for _, share, _ in {**before, **now}.values()) == both + rate
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
    rename(closed.erpnext, THANE, new)
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
    assert closed.close().success
    (line,) = closed.headquarters.days["ScoopJoy", DAY.isoformat()]["changes"]
    assert line["who"] == new
    assert "royalty 72.50" in line["before"]


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
