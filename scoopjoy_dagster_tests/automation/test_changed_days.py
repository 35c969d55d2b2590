"""Decisions about changed days: every day gets its turn, nothing that was touched is lost, and no tick floods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoopjoy_dagster.accounting.inputs import day_inputs, terms_of
from scoopjoy_dagster.accounting.policy import Base, RoyaltyPolicy
from scoopjoy_dagster.accounting.royalties import BaseInvoice, Franchise
from scoopjoy_dagster.automation.changed_days import (
    REASON_LENGTH,
    Change,
    Closed,
    Memory,
    Turn,
    change_of,
    decide,
    too_few_franchises,
    turn,
)
from scoopjoy_dagster.erpnext.changes import DayNow, Touched

FIRST = date(2026, 11, 1)
MOMENT = datetime(2026, 11, 23, 10, 0)
POLICY = RoyaltyPolicy()
THANE = Franchise("Franchise Thane", "Franchise Thane", Decimal("7.5"))


def days(count: int) -> list[date]:
    return [FIRST + timedelta(days=offset) for offset in range(count)]


def changed(day: date, state: str = "s") -> Change:
    return Change(day, "why", state, f"late:{day}:{state}")


def the_turn(compare: Sequence[date], waiting: Sequence[date] = ()) -> Turn:
    return Turn(tuple(compare), frozenset(waiting), compare[-1] if compare else None)


# -- whose turn it is ---------------------------------------------------------------------------------------------------


@given(count=st.integers(1, 60), share=st.integers(1, 12), data=st.data())
def test_every_settled_day_is_compared_within_the_ticks_of_one_rotation(
    count: int, share: int, data: st.DataObject
) -> None:
    window = days(count)
    settled = data.draw(st.sets(st.sampled_from(window)))
    memory, seen = Memory(), set()
    for _ in range(-(-count // share)):
        found = turn(memory, Touched(), window=window, settled=settled, in_flight=set(), share=share)
        assert len(found.compare) <= share
        seen |= set(found.compare)
        memory = memory.model_copy(update={"rotation": found.rotation})
    assert seen == settled


@given(count=st.integers(1, 30), share=st.integers(1, 5), data=st.data())
def test_a_touched_day_is_compared_or_waits_unless_it_belongs_to_somebody_else(
    count: int, share: int, data: st.DataObject
) -> None:
    window = days(count)
    some = st.sets(st.sampled_from(window))
    settled, in_flight, touched, waiting = (data.draw(some) for _ in range(4))
    rotation = data.draw(st.none() | st.sampled_from(window))
    memory = Memory(waiting=tuple(waiting), rotation=rotation, fingerprint="before")
    found = turn(
        memory,
        Touched(frozenset(touched), MOMENT, "after"),
        window=window,
        settled=settled,
        in_flight=in_flight,
        share=share,
    )
    ready = settled - in_flight
    assert set(found.compare) <= ready
    assert list(found.compare) == sorted(found.compare)
    assert len(found.compare) <= 2 * share
    assert set(found.compare) | found.waiting >= (touched | waiting) & (ready | in_flight)
    assert not set(found.compare) & found.waiting


def test_what_the_last_look_has_found_already_is_no_news() -> None:
    window = days(20)
    touched = Touched(frozenset(window[10:12]), MOMENT, "same")
    again = turn(
        Memory(fingerprint="same", rotation=window[0]),
        touched,
        window=window,
        settled=set(window),
        in_flight=set(),
        share=1,
    )
    assert again.compare == (window[1],)
    assert again.waiting == frozenset()


# -- what is requested --------------------------------------------------------------------------------------------------


@given(count=st.integers(0, 12), limit=st.integers(1, 4))
def test_all_changed_days_are_requested_once_over_the_ticks_and_never_more_than_the_limit_at_once(
    count: int, limit: int
) -> None:
    window = days(12)
    changes = [changed(day) for day in window[:count]]
    memory, asked = Memory(), []
    for _ in range(12):
        found = decide(memory, the_turn(window), changes, Touched(), window=window, limit=limit)
        assert len(found.requests) <= limit
        asked += [one.day for one in found.requests]
        memory = found.memory
    assert asked == window[:count]
    assert memory.waiting == ()


def test_a_day_that_leaves_the_window_or_is_right_again_is_forgotten() -> None:
    window = days(3)
    memory = Memory(requested={date(2026, 10, 31): "s", window[0]: "s", window[1]: "s", window[2]: "s"})
    found = decide(memory, the_turn(window[:2]), [changed(window[1])], Touched(), window=window, limit=3)
    assert found.memory.requested == {window[1]: "s", window[2]: "s"}
    assert found.requests == ()
    assert found.sentence.endswith("requested before, and no run has put it right: 2026-11-02")


def test_the_watermark_never_goes_back() -> None:
    memory = Memory(watermark=MOMENT)
    for newest in (None, MOMENT - timedelta(hours=1)):
        found = decide(memory, the_turn([]), [], Touched(newest=newest), window=[], limit=3)
        assert found.memory.watermark == MOMENT
    later = Touched(newest=MOMENT + timedelta(microseconds=1))
    assert decide(memory, the_turn([]), [], later, window=[], limit=3).memory.watermark == later.newest


@given(
    st.builds(
        Memory,
        watermark=st.none() | st.datetimes(),
        fingerprint=st.text("0123456789abcdef"),
        waiting=st.lists(st.dates(), max_size=5).map(tuple),
        rotation=st.none() | st.dates(),
        requested=st.dictionaries(st.dates(), st.text("0123456789abcdef"), max_size=5),
    )
)
def test_a_memory_comes_back_from_its_cursor_as_it_was(memory: Memory) -> None:
    assert Memory.of(memory.model_dump_json()) == memory


# -- what a change is ---------------------------------------------------------------------------------------------------


def invoices(*amounts: str) -> dict[Base, list[BaseInvoice]]:
    return {
        base: [
            BaseInvoice(f"SINV-{n}", THANE.customer, Decimal(amount) * (1 if base is Base.GRAND_TOTAL else 2))
            for n, amount in enumerate(amounts)
        ]
        for base in Base
    }


CLOSED_AT = datetime(2026, 11, 2, 1, 0)


def closed_as(
    now: DayNow,
    policy: RoyaltyPolicy = POLICY,
    record: int = 7,
    terms: Mapping[str, str] | None = None,
) -> Closed:
    inputs = day_inputs(terms_of([THANE]) if terms is None else terms, now.invoices[policy.base])
    return Closed(
        record,
        CLOSED_AT,
        1,
        str(inputs.invoices),
        str(inputs.base),
        inputs.sold,
        inputs.terms,
        policy.version,
        now.ledger,
        now.shifts,
    )


def compared(
    closed: Closed | None,
    now: DayNow,
    franchises: Sequence[Franchise] = (THANE,),
    *,
    policy: RoyaltyPolicy = POLICY,
    follow_terms: bool = False,
) -> Change | None:
    return change_of(FIRST, closed, now, policy, franchises, follow_terms=follow_terms)


def test_the_change_of_another_close_has_another_key() -> None:
    then, now = DayNow(invoices("100")), DayNow(invoices("100", "50"))
    first, second = (compared(closed_as(then, record=n), now) for n in (7, 8))
    assert first
    assert second
    assert first.state == second.state
    assert first.run_key != second.run_key


@pytest.mark.parametrize(
    "policy",
    [
        RoyaltyPolicy(default_rate=Decimal(6)),
        RoyaltyPolicy(base=Base.NET_TOTAL),
        RoyaltyPolicy(name="old", base=Base.NET_TOTAL),
    ],
)
@pytest.mark.parametrize("follow_terms", [False, True])
def test_a_day_closed_by_another_policy_has_changed_only_when_something_else_has(
    policy: RoyaltyPolicy, follow_terms: bool
) -> None:
    now = DayNow(invoices("100"))
    closed = closed_as(now, policy)
    assert compared(closed, now, follow_terms=follow_terms) is None
    assert compared(closed, DayNow(invoices("101")), follow_terms=follow_terms)


def test_a_ledger_with_more_decimals_than_the_record_shows_is_no_change() -> None:
    now = DayNow(invoices("100"), ledger=Decimal("7.500"))
    assert compared(closed_as(now), now) is None


def test_a_reason_fits_into_a_tag_however_many_shifts_are_open() -> None:
    now = DayNow(invoices("100"), shifts=90, open_shifts=tuple(f"POS-OPE-2026-{n:05d}" for n in range(90)))
    found = compared(closed_as(DayNow(invoices("100"))), now)
    assert found
    assert found.reason.startswith("0 POS shifts when closed, 90 now; open POS shifts: POS-OPE-2026-00000")
    assert len(found.reason) <= REASON_LENGTH


@pytest.mark.parametrize("closed", [None, Closed(3, CLOSED_AT)])
def test_a_day_without_any_record_has_changed(closed: Closed | None) -> None:
    found = compared(closed, DayNow(invoices("100"), {THANE.customer: MOMENT}))
    assert found
    assert "has not recorded" in found.reason
    assert found.terms == ()


# -- terms --------------------------------------------------------------------------------------------------------------

TERMS = st.none() | st.builds(
    Franchise,
    st.just(THANE.customer),
    st.just("Thane"),
    st.sampled_from([Decimal(5), Decimal("7.5")]),
    st.booleans(),
)
"""Thane as a franchise with some terms, or as none."""


def some(franchise: Franchise | None) -> list[Franchise]:
    return [franchise] if franchise else []


@given(then=TERMS, today=TERMS, amounts=st.lists(st.sampled_from(["100", "-20", "0"]), max_size=3))
def test_a_day_of_which_only_terms_have_changed_is_told_and_run_only_when_terms_are_followed(
    then: Franchise | None, today: Franchise | None, amounts: list[str]
) -> None:
    before_the_close = {THANE.customer: CLOSED_AT - timedelta(hours=2)} if amounts else {}
    now = DayNow(invoices(*amounts), before_the_close)
    closed = closed_as(now, terms=terms_of(some(then)))
    tell, follow = (compared(closed, now, some(today), follow_terms=one) for one in (False, True))
    if terms_of(some(then)) == terms_of(some(today)) or not amounts:
        assert tell is None
        assert follow is None
        return
    assert tell
    assert follow
    assert tell.reason == ""
    assert follow.reason.startswith("terms: ")
    assert tell.terms == follow.terms != ()


@given(then=TERMS, today=TERMS, follow_terms=st.booleans(), ledger=st.booleans())
def test_any_other_change_asks_for_a_run_whatever_has_become_of_the_terms(
    then: Franchise | None, today: Franchise | None, follow_terms: bool, ledger: bool
) -> None:
    day = DayNow(invoices("100"), {THANE.customer: CLOSED_AT - timedelta(hours=2)})
    closed = closed_as(day, terms=terms_of(some(then)))
    sold = ("100", "50") if then and not ledger else ("100",)
    now = DayNow(invoices(*sold), day.created, Decimal(7) if ledger or not then else Decimal(0))
    found = compared(closed, now, some(today), follow_terms=follow_terms)
    assert found
    assert "when closed" in found.reason


def test_a_day_that_was_asked_for_is_not_asked_for_again_because_of_new_terms_unless_they_are_followed() -> (
    None
):
    now = DayNow(invoices("100", "50"), {THANE.customer: MOMENT})
    closed = closed_as(DayNow(invoices("100")))
    other = Franchise(THANE.customer, "Thane", Decimal(6))
    for follow_terms in (False, True):
        first = compared(closed, now, follow_terms=follow_terms)
        second = compared(closed, now, [other], follow_terms=follow_terms)
        assert first
        assert second
        assert (first.state == second.state) is not follow_terms
        assert second.reason.endswith("; terms: Thane 7.5 % -> 6 %")


@given(st.integers(-90, 90))
def test_the_invoices_of_a_customer_that_has_joined_change_a_day_when_the_newest_is_younger_than_its_close(
    minutes: int,
) -> None:
    now = DayNow(invoices("100"), {THANE.customer: CLOSED_AT + timedelta(minutes=minutes)})
    found = compared(closed_as(now, terms={}), now)
    assert found
    assert (found.reason == "") is (minutes <= 0)
    assert found.terms == ("Franchise Thane no franchise -> 7.5 %",)


def test_an_exempt_franchise_whose_rate_changes_has_the_same_terms() -> None:
    now = DayNow(invoices("100"), {THANE.customer: MOMENT})
    was, today = (Franchise(THANE.customer, "Thane", Decimal(rate), exempt=True) for rate in (5, 6))
    assert compared(closed_as(now, terms=terms_of([was])), now, [today], follow_terms=True) is None


def test_told_days_are_neither_requested_nor_remembered_and_their_sentence_stays_short() -> None:
    window = days(400)
    texts = tuple(f"Franchise {n:03d} 5 % -> 6 %" for n in range(300))
    changes = [Change(day, "", "s", f"late:{day}:s", texts) for day in window]
    memory = Memory(requested={window[0]: "s"})
    found = decide(memory, the_turn(window), changes, Touched(), window=window, limit=3)
    assert found.requests == ()
    assert (found.memory.requested, found.memory.waiting) == ({}, ())
    assert found.sentence == (
        "400 closed days compared, 0 changed; only terms changed, nothing requested: "
        + ", ".join(f"{day}" for day in window[:12])
        + " and 388 more ("
        + ", ".join(texts[:5])
        + " and 295 more); backfill these days if the new terms hold for the past"
    )


def test_told_days_take_no_place_of_those_that_are_requested() -> None:
    window = days(9)
    changes = [
        Change(day, "" if n < 5 else "why", "s", f"late:{day}:s", ("Thane 5 % -> 6 %",))
        for n, day in enumerate(window)
    ]
    found = decide(Memory(), the_turn(window), changes, Touched(), window=window, limit=3)
    assert [one.day for one in found.requests] == window[5:8]
    assert found.memory.waiting == (window[8],)


# -- whether anything can be concluded -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known", "now", "blocked"), [(6, 3, False), (6, 2, True), (1, 0, True), (0, 0, False)]
)
def test_fewer_than_half_of_the_franchises_are_too_few(known: int, now: int, blocked: bool) -> None:
    assert bool(too_few_franchises(Closed(1, franchises=known), [THANE] * now)) is blocked


def test_before_the_first_close_there_is_nothing_to_compare_the_number_of_franchises_with() -> None:
    assert too_few_franchises(None, []) == ""


def test_an_outcome_that_was_reported_by_other_means_is_a_close_of_which_nothing_is_known() -> None:
    assert Closed.of(3, CLOSED_AT, {}, {}) == Closed(3, CLOSED_AT)
