"""`scoopjoy verify`: a range of closed days compared with the rule. It finds what was tampered with, and writes nothing."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from scoopjoy_dagster.accounting.differences import What
from scoopjoy_dagster.accounting.policy import RoyaltyPolicy
from scoopjoy_dagster.cli.verify import Verification, _progress, verify
from scoopjoy_dagster.erpnext.range_reading import months
from scoopjoy_dagster.erpnext.royalty_shares import DOCTYPE, TABLE
from scoopjoy_dagster.erpnext.session import Session
from scoopjoy_dagster.erpnext.site import Site
from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster_tests.benchmarks.closed_days import ClosedDays, site_with
from scoopjoy_dagster_tests.cli.closed_world import (
    KEY,
    KORAMANGALA,
    closed_database,
    copy_row,
    delete_rows,
    ledger_rows,
    set_values,
)
from scoopjoy_dagster_tests.cli.conftest import Command
from scoopjoy_dagster_tests.cli.world import Templates, World, running_world
from scoopjoy_dagster_tests.world import amend, by_hand, change, shown


@pytest.fixture
def world(templates: Templates, directory: Path, postgres_url: str) -> Iterator[World]:
    """All open days of the world are closed already."""
    closed = closed_database(templates, directory, postgres_url)
    with running_world(closed, templates.last_day) as running:
        yield running


@pytest.fixture
def entry(world: World) -> dict[str, Any]:
    """Koramangala's royalty entry of the middle day."""
    return entry_of(world, KORAMANGALA, world.open_days[1])


def entry_of(world: World, customer: str, day: date) -> dict[str, Any]:
    (found,) = (
        one
        for one in world.erpnext.documents("Journal Entry", **{KEY: f"royalty:ScoopJoy:{day}:{customer}:0"})
    )
    return found


def verified(command: Command, world: World, code: int = 2, **changes: str | None) -> dict[str, Any]:
    """The JSON of a verification of all days."""
    done = command(
        "verify",
        "--from",
        world.go_live.isoformat(),
        "--to",
        world.last_day.isoformat(),
        "--json",
        **changes,
    )
    assert done.code == code, done.text
    found: dict[str, Any] = done.document
    return found


def rows(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(one["business_day"], one["who"], one["what"]) for one in found["differences"]]


def whats(found: dict[str, Any]) -> list[str]:
    return [one["what"] for one in found["differences"]]


# -- days that are right ----------------------------------------------------------------------------------------------


def test_closed_days_have_no_differences_and_the_sums_of_a_month_are_those_of_the_ledger(
    world: World, command: Command
) -> None:
    found = verified(command, world, code=0)
    assert found["differences"] == []
    assert (found["days"], found["right"], found["different"]) == (3, 3, 0)
    assert found["from"] == world.go_live.isoformat()
    assert found["to"] == world.last_day.isoformat()
    posted = sum(
        (
            Decimal(str(row["debit"])) - Decimal(str(row["credit"]))
            for one in world.erpnext.documents("Journal Entry")
            for row in world.erpnext.documents("GL Entry", voucher_no=one["name"], party_type="Customer")
        ),
        Decimal(0),
    )
    assert posted > 0
    assert Decimal(found["actual"]) == Decimal(found["expected"]) == posted
    assert sum(Decimal(month["actual"]) for month in found["months"]) == posted
    assert sum(month["days"] for month in found["months"]) == 3
    assert world.writes == 0

    table = command("verify", "--from", world.go_live.isoformat(), "--to", world.last_day.isoformat())
    assert table.code == 0
    assert "INR rule" in table.out
    assert f"{world.last_day:%Y-%m}" in table.out
    assert "0 differences on 0 of 3 days" in table.text
    assert "nothing was written" in table.text
    assert "at the rate that it was posted at" in table.text
    assert table.err == ""
    assert world.writes == 0


def test_progress_goes_to_standard_error_with_json_a_line_for_each_month(
    world: World, command: Command
) -> None:
    day = world.last_day.isoformat()
    done = command("verify", "--from", day, "--to", day, "--json")
    assert done.err == f"{day} to {day}: read\n"


