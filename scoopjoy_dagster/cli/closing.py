"""Close business days through Dagster and say what came of each."""

from __future__ import annotations

import getpass
import os
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import dagster as dg

from scoopjoy_dagster.accounting.totals import ControlTotal, totals_of
from scoopjoy_dagster.assets.outcome import OUTCOME_KEY, WRITES_KEY
from scoopjoy_dagster.assets.runner import keep_connection
from scoopjoy_dagster.automation.state import business_day_of
from scoopjoy_dagster.definitions import JOB
from scoopjoy_dagster.partitions import last_ended_day
from scoopjoy_dagster.run_launcher import gone, lost_runs
from scoopjoy_dagster.settings import Settings, SettingsError
from scoopjoy_dagster.steps import STEPS

BY_HAND = {"dagster/max_retries": "0"}
"""Tags of every run of the command line: Dagster cannot retry what it has not started, and announces none."""

EXIT_CODES = {"Completed": 0, "Completed with Errors": 1, "Failed": 2, "Stopped": 130}

INTERRUPTED = "DagsterExecutionInterruptedError"
"""Dagster's name for the end of a step by a signal."""

Mirror = Callable[[str], AbstractContextManager[None]]
"""Shows a run, given by its id, somewhere else for as long as the context is open."""

Tell = Callable[[str, str], None]
"""Told about progress: asset name, and `start`, `success`, `failure` or `skipped`."""

_KIND = dg.DagsterEventType
_STATES = {
    _KIND.STEP_START: "start",
    _KIND.STEP_SUCCESS: "success",
    _KIND.STEP_FAILURE: "failure",
    _KIND.STEP_SKIPPED: "skipped",
}
_TELLING = {
    _KIND.ASSET_MATERIALIZATION,
    _KIND.ASSET_OBSERVATION,
    _KIND.ASSET_CHECK_EVALUATION,
    _KIND.STEP_FAILURE,
}


@dataclass(slots=True)
class DayResult:
    """What the close of one day came to."""

    business_day: date
    run_id: str
    assets: dict[str, dict[str, Any]]
    control_totals: list[dict[str, Any]] = field(default_factory=list)
    duration_s: float = 0.0
    stopped: bool = False

    @property
    def status(self) -> str:
        """Completed, Completed with Errors (only what is not critical is wrong), Failed, or Stopped by Ctrl-C or a signal.

        A control total is as critical as the asset that it judges; one that only warns changes nothing.
        """
        if self.stopped:
            return "Stopped"
        wrong = {name for name, asset in self.assets.items() if asset["status"] == "Failed"} | {
            str(total["asset"])
            for total in self.control_totals
            if not total["passed"] and total["severity"] == "error"
        }
        if any(step.critical for step in STEPS if step.asset in wrong):
            return "Failed"
        return "Completed with Errors" if wrong else "Completed"

    def as_dict(self) -> dict[str, Any]:
        """The JSON of `--json`."""
        return {
            "business_day": self.business_day.isoformat(),
            "status": self.status,
            "run_id": self.run_id,
            "duration_s": round(self.duration_s, 3),
            "requests": sum(int(asset["requests"]) for asset in self.assets.values()),
            "assets": {
                name: {key: value for key, value in asset.items() if key not in {"requests", "duration_s"}}
                for name, asset in self.assets.items()
            },
            "control_totals": self.control_totals,
        }


def closable_day(text: str | None, settings: Settings, now: datetime) -> date:
    """The business day that is meant; the last one that has ended when none is given.

    Raises:
        SettingsError: it is no date, has not ended, or lies before go-live.
    """
    last = last_ended_day(now, settings.day_ends_at)
    if text is None:
        day = last
    else:
        try:
            day = date.fromisoformat(text)
        except ValueError:
            message = f"{text!r} is no date; write it as YYYY-MM-DD."
            raise SettingsError(message) from None
    if day > last:
        message = f"{day} has not ended yet; the last business day that can be closed is {last}."
        raise SettingsError(message)
    if day < settings.go_live:
        message = (
            f"{day} lies before go-live ({settings.go_live}, SCOOPJOY_GO_LIVE); such days are never touched."
        )
        raise SettingsError(message)
    return day


