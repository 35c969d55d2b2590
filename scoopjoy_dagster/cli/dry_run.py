"""`scoopjoy close --dry-run`: the plan of a day, printed; nothing is written and Dagster records nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from scoopjoy_dagster.accounting.findings import errors
from scoopjoy_dagster.assets.preview import Preview, preview_day
from scoopjoy_dagster.assets.tools import Tools
from scoopjoy_dagster.definitions import site_resources
from scoopjoy_dagster.settings import Settings


def print_plan(
    out: Console, settings: Settings, day: date, only: Sequence[str], *, re_rate: bool, as_json: bool
) -> int:
    """Print what a close of `day` would do. Returns the exit code: 2 when something would be refused, else 0."""
    from dagster import build_resources

    with (
        build_resources(site_resources(settings)) as resources,
        resources.erpnext.open() as site,
    ):
        tools = Tools.of(resources)
        if re_rate:
            tools = replace(tools, close=tools.close.model_copy(update={"re_rate": True}))
        plans = [one for one in preview_day(site, tools, day) if not only or one.asset in only]
    if as_json:
        click.echo(
            json.dumps(
                {"business_day": day.isoformat(), "dry_run": True, "plan": _as_dict(plans)},
                ensure_ascii=False,
                indent=2,
            )
        )
    else:
        _print(out, day, plans)
    return 2 if any(errors(one.findings) for one in plans) else 0


def _as_dict(plans: Sequence[Preview]) -> dict[str, Any]:
    return {
        shown.asset: {
            "actions": [
                {"action": one.action, "who": one.who, "amount": f"{one.amount:.2f}", "reason": one.reason}
                for one in shown.lines
            ],
            "exceptions": [one.as_dict() for one in shown.findings],
        }
        for shown in plans
    }


def _print(out: Console, day: date, plans: Sequence[Preview]) -> None:
    out.print(f"Plan for [bold]{day}[/bold]; nothing is written.", highlight=False)
    for shown in plans:
        table = Table("Action", "For", title=shown.asset, title_justify="left", box=None, pad_edge=False)
        table.add_column("Amount", justify="right")
        table.add_column("Why")
        for one in shown.lines:
            table.add_row(one.action, escape(one.who), f"{one.amount:.2f}", escape(one.reason))
        out.print()
        out.print(table if shown.lines else f"{shown.asset}: nothing to do")
        for finding in shown.findings:
            out.print(
                f"  {finding.severity}: {escape(finding.what)} - {escape(finding.who)}: {escape(finding.message)}"
                f"\n    -> {escape(finding.action)}",
                highlight=False,
            )
