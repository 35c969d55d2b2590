"""How a close runs: for real or as a dry run, once more on request, and never twice at a time for one day."""

import hashlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date

import dagster as dg
from pydantic import Field


class DayBusy(Exception):
    """Another run works on the same asset and day, and did not end in time."""


class CloseResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """How the nightly close runs.

    In the launchpad, `resources: close: config: dry_run: true` makes a run that plans everything and writes nothing;
    `resend: true` one that sends reports and headquarters' totals again.
    """

    dry_run: bool = Field(
        default=False,
        description="true: show the plan of everything that is selected; write nothing, send nothing, materialize nothing.",
    )
    resend: bool = Field(
        default=False,
        description="true: send the report mails and headquarters' totals again although they were delivered (a lost mailbox, "
        "a restored headquarters). Nothing is booked twice; headquarters gets the same key and revision.",
    )
    postgres_url: str = Field(
        default="",
        repr=False,
        description="PostgreSQL that keeps two runs of one day apart; empty: only ERPNext's unique keys do.",
    )
    lock_wait_s: float = Field(
        default=900.0, description="Seconds to wait for another run that works on the same asset and day."
    )

    @contextmanager
    def alone(self, asset: str, site: str, day: date) -> Iterator[None]:
        """Be the only run that works on `asset` and `day` of the ERPNext at `site`, until the block ends.

        Unique keys keep the books right even when two runs work at once. Mails, statements and deliveries have no
        such key before they are sent: two runs that both plan them would both send them. The lock is PostgreSQL's
        own advisory lock and lives in a connection, so a run that is killed gives it back at that moment.

        Raises:
            DayBusy: another run did not end within `lock_wait_s`, or PostgreSQL cannot be asked.
        """
        if not self.postgres_url:
            yield
            return
        import psycopg2

        try:
            # Keepalives: a machine that vanished must not hold its day for hours.
            connection = psycopg2.connect(
                self.postgres_url.replace("+psycopg2", "", 1),
                connect_timeout=10,
                keepalives_idle=30,
                keepalives_interval=10,
                keepalives_count=3,
                application_name=f"scoopjoy {asset} {day}",
            )
        except psycopg2.Error as problem:
            message = f"PostgreSQL could not be asked whether another run is closing {day} ({type(problem).__name__})"
            raise DayBusy(message) from None
        with closing(connection):
            connection.autocommit = True
            try:
                with connection.cursor() as cursor:
                    cursor.execute(
                        "SELECT set_config('lock_timeout', %s, false)", (f"{self.lock_wait_s * 1000:.0f}ms",)
                    )
                    cursor.execute("SELECT pg_advisory_lock(%s)", (_lock_number(asset, site, day),))
            except psycopg2.Error:
                message = (
                    f"another run has been working on {asset} of {day} for more than {self.lock_wait_s:g} s"
                )
                raise DayBusy(message) from None
            yield


def _lock_number(asset: str, site: str, day: date) -> int:
    """The 64-bit number by which PostgreSQL knows the lock."""
    name = f"scoopjoy_dagster:{site}:{asset}:{day.isoformat()}"
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
