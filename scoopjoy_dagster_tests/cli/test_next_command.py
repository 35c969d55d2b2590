"""`scoopjoy check` ends with the command to type next, and that is the right one for what was found."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from scoopjoy_dagster.cli.next_command import Days, next_command
from scoopjoy_dagster.erpnext.preflight import Check
from scoopjoy_dagster_tests.cli.conftest import Command
from scoopjoy_dagster_tests.cli.world import World

GO_LIVE = date(2026, 3, 1)
OK = Check("ok", "login", "as robot")
WARNING = Check("warning", "mail", "SMTP_HOST is empty")
FIELDS = Check("error", "custom fields", "they are missing", needs="setup")
ROLE = Check("error", "permissions", "the user may not", "Give it the roles.", needs="roles")
OTHERS = Check("warning", "other royalties", "3 royalty entries on 2026-03-01 are not ours")
ACCOUNTS = Check("error", "accounts", "there is no Account")


def days(ended: int, *settled: int) -> Days:
    """So many days have ended since go-live; these of them, counted from 0, are settled."""
    return Days(
        GO_LIVE,
        GO_LIVE + timedelta(days=ended - 1),
        {GO_LIVE + timedelta(days=offset) for offset in settled},
    )


@pytest.mark.parametrize(
    ("checks", "state", "begins"),
    [
        ([OK, FIELDS, ACCOUNTS], days(3), "scoopjoy setup --dry-run "),
        ([OK, ROLE], days(3), "scoopjoy check   (again, "),
        ([OK, ACCOUNTS], days(3), "scoopjoy check   (again, when the line marked error above is fixed)"),
        (
            [ACCOUNTS, ACCOUNTS],
            days(3),
            "scoopjoy check   (again, when the 2 lines marked error above are fixed)",
        ),
        (
            [OK, WARNING],
            days(0),
            "scoopjoy dev   (serves the UI and the schedule; 2026-03-01, the first day, ",
        ),
        ([OK], days(3), "scoopjoy close --date 2026-03-01 --dry-run "),
        ([OTHERS], days(3), "scoopjoy check   (again, when no day from go-live on has royalties of another"),
        ([OTHERS], days(3, 0, 1), "scoopjoy close --date 2026-03-03 "),
        ([OK], days(3, 0, 1), "scoopjoy close --date 2026-03-03 "),
        ([OK], days(4, 1), "scoopjoy backfill --from 2026-03-01 --to 2026-03-04   (3 days are open)"),
        ([OK], days(3, 0, 1, 2), "scoopjoy dev   (every day from 2026-03-01 to 2026-03-03 is closed"),
    ],
)
def test_the_next_command_follows_from_what_was_found(checks: list[Check], state: Days, begins: str) -> None:
    assert next_command(checks, state).startswith(begins)


def test_it_is_called_with_the_same_settings_again() -> None:
    assert next_command([OK], days(1), "scoopjoy --env-file 'my .env'").startswith(
        "scoopjoy --env-file 'my .env' close --date 2026-03-01"
    )


def following(out: str) -> str:
    """What the check says is next; it is the last line."""
    last = out.rstrip().splitlines()[-1]
    assert last.startswith("Next: scoopjoy ")
    return last.removeprefix("Next: ")


@pytest.mark.timeout(300)
def test_each_next_command_leads_to_the_next_rung(
    bare_world: World, command: Command, tmp_path: Path
) -> None:
    """From a bare site to a site in operation by doing what the check says, a record of its own beside it."""
    settings: dict[str, str | None] = {
        **bare_world.settings,
        "SCOOPJOY_DIRECTORY": str(tmp_path),
        "SCOOPJOY_POSTGRES_URL": None,
        "SCOOPJOY_REPORT_ROLE": "Sales Manager",  # the role that setup makes has nobody yet
    }
    first, second, third = (day.isoformat() for day in bare_world.open_days)
    assert following(command("check", **settings).out).startswith("scoopjoy setup --dry-run")
    assert command("setup", **settings).code == 0
    assert following(command("check", **settings).out).startswith(f"scoopjoy close --date {first} --dry-run")
    assert command("close", "--date", first, **settings).code in {0, 1}
    assert following(command("check", **settings).out).startswith(
        f"scoopjoy backfill --from {second} --to {third}"
    )
    assert command("backfill", "--from", second, "--to", third, **settings).code in {0, 1}
    assert following(command("check", **settings).out).startswith("scoopjoy dev")


def test_a_check_leaves_an_empty_database_empty(world: World, command: Command, tmp_path: Path) -> None:
    from sqlalchemy import create_engine, inspect

    from scoopjoy_dagster.local.postgres import EmbeddedPostgres

    with EmbeddedPostgres(tmp_path / "pg") as server:
        done = command("check", SCOOPJOY_POSTGRES_URL=server.url)
        assert done.code == 0, done.text
        assert "--dry-run" in following(done.out)
        engine = create_engine(server.url.replace("postgresql://", "postgresql+psycopg2://"))
        assert inspect(engine).get_table_names() == []
        engine.dispose()
