"""Alerts of a run that failed: one for each step, or one that says that no step did. Pure.

What belongs here: severity, wording, what to do. What does not: reading Dagster (`facts`), sending (`delivery`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from scoopjoy_dagster.automation.alert import (
    ADOPTED,
    SHOWN_DAYS,
    Alert,
    Links,
    Row,
    close_command,
    compose,
    cut,
    named,
    span,
    titled,
)
from scoopjoy_dagster.automation.jobs import WATCH_JOB, is_watchdog
from scoopjoy_dagster.instance import REMEDY
from scoopjoy_dagster.settings import WATCHDOG_AT
from scoopjoy_dagster.steps import step_of

NO_STEP = "no step failure recorded"
LOST = "when-something-is-down"
OVERDUE = "re-run-and-backfill"
ANY_STEP = "any-step"
"""Places in the runbook: of a run without a failed step, of days not closed, and of findings that every step can have."""


class Outlook(StrEnum):
    """Whether a failure heals by itself, and when: what an alert says of it."""

    UNKNOWN = ""
    AGAIN = f"It is tried again by itself every 15 minutes until {WATCHDOG_AT:%H:%M}."
    MAY_HEAL = "The cause can pass by itself. Run the command below when it has."
    STAYS = "It will not clear by itself. Please act."


@dataclass(frozen=True, slots=True)
class FailedStep:
    """A step of a run that failed.

    Attributes:
        key: Dagster's step key.
        message: What the step said.
        exceptions: Rows of the step's exception table: severity, what, who, message, action.
        figures: Values of the check that failed, by name; empty for a step that is no check.
        cause: Why, in a few words, for a subject; empty where only `message` says it.
    """

    key: str
    message: str
    exceptions: tuple[Mapping[str, str], ...] = ()
    figures: Mapping[str, str] = field(default_factory=dict)
    cause: str = ""

    @property
    def title(self) -> str:
        """The step's name for people."""
        step = step_of(self.key)
        return step.title if step else self.key

    @property
    def critical(self) -> bool:
        """Whether the steps after it were not run. Of what is no step of the close, only the watchdog's check is: it guards it."""
        step = step_of(self.key)
        return step.critical if step else is_watchdog(self.key)

    @property
    def ordered(self) -> list[Mapping[str, str]]:
        """Its exceptions, errors first."""
        return sorted(self.exceptions, key=lambda row: row.get("severity") != "error")

    @property
    def why(self) -> str:
        """Why, in a few words: for a subject."""
        if self.cause or not self.exceptions:
            return self.cause
        return self.ordered[0].get("what", "")

    @property
    def said(self) -> str:
        """What went wrong, in a sentence for people."""
        if not self.exceptions:
            return self.message
        first = self.ordered[0]
        others = sum(row.get("severity") == "error" for row in self.exceptions) - 1
        more = f" (and {others} more)" if others > 0 else ""
        return f"{self.why} - {first.get('who')}: {first.get('message')}{more}"

    @property
    def page(self) -> str:
        """The place in the runbook that says what to do; empty for a step that is not of the close."""
        first = self.ordered[0].get("what", "") if self.exceptions else ""
        if first == "day in work" or first.startswith("ERPNext: ") or first.endswith("failed unexpectedly"):
            return ANY_STEP
        step = step_of(self.key)
        return step.asset if step else ""


@dataclass(frozen=True, slots=True)
class FailedRun:
    """A run that failed.

    Attributes:
        days: business days (ISO) that are not done, oldest first.
        steps: those that failed, in the order in which they did.
        ended: an aware moment.
        done: names for people of the steps that the run did all the same.
        skipped: names of the steps that it was to do and did not.
        batch_run: the business day (ISO) whose Batch Run in ERPNext shows it; empty for none.
        passes: whether the same run may succeed later without anybody.
        outlook: whether it heals by itself.
    """

    run_id: str
    job: str
    days: tuple[str, ...]
    backfill: str | None
    steps: tuple[FailedStep, ...]
    reason: str
    ended: datetime
    done: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    batch_run: str = ""
    passes: bool = False
    outlook: Outlook = Outlook.UNKNOWN

    @property
    def of_the_close(self) -> bool:
        """Whether it was to close days, or to watch over that: other jobs keep house."""
        return bool(self.days) or self.job == WATCH_JOB


def run_alerts(run: FailedRun, links: Links) -> list[Alert]:
    """One alert for each step that failed, or one that says that no step did (the worker was lost, the run was ended)."""
    if not run.steps:
        return [_lost_run(run, links)]
    return [
        _overdue(run, step, links) if is_watchdog(step.key) and step.figures else _step(run, step, links)
        for step in run.steps
    ]


