"""`hq_sync`: headquarters holds the day's totals, acknowledged, equal to ours."""

from __future__ import annotations

import hashlib
import hmac
from decimal import Decimal
from typing import Any

import pytest

from scoopjoy_dagster.hq.payload import canonical
from scoopjoy_dagster_tests.world import DAY, THANE, World, change, hide_a_closing


@pytest.fixture
def settled(full_chain: World) -> World:
    full_chain.shift(2)
    full_chain.a_day()
    assert full_chain.close("closed_shifts", "royalties").success
    return full_chain


def told(chain: World) -> list[dict[str, Any]]:
    """Delivery records of headquarters, of deliveries that it acknowledged."""
    return [one for one in chain.erpnext.documents("ScoopJoy Delivery", channel="hq") if one["reference"]]


def held(chain: World) -> dict[str, Any]:
    assert chain.headquarters is not None
    return chain.headquarters.days["ScoopJoy", DAY.isoformat()]


def test_the_totals_are_signed_acknowledged_and_equal_to_the_ledger(settled: World) -> None:
    day = settled.close("hq_sync")
    assert day.success
    (delivery,) = settled.headquarters.deliveries
    (attempt,) = settled.headquarters.attempts
    body = canonical(delivery.payload)
    signature = hmac.new(settled.headquarters.secret.encode(), body, hashlib.sha256).hexdigest()
    assert attempt.headers["x-scoopjoy-signature"] == f"sha256={signature}"
    assert delivery.idempotency_key == f"hq:ScoopJoy:{DAY}:0"
    totals = delivery.payload["totals"]
    assert Decimal(totals["royalty"]) == sum(settled.owed().values())
    assert (totals["invoices"], totals["journal_entries"], totals["pos_shifts"], totals["pos_invoices"]) == (
        8,
        5,
        1,
        2,
    )
    assert Decimal(totals["pos_sales"]) == Decimal("210.00")
    (record,) = told(settled)
    assert record["reference"] == delivery.receipt["receipt_id"]
    assert record["business_day"] == DAY.isoformat()
    assert day.metadata("hq_sync")["receipt"].value == delivery.receipt["receipt_id"]


def test_a_re_run_sends_nothing_and_writes_nothing(settled: World) -> None:
    assert settled.close("hq_sync").success
    settled.erpnext.requests.reset()
    again = settled.close("hq_sync")
    assert again.success
    assert (len(settled.headquarters.attempts), settled.erpnext.requests.writes) == (1, 0)
    assert again.outcome("hq_sync")["adopted"] == 1


def test_resend_tells_the_same_totals_under_the_same_key_and_compares_the_receipt(settled: World) -> None:
    assert settled.close("hq_sync").success
    settled.invoice(THANE, "1000")
    assert settled.close("royalties", "hq_sync").success
    (first, second) = settled.headquarters.deliveries
    settled.now = settled.now.replace(hour=9)
    again = settled.close("hq_sync", launchpad={"close": {"resend": True}})
    assert again.success
    assert len(settled.headquarters.attempts) == 3
    # The signature is the body's: the same totals went out.
    signatures = [attempt.headers["x-scoopjoy-signature"] for attempt in settled.headquarters.attempts]
    assert signatures[2] == signatures[1] != signatures[0]
    keys = [attempt.headers["x-idempotency-key"] for attempt in settled.headquarters.attempts]
    assert keys == [f"hq:ScoopJoy:{DAY}:0", f"hq:ScoopJoy:{DAY}:1", f"hq:ScoopJoy:{DAY}:1"]
    # Headquarters had it: nothing new there, nor in our record but the moment.
    assert [one.receipt for one in settled.headquarters.deliveries] == [first.receipt, second.receipt]
    assert [(one["revision"], one["reference"]) for one in told(settled)] == [
        (0, first.receipt["receipt_id"]),
        (1, second.receipt["receipt_id"]),
    ]
    assert str(told(settled)[1]["delivered_at"]).startswith("2026-11-23 09:00")
    outcome = again.outcome("hq_sync")
    assert (outcome["written"], outcome["adopted"]) == (1, 0)
    assert "revision 1 was sent again" in str(again.metadata("hq_sync")["documents"].value)


