"""Nights in which something goes wrong: each ends closed without a hand, or with one alert that is right."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import pytest

from scoopjoy_dagster_tests.nights.world import LAST_DAY, Night, night
from scoopjoy_dagster_tests.world import MANAGERS

pytestmark = pytest.mark.timeout(600)

DAY = LAST_DAY.isoformat()


@pytest.fixture
def directory() -> Iterator[Path]:
    # Not pytest's tmp_path: for root PostgreSQL runs as another user, who may not enter it.
    # By the simulated clock PostgreSQL may still be at its last checkpoint.
    with tempfile.TemporaryDirectory(prefix="scoopjoy-night-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        yield Path(name).resolve()


def closed(one: Night) -> list[tuple[str, str]]:
    """Days and how their runs ended, in the order in which they were made; the night's books are right."""
    assert one.wrong() == []
    return [(day, status) for day, status, _ in one.runs()]


def test_an_ordinary_night(directory: Path) -> None:
    with night(directory) as one, one.running():
        one.until("01:00:10", "06:00:10")
        assert closed(one) == [(DAY, "SUCCESS"), ("watchdog", "SUCCESS")], one.failures()
        assert one.mails() == []
        assert sorted(recipient for recipient, _ in one.reports()) == sorted(MANAGERS)


KILLED = {
    "run": lambda one: one.kill_the_run(),
    "code server": lambda one: one.kill_the_code_server(with_runs=False),
    "both": lambda one: one.kill_the_code_server(with_runs=True),
}


@pytest.mark.parametrize("what", KILLED)
def test_what_is_killed_in_the_middle_of_the_close(directory: Path, what: str) -> None:
    """A killed run is ended within two minutes, also where nobody is left who knew it, and the day is closed again."""
    with night(directory) as one, one.running():
        one.clock.set(one.at("01:00:01"))
        one.in_a_run(lambda: KILLED[what](one))
        if what == "run":  # the code server sees it by itself, within seconds
            one.wait(lambda: one.runs_of(DAY)[0] == (DAY, "FAILURE"), within_s=30)
            assert one.clock.now() < one.at("01:01:00")
        one.until("01:02:00", "01:15:10", "06:00:10")
        lost = [] if what == "code server" else [(DAY, "FAILURE")]
        assert closed(one) == [*lost, (DAY, "SUCCESS"), ("watchdog", "SUCCESS")], one.failures()
        assert one.mails() == []
        assert sorted(recipient for recipient, _ in one.reports()) == sorted(MANAGERS)


@pytest.mark.parametrize("how", ["maintenance", "connection refused"])
def test_erpnext_is_away_from_before_the_close_until_four(directory: Path, how: str) -> None:
    """It is asked again every quarter of an hour; one alert says so, and one that all is well."""
    with night(directory) as one, one.running():
        one.clock.set(one.at("00:59:00"))
        with one.erpnext_away() if how == "connection refused" else under_maintenance(one):
            one.until("01:00:10", "01:15:10", "01:30:10", "03:45:10")
            assert one.runs_of(DAY) == [(DAY, "FAILURE")] * 4, one.failures()
            away = f"[CRITICAL] Batch pipeline failed at: Close POS Shifts (9 Dec: ERPNext: {how})"
            assert one.mails() == [away]
        one.until("04:00:10", "06:00:10")
        assert closed(one) == [*[(DAY, "FAILURE")] * 4, (DAY, "SUCCESS"), ("watchdog", "SUCCESS")]
        assert one.mails() == [away, "[RECOVERED] Business day closed: 9 Dec"]
        assert sorted(recipient for recipient, _ in one.reports()) == sorted(MANAGERS)


@contextmanager
def under_maintenance(one: Night) -> Iterator[None]:
    """ERPNext answers that it is being updated, to the end of the block."""
    one.erpnext.faults.add("maintenance", times=None)
    yield
    one.erpnext.faults.clear()


def test_what_erpnext_refuses_is_not_asked_again_that_night_and_the_watchdog_says_so(directory: Path) -> None:
    with night(directory) as one, one.running():
        one.erpnext.settings.frozen_upto = LAST_DAY
        one.until("01:00:10", "01:15:10", "06:00:10")
        assert one.runs_of(DAY) == [(DAY, "FAILURE")]
        assert one.mails() == [LOCKED, "[CRITICAL] Business days not closed: 1 (9 Dec)"]
        assert one.reports() == []


def test_postgresql_is_restarted_two_seconds_after_the_night_has_begun(directory: Path) -> None:
    with night(directory) as one, one.running():
        one.clock.set(one.at("01:00:01"))
        one.in_a_run(one.restart_postgres)
        one.until("01:15:10", "01:30:10", "06:00:10")
        *lost, last, watchdog = closed(one)
        assert (last, watchdog) == ((DAY, "SUCCESS"), ("watchdog", "SUCCESS")), one.failures()
        assert lost in ([], [(DAY, "FAILURE")])  # by the moment at which the run wanted to record something
        assert one.mails() == []
        assert sorted(recipient for recipient, _ in one.reports()) == sorted(MANAGERS)


