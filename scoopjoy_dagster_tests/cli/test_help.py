"""Help with an example for every command, completion in the shell, and the nearest right name for a wrong one."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import click
import pytest

from scoopjoy_dagster.cli.main import app
from scoopjoy_dagster.partitions import ZONE
from scoopjoy_dagster_tests.cli.command import SCOOPJOY, environment, scoopjoy
from scoopjoy_dagster_tests.cli.conftest import Command
from scoopjoy_dagster_tests.cli.world import World

HEAVY = ("dagster", "pandas", "reportlab", "requests", "pydantic", "rich")


def examples_of(command: click.Command) -> list[str]:
    """The lines of the examples, each a whole command."""
    help_text = click.Context(command, info_name=command.name).get_help() if command.name else ""
    _, found, lines = help_text.partition("Examples:\n")
    assert found, command.name
    return [line.strip() for line in lines.replace("\\\n", " ").splitlines() if line.strip()]


@pytest.mark.parametrize("name", sorted(app.commands))
def test_the_help_of_every_command_has_an_example_that_it_takes(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    command = app.commands[name]
    lines = examples_of(command)
    assert any(name in line for line in lines)
    for line in lines:
        words = shlex.split(
            line.split(" > ")[0].split(" #")[0].strip().removeprefix('eval "$(').removesuffix(')"')
        )
        assert words[0] == "scoopjoy", line
        words = words[1:]
        if words[0] == "--env-file":
            words = words[2:]
        assert words[0] == name, line
        # Parsed as when it is typed, and not run; a wrong option or a missing one raises.
        command.make_context(name, words[1:])


@pytest.mark.parametrize("name", sorted(app.commands))
def test_every_option_of_every_command_says_what_it_does(name: str) -> None:
    for option in app.commands[name].params:
        if isinstance(option, click.Option):
            assert option.help, f"{name} {option.opts}"


# -- completion -------------------------------------------------------------------------------------------------------


def completed(words: str, directory: Path, **more: str) -> list[str]:
    """What the shell is offered for these words, the last of them being typed."""
    done = subprocess.run(
        [str(SCOOPJOY)],
        check=True,
        capture_output=True,
        text=True,
        env={
            **environment(directory, more),
            "_SCOOPJOY_COMPLETE": "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split(" ")) - 1),
        },
    )
    assert done.stderr == ""
    return [line.partition(",")[2] for line in done.stdout.splitlines()]


def test_commands_options_and_assets_are_completed(tmp_path: Path) -> None:
    assert completed("scoopjoy back", tmp_path) == ["backfill"]
    assert "--env-file" in completed("scoopjoy --", tmp_path)
    assert completed("scoopjoy close --on", tmp_path) == ["--only"]
    assert completed("scoopjoy close --only r", tmp_path) == ["royalties", "reports"]
    assert completed("scoopjoy completion f", tmp_path) == ["fish"]


@pytest.mark.parametrize("option", ["close --date", "backfill --from", "verify --to"])
def test_days_that_have_ended_are_completed_and_none_before_go_live(option: str, tmp_path: Path) -> None:
    today = datetime.now(ZONE).date()
    offered = completed(f"scoopjoy {option} ", tmp_path)
    assert len(offered) == 14
    assert offered == sorted(offered, reverse=True)
    assert offered[0] < today.isoformat()
    assert completed(f"scoopjoy {option} ", tmp_path, SCOOPJOY_GO_LIVE=offered[2]) == offered[:3]
    assert completed(f"scoopjoy {option} {offered[1]}", tmp_path) == [offered[1]]


def test_the_days_that_are_completed_have_ended_by_the_settings(tmp_path: Path) -> None:
    now = datetime.now(ZONE)
    # A day that ends in an hour from now of the next date has not ended today, unless the hour is past midnight.
    later = now + timedelta(hours=1)
    newest = completed("scoopjoy close --date ", tmp_path, SCOOPJOY_DAY_ENDS_AT=f"{later:%H:%M}")[0]
    ended = now.date() - timedelta(days=2 if later.date() == now.date() else 1)
    assert newest == ended.isoformat()


def test_completion_loads_nothing_heavy(tmp_path: Path) -> None:
    """A press of Tab must not wait for Dagster, which takes seconds to load."""
    asked = (
        "import sys\n"
        "sys.argv = ['scoopjoy']\n"
        "from scoopjoy_dagster.cli.main import main\n"
        "try:\n    main()\n"
        "finally:\n    print(sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", asked],
        check=True,
        capture_output=True,
        text=True,
        env={
            **environment(tmp_path),
            "_SCOOPJOY_COMPLETE": "bash_complete",
            "COMP_WORDS": "scoopjoy close --date ",
            "COMP_CWORD": "3",
        },
    )
    assert done.stdout.count("plain,") == 14
    assert not [name for name in HEAVY if f"'{name}'" in done.stderr]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_each_shell_asks_this_program(shell: str, tmp_path: Path) -> None:
    done = scoopjoy("completion", shell, environment=environment(tmp_path))
    assert done.code == 0
    assert f"_SCOOPJOY_COMPLETE={shell}_complete" in done.out
    if shutil.which(shell):
        subprocess.run([shell, "-n"], check=True, input=done.out, text=True)


def test_bash_completes_with_the_script(tmp_path: Path) -> None:
    script = (
        'eval "$(scoopjoy completion bash)"\n'
        "COMP_WORDS=(scoopjoy close --only inv); COMP_CWORD=3\n"
        "_scoopjoy_completion scoopjoy inv --only\n"
        'echo "${COMPREPLY[@]}"\n'
    )
    variables = environment(tmp_path)
    done = subprocess.run(
        ["bash", "-c", script],
        check=True,
        capture_output=True,
        text=True,
        env={**variables, "PATH": f"{SCOOPJOY.parent}{os.pathsep}{variables['PATH']}"},
    )
    assert done.stdout == "invoices\n"


def test_an_unknown_shell_is_one_sentence(tmp_path: Path) -> None:
    done = scoopjoy("completion", "tcsh", environment=environment(tmp_path))
    assert done.code == 3
    assert "'tcsh' is not one of 'bash', 'zsh', 'fish'" in done.err


# -- the nearest right name -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["clsoe"], "No such command 'clsoe'. Did you mean 'close'?"),
        (["close", "--dry"], "Did you mean '--dry-run'?"),
        (["close", "--only", "Royalty"], "Did you mean 'royalties'?"),
        (["close", "--only", "hq-sync"], "Did you mean 'hq_sync'?"),
    ],
)
def test_a_wrong_name_on_the_command_line_is_answered_with_the_nearest(
    command: Command, args: list[str], sentence: str
) -> None:
    done = command(*args)
    assert done.code == 3
    assert sentence in done.sentences


def test_a_misspelt_setting_is_named_by_the_setting_that_is_missing(command: Command) -> None:
    done = command("close", SCOOPJOY_GO_LIVE=None, SCOOPJOY_GOLIVE="2026-01-10")
    assert done.code == 3
    assert "SCOOPJOY_GO_LIVE is not set: " in done.sentences
    assert "Is SCOOPJOY_GOLIVE meant to be SCOOPJOY_GO_LIVE?" in done.sentences


def test_variables_that_nothing_reads_are_warnings_of_the_check(command: Command) -> None:
    done = command(
        "check", SCOOPJOY_DEFAULT_RAET="6", SMTP_HOSTS="x", ERPNEXT_SITE="not ours", SCOOPJOY_ZZZ="1"
    )
    assert done.code == 0, done.text
    assert (
        "SCOOPJOY_DEFAULT_RAET is set, and nothing reads it -> Did you mean SCOOPJOY_DEFAULT_RATE?"
        in done.text
    )
    assert "SMTP_HOSTS is set, and nothing reads it -> Did you mean SMTP_HOST?" in done.text
    assert "SCOOPJOY_ZZZ is set, and nothing reads it" in done.text
    assert "ERPNEXT_SITE" not in done.text


@pytest.mark.parametrize(
    ("name", "value", "meant"),
    [
        ("SCOOPJOY_ROYALTY_ACCOUNT", "Royalty Incom - SJ", "Royalty Income - SJ"),
        ("SCOOPJOY_ROYALTY_ACCOUNT", "Royalty Income", "Royalty Income - SJ"),
        ("SCOOPJOY_RECEIVABLE_ACCOUNT", "debtor - SJ", "Debtors - SJ"),
        ("SCOOPJOY_COST_CENTER", "Mian - SJ", "Main - SJ"),
        ("SCOOPJOY_FRANCHISE_GROUP", "Franchises", "Franchise"),
        ("SCOOPJOY_COMPANY", "Scoop Joy", "ScoopJoy"),
    ],
)
def test_an_unknown_name_of_erpnext_is_answered_with_the_nearest_there(
    world: World, command: Command, name: str, value: str, meant: str
) -> None:
    done = command("check", **{name: value})
    assert done.code == 3
    assert f"{value!r}" in done.text
    assert f"Did you mean {meant!r}?" in done.text
    assert world.writes == 0


def test_a_name_that_is_like_none_gets_no_suggestion(command: Command) -> None:
    done = command("check", SCOOPJOY_COST_CENTER="Warehouse Nashik - SJ")
    assert done.code == 3
    assert "Did you mean" not in done.text
