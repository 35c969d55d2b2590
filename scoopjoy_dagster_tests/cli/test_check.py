"""`scoopjoy check`: one line for each thing that the close needs, exit code 3 when one of them is wrong."""

from __future__ import annotations

import pytest

from scoopjoy_dagster_tests.cli.conftest import Command
from scoopjoy_dagster_tests.cli.world import World


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


def test_a_missing_permission_is_an_error_line_that_names_it_and_the_roles(
    world: World, command: Command
) -> None:
    accountant = world.erpnext.credentials("accountant@scoopjoy.example")
    done = command("check", ERPNEXT_API_KEY=accountant.api_key, ERPNEXT_API_SECRET=accountant.api_secret)
    assert done.code == 3
    assert levels(done.out)["permissions"] == "error"
    assert "submit POS Closing Entry" in done.text
    assert "Sales Manager" in done.text
    assert levels(done.out)["PostgreSQL"] == "ok"
    assert accountant.api_secret not in done.text


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
