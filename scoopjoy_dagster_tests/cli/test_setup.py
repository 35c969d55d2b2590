"""`scoopjoy setup`: says what it would do, does it once, and then leaves the site alone."""

from __future__ import annotations

from unittest import mock

import pytest

from scoopjoy_dagster_tests.cli.conftest import Command
from scoopjoy_dagster_tests.cli.world import World


def test_setup_is_announced_done_once_and_then_leaves_the_site_alone(
    bare_world: World, command: Command
) -> None:
    announced = command("setup", "--dry-run", **bare_world.settings)
    assert announced.code == 0, announced.text
    would = [line.removeprefix("would ") for line in announced.out.splitlines() if line.startswith("would ")]
    assert any("custom_scoopjoy_key" in line for line in would)
    assert any("create DocType ScoopJoy Delivery" in line for line in would)
    assert any("create DocType Batch Run Step" in line for line in would)
    assert any("create Client Script ScoopJoy Batch Run" in line for line in would)
    assert any(
        "create Role ScoopJoy Report Reader: it is not there; give it in ERPNext" in line for line in would
    )
    assert bare_world.writes == 0

    done = command("setup", **bare_world.settings)
    assert done.code == 0, done.text
    did = [line.removeprefix("done: ") for line in done.out.splitlines() if line.startswith("done: ")]
    assert did == would
    assert bare_world.writes > 0
    (key,) = bare_world.erpnext.documents("Custom Field", dt="Journal Entry", fieldname="custom_scoopjoy_key")
    assert (key["unique"], key["no_copy"], key["read_only"]) == (1, 1, 1)

    books = bare_world.writes
    for args in (["setup"], ["setup", "--dry-run"]):
        again = command(*args, **bare_world.settings)
        assert again.code == 0
        assert again.text.startswith("Everything is installed. left out: Workspace ScoopJoy: only a user")
    assert bare_world.writes == books
    assert command("check", **bare_world.settings).code == 0


def test_a_site_that_names_a_role_of_its_own_is_given_none(bare_world: World, command: Command) -> None:
    done = command("setup", **bare_world.settings, SCOOPJOY_REPORT_ROLE="Sales Manager")
    assert done.code == 0, done.text
    assert "Role" not in {
        line.split()[2] for line in done.out.splitlines() if line.startswith("done: create")
    }
    assert bare_world.erpnext.documents("Role", name="ScoopJoy Report Reader") == []


def test_a_field_of_another_kind_in_the_way_ends_setup_with_a_sentence(
    bare_world: World, command: Command
) -> None:
    session = bare_world.erpnext.session()
    with bare_world.erpnext.site.transaction():
        values = {
            "dt": "Journal Entry",
            "fieldname": "custom_scoopjoy_key",
            "fieldtype": "Int",
            "label": "Key",
        }
        session.insert(session.new("Custom Field", values))
    done = command("setup", **bare_world.settings)
    assert done.code == 3
    assert "custom_scoopjoy_key" in done.sentences
    assert "a Data field is needed" in done.sentences


def test_setup_without_the_right_to_customise_ends_with_a_sentence(
    bare_world: World, command: Command
) -> None:
    limited = bare_world.erpnext.credentials("limited@scoopjoy.example")
    done = command(
        "setup",
        **{
            **bare_world.settings,
            "ERPNEXT_API_KEY": limited.api_key,
            "ERPNEXT_API_SECRET": limited.api_secret,
        },
    )
    assert done.code == 3
    assert "needs the role System Manager" in done.sentences
    assert "Custom Field" in done.sentences
    assert limited.api_secret not in done.text
    assert bare_world.writes == 0


def test_setup_on_an_unreachable_site_ends_with_a_sentence(world: World, command: Command) -> None:
    world.erpnext.stop()
    done = command("setup", ERPNEXT_ATTEMPTS="1")
    assert done.code == 3
    assert "no connection to http://127.0.0.1:" in done.sentences


def test_removal_is_announced_asked_for_done_once_and_says_what_is_kept(
    world: World, command: Command
) -> None:
    run = _insert(world, "Batch Run", run_date=world.last_day.isoformat())
    _insert(world, "Batch Run Request", batch_run=run, action="Run Pipeline Now", attempt=0)
    before = world.writes
    announced = command("setup", "--remove", "--dry-run")
    assert announced.code == 0, announced.text
    would = [line.removeprefix("would ") for line in announced.out.splitlines() if line.startswith("would ")]
    assert "delete 1 document of Batch Run" in would
    assert "delete DocType Batch Run Request" in would
    assert "Kept: our fields on Journal Entry" in announced.text

    unasked = command("setup", "--remove")  # nobody is there to be asked
    assert unasked.code == 3
    assert "add --yes if you mean it" in unasked.sentences
    assert world.writes == before

    done = command("setup", "--remove", "--yes")
    assert done.code == 0, done.text
    did = [line.removeprefix("done: ") for line in done.out.splitlines() if line.startswith("done: ")]
    assert did == would
    assert "Keys and digests there are the evidence" in done.text
    assert "Set SCOOPJOY_BATCH_RUN_DESK=off" in done.text
    assert world.erpnext.documents("DocType", name="Batch Run") == []

    after = world.writes
    again = command("setup", "--remove", "--yes")
    assert (again.code, again.out) == (
        0,
        "There is no Batch Run desk on the site, and no unused naming series or role of ours.\n",
    )
    assert world.writes == after

    assert command("setup").code == 0
    assert world.erpnext.documents("Batch Run") == []


def _insert(world: World, doctype: str, **values: object) -> str:
    session = world.erpnext.session()
    with world.erpnext.site.transaction():
        return session.insert(session.new(doctype, values)).name


@pytest.mark.parametrize(("answer", "code", "left"), [("y", 0, 0), ("n", 130, 1)])
def test_removal_asks_a_person_and_does_as_told(
    world: World, command: Command, answer: str, code: int, left: int
) -> None:
    with (
        mock.patch("sys.stdin.isatty", return_value=True),
        mock.patch("click.termui.visible_prompt_func", return_value=answer),
    ):
        done = command("setup", "--remove")
    assert done.code == code
    assert "would delete DocType Batch Run" in done.text
    assert len(world.erpnext.documents("DocType", name="Batch Run")) == left


def test_yes_without_remove_is_a_sentence(command: Command) -> None:
    done = command("setup", "--yes")
    assert done.code == 3
    assert "--yes goes with --remove" in done.sentences
