"""What a day costs in requests: a fixed number, whatever the number of franchises."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from scoopjoy_dagster.accounting.policy import RoyaltyPolicy
from scoopjoy_dagster.accounting.totals import CONTROL_TOTALS
from scoopjoy_dagster.assets import closed_shifts, day_facts, invoices, royalties
from scoopjoy_dagster.checks.royalties import Figures
from scoopjoy_dagster.erpnext.control_figures import shift_figures
from scoopjoy_dagster.erpnext.pos import Patience
from scoopjoy_dagster.erpnext.site import BookSettings, Site
from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext
from scoopjoy_dagster.sandbox.hq import SandboxHQ
from scoopjoy_dagster.sandbox.mail import MailSink
from scoopjoy_dagster_tests.benchmarks.closed_days import ClosedDays, site_with
from scoopjoy_dagster_tests.world import DAY, World, build_template, session_of, started_site

MOST_READS = {"v15": 32, "v16": 36}
"""Requests of a run for a window of days that are right, by line of ERPNext: the five assets, their control totals, which read for
themselves, and what the site is."""

FOR_MORE_FRANCHISES = 12
"""Requests that 200 franchises more, with two sales each, cost `royalties` and `invoices` on the first night of a day."""

BEHIND_CONTROL_TOTALS = (
    *("POS Opening Entry", "POS Closing Entry", "POS Invoice", "Sales Invoice", "Customer"),
    *("Journal Entry", "GL Entry", "ScoopJoy Delivery"),
)


def lists(erpnext: SandboxERPNext) -> Counter[str]:
    """The requests since the last reset, by the DocType that they are about."""
    return Counter(one.doctype or one.path for one in erpnext.requests.entries)


@pytest.fixture(scope="module", params=["v15", "v16"])
def template(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A line of ERPNext, and the chain on it."""
    path = tmp_path_factory.mktemp(request.param) / "site.db"
    build_template(path, request.param)
    return request.param, path


@pytest.fixture
def everything(
    template: tuple[str, Path],
    shared_instance: dg.DagsterInstance,
    headquarters: SandboxHQ,
    mail_sink: MailSink,
) -> Iterator[World]:
    """The chain on that line, with headquarters and mails to those who have the role: two requests more."""
    line, path = template
    with started_site(path, line) as site:
        yield World(site, shared_instance, headquarters, mail_sink, mail_options={"report_recipients": []})


@pytest.fixture
def done_day(everything: World) -> World:
    everything.a_day()
    everything.shift(3)
    assert everything.close().success
    everything.erpnext.requests.reset()
    return everything


def test_a_re_run_of_a_done_day_writes_nothing_and_reads_a_fixed_number_of_times(
    done_day: World, template: tuple[str, Path]
) -> None:
    again = done_day.close()
    assert again.success
    asked = {one.check_name for one in again.result.get_asset_check_evaluations() if one.passed}
    assert asked == {one.name for one in CONTROL_TOTALS}
    assert done_day.erpnext.requests.writes == 0
    assert len(done_day.erpnext.requests.entries) <= MOST_READS[template[0]], lists(done_day.erpnext)

    # What an asset has read proves nothing about it: each list behind a control total is asked for once more.
    asked_for = lists(done_day.erpnext)
    assert {one for one in BEHIND_CONTROL_TOTALS if asked_for[one] < 2} == set()


def test_a_first_night_needs_few_requests_more_for_many_franchises_more(everything: World) -> None:
    """The shares go in with the entries: what grows are the batches of entries and statements, and the pages of sales."""

    def first_night(day: date, franchises: int) -> int:
        for number in range(franchises):
            everything.invoice(f"Outlet {number}", "100", day)
            everything.invoice(f"Outlet {number}", "33.33", day)
        everything.erpnext.requests.reset()
        assert everything.close("royalties", "invoices", day=day).success
        return len(everything.erpnext.requests.entries)

    for number in range(300):
        seed.add_franchise(everything.erpnext, f"Outlet {number}", rate=5)
    few = first_night(DAY - timedelta(days=1), 100)
    many = first_night(DAY, 300)
    assert many - few <= FOR_MORE_FRANCHISES


DAYS = 31
LAST = date(2026, 11, 22)


@pytest.fixture(scope="module", params=[10, 100, 1000])
def closed_month(request: pytest.FixtureRequest) -> Iterator[SandboxERPNext]:
    """A month of closed days of so many franchises."""
    closed = ClosedDays(LAST - timedelta(days=DAYS - 1), DAYS, request.param, 1)
    with site_with(closed) as erpnext:
        yield erpnext


def planning(erpnext: SandboxERPNext, *, day_ends_at: time = time.min) -> dict[str, int]:
    """The requests with which each asset reads and plans a day, and those of the control totals' figures."""
    policy = RoyaltyPolicy()
    now = datetime.combine(LAST + timedelta(days=1), datetime.min.time())
    spent: dict[str, int] = {}
    with session_of(erpnext) as session:
        site = Site.open(session, BookSettings(day_ends_at=day_ends_at))

        def count(name: str, work: Callable[[], Any]) -> Any:
            before = session.traffic.requests
            found = work()
            spent[name] = session.traffic.requests - before
            return found

        count(
            "closed_shifts",
            lambda: closed_shifts.read_shifts(site, LAST, now).plan(LAST, now, Patience().quiet),
        )
        books = site.books()
        plan = count("royalties", lambda: royalties.read_day(site, books, policy, LAST))
        count("invoices", lambda: invoices.read_statements(site, plan))
        count("facts", lambda: day_facts.read_day(site, policy, LAST))
        control = site.for_control_totals()
        figures = Figures(control, policy, LAST)
        count("control totals", lambda: [ask() for ask in figures.questions().values()])
        count("shifts", lambda: shift_figures(control, LAST))
        assert session.traffic.writes == 0
    return spent


@pytest.mark.parametrize(
    ("day_ends_at", "royalties", "totals"),
    [
        (time(0), 5, 8),
        # Two more: the POS Invoices and the Sales Invoices of the hours before the end of the day.
        (time(3), 7, 12),
    ],
    ids=["a day that ends at midnight", "a day that ends at three"],
)
def test_a_day_costs_the_same_number_of_lists_whatever_its_franchises(
    closed_month: SandboxERPNext,
    day_ends_at: time,
    royalties: int,
    totals: int,
) -> None:
    found = planning(closed_month, day_ends_at=day_ends_at)
    # The same numbers for 10, 100 and 1,000 franchises: this test runs with each.
    wanted = {
        "closed_shifts": 4,
        "royalties": royalties,
        "invoices": 1,
        "facts": 1,
        "control totals": totals,
        "shifts": 3,
    }
    assert found == wanted
