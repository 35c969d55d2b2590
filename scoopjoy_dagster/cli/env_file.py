"""The `.env` file: its text with comments from the settings' own descriptions, and reading it as a shell would.

`.env.example`, the tables of docs/configuration.md and what `scoopjoy init` writes are made here, so they say the same.
"""

from __future__ import annotations

import os
import re
import stat
import tempfile
import textwrap
from collections.abc import Mapping
from datetime import datetime, time
from decimal import Decimal
from enum import Enum
from pathlib import Path

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from scoopjoy_dagster.settings import ELSEWHERE, Settings, SettingsError, variable

SECTIONS = {
    "ERPNEXT_URL": "ERPNext",
    "SCOOPJOY_GO_LIVE": "The books and the royalty policy",
    "SCOOPJOY_DAY_ENDS_AT": "The nightly run",
    "SMTP_HOST": "Mail",
    "SCOOPJOY_HQ_URL": "Headquarters",
    "SCOOPJOY_UI_URL": "Dagster",
}
"""The variable that begins a section, and the section's name."""

PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,=-]+")
SIGNS = {"$": ("DOLLAR", "'$'"), "`": ("BACKTICK", "'`'")}
"""Signs that some values can only carry by way of a variable of their own: the variable, and how it is written."""

HOW_TO_LOAD = """\
# The program reads the environment, not this file, so load it: set -a; . ./.env; set +a
# or name it with each command: scoopjoy --env-file .env check
# A line that begins with # shows the default. docs/configuration.md explains every setting.
"""


def default_of(field: FieldInfo) -> str | None:
    """The default as one writes it in the environment; None when the setting is required."""
    if field.is_required():
        return None
    value = field.default
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, tuple):
        return ",".join(value)
    if isinstance(value, time):
        return f"{value:%H:%M}"
    if isinstance(value, float | Decimal):
        return f"{value:g}" if isinstance(value, float) else format(value, "f")
    return str(value)


def described() -> list[tuple[str, str, str | None]]:
    """Name, description and default of every setting, in the order of the class."""
    return [
        (variable(key), str(field.description), default_of(field))
        for key, field in Settings.model_fields.items()
    ]


def secrets() -> frozenset[str]:
    """The settings whose value is never shown."""
    fields = Settings.model_fields.items()
    return frozenset(variable(key) for key, field in fields if field.annotation is SecretStr) | {
        "SCOOPJOY_POSTGRES_URL"  # holds a password
    }


def quoted(value: str) -> str:
    """A value so that a POSIX shell, python-dotenv and a service manager read the same.

    They agree on words without special signs and on what stands in quotes, but for a few signs: in double quotes the
    shell expands `$` and a backtick and python-dotenv does not take a backslash before them; in single quotes
    python-dotenv takes a backslash as an escape and the shell does not, and `${` is expanded by python-dotenv. A value
    that no quotes can carry in both is written with `${DOLLAR}` and `${BACKTICK}`, which both expand.
    """
    if PLAIN.fullmatch(value):
        return value
    if not any(sign in value for sign in '"\\$`'):
        return f'"{value}"'
    if not any(sign in value for sign in ("'", "\\", "${")):
        return f"'{value}'"
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    for sign, (name, _) in SIGNS.items():
        escaped = escaped.replace(sign, f"\0{{{name}}}")
    return '"' + escaped.replace("\0", "$") + '"'


def env_text(head: str, values: Mapping[str, str] | None = None) -> str:
    """The text of an env file: every setting with its meaning; those in `values` set, the others as comments.

    What `values` holds besides our settings is kept at the end.
    """
    values = values or {}
    written = {name: quoted(value) for name, value in values.items() if value}
    parts = [head]
    for sign, (name, text) in SIGNS.items():
        if any(f"${{{name}}}" in one for one in written.values()):
            parts.append(f"\n# A {sign} where no quotes can carry it.\n{name}={text}\n")
    for name, description, default in described():
        if name in SECTIONS:
            parts.append(_section(SECTIONS[name]))
        parts.append(_entry(name, description, default, written))
    parts.append(_section("Where the program runs"))
    parts += [_entry(name, description, "", written) for name, description in ELSEWHERE.items()]
    known = {name for name, _, _ in described()} | set(ELSEWHERE)
    others = [f"{name}={text}\n" for name, text in written.items() if name not in known]
    if others:
        parts += [_section("Not settings of this program"), "\n", *others]
    return "".join(parts)


def _section(title: str) -> str:
    return f"\n# -- {title} {'-' * (110 - len(title))}\n"


