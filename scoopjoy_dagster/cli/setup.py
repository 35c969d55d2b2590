"""`scoopjoy setup`: install what the close needs on the site, or take the Batch Run desk and what nobody uses off it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click
from rich.console import Console

from scoopjoy_dagster.definitions import site_resources
from scoopjoy_dagster.erpnext.client import Client
from scoopjoy_dagster.erpnext.errors import Forbidden
from scoopjoy_dagster.erpnext.install_step import InstallStep
from scoopjoy_dagster.erpnext.installation import install, read_installation
from scoopjoy_dagster.erpnext.removal import RemovalStep, read_removal, remove
from scoopjoy_dagster.settings import Settings

WHAT_IS_KEPT = (
    "Kept: our fields on Journal Entry, POS Closing Entry, Sales Invoice and Customer, and every ScoopJoy Delivery. "
    "Keys and digests there are the evidence by which the close never posts or sends anything twice."
)
TURN_OFF = "Set SCOOPJOY_BATCH_RUN_DESK=off: otherwise the close goes on looking for the desk."


@contextmanager
def _client(settings: Settings) -> Iterator[Client]:
    from dagster import build_resources

    with (
        build_resources({"erpnext": site_resources(settings)["erpnext"]}) as resources,
        resources.erpnext.open() as site,
    ):
        try:
            yield site.client
        except Forbidden as problem:
            raise Forbidden(
                problem.doing,
                f"{problem.said}. Besides Sales Manager and Accounts Manager, `scoopjoy setup` needs the role System Manager: in ERPNext, "
                "give it to the integration user for this command",
                status=problem.status,
                exc_type=problem.exc_type,
            ) from problem


def run_setup(out: Console, settings: Settings, *, desk: bool, dry_run: bool) -> None:
    """Install what is missing and say what was done.

    Args:
        out: where it is said.
        settings: which site.
        desk: whether the Batch Run desk is wanted.
        dry_run: only say what would be done.

    Raises:
        ERPNextError: the site refused something, or something of the site is in the way.
    """
    with _client(settings) as client:
        steps = read_installation(
            client, desk=desk, series=settings.royalty_series, role=settings.report_role
        )
        if all(step.kind == "leave" for step in steps):
            out.print("Everything is installed.")
        if not dry_run:
            install(client, steps, lambda step: _tell(out, "done: ", step))
            return
        for step in steps:
            _tell(out, "would ", step)


def _tell(out: Console, prefix: str, step: InstallStep) -> None:
    left_out = step.kind == "leave"
    text = f"left out: {step.doctype} {step.name}: {step.reason}" if left_out else f"{prefix}{step.sentence}"
    out.print(text, highlight=False, markup=False)


def run_removal(out: Console, settings: Settings, *, dry_run: bool, yes: bool) -> None:
    """Take the Batch Run desk off the site, after asking.

    Args:
        out: where it is said what goes.
        settings: which site.
        dry_run: only say what would go.
        yes: do not ask.

    Raises:
        ERPNextError: the site refused something.
        click.UsageError: there is nobody to ask.
        click.Abort: the person said no.
    """
    with _client(settings) as client:
        steps = read_removal(client, series=settings.royalty_series)
        if not steps:
            out.print("There is no Batch Run desk on the site, and no unused naming series or role of ours.")
            return
        for step in steps if dry_run or not yes else ():
            out.print(f"would {step.sentence}", highlight=False, markup=False)
        if dry_run:
            out.print(WHAT_IS_KEPT, highlight=False)
            return
        if not yes:
            _ask()

        def tell(step: RemovalStep) -> None:
            out.print(f"done: {step.sentence}", highlight=False, markup=False)

        remove(client, steps, tell)
    out.print(WHAT_IS_KEPT, highlight=False)
    out.print(TURN_OFF, highlight=False)


def _ask() -> None:
    if not sys.stdin.isatty():
        raise click.UsageError(
            "setup --remove deletes documents and there is nobody to ask; add --yes if you mean it, or --dry-run to see what would go"
        )
    click.confirm(
        "Delete this? The runs themselves stay in Dagster; what people asked for here is lost.", abort=True
    )
