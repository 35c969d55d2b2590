"""`scoopjoy init`: the settings asked one by one, judged at once, and written to an env file.

Secrets are never options: whoever lists the processes of the machine reads the arguments of all. They are asked without
an echo, or come from a file, standard input or the environment.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path

import click

from scoopjoy_dagster.cli.env_file import (
    HOW_TO_LOAD,
    already_there,
    described,
    env_text,
    read_env_file,
    secrets,
    write_env_file,
)
from scoopjoy_dagster.cli.questions import COMPANY, QUESTIONS, SITE, Question
from scoopjoy_dagster.nearest import did_you_mean
from scoopjoy_dagster.settings import ELSEWHERE, SettingsError, load_settings, refusal


def given_values(options: Mapping[str, str | None], more: tuple[str, ...]) -> dict[str, str]:
    """The settings that the command line gives, by name of their variable.

    Args:
        options: by variable, the value of its option; for a secret the file to read it from, `-` for standard input.
        more: `NAME=VALUE` of any other setting.

    Raises:
        SettingsError: a file cannot be read, or one of `more` is no setting, or a secret.
    """
    values: dict[str, str] = {}
    for name, value in options.items():
        if value is not None:
            values[name] = _secret_of(name, value) if name in secrets() else value
    known = [name for name, _, _ in described()] + list(ELSEWHERE)
    for one in more:
        name, sign, value = one.partition("=")
        if not sign or name not in known:
            message = f"--set {name!r} is no setting; write NAME=VALUE{did_you_mean(name, known) or '.'}"
            raise SettingsError(message)
        if name in secrets():
            message = f"--set {name} would show a secret to everybody who lists processes; use its file option or the environment."
            raise SettingsError(message)
        values[name] = value
    return values


def _secret_of(name: str, file: str) -> str:
    try:
        text = sys.stdin.readline() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else "it is not UTF-8 text"
        message = f"The file {file} for {name} cannot be read: {reason}."
        raise SettingsError(message) from None
    return text.rstrip("\r\n")


def complete(values: Mapping[str, str]) -> dict[str, str]:
    """The values without asking, seen to be enough and right.

    Raises:
        SettingsError: a sentence that lists the options that are missing, or one for each wrong value.
    """
    missing = [one for one in QUESTIONS if not values.get(one.name) and _needed(one, values)]
    if missing:
        listed = ", ".join(
            f"{one.option} FILE (or {one.name})" if one.secret else one.option for one in missing
        )
        message = f"Without a terminal or with --no-input nothing is asked, and these are missing: {listed}."
        raise SettingsError(message)
    return _judged(values)


def _judged(values: Mapping[str, str]) -> dict[str, str]:
    for name, value in values.items():
        if problem := _wrong(name, value, values):
            raise SettingsError(problem)
    load_settings(values)
    return dict(values)


def _wrong(name: str, value: str, values: Mapping[str, str]) -> str:
    if not value.replace("\n", " ").isprintable():
        return f"{name} is wrong: it must have no control characters."
    return refusal(name, {**values, name: value})


def _needed(question: Question, values: Mapping[str, str]) -> bool:
    optional = question.may_be_empty or _default(question.name)
    return not optional and (not question.follows or bool(values.get(question.follows)))


def _default(name: str) -> str:
    return next((default or "" for one, _, default in described() if one == name), "")


def ask(given: Mapping[str, str], before: Mapping[str, str], last_day: date) -> dict[str, str]:
    """Ask for what is not given; what was there before and the settings' own defaults are offered.

    Args:
        given: by the command line; these are not asked, only judged.
        before: from the environment, or from the file that is written anew.
        last_day: the last business day that has ended, offered as go-live.

    Raises:
        SettingsError: a given value is wrong, or the answers do not belong together.
    """
    values = {**before, **given}
    for name, value in given.items():
        if problem := _wrong(name, value, values):
            raise SettingsError(problem)
    offered = {"SCOOPJOY_GO_LIVE": last_day.isoformat(), **before}
    for question in QUESTIONS:
        if question.follows and not values.get(question.follows):
            values.pop(question.name, None)
        elif question.name == COMPANY:
            values[COMPANY] = _ask_company(values, offered, given)
        elif question.name not in given:
            values[question.name] = _ask_one(question, values, offered.get(question.name, ""))
    return _judged(values)


def _ask_one(question: Question, values: Mapping[str, str], before: str) -> str:
    """Ask until the answer is one that the setting takes."""
    hidden = question.secret
    default = before or _default(question.name)
    text = f"{question.text} (Enter keeps the present one)" if hidden and default else question.text
    while True:
        answer = click.prompt(
            text,
            default=default or ("" if question.may_be_empty else None),
            show_default=bool(default) and not hidden,
            hide_input=hidden,
            err=True,
        ).strip()
        problem = _wrong(question.name, answer, values) if answer else ""
        if answer and not problem:
            return str(answer)
        if not answer and question.may_be_empty:
            return ""
        click.echo(problem or f"{question.name} cannot be empty.", err=True)


def _ask_company(values: dict[str, str], offered: Mapping[str, str], given: Mapping[str, str]) -> str:
    """The company: looked up with the key, so that a wrong key shows here, and asked only if there are several."""
    while True:
        companies, problem = _companies(values)
        if not problem:
            break
        click.echo(problem, err=True)
        if not click.confirm("Ask for the address and the key again?", default=True, err=True):
            return given.get(COMPANY, offered.get(COMPANY, ""))
        for question in QUESTIONS:
            if question.name in SITE:
                values[question.name] = _ask_one(question, values, values[question.name])
    wanted = given.get(COMPANY)
    if wanted is not None:
        if wanted and wanted not in companies:
            message = f"ERPNext has no Company {wanted!r} that this user may read{did_you_mean(wanted, companies) or '.'}"
            raise SettingsError(message)
        return wanted
    if len(companies) < 2:
        click.echo(f"Company: {companies[0] if companies else 'none that this user may read'}", err=True)
        return "".join(companies)
    for number, company in enumerate(companies, start=1):
        click.echo(f"  {number}  {company}", err=True)
    before = companies.index(offered[COMPANY]) + 1 if offered.get(COMPANY) in companies else None
    number = click.prompt(
        f"ERPNext has {len(companies)} companies; the number of the one to close",
        type=click.IntRange(1, len(companies)),
        default=before,
        err=True,
    )
    return companies[number - 1]


def with_company(values: Mapping[str, str]) -> dict[str, str]:
    """The values with the company of the site where none is given and there is one only: a second one changes nothing later."""
    companies = [] if values.get(COMPANY) else _companies(values)[0]
    return {**values, COMPANY: companies[0]} if len(companies) == 1 else dict(values)


def _companies(values: Mapping[str, str]) -> tuple[list[str], str]:
    """The companies that the user may read, and why they could not be asked for (empty when they could)."""
    from scoopjoy_dagster.erpnext.client import Client
    from scoopjoy_dagster.erpnext.errors import ERPNextError
    from scoopjoy_dagster.erpnext.session import RetryRule, Session

    url, key, secret = (values[name] for name in SITE)
    try:
        with Session(
            url, key, secret, ca_bundle=values.get("ERPNEXT_CA_BUNDLE", ""), retry=RetryRule(attempts=1)
        ) as session:
            return [str(row["name"]) for row in Client(session).rows("Company", ["name"], [])], ""
    except ERPNextError as problem:
        return [], str(problem)


def present(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """The settings that the environment holds."""
    environment = os.environ if environment is None else environment
    names = [name for name, _, _ in described()] + list(ELSEWHERE)
    return {name: environment[name] for name in names if environment.get(name)}


def how_to_load(path: Path) -> str:
    """How the settings get from the file into a program."""
    shown = _shell(path)
    return (
        "The program reads the environment. For this shell:\n"
        f"    set -a; . {shown}; set +a\n"
        f"or for one command: scoopjoy --env-file {shown} check\n"
        f"systemd reads it with EnvironmentFile={path.resolve()}, a compose file with `env_file: {path}`."
    )


def _shell(path: Path) -> str:
    """The path as one types it; `.` looks along PATH for a name without a slash."""
    import shlex

    text = str(path)
    return shlex.quote(text if "/" in text else f"./{text}")


def run_init(given: dict[str, str], path: Path, *, force: bool, asking: bool, now: datetime) -> Path:
    """Ask or take what is given, write the file, and put its settings into this process's environment.

    Args:
        given: by the command line.
        path: the file.
        force: write over a file that is there; its values are offered, and a copy is kept.
        asking: whether questions may be asked.
        now: the time.

    Raises:
        SettingsError: the file is there already, a value is missing or wrong, or nothing can be written.
    """
    from scoopjoy_dagster.partitions import last_ended_day

    if path.exists() and not force:
        raise already_there(path)
    before = {**(read_env_file(path) if path.exists() else {}), **present()}
    values = (
        ask(given, before, last_ended_day(now)) if asking else with_company(complete({**before, **given}))
    )
    head = f"# Settings of scoopjoy_dagster, written by `scoopjoy init` on {now:%Y-%m-%d}. Holds secrets: keep it to yourself.\n"
    kept = write_env_file(path, env_text(head + HOW_TO_LOAD, values), force=force, now=now)
    click.echo(
        f"Wrote {path} (mode 600)." + (f" What was there is kept as {kept}." if kept else ""), err=True
    )
    for name in present():
        del os.environ[name]
    os.environ.update({name: value for name, value in values.items() if value})
    return path
