"""What an alert says: from the facts of a failed run to a subject, a plain text and an HTML page. Pure.

What belongs here: severity, wording, what to do. What does not: reading Dagster (`facts`), sending (`outbox`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from scoopjoy_dagster.automation.steps import is_watchdog, step_of
from scoopjoy_dagster.partitions import ZONE

if TYPE_CHECKING:
    from jinja2 import Environment

MAX_ROWS = 20
"""Rows of a table in a mail; the rest is counted, and one click away in Dagster."""

MAX_TEXT = 600
"""Characters of one message: ERPNext may answer with a page."""

NO_STEP = "no step failure recorded"
FINDING_COLUMNS = ("What", "Who", "Message", "What to do")
DIGEST_COLUMNS = ("Day", "Step", "Message")


@dataclass(frozen=True, slots=True)
class FailedStep:
    """A step of a run that failed.

    Attributes:
        key: Dagster's step key.
        message: What the step said.
        exceptions: Rows of the step's exception table: severity, what, who, message, action.
        figures: Values of the check that failed, by name; empty for a step that is no check.
    """

    key: str
    message: str
    exceptions: tuple[Mapping[str, str], ...] = ()
    figures: Mapping[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The step's name for people."""
        step = step_of(self.key)
        return step.title if step else self.key

    @property
    def critical(self) -> bool:
        """Whether the steps after it were not run; a step that is not known is taken for critical."""
        step = step_of(self.key)
        return step.critical if step else True


@dataclass(frozen=True, slots=True)
class FailedRun:
    """A run that failed. `days` are business days (ISO), oldest first; `ended` is an aware moment."""

    run_id: str
    job: str
    days: tuple[str, ...]
    backfill: str | None
    steps: tuple[FailedStep, ...]
    reason: str
    ended: datetime


@dataclass(frozen=True, slots=True)
class Alert:
    """A mail to be sent once to each recipient. `key` names it whenever it is composed."""

    key: str
    day: str
    subject: str
    text: str
    html: str


def run_alerts(run: FailedRun, ui_url: str) -> list[Alert]:
    """One alert for each step that failed, or one that says that no step did (the worker was lost, the run was ended)."""
    if not run.steps:
        return [_lost_run(run, ui_url)]
    return [
        _overdue_days(run, step, ui_url)
        if is_watchdog(step.key) and step.figures
        else _step(run, step, ui_url)
        for step in run.steps
    ]


def backfill_digest(backfill: str, runs: Sequence[FailedRun], days: int, ui_url: str) -> Alert:
    """One alert for a backfill that has ended.

    Args:
        backfill: Dagster's id of the backfill.
        runs: Its failed runs that nothing has made good, by day.
        days: How many days it worked on.
        ui_url: Address of Dagster's UI; empty for none.
    """
    failed = sorted({day for run in runs for day in run.days})
    rows = [
        (", ".join(run.days[:3]) or "no day", step.title, _short(step.message))
        for run in runs
        for step in (run.steps or (FailedStep(run.job, run.reason or NO_STEP),))
    ]
    return _alert(
        # The runs are part of the key: one that fails later, under the same backfill, is news.
        key=":".join([backfill, *sorted(run.run_id for run in runs)]),
        run=runs[0],
        subject=f"[CRITICAL] Backfill {backfill}: {len(failed)} of {days} days failed",
        lead=[
            f"The backfill {backfill} has ended. {len(failed)} of its {days} business days are not closed."
        ],
        columns=DIGEST_COLUMNS,
        rows=rows,
        todo="Mend what the messages name, then run the days again. What was written is adopted, never written twice.",
        command=_command(failed),
        link=f"{ui_url}/runs/b/{backfill}" if ui_url else "",
    )


