"""What to type next, by what `scoopjoy check` has found and by what Dagster's record says of the days."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from scoopjoy_dagster.erpnext.preflight import Check
from scoopjoy_dagster.settings import Settings

if TYPE_CHECKING:
    import dagster as dg


OTHER_ROYALTIES = "other royalties"
"""What the check calls royalty entries that another program posted on days that are ours."""


@dataclass(frozen=True, slots=True)
class Days:
    """The business days from go-live.

    Attributes:
        go_live: the first day that is closed.
        last: the last day that has ended; before `go_live` when none has.
        settled: days on which nothing is left to do.
    """

    go_live: date
    last: date
    settled: Collection[date]

    @property
    def open(self) -> list[date]:
        """The days that are not settled, oldest first."""
        count = (self.last - self.go_live).days + 1
        days = [self.go_live + timedelta(days=offset) for offset in range(count)]
        return [day for day in days if day not in self.settled]


def next_command(checks: Sequence[Check], days: Days, command: str = "scoopjoy") -> str:
    """One line for a person: the command, and why.

    Args:
        checks: what the preflight has found.
        days: what is closed already.
        command: how the program is called, with the options that every call needs.
    """
    errors = [check for check in checks if check.level == "error"]
    if any(check.needs == "setup" for check in errors):
        return f"{command} setup --dry-run   (what it would install in ERPNext; then without --dry-run)"
    if errors:
        these = "the line" if len(errors) == 1 else f"the {len(errors)} lines"
        return f"{command} check   (again, when {these} marked error above {'is' if len(errors) == 1 else 'are'} fixed)"
    others = any(check.what == OTHER_ROYALTIES and check.level == "warning" for check in checks)
    if others and not days.settled:
        return f"{command} check   (again, when no day from go-live on has royalties of another program)"
    todo = days.open
    if days.last < days.go_live:
        return (
            f"{command} dev   (serves the UI and the schedule; {days.go_live}, the first day, is closed in the night "
            "after it. As a service: docs/deployment.md)"
        )
    if not todo:
        return f"{command} dev   (every day from {days.go_live} to {days.last} is closed; as a service: docs/deployment.md)"
    if not days.settled:
        return f"{command} close --date {todo[0]} --dry-run   (nothing is closed yet: look at the plan of the first day, then without --dry-run)"
    if len(todo) == 1:
        return f"{command} close --date {todo[0]}   (the one day that is open)"
    return f"{command} backfill --from {todo[0]} --to {todo[-1]}   ({len(todo)} days are open)"


def days_on_record(instance: dg.DagsterInstance, settings: Settings, last: date) -> Days:
    """The days from go-live to `last` as Dagster's record knows them. Reads only."""
    from scoopjoy_dagster.automation.state import settled_days
    from scoopjoy_dagster.partitions import business_days

    go_live, days = settings.go_live, business_days(settings.go_live, settings.day_ends_at)
    count = (last - go_live).days + 1
    keys = [(go_live + timedelta(days=offset)).isoformat() for offset in range(count)]
    settled = settled_days(instance, days, keys) if keys else set()
    return Days(go_live, last, frozenset(date.fromisoformat(key) for key in settled))
