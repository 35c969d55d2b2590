"""The measured process: the program as it runs at night, and what each of its runs took.

A fresh process for each benchmark, started by `workbench`: imports, definitions and the Dagster instance are its start,
which is measured apart; then come the acts that it was asked for, in order, and one line of JSON with what each took.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from contextlib import ExitStack
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import dagster as dg

    from scoopjoy_dagster_tests.benchmarks.meter import Meter

ASSETS = ("closed_shifts", "royalties", "invoices", "reports", "hq_sync")


def peak_mib() -> float:
    """The most memory that this process has had, in MiB."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1 << 20) if sys.platform == "darwin" else most / 1024


class _Bench:
    """The definitions, the job and the instance, and the meter under every session."""

    def __init__(self, definitions: dg.Definitions, instance: dg.DagsterInstance, meter: Meter) -> None:
        from scoopjoy_dagster.definitions import JOB

        self._job = definitions.resolve_job_def(JOB)
        self._instance, self._meter = instance, meter

    def close(self, first: date, last: date) -> dict[str, Any]:
        """A run for each day."""

        def runs() -> dict[str, Any]:
            days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
            told = [self._run(day) for day in days]
            # The steps are those of the last day: a night has one.
            return {**told[-1], "problems": [problem for one in told for problem in one["problems"]]}

        return self._timed(runs)

    def naive(self, day: date) -> dict[str, Any]:
        """The royalty step and the invoice step of a day the naive way."""
        from scoopjoy_dagster_tests.benchmarks.naive import Naive

        settings = os.environ
        way = Naive(
            settings["ERPNEXT_URL"],
            settings["ERPNEXT_API_KEY"],
            settings["ERPNEXT_API_SECRET"],
            company=settings["SCOOPJOY_COMPANY"],
            abbr=settings["BENCHMARK_ABBR"],
            group=settings["SCOOPJOY_FRANCHISE_GROUP"],
        )

        def work() -> dict[str, Any]:
            steps = {}
            for name, step in (("royalties", way.royalties), ("invoices", way.invoices)):
                began = time.time()
                step(day)
                steps[name] = self._span(began, time.time())
            return {"problems": [], "steps": steps}

        return self._timed(work)

    def _timed(self, work: Any) -> dict[str, Any]:
        before, processor, began = peak_mib(), time.process_time(), time.time()
        told = work()
        ended, processor_s = time.time(), time.process_time() - processor
        memory = {"peak_mib": peak_mib(), "peak_before_mib": before}
        return {**self._span(began, ended), "processor_s": processor_s, **memory, **told}

    def _span(self, began: float, ended: float) -> dict[str, Any]:
        return {"wall_s": ended - began, **self._meter.between(began, ended)}

    def _run(self, day: date) -> dict[str, Any]:
        from dagster import DagsterEventType

        result = self._job.execute_in_process(
            instance=self._instance,
            partition_key=f"{day}",
            raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
        problems = [
            f"{event.step_key}: {event.step_failure_data.user_failure_data.description if event.step_failure_data.user_failure_data else event.step_failure_data.error}"
            for event in result.get_step_failure_events()
        ]
        problems += [
            f"control total {one.check_name} does not hold"
            for one in result.get_asset_check_evaluations()
            if not one.passed
        ]
        times: dict[str, dict[DagsterEventType, float]] = {}
        for record in self._instance.all_logs(result.run_id):
            if record.dagster_event and record.step_key in ASSETS:
                times.setdefault(record.step_key, {})[record.dagster_event.event_type] = record.timestamp
        start, end = DagsterEventType.STEP_START, DagsterEventType.STEP_SUCCESS
        steps = {
            name: self._span(times[name][start], times[name][end])
            for name in ASSETS
            if {start, end} <= set(times.get(name, ()))
        }
        return {"problems": problems, "steps": steps}


def main(asked: dict[str, Any]) -> dict[str, Any]:
    """Do what was asked for. `asked`: `began` (unix seconds at which the process was started) and `acts`."""
    import warnings

    warnings.simplefilter("ignore")
    before = time.time()
    from scoopjoy_dagster import definitions as ours

    imported = time.time()
    import dagster as dg

    from scoopjoy_dagster.settings import load_settings
    from scoopjoy_dagster_tests.benchmarks.meter import Meter

    meter = Meter(os.environ["ERPNEXT_URL"])
    with ExitStack() as stack:
        instance = stack.enter_context(dg.DagsterInstance.get())
        instance.get_runs_count()
        stack.enter_context(meter.running())
        bench = _Bench(ours.build_defs(load_settings()), instance, meter)
        ready = time.time()
        acts = []
        for name, *days in asked["acts"]:
            told = getattr(bench, name)(*map(date.fromisoformat, days))
            acts.append({"act": name, "days": days, **told})
    return {
        "start_s": ready - asked["began"],
        "start_import_s": imported - before,
        "peak_mib": peak_mib(),
        "acts": acts,
    }


if __name__ == "__main__":
    told = json.dumps(main(json.loads(sys.argv[1])))
    sys.stdout.write(f"\n{told}\n")