def _entry(name: str, description: str, default: str | None, written: Mapping[str, str]) -> str:
    comment = textwrap.fill(description, 112, initial_indent="# ", subsequent_indent="# ")
    usual = quoted(default) if default else ""
    if name in written and written[name] != usual:
        return f"\n{comment}\n{name}={written[name]}\n"
    return f"\n{comment}\n{name}=\n" if default is None else f"\n{comment}\n#{name}={usual}\n"


def read_env_file(path: Path) -> dict[str, str]:
    """The variables that an env file sets, as if it were sourced.

    Raises:
        SettingsError: it cannot be read, a line is no assignment, a shell would read it differently, or others can read
            the secrets in it; the text never holds a value.
    """
    from io import StringIO

    from dotenv.parser import parse_stream
    from dotenv.variables import parse_variables

    try:
        with path.open(encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read()
    except (OSError, UnicodeDecodeError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else "it is not UTF-8 text"
        message = f"The settings file {path} cannot be read: {reason}. `scoopjoy init` writes one."
        raise SettingsError(message) from None
    values: dict[str, str] = {}
    for binding in parse_stream(StringIO(text)):
        raw = binding.original.string.lstrip()
        if not raw or raw.startswith("#"):
            continue
        wrong = _unclear(raw.partition("=")[2].strip())
        if binding.error or binding.key is None or binding.value is None:
            wrong = "this is no NAME=value"
        if wrong or binding.key is None or binding.value is None:
            skipped = binding.original.string[: len(binding.original.string) - len(raw)].count("\n")
            message = f"{path}, line {binding.original.line + skipped}: {wrong}."
            raise SettingsError(message)
        literal = raw.partition("=")[2].lstrip().startswith("'")
        known = {**os.environ, **values}
        values[binding.key] = (
            binding.value
            if literal
            else "".join(atom.resolve(known) for atom in parse_variables(binding.value))
        )
    if open_to_all := _open_to_all(mode, values):
        message = f"Every user of this machine can {open_to_all} {path}; run `chmod 600 {path}`."
        raise SettingsError(message)
    ours = {name for name, _ in SIGNS.values()}
    return {name: value for name, value in values.items() if name not in ours}


def _open_to_all(mode: int, values: Mapping[str, str]) -> str:
    """What everybody may do with a file of these values and should not; empty when there is nothing."""
    if mode & stat.S_IWOTH:
        return "write to the settings file"
    secret = any(values.get(name) for name in secrets())
    return "read the secrets in" if secret and mode & stat.S_IROTH else ""


def _unclear(raw: str) -> str:
    """Why a shell would read this value differently than python-dotenv; empty when both read the same."""
    if raw.startswith("'"):
        differs = "\\" in raw
        remedy = "put a value with a backslash into double quotes and double the backslash"
    else:
        # What stays when all that both expand or take as an escape is away.
        rest = re.sub(r"\$\{\w+\}", "", raw)
        rest = re.sub(r'\\["\\]', "", rest) if raw.startswith('"') else rest
        differs = any(sign in rest for sign in "$`\\")
        remedy = "put a value with $, a backtick or a backslash into single quotes, or a backslash doubled into double ones"
    return f"a shell would read this value differently; {remedy}" if differs else ""


def write_env_file(path: Path, text: str, *, force: bool, now: datetime) -> Path | None:
    """Write the file for its owner alone, whole or not at all. Returns where the file that was there is kept.

    Raises:
        SettingsError: it is there already and `force` is not given, or it cannot be written.
    """
    try:
        descriptor, name = tempfile.mkstemp(prefix=".env.", dir=path.parent)  # mode 0600
        new = Path(name)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
            if not force:
                os.link(new, path)  # unlike a rename, this refuses a name that is taken
                return None
            kept = _keep(path, now)
            new.replace(path)
            return kept
        finally:
            new.unlink(missing_ok=True)
    except FileExistsError:
        raise already_there(path) from None
    except OSError as problem:
        message = f"{path} cannot be written: {problem.strerror}."
        raise SettingsError(message) from None


def already_there(path: Path) -> SettingsError:
    """What is said when a file would be overwritten."""
    return SettingsError(
        f"{path} is there already; --force writes it anew with its values as defaults, and keeps a copy."
    )


def _keep(path: Path, now: datetime) -> Path | None:
    """A copy of what is there, for its owner alone."""
    if not path.exists():
        return None
    kept = path.with_name(f"{path.name}.{now:%Y%m%d-%H%M%S}.kept")
    os.link(path, kept)
    kept.chmod(0o600)
    return kept
