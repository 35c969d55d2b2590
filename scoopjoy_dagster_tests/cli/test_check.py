"""`scoopjoy check`: one line for each thing that the close needs, exit code 3 when one of them is wrong."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest

from scoopjoy_dagster_tests.cli.conftest import Command
from scoopjoy_dagster_tests.cli.world import World
from scoopjoy_dagster_tests.world import insert


def levels(text: str) -> dict[str, str]:
    """By what is checked, the level of its line."""
    lines = [line.split(":")[0].split(None, 1) for line in text.splitlines()]
    return {line[1]: line[0] for line in lines if len(line) == 2 and line[0] in {"ok", "warning", "error"}}


def test_a_world_that_is_right_has_only_ok_lines_and_is_not_written_to(
    world: World, command: Command
) -> None:
    done = command("check")
    assert done.code == 0, done.text
    found = levels(done.out)
    assert set(found.values()) == {"ok"}
    assert {"ERPNext", "login", "time zone", "custom fields", "permissions", "accounts"} <= found.keys()
    assert {"mail", "headquarters", "PostgreSQL"} <= found.keys()
    assert world.writes == 0
    assert world.recipients() == []
    assert world.headquarters.attempts == []


@pytest.mark.parametrize(
    ("user", "roles"),
    [
        ("accountant@scoopjoy.example", "role Sales Manager."),
        ("limited@scoopjoy.example", "roles Sales Manager and Accounts Manager."),
    ],
)
def test_a_missing_role_is_the_one_error_line_and_names_what_it_forbids_and_the_roles(
    world: World, command: Command, user: str, roles: str
) -> None:
    keys = world.erpnext.credentials(user)
    done = command("check", ERPNEXT_API_KEY=keys.api_key, ERPNEXT_API_SECRET=keys.api_secret)
    assert done.code == 3
    assert [what for what, level in levels(done.out).items() if level == "error"] == ["permissions"]
    assert "submit POS Closing Entry" in done.text
    assert f"In ERPNext, give the integration user the {roles}" in done.text
    assert levels(done.out)["PostgreSQL"] == "ok"
    assert keys.api_secret not in done.text
    assert "Next: scoopjoy check" in done.out  # and not setup, which would not help


def test_a_site_without_our_fields_is_told_to_run_setup(bare_world: World, command: Command) -> None:
    done = command("check", **bare_world.settings)
    assert done.code == 3
    assert levels(done.out)["custom fields"] == "error"
    assert "scoopjoy setup" in done.text


def test_an_unreachable_erpnext_is_one_error_line_and_the_rest_is_still_checked(
    world: World, command: Command
) -> None:
    world.erpnext.stop()
    done = command("check", ERPNEXT_ATTEMPTS="1")
    assert done.code == 3
    found = levels(done.out)
    assert found["ERPNext"] == "error"
    assert found["mail"] == found["headquarters"] == found["PostgreSQL"] == "ok"
    assert "no connection to http://127.0.0.1:" in done.text


def test_a_wrong_key_is_one_error_line_that_does_not_show_it(world: World, command: Command) -> None:
    done = command("check", ERPNEXT_API_SECRET="not-the-one")
    assert done.code == 3
    assert levels(done.out)["ERPNext"] == "error"
    assert "ERPNEXT_API_SECRET" in done.text
    assert "not-the-one" not in done.text


@pytest.mark.timeout(120)
def test_mail_headquarters_and_postgresql_out_of_reach_are_error_lines(
    world: World, command: Command
) -> None:
    world.mail.down = True
    world.headquarters.stop()
    done = command("check", SCOOPJOY_POSTGRES_URL="postgresql://robot:sentinel-password@127.0.0.1:9/dagster")
    assert done.code == 3
    found = levels(done.out)
    assert found["ERPNext"] == "ok"
    assert found["mail"] == found["headquarters"] == found["PostgreSQL"] == "error"
    assert "sentinel-password" not in done.text


def test_no_mail_server_and_no_headquarters_are_warnings_and_no_errors(
    world: World, command: Command
) -> None:
    done = command("check", SMTP_HOST=None, SCOOPJOY_HQ_URL=None)
    assert done.code == 0, done.text
    assert levels(done.out)["mail"] == levels(done.out)["headquarters"] == "warning"


def test_frozen_books_and_a_wrong_time_zone_are_errors(world: World, command: Command) -> None:
    world.erpnext.settings.frozen_upto = world.last_day
    world.erpnext.settings.time_zone = "UTC"
    done = command("check", "--date", world.last_day.isoformat())
    assert done.code == 3
    assert levels(done.out)["books open"] == levels(done.out)["time zone"] == "error"


def old_entry(world: World, customer: str) -> str:
    """A royalty entry as the pipeline inside Frappe posted it: our remark, no key, the day after the sales."""
    day = (world.go_live + timedelta(days=1)).isoformat()
    cost_center = {"cost_center": "Main - SJ"}
    return insert(
        world.erpnext,
        "Journal Entry",
        voucher_type="Journal Entry",
        company="ScoopJoy",
        posting_date=day,
        user_remark=f"Royalty for {customer} on {day}",
        accounts=[
            {
                "account": "Debtors - SJ",
                "party_type": "Customer",
                "party": customer,
                "debit_in_account_currency": 100,
                **cost_center,
            },
            {"account": "Royalty Income - SJ", "credit_in_account_currency": 100, **cost_center},
        ],
        docstatus=1,
    )


@pytest.mark.parametrize("installed", [True, False], ids=["after setup", "before setup"])
def test_royalties_of_an_older_pipeline_on_our_days_are_named(
    world: World, bare_world: World, command: Command, installed: bool
) -> None:
    site = world if installed else bare_world
    name = old_entry(site, "Franchise Thane")
    done = command("check", **site.settings)
    assert f"1 royalty entry on {site.go_live + timedelta(days=1)} " in done.text
    assert f"({name})" in done.text
    assert levels(done.out)["other royalties"] == "warning"
    # Without our field nobody can tell whose it is: so nothing is to be cancelled yet.
    assert ("Cancel in ERPNext what charges" in done.text) == installed
    later = command(
        "check", **{**site.settings, "SCOOPJOY_GO_LIVE": (site.go_live + timedelta(days=2)).isoformat()}
    )
    assert levels(later.out)["other royalties"] == "ok"


def test_before_setup_they_are_named_and_nobody_is_told_to_cancel_them(
    bare_world: World, command: Command
) -> None:
    name = old_entry(bare_world, "Franchise Thane")
    done = command("check", **bare_world.settings)
    assert f"1 royalty entry on {bare_world.go_live + timedelta(days=1)} ({name}) may be ours" in done.text
    assert levels(done.out)["other royalties"] == "warning"
    assert "cancel" not in done.text


def test_while_our_key_field_is_missing_our_entries_are_not_to_be_cancelled(
    world: World, command: Command
) -> None:
    assert command("close", "--date", world.go_live.isoformat()).code in {0, 1}
    session = world.erpnext.session()
    with world.erpnext.site.transaction():
        session.delete("Custom Field", "Journal Entry-custom_scoopjoy_key")
    done = command("check")
    assert levels(done.out)["custom fields"] == "error"
    assert "may be ours: nobody can tell while our custom fields are not complete" in done.text
    assert "cancel" not in done.text
    assert "SCOOPJOY_GO_LIVE" not in done.text
    # The field made anew holds what it held: the entries are ours again.
    assert command("setup").code == 0
    assert levels(command("check").out)["other royalties"] == "ok"


def test_the_page_for_those_who_change_over_shows_what_the_check_says(world: World, command: Command) -> None:
    def shape(text: str) -> str:
        plain = re.sub(r"\d{4}-\d\d-\d\d", "DAY", re.sub(r"ACC-JV-\d+-\d+", "ENTRY", text))
        return " ".join(plain.split())

    page = Path(__file__).parents[2] / "docs" / "from-the-frappe-pipeline.md"
    shown = shape(page.read_text(encoding="utf-8"))

    def line() -> str:
        lines = command("check").out.splitlines()
        (at,) = [number for number, one in enumerate(lines) if " other royalties: " in one]
        more = lines[at + 1].lstrip()
        return shape(lines[at] + (f" {more}" if more.startswith("->") else ""))

    assert line() in shown
    old_entry(world, "Franchise Thane")
    assert "-> Cancel in ERPNext what charges" in line()
    assert line() in shown


def test_sales_invoices_that_bill_the_royalty_itself_are_found_by_the_account_they_book(
    world: World, command: Command
) -> None:
    def bill(customer: str, account: str) -> str:
        item = {"item_code": "SJ-VAN-500", "qty": 1, "rate": 100, "income_account": account}
        return insert(
            world.erpnext,
            "Sales Invoice",
            company="ScoopJoy",
            customer=customer,
            set_posting_time=1,
            posting_date=world.go_live.isoformat(),
            items=[item],
            docstatus=1,
        )

    bill("Franchise Thane", "Sales - SJ")
    assert levels(command("check").out)["other royalties"] == "ok"
    name = bill("Franchise Thane", "Royalty Income - SJ")
    done = command("check")
    assert levels(done.out)["other royalties"] == "warning"
    assert "1 Sales Invoice bills franchises on Royalty Income - SJ" in done.text
    assert name in done.text


def test_our_own_entries_are_not_taken_for_those_of_an_older_pipeline(world: World, command: Command) -> None:
    assert command("close", "--date", world.go_live.isoformat()).code in {0, 1}
    assert levels(command("check").out)["other royalties"] == "ok"


def test_a_home_without_dagster_s_settings_is_an_error_line(command: Command, tmp_path: Path) -> None:
    """Where Dagster's services run on SQLite, without a queue, retries and monitoring, nothing else says so."""
    done = command("check", DAGSTER_HOME=str(tmp_path))
    assert done.code != 0
    assert f"Dagster: DAGSTER_HOME is {tmp_path}, where no dagster.yaml is" in " ".join(done.text.split())
    (tmp_path / "dagster.yaml").write_text("{}", encoding="utf-8")
    assert "Dagster: DAGSTER_HOME" not in command("check", DAGSTER_HOME=str(tmp_path)).text


def test_where_nobody_has_the_role_of_the_readers_the_check_says_who_gets_nothing_and_what_to_do(
    bare_world: World, command: Command
) -> None:
    """As it is after an upgrade: setup makes the role, and gives it to nobody."""
    assert command("setup", **bare_world.settings).code == 0
    done = command("check", **bare_world.settings)
    assert done.code == 0, done.text
    assert levels(done.out)["recipients of reports"] == "warning"
    assert "no enabled user has the role ScoopJoy Report Reader: nobody gets reports" in done.text
    assert "Give the role (`scoopjoy setup` makes it) to those who are to get them in ERPNext" in done.text
    before = command("check", **bare_world.settings, SCOOPJOY_REPORT_ROLE="Sales Manager")
    assert levels(before.out)["recipients of reports"] == "ok"
