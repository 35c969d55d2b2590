"""Judges what the program has left on the embedded servers, against the truth that is worked out independently.

Here: the whole judgement of a settled day, and that of entries, statements and mails that came twice; the
rest is in ``shares``, ``till`` and ``deliveries``. Not here: what must be true (``truth``), how it came about (``schedule``). It reads
the site's tables, what headquarters took and the mails; it imports nothing of the program under test.
"""

from __future__ import annotations

import io
from collections import defaultdict
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from pypdf import PdfReader

from scoopjoy_dagster_tests.chaos.deliveries import judge_headquarters, judge_mails
from scoopjoy_dagster_tests.chaos.shares import (
    bases_of,
    judge_rows,
    judge_sales,
    judge_shown,
    rows_of,
    touched,
)
from scoopjoy_dagster_tests.chaos.till import judge_till
from scoopjoy_dagster_tests.chaos.truth import (
    Owed,
    Sales,
    Tables,
    franchises,
    owed,
    paise,
    rupees,
    todays_rate,
)
from scoopjoy_dagster_tests.chaos.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date

    from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext
    from scoopjoy_dagster.sandbox.hq import SandboxHQ
    from scoopjoy_dagster.sandbox.mail import MailSink, ReceivedMail
    from scoopjoy_dagster_tests.chaos.mails import MailWatch

COMPANY = "ScoopJoy"
RECEIVABLE = "Debtors - SJ"
INCOME = "Royalty Income - SJ"
KEY = "custom_scoopjoy_key"


def _text(pdf: bytes) -> str:
    """The words of a PDF, amounts without the commas between lakhs."""
    pages = PdfReader(io.BytesIO(pdf)).pages
    return "\n".join(page.extract_text() for page in pages).replace(",", "")