LOCKED = "[CRITICAL] Batch pipeline failed at: Calculate Royalties (9 Dec: books locked)"


@pytest.mark.parametrize("refused", [False, True])
def test_where_dagster_can_write_no_file_days_are_closed_and_alerts_are_sent(
    directory: Path, refused: bool
) -> None:
    with night(directory) as one, one.running():
        one.make_storage_unusable()
        one.erpnext.settings.frozen_upto = LAST_DAY if refused else None
        one.until("01:00:10", "06:00:10")
        if refused:
            assert one.mails() == [LOCKED, "[CRITICAL] Business days not closed: 1 (9 Dec)"]
        else:
            assert closed(one) == [(DAY, "SUCCESS"), ("watchdog", "SUCCESS")], one.failures()
            assert one.mails() == []


def days_before(count: int) -> list[str]:
    """The newest business days, oldest first."""
    return [(LAST_DAY - timedelta(days=back)).isoformat() for back in reversed(range(count))]


KILLED_COMMAND = "[CRITICAL] Batch pipeline failed at: no step failure recorded"
NOT_OPEN = "[WARNING] Control totals: Has every POS Profile that had a shift in the week before one on the day? (9 Dec)"
NO_SALES = "[WARNING] Control totals: Has every franchise that had invoices in the week before some on the day? (9 Dec)"


def test_commands_that_were_killed_do_not_keep_the_night_from_its_days(directory: Path) -> None:
    days = days_before(3)
    with night(directory, days=3) as one, one.running():
        commands = [one.command("close", "--date", day) for day in days]
        one.in_a_run(lambda: [command.kill() for command in commands], runs=3)
        for command in commands:
            command.wait()
        assert sorted(one.runs()) == [(day, "STARTED", "") for day in days]
        one.until("01:00:10", "06:00:10")
        ended = closed(one)
        assert sorted(ended[:3]) == [(day, "FAILURE") for day in days]
        assert sorted(ended[3:]) == [*((day, "SUCCESS") for day in days), ("watchdog", "SUCCESS")]
        first, *_ = mails = one.mails()
        assert first.startswith(KILLED_COMMAND)
        assert sorted(one for one in mails if one.startswith("[CRITICAL]")) == [
            f"{KILLED_COMMAND} ({day} Dec)" for day in (7, 8, 9)
        ]
        recovered = [one.partition(": ")[2] for one in mails if one.startswith("[RECOVERED]")]
        assert sorted(day for days in recovered for day in days.split(", ")) == ["7 Dec", "8 Dec", "9 Dec"]
        # The command had checked the shifts before it was killed. That warning was mailed then, and is not mailed again.
        assert [one for one in mails if one.startswith("[WARNING]")] == [NOT_OPEN, NO_SALES]


def test_a_week_that_was_switched_off_is_caught_up_at_the_next_night(directory: Path) -> None:
    first, *week = days_before(8)
    with night(directory, days=8) as one:
        one.after(date.fromisoformat(first))
        with one.running():
            one.until("01:00:10", "06:00:10")
            assert [(day, status) for day, status, _ in one.runs()] == [
                (first, "SUCCESS"),
                ("watchdog", "SUCCESS"),
            ]
            one.cut_the_power()
        one.after(LAST_DAY)
        with one.running():
            one.until("01:00:10", "06:00:10")
            *days, watchdog = sorted(set(closed(one)[2:]) - {("retention", "SUCCESS")})
            assert days == [(day, "SUCCESS") for day in week]
            assert watchdog == ("watchdog", "SUCCESS")  # of this morning, and of the one that nobody has seen
            # Of several days in a message, in as many messages as the days take time.
            assert {mail.partition(":")[0] for mail in one.mails()} == {"[WARNING] Control totals"}


@pytest.mark.timeout(900)
def test_the_database_is_lost_after_days_that_were_closed(directory: Path) -> None:
    """Nothing is booked twice, and no report and no totals go out again; days beyond the look-back are one alert."""
    days = days_before(30)
    with night(directory, days=30) as one:
        with one.running():
            assert one.command("backfill", "--from", days[0], "--to", days[-1], "--mail").wait() == 0
            assert one.wrong() == []
            assert one.mails() == []
            sent = one.reports(), len(one.there.headquarters.deliveries)
        one.postgres = one.database("another")
        with one.running():
            one.until("01:00:10", "06:00:10")
            assert sorted(closed(one)) == [
                *((day, "SUCCESS") for day in days[-7:]),
                ("watchdog", "FAILURE"),
            ]
            assert (one.reports(), len(one.there.headquarters.deliveries)) == sent
            *warnings, overdue = one.mails()
            assert {mail.partition(":")[0] for mail in warnings} == {"[WARNING] Control totals"}
            assert overdue == "[CRITICAL] Business days not closed: 23 (10 Nov to 2 Dec)"
