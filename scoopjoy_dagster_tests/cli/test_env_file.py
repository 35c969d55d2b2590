"""The env file: what is written is what a real shell and the real python-dotenv read, whatever a password is made of."""

from __future__ import annotations

import io
import os
import stat
import subprocess
from datetime import datetime
from pathlib import Path

import pytest
from dotenv import dotenv_values
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from scoopjoy_dagster.cli.env_file import described, env_text, read_env_file, secrets, write_env_file
from scoopjoy_dagster.cli.questions import QUESTIONS
from scoopjoy_dagster.partitions import ZONE
from scoopjoy_dagster.settings import SettingsError

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=ZONE)
SPECIAL = st.sampled_from(list(" '\"\\$`#{}!=;&|<>()[]*?~%^,nrt-:\n"))
PASSWORDS = st.text(
    st.one_of(SPECIAL, st.characters(categories=["L", "N", "P", "S"])), min_size=1, max_size=24
)


def sourced(path: Path) -> dict[str, str]:
    """What a POSIX shell has in its environment after sourcing the file, and nothing but that."""
    done = subprocess.run(
        ["sh", "-euc", 'set -a; . "$1"; env -0', "sh", str(path)],
        check=True,
        capture_output=True,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
    )
    assert done.stderr == b""
    return dict(one.split("=", 1) for one in done.stdout.decode().split("\0") if one)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example('it\'s $5 `now` \\ "#1"', "${HOME}'")
@example("a\\\\b'$(id)", "'\\'")
@example("#", " ")
@given(password=PASSWORDS, sender=PASSWORDS)
def test_a_value_survives_shell_and_dotenv(tmp_path: Path, password: str, sender: str) -> None:
    values = {"SMTP_PASSWORD": password, "SMTP_SENDER": sender}
    text = env_text("# head\n", values)
    path = tmp_path / "settings.env"
    path.touch(0o600)
    path.write_text(text, encoding="utf-8")
    ours = read_env_file(path)
    by_dotenv = dotenv_values(stream=io.StringIO(text))
    by_shell = sourced(path)
    for name, value in values.items():
        assert (ours[name], by_dotenv[name], by_shell[name]) == (value, value, value), text
    assert {name for name in ours if ours[name]} == set(values)


def test_every_setting_has_its_meaning_above_it_and_the_defaults_are_comments() -> None:
    lines = env_text("", {"ERPNEXT_URL": "https://erp.example", "SCOOPJOY_DEFAULT_RATE": "6"}).splitlines()
    for name, description, default in described():
        (at,) = [number for number, line in enumerate(lines) if line.lstrip("#").startswith(f"{name}=")]
        above: list[str] = []
        while lines[at - 1 - len(above)].startswith("# "):
            above.insert(0, lines[at - 1 - len(above)][2:])
        assert " ".join(above) == description
        set_here = name in {"ERPNEXT_URL", "SCOOPJOY_DEFAULT_RATE"} or default is None
        assert lines[at].startswith("#") != set_here


def test_what_else_the_old_file_held_is_kept(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text(env_text("", {"DAGSTER_HOME": "/var/lib/scoopjoy/home"}), encoding="utf-8")
    assert read_env_file(path)["DAGSTER_HOME"] == "/var/lib/scoopjoy/home"
    assert sourced(path)["DAGSTER_HOME"] == "/var/lib/scoopjoy/home"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("SMTP_PASSWORD=pa$word", "a shell would read this value differently"),
        ('SMTP_PASSWORD="pa$word"', "a shell would read this value differently"),
        ("SMTP_PASSWORD=pa`word", "a shell would read this value differently"),
        ("SMTP_PASSWORD=pa\\word", "a shell would read this value differently"),
        ("SMTP_PASSWORD='pa\\\\word'", "a shell would read this value differently"),
        ("SMTP_PASSWORD", "this is no NAME=value"),
        ('SMTP_PASSWORD="word', "this is no NAME=value"),
    ],
)
def test_a_line_that_a_shell_reads_differently_is_refused_by_its_number(
    tmp_path: Path, line: str, says: str
) -> None:
    path = tmp_path / ".env"
    path.write_text(f"# one\n\nERPNEXT_URL=https://erp.example\n{line}\n", encoding="utf-8")
    with pytest.raises(SettingsError) as refused:
        read_env_file(path)
    assert f"{path}, line 4: {says}" in str(refused.value)
    assert "word" not in str(refused.value).replace("SMTP_PASSWORD", "").replace(".env", "")


def test_a_dollar_in_single_quotes_is_a_dollar_as_in_a_shell(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text('A=\'p${B}q\'\nB="${C}"\nC=x\nexport D="${C}y" # said\n', encoding="utf-8")
    assert read_env_file(path) == {"A": "p${B}q", "B": "", "C": "x", "D": "xy"}


def test_a_file_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read: No such file or directory"):
        read_env_file(tmp_path / "none.env")


def test_the_file_is_its_owners_alone_and_never_written_over_by_chance(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    before = os.umask(0)
    try:
        assert write_env_file(path, "A=1\n", force=False, now=NOW) is None
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with pytest.raises(SettingsError, match="is there already"):
            write_env_file(path, "A=2\n", force=False, now=NOW)
        assert path.read_text() == "A=1\n"
        path.chmod(0o644)
        kept = write_env_file(path, "A=3\n", force=True, now=NOW)
    finally:
        os.umask(before)
    assert kept is not None
    assert (path.read_text(), kept.read_text()) == ("A=3\n", "A=1\n")
    assert {stat.S_IMODE(one.stat().st_mode) for one in (path, kept)} == {0o600}
    assert sorted(tmp_path.iterdir()) == sorted([path, kept])


@pytest.mark.parametrize(
    ("mode", "text", "says"),
    [
        (0o604, "SMTP_PASSWORD=sentinel", "read the secrets in"),
        (0o644, "ERPNEXT_API_SECRET=sentinel", "read the secrets in"),
        (0o644, "SCOOPJOY_POSTGRES_URL=postgresql://u:sentinel@db/x", "read the secrets in"),
        (0o602, "SMTP_HOST=sentinel", "write to the settings file"),
        (0o666, "SMTP_PASSWORD=sentinel", "write to the settings file"),
    ],
)
def test_a_file_that_is_open_to_all_is_one_sentence(tmp_path: Path, mode: int, text: str, says: str) -> None:
    path = tmp_path / ".env"
    path.write_text(text)
    path.chmod(mode)
    with pytest.raises(SettingsError) as refused:
        read_env_file(path)
    assert str(refused.value) == f"Every user of this machine can {says} {path}; run `chmod 600 {path}`."


@pytest.mark.parametrize(
    ("mode", "text"),
    [(0o640, "SMTP_PASSWORD=x"), (0o660, "SMTP_PASSWORD=x"), (0o644, "SMTP_PASSWORD=\nSMTP_HOST=x")],
    ids=["for a group", "for a group to write", "without secrets"],
)
def test_a_file_for_a_group_or_without_secrets_is_read(tmp_path: Path, mode: int, text: str) -> None:
    path = tmp_path / ".env"
    path.write_text(text)
    path.chmod(mode)
    assert "x" in read_env_file(path).values()


def test_a_directory_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be written: No such file"):
        write_env_file(tmp_path / "none" / ".env", "", force=False, now=NOW)


def test_the_questions_that_read_a_file_are_those_about_secrets() -> None:
    assert all(one.secret == (one.name in secrets()) for one in QUESTIONS)
    assert {one.name for one in QUESTIONS} <= {name for name, _, _ in described()}
