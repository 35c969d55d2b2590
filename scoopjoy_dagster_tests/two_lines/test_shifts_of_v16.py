"""Shifts in states that only ERPNext v16 and later know: sold in another mode than today's, and half cancelled."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster.sandbox.erpnext.errors import SiteError
from scoopjoy_dagster.sandbox.seed import Sale
from scoopjoy_dagster_tests.world import (
    BANDRA,
    CASHIER,
    DAY,
    World,
    build_template,
    change,
    exact,
    started_site,
    submitted_closings,
    unconsolidated,
)

MORNING = datetime.combine(DAY, datetime.min.time()) + timedelta(hours=10)
ROBOT = "robot@scoopjoy.example"


@pytest.fixture(scope="module")
def v16_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("v16") / "site.db"
    build_template(path, "v16", "POS Invoice")
    return path


@pytest.fixture
def chain(v16_template: Path, shared_instance: dg.DagsterInstance) -> Iterator[World]:
    with started_site(v16_template, "v16") as site:
        yield World(site, shared_instance)


def shift_of(chain: World, sales: int, at: datetime = MORNING) -> seed.Shift:
    with seed.at(chain.erpnext, datetime.combine(at.date(), datetime.min.time()) + timedelta(hours=20)):
        return seed.add_shift(chain.erpnext, BANDRA, CASHIER, at, [Sale(Decimal(100), gst=False)] * sales)


def cancel(chain: World, doctype: str, name: str) -> None:
    session = chain.erpnext.session(ROBOT)
    with chain.erpnext.site.transaction():
        session.cancel(session.load(doctype, name))


def mode(chain: World, kind: str) -> None:
    change(chain.erpnext, "POS Settings", "POS Settings", invoice_type=kind)


def opening(chain: World, name: str) -> dict[str, Any]:
    (found,) = chain.erpnext.documents("POS Opening Entry", name=name)
    return found


def test_a_shift_sold_with_pos_invoices_is_never_closed_without_them_after_the_mode_was_switched(
    chain: World,
) -> None:
    shift = shift_of(chain, 3)
    assert chain.close("closed_shifts").success
    (first,) = submitted_closings(chain.erpnext, shift.opening)
    mode(chain, "Sales Invoice")
    cancel(chain, "POS Closing Entry", first["name"])
    night = chain.close("closed_shifts")
    assert not night.success
    assert submitted_closings(chain.erpnext, shift.opening) == []  # above all no empty one
    (row,) = night.exceptions("closed_shifts")
    assert row["what"] == "shift of another POS mode"
    # What the row says, done.
    cancel(chain, "POS Opening Entry", shift.opening)
    mode(chain, "POS Invoice")
    again = shift_of(chain, 0)
    assert (
        opening(chain, again.opening)["period_start_date"]
        == opening(chain, shift.opening)["period_start_date"]
    )
    assert chain.close("closed_shifts").success
    assert unconsolidated(chain.erpnext, shift.invoices) == []
    (closing,) = submitted_closings(chain.erpnext, again.opening)
    assert exact(closing["grand_total"]) == Decimal(300)


def test_shifts_of_one_day_that_sold_documents_of_either_kind_are_closed_with_theirs(chain: World) -> None:
    """A till made Sales Invoices in the morning; the mode was switched while no shift was open."""
    mode(chain, "Sales Invoice")
    first = shift_of(chain, 2)
    cancel_is_refused = pytest.raises(SiteError)
    with cancel_is_refused:
        cancel(chain, "POS Opening Entry", first.opening)
    assert chain.close("closed_shifts").success
    mode(chain, "POS Invoice")
    second = shift_of(chain, 3, MORNING + timedelta(hours=5))
    night = chain.close("closed_shifts")
    assert night.success
    (one,), (other,) = (submitted_closings(chain.erpnext, shift.opening) for shift in (first, second))
    assert (len(one["sales_invoices"]), len(one["pos_invoices"])) == (2, 0)
    assert (len(other["sales_invoices"]), len(other["pos_invoices"])) == (0, 3)


def test_a_closing_whose_cancellation_was_half_carried_out_is_restarted_and_booked(chain: World) -> None:
    """ERPNext refuses to cancel a closing of ten rows, and carries it out all the same but for the closing itself."""
    shift = shift_of(chain, 12)
    assert chain.close("closed_shifts").success
    (closing,) = submitted_closings(chain.erpnext, shift.opening)
    with pytest.raises(SiteError):
        cancel(chain, "POS Closing Entry", closing["name"])
    chain.erpnext.run_background_jobs()
    assert opening(chain, shift.opening)["status"] == "Open"
    assert len(unconsolidated(chain.erpnext, shift.invoices)) == 12
    night = chain.close("closed_shifts")
    assert night.success
    assert night.outcome("closed_shifts")["exceptions"] == []
    (again,) = submitted_closings(chain.erpnext, shift.opening)
    assert (again["name"], again["status"]) == (closing["name"], "Submitted")
    assert unconsolidated(chain.erpnext, shift.invoices) == []
    chain.erpnext.requests.reset()
    assert chain.close("closed_shifts").success
    assert chain.erpnext.requests.writes == 0
