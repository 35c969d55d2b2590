"""What an alert is, whatever it is about: subject, plain text, an HTML page, and a short text for chat channels. Pure.

What belongs here: the shape, the links, the rendering, and the words that several kinds of alerts share. What does not:
what an alert of one kind says (`messages`, `digests`, `control_warnings`, `recovery`), and sending.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cache
from textwrap import shorten
from typing import TYPE_CHECKING, Any, Literal

from scoopjoy_dagster.automation.channels import inert
from scoopjoy_dagster.partitions import BACKFILL_TAG, ZONE

if TYPE_CHECKING:
    from jinja2 import Environment

MAX_ROWS = 20
"""Rows of a table in a mail; the rest is counted, and one click away in Dagster."""

SHOWN_DAYS = 5
"""Business days that are named one by one."""

SUBJECT_DAYS = 3
"""The same in a subject."""

BRIEF_ROWS = 3
"""Rows of a table in a chat channel: some take a thousand characters and no more."""

MAX_TEXT = 600
"""Characters of one message: ERPNext may answer with a page."""

MAX_BRIEF = 200
"""Characters of one message in a chat channel."""

MAX_CAUSE = 60
"""Characters of a cause in a subject."""

RUNBOOK = "docs/operations.md"
"""Where the runbook lies in the project; shown when no address of it is set."""

ADOPTED = "Nothing is posted or sent twice."


@dataclass(frozen=True, slots=True)
class Links:
    """What alerts lead to: Dagster's UI, the ERPNext site, the runbook (each empty for none), and how the program is
    called by hand where the service runs.
    """

    ui: str = ""
    erpnext: str = ""
    runbook: str = ""
    program: str = "scoopjoy"

    def run(self, run_id: str) -> tuple[str, str]:
        """The run in Dagster, as a label and an address."""
        return "Run in Dagster", f"{self.ui}/runs/{run_id}" if self.ui else ""

    def backfill(self, tag: str, backfill: str) -> tuple[str, str]:
        """The backfill in Dagster; of the command line's, which Dagster does not know, its runs, by their tag."""
        path = f"/runs/b/{backfill}" if tag == BACKFILL_TAG else f"/runs?q[0]=tag:{tag}={backfill}"
        return "Backfill in Dagster", f"{self.ui}{path}" if self.ui else ""

    def batch_run(self, day: str) -> tuple[str, str]:
        """The Batch Runs of a business day (ISO) in ERPNext; without a day there is none."""
        url = f"{self.erpnext}/app/batch-run?run_date={day}" if self.erpnext and day else ""
        return "Batch Run in ERPNext", url

    def page(self, anchor: str) -> str:
        """The place in the runbook: an address, or the path in the project when no address is set."""
        return f"{self.runbook or RUNBOOK}#{anchor}"


@dataclass(frozen=True, slots=True)
class Row:
    """A row of an alert's table: two cells that head it, what is said, and what to do (may be empty)."""

    cells: tuple[str, str]
    said: str
    todo: str = ""
    severe: bool = True


@dataclass(frozen=True, slots=True)
class Alert:
    """A message to be sent once to each recipient and once to each channel.

    Attributes:
        key: names it whenever it is composed.
        day: business day (ISO) that its Message-ID is made of.
        subject: begins with `[CRITICAL]`, `[WARNING]` or `[RECOVERED]`.
        text: plain text, with the subject as its first line.
        html: the same as a page.
        brief: the same for a chat channel, without the subject; only our own links in it are alive.
        about: what an alert and its recovery have in common: days, or a backfill. A recovery may answer several.
    """

    key: str
    day: str
    subject: str
    text: str
    html: str
    brief: str

    about: tuple[str, ...]

    @property
    def severity(self) -> Literal["critical", "warning", "recovered"]:
        """How bad it is; the subject says it."""
        if self.subject.startswith("[WARNING]"):
            return "warning"
        return "recovered" if self.subject.startswith("[RECOVERED]") else "critical"


