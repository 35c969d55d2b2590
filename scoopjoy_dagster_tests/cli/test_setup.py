"""`scoopjoy setup`: says what it would do, does it once, and then leaves the site alone."""

from __future__ import annotations

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
        assert again.out == "Everything is installed.\n"
    assert bare_world.writes == books
    assert command("check", **bare_world.settings).code == 0


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
    assert "Custom Field" in done.sentences
    assert limited.api_secret not in done.text
    assert bare_world.writes == 0


def test_setup_on_an_unreachable_site_ends_with_a_sentence(world: World, command: Command) -> None:
    world.erpnext.stop()
    done = command("setup", ERPNEXT_ATTEMPTS="1")
    assert done.code == 3
    assert "no connection to http://127.0.0.1:" in done.sentences