def test_an_entry_posted_on_a_later_day_belongs_to_the_day_of_its_key(
    world: World, command: Command, entry: dict[str, Any]
) -> None:
    later = (world.last_day + timedelta(days=1)).isoformat()
    set_values(world.erpnext, "Journal Entry", entry["name"], posting_date=later)
    for name in ledger_rows(world.erpnext, entry["name"]):
        set_values(world.erpnext, "GL Entry", name, posting_date=later)
    assert verified(command, world, code=0)["differences"] == []


def test_without_headquarters_nobody_must_have_acknowledged(world: World, command: Command) -> None:
    delete_rows(world.erpnext, "ScoopJoy Delivery", [one["name"] for one in acknowledgements(world)])
    assert set(whats(verified(command, world))) == {"not acknowledged by headquarters"}
    found = verified(command, world, code=0, SCOOPJOY_HQ_URL=None, SCOOPJOY_HQ_SECRET=None)
    assert found["differences"] == []


def acknowledgements(world: World) -> list[dict[str, Any]]:
    return world.erpnext.documents("ScoopJoy Delivery", channel="hq")


# -- tampering: every kind, on the middle day -------------------------------------------------------------------------


def test_a_deleted_entry_is_missing(world: World, command: Command, entry: dict[str, Any]) -> None:
    delete_rows(world.erpnext, "GL Entry", ledger_rows(world.erpnext, entry["name"]))
    delete_rows(world.erpnext, "Journal Entry", [entry["name"]])
    found = verified(command, world)
    day = world.open_days[1].isoformat()
    assert rows(found) == [
        (day, KORAMANGALA, "royalty missing"),
        (day, "headquarters", "headquarters was told another royalty"),
    ]
    first = found["differences"][0]
    amount = Decimal(str(entry["total_debit"]))
    assert Decimal(first["expected"]) == amount
    assert first["actual"] == "0.00"
    assert Decimal(first["difference"]) == -amount
    assert f"scoopjoy close --date {day}" in first["action"]
    assert (found["days"], found["right"], found["different"]) == (3, 2, 1)
    assert Decimal(found["difference"]) == -amount
    assert world.writes == 0


def test_a_back_dated_invoice_makes_the_royalty_differ_until_the_day_is_closed_again(
    world: World, command: Command
) -> None:
    day = world.open_days[1]
    seed.add_invoice(world.erpnext, KORAMANGALA, day, "1000")
    found = verified(command, world)
    assert rows(found) == [(day.isoformat(), KORAMANGALA, "royalty differs")]
    assert Decimal(found["difference"]) == Decimal("-45.00")
    assert command("close", "--date", day.isoformat()).code == 0
    assert verified(command, world, code=0)["differences"] == []


def test_a_cancelled_invoice_makes_the_royalty_differ_until_the_day_is_closed_again(
    world: World, command: Command, entry: dict[str, Any]
) -> None:
    seed.cancel_document(world.erpnext, "Sales Invoice", entry[TABLE][0]["document"])
    assert whats(verified(command, world)) == ["royalty differs"]
    assert command("close", "--date", world.open_days[1].isoformat()).code == 0
    assert verified(command, world, code=0)["differences"] == []


def test_a_sale_in_the_place_of_a_cancelled_one_is_named_until_the_day_is_closed_again(
    world: World, command: Command, entry: dict[str, Any]
) -> None:
    day = world.open_days[1]
    row = entry[TABLE][0]
    seed.cancel_document(world.erpnext, "Sales Invoice", row["document"])
    with seed.at(world.erpnext, world.erpnext.site.clock() + timedelta(hours=1)):
        new = seed.add_invoice(world.erpnext, KORAMANGALA, day, str(row["royalty_base"]))
    found = verified(command, world)
    assert rows(found) == [(day.isoformat(), KORAMANGALA, "shares lie on other sales")]
    assert all(name in found["differences"][0]["message"] for name in (new, row["document"]))
    assert Decimal(found["difference"]) == 0
    assert command("close", "--date", day.isoformat()).code == 0
    assert verified(command, world, code=0)["differences"] == []
    assert shown(world.erpnext, new)[1] == Decimal(str(row["royalty_share"]))


