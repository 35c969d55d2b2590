"""Write what follows from `scoopjoy_dagster.settings.Settings`: the table in docs/configuration.md, and .env.example.

    .venv/bin/python docs/make_configuration.py

The tests compare both files with what this script makes, so neither can fall behind the code.
"""

# ruff: noqa: INP001 - a script, no package

from __future__ import annotations

import textwrap
from decimal import Decimal
from enum import Enum
from pathlib import Path

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from scoopjoy_dagster.settings import Settings, variable

PROJECT = Path(__file__).resolve().parents[1]
CONFIGURATION = PROJECT / "docs" / "configuration.md"
EXAMPLE = PROJECT / ".env.example"
BEGIN, END = "<!-- settings: begin -->", "<!-- settings: end -->"

SECTIONS = {
    "ERPNEXT_URL": "ERPNext",
    "SCOOPJOY_GO_LIVE": "The books and the royalty policy",
    "SCOOPJOY_CLOSING_DEADLINE_S": "The nightly run",
    "SMTP_HOST": "Mail",
    "SCOOPJOY_HQ_URL": "Headquarters",
    "SCOOPJOY_UI_URL": "Dagster",
}
"""The variable that begins a section, and the section's name."""

HEAD = """\
# Settings of scoopjoy_dagster. Made by docs/make_configuration.py; docs/configuration.md explains them.
# Copy to .env, fill in, `chmod 600 .env`; it is never committed. The program reads the environment, not this file:
#     set -a; . ./.env; set +a
# A line that begins with # shows the default. `make demo` needs none of them: it brings its own ERPNext, headquarters,
# mail server and PostgreSQL.
"""

ELSEWHERE = (
    (
        "SCOOPJOY_POSTGRES_URL",
        (
            "PostgreSQL for Dagster's record of runs, postgresql+psycopg2://USER:PASSWORD@HOST:PORT/DATABASE; "
            "empty: one is brought along and kept in SCOOPJOY_DIRECTORY"
        ),
    ),
    (
        "SCOOPJOY_DIRECTORY",
        "Where the `scoopjoy` command keeps local state; empty: `.scoopjoy` at the top of the project",
    ),
)
"""Variables that are not part of Settings: they say where the program itself runs."""


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
    if isinstance(value, float | Decimal):
        return f"{value:g}" if isinstance(value, float) else format(value, "f")
    return str(value)


def settings() -> list[tuple[str, str, str | None]]:
    """Name, description and default of every setting, in the order of the class."""
    return [
        (variable(key), str(field.description), default_of(field))
        for key, field in Settings.model_fields.items()
    ]


def table() -> str:
    """The settings as markdown tables, one for each section."""
    lines: list[str] = []
    for name, description, default in settings():
        if name in SECTIONS:
            lines += [f"\n### {SECTIONS[name]}\n", "| Variable | Meaning | Default |", "|---|---|---|"]
        shown = "**required**" if default is None else f"`{default}`" if default else "empty"
        lines.append(f"| `{name}` | {description} | {shown} |")
    lines += ["\n### Where the program runs\n", "| Variable | Meaning | Default |", "|---|---|---|"]
    lines += [f"| `{name}` | {description} | empty |" for name, description in ELSEWHERE]
    return "\n".join(lines).lstrip("\n")


def quoted(value: str) -> str:
    """A value as a shell and systemd read it alike."""
    return f'"{value}"' if " " in value else value


def example() -> str:
    """The text of .env.example."""
    parts = [HEAD]
    for name, description, default in settings():
        if name in SECTIONS:
            parts.append(f"\n# -- {SECTIONS[name]} {'-' * (110 - len(SECTIONS[name]))}\n")
        comment = textwrap.fill(description, 112, initial_indent="# ", subsequent_indent="# ")
        parts.append(
            f"\n{comment}\n{name}=\n" if default is None else f"\n{comment}\n#{name}={quoted(default)}\n"
        )
    parts.append(f"\n# -- Where the program runs {'-' * 88}\n")
    for name, description in ELSEWHERE:
        comment = textwrap.fill(description, 112, initial_indent="# ", subsequent_indent="# ")
        parts.append(f"\n{comment}\n#{name}=\n")
    return "".join(parts)


def configuration(text: str) -> str:
    """The text of docs/configuration.md with the present table between its marks."""
    head, _, rest = text.partition(BEGIN)
    return f"{head}{BEGIN}\n{table()}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    EXAMPLE.write_text(example(), encoding="utf-8")
    CONFIGURATION.write_text(configuration(CONFIGURATION.read_text(encoding="utf-8")), encoding="utf-8")