def days_between(first: date, last: date) -> list[date]:
    """All days from `first` to `last`.

    Raises:
        SettingsError: `last` lies before `first`.
    """
    if last < first:
        message = f"--from {first} lies after --to {last}."
        raise SettingsError(message)
    return [first + timedelta(days=offset) for offset in range((last - first).days + 1)]


def close_day(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    day: date,
    *,
    only: Sequence[str] = (),
    re_rate: bool = False,
    tell: Tell,
    tags: Mapping[str, str] | None = None,
    mirror: Mirror | None = None,
) -> DayResult:
    """Run the job for a day in this process; recorded in the instance like every other run.

    With `re_rate` today's terms are applied to it. `mirror` shows the run in ERPNext while it goes on; see `cli.desk_mirror`.
    """
    run_id = str(uuid.uuid4())
    job = definitions.resolve_job_def(JOB)
    keep_connection(instance)
    started = time.monotonic()
    with (
        _progress(instance, run_id, tell),
        mirror(run_id) if mirror else nullcontext(),
        _stoppable(instance, run_id),
    ):
        job.execute_in_process(
            instance=instance,
            partition_key=day.isoformat(),
            run_id=run_id,
            raise_on_error=False,
            asset_selection=[dg.AssetKey(name) for name in only] or None,
            tags={"scoopjoy/triggered_by": f"command line ({_user()})", **BY_HAND, **(tags or {})},
            run_config={
                "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
                "resources": {"close": {"config": {"re_rate": True}}} if re_rate else {},
            },
        )
    duration_s = time.monotonic() - started
    ended = instance.get_run_by_id(run_id)
    stopped = bool(ended and ended.status is dg.DagsterRunStatus.CANCELED)
    events = _events(instance, run_id)
    assets = {step.asset: _asset(step.asset, events) for step in STEPS if not only or step.asset in only}
    totals = [] if stopped else _totals(assets, events)
    return DayResult(day, run_id, assets, totals, duration_s, stopped)


def close_days(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    days: Sequence[date],
    *,
    telling: Callable[[date], AbstractContextManager[Tell]],
    tags: Mapping[str, str],
    mirror: Mirror | None = None,
) -> list[DayResult]:
    """Close these days, one run after the other. A day that fails does not stop the next; one that is stopped does."""
    found: list[DayResult] = []
    for day in days:
        with telling(day) as tell:
            found.append(close_day(definitions, instance, day, tell=tell, tags=tags, mirror=mirror))
        if found[-1].stopped:
            break
    return found