@pytest.mark.parametrize(
    "change_of", [{"custom_royalty_percentage": 5}, {"custom_royalty_exempt": 1}, {"disabled": 1}], ids=str
)
def test_what_has_become_of_a_franchise_since_is_no_difference(
    world: World, command: Command, change_of: dict[str, Any]
) -> None:
    change(world.erpnext, "Customer", KORAMANGALA, **change_of)
    assert verified(command, world, code=0)["differences"] == []


def test_an_entry_cancelled_by_a_person_is_named(
    world: World, command: Command, entry: dict[str, Any]
) -> None:
    seed.cancel_document(world.erpnext, "Journal Entry", entry["name"])
    assert whats(verified(command, world)) == [
        "royalty entry cancelled by a person",
        "headquarters was told another royalty",
    ]


def test_an_amended_entry_counts_as_its_amendment(
    world: World, command: Command, entry: dict[str, Any]
) -> None:
    seed.cancel_document(world.erpnext, "Journal Entry", entry["name"])
    amount = Decimal(str(entry["total_debit"]))
    amend(world.erpnext, entry["name"], amount)
    # Amount and shares are right; what the close attached still hangs on the cancelled entry.
    assert whats(verified(command, world)) == ["statement missing"]
    assert command("close", "--date", world.open_days[1].isoformat()).code == 0
    assert verified(command, world, code=0)["differences"] == []


def test_an_entry_amended_to_another_amount_is_the_royalty_until_a_person_takes_it_back(
    world: World, command: Command, entry: dict[str, Any]
) -> None:
    seed.cancel_document(world.erpnext, "Journal Entry", entry["name"])
    amend(world.erpnext, entry["name"], Decimal(str(entry["total_debit"])) + 1)
    found = verified(command, world)
    assert set(whats(found)) == {"statement missing", "headquarters was told another royalty"}
    assert Decimal(found["difference"]) == 0
    day = world.open_days[1].isoformat()
    for more in ((), ("--re-rate",)):
        assert command("close", "--date", day, *more).code == 0
        assert verified(command, world, code=0)["differences"] == []
    assert command("explain", KORAMANGALA, "--date", day, "--json").document["by_person"] == "0.00"


def test_a_cancelled_entry_whose_ledger_rows_still_count_is_named(
    world: World, command: Command, entry: dict[str, Any]
) -> None:
    rows_before = ledger_rows(world.erpnext, entry["name"])
    seed.cancel_document(world.erpnext, "Journal Entry", entry["name"])
    for name in rows_before:
        set_values(world.erpnext, "GL Entry", name, is_cancelled=0)
    assert "cancelled entry is still in the general ledger" in whats(verified(command, world))


def test_a_ledger_row_that_was_changed_is_named(
    world: World, command: Command, entry: dict[str, Any]
) -> None:
    (credit,) = world.erpnext.documents("GL Entry", voucher_no=entry["name"], debit=0)
    set_values(world.erpnext, "GL Entry", credit["name"], credit=1.0)
    found = verified(command, world)
    assert rows(found) == [
        (world.open_days[1].isoformat(), entry["name"], "general ledger differs from the entry")
    ]
    assert found["differences"][0]["actual"] == "1.00"


def test_ledger_rows_that_are_gone_are_named(world: World, command: Command, entry: dict[str, Any]) -> None:
    delete_rows(world.erpnext, "GL Entry", ledger_rows(world.erpnext, entry["name"]))
    found = verified(command, world)
    assert whats(found)[0] == "royalty entry without ledger entries"
    assert whats(found).count("general ledger differs from the entry") == 2


