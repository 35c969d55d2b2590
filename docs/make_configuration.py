"""Write what follows from `scoopjoy_dagster.settings.Settings`: the table in docs/configuration.md, and .env.example.

    .venv/bin/python docs/make_configuration.py

The tests compare both files with what this script makes, so neither can fall behind the code.
"""

# ruff: noqa: INP001 - a script, no package

from __future__ import annotations

from pathlib import Path

from scoopjoy_dagster.cli.env_file import HOW_TO_LOAD, SECTIONS, default_of, described, env_text
from scoopjoy_dagster.settings import ELSEWHERE

__all__ = ["configuration", "default_of", "example"]

PROJECT = Path(__file__).resolve().parents[1]
CONFIGURATION = PROJECT / "docs" / "configuration.md"
EXAMPLE = PROJECT / ".env.example"
BEGIN, END = "<!-- settings: begin -->", "<!-- settings: end -->"

HEAD = f"""\
# Settings of scoopjoy_dagster. Made by docs/make_configuration.py; `scoopjoy init` asks for them and writes a .env.
# By hand: copy to .env, fill in, `chmod 600 .env`; it is never committed.
{HOW_TO_LOAD}\
# `make demo` needs none of them: it brings its own ERPNext, headquarters, mail server and PostgreSQL.
"""


def table() -> str:
    """The settings as markdown tables, one for each section."""
    lines: list[str] = []
    for name, description, default in described():
        if name in SECTIONS:
            lines += [f"\n### {SECTIONS[name]}\n", "| Variable | Meaning | Default |", "|---|---|---|"]
        shown = "**required**" if default is None else f"`{default}`" if default else "empty"
        lines.append(f"| `{name}` | {description} | {shown} |")
    lines += ["\n### Where the program runs\n", "| Variable | Meaning | Default |", "|---|---|---|"]
    lines += [f"| `{name}` | {description} | empty |" for name, description in ELSEWHERE.items()]
    return "\n".join(lines).lstrip("\n")


def example() -> str:
    """The text of .env.example."""
    return env_text(HEAD)


def configuration(text: str) -> str:
    """The text of docs/configuration.md with the present table between its marks."""
    head, _, rest = text.partition(BEGIN)
    return f"{head}{BEGIN}\n{table()}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    EXAMPLE.write_text(example(), encoding="utf-8")
    CONFIGURATION.write_text(configuration(CONFIGURATION.read_text(encoding="utf-8")), encoding="utf-8")
