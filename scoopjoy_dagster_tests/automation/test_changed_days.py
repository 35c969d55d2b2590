"""Decisions about changed days: every day gets its turn, nothing that was touched is lost, and no tick floods."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoopjoy_dagster.accounting.figures import DayFigures, franchise_figures
from scoopjoy_dagster.accounting.policy import Base, RoyaltyPolicy
from scoopjoy_dagster.accounting.royalties import BaseInvoice, Franchise, PostedEntry, RoyaltyPlan
from scoopjoy_dagster.accounting.shifts import Opening
from scoopjoy_dagster.automation.changed_days import (
    REASON_LENGTH,
    Change,
    Memory,
    Turn,
    change_of,
    decide,
    turn,
)
from scoopjoy_dagster.erpnext.changes import Touched
from scoopjoy_dagster.erpnext.deliveries import Told
from scoopjoy_dagster.erpnext.shift_totals import ClosedShift, DayShifts
from scoopjoy_dagster_tests.accounting.planning import plan_of_day
from scoopjoy_dagster_tests.accounting.sums import added_up

FIRST = date(2026, 11, 1)
MOMENT = datetime(2026, 11, 23, 10, 0)


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


CLOSED_AT = datetime(2026, 11, 23, 1, 0)
EARLY, LATE = (str(CLOSED_AT + timedelta(hours=hours)) for hours in (-2, 2))
OPENING = Opening("POS-OPE-1", "ScoopJoy", "POS Bandra", "cashier", CLOSED_AT, "Open")
SALES = st.lists(
    st.tuples(st.sampled_from("ABCD"), st.sampled_from(["100", "7", "-20"])), min_size=1, max_size=5
)


def sale(customer: str, amount: str = "100", newest: str = EARLY, base: str = "") -> BaseInvoice:
    return BaseInvoice("S", customer, Decimal(base or amount), sales=Decimal(amount), newest=newest)


def pays(names: Collection[str] = "ABCD", rate: str = "5", *, exempt: bool = False) -> list[Franchise]:
    return [Franchise(one, f"Franchise {one}", Decimal(rate), exempt) for one in names]


def now(
    *sales: BaseInvoice,
    franchises: Sequence[Franchise] = tuple(pays()),
    posted: Sequence[PostedEntry] = (),
    policy: RoyaltyPolicy | None = None,
) -> RoyaltyPlan:
    return plan_of_day(
        *added_up(sales), franchises=franchises, posted=posted, policy=policy or RoyaltyPolicy()
    )


def close(plan: RoyaltyPlan, view: str = "") -> tuple[list[PostedEntry], Told]:
    """The entries that a plan posts, and the figures sent for the day afterwards: of all franchises, or of those of a view."""
    posted = [
        PostedEntry(
            f"JE-{one.key}",
            one.key,
            1,
            one.amount,
            customer=one.royalty.customer,
            base=one.royalty.base,
            rate=one.royalty.rate,
            policy=one.royalty.policy_version,
            terms=one.royalty.terms,
            created=str(CLOSED_AT),
        )
        for one in plan.writes()
    ]
    names = {one.customer: one.name for one in posted}
    figures = [
        replace(franchise_figures(one), entry=names.get(one.royalty.customer, "")) for one in plan.actions
    ]
    seen = [one for one in figures if one.customer in (view or "ABCDX")]
    total = sum(
        (
            one.sales
            for a in plan.actions
            if a.royalty.customer in (view or "ABCDX")
            for one in a.royalty.invoices
        ),
        Decimal(0),
    )
    royalty = sum((one.royalty for one in seen), Decimal(0))
    return posted, Told(DayFigures(total, royalty, Decimal(0), 0, tuple(seen), view), str(CLOSED_AT))


def party(posted: Sequence[PostedEntry], old: str, new: str) -> list[PostedEntry]:
    """The entries after ERPNext renamed a customer, or merged it into another."""
    return [replace(one, customer=new if one.customer == old else one.customer) for one in posted]


def changed_by(plan: RoyaltyPlan, *told: Told, shifts: DayShifts | None = None) -> Change | None:
    return change_of(plan, shifts or DayShifts(), told)


@given(SALES, st.booleans(), st.booleans())
def test_a_day_as_it_was_closed_has_not_changed_and_one_more_sale_changes_it(
    parts: list[tuple[str, str]], exempt: bool, is_told: bool
) -> None:
    franchises = pays(exempt=exempt)
    sales = [sale(*one) for one in parts]
    posted, told = close(now(*sales, franchises=franchises))
    known = [told] if is_told else []
    assert changed_by(now(*sales, franchises=franchises, posted=posted), *known) is None
    more = now(*sales, sale("A", "200", newest=LATE), franchises=franchises, posted=posted)
    assert bool(changed_by(more, *known)) is (is_told or not exempt)


def test_a_franchise_that_joined_after_the_close_is_charged_for_what_it_sold_since_alone() -> None:
    posted, _ = close(now(sale("A")))
    for newest in (EARLY, LATE):
        assert bool(changed_by(now(sale("A"), sale("B", newest=newest), posted=posted))) is (newest == LATE)


@pytest.mark.parametrize("what", ["told", "posted"])
def test_the_change_after_another_close_has_another_key(what: str) -> None:
    posted, told = close(now(sale("A")))
    later = replace(told, at=LATE) if what == "told" else told
    other = [replace(one, name="JE-2") for one in posted] if what == "posted" else posted
    first = changed_by(now(sale("A"), sale("B"), posted=posted), told)
    second = changed_by(now(sale("A"), sale("B"), posted=other), later)
    assert first
    assert second
    assert first.state == second.state
    assert first.run_key != second.run_key


def test_a_sale_in_the_place_of_another_is_another_state() -> None:
    posted, told = close(now(sale("A")))
    states = {
        change.state
        for newest in (EARLY, LATE)
        if (change := changed_by(now(sale("A"), sale("B", newest=newest), posted=posted), told))
    }
    assert len(states) == 2


def test_a_reason_fits_into_a_tag_however_many_shifts_are_open() -> None:
    opened = [replace(OPENING, name=f"POS-OPE-2026-{n:05d}") for n in range(90)]
    found = changed_by(now(), shifts=DayShifts(not_closed=tuple(opened)))
    assert found
    assert found.reason.startswith("open POS shifts: POS-OPE-2026-00000, ")
    assert len(found.reason) == REASON_LENGTH


# -- names and terms ----------------------------------------------------------------------------------------------------


@given(SALES, st.sampled_from("ABCD"), st.sampled_from("ABCDX"), st.booleans())
def test_renaming_and_merging_customers_changes_no_day_and_hides_no_change(
    parts: list[tuple[str, str]], old: str, new: str, exempt: bool
) -> None:
    posted, told = close(now(*(sale(*one) for one in parts), franchises=pays(exempt=exempt)))

    def day(*more: BaseInvoice) -> RoyaltyPlan:
        sales = [*(sale(*one) for one in parts), *more]
        return now(
            *(replace(one, customer=new if one.customer == old else one.customer) for one in sales),
            franchises=pays(sorted(({*"ABCD"} - {old}) | {new}), exempt=exempt),
            posted=party(posted, old, new),
        )

    assert changed_by(day(), told) is None
    assert changed_by(day(sale(old, "300", LATE)), told)


@given(SALES, st.sets(st.sampled_from("ABCD")), st.sampled_from(["5", "9", "150", "0"]), st.booleans())
def test_new_terms_change_no_day(
    parts: list[tuple[str, str]], exempt: set[str], rate: str, net: bool
) -> None:
    """Nor does another base of the policy: each sale here has a tax in it."""
    sales = [sale(customer, amount, base=str(int(amount) * 2)) for customer, amount in parts]
    then = [*pays({*"ABCD"} - exempt), *pays(exempt, exempt=True)]
    posted, told = close(now(*sales, franchises=then))
    policy = RoyaltyPolicy(base=Base.NET_TOTAL, default_rate=Decimal(3)) if net else None
    read = [replace(one, base=one.sales) for one in sales] if net else sales
    for is_exempt in (False, True):
        other = pays(rate=rate, exempt=is_exempt)
        assert changed_by(now(*read, franchises=other, posted=posted, policy=policy), told) is None


@given(SALES, st.sets(st.sampled_from("ABCD")), st.booleans())
def test_a_list_of_franchises_that_came_back_short_requests_nothing(
    parts: list[tuple[str, str]], listed: set[str], exempt: bool
) -> None:
    sales = [sale(*one) for one in parts]
    posted, told = close(now(*sales, franchises=pays(exempt=exempt)))
    short = now(*sales, franchises=pays(listed, exempt=exempt), posted=posted)
    assert changed_by(short, told) is None
    assert changed_by(short) is None


@given(st.integers(-90, 90))
def test_the_sales_of_a_customer_that_has_joined_change_a_day_when_the_newest_is_younger_than_what_was_told(
    minutes: int,
) -> None:
    posted, told = close(now(sale("A"), franchises=pays("A")))
    joined = sale("B", newest=str(CLOSED_AT + timedelta(minutes=minutes)))
    assert bool(changed_by(now(sale("A"), joined, posted=posted), told)) is (minutes > 0)


# -- what was told ------------------------------------------------------------------------------------------------------


def test_a_base_that_changes_alone_changes_a_day_whose_royalty_follows_it() -> None:
    posted, told = close(now(sale("A", base="80")))
    found = changed_by(now(sale("A", base="90"), posted=posted), told)
    assert found
    assert found.reason == "Franchise A: royalty 4.00 -> 4.50: base 80.00 -> 90.00"


def test_equal_sums_of_other_franchises_that_pay_nothing_are_a_change() -> None:
    exempt = pays(exempt=True)
    _, told = close(now(sale("A"), sale("B"), franchises=exempt))
    found = changed_by(now(sale("A"), sale("A"), franchises=exempt), told)
    assert found
    assert found.reason == "other sales than told of Franchise A, Franchise B"


@pytest.mark.parametrize(("customer", "is_found"), [("A", True), ("B", False)])
def test_where_only_some_outlets_were_told_their_franchises_are_compared(
    customer: str, is_found: bool
) -> None:
    exempt = pays(exempt=True)
    _, told = close(now(sale("A"), sale("B"), franchises=exempt), view="A")
    closed = DayShifts((ClosedShift(OPENING, "POS-CLO-1", 1, 0, Decimal(1)),))
    assert changed_by(now(sale("A"), sale("B"), franchises=exempt), told, shifts=closed) is None
    late = now(sale("A"), sale("B"), sale(customer, newest=LATE), franchises=exempt)
    assert bool(changed_by(late, told)) is is_found


def test_where_only_some_outlets_were_told_whatever_is_to_be_posted_for_others_is_a_change() -> None:
    posted, told = close(now(sale("A"), sale("B")), view="A")
    found = changed_by(now(sale("A"), sale("B"), sale("B"), posted=posted), told)
    assert found
    assert found.reason == "Franchise B: royalty 5.00 -> 10.00: base 100.00 -> 200.00"


@pytest.mark.parametrize(("then", "since"), [("AB", "A"), ("A", "AB")], ids=["gone", "joined"])
def test_another_amount_is_a_change_where_a_franchise_without_sales_has_gone_or_joined(
    then: str, since: str
) -> None:
    _, told = close(now(sale("A"), franchises=pays(then, exempt=True)))
    found = changed_by(now(sale("A", "101"), franchises=pays(since, exempt=True)), told)
    assert found
    assert found.reason == "1 sale of 100.00 told, 1 of 101.00 now"


def test_an_entry_that_is_lost_is_a_change_where_a_franchise_that_pays_nothing_has_gone() -> None:
    _, told = close(now(sale("A"), sale("B"), franchises=[*pays("A"), *pays("B", exempt=True)]))
    assert changed_by(now(sale("A"), franchises=pays("A")), told)


def test_what_a_person_has_changed_in_an_entry_is_told() -> None:
    posted, told = close(now(sale("A")))
    amended = [replace(one, amount=Decimal(6), amended=True) for one in posted]
    assert changed_by(now(sale("A"), posted=amended)) is None
    found = changed_by(now(sale("A"), posted=amended), told)
    assert found
    assert found.reason == "royalties of 5.00 told, 6.00 posted now"


# -- what a run would do ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_told", [False, True])
def test_shares_that_move_between_sales_of_equal_amounts_are_a_change(is_told: bool) -> None:
    posted, told = close(now(sale("A")))
    plan = now(sale("A"), posted=posted)
    moved = replace(plan, actions=(replace(plan.actions[0], kind="adjust", reason="on other sales"),))
    found = changed_by(moved, *([told] if is_told else []))
    assert found
    assert found.reason == "Franchise A: on other sales"


@pytest.mark.parametrize("is_told", [False, True])
def test_an_entry_that_a_person_cancelled_is_a_change_and_a_mistyped_rate_is_none(is_told: bool) -> None:
    posted, told = close(now(sale("A")))
    known = [told] if is_told else []
    assert changed_by(now(sale("A"), franchises=pays(rate="150"), posted=posted), *known) is None
    cancelled = [replace(one, docstatus=2, amount=Decimal(0)) for one in posted]
    found = changed_by(now(sale("A"), posted=cancelled), *known)
    assert found
    assert "5.00 of 5.00" in found.reason


def test_the_same_sums_with_another_thing_to_do_are_another_state() -> None:
    posted, told = close(now(sale("A")))
    one, other = (changed_by(now(sale("A"), sale(late), posted=posted), told) for late in "AB")
    assert one
    assert other
    assert one.state != other.state