def test_an_entry_booked_on_another_franchise_is_named(
    world: World, command: Command, entry: dict[str, Any]
) -> None:
    other = "Franchise Thane"
    (debit,) = world.erpnext.documents("GL Entry", voucher_no=entry["name"], party=KORAMANGALA)
    set_values(world.erpnext, "GL Entry", debit["name"], party=other)
    found = verified(command, world)
    assert "entry is booked on another customer" in whats(found)
    assert Decimal(found["difference"]) == 0
    assert found["different"] == 1


def test_an_entry_of_nobody_is_named(world: World, command: Command, entry: dict[str, Any]) -> None:
    key = entry[KEY].replace(KORAMANGALA, "Nobody")
    copy_row(world.erpnext, "Journal Entry", entry["name"], "JV-COPY", **{KEY: key})
    for number, name in enumerate(ledger_rows(world.erpnext, entry["name"])):
        copy_row(world.erpnext, "GL Entry", name, f"gl-copy-{number}", voucher_no="JV-COPY")
    for row in world.erpnext.documents("GL Entry", voucher_no="JV-COPY", party=KORAMANGALA):
        set_values(world.erpnext, "GL Entry", row["name"], party="Nobody")
    found = verified(command, world)
    assert "royalty entry of nobody" in whats(found)
    assert Decimal(found["difference"]) == Decimal(str(entry["total_debit"]))


def test_a_key_that_is_there_twice_is_named(world: World, command: Command, entry: dict[str, Any]) -> None:
    with world.erpnext.site.transaction():
        world.erpnext.site.db.drop_unique("Journal Entry", KEY)
    copy_row(world.erpnext, "Journal Entry", entry["name"], "JV-TWIN", **{KEY: f"{entry[KEY].upper()}"})
    for number, name in enumerate(ledger_rows(world.erpnext, entry["name"])):
        copy_row(world.erpnext, "GL Entry", name, f"gl-twin-{number}", voucher_no="JV-TWIN")
    found = verified(command, world)
    assert "key is there twice" in whats(found)
    assert "royalty differs" in whats(found)
    assert Decimal(found["difference"]) == Decimal(str(entry["total_debit"]))


def test_revisions_that_are_not_contiguous_are_named(
    world: World, command: Command, entry: dict[str, Any]
) -> None:
    set_values(world.erpnext, "Journal Entry", entry["name"], **{KEY: f"{entry[KEY][:-1]}2"})
    found = verified(command, world)
    assert whats(found) == ["revision is missing"]
    assert "no revision 0, 1" in found["differences"][0]["message"]


def test_a_key_without_a_revision_is_named(world: World, command: Command, entry: dict[str, Any]) -> None:
    set_values(world.erpnext, "Journal Entry", entry["name"], **{KEY: f"{entry[KEY][:-1]}x"})
    assert "key cannot be read" in whats(verified(command, world))


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"royalty_share": 0.01}, "shares differ from the royalty"),
        ({"document": "ACC-SINV-OTHER"}, "shares lie on other sales"),
        ({"document_type": "POS Invoice"}, "shares lie on other sales"),
    ],
    ids=str,
)
def test_a_row_of_an_entry_that_says_something_else_is_named(
    world: World, command: Command, entry: dict[str, Any], values: dict[str, Any], what: str
) -> None:
    set_values(world.erpnext, DOCTYPE, entry[TABLE][0]["name"], **values)
    found = verified(command, world)
    assert rows(found) == [(world.open_days[1].isoformat(), KORAMANGALA, what)]


def test_rows_that_are_gone_are_named_only_where_a_person_typed_the_entry(
    world: World, command: Command, entry: dict[str, Any]
) -> None:
    """An earlier version posted no rows; its entries say so by their digest."""
    delete_rows(world.erpnext, DOCTYPE, [row["name"] for row in entry[TABLE]])
    assert verified(command, world, code=0)["differences"] == []
    set_values(world.erpnext, "Journal Entry", entry["name"], custom_scoopjoy_digest=None)
    assert rows(verified(command, world)) == [
        (world.open_days[1].isoformat(), entry["name"], "royalty entry without shares")
    ]