@dataclass(slots=True)
class Oracle:
    """The judge of one world. Tell it of every change of the facts (``note``), ask it when a day is settled (``judge``).

    Attributes:
        history: for each day, royalty and sales by franchise at every moment that a run could have seen, oldest first.
        rates: for each day, the rates that each franchise had at these moments: its first entry is at one of them.
        touched: when each sale was changed last, as of the last note: people change sales, and no close does.
        mails_twice: how many mails came again within the window that the documents name.
    """

    erpnext: SandboxERPNext
    headquarters: SandboxHQ
    mail: MailSink
    watch: MailWatch
    recipients: Sequence[str]
    history: dict[date, list[dict[str, tuple[int, Sales]]]] = field(default_factory=lambda: defaultdict(list))
    rates: dict[date, dict[str, set[Fraction]]] = field(default_factory=lambda: defaultdict(dict))
    touched: dict[tuple[str, str], str] = field(default_factory=dict)
    mails_twice: int = 0
    names: dict[str, str] = field(default_factory=dict)
    """What customers that were renamed or merged are called now, by every name that they had."""
    merged: set[str] = field(default_factory=set)
    """Customers into which another was merged: of what they owed at earlier moments nothing is known."""

    def renamed(self, old: str, new: str) -> None:
        """A person has renamed a Customer: what was true of it under the old name is true of it under the new one."""
        self.names = {**{before: new if now == old else now for before, now in self.names.items()}, old: new}
        for moments in self.history.values():
            for one in moments:
                if old in one:
                    one[new] = one.pop(old)
        for rates in self.rates.values():
            if old in rates:
                rates[new] = rates.pop(old) | rates.get(new, set())

    def was_merged(self, old: str, new: str) -> None:
        """A person has merged a Customer into another."""
        self.renamed(old, new)
        self.merged.add(new)

    @property
    def tables(self) -> Tables:
        return Tables(self.erpnext)

    def note(self, days: Iterable[date]) -> None:
        """The facts of these days may have changed: whoever reads them from now on sees these royalties."""
        for day in days:
            now = {
                name: (one.royalty, {sale: base for sale, base in one.invoices.items() if base})
                for name, one in owed(self.tables, day).items()
            }
            for name, franchise in franchises(self.tables).items():
                self.rates[day].setdefault(name, set()).add(todays_rate(franchise))
            if not self.history[day] or self.history[day][-1] != now:
                self.history[day].append(now)
        self.touched = touched(self.tables)

    def judge(self, day: date) -> list[Verdict]:
        """Everything that is not right about a settled day."""
        written = self._written()
        self.note([day])
        truth = owed(self.tables, day)
        entries = self._entries(day)
        return [
            *self._royalties(day, truth, entries),
            *self._strays(day),
            *judge_till(self.tables, day),
            *written,
            *self._sales(truth, entries),
            *self._statements(day, truth, entries),
            *judge_headquarters(self.tables, self.headquarters, day, truth, self.names),
            *judge_mails(self.tables, self._mails(day), self.recipients, day, truth),
            *self._mails_twice(day),
            *self._ledger(),
        ]

    # -- Journal Entries ------------------------------------------------------------------------------------------

    def _entries(self, day: date) -> dict[str, list[dict[str, Any]]]:
        """Our submitted Journal Entries of the day by customer, oldest revision first."""
        rows = self.tables.rows(
            f'SELECT name, docstatus, {KEY} AS key, custom_scoopjoy_adjusts AS adjusts FROM "tabJournal Entry"'
            f" WHERE {KEY} LIKE ? AND docstatus = 1",
            f"royalty:{COMPANY}:{day}:%",
        )
        found: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in rows:
            customer, _, revision = row["key"].split(":", 3)[3].rpartition(":")
            found[self.names.get(customer, customer)].append(
                {**row, "revision": int(revision), "chain": row["adjusts"] or row["name"]}
            )
        for mine in found.values():
            mine.sort(key=lambda one: (one["revision"], one["key"].casefold()))
        return found

    def _royalties(
        self, day: date, truth: dict[str, Owed], entries: dict[str, list[dict[str, Any]]]
    ) -> list[Verdict]:
        found: list[Verdict] = []
        for customer in sorted(truth.keys() | entries.keys()):
            mine = entries.get(customer, [])
            due = truth[customer].royalty if customer in truth else 0
            amounts = [self._posted(one["name"], customer, found) for one in mine]
            if due and not mine:
                found.append(Verdict("lost", f"{customer} has no royalty entry for {day}", due))
                continue
            if mine and customer in truth and truth[customer].rate not in self.rates[day].get(customer, ()):
                rate = float(truth[customer].rate)
                found.append(
                    Verdict("wrong", f"{mine[0]['name']} is at {rate} %, which {customer} never paid")
                )
            if sum(amounts) != due:
                short = abs(sum(amounts) - due)
                found.append(
                    Verdict(
                        "difference",
                        f"{customer} owes {rupees(due)} for {day}, {rupees(sum(amounts))} are posted",
                        short,
                    )
                )
            found += judge_rows(self.tables, day, customer, mine, amounts)
            found += self._chains(day, customer, mine)
            if customer not in self.merged:
                found += self._steps(day, customer, mine, amounts)
        return found

    def _chains(self, day: date, customer: str, mine: list[dict[str, Any]]) -> list[Verdict]:
        """A first entry is followed by its adjustments without a gap.

        Of merged customers there are several first ones, and their adjustments share the numbers.
        """
        found: list[Verdict] = []
        for chain in dict.fromkeys(one["chain"] for one in mine):
            own = [one for one in mine if one["chain"] == chain]
            revisions = [one["revision"] for one in own]
            gaps = revisions != list(range(len(own))) and customer not in self.merged
            if gaps or revisions[0] or len(set(revisions)) < len(own):
                numbers = ", ".join(map(str, revisions))
                found.append(Verdict("wrong", f"revisions of {customer} on {day} are {numbers}"))
            if revisions[0] and not own[0]["adjusts"]:
                found.append(Verdict("wrong", f"{chain} does not say that it adjusts an entry of {customer}"))
            elif own[0]["name"] != chain:
                found.append(
                    Verdict("wrong", f"{own[0]['name']} adjusts {chain}, which is no entry of {customer}")
                )
        return found

    def _posted(self, entry: str, customer: str, found: list[Verdict]) -> int:
        """What the ledger says of an entry, in paise; its two sides are checked on the way."""
        rows = self.tables.rows(
            'SELECT account, party_type, party, debit, credit FROM "tabGL Entry"'
            " WHERE voucher_type = 'Journal Entry' AND voucher_no = ? AND is_cancelled = 0",
            entry,
        )
        owing = [row for row in rows if row["account"] == RECEIVABLE]
        earned = [row for row in rows if row["account"] == INCOME]
        if len(rows) != 2 or (len(owing), len(earned)) not in {(1, 1), (2, 0)}:
            found.append(Verdict("wrong", f"{entry} does not have one row each of {RECEIVABLE} and {INCOME}"))
            return 0
        parties = {(row["party_type"], row["party"]) for row in owing}
        if parties != {("Customer", customer)} or any(row["party"] for row in earned):
            found.append(Verdict("wrong", f"{entry} does not have {customer} on {RECEIVABLE} only"))
        amount = sum(paise(row["debit"]) - paise(row["credit"]) for row in owing)
        off = amount - sum(paise(row["credit"]) - paise(row["debit"]) for row in earned)
        if off:
            found.append(Verdict("difference", f"the sides of {entry} differ", abs(off)))
        return amount

    def _steps(
        self, day: date, customer: str, mine: list[dict[str, Any]], amounts: list[int]
    ) -> list[Verdict]:
        """Every entry leads from what was posted, and on which sales, to what was true at some moment later than the one before."""
        seen = [one.get(customer, (0, {})) for one in self.history[day]]
        posted, moment, rows = 0, 0, list[dict[str, Any]]()
        for one, amount in zip(mine, amounts, strict=True):
            posted += amount
            rows += rows_of(self.tables, one["name"])
            later = [place for place in range(moment, len(seen)) if seen[place] == (posted, bases_of(rows))]
            if not later:
                what = f"{one['name']} over {rupees(amount)} brings {customer} to {rupees(posted)} on {day}, which was never due"
                due = [royalty for royalty, _ in seen[moment:]]
                if posted in due:
                    what = f"{one['name']} brings {customer} to sales that it never had on {day}"
                return [Verdict("duplicate", what, abs(amount))]
            moment = later[0] + 1
        return []

    def _strays(self, day: date) -> list[Verdict]:
        """Drafts of ours, cancelled entries, and entries without a key that somebody must have posted."""
        drafts = self.tables.names(
            f'SELECT name FROM "tabJournal Entry" WHERE {KEY} LIKE ? AND docstatus != 1',
            f"royalty:{COMPANY}:{day}:%",
        )
        unknown = self.tables.names(
            f"SELECT name FROM \"tabJournal Entry\" WHERE coalesce({KEY}, '') = '' AND posting_date = ? AND docstatus != 2",
            day.isoformat(),
        )
        return [
            *(Verdict("wrong", f"{name} has our key and is not submitted") for name in drafts),
            *(Verdict("duplicate", f"{name} of {day} has no key") for name in unknown),
        ]

    def _ledger(self) -> list[Verdict]:
        rows = self.tables.rows('SELECT debit, credit FROM "tabGL Entry" WHERE is_cancelled = 0')
        left = sum(paise(row["debit"]) - paise(row["credit"]) for row in rows)
        return (
            [Verdict("difference", "debit and credit of the whole ledger differ", abs(left))] if left else []
        )

    # -- mails that came twice ----------------------------------------------------------------------------------------

    def _mails(self, day: date) -> list[ReceivedMail]:
        return [one for one in self.mail.messages if f"Nightly close {day}" in one.subject]

    def _mails_twice(self, day: date) -> list[Verdict]:
        """Mails that came again without need; those in the window are counted."""
        found: list[Verdict] = []
        for again, excused in self.watch.repeated(self._mails(day)):
            if excused:
                self.mails_twice += again not in self.watch.counted
                self.watch.counted.add(again)
            else:
                found.append(Verdict("duplicate", f"{again} came again without need"))
        return found

    # -- sales and statements -----------------------------------------------------------------------------------------

    def _written(self) -> list[Verdict]:
        """Sales that were changed since the last note, which no person has done."""
        now = touched(self.tables)
        return [
            Verdict("wrong", f"the close has changed {name[1]}")
            for name, moment in self.touched.items()
            if now.get(name) not in {None, moment}
        ]

    def _sales(self, truth: dict[str, Owed], entries: dict[str, list[dict[str, Any]]]) -> list[Verdict]:
        found: list[Verdict] = []
        for customer, one in truth.items():
            mine = entries.get(customer, [])
            found += judge_sales(self.tables, customer, one, mine)
            found += judge_shown(self.erpnext, customer, one, mine)
        return found

    def _statements(
        self, day: date, truth: dict[str, Owed], entries: dict[str, list[dict[str, Any]]]
    ) -> list[Verdict]:
        """One statement over the royalty on the first entry of every franchise; none on an adjustment.

        Of customers that were merged before it was written it is on one first entry, and names the others.
        """
        found: list[Verdict] = []
        for customer, mine in sorted(entries.items()):
            due = truth[customer].royalty if customer in truth else 0
            merged = truth[customer].merged if customer in truth else frozenset()
            for entry in mine:
                files = self.tables.rows(
                    'SELECT f.name, f.file_name, f.is_private, c.body FROM "tabFile" f LEFT JOIN content c ON c.url = f.file_url'
                    " WHERE f.attached_to_doctype = 'Journal Entry' AND f.attached_to_name = ? ORDER BY f.name",
                    entry["name"],
                )
                wanted = 1 if entry["revision"] == 0 else 0
                if len(files) < wanted and entry["name"] not in merged:
                    found.append(Verdict("lost", f"{entry['name']} of {customer} on {day} has no statement"))
                found += [
                    Verdict("duplicate", f"{one['file_name']} is attached to {entry['name']} besides")
                    for one in files[wanted:]
                ]
                for one in files[:wanted]:
                    if not bytes(one["body"] or b"").startswith(b"%PDF") or not one["is_private"]:
                        found.append(Verdict("wrong", f"{one['file_name']} is no private PDF"))
                    elif customer not in self.merged and f"₹{rupees(due)}" not in _text(one["body"]):
                        found.append(Verdict("wrong", f"{one['file_name']} does not say {rupees(due)}"))
        return found