def compose(
    *,
    key: str,
    days: Sequence[str],
    ended: datetime,
    subject: str,
    lead: Sequence[str],
    todo: str = "",
    runbook: str = "",
    command: str = "",
    links: Sequence[tuple[str, str]] = (),
    facts: Sequence[tuple[str, str]] = (),
    rows: Sequence[Row] = (),
    title: str = "Exceptions",
    about: Sequence[str] = (),
    when: str = "Failed at",
) -> Alert:
    """The alert with this content.

    Args:
        key: names it whenever it is composed.
        days: business days (ISO), oldest first; may be empty.
        ended: when what it tells of happened, an aware moment.
        subject: with its severity in front.
        lead: first lines; empty ones are left out.
        todo: what to do now.
        runbook: where the runbook says more.
        command: what to type.
        links: labels and addresses; those without an address are left out.
        facts: names and values; those without a value are left out.
        rows: the table.
        title: what stands above the table.
        about: see `Alert`; empty: the days.
        when: what `ended` is called.
    """
    more = f" and {len(days) - SHOWN_DAYS} more" if len(days) > SHOWN_DAYS else ""
    first = ("Business day" if len(days) == 1 else "Business days", ", ".join(days[:SHOWN_DAYS]) + more)
    content: dict[str, Any] = {
        "subject": subject,
        "lead": [line for line in lead if line],
        "facts": [(name, value) for name, value in [first, (when, clock_time(ended)), *facts] if value],
        "rows": rows,
        "title": title,
        "max_rows": MAX_ROWS,
        "todo": todo,
        "runbook": runbook,
        "command": command,
        "links": [(label, url) for label, url in links if url],
        "key": key,
    }
    short = {
        **content,
        "max_rows": BRIEF_ROWS,
        "lead": [inert(cut(line, MAX_BRIEF)) for line in content["lead"]],
        "facts": [(name, inert(value)) for name, value in content["facts"]],
        "rows": [
            Row(
                (inert(row.cells[0]), inert(row.cells[1])),
                inert(cut(row.said, MAX_BRIEF)),
                row.todo,
                row.severe,
            )
            for row in rows
        ],
    }
    day = days[0] if days else ended.astimezone(ZONE).date().isoformat()
    alert = Alert(key, day, subject, "", "", "", tuple(about) or (span(days) or key,))
    content["severity"] = alert.severity
    templates = _environment()
    return replace(
        alert,
        text=templates.get_template("alert.txt.j2").render(content),
        html=templates.get_template("alert.html.j2").render(content),
        brief=templates.get_template("alert.brief.j2").render(short).strip(),
    )


def clock_time(moment: datetime) -> str:
    """A moment as people read it."""
    return f"{moment.astimezone(ZONE):%Y-%m-%d %H:%M} IST"


def span(days: Sequence[str]) -> str:
    """Days as a key: one day, or the first and the last."""
    return days[0] if len(days) == 1 else f"{days[0]}..{days[-1]}" if days else ""


def close_command(days: Sequence[str], only: str = "", program: str = "scoopjoy") -> str:
    """The command that closes these days; `only` names the one asset that is left to do."""
    match list(days):
        case []:
            return ""
        case [day]:
            return f"{program} close --date {day}" + (f" --only {only}" if only else "")
        case several:
            return repair_command(several, program)


def repair_command(days: Sequence[str], program: str = "scoopjoy") -> str:
    """The command that closes these days; days between them that are settled cost nothing."""
    return f"{program} backfill --from {min(days)} --to {max(days)}"


def named(days: Sequence[str]) -> str:
    """Days (ISO, oldest first) as a subject names them: each of a few, the ends of a range, the first of many others."""
    dates = [date.fromisoformat(day) for day in days]
    shown = [f"{one:%-d %b}" for one in dates]
    if len(shown) <= SUBJECT_DAYS:
        return ", ".join(shown)
    whole = (dates[-1] - dates[0]).days == len(dates) - 1
    return f"{shown[0]} to {shown[-1]}" if whole else f"{shown[0]} and {len(shown) - 1} more"


def titled(subject: str, days: Sequence[str], cause: str = "") -> str:
    """A subject with the days that it is about, and why."""
    short = shorten(cause.strip().rstrip("."), MAX_CAUSE, placeholder=" ...")
    why = ": ".join(filter(None, (named(days), short)))
    return f"{subject} ({why})" if why else subject


def cut(text: str, limit: int = MAX_TEXT) -> str:
    """Head and tail of a long text: the tail often holds the cause."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]} ... {text[-half:]}"


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    return Environment(
        loader=PackageLoader("scoopjoy_dagster.automation", "templates"),
        # By name: the page is escaped, the plain text is not.
        autoescape=select_autoescape(enabled_extensions=("html.j2",), default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
