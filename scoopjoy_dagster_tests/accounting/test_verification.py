"""A closed day against the rule: nothing to say about a day that is right, one row for everything that is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from scoopjoy_dagster.accounting.day_record import BookedEntry, DayRecord, OtherRoyalty, Told
from scoopjoy_dagster.accounting.differences import DayVerdict, What, by_month
from scoopjoy_dagster.accounting.keys import revision_of, royalty_key
from scoopjoy_dagster.accounting.policy import NegativeDays, RoyaltyPolicy
from scoopjoy_dagster.accounting.royalties import (
    BaseInvoice,
    FormerFranchise,
    Franchise,
    PostedEntry,
    with_shares,
)
from scoopjoy_dagster.accounting.shares import Share
from scoopjoy_dagster.accounting.shifts import Opening, TillSale, UnbookedSales
from scoopjoy_dagster.accounting.verification import plan_of, verify_day

DAY = date(2026, 11, 22)
COMPANY = "ScoopJoy"
POLICY = RoyaltyPolicy()
ADYAR = Franchise("CUST-0001", "Franchise Adyar", Decimal(8))
BANDRA = Franchise("CUST-0002", "Franchise Bandra", Decimal(5))
FRANCHISES = (ADYAR, BANDRA)
AS_POSTED = frozenset(
    {
        *(What.MISSING, What.DIFFERS, What.OF_NOBODY, What.KEY_UNREADABLE),
        "royalty entry cancelled by a person",
        "royalty entry left as a draft by a person",
    }
)
"""Kinds of rows whose amounts make up the difference between rule and ledger."""


def invoice(amount: str, of: Franchise = ADYAR, name: str = "SINV-1") -> BaseInvoice:
    value = Decimal(amount)
    return BaseInvoice(name, of.customer, value, value < 0, "INR", value)


def verify(
    record: DayRecord, franchises: tuple[Franchise, ...] = FRANCHISES, policy: RoyaltyPolicy = POLICY
) -> DayVerdict:
    return verify_day(COMPANY, policy, franchises, "INR", record)


def whats(verdict: DayVerdict) -> list[str]:
    return [str(one.what) for one in verdict.differences]


def booked(posted: PostedEntry, adjusts: str = "") -> BookedEntry:
    """An entry as the ledger holds it when nobody has touched it."""
    amount = abs(posted.amount)
    return BookedEntry(posted, posted.name, amount, amount, amount, adjusts=adjusts)


def close(
    record: DayRecord, franchises: tuple[Franchise, ...] = FRANCHISES, policy: RoyaltyPolicy = POLICY
) -> DayRecord:
    """The day after a close without faults: entries posted with their shares, statements attached."""
    plan = plan_of(COMPANY, policy, franchises, "INR", record)
    actions = [
        with_shares(
            one,
            [row for row in record.shares if row.entry in {entry.name for entry in one.entries}],
            policy.precision,
        )
        for one in plan.actions
        if one.posts or one.touched_since
    ]
    new = [
        booked(
            PostedEntry(
                f"JV-{action.royalty.customer}-{revision_of(action.key)}",
                action.key,
                1,
                action.amount,
                action.digest,
                action.royalty.customer,
                base=action.royalty.own_base,
                rate=action.royalty.rate,
                policy=action.royalty.policy_version,
                posting_date=record.day,
                terms=action.royalty.terms,
                adjusts=action.adjusts,
            ),
            action.adjusts,
        )
        for action in actions
        if action.posts
    ]
    rows = [
        replace(row, entry=entry.posted.name)
        for action, entry in zip([one for one in actions if one.posts], new, strict=True)
        for row in action.shares
    ]
    posted = replace(record, entries=(*record.entries, *new), shares=(*record.shares, *rows))
    settled = plan_of(COMPANY, policy, franchises, "INR", posted)
    first = frozenset(action.entries[0].name for action in settled.actions if action.entries)
    return replace(
        posted,
        statements=first,
        headquarters=posted.headquarters and Told(0, settled.due),
    )


@pytest.fixture
def day() -> DayRecord:
    """A closed day: 80.00 of Adyar on two invoices, 10.00 of Bandra on one."""
    return close(
        DayRecord(
            DAY,
            (invoice("600"), invoice("400", name="SINV-2"), invoice("200", BANDRA, "SINV-3")),
            headquarters=Told(),
        )
    )


# -- properties -------------------------------------------------------------------------------------------------------

rates = st.decimals("0", "100", places=3)
paise = st.integers(-200_000, 500_000).map(lambda value: Decimal(value).scaleb(-2))
policies = st.builds(RoyaltyPolicy, negative_days=st.sampled_from(NegativeDays))
chains = st.lists(st.tuples(rates, st.booleans()), min_size=1, max_size=4).map(
    lambda terms: tuple(
        Franchise(f"CUST-{number}", f"Franchise {number}", rate, exempt)
        for number, (rate, exempt) in enumerate(terms)
    )
)


@st.composite
def invoices_of(draw: st.DrawFn, chain: tuple[Franchise, ...]) -> tuple[BaseInvoice, ...]:
    amounts = draw(st.lists(st.tuples(st.sampled_from(chain), paise), max_size=8))
    return tuple(
        BaseInvoice(f"SINV-{number}", of.customer, amount, amount < 0, "INR", amount)
        for number, (of, amount) in enumerate(amounts)
    )


@given(st.data(), policies)
def test_a_day_that_was_closed_without_faults_has_no_differences_also_after_late_changes(
    data: st.DataObject, policy: RoyaltyPolicy
) -> None:
    chain = data.draw(chains)
    first = close(DayRecord(DAY, data.draw(invoices_of(chain)), headquarters=Told()), chain, policy)
    assert verify(first, chain, policy).differences == ()
    touched = tuple(replace(one, touched="later") for one in data.draw(invoices_of(chain)))
    later = close(replace(first, invoices=touched), chain, policy)
    verdict = verify(later, chain, policy)
    assert verdict.differences == ()
    assert verdict.right
    assert verdict.actual == verdict.expected


@given(st.data(), policies)
def test_the_rows_about_royalties_add_up_to_the_difference_between_rule_and_ledger(
    data: st.DataObject, policy: RoyaltyPolicy
) -> None:
    """Whatever happened to the entries: nothing is counted twice, nothing is left out."""
    chain = data.draw(chains)
    record = close(DayRecord(DAY, data.draw(invoices_of(chain))), chain, policy)
    changed = []
    for entry in record.entries:
        amount = data.draw(st.one_of(st.just(entry.posted.amount), paise))
        docstatus = data.draw(st.sampled_from([0, 1, 1, 1, 2]))
        amount = amount if docstatus == 1 else Decimal(0)
        if data.draw(st.booleans()):
            changed.append(replace(entry, posted=replace(entry.posted, amount=amount, docstatus=docstatus)))
    record = replace(record, entries=tuple(changed), invoices=data.draw(invoices_of(chain)))
    verdict = verify(record, chain, policy)
    rows = [one.amount for one in verdict.differences if one.what in AS_POSTED]
    assert None not in rows
    assert sum((one for one in rows if one is not None), Decimal(0)) == verdict.actual - verdict.expected


@given(st.data())
def test_every_change_of_a_posted_amount_is_seen(data: st.DataObject) -> None:
    chain = data.draw(chains)
    record = close(DayRecord(DAY, data.draw(invoices_of(chain))), chain)
    assume(record.entries)
    number = data.draw(st.integers(0, len(record.entries) - 1))
    by = data.draw(paise.filter(bool))
    entries = list(record.entries)
    posted = entries[number].posted
    entries[number] = replace(entries[number], posted=replace(posted, amount=posted.amount + by))
    verdict = verify(replace(record, entries=tuple(entries)), chain)
    assert not verdict.right
    assert verdict.actual - verdict.expected == by


keys = st.one_of(
    st.text(max_size=12),
    st.builds(
        lambda customer, tail: f"royalty:{COMPANY}:{DAY}:{customer}:{tail}",
        st.sampled_from(["CUST-0", "cust-0", "CUST-9", ""]),
        st.sampled_from(["0", "1", "00", "7", "x", ""]),
    ),
)


@given(
    st.lists(
        st.builds(
            BookedEntry,
            st.builds(PostedEntry, st.text("JV", max_size=3), keys, st.integers(0, 2), paise),
            total=paise,
            debit=paise,
            credit=paise,
            left_over=paise,
        ),
        max_size=6,
    ),
    st.lists(
        st.builds(
            Share,
            st.tuples(st.just("Sales Invoice"), st.text("S", max_size=2)),
            paise,
            paise,
            st.text("JV", max_size=3),
        )
    ),
)
def test_whatever_ERPNext_holds_it_is_reported_and_never_an_error(
    entries: list[BookedEntry], shares: list[Share]
) -> None:
    chain = (Franchise("CUST-0", "Franchise 0", Decimal(5)),)
    verdict = verify(DayRecord(DAY, entries=tuple(entries), shares=tuple(shares)), chain)
    for one in verdict.differences:
        assert one.what
        assert one.message
        assert one.action
        assert one.as_dict()["business_day"] == "2026-11-22"


@given(st.lists(st.tuples(st.integers(0, 400), paise, paise), unique_by=lambda one: one[0], min_size=1))
def test_months_add_up_to_the_whole(days: list[tuple[int, Decimal, Decimal]]) -> None:
    verdicts = [
        DayVerdict(date(2026, 1, 1) + timedelta(days=offset), expected, actual, ())
        for offset, expected, actual in days
    ]
    months = by_month(verdicts)
    assert [one.name for one in months] == sorted({f"{one.day:%Y-%m}" for one in verdicts})
    assert sum(one.days for one in months) == len(days)
    assert sum(one.expected for one in months) == sum(one.expected for one in verdicts)
    assert sum(one.actual for one in months) == sum(one.actual for one in verdicts)


# -- one kind of difference each --------------------------------------------------------------------------------------


def first(record: DayRecord, **changes: object) -> DayRecord:
    """The day with its first entry (Adyar's 80.00) changed; fields of the posting or of its booking."""
    entry, *rest = record.entries
    names = set(PostedEntry.__dataclass_fields__)
    posted = replace(entry.posted, **{key: value for key, value in changes.items() if key in names})  # type: ignore[arg-type]
    entry = replace(entry, posted=posted, **{k: v for k, v in changes.items() if k not in names})  # type: ignore[arg-type]
    return replace(record, entries=(entry, *rest))


def carrying(record: DayRecord, number: int, **changes: object) -> DayRecord:
    """The day with a row of an entry changed."""
    shares = list(record.shares)
    shares[number] = replace(shares[number], **changes)  # type: ignore[arg-type]
    return replace(record, shares=tuple(shares))


def without_entry(record: DayRecord) -> DayRecord:
    return replace(record, entries=record.entries[1:])


def again(record: DayRecord, revision: str) -> DayRecord:
    """The first entry a second time, of nothing, under another revision."""
    entry = record.entries[0]
    key = f"{entry.posted.key.rpartition(':')[0]}:{revision}"
    twin = replace(entry.posted, name="JV-X", key=key, amount=Decimal(0))
    return replace(record, entries=(*record.entries, booked(twin)))


LATE = UnbookedSales(
    "Bandra",
    "asha",
    date(2026, 11, 22),
    shift=Opening("OPE-9", "ScoopJoy", "Bandra", "asha", datetime(2026, 11, 22, 10), "Closed"),
    sales=(
        TillSale("PSINV-9", "Bandra", "asha", datetime(2026, 11, 22, 22), Decimal(9), Decimal(9), Decimal(1)),
    ),
    first_sold=date(2026, 11, 22),
)

TAMPERED: dict[str, tuple[Callable[[DayRecord], DayRecord], list[str]]] = {
    "entry deleted": (without_entry, [What.MISSING, What.TOLD_OTHERWISE]),
    "amount changed": (
        lambda day: first(day, amount=Decimal(79), debit=Decimal(79), credit=Decimal(79), total=Decimal(79)),
        [What.DIFFERS, What.TOLD_OTHERWISE],
    ),
    "entry cancelled": (
        lambda day: first(day, docstatus=2, amount=Decimal(0)),
        ["royalty entry cancelled by a person", What.TOLD_OTHERWISE],
    ),
    "ledger of an entry gone": (
        lambda day: first(day, booked=False, amount=Decimal(0), debit=Decimal(0), credit=Decimal(0)),
        [
            "royalty entry without ledger entries",
            What.LEDGER_DIFFERS,
            What.LEDGER_DIFFERS,
            What.TOLD_OTHERWISE,
        ],
    ),
    "credit of an entry changed": (lambda day: first(day, credit=Decimal(79)), [What.LEDGER_DIFFERS]),
    "cancelled amendment counts on": (
        lambda day: first(day, left_over=Decimal(80)),
        [What.CANCELLED_IN_LEDGER],
    ),
    "booked on another customer": (
        lambda day: first(day, customer="CUST-0002"),
        [
            What.MISSING,
            What.DIFFERS,
            What.OTHER_PARTY,
        ],
    ),
    "key damaged": (
        lambda day: first(day, key="royalty:ScoopJoy:2026-11-22:CUST-0001"),
        [What.MISSING, What.KEY_UNREADABLE],
    ),
    "key of nobody": (
        lambda day: first(day, key=royalty_key(COMPANY, DAY, "CUST-9", 0), customer="CUST-9"),
        [What.MISSING, What.OF_NOBODY],
    ),
    "revision twice": (lambda day: again(day, "00"), [What.KEY_TWICE]),
    "revision missing": (lambda day: again(day, "2"), [What.REVISION_MISSING]),
    "share changed": (lambda day: carrying(day, 0, share=Decimal(47)), [What.SHARES_DIFFER]),
    "base of a sale changed alone": (lambda day: carrying(day, 0, base=Decimal(500)), [What.BASES_DIFFER]),
    "base of a sale changed": (
        lambda day: carrying(carrying(day, 0, base=Decimal(500)), 1, base=Decimal(500)),
        [What.SHARE_WRONG],
    ),
    "sale exchanged for another": (
        lambda day: carrying(day, 0, document=("Sales Invoice", "SINV-9")),
        [What.SHARE_WRONG],
    ),
    "typed by a person": (
        lambda day: replace(first(day, digest=""), shares=day.shares[2:]),
        [What.WITHOUT_SHARES],
    ),
    "statement deleted": (
        lambda day: replace(day, statements=frozenset({"JV-CUST-0002-0"})),
        [What.STATEMENT_MISSING],
    ),
    "headquarters not told": (lambda day: replace(day, headquarters=Told()), [What.NOT_ACKNOWLEDGED]),
    "headquarters told otherwise": (
        lambda day: replace(day, headquarters=Told(0, Decimal(91))),
        [What.TOLD_OTHERWISE],
    ),
    "shift open": (lambda day: replace(day, open_shifts=("POS-OPE-1 (Bandra, asha)",)), [What.SHIFT_OPEN]),
    "charged by hand as well": (
        lambda day: replace(day, others=(OtherRoyalty("JV-7", DAY, BANDRA.customer, Decimal("9.66")),)),
        [What.NOT_OURS],
    ),
    "sale at a till arrived late": (lambda day: replace(day, unbooked=(LATE,)), [What.UNBOOKED]),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_what_was_tampered_with_is_named(name: str, day: DayRecord) -> None:
    tamper, expected = TAMPERED[name]
    assert verify(day).right
    verdict = verify(tamper(day))
    assert whats(verdict) == [str(one) for one in expected]
    assert all("2026-11-22" in one.action for one in verdict.differences if "Close the day" in one.action)


def test_every_kind_of_difference_has_a_test() -> None:
    named = {str(one) for _, expected in TAMPERED.values() for one in expected}
    assert {str(one) for one in What} == named & {str(one) for one in What}


@pytest.mark.parametrize(
    "now",
    [replace(ADYAR, rate=Decimal("8.5")), replace(ADYAR, rate=Decimal(250)), replace(ADYAR, exempt=True)],
)
def test_a_posted_day_is_right_whatever_has_become_of_the_rate(day: DayRecord, now: Franchise) -> None:
    assert verify(day, (now, BANDRA)).right
    more = replace(day, invoices=(*day.invoices, invoice("100", name="SINV-8")))
    (row, *_) = verify(more, (now, BANDRA)).differences
    assert (row.what, row.expected, row.actual) == (What.DIFFERS, Decimal("88.00"), Decimal("80.00"))
    assert "8 % of 1100.00" in row.message


def test_a_rate_out_of_range_is_reported_without_an_amount(day: DayRecord) -> None:
    nothing = replace(day, entries=day.entries[1:])
    verdict = verify(nothing, (replace(ADYAR, rate=Decimal(250)), BANDRA))
    row = verdict.differences[0]
    assert (row.what, row.amount) == ("royalty rate out of range", None)


@pytest.mark.parametrize("read", [True, False], ids=["invoices read", "invoices of franchises only"])
def test_a_former_franchise_keeps_what_was_posted(day: DayRecord, read: bool) -> None:
    left = FormerFranchise(ADYAR.customer, ADYAR.customer_name, "the customer is disabled")
    invoices = tuple(one for one in day.invoices if read or one.customer != ADYAR.customer)
    assert verify(replace(day, invoices=invoices, former=(left,)), (BANDRA,)).right


def test_an_entry_of_a_renamed_customer_stays_its_own_although_the_key_has_the_old_name(
    day: DayRecord,
) -> None:
    assert verify(first(day, key=royalty_key(COMPANY, DAY, "CUST-OLD", 0))).right


def test_an_amended_entry_counts_with_its_amendment(day: DayRecord) -> None:
    """ERPNext leaves the key on the cancelled entry; the amendment is what the ledger holds."""
    renamed = first(day, name="JV-CUST-0001-0-1", keyed="JV-CUST-0001-0")
    verdict = verify(renamed)
    assert whats(verdict) == [What.STATEMENT_MISSING]


def test_an_entry_posted_on_a_later_day_belongs_to_the_day_of_its_key(day: DayRecord) -> None:
    assert verify(first(day, posting_date=DAY + timedelta(days=9))).right


def test_rows_left_over_are_those_of_the_cancelled_entry_and_not_of_its_amendment(day: DayRecord) -> None:
    amended = first(day, name="JV-CUST-0001-0-1", keyed="JV-CUST-0001-0", left_over=Decimal(80))
    (row,) = (one for one in verify(amended).differences if one.what == What.CANCELLED_IN_LEDGER)
    assert (row.who, row.amount) == ("JV-CUST-0001-0", Decimal(80))


def test_many_names_are_counted() -> None:
    record = close(DayRecord(DAY, tuple(invoice("100", name=f"SINV-{n}") for n in range(8))))
    gone = [replace(row, document=("Sales Invoice", f"{row.document[1]}-X")) for row in record.shares]
    (row,) = verify(replace(record, shares=tuple(gone))).differences
    assert "SINV-2 and 11 more" in row.message