def test_resend_gives_the_day_back_to_a_headquarters_that_has_lost_it(settled: World) -> None:
    assert settled.close("hq_sync").success
    (lost,) = settled.headquarters.deliveries
    settled.headquarters._db.execute("DELETE FROM delivery")
    assert settled.close("hq_sync").success
    assert settled.headquarters.deliveries == []  # our record says that it has it
    assert settled.close("hq_sync", launchpad={"close": {"resend": True}}).success
    (given_back,) = settled.headquarters.deliveries
    assert given_back.payload == lost.payload
    assert given_back.receipt["receipt_id"] != lost.receipt["receipt_id"]
    (record,) = told(settled)
    assert record["reference"] == given_back.receipt["receipt_id"]


def test_a_receipt_that_differs_on_resend_is_an_exception_row_and_keeps_the_record(settled: World) -> None:
    assert settled.close("hq_sync").success
    (before,) = told(settled)
    settled.headquarters._db.execute(
        "UPDATE delivery SET receipt = replace(receipt, '\"revision\": 0', '\"revision\": 4')"
    )
    day = settled.close("hq_sync", launchpad={"close": {"resend": True}})
    (row,) = day.exceptions("hq_sync")
    assert "revision: sent 0, headquarters holds 4" in row["message"]
    assert told(settled) == [before]


def test_resend_of_a_day_that_was_never_told_tells_it_once(settled: World) -> None:
    assert settled.close("hq_sync", launchpad={"close": {"resend": True}}).success
    assert [record["revision"] for record in told(settled)] == [0]
    assert len(settled.headquarters.attempts) == 1


def test_changed_totals_go_out_as_the_next_revision(settled: World) -> None:
    assert settled.close("hq_sync").success
    settled.invoice(THANE, "1000")
    assert settled.close("royalties", "hq_sync").success
    assert held(settled)["revision"] == 1
    assert Decimal(held(settled)["totals"]["royalty"]) == sum(settled.owed().values())
    assert [record["revision"] for record in told(settled)] == [0, 1]
    assert settled.close("hq_sync").success
    assert len(settled.headquarters.attempts) == 2


def test_totals_that_change_back_are_a_revision_too(settled: World) -> None:
    assert settled.close("hq_sync").success
    settled.invoice(THANE, "1000")
    assert settled.close("royalties", "hq_sync").success
    settled.invoice(THANE, "1000", is_return=True)
    assert settled.close("royalties", "hq_sync").success
    assert held(settled)["revision"] == 2
    assert Decimal(held(settled)["totals"]["royalty"]) == sum(settled.owed().values())


@pytest.mark.parametrize("answer", [500, 503, 429, "drop"])
@pytest.mark.parametrize("after_storing", [False, True])
def test_a_headquarters_that_stumbles_is_asked_again_and_holds_the_day_once(
    settled: World, answer: Any, after_storing: bool
) -> None:
    settled.headquarters.fail_next(answer, times=2, after_storing=after_storing)
    assert settled.close("hq_sync").success
    assert len(settled.headquarters.attempts) == 3
    assert len(settled.headquarters.deliveries) == 1
    assert len(told(settled)) == 1


@pytest.mark.parametrize("answer", [500, "drop"])
def test_a_headquarters_that_is_down_is_one_exception_row_and_is_told_later(
    settled: World, answer: Any
) -> None:
    settled.headquarters.fail_next(answer, times=20)
    day = settled.close("hq_sync")
    assert not day.success
    (row,) = day.exceptions("hq_sync")
    assert row["what"] == "headquarters not told"
    assert told(settled) == []
    settled.headquarters._failures.clear()
    assert settled.close("hq_sync").success
    assert len(settled.headquarters.deliveries) == 1


@pytest.mark.parametrize("answer", [400, 401, 422])
def test_a_final_no_is_not_repeated(settled: World, answer: int) -> None:
    settled.headquarters.fail_next(answer)
    day = settled.close("hq_sync")
    (row,) = day.exceptions("hq_sync")
    assert str(answer) in row["message"]
    assert len(settled.headquarters.attempts) == 1
    assert settled.headquarters.secret not in str(day.metadata("hq_sync"))


