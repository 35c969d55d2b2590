"""`ledger_equals_rule`: what was posted is asked of ERPNext again, and a difference blocks what is behind it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from scoopjoy_dagster.assets import royalties
from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster_tests.world import DAY, INDIRANAGAR, THANE, World, change, entries

BEHIND = ("invoices", "reports", "hq_sync")


@pytest.fixture
def after_posting(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Let something happen between the posting of the royalties and the check."""

    def arrange(happens: Callable[[], object]) -> None:
        post = royalties.post_royalties

        def post_then(*args: Any, **options: Any) -> Any:
            outcome = post(*args, **options)
            happens()
            return outcome

        monkeypatch.setattr(royalties, "post_royalties", post_then)

    return arrange


def said(day: Any) -> dict[str, str]:
    return {name: entry.value for name, entry in day.check().metadata.items()}


def test_a_settled_day_passes_with_its_figures(chain: World) -> None:
    chain.a_day()
    day = chain.close("royalties")
    check = day.check()
    assert (check.passed, check.asset_key.to_user_string(), check.check_name) == (
        True,
        "royalties",
        "ledger_equals_rule",
    )
    assert said(day) == {"expected": "869.31", "actual": "869.31", "difference": "0.00", "worst_five": "none"}
    assert check.description == "The ledger holds exactly 869.31."


def test_a_day_without_sales_passes(chain: World) -> None:
    assert chain.close("royalties").check().passed


def test_the_check_reads_only(chain: World) -> None:
    chain.a_day()
    assert chain.close("royalties").success
    chain.erpnext.requests.reset()
    assert chain.close("royalties").check().passed
    assert chain.erpnext.requests.writes == 0


def test_an_entry_cancelled_in_between_fails_it_and_blocks_what_is_behind(
    full_chain: World, after_posting: Callable[[Callable[[], object]], None]
) -> None:
    full_chain.a_day()
    after_posting(
        lambda: seed.cancel_document(
            full_chain.erpnext, "Journal Entry", entries(full_chain.erpnext, THANE)[0]["name"]
        )
    )
    day = full_chain.close()
    assert not day.success
    check = day.check()
    assert not check.passed
    assert check.blocking
    assert said(day) == {
        "expected": "869.31",
        "actual": "796.81",
        "difference": "-72.50",
        "worst_five": f"{THANE}: -72.50",
    }
    assert {day.status(asset) for asset in BEHIND} <= {"never", "skipped"}
    assert (full_chain.mail.messages, full_chain.headquarters.attempts) == ([], [])
    assert full_chain.erpnext.documents("File") == []


def test_a_stray_difference_in_the_ledger_fails_it(
    chain: World, after_posting: Callable[[Callable[[], object]], None]
) -> None:
    """Somebody repairs the ledger in the database: the entry says 72.50, the ledger 72.51."""
    chain.a_day()

    def stray() -> None:
        (entry,) = entries(chain.erpnext, THANE)
        with chain.erpnext.site.transaction():
            chain.erpnext.site.db.run(
                'UPDATE "tabGL Entry" SET debit = 72.51 WHERE voucher_no = ? AND party = ?',
                (entry["name"], THANE),
            )

    after_posting(stray)
    day = chain.close("royalties", "invoices")
    assert not day.check().passed
    assert said(day)["worst_five"] == f"{THANE}: 0.01"
    assert day.status("invoices") in {"never", "skipped"}


def test_differences_that_cancel_out_still_fail_it(
    chain: World, after_posting: Callable[[Callable[[], object]], None]
) -> None:
    chain.a_day()

    def swap() -> None:
        with chain.erpnext.site.transaction():
            for customer, change_by in ((THANE, 1), (INDIRANAGAR, -1)):
                chain.erpnext.site.db.run(
                    "UPDATE \"tabGL Entry\" SET debit = debit + ? WHERE party = ? AND voucher_type = 'Journal Entry'",
                    (change_by, customer),
                )

    after_posting(swap)
    day = chain.close("royalties")
    assert not day.check().passed
    assert said(day)["difference"] == "0.00"
    assert set(said(day)["worst_five"].split("; ")) == {f"{THANE}: 1.00", f"{INDIRANAGAR}: -1.00"}


def test_an_invoice_that_came_in_between_fails_it_and_the_next_run_settles_the_day(
    chain: World, after_posting: Callable[[Callable[[], object]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    chain.a_day()
    with monkeypatch.context():
        came: list[str] = []
        after_posting(lambda: came or came.append(chain.invoice(THANE, "1000")))
        assert not chain.close("royalties").check().passed
        again = chain.close("royalties")
    assert again.success
    assert again.check().passed
    assert said(again)["actual"] == "944.31"


def test_a_ledger_that_cannot_be_read_fails_it_with_the_reason(
    full_chain: World, after_posting: Callable[[Callable[[], object]], None]
) -> None:
    full_chain.options = {"attempts": 2}
    full_chain.a_day()
    after_posting(lambda: full_chain.erpnext.faults.add("maintenance", times=None))
    day = full_chain.close()
    check = day.check()
    assert not check.passed
    assert check.description.startswith("The ledger could not be read: ")
    assert "Session Stopped" in check.description
    assert {day.status(asset) for asset in BEHIND} <= {"never", "skipped"}


def test_a_range_is_one_verdict_over_all_of_its_days(chain: World) -> None:
    for back in range(3):
        chain.invoice(THANE, "1000", day=DAY - timedelta(days=back))
    days = chain.close("royalties", day=DAY - timedelta(days=2), until=DAY)
    assert days.success
    evaluations = days.result.get_asset_check_evaluations()
    assert all(one.passed for one in evaluations)
    assert sum(Decimal(one.metadata["expected"].value) for one in evaluations) in {Decimal(225), Decimal(675)}


def test_a_franchise_that_owes_nothing_and_was_charged_fails_it(
    chain: World, after_posting: Callable[[Callable[[], object]], None]
) -> None:
    chain.a_day()
    after_posting(lambda: change(chain.erpnext, "Customer", THANE, custom_royalty_exempt=1))
    day = chain.close("royalties")
    assert not day.check().passed
    assert said(day)["worst_five"] == f"{THANE}: 72.50"
