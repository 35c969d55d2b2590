"""`scoopjoy explain`: how a royalty came about, for everything that may be meant, and what it says when nothing is."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pytest

from scoopjoy_dagster.erpnext.royalty_shares import DOCTYPE, TABLE
from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster_tests.cli.closed_world import (
    HEBBAL,
    INDIRANAGAR,
    KEY,
    KORAMANGALA,
    closed_database,
    delete_rows,
    set_values,
)
from scoopjoy_dagster_tests.cli.conftest import Command
from scoopjoy_dagster_tests.cli.world import Templates, World, running_world
from scoopjoy_dagster_tests.world import amend, by_hand, change, shown

PAISA = Decimal("0.01")


@pytest.fixture
def world(templates: Templates, directory: Path, postgres_url: str) -> Iterator[World]:
    """All open days of the world are closed already."""
    closed = closed_database(templates, directory, postgres_url)
    with running_world(closed, templates.last_day) as running:
        yield running


@pytest.fixture
def day(world: World) -> date:
    """The middle day."""
    return world.open_days[1]


def entry_of(world: World, customer: str, day: date, revision: int = 0) -> dict[str, Any]:
    key = f"royalty:ScoopJoy:{day}:{customer}:{revision}"
    (found,) = world.erpnext.documents("Journal Entry", **{KEY: key})
    return found


def explained(command: Command, *args: str, code: int = 0) -> dict[str, Any]:
    done = command("explain", *args, "--json")
    assert done.code == code, done.text
    found: dict[str, Any] = done.document
    return found


# -- how the amount came about ----------------------------------------------------------------------------------------


def test_an_amount_is_followed_from_its_invoices_to_the_ledger(
    world: World, command: Command, day: date
) -> None:
    found = explained(command, KORAMANGALA, "--date", day.isoformat())
    assert (found["customer"], found["business_day"]) == (KORAMANGALA, day.isoformat())
    submitted = world.erpnext.documents(
        "Sales Invoice", customer=KORAMANGALA, posting_date=day.isoformat(), docstatus=1
    )
    assert [one["invoice"] for one in found["invoices"]] == [one["name"] for one in submitted]
    assert submitted
    base = sum((Decimal(str(one["base_grand_total"])) for one in submitted), Decimal(0))
    assert Decimal(found["base"]) == base
    assert found["rate"] == "4.5"
    assert found["rate_source"] == f"as {entry_of(world, KORAMANGALA, day)['name']} was posted"
    assert Decimal(found["product"]) == base * Decimal("0.045")
    assert found["rounding"] == "half up to 2 decimals, once per franchise and day"
    assert Decimal(found["royalty"]) == (base * Decimal("0.045")).quantize(PAISA, ROUND_HALF_UP)
    assert sum(Decimal(one["share"]) for one in found["invoices"]) == Decimal(found["royalty"])
    entry = entry_of(world, KORAMANGALA, day)
    assert all(
        (one["posted_base"], one["journal_entries"]) == (one["base"], [entry["name"]])
        for one in found["invoices"]
    )
    assert {(Decimal(one["share"]), entry["name"]) for one in found["invoices"]} == {
        shown(world.erpnext, one["invoice"])[1:] for one in found["invoices"]
    }
    assert (found["no_sales_now"], found["by_person"]) == ([], "0.00")
    (posted,) = found["entries"]
    assert (posted["journal_entry"], posted["state"], posted["kind"]) == (entry["name"], "submitted", "first")
    assert posted["key"] == entry[KEY]
    assert (posted["amount"], posted["base"], posted["rate"]) == (found["royalty"], found["base"], "4.5")
    assert posted["posting_date"] == day.isoformat()
    assert posted["policy_version"] == found["policy_version"]
    assert posted["run_id"] == entry["custom_scoopjoy_run"]
    assert posted["reason"] == entry["custom_scoopjoy_reason"]
    assert posted["run_id"]
    assert posted["reason"]
    assert (found["ledger"], found["difference"], found["agrees"]) == (found["royalty"], "0.00", True)
    assert world.writes == 0


def test_what_was_delivered_is_listed(world: World, command: Command, day: date) -> None:
    found = explained(command, KORAMANGALA, "--date", day.isoformat())
    recorded = world.erpnext.documents("ScoopJoy Delivery", business_day=day.isoformat())
    assert {(one["channel"], one["recipient"], one["revision"]) for one in found["deliveries"]} == {
        (one["channel"], one["recipient"], one["revision"])
        for one in recorded
        if one["channel"] in {"report", "hq"}
    }
    assert {one["channel"] for one in found["deliveries"]} == {"report", "hq"}
    assert all(one["reference"] and one["delivered_at"] for one in found["deliveries"])


def test_the_same_on_paper(world: World, command: Command, day: date) -> None:
    found = explained(command, KORAMANGALA, "--date", day.isoformat())
    paper = command("explain", KORAMANGALA, "--date", day.isoformat())
    assert paper.code == 0
    assert paper.err == ""
    for said in (
        f"Royalty of {KORAMANGALA} ({KORAMANGALA}) for {day}, ScoopJoy",
        f"Base {found['base']} INR, base_grand_total of {len(found['invoices'])} invoices",
        f"Rate 4.5 %, as {entry_of(world, KORAMANGALA, day)['name']} was posted",
        f"Product {found['product']} exactly, rounded half up to 2 decimals",
        f"Royalty {found['royalty']} INR by the rule",
        f"Policy {found['policy_version']}: ",
        f"key {found['entries'][0]['key']}, digest {found['entries'][0]['digest']}",
        f"run {found['entries'][0]['run_id']}; reason: ",
        f"Ledger {found['ledger']} INR: agrees with the rule (difference 0.00)",
        "Delivered hq revision 0 to headquarters at ",
    ):
        assert said in paper.text
    for one in found["invoices"]:
        assert one["invoice"] in paper.out
    assert world.writes == 0


@pytest.mark.parametrize(
    ("customer", "rate", "source"),
    [
        (INDIRANAGAR, "5", " was posted, the policy's default"),
        (HEBBAL, "0", "exempt: Customer.custom_royalty_exempt is ticked"),
    ],
)
def test_where_the_rate_came_from_is_said(
    world: World, command: Command, customer: str, rate: str, source: str
) -> None:
    day = next(
        day
        for day in world.open_days
        if world.erpnext.documents(
            "Sales Invoice", customer=customer, posting_date=day.isoformat(), docstatus=1
        )
    )
    found = explained(command, customer, "--date", day.isoformat())
    assert found["rate"] == rate
    assert found["rate_source"].endswith(source)
    assert found["agrees"] is True
    assert found["invoices"]
    if customer == HEBBAL:
        assert (found["royalty"], found["entries"], found["reason"]) == ("0.00", [], "royalty exempt")


def test_a_return_is_marked_and_counts_with_its_sign(world: World, command: Command, day: date) -> None:
    first = world.erpnext.documents(
        "Sales Invoice", customer=KORAMANGALA, posting_date=day.isoformat(), docstatus=1
    )[0]
    back = seed.add_invoice(
        world.erpnext, KORAMANGALA, day, "100", is_return=True, return_against=first["name"]
    )
    found = explained(command, KORAMANGALA, "--date", day.isoformat(), code=2)
    (row,) = (one for one in found["invoices"] if one["invoice"] == back)
    assert (row["is_return"], row["base"]) == (True, "-100.00")
    assert (row["posted_base"], row["share"], row["journal_entries"]) == ("0.00", "0.00", [])
    paper = command("explain", KORAMANGALA, "--date", day.isoformat())
    assert paper.code == 2
    assert f"{back} return -100.00 0.00 no entry" in paper.text
    assert "differs from the rule (difference 4.50)" in paper.text


def test_adjustments_stand_behind_the_first_entry_with_their_reasons(
    world: World, command: Command, day: date
) -> None:
    first = entry_of(world, KORAMANGALA, day)
    seed.add_invoice(world.erpnext, KORAMANGALA, day, "1000")
    assert command("close", "--date", day.isoformat()).code == 0
    found = explained(command, KORAMANGALA, "--date", day.isoformat())
    one, two = found["entries"]
    assert (one["journal_entry"], one["kind"], one["adjusts"]) == (first["name"], "first", "")
    assert (two["kind"], two["adjusts"], two["amount"]) == ("adjustment", first["name"], "45.00")
    assert two["key"].endswith(":1")
    assert Decimal(two["base"]) == Decimal(one["base"]) + 1000
    assert two["reason"] != one["reason"]
    assert two["reason"]
    assert two["run_id"] != one["run_id"]
    assert Decimal(found["ledger"]) == Decimal(one["amount"]) + Decimal("45.00")
    assert {told["revision"] for told in found["deliveries"] if told["channel"] == "hq"} == {0, 1}
    paper = command("explain", two["key"]).text
    assert f"submitted, adjusts {first['name']}" in paper


def test_a_cancelled_sale_is_shown_with_its_share_until_the_day_is_closed_again(
    world: World, command: Command, day: date
) -> None:
    (gone, *_) = world.erpnext.documents(
        "Sales Invoice", customer=KORAMANGALA, posting_date=day.isoformat(), docstatus=1
    )
    share = shown(world.erpnext, gone["name"])[1]
    seed.cancel_document(world.erpnext, "Sales Invoice", gone["name"])
    entry = entry_of(world, KORAMANGALA, day)["name"]
    found = explained(command, KORAMANGALA, "--date", day.isoformat(), code=2)
    (row,) = found["no_sales_now"]
    assert (row["invoice"], Decimal(row["share"]), row["journal_entries"]) == (gone["name"], share, [entry])
    assert f"{gone['name']} no sale now 0.00 {share} {entry}" in command("explain", entry).text

    assert command("close", "--date", day.isoformat()).code == 0
    found = explained(command, KORAMANGALA, "--date", day.isoformat())
    (row,) = found["no_sales_now"]
    assert (row["posted_base"], row["share"], len(row["journal_entries"])) == ("0.00", "0.00", 2)


def test_what_a_person_added_by_amending_is_said_and_agrees(
    world: World, command: Command, day: date
) -> None:
    entry = entry_of(world, KORAMANGALA, day)
    seed.cancel_document(world.erpnext, "Journal Entry", entry["name"])
    heir = amend(world.erpnext, entry["name"], Decimal(str(entry["total_debit"])) + 100)
    found = explained(command, KORAMANGALA, "--date", day.isoformat())
    assert (found["by_person"], found["agrees"]) == ("100.00", True)
    assert Decimal(found["royalty"]) == Decimal(str(entry["total_debit"])) + 100
    assert sum(Decimal(one["share"]) for one in found["invoices"]) == Decimal(str(entry["total_debit"]))
    assert [one["what"] for one in found["exceptions"]] == ["royalty changed by a person"]
    paper = command("explain", heir).text
    assert "Besides 100.00 INR that a person entered in ERPNext, and that stay" in paper


def test_an_entry_without_shares_is_explained(world: World, command: Command, day: date) -> None:
    entry = entry_of(world, KORAMANGALA, day)
    delete_rows(world.erpnext, DOCTYPE, [row["name"] for row in entry[TABLE]])
    found = explained(command, KORAMANGALA, "--date", day.isoformat())
    assert {(one["share"], tuple(one["journal_entries"])) for one in found["invoices"]} == {("0.00", ())}
    assert found["agrees"] is True


def test_a_ledger_that_differs_is_said_and_gives_exit_code_2(
    world: World, command: Command, day: date
) -> None:
    entry = entry_of(world, KORAMANGALA, day)
    seed.cancel_document(world.erpnext, "Journal Entry", entry["name"])
    found = explained(command, KORAMANGALA, "--date", day.isoformat(), code=2)
    assert (found["ledger"], found["agrees"]) == ("0.00", False)
    assert found["entries"][0]["state"] == "cancelled"
    assert [one["what"] for one in found["exceptions"]] == ["royalty entry cancelled by a person"]


def test_an_entry_that_a_person_amended_is_explained_by_any_of_its_names(
    world: World, command: Command, day: date
) -> None:
    entry = entry_of(world, KORAMANGALA, day)
    seed.cancel_document(world.erpnext, "Journal Entry", entry["name"])
    amended = amend(world.erpnext, entry["name"], Decimal(str(entry["total_debit"])))
    for subject in (amended, entry["name"], entry[KEY]):
        found = explained(command, subject)
        (posted,) = found["entries"]
        assert (posted["journal_entry"], posted["amends"]) == (amended, entry["name"])
        assert found["agrees"] is True


def test_a_customer_that_left_the_franchises_is_explained_too(
    world: World, command: Command, day: date
) -> None:
    change(world.erpnext, "Customer", KORAMANGALA, disabled=1)
    found = explained(command, KORAMANGALA, "--date", day.isoformat())
    (posted,) = found["entries"]
    assert found["royalty"] == posted["amount"]
    assert found["rate_source"] == f"as {posted['journal_entry']} was posted; the customer is disabled"


# -- what is meant ----------------------------------------------------------------------------------------------------


def test_id_name_key_and_entry_mean_the_same(world: World, command: Command, day: date) -> None:
    change(world.erpnext, "Customer", KORAMANGALA, customer_name="Koramangala 5th Block")
    entry = entry_of(world, KORAMANGALA, day)
    wanted = explained(command, KORAMANGALA, "--date", day.isoformat())
    for args in (
        (KORAMANGALA.upper(), "--date", day.isoformat()),
        (" koramangala 5TH block ", "--date", day.isoformat()),
        (entry[KEY],),
        (entry[KEY].upper(),),
        (entry[KEY], "--date", day.isoformat()),
        (entry["name"],),
    ):
        assert explained(command, *args) == wanted, args


def test_without_a_date_the_last_ended_day_is_meant(world: World, command: Command) -> None:
    assert explained(command, KORAMANGALA)["business_day"] == world.last_day.isoformat()


def test_a_key_whose_entry_is_gone_still_means_its_franchise(
    world: World, command: Command, day: date
) -> None:
    entry = entry_of(world, KORAMANGALA, day)
    delete_rows(world.erpnext, "Journal Entry", [entry["name"]])
    found = explained(command, entry[KEY], code=2)
    assert (found["customer"], found["entries"], found["ledger"]) == (KORAMANGALA, [], "0.00")


def test_a_name_that_several_franchises_have_is_refused_with_their_ids(
    world: World, command: Command
) -> None:
    change(world.erpnext, "Customer", INDIRANAGAR, customer_name="Bangalore")
    change(world.erpnext, "Customer", KORAMANGALA, customer_name="Bangalore")
    done = command("explain", "bangalore")
    assert done.code == 3
    assert done.sentences == (
        "scoopjoy: 'bangalore' is the name of 2 franchises; give the ID of one: "
        f"{INDIRANAGAR}, {KORAMANGALA}."
    )


@pytest.mark.parametrize(
    ("subject", "named"),
    [("koramangala", KORAMANGALA), ("Franchise Koramangla", KORAMANGALA), ("Nobody at all", "Franchise ")],
)
def test_an_unknown_franchise_is_one_sentence_with_candidates(
    world: World, command: Command, subject: str, named: str
) -> None:
    done = command("explain", subject)
    assert done.code == 3
    assert len(done.err.strip().splitlines()) == 1
    assert f"{subject!r} is no franchise, key or royalty entry on {world.last_day}; did you mean " in done.err
    assert named in done.err.partition("did you mean")[2]


def test_a_journal_entry_of_somebody_else_is_refused(world: World, command: Command, day: date) -> None:
    entry = entry_of(world, KORAMANGALA, day)
    set_values(world.erpnext, "Journal Entry", entry["name"], **{KEY: None})
    done = command("explain", entry["name"])
    assert done.code == 3
    assert "is a Journal Entry that this program did not make: it carries no key." in done.sentences


def test_keys_and_days_that_cannot_be_meant_are_refused(world: World, command: Command, day: date) -> None:
    key = entry_of(world, KORAMANGALA, day)[KEY]
    tomorrow = (world.last_day + timedelta(days=1)).isoformat()
    before = (world.go_live - timedelta(days=1)).isoformat()
    for args, sentence in (
        (("royalty:Other Company:2026-01-01:X:0",), "is no key of a royalty of ScoopJoy."),
        (("royalty:ScoopJoy:nonsense:X:0",), "is no key of a royalty of ScoopJoy."),
        ((key, "--date", world.last_day.isoformat()), f"is of {day}, not of {world.last_day}"),
        ((KORAMANGALA, "--date", tomorrow), "has not ended yet"),
        ((key.replace(day.isoformat(), before),), "lies before go-live"),
        ((KORAMANGALA, "--date", "yesterday"), "is no date; write it as YYYY-MM-DD."),
        ((), "Missing argument 'KEY|FRANCHISE'."),
    ):
        done = command("explain", *args)
        assert done.code == 3, args
        assert sentence in done.sentences
        assert done.out == ""
    assert world.writes == 0


def test_names_from_erpnext_are_no_markup_on_paper(world: World, command: Command, day: date) -> None:
    change(world.erpnext, "Customer", KORAMANGALA, customer_name="[bold]Kora[/x]")
    paper = command("explain", "[bold]Kora[/x]", "--date", day.isoformat())
    assert paper.code == 0
    assert f"Royalty of [bold]Kora[/x] ({KORAMANGALA}) for {day}" in paper.text


def test_an_entry_by_hand_is_shown_and_is_no_agreement(world: World, command: Command, day: date) -> None:
    name = by_hand(world.erpnext, KORAMANGALA, day)
    found = explained(command, KORAMANGALA, "--date", day.isoformat(), code=2)
    assert found["not_ours"] == [{"journal_entry": name, "amount": "96.66"}]
    assert found["difference"] == "0.00"
    assert explained(command, HEBBAL, "--date", day.isoformat())["not_ours"] == []
    assert f"{name}: 96.66" in command("explain", KORAMANGALA, "--date", day.isoformat()).text