def test_a_row_that_was_moved_to_another_entry_is_named_for_both(world: World, command: Command) -> None:
    day = world.open_days[1].isoformat()
    posted = world.erpnext.documents("Journal Entry", posting_date=day)
    several, other, *_ = sorted(posted, key=lambda one: len(one[TABLE]), reverse=True)
    assert len(several[TABLE]) > 1
    set_values(world.erpnext, DOCTYPE, several[TABLE][0]["name"], parent=other["name"])
    both = sorted(one["accounts"][0]["party"] for one in (several, other))
    assert sorted(rows(verified(command, world))) == [
        (day, who, "shares differ from the royalty") for who in both
    ]


def test_a_statement_that_is_gone_is_named(world: World, command: Command, entry: dict[str, Any]) -> None:
    files = world.erpnext.documents("File", attached_to_name=entry["name"])
    delete_rows(world.erpnext, "File", [one["name"] for one in files])
    assert rows(verified(command, world)) == [
        (world.open_days[1].isoformat(), KORAMANGALA, "statement missing")
    ]


def test_a_shift_that_is_open_on_a_closed_day_is_named(world: World, command: Command) -> None:
    day = world.open_days[0]
    shift = seed.add_shift(
        world.erpnext,
        "POS Bandra",
        "cashier.bandra@scoopjoy.example",
        datetime.combine(day, datetime.min.time()) + timedelta(hours=10),
        ["100"],
    )
    found = verified(command, world)
    assert whats(found) == ["shift still open"]
    assert shift.opening in found["differences"][0]["who"]
    assert found["differences"][0]["expected"] is None


def test_a_till_sale_that_arrived_after_its_shift_was_closed_is_a_difference(
    world: World, command: Command
) -> None:
    day = world.open_days[0]
    morning = datetime.combine(day, datetime.min.time()) + timedelta(hours=10)
    seed.add_shift(world.erpnext, "POS Bandra", "cashier.bandra@scoopjoy.example", morning, ["100"])
    session = world.erpnext.session()
    with world.erpnext.site.transaction():
        # The cashier closes the shift without its sale, as an empty closing does.
        opening = world.erpnext.documents("POS Opening Entry", posting_date=day.isoformat())[-1]
        closing = session.new(
            "POS Closing Entry",
            {
                "pos_opening_entry": opening["name"],
                "company": "ScoopJoy",
                "period_end_date": f"{morning + timedelta(hours=5)}",
                "posting_date": day.isoformat(),
            },
        )
        session.submit(session.insert(closing))
    found = verified(command, world)
    assert whats(found) == ["till sales not in the ledger"]
    assert found["differences"][0]["who"] == f"{day} (POS Bandra, cashier.bandra@scoopjoy.example)"


def test_names_from_erpnext_are_no_markup_on_paper(world: World, command: Command) -> None:
    day = world.open_days[1]
    seed.add_invoice(world.erpnext, 'Gelato "N" Go / Pune & Co 🍦', day, "1000")
    change(world.erpnext, "Customer", 'Gelato "N" Go / Pune & Co 🍦', customer_name="[bold]Gelato[/x]")
    table = command("verify", "--from", day.isoformat(), "--to", day.isoformat())
    assert table.code == 2
    assert f"{day} royalty differs - [bold]Gelato[/x]: " in table.text
    assert f"-> Close the day again: `scoopjoy close --date {day}`." in table.text
    assert "difference -71.25" in table.text


def test_a_bar_shows_on_a_terminal_how_many_days_are_read() -> None:
    screen = io.StringIO()
    console = Console(file=screen, width=120, force_terminal=True, color_system=None)
    with _progress(console, date(2026, 1, 30), date(2026, 2, 3)) as tell:
        tell(date(2026, 1, 30), date(2026, 1, 31))
        tell(date(2026, 2, 1), date(2026, 2, 3))
    assert "/5" in screen.getvalue()
    assert "5/5" in screen.getvalue()
    assert ": read" not in screen.getvalue()


