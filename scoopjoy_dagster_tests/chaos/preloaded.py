"""What every process of the laboratory has in memory before it is forked, so that starting one costs no imports.

Imported by the fork server of each worker, with the worker's environment.
"""

from __future__ import annotations

import gc
import os
import threading
from contextlib import ExitStack
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Any
from unittest import mock

import dagster as dg
import dagster_postgres  # noqa: F401 - the instance names it
import psycopg2  # noqa: F401 - the driver behind it

from scoopjoy_dagster.definitions import JOB, build_defs
from scoopjoy_dagster.reporting import pdf_statement, render, xlsx  # noqa: F401 - loaded late by the assets
from scoopjoy_dagster.resources.clock import ClockResource
from scoopjoy_dagster.resources.erpnext import ERPNextResource
from scoopjoy_dagster.resources.headquarters import HeadquartersResource
from scoopjoy_dagster.resources.mail import MailResource
from scoopjoy_dagster.settings import load_settings
from scoopjoy_dagster_tests.chaos.faults import IMPATIENT
from scoopjoy_dagster_tests.world import MANAGERS, NOW

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
PATIENT = {"read_timeout_s": 30.0, "closing_deadline_s": 30.0}


@cache
def job(*, hurried: bool) -> dg.JobDefinition:
    """The nightly job with its resources pointed at CHAOS_... variables; a hurried one loses patience soon."""
    settings = load_settings(
        {
            "ERPNEXT_URL": "http://127.0.0.1:9",
            "ERPNEXT_API_KEY": "not used",
            "ERPNEXT_API_SECRET": "not used",
            "SCOOPJOY_GO_LIVE": "2026-11-01",
        }
    )
    erpnext: dict[str, Any] = {
        "url": dg.EnvVar("CHAOS_ERPNEXT_URL"),
        "api_key": dg.EnvVar("CHAOS_ERPNEXT_KEY"),
        "api_secret": dg.EnvVar("CHAOS_ERPNEXT_SECRET"),
        "first_wait_s": 0.001,
        "closing_poll_s": 0.02,
        **(IMPATIENT if hurried else PATIENT),
    }
    headquarters: dict[str, Any] = {
        "url": dg.EnvVar("CHAOS_HQ_URL"),
        "secret": dg.EnvVar("CHAOS_HQ_SECRET"),
        "backoff_s": [0.0],
    }
    mail: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": dg.EnvVar.int("CHAOS_SMTP_PORT"),
        "security": "none",
        "sender": "ScoopJoy Nightly Close <close@scoopjoy.example>",
        "report_recipients": list(MANAGERS),
    }
    defs = build_defs(
        settings,
        resources={
            "erpnext": ERPNextResource(**erpnext),
            "headquarters": HeadquartersResource(**headquarters),
            "mail": MailResource(**mail),
            "clock": ClockResource(fixed=f"{NOW.isoformat()}+05:30"),
        },
    )
    return defs.resolve_job_def(JOB)


@cache
def instance() -> dg.DagsterInstance:
    """The instance by DAGSTER_HOME. It keeps no connection open, so that forked processes share none."""
    return _stack.enter_context(dg.DagsterInstance.get())


_stack = ExitStack()


def _render_once() -> None:
    """Make the papers of an empty day, which loads fonts and templates."""
    import pandas as pd

    from scoopjoy_dagster.reporting.model import FRAMES, DayReport, RoyaltyStatement

    day, one = date(2026, 11, 22), Decimal("1.00")
    frames: dict[str, Any] = {
        name: pd.DataFrame([], columns=list(columns), dtype=object) for name, columns in FRAMES.items()
    }
    frames["history"] = pd.DataFrame([{"day": day, "sales": one, "royalty": one}], dtype=object)
    totals = dict.fromkeys(("sales", "royalty", "pos_sales", "invoices"), one)
    report = DayReport(
        company="ScoopJoy",
        business_day=day,
        currency="INR",
        revision=0,
        policy="",
        policy_version="",
        findings=(),
        totals=totals,
        **frames,
    )
    render.render_report_mail(report, links={})
    empty = RoyaltyStatement("ScoopJoy", "A", "A", day, "INR", "", "", one, one, one, (), ())
    pdf_statement.statement_pdf(empty)


def _run_in_vain() -> None:
    """A run that finds no ERPNext: what Dagster works out once for each process is worked out now."""
    nowhere = {
        "CHAOS_ERPNEXT_URL": "http://127.0.0.1:9",
        "CHAOS_ERPNEXT_KEY": "none",
        "CHAOS_ERPNEXT_SECRET": "none",
        "CHAOS_HQ_URL": "http://127.0.0.1:9",
        "CHAOS_HQ_SECRET": "none of 24 bytes or more",
        "CHAOS_SMTP_PORT": "9",
    }
    with mock.patch.dict(os.environ, nowhere):
        for hurried in (True, False):
            job(hurried=hurried).execute_in_process(
                instance=instance(),
                partition_key="2026-11-22",
                raise_on_error=False,
                run_config=QUIET,
            )


def prepare() -> None:
    """Everything that a run would otherwise do first.

    Raises:
        RuntimeError: a thread was started: a forked process would miss it.
    """
    _render_once()
    if "DAGSTER_HOME" in os.environ:
        _run_in_vain()
    if threading.active_count() > 1:
        raise RuntimeError(f"threads in the fork server: {threading.enumerate()}")
    # What is shared with the forked processes stays shared: no collection touches it.
    gc.collect()
    gc.freeze()


prepare()
