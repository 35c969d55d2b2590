"""`scoopjoy check`, the site's part: each thing that would stop the close is one line that says what to do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import pytest

from scoopjoy_dagster.erpnext.client import KEY_FIELD, Client
from scoopjoy_dagster.erpnext.desk_schema import FORM_SCRIPT
from scoopjoy_dagster.erpnext.preflight import Check, check_site
from scoopjoy_dagster.erpnext.removal import read_removal, remove
from scoopjoy_dagster.erpnext.site import BookSettings, Site
from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext
from scoopjoy_dagster_tests.world import DAY, FRANCHISES, change, insert, session_of


def checks(
    site: SandboxERPNext,
    *,
    user: str = "robot@scoopjoy.example",
    day: date = DAY,
    books: BookSettings | None = None,
    desk: bool = True,
) -> list[Check]:
    with session_of(site, user=user, attempts=1) as session:
        return list(check_site(Site.open(session, books), time_zone="Asia/Kolkata", day=day, desk=desk))


def problems(lines: list[Check]) -> list[Check]:
    return [line for line in lines if line.level != "ok"]


def test_a_site_that_is_right_has_only_ok_lines_and_is_not_written_to(chain_site: SandboxERPNext) -> None:
    chain_site.requests.reset()
    lines = checks(chain_site)
    assert problems(lines) == []
    assert chain_site.requests.writes == 0
    said = {line.what: line.message for line in lines}
    assert said["franchises"] == f"{len(FRANCHISES)} in Franchise and below; 1 without a rate of their own"
    assert said["accounts"] == "ScoopJoy: Debtors - SJ / Royalty Income - SJ, Main - SJ, INR"
    assert "15.45.4" in said["ERPNext"]
    assert said["batch run desk"] == "installed, and the user may write to it"


def _remove_desk(site: SandboxERPNext) -> None:
    with session_of(site) as session:
        client = Client(session)
        remove(client, read_removal(client, series=()), lambda _step: None)


def test_a_site_without_the_desk_is_warned_and_one_that_does_without_is_not(
    chain_site: SandboxERPNext,
) -> None:
    _remove_desk(chain_site)
    (line,) = problems(checks(chain_site))
    assert (line.level, line.what) == ("warning", "batch run desk")
    assert line.message == "not installed: runs do not appear in ERPNext, and nobody can start one there"
    assert line.action == "Run `scoopjoy setup` as a System Manager, or set SCOOPJOY_BATCH_RUN_DESK=off."
    assert [line.what for line in checks(chain_site, desk=False) if line.what == "batch run desk"] == []
    assert problems(checks(chain_site, desk=False)) == []


def test_a_desk_of_an_earlier_version_is_a_warning(chain_site: SandboxERPNext) -> None:
    change(chain_site, "Client Script", FORM_SCRIPT, script="// earlier")
    (line,) = problems(checks(chain_site))
    assert (line.level, line.what) == ("warning", "batch run desk")
    assert line.message.startswith("not up to date: change Client Script ScoopJoy Batch Run")


def test_a_user_that_may_not_write_the_desk_is_a_warning_that_says_what(chain_site: SandboxERPNext) -> None:
    change(
        chain_site,
        "User",
        "robot@scoopjoy.example",
        roles=[{"role": "Accounts User"}, {"role": "Sales Manager"}],
    )
    (line,) = [one for one in checks(chain_site) if one.what == "batch run desk"]
    assert line.level == "warning"
    assert "create Batch Run, write Batch Run, read Batch Run Request" in line.message
    assert line.action == "Give it the role Accounts Manager, or set SCOOPJOY_BATCH_RUN_DESK=off."


def test_without_a_system_manager_the_desk_is_judged_by_its_use(chain_site: SandboxERPNext) -> None:
    change(
        chain_site,
        "User",
        "robot@scoopjoy.example",
        roles=[{"role": "Accounts Manager"}, {"role": "Sales Manager"}],
    )
    (line,) = [one for one in checks(chain_site) if one.what == "batch run desk"]
    assert (line.level, line.message) == (
        "ok",
        "installed; only a System Manager may see whether it is up to date",
    )


def _freeze(site: SandboxERPNext) -> None:
    site.settings.frozen_upto = DAY


def _close_period(site: SandboxERPNext) -> None:
    insert(
        site,
        "Accounting Period",
        period_name="November",
        company="ScoopJoy",
        start_date="2026-11-01",
        end_date="2026-11-30",
        closed_documents=[{"document_type": "Journal Entry", "closed": 1}],
    )


def _stop_scheduler(site: SandboxERPNext) -> None:
    site.settings.scheduler_active = False


def _move_zone(site: SandboxERPNext) -> None:
    site.settings.time_zone = "UTC"


def _no_franchise(site: SandboxERPNext) -> None:
    for name in FRANCHISES:
        change(site, "Customer", name, customer_group="Commercial")


def _set(doctype: str, name: str, **values: object) -> Callable[[SandboxERPNext], None]:
    return lambda site: change(site, doctype, name, **values)


def _remove_key(site: SandboxERPNext) -> None:
    session = site.session()
    with site.site.transaction():
        session.delete("Custom Field", f"Journal Entry-{KEY_FIELD}")


def _foreign_account(site: SandboxERPNext) -> None:
    insert(site, "Company", company_name="Other", abbr="OT", default_currency="INR", country="India")
    insert(site, "Account", account_name="Income", company="Other", root_type="Income", is_group=1)
    insert(site, "Account", account_name="Royalty", company="Other", parent_account="Income - OT")


@pytest.mark.parametrize(
    ("spoil", "level", "what", "message"),
    [
        (
            _freeze,
            "error",
            "books open",
            "nothing can be posted for 2026-11-22: the books are frozen up to 2026-11-22",
        ),
        (_close_period, "error", "books open", "the Accounting Period"),
        (_stop_scheduler, "error", "scheduler", "refuses to close a shift with 10 invoices or more"),
        (_move_zone, "error", "time zone", "the site is in UTC, the business day in Asia/Kolkata"),
        (_remove_key, "error", "custom fields", "create Custom Field Journal Entry-custom_scoopjoy_key"),
        (_no_franchise, "warning", "franchises", "no enabled Customer is in Franchise or below"),
        (_set("Account", "Royalty Income - SJ", disabled=1), "error", "accounts", "is disabled"),
        (_set("Account", "Debtors - SJ", disabled=1), "error", "accounts", "'Debtors - SJ' is disabled"),
    ],
    ids=["frozen", "period", "scheduler", "zone", "key", "franchises", "income-disabled", "debtors-disabled"],
)
def test_what_is_wrong_on_the_site_is_one_line(
    chain_site: SandboxERPNext, spoil: Callable[[SandboxERPNext], None], level: str, what: str, message: str
) -> None:
    spoil(chain_site)
    (line,) = problems(checks(chain_site))
    assert (line.level, line.what) == (level, what)
    assert message in line.message


@pytest.mark.parametrize(
    ("books", "messages"),
    [
        (BookSettings(income_account="Royalties - SJ"), ["there is no Account 'Royalties - SJ' in ERPNext"]),
        (
            BookSettings(income_account="Direct Income - SJ"),
            ["'Direct Income - SJ' is a group and cannot be posted to"],
        ),
        (BookSettings(income_account="Debtors - SJ"), ["has root type Asset, not Income"]),
        (BookSettings(receivable_account="Cash - SJ"), ["is of type 'Cash', not Receivable"]),
        (
            BookSettings(receivable_account="Accounts Receivable - SJ"),
            ["is a group and cannot be posted to", "is of type 'none', not Receivable"],
        ),
        (BookSettings(cost_center="Nowhere - SJ"), ["there is no Cost Center 'Nowhere - SJ'"]),
        (BookSettings(cost_center="ScoopJoy - SJ"), ["is a group and cannot be posted to"]),
        (BookSettings(company="Scoop"), ["there is no Company 'Scoop' in ERPNext"]),
        (BookSettings(franchise_group="Outlets"), ["there is no Customer Group 'Outlets'"]),
    ],
)
def test_a_wrong_setting_is_named(
    chain_site: SandboxERPNext, books: BookSettings, messages: list[str]
) -> None:
    found = problems(checks(chain_site, books=books))
    text = "\n".join(line.message for line in found)
    for message in messages:
        assert message in text
    assert "SCOOPJOY_" in text + "".join(line.action for line in found)
    assert all(line.level == "error" for line in found)


def test_an_account_of_another_company_is_named(chain_site: SandboxERPNext) -> None:
    _foreign_account(chain_site)
    found = problems(
        checks(chain_site, books=BookSettings(company="ScoopJoy", income_account="Royalty - OT"))
    )
    assert [line.what for line in found] == ["accounts"]
    assert "belongs to the company 'Other', not 'ScoopJoy'" in found[0].message


def test_two_companies_and_none_chosen_is_one_sentence(chain_site: SandboxERPNext) -> None:
    _foreign_account(chain_site)
    text = "\n".join(line.message for line in problems(checks(chain_site)))
    assert "ERPNext has 2 companies (Other, ScoopJoy); set SCOOPJOY_COMPANY to one of them" in text


def test_a_missing_role_is_listed_by_what_it_forbids(chain_site: SandboxERPNext) -> None:
    change(
        chain_site,
        "User",
        "robot@scoopjoy.example",
        roles=[{"role": "System Manager"}, {"role": "Sales Manager"}],
    )
    found = {line.what: line for line in problems(checks(chain_site))}
    assert "submit Journal Entry" in found["permissions"].message
    assert "Accounts Manager" in found["permissions"].action
    assert all(line.level == "error" for line in found.values())


def test_a_user_without_roles_gets_lines_and_no_traceback(chain_site: SandboxERPNext) -> None:
    lines = checks(chain_site, user="limited@scoopjoy.example")
    assert {line.what for line in lines} >= {
        "login",
        "custom fields",
        "permissions",
        "accounts",
        "franchises",
    }
    assert any(line.level == "error" and "create Journal Entry" in line.message for line in lines)


def test_a_day_outside_every_fiscal_year_is_named(chain_site: SandboxERPNext) -> None:
    far = DAY + timedelta(days=365 * 6)
    (line,) = problems(checks(chain_site, day=far))
    assert line.message == f"nothing can be posted for {far}: no active Fiscal Year covers {far}"
    assert "SCOOPJOY_LOCKED_DAYS" in line.action


def test_a_check_that_cannot_be_made_does_not_end_the_others(chain_site: SandboxERPNext) -> None:
    chain_site.faults.add("html_500", path="get_scheduler_status", times=None)
    lines = checks(chain_site)
    (line,) = problems(lines)
    assert (line.level, line.what) == ("error", "scheduler")
    assert lines[-1].what == "franchises"