def end_lost_runs(instance: dg.DagsterInstance, postgres_url: str) -> list[str]:
    """End the runs that a command or a machine which was killed has left as started; says which.

    Dagster's daemon does the same where one runs; this is for who has none.
    """
    started = instance.get_run_records(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
    said = []
    for run in lost_runs(postgres_url, [record.dagster_run for record in started]):
        sentence = f"The run {run.run_id[:8]} of {business_day_of(run.tags)} was ended: {gone(run)}."
        instance.report_run_failed(run, sentence)
        said.append(sentence)
    return said


@contextmanager
def _stoppable(instance: dg.DagsterInstance, run_id: str) -> Iterator[None]:
    """Make Ctrl-C, SIGTERM and SIGHUP a stop: the run is cancelled, not failed, and nobody is alerted.

    While steps run Dagster handles the first two itself, and records the run as failed; so that is put right here.
    """
    hang_up = signal.signal(signal.SIGHUP, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    stopped = False
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        stopped = True
        raise
    finally:
        signal.signal(signal.SIGHUP, hang_up)
        run = instance.get_run_by_id(run_id)
        interrupted = run and run.tags.get("dagster/failure_reason") == "UNEXPECTED_TERMINATION"
        if run and (interrupted or (stopped and not run.is_finished)):
            instance.report_run_canceled(run, "Stopped by the person who ran the command, or by a signal.")


def _events(instance: dg.DagsterInstance, run_id: str) -> list[dg.DagsterEvent]:
    """What the day came to, as the instance keeps it."""
    records = instance.get_records_for_run(run_id, of_type=_TELLING).records
    return [one.event_log_entry.dagster_event for one in records if one.event_log_entry.dagster_event]


def _user() -> str:
    try:
        return getpass.getuser()
    except OSError:  # a container may run us under a number without a name
        return f"uid {os.getuid()}"


def _asset(name: str, events: Sequence[dg.DagsterEvent]) -> dict[str, Any]:
    """An asset's outcome from its materialization, or from its failure; without either it was skipped."""
    for event in events:
        if event.event_type is _KIND.ASSET_MATERIALIZATION and event.asset_key == dg.AssetKey(name):
            metadata = event.step_materialization_data.materialization.metadata
            return _shown("Success", metadata[OUTCOME_KEY].value)
        if event.event_type is _KIND.STEP_FAILURE and event.step_key == name:
            failed = event.step_failure_data
            if failed.error and failed.error.cls_name == INTERRUPTED:
                return _shown("Stopped", {"facts": _before_the_stop(name, events)})
            told = failed.user_failure_data
            if told and OUTCOME_KEY in told.metadata:
                return _shown("Failed", told.metadata[OUTCOME_KEY].value)
            return _shown("Failed", {"exceptions": [_unforeseen(name, failed.error)]})
    return _shown("Skipped", {})


def _before_the_stop(name: str, events: Sequence[dg.DagsterEvent]) -> dict[str, Any]:
    """How many requests that write a stopped step had sent, where it came to its work."""
    for event in events:
        if event.event_type is _KIND.ASSET_OBSERVATION and event.asset_key == dg.AssetKey(name):
            metadata = event.asset_observation_data.asset_observation.metadata
            if WRITES_KEY in metadata:
                return {WRITES_KEY: metadata[WRITES_KEY].value}
    return {}


def _unforeseen(name: str, error: Any) -> dict[str, str]:
    """A failure that the program did not foresee is shown by its first cause; the run's log has all of it."""
    while error and error.cause:
        error = error.cause
    return {
        "severity": "error",
        "what": f"{name} failed unexpectedly",
        "who": name,
        "message": " ".join(error.message.split())[:400] if error else "no message",
        "action": "Open the run in Dagster for the whole error and report it.",
    }


def _shown(status: str, outcome: Any) -> dict[str, Any]:
    return {
        "status": status,
        **{key: int(outcome.get(key, 0)) for key in ("seen", "written", "adopted", "skipped")},
        "amount": str(outcome.get("amount", "0.00")),
        "exceptions": list(outcome.get("exceptions", [])),
        "facts": dict(outcome.get("facts", {})),
        "requests": int(outcome.get("requests", 0)),
        "duration_s": float(outcome.get("duration_s", 0.0)),
    }


def _totals(assets: dict[str, dict[str, Any]], of_day: Sequence[dg.DagsterEvent]) -> list[dict[str, Any]]:
    """The control totals of the assets that were materialized. One without an answer is wrong: it proved nothing."""
    answers = {
        (data.asset_key.to_user_string(), data.check_name): data
        for event in of_day
        if event.event_type is _KIND.ASSET_CHECK_EVALUATION
        for data in [event.asset_check_evaluation_data]
    }
    return [
        _total(total, answers.get((total.asset, total.name)))
        for name, asset in assets.items()
        if asset["status"] == "Success"
        for total in totals_of(name)
    ]


def _total(total: ControlTotal, answer: dg.AssetCheckEvaluation | None) -> dict[str, Any]:
    found = {"name": total.name, "asset": total.asset, "severity": total.severity}
    if answer is None:
        unknown = dict.fromkeys(("expected", "actual", "difference", "worst_five"), "unknown")
        message = "The check broke and has no answer; open the run in Dagster for the error and report it."
        return {**found, "passed": False, "message": message, **unknown}
    figures = {key: str(entry.value) for key, entry in answer.metadata.items()}
    return {**found, "passed": bool(answer.passed), "message": answer.description or "", **figures}


@contextmanager
def _progress(instance: dg.DagsterInstance, run_id: str, tell: Tell) -> Iterator[None]:
    """Tell about the steps while the run goes on in the main thread, from the instance's event log."""
    done = threading.Event()
    cursor: str | None = None
    assets = {step.asset for step in STEPS}

    def look() -> None:
        nonlocal cursor
        page = instance.get_records_for_run(run_id, cursor=cursor, of_type=set(_STATES))
        cursor = page.cursor
        for record in page.records:
            event = record.event_log_entry.dagster_event
            if event and event.step_key in assets:
                tell(event.step_key, _STATES[event.event_type])

    def watch() -> None:
        while not done.wait(0.4):
            look()

    thread = threading.Thread(target=watch, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        look()
