"""`scoopjoy init`: asked on a terminal or given by options, judged at once, written once, and checked."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from scoopjoy_dagster.cli.env_file import read_env_file
from scoopjoy_dagster_tests.cli.command import SCOOPJOY, environment
from scoopjoy_dagster_tests.cli.conftest import Command
from scoopjoy_dagster_tests.cli.world import World, without
from scoopjoy_dagster_tests.world import insert

HERE = ("SCOOPJOY_DIRECTORY", "SCOOPJOY_POSTGRES_URL")
"""What the tests' environment says of this machine; `init` takes it from the environment into the file."""
SECRETS = ("ERPNEXT_API_KEY", "ERPNEXT_API_SECRET", "SCOOPJOY_HQ_SECRET")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def settings_in(path: Path) -> dict[str, str]:
    """The settings that the file sets, this machine's aside."""
    return {name: value for name, value in read_env_file(path).items() if value and name not in HERE}


def options(world: World, directory: Path) -> list[str]:
    """What a script gives: every setting of the world, secrets by files."""
    files = {}
    for name in SECRETS:
        files[name] = directory / name
        files[name].write_text(world.settings[name] + "\n", encoding="utf-8")
    return [
        "--erpnext-url", world.settings["ERPNEXT_URL"],
        "--api-key-file", str(files["ERPNEXT_API_KEY"]),
        "--api-secret-file", str(files["ERPNEXT_API_SECRET"]),
        "--go-live", world.go_live.isoformat(),
        "--smtp-host", "127.0.0.1",
        "--smtp-port", world.settings["SMTP_PORT"],
        "--smtp-security", "none",
        "--smtp-sender", world.settings["SMTP_SENDER"],
        "--hq-url", world.settings["SCOOPJOY_HQ_URL"],
        "--hq-secret-file", str(files["SCOOPJOY_HQ_SECRET"]),
        "--set", "ERPNEXT_ATTEMPTS=2",
    ]  # fmt: skip


@pytest.fixture
def nothing_set(world: World) -> dict[str, None]:
    """None of the world's settings in the environment."""
    return dict.fromkeys(world.settings)


def test_a_script_gives_everything_by_options_and_the_check_follows(
    world: World, here: Path, command: Command, nothing_set: dict[str, None]
) -> None:
    done = command("init", "--no-input", *options(world, here), **nothing_set)
    assert done.code == 0, done.text
    path = here / ".env"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert settings_in(path) == {**world.settings, "SCOOPJOY_COMPANY": "ScoopJoy"}  # as found on the site
    assert "ok       ERPNext: " in done.out
    assert "\nNext: scoopjoy --env-file .env " in done.out
    assert "set -a; . ./.env; set +a" in done.out
    assert f"EnvironmentFile={path}" in done.out
    assert not any(world.settings[name] in done.text for name in SECRETS)
    assert world.writes == 0
    again = command("--env-file", str(path), "check", **nothing_set)
    assert again.code == 0, again.text


def test_what_is_missing_is_one_sentence_that_lists_the_options(
    here: Path, command: Command, nothing_set: dict[str, None]
) -> None:
    done = command("init", "--smtp-host", "mail.example", "--smtp-username", "robot", **nothing_set)
    assert done.code == 3
    assert len(done.err.strip().splitlines()) == 1
    listed = done.err.partition("are missing: ")[2]
    assert re.findall(r"--[a-z-]+", listed) == [
        "--erpnext-url",
        "--api-key-file",
        "--api-secret-file",
        "--go-live",
        "--smtp-password-file",
        "--smtp-sender",
    ]
    assert "ERPNEXT_API_SECRET" in listed
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--go-live", "soon"], "SCOOPJOY_GO_LIVE is wrong: "),
        (["--erpnext-url", "erp.example"], "ERPNEXT_URL is wrong: must be a full address"),
        (["--erpnext-url", "https://erp.example/app"], "root address of the site: use https://erp.example ("),
        (["--set", "SCOOPJOY_GOLIVE=1"], "Did you mean 'SCOOPJOY_GO_LIVE'?"),
        (["--set", "SMTP_PASSWORD=x"], "would show a secret to everybody who lists processes"),
        (["--set", "SCOOPJOY_POSTGRES_URL=postgresql://u:p@db/x"], "would show a secret to everybody"),
        (["--set", "SCOOPJOY_COMPANY=one\x07two"], "SCOOPJOY_COMPANY is wrong: it must have no control"),
        (["--set", "SMTP_USERNAME=robot"], "--smtp-password-file FILE (or SMTP_PASSWORD)"),
        (["--api-key-file", "none"], "The file none for ERPNEXT_API_KEY cannot be read"),
        (["--hq-url", ""], ""),
    ],
)
def test_a_wrong_value_is_the_settings_own_sentence_and_nothing_is_written(
    world: World,
    here: Path,
    command: Command,
    nothing_set: dict[str, None],
    more: list[str],
    sentence: str,
) -> None:
    done = command("init", "--no-input", "--no-check", *options(world, here), *more, **nothing_set)
    if not sentence:
        assert done.code == 0, done.text
        return
    assert done.code == 3
    assert sentence in done.sentences
    assert not (here / ".env").exists()


