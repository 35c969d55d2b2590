"""The shares of a royalty add up, follow each sale alone, and say which sales an adjustment follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoopjoy_dagster.accounting.money import rounded
from scoopjoy_dagster.accounting.policy import NegativeDays, RoyaltyPolicy
from scoopjoy_dagster.accounting.royalties import (
    Action,
    BaseInvoice,
    Franchise,
    PostedEntry,
    with_sales,
    with_shares,
)
from scoopjoy_dagster.accounting.shares import UNKNOWN, Document, Share, by_document
from scoopjoy_dagster_tests.accounting.planning import DAY, plan_of_day

ADYAR = Franchise("Adyar", "Franchise Adyar", Decimal(8))
REVERSE = RoyaltyPolicy(negative_days=NegativeDays.REVERSE)


def sale(name: str, base: str, made: str = "2026-11-22 20:00:00") -> BaseInvoice:
    return BaseInvoice(name, "Adyar", Decimal(base), sales=Decimal(base), touched=made)


class Books:
    """The entries of one franchise and day with their rows, as they are read back."""

    def __init__(self, policy: RoyaltyPolicy = REVERSE) -> None:
        self.policy = policy
        self.entries: list[PostedEntry] = []
        self.rows: list[Share] = []

    def plan(self, *sales: BaseInvoice, re_rate: bool = False, rate: Decimal = ADYAR.rate) -> Action:
        """What a run would do, with the rows of the entry."""
        (action,) = plan_of_day(
            *sales,
            franchises=[replace(ADYAR, rate=rate)],
            posted=self.entries,
            policy=self.policy,
            re_rate=re_rate,
        ).actions
        if not action.posts and not action.touched_since:
            return action
        read = [one for one in self.rows if one.document != UNKNOWN]
        return with_shares(with_sales(action, sales), read, self.policy.precision)

    def run(self, *sales: BaseInvoice, re_rate: bool = False, rate: Decimal = ADYAR.rate) -> Action:
        """Carry it out."""
        action = self.plan(*sales, re_rate=re_rate, rate=rate)
        if action.posts:
            name = f"JE-{len(self.entries) + 1}"
            royalty = action.royalty
            self.entries.append(
                PostedEntry(
                    name,
                    action.key,
                    1,
                    action.amount,
                    action.digest,
                    "Adyar",
                    base=royalty.own_base,
                    rate=royalty.rate,
                    policy=royalty.policy_version,
                    terms=royalty.terms,
                    posting_date=DAY,
                    adjusts=action.adjusts,
                    created=f"2026-11-23 0{len(self.entries)}:00:00",
                )
            )
            self.rows += [replace(one, entry=name) for one in action.shares]
        return action

    @property
    def shares(self) -> dict[str, tuple[Decimal, Decimal]]:
        """Base and share of each sale that has any."""
        return {
            name: (one.base, one.share)
            for (_, name), one in by_document(self.rows).items()
            if (one.base or one.share) and name
        }


def rows(action: Action) -> list[tuple[str, Decimal, Decimal]]:
    return [(one.document[1], one.base, one.share) for one in action.shares]


def test_a_first_entry_has_a_row_for_each_sale() -> None:
    action = Books().run(sale("S-1", "100.10"), sale("S-2", "0"), sale("S-3", "-50.05"))
    assert action.amount == Decimal("4.00")
    assert rows(action) == [
        ("S-1", Decimal("100.10"), Decimal("8.01")),
        ("S-2", Decimal(0), Decimal("0.00")),
        ("S-3", Decimal("-50.05"), Decimal("-4.01")),
    ]


def test_a_later_change_adjusts_by_the_sales_that_came_went_and_changed_and_names_exactly_those() -> None:
    books = Books()
    books.run(sale("S-1", "100"), sale("S-2", "200"), sale("S-3", "300"))
    action = books.run(sale("S-1", "100"), sale("S-3", "350"), sale("S-4", "50"))
    assert rows(action) == [
        ("S-2", Decimal(-200), Decimal("-16.00")),
        ("S-3", Decimal(50), Decimal("4.00")),
        ("S-4", Decimal(50), Decimal("4.00")),
    ]
    assert action.reason == (
        "royalty 48.00 -> 40.00: base 600.00 -> 500.00; S-4 added; S-2 cancelled; S-3 changed"
    )
    second = books.run(sale("S-1", "100"), sale("S-3", "350"))
    assert second.reason.endswith("; S-4 cancelled")
    assert books.shares == {"S-1": (Decimal(100), Decimal("8.00")), "S-3": (Decimal(350), Decimal("28.00"))}


def test_many_sales_are_counted_in_the_reason_and_all_are_in_the_rows() -> None:
    books = Books()
    books.run(sale("S-0", "100"))
    action = books.run(*(sale(f"S-{number}", "100") for number in range(9)))
    assert action.reason.endswith("; S-1, S-2, S-3, S-4, S-5 and 3 more added")
    assert len(action.shares) == 8


def test_a_cancelled_sale_has_no_share_whatever_was_rounded_and_the_others_are_a_paisa_near() -> None:
    books = Books()
    books.run(*(sale(f"S-{number:02}", "4.45") for number in range(40)))  # 0.356 each
    high = [name for name, (_, share) in books.shares.items() if share == Decimal("0.36")]
    action = books.run(*(sale(name, "4.45") for name in high))
    assert action.amount == Decimal("8.54") - Decimal("14.24")
    assert books.shares.keys() == set(high)
    assert {share for _, share in books.shares.values()} == {Decimal("0.35"), Decimal("0.36")}
    assert action.reason.endswith(
        "; " + ", ".join(sorted({f"S-{n:02}" for n in range(40)} - set(high))[:5]) + " and 11 more cancelled"
    )


LATE = "2026-11-24 09:00:00"


def test_a_sale_in_the_place_of_a_cancelled_one_gets_its_share_though_nothing_is_owed_besides() -> None:
    books = Books()
    books.run(sale("S-1", "100"), sale("S-2", "200"))
    action = books.run(sale("S-1", "100"), sale("S-2-1", "200", LATE))
    assert (action.kind, action.amount, action.adjusts) == ("adjust", Decimal(0), "JE-1")
    assert action.key.endswith(":1")
    assert action.reason.endswith("; S-2-1 added; S-2 cancelled")
    assert books.shares == {"S-1": (Decimal(100), Decimal("8.00")), "S-2-1": (Decimal(200), Decimal("16.00"))}
    assert books.run(sale("S-1", "100"), sale("S-2-1", "200", LATE)).kind == "adopt"


def test_a_later_sale_that_bears_nothing_moves_nothing() -> None:
    books = Books()
    books.run(sale("S-1", "100"))
    assert books.run(sale("S-1", "100"), sale("S-2", "0.01", LATE)).kind == "adopt"


def test_what_a_person_added_has_no_share_and_moves_none() -> None:
    books = Books()
    books.run(sale("S-1", "100"))
    books.entries[0] = replace(books.entries[0], amount=Decimal(108), amended=True)
    action = books.run(sale("S-1", "100"), sale("S-2", "50"))
    assert (action.amount, rows(action)) == (Decimal("4.00"), [("S-2", Decimal(50), Decimal("4.00"))])
    back = books.run(sale("S-1", "100"), sale("S-2", "50"), re_rate=True)
    assert (back.amount, rows(back)) == (Decimal("-100.00"), [])
    assert sum(share for _, share in books.shares.values()) == sum(one.amount for one in books.entries)


def test_the_first_adjustment_of_an_entry_without_rows_brings_the_shares_of_all_sales() -> None:
    books = Books()
    books.run(sale("S-1", "100"), sale("S-2", "200"))
    books.rows.clear()
    assert books.plan(sale("S-1", "100"), sale("S-2", "200", LATE)).kind == "adopt"
    action = books.run(sale("S-1", "100"), sale("S-2", "150"))
    assert action.amount == Decimal("-4.00")
    assert action.reason == "royalty 24.00 -> 20.00: base 300.00 -> 250.00"
    assert rows(action) == [
        (UNKNOWN[1], Decimal(-300), Decimal("-24.00")),
        ("S-1", Decimal(100), Decimal("8.00")),
        ("S-2", Decimal(150), Decimal("12.00")),
    ]
    last = books.run(sale("S-1", "100"))
    assert rows(last) == [("S-2", Decimal(-150), Decimal("-12.00"))]
    assert books.shares == {"S-1": (Decimal(100), Decimal("8.00"))}


def test_another_rate_that_a_person_asks_for_moves_the_shares_of_all_sales() -> None:
    books = Books()
    books.run(sale("S-1", "100"), sale("S-2", "200"))
    action = books.run(sale("S-1", "100"), sale("S-2", "200"), re_rate=True, rate=Decimal(10))
    assert rows(action) == [("S-1", Decimal(0), Decimal("2.00")), ("S-2", Decimal(0), Decimal("4.00"))]
    assert "added" not in action.reason


@pytest.mark.parametrize("amount", ["0.01", "3.00"])
def test_equal_names_of_two_doctypes_are_two_sales(amount: str) -> None:
    till = replace(sale("S-1", amount), doctype="POS Invoice")
    books = Books()
    books.run(sale("S-1", "100"))
    action = books.run(sale("S-1", "100"), till)
    documents: Sequence[Document] = [one.document for one in action.shares]
    assert documents == ([("POS Invoice", "S-1")] if amount == "3.00" else [])


BASES = st.dictionaries(
    st.sampled_from([f"S-{number}" for number in range(8)]), st.decimals(-9_999, 99_999, places=2), max_size=8
)


@given(
    st.lists(
        st.tuples(BASES, st.booleans(), st.decimals("0.01", 100, places=3), st.integers(-2, 2)),
        min_size=1,
        max_size=6,
    ),
    st.sampled_from([REVERSE, RoyaltyPolicy()]),
)
def test_whatever_happens_rows_and_entries_agree_and_each_share_is_near_its_sale(
    history: list[tuple[Mapping[str, Decimal], bool, Decimal, int]], policy: RoyaltyPolicy
) -> None:
    """Sales, rates and persons' amendments in any order: rows are what is posted, less what a person added, to the paisa."""
    books = Books(policy)
    by_person = Decimal(0)
    for bases, re_rate, rate, added in history:
        sales = [sale(name, str(base)) for name, base in bases.items()]
        if re_rate:
            by_person = Decimal(0)
        action = books.run(*sales, re_rate=re_rate, rate=rate)
        assert books.plan(*sales, rate=rate).posts is False
        posted = sum((one.amount for one in books.entries), Decimal(0))
        shares = books.shares
        if books.rows:
            assert sum((share for _, share in shares.values()), Decimal(0)) == posted - by_person
        if action.posts:
            assert {name: base for name, (base, _) in shares.items() if base} == {
                name: base for name, base in bases.items() if base
            }
            for base, share in shares.values():  # of a sale that is gone: 0 and 0
                due = action.royalty.rate * base / 100 if action.royalty.own_amount else 0
                assert abs(share - due) < Decimal("0.01")
        if added == 2 and len(books.entries) == 1:  # an earlier version had posted it
            books.rows.clear()
        elif added and books.entries:
            last = books.entries[-1]
            books.entries[-1] = replace(last, amount=last.amount + added, amended=True)
            by_person += added
        assert rounded(posted, policy.precision) == posted
