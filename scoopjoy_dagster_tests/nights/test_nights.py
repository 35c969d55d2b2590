"""Nights in which something goes wrong: each ends closed without a hand, or with one alert that is right."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from scoopjoy_dagster.local.postgres import EmbeddedPostgres
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


@pytest.mark.parametrize("with_runs", [True, False])
def test_a_code_server_that_is_killed_in_the_middle_of_the_close(directory: Path, with_runs: bool) -> None:
    """Killed with its run, the run is ended within two minutes and closed again; without it, the run goes on."""
    with night(directory) as one, one.running():
        one.clock.set(one.at("01:00:01"))
        one.in_a_run(lambda: one.kill_the_code_server(with_runs=with_runs))
        one.until("01:02:00", "06:00:10")
        runs = closed(one)
        assert runs[-2:] == [(DAY, "SUCCESS"), ("watchdog", "SUCCESS")], one.failures()
        assert runs[:-2] == ([(DAY, "FAILURE")] if with_runs else [])
        assert one.mails() == []
        assert sorted(recipient for recipient, _ in one.reports()) == sorted(MANAGERS)


def test_erpnext_is_away_from_before_the_close_until_four(directory: Path) -> None:
    """It is asked again every quarter of an hour; one alert says so, and one that all is well."""
    with night(directory) as one, one.running():
        one.erpnext.faults.add("maintenance", times=None)
        one.until("01:00:10", "01:15:10", "01:30:10", "03:45:10")
        assert one.runs_of(DAY) == [(DAY, "FAILURE")] * 4, one.failures()
        (alert,) = one.mails()
        assert alert.startswith("[CRITICAL] Batch pipeline failed at: Close POS Shifts")
        one.erpnext.faults.clear()
        one.until("04:00:10", "06:00:10")
        assert closed(one) == [*[(DAY, "FAILURE")] * 4, (DAY, "SUCCESS"), ("watchdog", "SUCCESS")]
        first, second = one.mails()
        assert first == alert
        assert second.startswith("[RECOVERED]")


def test_what_erpnext_refuses_is_not_asked_again_that_night_and_the_watchdog_says_so(directory: Path) -> None:
    with night(directory) as one, one.running():
        one.erpnext.settings.frozen_upto = LAST_DAY
        one.until("01:00:10", "01:15:10", "06:00:10")
        assert one.runs_of(DAY) == [(DAY, "FAILURE")]
        alert, overdue = one.mails()
        assert alert.startswith("[CRITICAL] Batch pipeline failed at:")
        assert overdue.startswith("[CRITICAL] Business days not closed: 1")


def test_postgresql_is_restarted_two_seconds_after_the_night_has_begun(directory: Path) -> None:
    with night(directory) as one, one.running():
        one.clock.set(one.at("01:00:01"))
        one.in_a_run(one.restart_postgres)
        one.until("01:15:10", "01:30:10", "06:00:10")
        assert closed(one)[-2:] == [(DAY, "SUCCESS"), ("watchdog", "SUCCESS")], one.failures()
        assert one.mails() == []


def test_a_home_that_nobody_may_write_to_silences_no_alert(directory: Path) -> None:
    with night(directory) as one, one.running():
        one.make_home_read_only()
        one.erpnext.settings.frozen_upto = LAST_DAY
        one.until("01:00:10")
        (alert,) = one.mails()
        assert alert.startswith("[CRITICAL] Batch pipeline failed at:")


def test_days_that_the_machine_was_off_are_caught_up_at_the_next_night(directory: Path) -> None:
    with night(directory, days=5) as one, one.running():
        one.until("01:00:10", "06:00:10")
        days = [(LAST_DAY - timedelta(days=back)).isoformat() for back in (4, 3, 2, 1, 0)]
        assert sorted(closed(one)) == [*((day, "SUCCESS") for day in days), ("watchdog", "SUCCESS")]
        assert one.mails() == []


def test_the_database_is_lost_after_days_that_were_closed(directory: Path) -> None:
    """The days are closed again: nothing is booked twice, no report and no totals go out again."""
    with night(directory, days=3) as one:
        with one.running():
            one.until("01:00:10")
            sent = one.reports(), len(one.there.headquarters.deliveries)
        one.postgres = EmbeddedPostgres(directory / "another")
        with one.running():
            one.until("01:15:10", "06:00:10")
            assert len(closed(one)) == 4
            assert (one.reports(), len(one.there.headquarters.deliveries)) == sent
            assert one.mails() == []
