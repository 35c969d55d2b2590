"""Posting the royalty entries of a day: in batches, on the day itself or, by the policy, on the next open one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

from scoopjoy_dagster.accounting.findings import Finding, Severity
from scoopjoy_dagster.accounting.locks import Locks
from scoopjoy_dagster.accounting.policy import LockedDays, RoyaltyPolicy
from scoopjoy_dagster.accounting.royalties import Action
from scoopjoy_dagster.erpnext import royalty_entries
from scoopjoy_dagster.erpnext.batches import Lane, Refused, insert_all_once
from scoopjoy_dagster.erpnext.client import Written
from scoopjoy_dagster.erpnext.errors import ERPNextError, Rejected
from scoopjoy_dagster.erpnext.locks import read_locks
from scoopjoy_dagster.erpnext.series_options import read_counter
from scoopjoy_dagster.erpnext.site import Books, Site

LOCK_REFUSALS = frozenset({"ValidationError", "ClosedAccountingPeriod", "FiscalYearError"})
"""What ERPNext's refusal of an entry on a locked day is called; frozen books and closed years have no name of their own."""


class BooksLocked(Rejected):
    """The books take no entry for the business day; the text says which lock."""


@dataclass(slots=True)
class Posting:
    """Posts the entries of a day: on the day itself, or by the policy on the next open day once it is seen to be locked.

    Only ERPNext knows whether this user may post on a locked day, so the day itself is tried first. `today` bounds
    the search for an open day: nothing is posted into the future.
    """

    site: Site
    books: Books
    policy: RoyaltyPolicy
    day: date
    today: date
    locked: str = ""
    """Why the day is locked, once a refusal has shown it."""
    _locks: Locks | None = None
    _lanes: list[Lane] = field(init=False)

    def __post_init__(self) -> None:
        self._lanes = [Lane({"naming_series": series}) for series in self.books.royalty_series]

    def post(self, actions: Sequence[Action]) -> Iterator[tuple[Action, date, Written | ERPNextError]]:
        """Post the entries of these actions. Each with the day it was posted on, and what became of it.

        An entry that ERPNext refuses does not keep the others from being posted; one for a locked day is answered with
        `BooksLocked`, where nothing else was asked for or no day is open.

        Raises:
            LoginFailed, Unreachable: after what is known of the entries that were sent before.
        """
        left: list[Action] = []
        for action, done in self._post_on(self.day, actions, self._is_it_a_lock):
            if isinstance(done, BooksLocked) and self._open_day() != self.day:
                left.append(action)
            else:
                yield action, self.day, done
        if left:
            for action, done in self._post_on(self._open_day(), left, None):
                yield action, self._open_day(), done

    def foresee(self) -> date | None:
        """The day on which `post` would post, by what can be seen of the locks; None where the entries would wait. Reads only.

        Whether this user may post on a locked day nobody can see before it is tried.
        """
        try:
            self._locks = read_locks(self.site)
        except Rejected:
            return self.day  # as in `post`: this user may not read them
        self.locked = self._locks.reason(self.day)
        if not self.locked:
            return self.day
        open_day = self._open_day()
        return None if open_day == self.day else open_day

    def _post_on(
        self, posting_date: date, actions: Sequence[Action], refused: Refused | None
    ) -> Iterator[tuple[Action, Written | ERPNextError]]:
        results = insert_all_once(
            self.site.client,
            "Journal Entry",
            [
                royalty_entries.entry_document(
                    self.site, self.books, action, self.day, posting_date, self.locked
                )
                for action in actions
            ],
            labels=[action.royalty.customer_name for action in actions],
            lanes=self._lanes,
            batch_size=self.books.royalty_batch,
            refused=refused,
        )
        for index, done in results:
            yield actions[index], done

    def series_behind(self) -> list[Finding]:
        """The naming series whose counter is behind the names that exist: an error once there is none to post in."""
        behind = [str(lane.fields["naming_series"]) for lane in self._lanes if lane.name_taken]
        return [
            self._series_behind("error" if len(behind) == len(self._lanes) else "warning", series)
            for series in behind
        ]

    def _series_behind(self, severity: Severity, series: str) -> Finding:
        counter = read_counter(self.site.client, series)
        return Finding(
            severity,
            "naming series behind",
            series,
            f"its counter is behind the names that exist (the highest is {counter.last if counter else 'of another series'}): "
            "ERPNext refuses every new entry of this series",
            "In ERPNext, open Document Naming Settings, Update Series Counter: choose the prefix "
            f"{counter.prefix if counter else 'of the series'}, set Current Value to "
            f"{counter.current if counter else 'the highest number of its names'} and press Update Series Number. "
            + (
                "Then re-run `royalties` for this day."
                if severity == "error"
                else "The entries were posted in another series meanwhile."
            ),
        )

    def _is_it_a_lock(self, problem: ERPNextError, documents: int, stored: int) -> ERPNextError | None:
        """A refusal because the day is locked is one for all entries: they need not be tried one by one.

        A bad entry is refused in the same words, and this user may be one who posts on locked days all the same. So only a
        refusal of a single entry counts, and only where the day has taken none.
        """
        if (
            not isinstance(problem, Rejected)
            or problem.exc_type not in LOCK_REFUSALS
            or documents > 1
            or stored
        ):
            return None
        if self._locks is None:
            try:
                self._locks = read_locks(self.site)
            except Rejected:
                return None  # this user may not read the locks: ERPNext's own refusal is what people are told
        self.locked = self._locks.reason(self.day)
        return BooksLocked(f"post {self.day}", self.locked) if self.locked else None

    def _open_day(self) -> date:
        if self._locks is None or self.policy.locked_days is not LockedDays.NEXT_OPEN_DAY:
            return self.day
        return self._locks.first_open_day(self.day, self.today) or self.day
