"""Nights in which something goes wrong: each ends closed without a hand, or with one alert that is right."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from scoopjoy_dagster_tests.nights.world import LAST_DAY, Night, night
from scoopjoy_dagster_tests.world import MANAGERS

pytestmark = pytest.mark.timeout(600)

DAY = LAST_DAY.isoformat()


@pytest.fixture
def directory() -> Iterator[Path]:
    # Not pytest's tmp_path: for root PostgreSQL runs as another user, who may not enter it.
    with tempfile.TemporaryDirectory(prefix="scoopjoy-night-") as name:
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
        one.until("01:02:00", "06:00:10")
        lost = [] if what == "code server" else [(DAY, "FAILURE")]
        assert closed(one) == [*lost, (DAY, "SUCCESS"), ("watchdog", "SUCCESS")], one.failures()
        assert one.mails() == []
        assert sorted(recipient for recipient, _ in one.reports()) == sorted(MANAGERS)


def test_erpnext_is_away_from_before_the_close_until_four(directory: Path) -> None:
    """It is asked again every quarter of an hour; one alert says so, and one that all is well."""
    with night(directory) as one, one.running():
        one.erpnext.faults.add("maintenance", times=None)
        one.until("01:00:10", "01:15:10", "01:30:10", "03:45:10")
        assert one.runs_of(DAY) == [(DAY, "FAILURE")] * 4, one.failures()
        away = "[CRITICAL] Batch pipeline failed at: Close POS Shifts (9 Dec: ERPNext: maintenance)"
        assert one.mails() == [away]
        one.erpnext.faults.clear()
        one.until("04:00:10", "06:00:10")
        assert closed(one) == [*[(DAY, "FAILURE")] * 4, (DAY, "SUCCESS"), ("watchdog", "SUCCESS")]
        assert one.mails() == [away, "[RECOVERED] Business day closed: 9 Dec"]
        assert sorted(recipient for recipient, _ in one.reports()) == sorted(MANAGERS)


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


def test_a_week_that_was_switched_off_is_caught_up_at_the_next_night(directory: Path) -> None:
    with night(directory, days=7) as one, one.running():
        one.until("01:00:10", "06:00:10")
        assert sorted(closed(one)) == [*((day, "SUCCESS") for day in days_before(7)), ("watchdog", "SUCCESS")]
        assert one.mails() == []


def test_the_database_is_lost_after_days_that_were_closed(directory: Path) -> None:
    """Nothing is booked twice, and no report and no totals go out again; days beyond the look-back are one alert."""
    with night(directory, days=9) as one:
        with one.running(SCOOPJOY_LOOKBACK_DAYS="9"):
            one.until("01:00:10")
            assert sorted(closed(one)) == [(day, "SUCCESS") for day in days_before(9)]
            assert one.mails() == []
            sent = one.reports(), len(one.there.headquarters.deliveries)
        one.postgres = one.database("another")
        with one.running():
            one.until("01:15:10", "06:00:10")
            assert sorted(closed(one)) == [
                *((day, "SUCCESS") for day in days_before(7)),
                ("watchdog", "FAILURE"),
            ]
            assert (one.reports(), len(one.there.headquarters.deliveries)) == sent
            (alert,) = one.mails()
            assert alert.startswith("[CRITICAL] Business days not closed: 2")
