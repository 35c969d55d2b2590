"""The command line of the fault laboratory."""

from __future__ import annotations

import os
import signal
import sys
import time

import click
from rich.console import Console
from rich.progress import Progress

from scoopjoy_dagster_tests.chaos.campaign import Totals, run_campaign, seeds_of


@click.command()
@click.option("--schedules", "-n", default=200, show_default=True, help="How many schedules to run.")
@click.option("--seed", "-s", default=1, show_default=True, help="Seed of the campaign.")
@click.option(
    "--only",
    type=int,
    multiple=True,
    help="Run the schedule of this one seed, and tell its story; may come again.",
)
@click.option(
    "--heavy",
    default=-1,
    help="How many more schedules with the real daemon; one for each hundred if not given. With --only: 1 for such a one.",
)
@click.option("--jobs", "-j", default=0, help="Worker processes; one for each core if not given.")
def main(schedules: int, seed: int, only: tuple[int, ...], heavy: int, jobs: int) -> None:
    """Close business days under seeded faults, kills and late changes, and judge what is left."""
    console = Console(stderr=False)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a time limit ends it as Ctrl-C does
    if not only:
        seeds = seeds_of(seed, schedules)
        heavies = seeds_of(seed, schedules // 100 if heavy < 0 else heavy)
    else:
        seeds, heavies = ([], list(only)) if heavy > 0 else (list(only), [])
    jobs = max(1, min(jobs or os.cpu_count() or 1, len(seeds)))
    totals = Totals()
    began = time.monotonic()
    interrupted = False
    try:
        with Progress(console=console, disable=not console.is_terminal) as progress:
            task = progress.add_task("schedules", total=len(seeds) + len(heavies))
            for result in run_campaign(seeds, jobs, heavies):
                totals.results.append(result)
                progress.advance(task)
                if result.bad:
                    said = f"seed {result.seed}: {result.verdicts[0]}"
                    progress.console.print(said, highlight=False, markup=False)
    except KeyboardInterrupt:
        interrupted = True
        console.print(f"Interrupted after {len(totals.results)} of {len(seeds) + len(heavies)} schedules.")
    console.print(totals.table())
    console.print(f"{time.monotonic() - began:.0f} s with {jobs} worker processes")
    for one in totals.bad:
        console.print(f'\nseed {one.seed}; again: make chaos ARGS="--only {one.seed}"', highlight=False)
        for verdict in one.verdicts[:20]:
            console.print(f"  {verdict}", highlight=False, markup=False)
    for one in totals.results if only else []:
        console.print(f"\nseed {one.seed}")
        console.print(*(f"  {line}" for line in one.story), sep="\n", highlight=False, markup=False)
    sys.exit(1 if totals.bad else 130 if interrupted else 0)


if __name__ == "__main__":
    main()
