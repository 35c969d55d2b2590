"""`scoopjoy verify`: a range of days re-read and compared with the rule; nothing is written."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from scoopjoy_dagster.accounting.differences import DayDifference, DayVerdict, Period, by_month
from scoopjoy_dagster.accounting.money import ZERO
from scoopjoy_dagster.accounting.policy import RoyaltyPolicy
from scoopjoy_dagster.accounting.verification import verify_day
from scoopjoy_dagster.definitions import site_resources
from scoopjoy_dagster.erpnext import range_reading, royalty_entries
from scoopjoy_dagster.erpnext.site import Books, Site
from scoopjoy_dagster.settings import Settings

DIFFERENT = 2
Tell = Callable[[date, date], None]
"""Told about progress: first and last day of what has just been verified."""


@dataclass(frozen=True, slots=True)
class Verification:
    """What verifying a range of days came to."""

    books: Books
    policy: RoyaltyPolicy
    verdicts: tuple[DayVerdict, ...]
    requests: int
    duration_s: float

    @property
    def differences(self) -> list[DayDifference]:
        """All differences, oldest day first."""
        return [one for verdict in self.verdicts for one in verdict.differences]

    @property
    def total(self) -> Period:
        """The sums of all days."""
        total = Period("all")
        for verdict in self.verdicts:
            total.add(verdict)
        return total

    def as_dict(self) -> dict[str, Any]:
        """The JSON of `--json`: amounts are exact decimal strings in the company's currency."""
        sums = self.total.as_dict()
        del sums["period"]
        return {
            "from": self.verdicts[0].day.isoformat(),
            "to": self.verdicts[-1].day.isoformat(),
            "company": self.books.company,
            "currency": self.books.currency,
            "policy_version": self.policy.version,
            "duration_s": round(self.duration_s, 3),
            "requests": self.requests,
            **sums,
            "months": [period.as_dict() for period in by_month(self.verdicts)],
            "differences": [one.as_dict() for one in self.differences],
        }


def print_verification(
    out: Console, progress: Console, settings: Settings, first: date, last: date, *, as_json: bool
) -> int:
    """Verify the days from `first` to `last` and print what differs. Returns the exit code: 2 if anything does, else 0."""
    from dagster import build_resources

    with (
        build_resources({"erpnext": site_resources(settings)["erpnext"]}) as resources,
        resources.erpnext.open() as site,
        _progress(progress, first, last) as tell,
    ):
        found = verify(site, settings.policy, first, last, headquarters=bool(settings.hq_url), tell=tell)
    if as_json:
        click.echo(json.dumps(found.as_dict(), ensure_ascii=False, indent=2))
    else:
        _print(out, found)
    return DIFFERENT if found.differences else 0


def verify(
    site: Site, policy: RoyaltyPolicy, first: date, last: date, *, headquarters: bool, tell: Tell
) -> Verification:
    """Read and compare the days from `first` to `last`, a month at a time; writes nothing.

    Args:
        site: the open site.
        policy: the royalty policy in force.
        first: first business day.
        last: last business day; not before `first`.
        headquarters: whether there is a headquarters that must have acknowledged each day.
        tell: told as each month is done.
    """
    started = time.monotonic()
    books = site.books()
    franchises = royalty_entries.franchises(site, books.franchise_group)
    verdicts: list[DayVerdict] = []
    for begin, end in range_reading.months(first, last):
        records = range_reading.read_days(
            site, books, policy, franchises, begin, end, headquarters=headquarters
        )
        verdicts += [
            verify_day(books.company, policy, franchises, books.currency, record) for record in records
        ]
        tell(begin, end)
    return Verification(
        books,
        policy,
        tuple(verdicts),
        site.client.session.traffic.requests,
        time.monotonic() - started,
    )


@contextmanager
def _progress(console: Console, first: date, last: date) -> Iterator[Tell]:
    """A bar over the days on a terminal; one line per month elsewhere."""
    if not console.is_terminal:
        yield lambda begin, end: console.print(f"{begin} to {end}: read", highlight=False)
        return
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    ) as progress:
        task = progress.add_task(f"Reading {first:%Y-%m}", total=(last - first).days + 1)

        def tell(begin: date, end: date) -> None:
            following = "" if end == last else f"Reading the days after {end}"
            progress.update(task, advance=(end - begin).days + 1, description=following)

        yield tell


# -- on paper -------------------------------------------------------------------------------------------------


def _print(out: Console, found: Verification) -> None:
    out.print(
        f"Compared with the rule: {escape(found.policy.sentence)}.\n"
        "What is posted is compared at the rate that it was posted at.",
        highlight=False,
        soft_wrap=True,
    )
    for one in found.differences:
        amounts = (
            ""
            if one.amount is None
            else f" (expected {one.expected:.2f}, is {one.actual:.2f}, difference {one.amount:+.2f})"
        )
        out.print(
            f"{one.day} [red]{escape(one.what)}[/] - {escape(one.who)}: {escape(one.message)}{amounts}"
            f"\n    -> {escape(one.action)}",
            highlight=False,
            soft_wrap=True,
        )
    if found.differences:
        out.print()
        out.print(_kinds(found.differences))
    out.print()
    out.print(_sums([*by_month(found.verdicts), found.total], found.books.currency))
    total = found.total
    colour = "red" if total.different else "green"
    out.print(
        f"\n[{colour}]{len(found.differences)} differences on {total.different} of {total.days} days[/], "
        f"in {found.duration_s:.1f} s with {found.requests} requests; nothing was written.",
        highlight=False,
    )


def _kinds(differences: Sequence[DayDifference]) -> Table:
    """How often each kind of difference occurs, and what those with an amount add up to."""
    counts: dict[str, int] = defaultdict(int)
    amounts: dict[str, Decimal] = defaultdict(lambda: ZERO)
    for one in differences:
        counts[one.what] += 1
        amounts[one.what] += one.amount or ZERO
    table = Table("What", box=None, pad_edge=False)
    for column in ("Times", "Difference"):
        table.add_column(column, justify="right")
    for what in sorted(counts, key=lambda what: (-counts[what], what)):
        table.add_row(escape(what), str(counts[what]), f"{amounts[what]:.2f}")
    return table


def _sums(periods: Sequence[Period], currency: str) -> Table:
    table = Table("Month", box=None, pad_edge=False)
    for column in ("Days", "Right", "Different", f"{currency} rule", f"{currency} ledger", "Difference"):
        table.add_column(escape(column), justify="right")
    for one in periods:
        colour = "red" if one.different else "green"
        figures = one.as_dict()
        table.add_row(
            one.name,
            *(
                f"[{colour}]{figures[key]}[/]"
                for key in ("days", "right", "different", "expected", "actual", "difference")
            ),
        )
    return table
