"""The Dockerfile, and the script that turns secret files into variables."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

from scoopjoy_dagster_tests.deploy.files import DEPLOY, PROGRAMS, PROJECT, instructions

if TYPE_CHECKING:
    from pathlib import Path

WITH_SECRETS = DEPLOY / "with-secrets"


def _all(word: str) -> list[str]:
    return [rest for found, rest in instructions() if found == word]


def test_hadolint_finds_nothing() -> None:
    done = subprocess.run(
        [str(PROGRAMS / "hadolint"), "--failure-threshold", "style", str(DEPLOY / "Dockerfile")],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_base_is_one_exact_version_of_a_python_that_the_project_allows() -> None:
    (base,) = _all("ARG")
    version = re.fullmatch(r"PYTHON=python:3\.(11|12|13)\.\d+-slim-[a-z]+(@sha256:[0-9a-f]{64})?", base)
    assert version, base
    assert [line.split()[0] for line in _all("FROM")] == ["${PYTHON}"] * 2


def test_the_program_runs_as_a_user_that_owns_nothing_of_it() -> None:
    assert _all("USER") == ["10001:10001"]
    words = [word for word, _ in instructions()]
    last_stage = instructions()[len(words) - words[::-1].index("FROM") :]
    copied = [rest for word, rest in last_stage if word == "COPY"]
    assert copied == ["--from=builder /opt/scoopjoy /opt/scoopjoy"]  # so it is root's
    assert _all("VOLUME") == ["/var/lib/scoopjoy"]


def test_everything_is_installed_at_the_versions_of_the_lock() -> None:
    (install,) = [rest for rest in _all("RUN") if "pip install" in rest]
    libraries, ourselves = re.findall(r"pip install (.*?) &&", " ".join(install.split()))
    assert libraries == "--require-hashes --requirement requirements.lock"
    assert ourselves == "--no-deps --no-build-isolation --editable ."


def test_what_is_copied_is_there_and_let_through_and_nothing_else_is() -> None:
    copied = {
        source for rest in _all("COPY") if not rest.startswith("--from") for source in rest.split()[:-1]
    }
    assert all((PROJECT / source).exists() for source in copied)
    lines = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == copied


def test_the_command_of_the_image_starts_the_code_server_that_its_health_check_asks() -> None:
    (entrypoint,) = map(json.loads, _all("ENTRYPOINT"))
    assert entrypoint == [WITH_SECRETS.name]
    assert any(f"PATH=/opt/scoopjoy/{DEPLOY.name}:/opt/scoopjoy/.venv/bin:" in rest for rest in _all("ENV"))
    command = json.loads(_all("CMD")[-1])
    assert command[:3] == ["dagster", "api", "grpc"]
    (health,) = _all("HEALTHCHECK")
    assert json.loads(health.partition("CMD ")[2])[-1] == command[command.index("--port") + 1] == "4000"
    assert _all("EXPOSE") == ["4000"]


def test_where_packages_come_from_is_the_sites_choice_and_not_said_in_deploy() -> None:
    files = [path for path in DEPLOY.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert files
    for path in files:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"index.url|trusted.host|find.links", text), path
        assert set(re.findall(r"https?://([^:/\s\"']+)", text)) <= {
            "127.0.0.1", "${SITE_ADDRESS}", "dagster.example.com",
        }, path  # fmt: skip


def test_the_webserver_of_the_image_is_the_guarded_one_by_the_name_that_the_chart_calls() -> None:
    called = shutil.which("dagster-webserver", path=f"{DEPLOY}:{PROGRAMS}")  # the image's PATH, as above
    assert called == str(DEPLOY / "dagster-webserver")
    asked = subprocess.run(
        [called, "--help"],
        check=True,
        capture_output=True,
        text=True,
        env={"PATH": f"{DEPLOY}:{PROGRAMS}:/usr/bin:/bin"},
    )
    assert "Usage: python -m scoopjoy_dagster.webserver" in asked.stdout


# -- with-secrets -----------------------------------------------------------------------------------------------------


def with_secrets(directory: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(WITH_SECRETS), *command],
        check=False,
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "SECRETS_DIRECTORY": str(directory)},
    )


def test_the_files_become_variables_and_other_files_do_not(tmp_path: Path) -> None:
    (tmp_path / "SMTP_PASSWORD").write_text("it's $HOME `x` \\ 2\n")
    (tmp_path / "SCOOPJOY_HQ_SECRET").write_text("")
    (tmp_path / "users").write_text("not ours")
    (tmp_path / "9_LIVES").write_text("no name of a variable")
    done = with_secrets(tmp_path, "env", "-0")
    found = dict(one.split("=", 1) for one in done.stdout.split("\0") if one)
    assert found["SMTP_PASSWORD"] == "it's $HOME `x` \\ 2"
    assert found["SCOOPJOY_HQ_SECRET"] == ""  # as if it were not set: the settings ignore empty values
    assert set(found) - {"PATH", "PWD", "_", "SHLVL"} == {
        "SMTP_PASSWORD", "SCOOPJOY_HQ_SECRET", "SECRETS_DIRECTORY",
    }  # fmt: skip


def test_the_command_is_run_in_its_place_with_its_arguments_and_exit_code(tmp_path: Path) -> None:
    done = with_secrets(tmp_path / "not there", "sh", "-c", 'echo "$2"; exit 7', "sh", "a", "b c")
    assert (done.returncode, done.stdout) == (7, "b c\n")


def test_a_secret_that_cannot_be_read_is_one_sentence_and_nothing_is_started(tmp_path: Path) -> None:
    (tmp_path / "SMTP_PASSWORD").mkdir()  # which nobody can read as a file, not even root
    done = with_secrets(tmp_path, "echo", "started")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "the secret SMTP_PASSWORD cannot be read" in done.stderr
