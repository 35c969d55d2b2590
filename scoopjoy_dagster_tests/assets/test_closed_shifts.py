"""`closed_shifts`: every shift of the day has exactly one submitted closing, with all of its invoices booked."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from scoopjoy_dagster.assets import closed_shifts as asset
from scoopjoy_dagster.erpnext import pos
from scoopjoy_dagster.erpnext.client import KEY_FIELD
from scoopjoy_dagster.erpnext.dialects.interface import UNCOUNTED_FIELD
from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster.sandbox.erpnext import world as sandbox_world
from scoopjoy_dagster.sandbox.erpnext.controllers import pos_closing
from scoopjoy_dagster.sandbox.erpnext.session import Session
from scoopjoy_dagster.sandbox.seed import Sale
from scoopjoy_dagster_tests.world import (
    BANDRA,
    CASHIER,
    DAY,
    NOW,
    World,
    change,
    exact,
    insert,
    ledger_balance,
    submitted_closings,
    unconsolidated,
)

ROBOT = "robot@scoopjoy.example"
OTHER = "cashier.indiranagar@scoopjoy.example"
INSERT = "/api/resource/POS Closing Entry"
MORNING = datetime(2026, 11, 22, 10)


def closed(chain: World, shift: seed.Shift) -> dict[str, Any]:
    """The only closing of a shift, after all that must be true of it was asserted."""
    (closing,) = submitted_closings(chain.erpnext, shift.opening)
    drafts = [
        doc
        for doc in chain.erpnext.documents("POS Closing Entry", pos_opening_entry=shift.opening)
        if doc["docstatus"] == 0
    ]
    assert drafts == []
    assert closing["status"] == "Submitted"
    assert sorted(row["pos_invoice"] for row in closing["pos_transactions"]) == sorted(shift.invoices)
    assert unconsolidated(chain.erpnext, shift.invoices) == []
    assert closing["posting_date"] == DAY.isoformat()
    opening = chain.erpnext.documents("POS Opening Entry", name=shift.opening)[0]
    assert (opening["status"], opening["pos_closing_entry"]) == ("Closed", closing["name"])
    sold = sum(
        (exact(chain.erpnext.documents("POS Invoice", name=one)[0]["grand_total"]) for one in shift.invoices),
        Decimal(0),
    )
    assert exact(closing["grand_total"]) == sold
    merged = {
        chain.erpnext.documents("POS Invoice", name=one)[0]["consolidated_invoice"] for one in shift.invoices
    }
    booked = [
        doc for doc in chain.erpnext.documents("Sales Invoice", is_consolidated=1) if doc["name"] in merged
    ]
    assert sum((exact(doc["grand_total"]) for doc in booked), Decimal(0)) == sold
    assert {doc["posting_date"] for doc in booked} <= {DAY.isoformat()}
    assert ledger_balance(chain.erpnext) == 0
    return closing


def money(closing: dict[str, Any]) -> dict[str, tuple[Decimal, Decimal, Decimal]]:
    """Opening, expected and closing amount by mode of payment."""
    return {
        row["mode_of_payment"]: (
            exact(row["opening_amount"]),
            exact(row["expected_amount"]),
            exact(row["closing_amount"]),
        )
        for row in closing["payment_reconciliation"]
    }


def draft_of(chain: World, shift: seed.Shift, **values: Any) -> str:
    """A draft closing as a person leaves it at the desk."""
    return insert(
        chain.erpnext,
        "POS Closing Entry",
        user=ROBOT,
        pos_opening_entry=shift.opening,
        company="ScoopJoy",
        period_end_date=f"{NOW}",
        posting_date=NOW.date().isoformat(),
        **values,
    )


@pytest.mark.parametrize("how_many", [0, 3, 9, 12, 40])
def test_a_shift_of_any_size_is_closed_with_all_of_its_invoices(chain: World, how_many: int) -> None:
    """Ten invoices and more are consolidated by ERPNext in the background, and waited for."""
    shift = chain.shift(how_many)
    day = chain.close("closed_shifts")
    assert day.success
    closing = closed(chain, shift)
    outcome = day.outcome("closed_shifts")
    assert (outcome["seen"], outcome["written"], outcome["adopted"]) == (1, 1, 0)
    assert Decimal(outcome["amount"]) == exact(closing["grand_total"]) == 105 * how_many
    assert outcome["exceptions"] == []


def test_returns_other_modes_and_change_are_reconciled(chain: World) -> None:
    shift = chain.shift(
        [
            Sale(Decimal(200), tendered=Decimal(500)),  # 210 due, 290 change
            Sale(Decimal(100), mode="UPI"),
            Sale(Decimal(200), returns=0),
            Sale(Decimal(60), mode="Card"),
        ]
    )
    assert chain.close("closed_shifts").success
    closing = closed(chain, shift)
    assert exact(closing["grand_total"]) == Decimal("168.00")
    assert money(closing) == {
        "Cash": (Decimal("2000.00"), Decimal("2000.00"), Decimal("2000.00")),
        "UPI": (Decimal("0.00"), Decimal("105.00"), Decimal("105.00")),
        "Card": (Decimal("0.00"), Decimal("63.00"), Decimal("63.00")),
    }
    (tax,) = closing["taxes"]
    assert (tax["account_head"], exact(tax["amount"])) == ("GST Output - SJ", Decimal("8.00"))


def test_what_nobody_counted_is_marked_on_the_closing_and_on_its_rows(chain: World) -> None:
    shift = chain.shift(2)
    day = chain.close("closed_shifts")
    closing = closed(chain, shift)
    assert closing[UNCOUNTED_FIELD] == 1
    assert {row[UNCOUNTED_FIELD] for row in closing["payment_reconciliation"]} == {1}
    assert {exact(row["difference"]) for row in closing["payment_reconciliation"]} == {Decimal("0.00")}
    assert day.metadata("closed_shifts")["shifts_not_counted"].value == 1


def test_a_shift_over_midnight_is_closed_on_the_day_on_which_it_began(chain: World) -> None:
    late = datetime(2026, 11, 22, 18)
    with seed.at(chain.erpnext, datetime(2026, 11, 23, 0, 40)):
        shift = chain.shift(
            [Sale(Decimal(100), at=late + timedelta(hours=h)) for h in (1, 5)]
            + [Sale(Decimal(60), at=datetime(2026, 11, 23, 0, 30))],
            opened=late,
        )
    assert chain.close("closed_shifts").success
    closing = closed(chain, shift)
    assert datetime.fromisoformat(str(closing["period_end_date"])) >= datetime(2026, 11, 23, 0, 30)


def test_two_shifts_of_one_cashier_share_no_invoice(chain: World) -> None:
    first = chain.shift(2, opened=MORNING)
    with seed.at(chain.erpnext, datetime(2026, 11, 22, 17)):
        second = chain.shift(3, opened=datetime(2026, 11, 22, 16))
    assert chain.close("closed_shifts").success
    closed(chain, first)
    closed(chain, second)


def test_a_finished_day_is_left_alone(chain: World) -> None:
    chain.shift(3)
    chain.shift(12, opened=datetime(2026, 11, 22, 15), cashier=CASHIER)
    assert chain.close("closed_shifts").success
    chain.erpnext.requests.reset()
    again = chain.close("closed_shifts")
    assert again.success
    assert chain.erpnext.requests.writes == 0
    outcome = again.outcome("closed_shifts")
    assert (outcome["seen"], outcome["written"], outcome["adopted"]) == (2, 0, 2)
    assert Decimal(outcome["amount"]) == 15 * 105


def test_a_closing_by_a_person_is_adopted(chain: World) -> None:
    shift = chain.shift(2)
    with seed.at(chain.erpnext, datetime(2026, 11, 22, 23)):
        name = seed.close_shift(chain.erpnext, shift.opening)
    chain.erpnext.requests.reset()
    assert chain.close("closed_shifts").outcome("closed_shifts")["adopted"] == 1
    assert chain.erpnext.requests.writes == 0
    assert closed(chain, shift)["name"] == name


def test_a_draft_of_a_person_is_completed_and_the_counts_are_kept(chain: World) -> None:
    shift = chain.shift(2)
    name = draft_of(
        chain,
        shift,
        pos_transactions=[{"pos_invoice": shift.invoices[0]}],
        payment_reconciliation=[
            {
                "mode_of_payment": "Cash",
                "opening_amount": 2000,
                "expected_amount": 2105,
                "closing_amount": 2200.5,
            },
            {"mode_of_payment": "Card", "opening_amount": 0, "expected_amount": 0, "closing_amount": 0},
        ],
    )
    day = chain.close("closed_shifts")
    assert day.success
    closing = closed(chain, shift)
    assert closing["name"] == name
    rows = {row["mode_of_payment"]: row for row in closing["payment_reconciliation"]}
    assert money(closing)["Cash"] == (Decimal("2000.00"), Decimal("2210.00"), Decimal("2200.50"))
    assert exact(rows["Cash"]["difference"]) == Decimal("-9.50")
    assert rows["Cash"][UNCOUNTED_FIELD] == 0
    assert rows["UPI"][UNCOUNTED_FIELD] == 1
    # The shortage is a row of the night that closes the shift, and of every later one.
    for night in (day, chain.close("closed_shifts")):
        (warning,) = night.warnings("closed_shifts", "count differs")
        assert warning["message"] == "Cash: 2200.50 counted, 2210.00 expected: 9.50 short"
        assert shift.opening in warning["who"]


def test_a_draft_in_which_nobody_counted_is_completed_as_not_counted(chain: World) -> None:
    shift = chain.shift(1)
    draft_of(
        chain,
        shift,
        payment_reconciliation=[
            {"mode_of_payment": "Cash", "opening_amount": 2000, "expected_amount": 2000, "closing_amount": 0}
        ],
    )
    assert chain.close("closed_shifts").success
    closing = closed(chain, shift)
    assert money(closing)["Cash"][2] == Decimal("2105.00")
    assert closing[UNCOUNTED_FIELD] == 1


def test_a_second_draft_is_named_and_only_one_is_submitted(chain: World) -> None:
    shift = chain.shift(2)
    names = {draft_of(chain, shift), draft_of(chain, shift)}
    day = chain.close("closed_shifts")
    assert day.success
    (closing,) = submitted_closings(chain.erpnext, shift.opening)
    (warning,) = day.warnings("closed_shifts", "second draft closing")
    assert (names - {closing["name"]}).pop() in warning["message"]
    assert unconsolidated(chain.erpnext, shift.invoices) == []


# -- the network ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how_many", [3, 12])
@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize(
    "kind",
    [
        "committed_never_answered",
        "reset_in_body",
        "bad_gateway_after_commit",
        "deadlock",
        "refused_before_commit",
    ],
)
def test_a_fault_on_insert_or_submit_still_closes_the_shift_once(
    chain: World, kind: str, method: str, how_many: int
) -> None:
    shift = chain.shift(how_many)
    rule = chain.erpnext.faults.add(kind, method=method, path=INSERT)
    day = chain.close("closed_shifts")
    assert day.success
    assert rule.hit == 1
    closed(chain, shift)
    assert day.outcome("closed_shifts")["written"] == 1


@pytest.mark.parametrize("how_many", [2, 11])
def test_a_process_that_dies_between_insert_and_submit_is_taken_up(
    chain: World, monkeypatch: pytest.MonkeyPatch, how_many: int
) -> None:
    shift = chain.shift(how_many)

    def die(*_: object) -> str:
        raise KeyError("the process is gone")

    with monkeypatch.context() as patched:
        patched.setattr(pos, "submit_closing", die)
        assert not chain.close("closed_shifts").success
    (draft,) = chain.erpnext.documents("POS Closing Entry", pos_opening_entry=shift.opening)
    assert (draft["docstatus"], unconsolidated(chain.erpnext, shift.invoices)) == (0, shift.invoices)
    again = chain.close("closed_shifts")
    assert again.success
    closing = closed(chain, shift)
    assert closing["name"] == draft["name"]
    assert closing[UNCOUNTED_FIELD] == 1


def test_a_sale_rung_up_between_crash_and_re_run_is_in_the_closing(
    chain: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain.shift(2)
    with monkeypatch.context() as patched:
        patched.setattr(pos, "submit_closing", lambda *_: 1 / 0)
        chain.close("closed_shifts")
    # the same cashier and profile: the sale belongs to the same open shift
    session = chain.erpnext.session(CASHIER)
    with chain.erpnext.site.transaction():
        from scoopjoy_dagster.sandbox.seed.facts import _pos_invoice

        values = _pos_invoice(BANDRA, Sale(Decimal(60)), MORNING + timedelta(hours=3), [])
        late = session.submit(session.insert(session.new("POS Invoice", values))).name
    assert chain.close("closed_shifts").success
    assert unconsolidated(chain.erpnext, [late]) == []


def test_a_closing_that_vanishes_behind_a_dead_connection_is_an_exception_row_and_is_taken_up_later(
    chain: World,
) -> None:
    shift = chain.shift(2)
    chain.erpnext.faults.add("refused_before_commit", method="PUT", path=INSERT, times=None)
    day = chain.close("closed_shifts")
    assert not day.success
    (row,) = day.exceptions("closed_shifts")
    assert row["what"] == "shift not closed"
    assert shift.opening in row["who"]
    chain.erpnext.faults.clear()
    assert chain.close("closed_shifts").success
    closed(chain, shift)


@pytest.mark.parametrize("how_many", [3, 12])
@pytest.mark.parametrize("together", [True, False])
def test_two_runs_at_once_close_a_shift_once(
    chain: World, monkeypatch: pytest.MonkeyPatch, together: bool, how_many: int
) -> None:
    """Both plan while the shift is open; then both insert at once, or one does not begin before the other has ended."""
    shift = chain.shift(how_many)
    both_planned, first_ended = threading.Barrier(2), threading.Event()
    insert_closing = pos.insert_closing

    def meet_then_insert(*args: Any) -> Any:
        if both_planned.wait(10) == 0 and not together:
            first_ended.wait(10)
        return insert_closing(*args)

    monkeypatch.setattr(pos, "insert_closing", meet_then_insert)
    outcomes = []

    def work() -> None:
        with chain.site() as site:
            outcomes.append(asset.close(site, DAY, chain.tools()))
        first_ended.set()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    (closing,) = submitted_closings(chain.erpnext, shift.opening)
    assert unconsolidated(chain.erpnext, shift.invoices) == []
    assert closing["status"] == "Submitted"
    assert ledger_balance(chain.erpnext) == 0
    assert [outcome.findings for outcome in outcomes] == [(), ()]


# -- the background ---------------------------------------------------------------------------------------------


@pytest.fixture
def fail_in_background(monkeypatch: pytest.MonkeyPatch) -> Callable[[World, int], list[str]]:
    """Let the background consolidation of a world fail so many times, as it does when a customer is disabled."""

    def arrange(chain: World, times: int) -> list[str]:
        runs: list[str] = []

        def job(session: Any, payload: dict[str, Any]) -> None:
            runs.append(payload["closing"])
            if len(runs) <= times:
                # rolled back with the failure, as if somebody had enabled the customer again in the meantime
                owner = Session(session.site, "Administrator")
                customer = owner.load("Customer", "Walk-in Customer")
                owner.amend(customer, {"disabled": 1})
                owner.save(customer)
            pos_closing.run_job(session, payload)

        monkeypatch.setitem(sandbox_world._HANDLERS, pos_closing.JOB, job)
        return runs

    return arrange


def test_a_consolidation_that_fails_in_the_background_is_restarted_once_by_itself(
    chain: World, fail_in_background: Callable[[World, int], list[str]]
) -> None:
    runs = fail_in_background(chain, 1)
    shift = chain.shift(12)
    day = chain.close("closed_shifts")
    assert day.success
    assert len(runs) == 2
    closed(chain, shift)


def test_one_that_fails_twice_is_an_exception_row_with_erpnext_s_message_and_hides_nobody(
    chain: World, fail_in_background: Callable[[World, int], list[str]]
) -> None:
    runs = fail_in_background(chain, 2)
    bad = chain.shift(12, opened=MORNING)
    with seed.at(chain.erpnext, datetime(2026, 11, 22, 20)):
        good = seed.add_shift(
            chain.erpnext, "POS Indiranagar", OTHER, datetime(2026, 11, 22, 15), ["100", "200"]
        )
    day = chain.close("closed_shifts")
    assert not day.success
    assert len(runs) == 2
    closed(chain, good)
    (row,) = day.exceptions("closed_shifts")
    assert row["what"] == "shift not closed"
    assert row["who"] == f"{bad.opening} ({BANDRA}, {CASHIER})"
    assert "Walk-in Customer is disabled" in row["message"]
    assert "re-run `closed_shifts` for this day" in row["action"]
    assert "Walk-in Customer is disabled" in str(day.failure("closed_shifts").user_failure_data)

    again = chain.close("closed_shifts")
    assert again.success
    closed(chain, bad)
    assert again.outcome("closed_shifts")["adopted"] == 1


def test_one_that_failed_before_we_came_is_restarted(
    chain: World, fail_in_background: Callable[[World, int], list[str]]
) -> None:
    fail_in_background(chain, 1)
    shift = chain.shift(12)
    chain.erpnext.settings.background_worker = False
    with seed.at(chain.erpnext, datetime(2026, 11, 22, 23)):
        seed.close_shift(chain.erpnext, shift.opening)
    chain.erpnext.settings.background_worker = True
    while chain.erpnext.run_background_jobs():
        pass
    day = chain.close("closed_shifts")
    assert day.success
    closed(chain, shift)


def test_one_that_is_queued_for_ever_is_an_exception_row_at_the_deadline(chain: World) -> None:
    chain.options = {"closing_deadline_s": 0.1}
    chain.erpnext.settings.background_worker = False
    chain.shift(12)
    day = chain.close("closed_shifts")
    (row,) = day.exceptions("closed_shifts")
    assert "still Queued after 0.1 s" in row["message"]
    assert row["action"].startswith("See that ERPNext's background workers run (`bench doctor`).")
    chain.erpnext.settings.background_worker = True
    assert chain.close("closed_shifts").success


def test_a_scheduler_that_is_off_is_said_in_erpnext_s_words_and_small_shifts_are_closed(chain: World) -> None:
    chain.erpnext.settings.scheduler_active = False
    chain.shift(12, opened=MORNING)
    with seed.at(chain.erpnext, datetime(2026, 11, 22, 20)):
        small = seed.add_shift(chain.erpnext, "POS Indiranagar", OTHER, datetime(2026, 11, 22, 15), ["100"])
    day = chain.close("closed_shifts")
    (row,) = day.exceptions("closed_shifts")
    assert "Scheduler is inactive" in row["message"]
    closed(chain, small)


# -- what is listed --------------------------------------------------------------------------------------------


def test_a_sale_at_a_till_without_a_shift_is_named_and_stops_nothing(chain: World) -> None:
    shift = chain.shift([Sale(Decimal(100)), Sale(Decimal(60), at=datetime(2026, 11, 22, 8))])
    day = chain.close("closed_shifts")
    assert day.success
    (row,) = day.warnings("closed_shifts", "till sales not in the ledger")
    assert shift.invoices[1] in row["message"]
    assert unconsolidated(chain.erpnext, shift.invoices) == [shift.invoices[1]]


def ring(
    chain: World, amount: int, at: datetime, *, cashier: str = CASHIER, till: str = BANDRA, **more: Any
) -> str:
    """A till sale without tax, by this user. Returns the name of its POS Invoice."""
    session = chain.erpnext.session(cashier)
    payments = more.pop("payments", [{"mode_of_payment": "Cash", "amount": float(amount)}])
    docstatus = more.pop("docstatus", 1)
    values = {
        "customer": "Walk-in Customer",
        "company": "ScoopJoy",
        "is_pos": 1,
        "pos_profile": till,
        "set_posting_time": 1,
        "posting_date": at.date().isoformat(),
        "posting_time": at.time().isoformat(),
        "items": [{"item_code": "SJ-VAN-500", "qty": 1, "rate": float(amount)}],
        "payments": payments,
        **more,
    }
    with chain.erpnext.site.transaction():
        made = session.insert(session.new("POS Invoice", values))
        return str((session.submit(made) if docstatus else made).name)


def test_a_sale_by_another_user_in_the_shift_of_a_till_is_red_until_a_shift_of_theirs_takes_it(
    chain: World,
) -> None:
    shift = chain.shift(1)
    stray = ring(chain, 60, MORNING + timedelta(hours=1), cashier=OTHER)
    day = chain.close("closed_shifts", "royalties")
    assert not day.success
    closed(chain, shift)
    (row,) = day.exceptions("closed_shifts", "till sales not in the ledger")
    assert row["who"] == f"{DAY} ({BANDRA}, {OTHER})"
    assert stray in row["message"]
    assert f"{OTHER} made them in the shift {shift.opening} of {CASHIER}" in row["message"]
    assert day.status("royalties") == "never"
    # The advice of the row, followed.
    open_shift(chain, OTHER, MORNING + timedelta(hours=1))
    assert chain.close("closed_shifts").success
    assert unconsolidated(chain.erpnext, [stray]) == []


def open_shift(chain: World, cashier: str, at: datetime) -> str:
    return seed.add_shift(chain.erpnext, BANDRA, cashier, at, []).opening


def test_a_sale_that_arrives_after_its_shift_was_closed_is_named_every_night_until_it_is_in_a_closing(
    chain: World,
) -> None:
    """A till was offline; its last sale of the evening arrives in the morning."""
    chain.shift(2)
    assert chain.close("closed_shifts").success
    at = datetime(2026, 11, 22, 22, 50)
    late = ring(chain, 999, at)
    chain.shift(2, opened=datetime(2026, 11, 23, 10))
    for nights in (1, 2):
        chain.now = NOW + timedelta(days=nights)
        night = chain.close("closed_shifts", day=DAY + timedelta(days=nights))
        assert night.success
        (row,) = night.warnings("closed_shifts", "till sales not in the ledger")
        assert row["who"] == f"{DAY} ({BANDRA}, {CASHIER})"
        assert f"1 sale of 999.00 is in no POS Closing Entry: {late}" in row["message"]
        assert "2026-11-22 22:50:00" in row["action"]
    assert not chain.close("closed_shifts").success  # its own day is not right
    # The advice of the row, followed.
    open_shift(chain, CASHIER, at)
    assert chain.close("closed_shifts").success
    assert unconsolidated(chain.erpnext, [late]) == []
    again = chain.close("closed_shifts", day=DAY + timedelta(days=2))
    assert again.warnings("closed_shifts", "till sales not in the ledger") == []


def test_drafts_that_a_shift_leaves_behind_are_named_with_count_and_amount(chain: World) -> None:
    shift = chain.shift(2)
    held = ring(chain, 250, MORNING + timedelta(hours=1), docstatus=0)
    day = chain.close("closed_shifts")
    assert day.success
    closed(chain, shift)
    (row,) = day.warnings("closed_shifts", "draft sales in a shift")
    assert row["who"] == f"{shift.opening} ({BANDRA}, {CASHIER})"
    assert f"1 sale of 250.00 is a draft, so in no closing: {held}" in row["message"]


def test_a_sale_at_the_very_second_of_an_opening_is_in_that_shift_and_in_no_other(chain: World) -> None:
    first = chain.shift([Sale(Decimal(100), at=MORNING)], opened=MORNING - timedelta(hours=1))
    second = open_shift(chain, CASHIER, MORNING)
    assert chain.close("closed_shifts").success
    (before,) = submitted_closings(chain.erpnext, first.opening)
    (after,) = submitted_closings(chain.erpnext, second)
    assert before["pos_transactions"] == []
    assert [row["pos_invoice"] for row in after["pos_transactions"]] == first.invoices


def test_a_sale_that_was_returned_at_a_till_that_closes_first_is_closed_in_one_run(chain: World) -> None:
    early = chain.shift([], opened=datetime(2026, 11, 22, 9))
    other = "POS Indiranagar"
    with seed.at(chain.erpnext, MORNING):
        later = seed.add_shift(chain.erpnext, other, OTHER, MORNING, [])
    sold = ring(chain, 300, MORNING + timedelta(hours=2), cashier=OTHER, till=other)
    back = ring(
        chain,
        300,
        MORNING + timedelta(hours=5),
        is_return=1,
        return_against=sold,
        paid_amount=-300,
        payments=[{"mode_of_payment": "Cash", "amount": -300}],
        items=[{"item_code": "SJ-VAN-500", "qty": -1, "rate": 300}],
    )
    day = chain.close("closed_shifts")
    assert day.success
    assert day.outcome("closed_shifts")["exceptions"] == []
    assert unconsolidated(chain.erpnext, [sold, back]) == []
    for opening in (early.opening, later.opening):
        (one,) = submitted_closings(chain.erpnext, opening)
        assert one["status"] == "Submitted"


def test_change_for_a_card_comes_out_of_the_drawer_also_where_the_sale_names_no_accounts(
    chain: World,
) -> None:
    shift = chain.shift([])
    ring(chain, 475, MORNING + timedelta(hours=1), payments=[{"mode_of_payment": "Card", "amount": 500.0}])
    (sale,) = chain.erpnext.documents("POS Invoice")
    with chain.erpnext.site.transaction():  # as ERPNext leaves a sale that was submitted in one request
        chain.erpnext.site.db.run(
            'UPDATE "tabSales Invoice Payment" SET account = NULL, base_amount = 0 WHERE parent = ?',
            (sale["name"],),
        )
    assert chain.close("closed_shifts").success
    (closing,) = submitted_closings(chain.erpnext, shift.opening)
    assert {
        mode: expected for mode, (_, expected, _) in money(closing).items() if mode in {"Card", "Cash"}
    } == {
        "Card": Decimal("500.00"),
        "Cash": Decimal("1975.00"),
    }


def test_a_till_sale_in_another_currency_counts_in_company_currency(chain: World) -> None:
    shift = chain.shift([])
    ring(
        chain,
        10,
        MORNING + timedelta(hours=1),
        payments=[{"mode_of_payment": "Card", "amount": 10.0}],
        currency="USD",
        conversion_rate=84.15,
    )
    day = chain.close("closed_shifts")
    assert day.success
    assert day.outcome("closed_shifts")["amount"] == "841.50"
    (closing,) = submitted_closings(chain.erpnext, shift.opening)
    assert exact(closing["grand_total"]) == Decimal("841.50")
    assert money(closing)["Card"][1] == Decimal("841.50")


def test_a_shift_of_one_customer_in_two_currencies_is_an_exception_row_and_not_closed_wrongly(
    chain: World,
) -> None:
    """ERPNext v15 would book 10 dollars as 10 rupees, and say nothing."""
    shift = chain.shift(1)
    ring(chain, 10, MORNING + timedelta(hours=1), currency="USD", conversion_rate=84.15)
    day = chain.close("closed_shifts")
    (row,) = day.exceptions("closed_shifts", "shift in several currencies")
    assert "Walk-in Customer" in row["message"]
    assert submitted_closings(chain.erpnext, shift.opening) == []


# -- shifts that still sell ---------------------------------------------------------------------------------------


def test_a_shift_that_still_sells_is_waited_for_and_closed_once_it_is_quiet(chain: World) -> None:
    """The last sale is ten seconds before the close; the till is quiet after another tenth of a second."""
    chain.options = {"last_sale_minutes": 10.1 / 60, "selling_deadline_minutes": 1}
    shift = chain.shift([Sale(Decimal(100), at=NOW - timedelta(seconds=10))], opened=MORNING)
    with seed.at(chain.erpnext, datetime(2026, 11, 22, 20)):
        other = seed.add_shift(chain.erpnext, "POS Indiranagar", OTHER, MORNING, ["100"])
    day = chain.close("closed_shifts")
    assert day.success
    closed(chain, shift)
    closed(chain, other)


def test_a_shift_that_sells_until_the_deadline_is_an_exception_row_and_hides_nobody(chain: World) -> None:
    chain.options = {"selling_deadline_minutes": 0.001}
    shift = chain.shift([Sale(Decimal(100), at=NOW - timedelta(minutes=5))], opened=MORNING)
    with seed.at(chain.erpnext, datetime(2026, 11, 22, 20)):
        other = seed.add_shift(chain.erpnext, "POS Indiranagar", OTHER, MORNING, ["100"])
    day = chain.close("closed_shifts")
    (row,) = day.exceptions("closed_shifts")
    assert (row["what"], row["who"]) == ("shift still selling", f"{shift.opening} ({BANDRA}, {CASHIER})")
    assert submitted_closings(chain.erpnext, shift.opening) == []
    closed(chain, other)


# -- what is listed besides ---------------------------------------------------------------------------------------


def test_an_older_shift_that_is_still_open_is_named(chain: World) -> None:
    with seed.at(chain.erpnext, datetime(2026, 11, 20, 23)):
        older = chain.shift(1, opened=datetime(2026, 11, 20, 10))
    shift = chain.shift(1)
    day = chain.close("closed_shifts")
    assert day.success
    (row,) = day.warnings("closed_shifts", "older shifts still open")
    assert row["who"] == "1 of 2026-11-20"
    assert "Materialize closed_shifts for 2026-11-20" in row["action"]
    closed(chain, shift)
    assert submitted_closings(chain.erpnext, older.opening) == []


def test_a_closing_that_a_person_cancelled_is_made_again_under_the_next_revision(chain: World) -> None:
    shift = chain.shift(2)
    assert chain.close("closed_shifts").success
    (first,) = submitted_closings(chain.erpnext, shift.opening)
    session = chain.erpnext.session(ROBOT)
    with chain.erpnext.site.transaction():
        session.cancel(session.load("POS Closing Entry", first["name"]))
    assert chain.close("closed_shifts").success
    second = closed(chain, shift)
    assert (first[KEY_FIELD][-2:], second[KEY_FIELD][-2:]) == (":0", ":1")


def test_a_shift_that_erpnext_refuses_keeps_its_draft_and_is_closed_once_the_cause_is_gone(
    chain: World,
) -> None:
    shift = chain.shift(2)
    change(chain.erpnext, "Customer", "Walk-in Customer", disabled=1)
    day = chain.close("closed_shifts")
    (row,) = day.exceptions("closed_shifts")
    assert "Walk-in Customer is disabled" in row["message"]
    change(chain.erpnext, "Customer", "Walk-in Customer", disabled=0)
    assert chain.close("closed_shifts").success
    closed(chain, shift)


def test_a_day_without_shifts_is_a_good_day(chain: World) -> None:
    day = chain.close("closed_shifts")
    assert day.success
    assert day.outcome("closed_shifts")["seen"] == 0


def test_a_count_that_a_person_entered_in_our_own_draft_is_kept(
    chain: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    shift = chain.shift(2)
    with monkeypatch.context() as patched:
        patched.setattr(pos, "submit_closing", lambda *_: 1 / 0)  # we die between insert and submit
        chain.close("closed_shifts")
    (draft,) = chain.erpnext.documents("POS Closing Entry", pos_opening_entry=shift.opening)
    rows = [
        {**row, "closing_amount": 2200.5, "difference": -9.5} if row["mode_of_payment"] == "Cash" else row
        for row in draft["payment_reconciliation"]
    ]
    change(chain.erpnext, "POS Closing Entry", draft["name"], payment_reconciliation=rows)
    assert chain.close("closed_shifts").success
    (closing,) = submitted_closings(chain.erpnext, shift.opening)
    cash = next(row for row in closing["payment_reconciliation"] if row["mode_of_payment"] == "Cash")
    assert exact(cash["closing_amount"]) == Decimal("2200.50")
