"""Decisions about changed days: every day gets its turn, nothing that was touched is lost, and no tick floods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoopjoy_dagster.accounting.inputs import Sold, together
from scoopjoy_dagster.accounting.royalties import Franchise
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
THANE = Franchise("Franchise Thane", "Franchise Thane", Decimal("7.5"))


def days(count: int) -> list[date]:
    return [FIRST + timedelta(days=offset) for offset in range(count)]


def changed(day: date, state: str = "s") -> Change:
    return Change(day, "why", state, f"late:{day}:{state}")


def the_turn(compare: Sequence[date]) -> Turn:
    return Turn(tuple(compare), frozenset(), compare[-1] if compare else None)


def at(minutes: int) -> datetime:
    return MOMENT + timedelta(minutes=minutes)


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
    memory = Memory(waiting=dict.fromkeys(waiting), rotation=rotation, fingerprint="before")
    found = turn(
        memory,
        Touched(dict.fromkeys(touched, MOMENT), MOMENT, "after"),
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
    touched = Touched(dict.fromkeys(window[10:12], MOMENT), MOMENT, "same")
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


@given(st.permutations(range(12)), st.integers(1, 4))
def test_of_touched_days_those_touched_last_come_first_and_the_others_wait_with_their_time(
    minutes: list[int], share: int
) -> None:
    window = days(24)
    touched_at = {day: at(minute) for day, minute in zip(window[:12], minutes, strict=True)}
    memory, order = Memory(fingerprint="before", rotation=window[11]), []
    touched = Touched(touched_at, MOMENT, "after")
    for _ in range(12):
        found = turn(memory, touched, window=window, settled=set(window), in_flight=set(), share=share)
        compared = [day for day in found.compare if day in touched_at and day not in window[12:]]
        order.append(sorted(compared, key=lambda day: touched_at[day], reverse=True))
        memory = decide(
            memory, replace(found, rotation=window[11]), [], touched, window=window, limit=3
        ).memory
        touched = Touched({}, MOMENT, "after")
    seen = [day for part in order for day in part]
    assert seen == sorted(touched_at, key=lambda day: touched_at[day], reverse=True)


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
    assert memory.waiting == {}


def test_changes_are_requested_newest_evidence_first_and_those_found_in_turn_after_them() -> None:
    window = days(4)
    the_turn = Turn(tuple(window), frozenset(), None, {window[1]: at(1), window[3]: at(2)})
    found = decide(Memory(), the_turn, map(changed, window), Touched(), window=window, limit=3)
    assert [one.day for one in found.requests] == [window[3], window[1], window[0]]
    assert found.memory.waiting == {window[2]: None}
    assert found.sentence == (
        "4 closed days compared, 4 changed; requested now: 2026-11-01, 2026-11-02, 2026-11-04; at a later tick: 2026-11-03"
    )


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
        waiting=st.dictionaries(st.dates(), st.none() | st.datetimes(), max_size=5),
        rotation=st.none() | st.dates(),
        requested=st.dictionaries(st.dates(), st.text("0123456789abcdef"), max_size=5),
    )
)
def test_a_memory_comes_back_from_its_cursor_as_it_was(memory: Memory) -> None:
    assert Memory.of(memory.model_dump_json()) == memory


# -- what a change is ---------------------------------------------------------------------------------------------------


CLOSED_AT = datetime(2026, 11, 2, 1, 0)
EARLY, LATE = (str(CLOSED_AT + timedelta(hours=hours)) for hours in (-2, 2))


def sold(*amounts: str, newest: str = EARLY) -> Sold:
    return together(Sold(1, Decimal(amount), newest) for amount in amounts)


def of_thane(*amounts: str, newest: str = EARLY, **more: object) -> DayNow:
    parts = {THANE.customer: sold(*amounts, newest=newest)} if amounts else {}
    return replace(DayNow(parts), **more)  # type: ignore[arg-type]


def closed_as(now: DayNow, record: int = 7, customers: Sequence[str] = (THANE.customer,)) -> Closed:
    counted = together(one for customer, one in now.sold.items() if customer in customers)
    return Closed(record, CLOSED_AT, 1, counted, frozenset(customers), now.ledger, now.shifts)


def compared(
    closed: Closed | None, now: DayNow, franchises: Sequence[str] = (THANE.customer,)
) -> Change | None:
    return change_of(FIRST, closed, now, franchises)


def test_the_change_of_another_close_has_another_key() -> None:
    then, now = of_thane("100"), of_thane("100", "50")
    first, second = (compared(closed_as(then, record=n), now) for n in (7, 8))
    assert first
    assert second
    assert first.state == second.state
    assert first.run_key != second.run_key


def test_a_ledger_with_more_decimals_than_the_record_shows_is_no_change() -> None:
    now = of_thane("100", ledger=Decimal("7.500"))
    assert compared(closed_as(now), now) is None


def test_a_reason_fits_into_a_tag_however_many_shifts_are_open() -> None:
    now = of_thane("100", shifts=90, open_shifts=tuple(f"POS-OPE-2026-{n:05d}" for n in range(90)))
    found = compared(closed_as(of_thane("100")), now)
    assert found
    assert found.reason.startswith("0 POS shifts when closed, 90 now; open POS shifts: POS-OPE-2026-00000")
    assert len(found.reason) <= REASON_LENGTH


@pytest.mark.parametrize("closed", [None, Closed(3, CLOSED_AT)])
def test_a_day_without_any_record_has_changed(closed: Closed | None) -> None:
    found = compared(closed, of_thane("100"))
    assert found
    assert "has not recorded" in found.reason


@pytest.mark.parametrize(
    ("kept", "changed"),
    [
        ({"sold": "2:digest", "terms": {THANE.customer: "7.5 %"}}, False),
        ({"sales": "100.00", "newest": EARLY, "customers": [THANE.customer]}, False),
        ({"sales": "100.01", "newest": EARLY, "customers": [THANE.customer]}, True),
        ({"sales": "100.00", "newest": LATE, "customers": [THANE.customer]}, True),
    ],
    ids=["of an earlier version", "the same", "another amount", "another invoice"],
)
def test_a_day_is_compared_with_what_its_close_has_recorded(kept: dict[str, object], changed: bool) -> None:
    """An earlier version recorded a digest that says nothing to this one: only the number is compared."""
    outcome = {"facts": {"invoices": 1, "base": "100.00"}, "record": kept, "amount": "7.50", "seen": 6}
    closed = Closed.of(3, CLOSED_AT, outcome, {"seen": 0})
    assert bool(compared(closed, of_thane("100", ledger=Decimal("7.50")))) is changed
    more = compared(closed, of_thane("100", "1", ledger=Decimal("7.50")))
    assert more
    assert "when closed, 2" in more.reason


# -- whose sales count --------------------------------------------------------------------------------------------------


@given(st.lists(st.sampled_from(["100", "-20", "0"]), max_size=3), st.booleans(), st.booleans())
def test_it_is_no_change_what_has_become_of_a_franchise(
    amounts: list[str], still_one: bool, owes: bool
) -> None:
    payers = frozenset({THANE.customer} if owes else ())
    now = of_thane(*amounts, payers=payers)
    assert compared(closed_as(now), now, [THANE.customer] if still_one else []) is None
    more = of_thane(*amounts, "1", payers=payers)
    assert compared(closed_as(now), more, [])


@given(
    st.lists(st.tuples(st.sampled_from("ABCD"), st.sampled_from(["100", "7"])), min_size=1, max_size=5),
    st.sampled_from("ABCD"),
    st.sampled_from("ABCDX"),
    st.booleans(),
)
def test_renaming_and_merging_customers_changes_no_day_and_hides_no_change(
    sales: list[tuple[str, str]], old: str, new: str, owes: bool
) -> None:
    def day(*more: tuple[str, str], renamed: bool = True) -> DayNow:
        found: dict[str, Sold] = {}
        for customer, amount in [*sales, *more]:
            name = new if renamed and customer == old else customer
            found[name] = together([found.get(name, Sold()), sold(amount, newest=LATE if more else EARLY)])
        return DayNow(found, frozenset(found) if owes else frozenset())

    closed = closed_as(day(renamed=False), customers="ABCD")
    franchises = ({*"ABCD"} - {old}) | {new}
    assert compared(closed, day(), sorted(franchises)) is None
    assert compared(closed, day((old, "3")), sorted(franchises))


@given(st.integers(-90, 90))
def test_the_invoices_of_a_customer_that_has_joined_change_a_day_when_the_newest_is_younger_than_its_close(
    minutes: int,
) -> None:
    now = of_thane("100", newest=str(CLOSED_AT + timedelta(minutes=minutes)))
    assert bool(compared(closed_as(now, customers=()), now)) is (minutes > 0)


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


@pytest.mark.parametrize("facts", ["x", {"invoices": "abc"}, 5])
def test_of_an_outcome_that_cannot_be_read_nothing_is_known(facts: object) -> None:
    """A person can report a materialization with whatever metadata."""
    reported = {"facts": facts, "record": {"sales": "1.00"}}
    assert Closed.of(3, CLOSED_AT, reported, {}) == Closed(3)