def test_every_kind_of_difference_is_in_the_document_for_auditors() -> None:
    text = (Path(__file__).parents[2] / "docs" / "audit.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \*\*([^*]+)\*\* \|", text, re.MULTILINE)
    assert sorted(rows) == sorted(What)


# -- wrong input ------------------------------------------------------------------------------------------------------


def test_days_that_have_not_ended_or_lie_before_go_live_are_refused(world: World, command: Command) -> None:
    before, after = world.go_live - timedelta(days=1), world.last_day + timedelta(days=1)
    for first, last, sentence in (
        (before, world.last_day, "lies before go-live"),
        (world.go_live, after, "has not ended yet"),
        (world.last_day, world.go_live, "lies after --to"),
    ):
        done = command("verify", "--from", first.isoformat(), "--to", last.isoformat())
        assert done.code == 3
        assert sentence in done.sentences
        assert done.out == ""
    assert command("verify", "--from", "yesterday", "--to", "today").code == 3
    assert world.erpnext.requests.total == 0


def test_an_unreachable_erpnext_is_one_sentence(world: World, command: Command) -> None:
    world.erpnext.stop()
    day = world.last_day.isoformat()
    done = command("verify", "--from", day, "--to", day, ERPNEXT_ATTEMPTS="1")
    assert done.code == 3
    assert "no connection to http://127.0.0.1:" in done.sentences


# -- what it costs ----------------------------------------------------------------------------------------------------


def test_months_are_cut_at_their_ends() -> None:
    assert list(months(date(2026, 1, 15), date(2026, 3, 1))) == [
        (date(2026, 1, 15), date(2026, 1, 31)),
        (date(2026, 2, 1), date(2026, 2, 28)),
        (date(2026, 3, 1), date(2026, 3, 1)),
    ]
    assert list(months(date(2028, 2, 29), date(2028, 2, 29))) == [(date(2028, 2, 29), date(2028, 2, 29))]


def test_an_entry_by_hand_between_the_same_accounts_is_a_difference_of_its_own(
    world: World, command: Command
) -> None:
    day = world.open_days[1]
    name = by_hand(world.erpnext, KORAMANGALA, day)
    (row,) = verified(command, world)["differences"]
    assert (row["what"], row["who"], row["business_day"]) == (What.NOT_OURS, KORAMANGALA, day.isoformat())
    assert (row["expected"], row["actual"]) == ("0.00", "96.66")
    assert name in row["message"]


def test_the_number_of_requests_grows_with_months_and_not_with_franchises_and_nothing_is_written() -> None:
    """Where every day is right; amended entries and former franchises cost a few requests more in their month."""
    few, many = (_cost(franchises) for franchises in (2, 12))
    assert few == many
    thirty, sixty = few
    assert sixty - thirty == 12  # the list calls of one month more


def _cost(franchises: int) -> tuple[int, int]:
    """Requests for 30 days (January) and for 60 (January and February and a day)."""
    closed = ClosedDays(date(2026, 1, 1), 60, franchises, 2)
    counts = []
    with site_with(closed) as erpnext:
        robot = erpnext.robot
        for days in (30, 59):
            erpnext.requests.reset()
            with Session(erpnext.url, robot.api_key, robot.api_secret) as session:
                found = _verify(session, closed.first, closed.first + timedelta(days=days - 1))
            assert found.differences == []
            assert len(found.verdicts) == days
            assert found.total.actual > 0
            assert found.requests == erpnext.requests.total
            counts.append(found.requests)
        assert erpnext.requests.writes == 0
    return counts[0], counts[1]


def _verify(session: Session, first: date, last: date) -> Verification:
    told: list[tuple[date, date]] = []
    tell: Callable[[date, date], None] = lambda begin, end: told.append((begin, end))  # noqa: E731
    found = verify(Site.open(session), RoyaltyPolicy(), first, last, headquarters=True, tell=tell)
    assert told == list(months(first, last))
    return found