def test_secrets_come_from_the_environment_too(
    world: World, here: Path, command: Command, nothing_set: dict[str, None]
) -> None:
    changes = {**nothing_set, **{name: world.settings[name] for name in (*SECRETS, "ERPNEXT_URL")}}
    done = command("init", "--no-check", "--go-live", "2026-01-10", **changes)
    assert done.code == 0, done.text
    written = read_env_file(here / ".env")
    assert all(written[name] == world.settings[name] for name in (*SECRETS, "ERPNEXT_URL"))


def test_a_file_that_is_there_is_kept_unless_forced_and_then_its_values_stay(
    world: World, here: Path, command: Command, nothing_set: dict[str, None]
) -> None:
    args = ("init", "--no-input", "--no-check")
    assert command(*args, *options(world, here), **nothing_set).code == 0
    first = (here / ".env").read_text(encoding="utf-8")
    refused = command(*args, "--go-live", "2026-01-10", **nothing_set)
    assert refused.code == 3
    assert "is there already; --force" in refused.sentences
    assert (here / ".env").read_text(encoding="utf-8") == first
    forced = command(*args, "--force", "--go-live", "2026-01-10", **nothing_set)
    assert forced.code == 0, forced.text
    assert settings_in(here / ".env") == {
        **world.settings,
        "SCOOPJOY_COMPANY": "ScoopJoy",
        "SCOOPJOY_GO_LIVE": "2026-01-10",
    }
    (kept,) = here.glob(".env.*.kept")
    assert kept.read_text(encoding="utf-8") == first
    assert kept.name in forced.text


# -- on a terminal ----------------------------------------------------------------------------------------------------


@dataclass
class Terminal:
    """The command on a terminal of its own, as a person sees it."""

    pid: int
    descriptor: int
    seen: str = ""
    answered: int = field(default=0)

    def read_until(self, text: str, within_s: float = 60) -> None:
        """Read what is shown until this text comes after the last answer."""
        deadline = time.monotonic() + within_s
        while text not in self.seen[self.answered :]:
            assert time.monotonic() < deadline, f"no {text!r} in:\n{self.seen}"
            if not self._read(1.0):
                raise AssertionError(f"it ended without {text!r}:\n{self.seen}")

    def _read(self, within_s: float) -> bool:
        ready, _, _ = select.select([self.descriptor], [], [], within_s)
        if not ready:
            return True
        try:
            read = os.read(self.descriptor, 65536)
        except OSError:  # the terminal is gone with its last user
            return False
        self.seen += read.decode("utf-8", "replace")
        return bool(read)

    def answer(self, question: str, text: str) -> None:
        """Wait for the question, then type the answer.

        Where the answer is hidden, wait for the blank behind the colon: it is printed once the echo is off.
        """
        self.read_until(question)
        self.answered = len(self.seen)
        os.write(self.descriptor, text.encode() + b"\n")

    def end(self, keys: bytes = b"", within_s: float = 90) -> int:
        """Read to the end, these keys typed every second; the exit code."""
        deadline = time.monotonic() + within_s
        typed = 0.0
        while self._read(1.0):
            assert time.monotonic() < deadline, self.seen
            if keys and time.monotonic() - typed > 1:
                os.write(self.descriptor, keys)
                typed = time.monotonic()
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@contextmanager
def on_a_terminal(*args: str, variables: Mapping[str, str], directory: Path) -> Iterator[Terminal]:
    pid, descriptor = pty.fork()
    if pid == 0:
        os.chdir(directory)
        os.execve(str(SCOOPJOY), [str(SCOOPJOY), *args], {**variables, "TERM": "dumb", "COLUMNS": "200"})
    terminal = Terminal(pid, descriptor)
    try:
        yield terminal
    finally:
        os.close(descriptor)
        try:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass


