"""How a close runs: for real or as a dry run, once more on request, and never twice at a time for one day."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date

import dagster as dg
from pydantic import Field, PrivateAttr

from scoopjoy_dagster.resources.locks import SignOfLife, connected, lock_number, process_tag

LONGEST_WAIT_S = 3600
"""How long a person may let a run wait for another: it holds a place in the queue meanwhile."""


class DayBusy(Exception):
    """Another run works on the same asset and day, and did not end in time."""


class CloseResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """How the nightly close runs.

    In the launchpad, `resources: close: config: dry_run: true` makes a run that plans everything and writes nothing;
    `resend: true` one that sends reports and headquarters' totals again; `re_rate: true` one that applies today's rates to the
    day.
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
    re_rate: bool = Field(
        default=False,
        description="true: compute the day by today's rates, exemptions, policy and franchises, although it was posted by others, and "
        "book the difference. The royalty of a customer that is no franchise any more is taken back.",
    )
    postgres_url: str = Field(
        default="",
        repr=False,
        description="PostgreSQL that keeps two runs of one day apart; empty: only ERPNext's unique keys do.",
    )
    lock_wait_s: float = Field(
        default=900.0,
        description="Seconds, at most 3600, to wait for another run that works on the same asset and day.",
    )

    one_process: bool = Field(
        default=True,
        description="Whether one process works on all steps of a run; then it gives the run's sign of life.",
    )
    _sign: SignOfLife | None = PrivateAttr(default=None)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Let others see that this process works on the run, for as long as it lives."""
        if not (self.postgres_url and self.one_process and context.run and context.instance):
            return
        import psycopg2

        sign = SignOfLife(self.postgres_url, context.run.run_id)
        try:
            sign.begin()
        except psycopg2.Error as problem:
            if context.log:
                context.log.warning("The run gives no sign of life (%s).", type(problem).__name__)
            return
        self._sign = sign
        context.instance.add_run_tags(context.run.run_id, process_tag(context.run.run_id))

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:  # noqa: ARG002 - Dagster's
        """The run has ended, or its steps have."""
        if self._sign:
            self._sign.end()

    @contextmanager
    def alone(self, asset: str, site: str, day: date) -> Iterator[None]:
        """Be the only run that works on `asset` and `day` of the ERPNext at `site`, until the block ends.

        Unique keys keep the books right even when two runs work at once. Mails, statements and deliveries have no
        such key before they are sent: two runs that both plan them would both send them. The locks are PostgreSQL's
        own advisory locks and live in one connection, so a run that is killed gives them back at that moment.

        Raises:
            DayBusy: another run did not end within `lock_wait_s`, or PostgreSQL cannot be asked.
            dagster.Failure: the run's `lock_wait_s` is out of bounds; the sentence is for people.
        """
        if not 0 <= self.lock_wait_s <= LONGEST_WAIT_S:
            raise dg.Failure(
                f"close.lock_wait_s must be a number of seconds from 0 to {LONGEST_WAIT_S}. Nothing was done; correct it in the "
                "launchpad and launch again.",
                allow_retries=False,
            )
        if not self.postgres_url:
            yield
            return
        import psycopg2

        try:
            connection = connected(self.postgres_url, f"scoopjoy {asset} {day}")
        except psycopg2.Error as problem:
            raise _unasked(day, problem) from problem
        with closing(connection):
            wait_ms = max(self.lock_wait_s * 1000, 1)  # 0 would be no limit
            try:
                with connection.cursor() as cursor:
                    cursor.execute("SELECT set_config('lock_timeout', %s, false)", (f"{wait_ms:.0f}ms",))
                    cursor.execute(
                        "SELECT pg_advisory_lock(%s)", (lock_number(site, asset, day.isoformat()),)
                    )
            except psycopg2.errors.LockNotAvailable as problem:
                message = (
                    f"another run has been working on {asset} of {day} for more than {self.lock_wait_s:g} s"
                )
                raise DayBusy(message) from problem
            except psycopg2.Error as problem:
                raise _unasked(day, problem) from problem
            yield


def _unasked(day: date, problem: Exception) -> DayBusy:
    kind = type(problem).__name__
    return DayBusy(f"PostgreSQL could not be asked whether another run is closing {day} ({kind})")
