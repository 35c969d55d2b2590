"""Whoever loses against another writer is rolled back by ERPNext and comes again: nothing is lost, nothing is there twice."""

from __future__ import annotations

import io
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from pypdf import PdfWriter

from scoopjoy_dagster.erpnext import statement_files
from scoopjoy_dagster.erpnext.statement_files import StatementFile, attach_all
from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster.sandbox.erpnext import faults
from scoopjoy_dagster.sandbox.seed import Sale
from scoopjoy_dagster_tests.world import BANDRA, CASHIER, DAY, KORAMANGALA, THANE, World, entries, exact

EVENING = datetime.combine(DAY, datetime.min.time()) + timedelta(hours=18)


def twelve_sales(world: World) -> seed.Shift:
    """A shift that ERPNext consolidates in the background, where it consolidates at all."""
    with seed.at(world.erpnext, EVENING):
        return seed.add_shift(
            world.erpnext, BANDRA, CASHIER, EVENING, [Sale(Decimal(10), customer=THANE, gst=False)] * 12
        )


def in_background(world: World) -> bool:
    """Whether the shift's sales are POS Invoices: Sales Invoices are only marked, in the request."""
    return bool(world.erpnext.documents("POS Invoice"))


@pytest.mark.parametrize("times", [1, 5])
def test_a_consolidation_that_loses_against_others_is_restarted_until_it_gets_through(
    chain: World, times: int
) -> None:
    twelve_sales(chain)
    chain.erpnext.faults.fail_jobs(times, reason=faults.RECORD_CHANGED)
    assert chain.close("closed_shifts").success
    (closing,) = chain.erpnext.documents("POS Closing Entry")
    assert closing["status"] == "Submitted"
    assert len(chain.erpnext.faults.struck) == (times if in_background(chain) else 0)


def test_one_that_always_loses_is_an_exception_row_and_the_next_run_takes_it_up(chain: World) -> None:
    chain.options = {"closing_deadline_s": 0.2}
    twelve_sales(chain)
    chain.erpnext.faults.fail_jobs(1000, reason=faults.RECORD_CHANGED)
    night = chain.close("closed_shifts")
    assert night.success is not in_background(chain)
    if in_background(chain):
        (row,) = night.exceptions("closed_shifts", "shift closing lost to other writers")
        assert "Record has changed since last read" in row["message"]
        assert "There is nothing to fix" in row["action"]
    chain.erpnext.faults.clear()
    chain.options = {}
    assert chain.close("closed_shifts").success
    assert [one["status"] for one in chain.erpnext.documents("POS Closing Entry")] == ["Submitted"]


def test_an_entry_that_always_loses_is_named_as_a_conflict_and_the_next_run_posts_it(chain: World) -> None:
    chain.options = {"closing_deadline_s": 0.05}
    chain.invoice(KORAMANGALA, "1000")
    chain.erpnext.faults.add("record_changed", path="insert_many", times=None)
    night = chain.close("royalties")
    (row,) = night.exceptions("royalties")
    assert (row["what"], row["who"]) == ("royalty posting lost to other writers", KORAMANGALA)
    assert "There is nothing to fix" in row["action"]
    chain.erpnext.faults.clear()
    chain.options = {}
    assert chain.close("royalties").success
    assert len(entries(chain.erpnext, KORAMANGALA)) == 1


def test_a_statement_that_always_loses_is_named_as_a_conflict_and_the_next_run_attaches_it(
    chain: World,
) -> None:
    chain.options = {"closing_deadline_s": 0.05}
    chain.invoice(KORAMANGALA, "1000")
    assert chain.close("royalties").success
    chain.erpnext.faults.add("record_changed", path="insert_many", times=None)
    night = chain.close("invoices")
    (row,) = night.exceptions("invoices")
    assert row["who"].startswith(KORAMANGALA)
    assert "There is nothing to fix" in row["action"]
    assert chain.erpnext.documents("File") == []
    chain.erpnext.faults.clear()
    chain.options = {}
    assert chain.close("invoices").success
    assert len(chain.erpnext.documents("File")) == 1


def test_an_entry_that_loses_against_others_carries_each_share_once(chain: World) -> None:
    chain.invoice(KORAMANGALA, "1000")
    chain.invoice(KORAMANGALA, "500")
    chain.erpnext.faults.add("record_changed", path="insert_many", times=2)
    assert chain.close("royalties").success
    (entry,) = entries(chain.erpnext, KORAMANGALA)
    assert [exact(row["royalty_share"]) for row in entry["custom_royalty_shares"]] == [45, Decimal("22.5")]
    assert len(chain.erpnext.documents("Royalty Share")) == 2


@pytest.mark.parametrize("path", ["insert_many", "POS Closing Entry"])
def test_a_request_that_loses_against_another_one_is_sent_again_and_stored_once(
    chain: World, path: str
) -> None:
    chain.invoice(KORAMANGALA, "1000")
    twelve_sales(chain)
    chain.erpnext.faults.add("record_changed", path=path, times=2)
    assert chain.close().success
    assert [kind for kind, *_ in chain.erpnext.faults.struck] == ["record_changed"] * 2
    assert len(entries(chain.erpnext, KORAMANGALA)) == len(entries(chain.erpnext, THANE)) == 1
    assert len(chain.erpnext.documents("POS Closing Entry")) == 1
    chain.erpnext.requests.reset()
    assert chain.close().success
    assert chain.erpnext.requests.writes == 0


def a_pdf() -> bytes:
    """v16 opens the PDFs that it is given."""
    page = io.BytesIO()
    writer = PdfWriter()
    writer.add_blank_page(100, 100)
    writer.write(page)
    return page.getvalue()


def test_statements_are_attached_without_losing_against_each_other(
    chain: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statement_files, "MOST_FILES", 2)
    files = [
        StatementFile(f"SJ-ROY-{number}", f"royalty-statement-{number}-abc.pdf", a_pdf())
        for number in range(12)
    ]
    with chain.site() as site:
        done = list(attach_all(site, files, company="ScoopJoy", day=DAY))
        assert site.client.session.traffic.retries == 0
    assert [problem for _, problem in done] == [None] * 12
