"""Locks of the books as the site tells them: each of the four, and nothing that is none."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import pytest

from scoopjoy_dagster.accounting.locks import Locks
from scoopjoy_dagster.erpnext.errors import Rejected
from scoopjoy_dagster.erpnext.locks import read_locks
from scoopjoy_dagster.erpnext.site import BookSettings, Site
from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext
from scoopjoy_dagster_tests.world import DAY, change, insert, session_of

FIRST, LAST = date(2026, 11, 1), date(2026, 11, 30)


@pytest.fixture
def open_site(chain_site: SandboxERPNext) -> Iterator[Site]:
    with session_of(chain_site) as session:
        yield Site.open(session, BookSettings(company="ScoopJoy"))


def period(site: SandboxERPNext, *closed: tuple[str, int], company: str = "ScoopJoy") -> str:
    return insert(
        site,
        "Accounting Period",
        period_name="November",
        company=company,
        start_date=FIRST.isoformat(),
        end_date=LAST.isoformat(),
        closed_documents=[{"document_type": doctype, "closed": value} for doctype, value in closed],
    )


def closing_voucher(site: SandboxERPNext, end: date, *, docstatus: int = 1, company: str = "ScoopJoy") -> str:
    return insert(
        site,
        "Period Closing Voucher",
        company=company,
        fiscal_year="2026-2027",
        period_start_date="2026-04-01",
        period_end_date=end.isoformat(),
        closing_account_head="Royalty Income - SJ",
        remarks="closed",
        docstatus=docstatus,
    )


def test_open_books_have_years_and_no_lock(open_site: Site) -> None:
    locks = read_locks(open_site)
    assert (locks.frozen_upto, locks.closed_upto, locks.closed_periods) == (None, None, ())
    assert [(one.first, one.last) for one in locks.years] == [
        (date(year, 4, 1), date(year + 1, 3, 31)) for year in (2025, 2026, 2027)
    ]
    assert locks.reason(DAY) == ""


def test_books_frozen_up_to_a_day_are_locked_to_its_end(chain_site: SandboxERPNext, open_site: Site) -> None:
    chain_site.settings.frozen_upto = DAY
    locks = read_locks(open_site)
    assert locks.reason(DAY) == f"the books are frozen up to {DAY}"
    assert locks.reason(DAY + timedelta(days=1)) == ""


def test_an_accounting_period_closed_for_journal_entries_is_a_lock(
    chain_site: SandboxERPNext, open_site: Site
) -> None:
    name = period(chain_site, ("Sales Invoice", 1), ("Journal Entry", 1), ("POS Invoice", 1))
    locks = read_locks(open_site)
    assert [(one.name, one.first, one.last) for one in locks.closed_periods] == [(name, FIRST, LAST)]
    assert locks.reason(DAY) == f"the Accounting Period {name} is closed for Journal Entries"
    assert locks.first_open_day(DAY, LAST) is None
    assert locks.first_open_day(DAY, date(2026, 12, 5)) == date(2026, 12, 1)


@pytest.mark.parametrize(
    "closed",
    [
        [("Sales Invoice", 1)],
        [("Journal Entry", 0)],
        [("Sales Invoice", 1), ("Journal Entry", 0)],
    ],
    ids=["another DocType", "not closed", "only the other is closed"],
)
def test_a_period_that_takes_journal_entries_is_no_lock(
    chain_site: SandboxERPNext, open_site: Site, closed: list[tuple[str, int]]
) -> None:
    period(chain_site, *closed)
    assert read_locks(open_site).closed_periods == ()


@pytest.fixture
def other_company(chain_site: SandboxERPNext) -> str:
    return insert(
        chain_site, "Company", company_name="Other", abbr="OT", default_currency="INR", country="India"
    )


def test_locks_of_another_company_are_none_of_ours(
    chain_site: SandboxERPNext, open_site: Site, other_company: str
) -> None:
    period(chain_site, ("Journal Entry", 1), company=other_company)
    closing_voucher(chain_site, DAY, company=other_company)
    assert read_locks(open_site).reason(DAY) == ""


def test_the_last_submitted_period_closing_voucher_is_a_lock(
    chain_site: SandboxERPNext, open_site: Site
) -> None:
    closing_voucher(chain_site, date(2026, 9, 30))
    closing_voucher(chain_site, date(2026, 12, 31), docstatus=0)
    last = closing_voucher(chain_site, LAST)
    locks = read_locks(open_site)
    assert locks.closed_upto == LAST
    assert locks.reason(DAY) == f"the books are closed by a Period Closing Voucher up to {LAST}"
    seed.cancel_document(chain_site, "Period Closing Voucher", last)
    assert read_locks(open_site).closed_upto == date(2026, 9, 30)


def test_a_disabled_fiscal_year_leaves_its_days_without_one(
    chain_site: SandboxERPNext, open_site: Site
) -> None:
    change(chain_site, "Fiscal Year", "2026-2027", disabled=1)
    assert read_locks(open_site).reason(DAY) == f"no active Fiscal Year covers {DAY}"


def test_reading_the_locks_writes_nothing(chain_site: SandboxERPNext, open_site: Site) -> None:
    period(chain_site, ("Journal Entry", 1))
    closing_voucher(chain_site, LAST)
    chain_site.requests.reset()
    assert isinstance(read_locks(open_site), Locks)
    assert chain_site.requests.writes == 0


def test_a_user_who_may_not_read_them_is_told_so(chain_site: SandboxERPNext) -> None:
    with session_of(chain_site) as session:
        site = Site.open(session)
        change(
            chain_site,
            "User",
            chain_site.robot.user,
            roles=[{"role": "Sales Manager"}, {"role": "System Manager"}],
        )
        with pytest.raises(Rejected, match=r"list Accounting Period|read Accounts Settings|list Fiscal Year"):
            read_locks(site)