@pytest.fixture
def outside(world: World, here: Path, directory: Path, postgres_url: str) -> dict[str, str]:
    """The environment of a person who has set nothing but where the PostgreSQL is."""
    return environment(directory, {"SCOOPJOY_POSTGRES_URL": postgres_url})


def test_on_a_terminal_it_asks_judges_each_answer_at_once_and_shows_no_secret(
    world: World, here: Path, outside: dict[str, str]
) -> None:
    told = world.settings
    with on_a_terminal("init", variables=outside, directory=here) as terminal:
        terminal.answer("Address of ERPNext: ", "erp.example")
        terminal.answer("ERPNEXT_URL is wrong: must be a full address", told["ERPNEXT_URL"])
        terminal.answer("API key of the integration user: ", told["ERPNEXT_API_KEY"])
        terminal.answer("API secret of the integration user: ", "sentinel-wrong-secret")
        terminal.answer("Ask for the address and the key again? [Y/n]: ", "")
        terminal.answer(f"Address of ERPNext [{told['ERPNEXT_URL']}]: ", "")
        terminal.answer("API key of the integration user (Enter keeps the present one): ", "")
        terminal.answer(
            "API secret of the integration user (Enter keeps the present one): ", told["ERPNEXT_API_SECRET"]
        )
        terminal.read_until("Company: ScoopJoy")
        terminal.answer("First business day to close", world.go_live.isoformat())
        terminal.answer("Mail server (empty: no reports and alerts)", told["SMTP_HOST"])
        terminal.answer("Port of the mail server [587]: ", told["SMTP_PORT"])
        terminal.answer("Encryption: starttls, tls or none [starttls]: ", "nothing")
        terminal.answer("SMTP_SECURITY is wrong: ", "none")
        terminal.answer("Login at the mail server (empty: none)", "")
        terminal.answer("From address of reports and alerts: ", told["SMTP_SENDER"])
        terminal.answer("Address of headquarters (empty: none)", told["SCOOPJOY_HQ_URL"])
        terminal.answer("Secret shared with headquarters: ", told["SCOOPJOY_HQ_SECRET"])
        assert terminal.end() == 0, terminal.seen
    for secret in (*(told[name] for name in SECRETS), "sentinel-wrong-secret"):
        assert secret not in terminal.seen
    assert "Wrote .env (mode 600)." in terminal.seen
    assert "ERPNext: " in terminal.seen
    assert "Next: scoopjoy --env-file .env " in terminal.seen
    assert settings_in(here / ".env") == {**without(told, "ERPNEXT_ATTEMPTS"), "SCOOPJOY_COMPANY": "ScoopJoy"}
    assert read_env_file(here / ".env")["SCOOPJOY_DIRECTORY"] == outside["SCOOPJOY_DIRECTORY"]


def test_several_companies_are_offered_by_number_and_the_last_day_is_offered_as_go_live(
    world: World, here: Path, outside: dict[str, str]
) -> None:
    insert(
        world.erpnext,
        "Company",
        company_name="Another Ice",
        abbr="AI",
        default_currency="INR",
        country="India",
    )
    variables = {
        **outside,
        **{name: world.settings[name] for name in ("ERPNEXT_URL", "ERPNEXT_API_KEY", "ERPNEXT_API_SECRET")},
    }
    with on_a_terminal("init", "--no-check", variables=variables, directory=here) as terminal:
        terminal.answer("Address of ERPNext [", "")
        terminal.answer("API key of the integration user (Enter keeps the present one): ", "")
        terminal.answer("API secret of the integration user (Enter keeps the present one): ", "")
        terminal.read_until("ERPNext has 2 companies")
        (number,) = re.findall(r"(\d)  ScoopJoy\r", terminal.seen)
        terminal.answer("the number of the one to close: ", number)
        terminal.answer("earlier days are never touched) [", "")
        terminal.answer("Mail server", "")
        terminal.answer("Address of headquarters", "")
        assert terminal.end() == 0, terminal.seen
    written = read_env_file(here / ".env")
    assert written["SCOOPJOY_COMPANY"] == "ScoopJoy"
    assert written["SCOOPJOY_GO_LIVE"] == world.last_day.isoformat()
    assert not written.get("SMTP_HOST")


def test_ctrl_c_while_asking_leaves_nothing(here: Path, outside: dict[str, str]) -> None:
    with on_a_terminal("init", variables=outside, directory=here) as terminal:
        terminal.read_until("Address of ERPNext: ")
        # As an impatient person: a signal in the instant in which the line editor starts to wait is seen at the next key.
        assert terminal.end(keys=b"\x03") == 130
    assert "Traceback" not in terminal.seen
    assert list(here.iterdir()) == []
