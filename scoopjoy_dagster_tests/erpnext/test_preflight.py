"""`scoopjoy check`, the site's part: each thing that would stop the close is one line that says what to do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest

from scoopjoy_dagster.erpnext.client import KEY_FIELD, Client
from scoopjoy_dagster.erpnext.desk_schema import FORM_SCRIPT
from scoopjoy_dagster.erpnext.entry_fields import EntryFields
from scoopjoy_dagster.erpnext.preflight import Check, check_site
from scoopjoy_dagster.erpnext.removal import read_removal, remove
from scoopjoy_dagster.erpnext.site import BookSettings, Site
from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext
from scoopjoy_dagster_tests.world import (
    DAY,
    FRANCHISES,
    NOW,
    THANE,
    World,
    change,
    dollar_debtors,
    insert,
    session_of,
)

ROLES = ("System Manager", "Accounts Manager", "Sales Manager")


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
    _of_the_nights(chain_site)
    change(chain_site, "DocType", "Batch Run Request", permissions=[])
    (line,) = [one for one in checks(chain_site) if one.what == "batch run desk"]
    assert line.level == "warning"
    assert "the user may not: read Batch Run Request, write Batch Run Request" in line.message
    assert line.action == "Give it the role Accounts Manager, or set SCOOPJOY_BATCH_RUN_DESK=off."


def _with_roles(site: SandboxERPNext, *roles: str) -> None:
    change(site, "User", "robot@scoopjoy.example", roles=[{"role": role} for role in roles])


def _of_the_nights(site: SandboxERPNext) -> None:
    """The integration user has the documented roles only."""
    _with_roles(site, "Accounts Manager", "Sales Manager")


def test_without_a_system_manager_the_desk_is_judged_by_its_use(chain_site: SandboxERPNext) -> None:
    _of_the_nights(chain_site)
    (line,) = [one for one in checks(chain_site) if one.what == "batch run desk"]
    assert (line.level, line.message) == (
        "ok",
        "installed; only a System Manager may see whether it is up to date",
    )


def _without_report(site: SandboxERPNext) -> None:
    session = site.session()
    with site.site.transaction():
        session.delete("Report", "Royalty Shares")


def test_a_missing_report_is_a_warning_and_one_of_the_site_with_its_name_is_none(
    chain_site: SandboxERPNext,
) -> None:
    _without_report(chain_site)
    (line,) = problems(checks(chain_site))
    assert (line.level, line.what, line.message) == ("warning", "Report Royalty Shares", "it is not there")
    assert line.action == "Run `scoopjoy setup`."
    report = {"report_type": "Report Builder", "is_standard": "No", "json": "{}"}
    insert(chain_site, "Report", report_name="Royalty Shares", ref_doctype="Sales Invoice", **report)
    assert problems(checks(chain_site)) == []


def test_a_sale_that_would_show_something_else_is_an_error(chain_site: SandboxERPNext) -> None:
    change(chain_site, "Custom Field", "Sales Invoice-custom_sale_royalty_share", options="sum(set())")
    (line,) = problems(checks(chain_site))
    assert (line.level, line.what, line.needs) == ("error", "custom fields", "setup")
    assert "its expression is not the one of this version" in line.message


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


def lines_of(site: SandboxERPNext, what: str, **settings: Any) -> list[Check]:
    return [line for line in checks(site, books=BookSettings(**settings)) if line.what == what]


def test_a_franchises_account_in_another_currency_is_named_once_for_all_that_have_it(
    chain_site: SandboxERPNext,
) -> None:
    account = dollar_debtors(chain_site)
    of_company = [{"company": "ScoopJoy", "account": account}]
    change(chain_site, "Customer Group", "Owned Outlets", accounts=of_company)
    change(chain_site, "Customer", THANE, accounts=of_company)
    (line,) = problems(checks(chain_site))
    assert (line.level, line.what) == ("error", "accounts")
    assert line.message.startswith(
        "Franchise Hebbal, Franchise Indiranagar, Franchise Koramangala, Franchise Thane: "
    )
    assert "is in USD, the company's books are in INR" in line.message
    assert lines_of(chain_site, "accounts", receivable_account="Debtors - SJ")[0].level == "ok"


def test_a_mandatory_dimension_is_named_until_the_setting_fills_it(chain_site: SandboxERPNext) -> None:
    insert(
        chain_site,
        "Accounting Dimension",
        document_type="Branch",
        dimension_defaults=[{"company": "ScoopJoy", "mandatory_for_pl": 1}],
    )
    (line,) = problems(checks(chain_site))
    assert line.level == "error"
    assert "the Accounting Dimension 'Branch' is mandatory in 'ScoopJoy'" in line.message
    assert "SCOOPJOY_ENTRY_FIELDS to branch=<Branch>" in line.message
    filled = BookSettings(entry_fields=EntryFields.parse("branch=Pune"))
    assert problems(checks(chain_site, books=filled)) == []


@pytest.mark.parametrize(
    ("doctype", "written"),
    [("Journal Entry", "Journal Entry.source_of"), ("Journal Entry Account", "source_of")],
)
def test_a_mandatory_custom_field_is_named_until_the_setting_fills_it(
    chain_site: SandboxERPNext, doctype: str, written: str
) -> None:
    insert(
        chain_site,
        "Custom Field",
        dt=doctype,
        fieldname="source_of",
        label="Source",
        fieldtype="Data",
        reqd=1,
    )
    (line,) = problems(checks(chain_site))
    assert (line.level, line.what) == ("error", "entry fields")
    assert line.message == f"the field Source is mandatory in {doctype}, and nothing fills it"
    assert f"SCOOPJOY_ENTRY_FIELDS to {written}=<value>" in line.action
    filled = BookSettings(entry_fields=EntryFields.parse(f"{written}=close"))
    assert problems(checks(chain_site, books=filled)) == []


def test_a_mandatory_field_with_a_default_needs_nothing(chain_site: SandboxERPNext) -> None:
    insert(
        chain_site,
        "Custom Field",
        dt="Journal Entry",
        fieldname="source_of",
        label="Source",
        fieldtype="Data",
        reqd=1,
        default="people",
    )
    assert problems(checks(chain_site)) == []


def test_a_field_of_the_setting_that_erpnext_does_not_have_is_named(chain_site: SandboxERPNext) -> None:
    (line,) = problems(checks(chain_site, books=BookSettings(entry_fields=EntryFields.parse("projekt=P1"))))
    assert (line.level, line.what) == ("error", "entry fields")
    assert line.message == "Journal Entry Account has no field projekt. Did you mean 'project'?"


@pytest.mark.parametrize("doctype", ["Journal Entry", "POS Closing Entry"])
def test_an_active_workflow_on_what_the_close_submits_is_named(
    chain_site: SandboxERPNext, doctype: str
) -> None:
    for state in ("Waiting", "Approved"):
        insert(chain_site, "Workflow State", workflow_state_name=state)
    insert(chain_site, "Workflow Action Master", workflow_action_name="Approve")
    flow = {
        "document_type": doctype,
        "is_active": 1,
        "states": [
            {"state": "Waiting", "doc_status": "0", "allow_edit": "Accounts User"},
            {"state": "Approved", "doc_status": "1", "allow_edit": "Accounts Manager"},
        ],
        "transitions": [
            {"state": "Waiting", "action": "Approve", "next_state": "Approved", "allowed": "Accounts Manager"}
        ],
    }
    insert(chain_site, "Workflow", workflow_name="Four Eyes", **flow)
    (line,) = problems(checks(chain_site))
    assert (line.level, line.what) == ("warning", "workflows")
    assert line.message.startswith(f"the Workflow 'Four Eyes' is active on {doctype}: ")
    change(chain_site, "Workflow", "Four Eyes", is_active=0)
    assert problems(checks(chain_site)) == []


def test_a_user_permission_is_one_line_whatever_stops_at_it(chain_site: SandboxERPNext) -> None:
    session = chain_site.session()
    values = {"user": "robot@scoopjoy.example", "allow": "Customer", "for_value": THANE}
    with chain_site.site.transaction():
        session.insert(session.new("User Permission", values))
    (line,) = problems(checks(chain_site))
    assert (line.level, line.what) == ("error", "user permissions")
    assert f"let it see only Customer {THANE}" in line.message


def test_a_rule_that_shows_only_what_is_its_own_is_named(chain_site: SandboxERPNext) -> None:
    with chain_site.site.transaction():
        chain_site.site.db.run(
            "UPDATE \"tabDocPerm\" SET if_owner = 1 WHERE parent = 'POS Opening Entry' AND role = 'Sales Manager'"
        )
    change(
        chain_site,
        "User",
        "robot@scoopjoy.example",
        roles=[{"role": "Accounts Manager"}, {"role": "Sales Manager"}],
    )
    (line,) = [one for one in checks(chain_site) if one.what == "user permissions"]
    assert (line.level, line.message) == (
        "error",
        "its roles show it only documents of its own: POS Opening Entry",
    )
    # Another of its roles shows it all of them.
    change(chain_site, "User", "robot@scoopjoy.example", roles=[{"role": role} for role in ROLES])
    (line,) = [one for one in checks(chain_site) if one.what == "user permissions"]
    assert line.level == "ok"


@pytest.mark.parametrize(
    ("roles", "missing"),
    [
        ((), "roles Sales Manager and Accounts Manager"),
        (("Accounts Manager",), "role Sales Manager"),
        (("Sales Manager",), "role Accounts Manager"),
        (("System Manager", "Sales Manager"), "role Accounts Manager"),
    ],
)
def test_a_missing_role_is_one_line_that_names_it(
    chain_site: SandboxERPNext, roles: tuple[str, ...], missing: str
) -> None:
    _with_roles(chain_site, *roles)
    (line,) = [one for one in checks(chain_site) if one.level == "error"]
    assert line.what == "permissions"
    assert line.action == f"In ERPNext, give the integration user the {missing}."
    assert ("submit Journal Entry" in line.message) == ("Accounts Manager" not in roles)
    assert ("submit POS Closing Entry" in line.message) == ("Sales Manager" not in roles)


@pytest.mark.parametrize("line", ["v15", "v16"])
@pytest.mark.parametrize("roles", [("System Manager",), ("Accounts Manager", "Sales Manager")])
def test_before_setup_one_line_says_to_run_it(line: str, roles: tuple[str, ...]) -> None:
    site = SandboxERPNext(":memory:", clock=lambda: NOW, line=line)
    seed.master_data(site)
    _with_roles(site, *{*roles, "Accounts Manager", "Sales Manager"})
    site.start()
    try:
        found = [one for one in problems(checks(site)) if one.what != "background workers"]
        (only,) = [one for one in found if one.level == "error"]
        assert only.needs == "setup"
        assert only.action.startswith("Run `scoopjoy setup`")
        assert [one for one in found if "setup" in one.action] == [only]
    finally:
        site.close()


def test_what_lost_against_another_writer_has_nothing_to_fix_and_what_passes_is_waited_for(
    chain_site: SandboxERPNext,
) -> None:
    for fault, advice in (("deadlock", "There is nothing to fix"), ("rate_limited", "Wait: ERPNext asks")):
        chain_site.faults.clear()
        chain_site.faults.add(fault, path="get_scheduler_status", times=None)
        (line,) = problems(checks(chain_site))
        assert line.what == "scheduler"
        assert line.action.startswith(advice), fault
        assert line.action.endswith("un `scoopjoy check` again.")


def test_a_day_outside_every_fiscal_year_is_named(chain_site: SandboxERPNext) -> None:
    far = DAY + timedelta(days=365 * 6)
    (line,) = problems(checks(chain_site, day=far))
    assert line.message == f"nothing can be posted for {far}: no active Fiscal Year covers {far}"
    assert "SCOOPJOY_LOCKED_DAYS" in line.action


def test_without_a_background_worker_the_line_asks_for_one(chain_site: SandboxERPNext) -> None:
    chain_site.settings.background_worker = False
    (line,) = problems(checks(chain_site))
    assert (line.level, line.what) == ("error", "background workers")
    assert "shifts with 10 invoices or more stay Queued" in line.message
    assert "bench doctor" in line.action


def test_whether_workers_run_is_said_to_be_unknown_to_the_documented_roles_and_a_queued_closing_is_named(
    chain: World,
) -> None:
    _of_the_nights(chain.erpnext)

    def line() -> Check:
        (one,) = [one for one in checks(chain.erpnext) if one.what == "background workers"]
        return one

    assert line().level == "warning"
    assert "only a System Manager may see" in line().message
    chain.erpnext.settings.background_worker = False
    chain.options = {"closing_deadline_s": 0.1}
    chain.shift(12)
    assert not chain.close("closed_shifts").success
    (closing,) = chain.erpnext.documents("POS Closing Entry")
    assert line().message == f"{closing['name']} waits to be consolidated in the background"
    assert "start ERPNext's background workers" in line().action


def test_a_check_that_cannot_be_made_does_not_end_the_others(chain_site: SandboxERPNext) -> None:
    chain_site.faults.add("html_500", path="get_scheduler_status", times=None)
    lines = checks(chain_site)
    (line,) = problems(lines)
    assert (line.level, line.what) == ("error", "scheduler")
    assert lines[-1].what == "franchises"