def _step(run: FailedRun, step: FailedStep, links: Links) -> Alert:
    known = step_of(step.key)
    if known is None and not is_watchdog(step.key):
        return _housekeeping(run, step, links)
    days = run.days
    if step.critical:
        subject, consequence = f"[CRITICAL] Batch pipeline failed at: {step.title}", "Pipeline aborted."
    else:
        subject = f"[WARNING] Batch step failed: {step.title}"
        consequence = "Pipeline continuing with remaining steps."
    # Behind a critical step more may be open than this run was to do: the whole day is always right.
    alone = not step.critical and not run.skipped and len({one.title for one in run.steps}) == 1
    again = (
        f"fix what the message names, then {'run the step' if alone else 'close the day'} again. {ADOPTED}"
    )
    return compose(
        key=f"{run.run_id}:{step.key}",
        days=days,
        ended=run.ended,
        subject=titled(subject, days, step.why),
        lead=[consequence, cut(step.said), run.outlook],
        facts=[
            ("Step", step.title),
            ("Failed first", _first(run)),
            *_others(run),
            *((name.replace("_", " ").capitalize(), cut(value)) for name, value in step.figures.items()),
        ],
        rows=[_row(row) for row in step.ordered],
        todo=_todo(run, again),
        runbook=links.page(step.page) if step.page else "",
        command=close_command(days, known.asset if alone and known else "", links.program) if known else "",
        links=[links.batch_run(run.batch_run), links.run(run.run_id)],
        about=[span(run.days)],
    )


def _overdue(run: FailedRun, step: FailedStep, links: Links) -> Alert:
    """The watchdog's alert: business days that have ended and are not closed, or a night in which nothing was tried."""
    missed, lacks = step.figures.get("missed_night", ""), step.figures.get("dagster_lacks", "")
    subject = titled(f"[CRITICAL] Business days not closed: {len(run.days)}", run.days)
    if missed:
        subject = f"[CRITICAL] Missed night: no run for {named([missed])}"
    elif not run.days:
        subject = "[CRITICAL] Dagster runs without its settings"
    return compose(
        key=f"{run.run_id}:{step.key}",
        days=run.days,
        ended=run.ended,
        when="Seen at",
        subject=subject,
        lead=[cut(step.message)],
        facts=[
            ("What is wrong", step.figures.get("causes", "")),
            ("Dagster lacks", lacks),
            ("Oldest days", step.figures.get("oldest", "") if len(run.days) > SHOWN_DAYS else ""),
        ],
        todo=REMEDY
        if not run.days
        else "Fix what is wrong, then close the days."
        if missed
        else "Find out why in Dagster's runs of these days, then close them.",
        runbook=links.page(LOST if missed or not run.days else OVERDUE),
        command=close_command(run.days, program=links.program),
        links=[links.run(run.run_id)],
    )


def _housekeeping(run: FailedRun, step: FailedStep | None, links: Links) -> Alert:
    """The alert of a run that closes no day, and guards none: no pipeline has stopped."""
    lost = (
        f"The run of {run.job} failed with {NO_STEP}: its process was lost, never started, or took too long."
    )
    return compose(
        key=f"{run.run_id}:{step.key if step else ''}",
        days=run.days,
        ended=run.ended,
        subject=f"[WARNING] Job failed: {run.job}",
        lead=[
            "The close of the business days does not wait for it.",
            *([cut(step.message)] if step else [lost, cut(run.reason)]),
        ],
        facts=[("Step", step.title if step else "")],
        rows=[_row(row) for row in step.ordered] if step else (),
        todo=f"Fix what the message names, then launch the job {run.job} again.",
        links=[links.batch_run(run.batch_run), links.run(run.run_id)],
    )


def _lost_run(run: FailedRun, links: Links) -> Alert:
    if not run.of_the_close:
        return _housekeeping(run, None, links)
    return compose(
        key=f"{run.run_id}:",
        days=run.days,
        ended=run.ended,
        subject=titled(f"[CRITICAL] Batch pipeline failed at: {NO_STEP}", run.days),
        lead=[
            "Pipeline aborted.",
            f"The run of {run.job} failed with {NO_STEP}: its process was lost, never started, or took too long.",
            cut(run.reason),
            run.outlook,
        ],
        facts=_others(run),
        todo=_todo(run, f"look at the run, then close the day again. {ADOPTED}"),
        runbook=links.page(LOST),
        command=close_command(run.days, program=links.program),
        links=[links.batch_run(run.batch_run), links.run(run.run_id)],
    )


def _todo(run: FailedRun, todo: str) -> str:
    if run.outlook is Outlook.AGAIN:
        return f"Nothing yet. If no message follows that the day is closed, {todo}"
    return todo[0].upper() + todo[1:]


def _first(run: FailedRun) -> str:
    """What failed first in the run, and for whom."""
    first = run.steps[0]
    if not first.exceptions:
        return first.title if len(run.steps) > 1 else ""
    row = first.ordered[0]
    return f"{first.title}: {cut(first.why)} - {cut(row.get('who', ''))}"


def _others(run: FailedRun) -> list[tuple[str, str]]:
    """What of the run was done all the same, and what was not."""
    return [("Still done", ", ".join(run.done)), ("Skipped", ", ".join(run.skipped))]


def _row(row: Mapping[str, str]) -> Row:
    what, who, message, action = (cut(row.get(name, "")) for name in ("what", "who", "message", "action"))
    severe = row.get("severity") == "error"
    return Row((what if severe else f"{what} (warning)", who), message, action, severe=severe)
