"""Decisions about changed days: every day gets its turn, nothing that was touched is lost, and no tick floods."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoopjoy_dagster.accounting.inputs import day_inputs
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


def closed_as(now: DayNow, policy: RoyaltyPolicy = POLICY, record: int = 7) -> Closed:
    inputs = day_inputs(policy, [THANE], now.invoices[policy.base])
    return Closed(
        record,
        1,
        str(inputs.invoices),
        str(inputs.base),
        inputs.digest,
        policy.version,
        now.ledger,
        now.shifts,
    )


def test_the_change_of_another_close_has_another_key() -> None:
    then, now = DayNow(invoices("100")), DayNow(invoices("100", "50"))
    first, second = (change_of(FIRST, closed_as(then, record=n), now, POLICY, [THANE]) for n in (7, 8))
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
def test_a_day_closed_by_another_policy_has_changed_only_when_something_else_has(
    policy: RoyaltyPolicy,
) -> None:
    now = DayNow(invoices("100"))
    closed = closed_as(now, policy)
    assert change_of(FIRST, closed, now, POLICY, [THANE]) is None
    assert change_of(FIRST, closed, DayNow(invoices("101")), POLICY, [THANE])


def test_a_ledger_with_more_decimals_than_the_record_shows_is_no_change() -> None:
    now = DayNow(invoices("100"), ledger=Decimal("7.500"))
    assert change_of(FIRST, closed_as(now), now, POLICY, [THANE]) is None


def test_a_reason_fits_into_a_tag_however_many_shifts_are_open() -> None:
    now = DayNow(invoices("100"), shifts=90, open_shifts=tuple(f"POS-OPE-2026-{n:05d}" for n in range(90)))
    found = change_of(FIRST, closed_as(DayNow(invoices("100"))), now, POLICY, [THANE])
    assert found
    assert found.reason.startswith("0 POS shifts when closed, 90 now; open POS shifts: POS-OPE-2026-00000")
    assert len(found.reason) <= REASON_LENGTH


def test_a_day_without_any_record_has_changed() -> None:
    found = change_of(FIRST, None, DayNow(invoices("100")), POLICY, [THANE])
    assert found
    assert "has not recorded" in found.reason


@pytest.mark.parametrize(
    ("known", "now", "blocked"), [(6, 3, False), (6, 2, True), (1, 0, True), (0, 0, False)]
)
def test_fewer_than_half_of_the_franchises_are_too_few(known: int, now: int, blocked: bool) -> None:
    assert bool(too_few_franchises(Closed(1, known), [THANE] * now)) is blocked


def test_before_the_first_close_there_is_nothing_to_compare_the_number_of_franchises_with() -> None:
    assert too_few_franchises(None, []) == ""


def test_an_outcome_that_was_reported_by_other_means_is_a_close_of_which_nothing_is_known() -> None:
    assert Closed.of(3, {}, {}) == Closed(3)
