"""What `scoopjoy verify` says of a day: every row whole, with its amounts, its names and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from scoopjoy_dagster.accounting.day_record import BookedEntry, DayRecord, Told
from scoopjoy_dagster.accounting.differences import DayDifference, What
from scoopjoy_dagster.accounting.keys import royalty_key
from scoopjoy_dagster.accounting.policy import RoyaltyPolicy
from scoopjoy_dagster.accounting.royalties import BaseInvoice, FormerFranchise, Franchise, PostedEntry
from scoopjoy_dagster.accounting.shares import Share
from scoopjoy_dagster.accounting.verification import entries_by_customer, plan_of, readable, verify_day

DAY = date(2026, 11, 22)
POLICY = RoyaltyPolicy()
ADYAR = Franchise("CUST-1", "Franchise Adyar", Decimal(8))
BANDRA = Franchise("CUST-2", "Franchise Bandra", Decimal("5.50"))
AGAIN = "Close the day again: `scoopjoy close --date 2026-11-22`."
ADJUSTS = f"{AGAIN} It posts the difference as a signed adjustment."
LEDGER = "Look at the entry's ledger in ERPNext (Repost Accounting Ledger)."


def sale(name: str, amount: str, customer: str = "CUST-1", currency: str = "INR") -> BaseInvoice:
    return BaseInvoice(name, customer, Decimal(amount), currency=currency, sales=Decimal(amount))


def entry(revision: int, amount: str, of: str = "CUST-1", **changes: object) -> BookedEntry:
    """An entry as it stands in the ledger when nobody has touched it: of 8 % of 1000.00 unless told otherwise."""
    number = f"JV-{of[-1]}-{revision}"
    posted = PostedEntry(
        number,
        royalty_key("ScoopJoy", DAY, of, revision),
        1,
        Decimal(amount),
        "digest",
        customer=of,
        base=Decimal(1000),
        rate=Decimal(8),
        policy=POLICY.version,
    )
    fields = set(PostedEntry.__dataclass_fields__)
    posted = replace(posted, **{name: value for name, value in changes.items() if name in fields})  # type: ignore[arg-type]
    total = abs(posted.amount)
    made = BookedEntry(posted, posted.name, total, total, total)
    return replace(made, **{name: value for name, value in changes.items() if name not in fields})  # type: ignore[arg-type]


def carries(invoice: str, base: str, share: str, entry: str = "JV-1-0") -> Share:
    return Share(("Sales Invoice", invoice), Decimal(base), Decimal(share), entry)


RIGHT = DayRecord(
    DAY,
    (sale("S-1", "600"), sale("S-2", "400")),
    (carries("S-1", "600", "48"), carries("S-2", "400", "32")),
    (entry(0, "80"),),
    statements=frozenset({"JV-1-0"}),
    headquarters=Told(2, Decimal("80.00")),
)
"""A closed day: 80.00 of Adyar on two invoices."""


def rows(
    record: DayRecord,
    franchises: Sequence[Franchise] = (ADYAR,),
    policy: RoyaltyPolicy = POLICY,
    currency: str = "INR",
) -> list[DayDifference]:
    return list(verify_day("ScoopJoy", policy, franchises, currency, record).differences)


def row(
    who: str, what: str, message: str, action: str, expected: str | None = None, actual: str | None = None
) -> DayDifference:
    amounts = [None if one is None else Decimal(one) for one in (expected, actual)]
    return DayDifference(DAY, who, what, message, action, *amounts)


def of_kind(found: list[DayDifference], *kinds: str) -> list[DayDifference]:
    return [one for one in found if one.what in kinds]


def test_a_right_day_has_its_sums_and_no_rows() -> None:
    verdict = verify_day("ScoopJoy", POLICY, (ADYAR,), "INR", RIGHT)
    assert (verdict.day, verdict.expected, verdict.actual) == (DAY, Decimal(80), Decimal(80))
    assert verdict.differences == ()
    empty = verify_day("ScoopJoy", POLICY, (), "INR", DayRecord(DAY))
    assert (empty.expected, empty.actual, empty.right) == (Decimal(0), Decimal(0), True)
    assert isinstance(empty.actual, Decimal)


def test_the_plan_behind_it_is_that_of_a_close() -> None:
    left = FormerFranchise("CUST-9", "Franchise Gone", "disabled")
    record = replace(
        RIGHT,
        invoices=(*RIGHT.invoices, sale("S-3", "1", currency="USD")),
        entries=(*RIGHT.entries, entry(0, "5", "CUST-9"), entry(1, "3", key="royalty:manual")),
        former=(left,),
    )
    plan = plan_of("ScoopJoy", POLICY, (ADYAR,), "EUR", record)
    assert (plan.company, plan.day, plan.policy) == ("ScoopJoy", DAY, POLICY)
    assert [(one.kind, one.royalty.customer) for one in plan.actions] == [
        ("adjust", "CUST-1"),
        ("adopt", "CUST-9"),
    ]
    assert plan.findings[-1].message.endswith("at its base amount of 1.00 EUR")


@pytest.mark.parametrize(
    "record",
    [
        DayRecord(DAY, RIGHT.invoices),
        replace(RIGHT, entries=(entry(0, "0", docstatus=2),), shares=()),
    ],
    ids=["nothing posted", "only a cancelled entry"],
)
def test_an_amount_of_nothing_is_an_amount_too(record: DayRecord) -> None:
    found = [one for one in rows(record) if one.actual == 0]
    assert found
    assert all(isinstance(one.expected, Decimal) and isinstance(one.actual, Decimal) for one in found)


# -- the ledger against the rule ----------------------------------------------------------------------------------


def test_a_royalty_that_nobody_posted_is_told_with_what_it_follows_from() -> None:
    record = DayRecord(DAY, (sale("S-1", "600"), sale("S-2", "400.5")))
    assert rows(record) == [
        row(
            "Franchise Adyar",
            What.MISSING,
            "nothing is posted; the rule says 80.04: 8 % of 1000.50 on 2 invoices",
            AGAIN,
            "80.04",
            "0",
        )
    ]


def test_another_royalty_is_told_with_what_it_was_posted_on_and_what_the_rule_says() -> None:
    entries = (entry(1, "8", base=Decimal("1100.5"), rate=Decimal("10.0")), entry(0, "80"))
    found = rows(replace(RIGHT, entries=entries, headquarters=None))
    assert of_kind(found, What.DIFFERS) == [
        row(
            "Franchise Adyar",
            What.DIFFERS,
            f"JV-1-0, JV-1-1: posted on a base of 1100.50 at 10 % (policy {POLICY.version}); the rule says 100.00: 10 % of "
            f"1000.00 on 2 invoices (policy {POLICY.version})",
            ADJUSTS,
            "100.00",
            "88",
        )
    ]


def test_an_entry_without_a_kept_policy_is_said_to_be_of_an_unknown_one() -> None:
    terms = {"policy": "", "terms": POLICY.terms}
    (found, *_) = rows(replace(RIGHT, entries=(entry(0, "70", "CUST-1", **terms),)))
    assert "at 8 % (policy unknown); the rule" in found.message


def test_what_a_former_franchise_keeps_is_right_whatever_was_sold() -> None:
    left = FormerFranchise("CUST-1", "Franchise Adyar", "the customer is disabled")
    record = replace(RIGHT, invoices=(), former=(left,))
    assert rows(record, ()) == []


def test_a_refused_franchise_is_told_in_the_words_of_its_exception_row() -> None:
    cancelled = replace(RIGHT, entries=(entry(0, "70"), entry(1, "0", docstatus=2)), headquarters=None)
    (found,) = of_kind(rows(cancelled), "royalty entry cancelled by a person")
    assert found == row(
        "Franchise Adyar",
        "royalty entry cancelled by a person",
        "JV-1-1: 10.00 of 80.00 for 2026-11-22 are not in the ledger, and we do not undo a person's decision",
        "Amend and submit the entry in ERPNext; if the day's royalty is waived, then post a credit of your own against it.",
        "80.00",
        "70",
    )


def test_each_refused_franchise_has_its_own_row_and_a_rate_out_of_range_no_amount() -> None:
    chain = (replace(ADYAR, rate=Decimal(101)), replace(BANDRA, rate=Decimal(-1)))
    found = rows(DayRecord(DAY), chain)
    assert [(one.who, one.what, one.expected, one.actual) for one in found] == [
        ("Franchise Adyar", "royalty rate out of range", None, None),
        ("Franchise Bandra", "royalty rate out of range", None, None),
    ]
    assert [one.message[:32] for one in found] == [
        "custom_royalty_percentage is 101",
        "custom_royalty_percentage is -1;",
    ]
    assert found[0].action == "Correct Royalty Percentage on the Customer in ERPNext and run the day again."


def test_entries_of_nobody_are_told_with_their_key_and_amount_unless_it_is_nothing() -> None:
    record = DayRecord(
        DAY, entries=(entry(0, "5", "CUST-9"), entry(1, "0", "CUST-9"), entry(2, "-2", "CUST-9"))
    )
    action = (
        "See that the user may read every Customer and that this one was not deleted; otherwise reverse the entry in "
        "ERPNext."
    )
    assert rows(record) == [
        row(
            name,
            What.OF_NOBODY,
            f"posted under the key royalty:ScoopJoy:2026-11-22:CUST-9:{revision}, but its customer is neither among the "
            "franchises nor seen to have left them",
            action,
            "0",
            amount,
        )
        for name, revision, amount in (("JV-9-0", 0, "5"), ("JV-9-2", 2, "-2"))
    ]


# -- the entries themselves ---------------------------------------------------------------------------------------


def test_a_key_that_cannot_be_read_is_told_with_the_amount_under_it() -> None:
    record = replace(RIGHT, entries=(*RIGHT.entries, entry(1, "3", key="royalty:manual")), headquarters=None)
    assert rows(record) == [
        row(
            "JV-1-1",
            What.KEY_UNREADABLE,
            "the key 'royalty:manual' does not end in a revision: this program did not write it",
            "Find out in ERPNext who changed the key; reverse the entry if it is not owed.",
            "0",
            "3",
        )
    ]
    assert [readable(key) for key in ("a:0", "a:", "", "a:-1", "0")] == [True, False, False, False, True]


def test_a_key_that_is_there_twice_is_told_with_both_entries() -> None:
    twin = entry(0, "0", name="JV-0", key="ROYALTY:scoopjoy:2026-11-22:cust-1:00 ")
    record = replace(RIGHT, entries=(*RIGHT.entries, twin), statements=frozenset({"JV-0"}))
    assert of_kind(rows(record), What.KEY_TWICE) == [
        row(
            "JV-0, JV-1-0",
            What.KEY_TWICE,
            "2 entries carry revision 0 of royalty:scoopjoy:2026-11-22:cust-1",
            "Reverse what is posted too much in ERPNext, and run `scoopjoy check`: the field must be unique.",
        )
    ]


def test_revisions_that_are_missing_are_told_with_the_entries_that_are_there() -> None:
    entries = (entry(0, "80"), entry(2, "0"), entry(5, "0"))
    assert rows(replace(RIGHT, entries=entries)) == [
        row(
            "JV-1-0, JV-1-2, JV-1-5",
            What.REVISION_MISSING,
            "there is no revision 1, 3, 4 before royalty:ScoopJoy:2026-11-22:CUST-1:5: an entry was deleted",
            "Find out in ERPNext's Deleted Documents who deleted it.",
        )
    ]
    assert rows(replace(RIGHT, entries=(entry(0, "80"), entry(1, "0"), entry(2, "0")))) == []


def test_only_the_first_gaps_are_looked_for_behind_a_damaged_revision() -> None:
    found = rows(replace(RIGHT, entries=(entry(0, "80"), entry(1_000_000, "0"))))
    assert [one.what for one in found] == [What.REVISION_MISSING]
    assert found[0].message.startswith("there is no revision 1, 2, 3, 4, 5, 6 before ")


def test_gaps_of_nobody_s_entries_are_not_told_beside_them() -> None:
    found = rows(DayRecord(DAY, entries=(entry(3, "5", "CUST-9"),)))
    assert [one.what for one in found] == [What.OF_NOBODY]


def test_ledger_rows_that_differ_from_their_entry_are_told_by_side() -> None:
    assert rows(replace(RIGHT, entries=(entry(0, "80", debit=Decimal(79), credit=Decimal("80.5")),))) == [
        row(
            "JV-1-0",
            What.LEDGER_DIFFERS,
            f"the {side} of its ledger rows is {amount}, the entry says 80.00",
            LEDGER,
            "80",
            amount,
        )
        for side, amount in (("debit", "79.00"), ("credit", "80.50"))
    ]


def test_rows_of_a_cancelled_entry_that_still_count_are_told_under_the_name_that_has_the_key() -> None:
    left = entry(0, "80", name="JV-1-0", keyed="JV-1-00", left_over=Decimal("12.5"))
    unnamed = entry(1, "0", keyed="", left_over=Decimal(-1), docstatus=2, total=Decimal(7))
    assert rows(replace(RIGHT, entries=(left, unnamed))) == [
        row(
            name,
            What.CANCELLED_IN_LEDGER,
            f"it is cancelled, but rows of {amount} of it still count",
            LEDGER,
            "0",
            amount,
        )
        for name, amount in (("JV-1-00", "12.50"), ("JV-1-1", "-1.00"))
    ]


def test_the_rows_of_entries_behind_a_cancelled_one_are_compared_too() -> None:
    entries = (entry(0, "0", docstatus=2, total=Decimal(5)), entry(1, "80", debit=Decimal(79)))
    found = rows(replace(RIGHT, entries=entries))
    assert [(one.who, one.what) for one in of_kind(found, What.LEDGER_DIFFERS)] == [
        ("JV-1-1", What.LEDGER_DIFFERS)
    ]


def test_an_entry_that_is_booked_on_another_franchise_is_told_under_the_one_that_was_meant() -> None:
    record = DayRecord(
        DAY,
        (sale("S-1", "1000"), sale("S-3", "10", "CUST-2")),
        entries=(entry(0, "80.5", customer="CUST-2"), entry(0, "1", "CUST-2", name="JV-2-0")),
    )
    assert of_kind(rows(record, (ADYAR, BANDRA)), What.OTHER_PARTY) == [
        row(
            "Franchise Adyar",
            What.OTHER_PARTY,
            "the key of JV-1-0 is of CUST-1, its 80.50 are booked on CUST-2",
            "Cancel the entry in ERPNext and amend it with the right party.",
        )
    ]


def test_names_that_do_not_fit_into_a_key_are_told_apart_by_their_keys() -> None:
    long = Franchise("CUST " + "x" * 130, "Franchise Long", Decimal(8))
    record = DayRecord(
        DAY, (sale("S-1", "1000", long.customer),), entries=(entry(0, "80", long.customer, customer=""),)
    )
    plan = plan_of("ScoopJoy", POLICY, (long,), "INR", record)
    assert list(entries_by_customer(plan, record)) == [long.customer]
    moved = replace(record, entries=(entry(0, "80", long.customer, customer="CUST-1"),))
    (found,) = of_kind(rows(moved, (ADYAR, long)), What.OTHER_PARTY)
    assert found.who == "Franchise Long"


def test_an_entry_with_the_key_of_a_franchise_and_the_party_of_nobody_is_nobody_s() -> None:
    record = replace(RIGHT, entries=(entry(0, "80", customer="Walk-in"),))
    kinds = [one.what for one in rows(record)]
    assert What.OF_NOBODY in kinds
    assert What.OTHER_PARTY not in kinds


def test_entries_are_their_party_s_in_order_of_revision_and_by_key_where_there_is_none() -> None:
    record = DayRecord(
        DAY,
        entries=(
            entry(10, "1"),
            entry(2, "1", name="JV-B"),
            entry(2, "1", name="JV-A", customer=""),
            entry(0, "1", "CUST-9", customer="cust-1 "),
            entry(0, "1", "CUST-8"),
            entry(1, "1", key="royalty:manual"),
        ),
    )
    plan = plan_of("ScoopJoy", POLICY, (ADYAR,), "INR", record)
    found = entries_by_customer(plan, record)
    assert {customer: [one.posted.name for one in mine] for customer, mine in found.items()} == {
        "CUST-1": ["JV-9-0", "JV-A", "JV-B", "JV-1-10"],
        "": ["JV-8-0"],
    }


# -- invoices, statements, headquarters, shifts -------------------------------------------------------------------


def test_shares_that_do_not_add_up_are_told_with_both_sums() -> None:
    shares = (carries("S-1", "600", "48"), carries("S-2", "400", "31.5"))
    assert rows(replace(RIGHT, shares=shares)) == [
        row(
            "Franchise Adyar",
            What.SHARES_DIFFER,
            "the shares in JV-1-0 add up to 79.50, 80.00 are in the ledger",
            "Find out in ERPNext who changed the rows of the entry; cancel and amend it with the right ones.",
            "80",
            "79.50",
        )
    ]


def test_shares_are_summed_over_all_entries_of_a_franchise_and_less_what_a_person_added() -> None:
    amended = entry(0, "90", amended=True, total=Decimal(90), debit=Decimal(90), credit=Decimal(90))
    shares = (*RIGHT.shares, carries("S-3", "100", "8", "JV-1-1"))
    record = replace(
        RIGHT,
        invoices=(*RIGHT.invoices, sale("S-3", "100")),
        entries=(amended, entry(1, "8", base=Decimal(1100))),
        shares=shares,
        headquarters=None,
    )
    assert rows(record) == []
    (found,) = rows(replace(record, shares=shares[1:]))
    assert (found.what, found.expected, found.actual) == (What.SHARES_DIFFER, Decimal(88), Decimal(40))


def test_shares_are_not_judged_where_the_royalty_itself_is_another() -> None:
    record = replace(RIGHT, invoices=(*RIGHT.invoices, sale("S-3", "500")), headquarters=None)
    assert [one.what for one in rows(record)] == [What.DIFFERS]


def test_entries_of_an_earlier_version_have_no_shares_and_are_right() -> None:
    ours = replace(RIGHT, entries=(entry(0, "80", digest="abc"),), shares=())
    assert rows(ours) == []
    typed = replace(RIGHT, entries=(entry(0, "80", digest=""),), shares=())
    assert [one.what for one in rows(typed)] == [What.WITHOUT_SHARES]


def test_a_missing_statement_is_told_with_the_entry_that_it_belongs_to() -> None:
    record = replace(RIGHT, entries=(entry(0, "70"), entry(1, "10")), statements=frozenset({"JV-1-1"}))
    assert rows(record) == [
        row("Franchise Adyar", What.STATEMENT_MISSING, "no royalty statement is attached to JV-1-0", AGAIN)
    ]
    assert rows(DayRecord(DAY)) == []


def test_headquarters_is_asked_only_where_there_is_one_and_believed_where_its_royalty_is_not_known() -> None:
    assert rows(replace(RIGHT, headquarters=None)) == []
    assert rows(replace(RIGHT, headquarters=Told(0))) == []
    assert rows(replace(RIGHT, headquarters=Told())) == [
        row(
            "headquarters",
            What.NOT_ACKNOWLEDGED,
            "there is no record that headquarters has taken the day's totals",
            AGAIN,
        )
    ]
    assert rows(replace(RIGHT, headquarters=Told(2, Decimal("79.5")))) == [
        row(
            "headquarters",
            What.TOLD_OTHERWISE,
            "revision 2 says 79.50, 80.00 are in the ledger",
            AGAIN,
            "80",
            "79.50",
        )
    ]


def test_every_open_shift_is_told() -> None:
    record = replace(RIGHT, open_shifts=("OPE-1 (POS Bandra, asha)", "OPE-2 (POS Adyar, lata)"))
    assert rows(record) == [
        row(
            label,
            What.SHIFT_OPEN,
            "the shift of the day has no submitted POS Closing Entry: its sales are not in the ledger",
            AGAIN,
        )
        for label in record.open_shifts
    ]