def _step(run: FailedRun, step: FailedStep, ui_url: str) -> Alert:
    known = step_of(step.key)
    if step.critical:
        subject = f"[CRITICAL] Batch pipeline failed at: {step.title}"
        consequence = "Pipeline aborted."
    else:
        subject = f"[WARNING] Batch step failed: {step.title}"
        consequence = "Pipeline continuing with remaining steps."
    rows = [
        tuple(_short(row.get(name, "")) for name in ("what", "who", "message", "action"))
        for row in sorted(step.exceptions, key=lambda row: row.get("severity") != "error")
    ]
    return _alert(
        key=f"{run.run_id}:{step.key}",
        run=run,
        subject=subject,
        lead=[consequence, _short(step.message)],
        facts=[("Step", step.title), *_figures(step.figures)],
        columns=FINDING_COLUMNS,
        rows=rows,
        todo="Mend what the message names, then close the day again. What was written is adopted, never written twice.",
        command=_command(run.days) if known else "",
        link=_run_link(run, ui_url),
    )


def _lost_run(run: FailedRun, ui_url: str) -> Alert:
    return _alert(
        key=f"{run.run_id}:",
        run=run,
        subject=f"[CRITICAL] Batch pipeline failed at: {NO_STEP}",
        lead=[
            "Pipeline aborted.",
            f"The run of {run.job} failed with {NO_STEP}: its process was lost, never started, or took too long.",
            _short(run.reason),
        ],
        todo="Look at the run, then close the day again. What was written is adopted, never written twice.",
        command=_command(run.days),
        link=_run_link(run, ui_url),
    )


def _overdue_days(run: FailedRun, step: FailedStep, ui_url: str) -> Alert:
    count = step.figures.get("overdue_days", "?")
    return _alert(
        key=f"{run.run_id}:{step.key}",
        run=run,
        subject=f"[CRITICAL] Business days not closed: {count}",
        lead=[_short(step.message)],
        facts=[("Oldest days", step.figures.get("oldest", ""))],
        todo="Find out why in Dagster's runs of these days, then close them:",
        command=step.figures.get("repair", ""),
        link=_run_link(run, ui_url),
    )


def _alert(
    *,
    key: str,
    run: FailedRun,
    subject: str,
    lead: Sequence[str],
    todo: str,
    command: str,
    link: str,
    facts: Sequence[tuple[str, str]] = (),
    columns: Sequence[str] = (),
    rows: Sequence[tuple[str, ...]] = (),
) -> Alert:
    content: dict[str, Any] = {
        "subject": subject,
        "critical": subject.startswith("[CRITICAL]"),
        "lead": [line for line in lead if line],
        "facts": [*_when(run), *facts],
        "columns": columns,
        "rows": rows[:MAX_ROWS],
        "more": max(0, len(rows) - MAX_ROWS),
        "todo": todo,
        "command": command,
        "link": link,
    }
    return Alert(
        key=key,
        day=run.days[0] if run.days else run.ended.astimezone(ZONE).date().isoformat(),
        subject=subject,
        text=_environment().get_template("alert.txt.j2").render(content),
        html=_environment().get_template("alert.html.j2").render(content),
    )


def _when(run: FailedRun) -> list[tuple[str, str]]:
    facts = [("Failed at", f"{run.ended.astimezone(ZONE):%Y-%m-%d %H:%M} IST")]
    if run.days:
        more = f" and {len(run.days) - 5} more" if len(run.days) > 5 else ""
        name = "Business day" if len(run.days) == 1 else "Business days"
        facts.insert(0, (name, ", ".join(run.days[:5]) + more))
    return facts


def _figures(figures: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(name.replace("_", " ").capitalize(), _short(value)) for name, value in figures.items()]


def _command(days: Sequence[str]) -> str:
    match list(days):
        case []:
            return ""
        case [day]:
            return f"scoopjoy close --date {day}"
        case several:
            return repair_command(several)


def repair_command(days: Sequence[str]) -> str:
    """The command that closes these days; days between them that are settled cost nothing."""
    return f"scoopjoy backfill --from {min(days)} --to {max(days)}"


def _run_link(run: FailedRun, ui_url: str) -> str:
    return f"{ui_url}/runs/{run.run_id}" if ui_url else ""


def _short(text: str) -> str:
    """Head and tail of a long text: the tail often holds the cause."""
    if len(text) <= MAX_TEXT:
        return text
    half = MAX_TEXT // 2
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
