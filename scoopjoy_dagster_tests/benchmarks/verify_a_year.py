"""How long `scoopjoy verify` takes for a year, against the embedded ERPNext on this machine.

Run: python -m scoopjoy_dagster_tests.benchmarks.verify_a_year [--days N] [--franchises N] [--invoices N]
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from datetime import date

import click

from scoopjoy_dagster.accounting.policy import RoyaltyPolicy
from scoopjoy_dagster.cli.verify import verify
from scoopjoy_dagster.erpnext.session import Session
from scoopjoy_dagster.erpnext.site import Site
from scoopjoy_dagster_tests.benchmarks.closed_days import ClosedDays, site_with


def main() -> None:
    """Seed, verify, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--franchises", type=int, default=10)
    parser.add_argument("--invoices", type=int, default=3, help="of each franchise and day")
    given = parser.parse_args()
    closed = ClosedDays(date(2026, 1, 1), given.days, given.franchises, given.invoices)
    click.echo(f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}")
    started = time.monotonic()
    with site_with(closed) as erpnext:
        click.echo(
            f"{closed.days} days x {closed.franchises} franchises x {closed.invoices} invoices: "
            f"seeded in {time.monotonic() - started:.1f} s"
        )
        robot = erpnext.robot
        with Session(erpnext.url, robot.api_key, robot.api_secret) as session:
            found = verify(
                Site.open(session),
                RoyaltyPolicy(),
                closed.first,
                closed.last,
                headquarters=True,
                tell=lambda _begin, _end: None,
            )
        total = found.total
        click.echo(
            f"verified in {found.duration_s:.2f} s with {found.requests} requests and {erpnext.requests.writes} writes: "
            f"{total.different} days different, {total.actual:.2f} INR in the ledger"
        )


if __name__ == "__main__":
    main()
