"""The requests that people have made at the desk: each is handled alone, whatever is wrong with another.

A request is answered when its run is seen, not when it is asked for, so a daemon that dies in between asks again; Dagster
starts one run for one run key. What can neither be done nor refused, because ERPNext cannot write its document, is set
aside and named once.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import dagster as dg

from scoopjoy_dagster.automation.desk.requests import answer
from scoopjoy_dagster.automation.desk.run_facts import BATCH_RUN
from scoopjoy_dagster.automation.nightly import REASON, TRIGGERED_BY
from scoopjoy_dagster.automation.state import in_flight_days
from scoopjoy_dagster.erpnext.batch_runs import BatchRuns, Request, Shown
from scoopjoy_dagster.erpnext.errors import ERPNextError, Forbidden, LoginFailed, Rejected, Unreachable

REQUEST = "scoopjoy/batch_request"
"""Run tag: the Batch Run Request that the run answers."""

PRIORITY = "5"
"""Of the runs that people ask for: below the night's 10, above what cleans up."""

MOST_REQUESTS = 50
"""Requests that are looked at in one go; the next look takes the rest."""

BUDGET_S = 15.0
"""No answer is begun after this: a sensor's tick has 60 seconds, and the runs are to be shown in them too."""

_DAY = timedelta(days=1)


@dataclass(slots=True)
class Taken:
    """What the open requests came to: runs to start, the marks of those set aside, and what a person must know, in words."""

    runs: list[dg.RunRequest] = field(default_factory=list)
    aside: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)


def take(
    instance: dg.DagsterInstance,
    desk: BatchRuns,
    *,
    first: date,
    last: date,
    now: datetime,
    aside: Collection[str] = (),
) -> Taken:
    """Handle the open requests, oldest first.

    Args:
        instance: whose runs answer them.
        desk: the documents on the site.
        first: first business day that can be closed.
        last: the newest business day that has ended.
        now: an aware moment.
        aside: marks of the requests that were set aside before.

    Raises:
        NotFound: the desk is not installed on the site.
        Forbidden, LoginFailed, Unreachable: the same for every request.
        ERPNextError: the requests could not be listed.
    """
    everything = desk.requests()
    taken = Taken(aside=[one.mark for one in everything if one.mark in aside])
    todo = [one for one in everything if one.mark not in aside][:MOST_REQUESTS]
    if not todo:
        return taken
    round_ = _Round(instance, desk, first, last, now, todo)
    deadline = time.monotonic() + BUDGET_S
    for request in todo:
        if time.monotonic() > deadline:
            taken.said.append("ERPNext is slow: the next look takes the other requests")
            break
        try:
            run = round_.handle(request)
        except (Forbidden, LoginFailed, Unreachable):
            raise
        except Rejected as problem:
            taken.aside.append(request.mark)
            taken.said.append(
                f"Batch Run Request {request.name!r} of {request.user} cannot be answered and is set aside ({problem}): delete it "
                "in the list of Batch Run Requests in ERPNext"
            )
        except ERPNextError as problem:
            taken.said.append(f"Batch Run Request {request.name!r} is left to the next look: {problem}")
        else:
            taken.runs += [run] if run else []
    return taken


class _Round:
    """One look at the open requests: what is known of all of them, and what has been granted in it so far."""

    def __init__(
        self,
        instance: dg.DagsterInstance,
        desk: BatchRuns,
        first: date,
        last: date,
        now: datetime,
        todo: Collection[Request],
    ) -> None:
        self._instance, self._desk = instance, desk
        self._first, self._last, self._since = first, last, (now - _DAY).astimezone(UTC)
        self._allowed = desk.may_write({one.user for one in todo})
        asked = desk.shown(names={one.batch_run for one in todo}, texts=False)
        self._documents = {one.name: one for one in asked}
        self._at_work = in_flight_days(instance)
        self._granted: Counter[str] = Counter()

    def handle(self, request: Request) -> dg.RunRequest | None:
        """Answer a request that can be answered now; the run to start where it asks for one.

        Raises:
            Rejected: its document cannot be written.
            ERPNextError: it could not be written now.
        """
        if not request.name.isprintable():
            # Its address would have a line break in it, and ERPNext finds no document there: no answer would arrive.
            raise Rejected("answer a request", "its name has characters that no address can have")
        run_id = self._run_of(request)
        if run_id:
            self._desk.started(request.name, run_id)
            return None
        asked = self._documents.get(request.batch_run)
        found = answer(
            request,
            asked,
            may_write=request.user in self._allowed,
            first=self._first,
            last=self._last,
            at_work=asked is not None and asked.day.isoformat() in self._at_work,
            started=self._started(request.user),
        )
        if asked is None or not found.assets:
            self._desk.refused(request.name, found.refusal)
            return None
        self._at_work.add(asked.day.isoformat())
        self._granted[request.user] += 1
        return _run_request(request, asked, found.assets)

    def _run_of(self, request: Request) -> str:
        """The first run that a request has started; later ones are re-executions of it. Empty when there is none."""
        found = self._instance.get_run_records(
            dg.RunsFilter(tags={REQUEST: request.mark}), limit=1, ascending=True
        )
        return found[0].dagster_run.run_id if found else ""

    def _started(self, user: str) -> int:
        """Runs that a person has started here in the last day, those of this look included. Re-executions are no new ones."""
        recent = dg.RunsFilter(tags={TRIGGERED_BY: user}, created_after=self._since)
        marks = {one.dagster_run.tags.get(REQUEST, "") for one in self._instance.get_run_records(recent)}
        return len(marks - {""}) + self._granted[user]


def _run_request(request: Request, asked: Shown, assets: Collection[str]) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=request.mark,
        partition_key=asked.day.isoformat(),
        asset_selection=[dg.AssetKey(name) for name in assets],
        tags={
            BATCH_RUN: request.batch_run,
            REQUEST: request.mark,
            TRIGGERED_BY: request.user,
            REASON: request.action,
            "dagster/priority": PRIORITY,
        },
    )
