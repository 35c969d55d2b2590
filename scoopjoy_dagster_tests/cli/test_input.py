"""Wrong input of any kind ends with exit code 3 and one sentence on standard error, before anything is started."""

from __future__ import annotations

import socket
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from scoopjoy_dagster.partitions import ZONE
from scoopjoy_dagster_tests.cli.command import environment, scoopjoy
from scoopjoy_dagster_tests.cli.conftest import Command, in_this_process

SETTINGS = {
    "ERPNEXT_URL": "http://127.0.0.1:9",
    "ERPNEXT_API_KEY": "key",
    "ERPNEXT_API_SECRET": "sentinel-of-the-secret",
    "SCOOPJOY_GO_LIVE": "2026-01-10",
}
NOW = datetime(2026, 3, 2, 1, 0, tzinfo=ZONE)


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command at 01:00 on 2 March 2026, with settings that lead nowhere; it must not come to using them."""
    monkeypatch.setattr("scoopjoy_dagster.cli.app._clock", lambda: NOW)

    def run(*args: str, **changes: str | None) -> Any:
        changed = {**SETTINGS, **changes}
        given = {name: value for name, value in changed.items() if value is not None}
        done = in_this_process(args, environment(tmp_path / "local", given))
        assert "sentinel-of-the-secret" not in done.text
        return done

    return run


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["close", "--date", "yesterday"], "'yesterday' is no date; write it as YYYY-MM-DD."),
        (["close", "--date", "2026-02-30"], "'2026-02-30' is no date; write it as YYYY-MM-DD."),
        (["close", "--date", "01-03-2026"], "'01-03-2026' is no date; write it as YYYY-MM-DD."),
        (["close", "--date", ""], "'' is no date; write it as YYYY-MM-DD."),
        (
            ["close", "--date", "2026-03-02"],
            "2026-03-02 has not ended yet; the last business day that can be closed is 2026-03-01.",
        ),
        (["close", "--date", "2027-01-01", "--dry-run"], "2027-01-01 has not ended yet"),
        (["close", "--date", "2026-01-09"], "2026-01-09 lies before go-live (2026-01-10, SCOOPJOY_GO_LIVE)"),
        (["close", "--only", "royalty"], "--only 'royalty' is no asset; the assets are closed_shifts, "),
        (["close", "--date"], "Option '--date' requires an argument."),
        (["close", "--dat", "2026-03-01", "--what"], "No such option"),
        (["close", "2026-03-01"], "Got unexpected extra argument"),
        (["backfill"], "Missing option '--from'."),
        (["backfill", "--from", "2026-02-01"], "Missing option '--to'."),
        (
            ["backfill", "--from", "2026-02-10", "--to", "2026-02-01"],
            "--from 2026-02-10 lies after --to 2026-02-01.",
        ),
        (["backfill", "--from", "2026-02-10", "--to", "2026-03-02"], "2026-03-02 has not ended yet"),
        (["backfill", "--from", "2026-01-01", "--to", "2026-02-01"], "2026-01-01 lies before go-live"),
        (["dev", "--port", "70000"], "70000 is not in the range 0<=x<=65535."),
        (["demo", "--port", "http"], "'http' is not a valid integer"),
        (["closs"], "No such command 'closs'."),
    ],
)
def test_wrong_input_is_one_sentence_and_exit_code_3(
    offline: Command, tmp_path: Path, args: list[str], sentence: str
) -> None:
    done = offline(*args)
    assert done.code == 3
    assert sentence in done.sentences
    assert done.sentences.startswith("scoopjoy: ")
    assert len(done.err.strip().splitlines()) == 1
    assert done.out == ""
    assert not (tmp_path / "local").exists()


@pytest.mark.parametrize(
    ("changes", "sentences"),
    [
        (
            dict.fromkeys(SETTINGS),
            [
                "ERPNEXT_URL is not set: ",
                "ERPNEXT_API_KEY is not set: ",
                "ERPNEXT_API_SECRET is not set: ",
                "SCOOPJOY_GO_LIVE is not set: ",
            ],
        ),
        ({"ERPNEXT_URL": "erp.example.com"}, ["ERPNEXT_URL is wrong: must be a full address"]),
        ({"SCOOPJOY_GO_LIVE": "soon"}, ["SCOOPJOY_GO_LIVE is wrong: "]),
        ({"SMTP_USERNAME": "robot"}, ["SMTP_USERNAME and SMTP_PASSWORD belong together"]),
    ],
)
@pytest.mark.parametrize(
    "args",
    [
        ["close"],
        ["close", "--dry-run"],
        ["backfill", "--from", "2026-02-01", "--to", "2026-02-02"],
        ["check"],
        ["setup"],
        ["dev", "--port", "0"],
    ],
    ids=lambda args: " ".join(args[:2]),
)
def test_wrong_settings_end_every_command_with_a_sentence_for_each(
    offline: Command, tmp_path: Path, args: list[str], changes: dict[str, str | None], sentences: list[str]
) -> None:
    done = offline(*args, **changes)
    assert done.code == 3
    assert [sentence in done.sentences for sentence in sentences] == [True] * len(sentences)
    assert done.out == ""
    assert not (tmp_path / "local").exists()


def test_a_postgres_url_of_another_database_is_refused_without_repeating_it(offline: Command) -> None:
    done = offline("check", SCOOPJOY_POSTGRES_URL="mysql://robot:sentinel-of-the-secret@db.example/dagster")
    assert done.code == 3
    assert "SCOOPJOY_POSTGRES_URL is wrong: " in done.sentences
    assert "db.example" not in done.text


def test_a_password_with_an_at_sign_is_one_sentence_without_any_part_of_it(offline: Command) -> None:
    """Of `secret@db` as the password, `db@db.example` would be the host, which cannot be found, and is shown."""
    done = offline("check", SCOOPJOY_POSTGRES_URL="postgresql://robot:sentinel@Zk3v@db.example/dagster")
    assert done.code == 3
    assert "SCOOPJOY_POSTGRES_URL is wrong: " in done.sentences
    assert "write @ as %40" in done.sentences
    assert not [part for part in ("sentinel", "Zk3v", "db.example") if part in done.text]


def test_without_a_date_the_last_ended_day_is_meant(
    offline: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """01:00 on 2 March is the close of 1 March: the old pipeline closed the day that had just begun."""
    from scoopjoy_dagster.cli.closing import closable_day
    from scoopjoy_dagster.settings import load_settings

    settings = load_settings(SETTINGS)
    assert closable_day(None, settings, NOW).isoformat() == "2026-03-01"
    assert closable_day(None, settings, NOW - timedelta(hours=1, seconds=1)).isoformat() == "2026-02-28"
    # The whole command takes it that way too: it is refused because that very day lies before go-live.
    done = offline("close", SCOOPJOY_GO_LIVE="2026-03-02")
    assert done.code == 3
    assert "2026-03-01 lies before go-live" in done.sentences


@pytest.mark.parametrize("name", ["dev", "sandbox", "demo"])
def test_a_port_in_use_is_one_sentence(offline: Command, name: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = offline(name, "--port", port)
    assert done.code == 3
    assert f"Port {port} is in use" in done.sentences
    assert len(done.err.strip().splitlines()) == 1


def test_the_installed_command_gives_exit_code_3_and_one_sentence_too(tmp_path: Path) -> None:
    """The same through the process that a scheduler would see."""
    done = scoopjoy("close", "--date", "tomorrow", environment=environment(tmp_path / "local", SETTINGS))
    assert done.code == 3
    assert done.err == "scoopjoy: 'tomorrow' is no date; write it as YYYY-MM-DD.\n"
    assert done.out == ""


def test_help_names_every_command(tmp_path: Path) -> None:
    for args in (["--help"], ["-h"]):
        done = scoopjoy(*args, environment=environment(tmp_path / "local"))
        assert done.code == 0
        assert done.err == ""
        for name in ("backfill", "check", "close", "demo", "dev", "sandbox", "setup"):
            assert f"\n  {name} " in done.out