def test_a_revision_that_headquarters_holds_with_other_totals_is_stepped_over(
    settled: World, monkeypatch
) -> None:
    """It acknowledged revision 0, we died before the record was written, and then the day changed."""
    with monkeypatch.context() as patched:
        patched.setattr("scoopjoy_dagster.assets.hq_sync.confirm", lambda *_: 1 / 0)
        assert not settled.close("hq_sync").success
    assert (len(settled.headquarters.deliveries), told(settled)) == (1, [])
    settled.invoice(THANE, "1000")
    assert settled.close("royalties", "hq_sync").success
    assert held(settled)["revision"] == 1
    assert Decimal(held(settled)["totals"]["royalty"]) == sum(settled.owed().values())
    assert [record["revision"] for record in told(settled)] == [1]


@pytest.mark.parametrize("stored", [True, False])
def test_totals_that_were_sent_and_never_answered_are_followed_by_those_of_now(
    settled: World, stored: bool
) -> None:
    """Headquarters may have been told of one shift less; the day is again as it acknowledged it before that."""
    assert settled.headquarters
    assert settled.close("hq_sync").success
    shifts = held(settled)["totals"]["pos_shifts"]
    hide_a_closing(settled, hidden=True)
    settled.headquarters.fail_next("drop", times=20, after_storing=stored)
    assert not settled.close("hq_sync").success
    settled.headquarters._failures.clear()
    hide_a_closing(settled, hidden=False)
    assert settled.close("hq_sync").success
    assert held(settled)["revision"] == 2
    assert held(settled)["totals"]["pos_shifts"] == shifts
    assert [record["revision"] for record in told(settled)] == [0, 2]


def test_a_record_lost_in_a_crash_is_made_good_with_the_same_receipt(settled: World, monkeypatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("scoopjoy_dagster.assets.hq_sync.confirm", lambda *_: 1 / 0)
        settled.close("hq_sync")
    assert settled.close("hq_sync").success
    (delivery,) = settled.headquarters.deliveries
    (record,) = told(settled)
    assert record["reference"] == delivery.receipt["receipt_id"]


def test_a_receipt_that_differs_is_an_exception_row_and_no_record(settled: World) -> None:
    """Headquarters already holds a higher revision of the day, from somewhere else."""
    assert settled.close("hq_sync").success
    settled.headquarters._db.execute(
        "UPDATE delivery SET revision = 7, idempotency_key = 'elsewhere',"
        " body = replace(CAST(body AS TEXT), '\"revision\":0', '\"revision\":7')"
    )
    settled.invoice(THANE, "1000")
    day = settled.close("royalties", "hq_sync")
    (row,) = day.exceptions("hq_sync")
    assert "the receipt differs from what was sent" in row["message"]
    assert "revision: sent 1, headquarters holds 7" in row["message"]
    assert [record["revision"] for record in told(settled)] == [0]


@pytest.mark.parametrize("kind", ["committed_never_answered", "deadlock"])
def test_a_fault_on_the_delivery_record_leaves_one(settled: World, kind: str) -> None:
    settled.erpnext.faults.add(kind, path="/api/resource/ScoopJoy Delivery")
    assert settled.close("hq_sync").success
    assert len(told(settled)) == 1


def test_without_a_headquarters_the_day_says_so(chain: World) -> None:
    chain.a_day()
    day = chain.close("royalties", "hq_sync")
    assert day.success
    (warning,) = day.warnings("hq_sync", "no headquarters configured")
    assert "SCOOPJOY_HQ_URL" in warning["message"]
    assert day.outcome("hq_sync")["skipped"] == 1


def test_nothing_is_told_of_a_day_whose_royalties_are_not_settled(full_chain: World) -> None:
    full_chain.a_day()
    day = full_chain.close("hq_sync")
    (row,) = day.exceptions("hq_sync")
    assert row["what"] == "royalties not settled"
    assert full_chain.headquarters.attempts == []


def test_nothing_is_told_of_a_day_that_needs_a_person(full_chain: World) -> None:
    full_chain.a_day()
    change(full_chain.erpnext, "Customer", THANE, custom_royalty_percentage=-3)
    full_chain.close("royalties")
    day = full_chain.close("hq_sync")
    assert THANE in day.exceptions("hq_sync")[0]["message"]
    assert full_chain.headquarters.attempts == []
