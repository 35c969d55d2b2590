"""Judges what the program has left on the embedded servers, against the truth that is worked out independently.

Here: documents, annotations, statements, headquarters and mails of a settled day, each exactly once. Not here: what must
be true (``truth``), how it came about (``schedule``). It reads the site's tables, what headquarters took and the mails;
it imports nothing of the program under test.
"""

from __future__ import annotations

import io
import json
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

from pypdf import PdfReader

from scoopjoy_dagster_tests.chaos.truth import Owed, Tables, owed, paise, rupees, shifts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date

    from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext
    from scoopjoy_dagster.sandbox.hq import SandboxHQ
    from scoopjoy_dagster.sandbox.mail import MailSink
    from scoopjoy_dagster_tests.chaos.mails import MailWatch

COMPANY = "ScoopJoy"
RECEIVABLE = "Debtors - SJ"
INCOME = "Royalty Income - SJ"
KEY = "custom_scoopjoy_key"

Fault = Literal["duplicate", "lost", "difference", "wrong"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """One thing that is not as it must be.

    Attributes:
        fault: ``duplicate`` (there more than once, or though it must not be), ``lost`` (not there), ``difference``
            (there with another amount), ``wrong`` (there with something else that is not right).
        what: in words, with names.
        amount: by how much, in paise, never negative; 0 where it is no matter of an amount.
    """

    fault: Fault
    what: str
    amount: int = 0

    def __str__(self) -> str:
        money = f" ({rupees(self.amount)} INR)" if self.amount else ""
        return f"{self.fault}: {self.what}{money}"


def _text(pdf: bytes) -> str:
    """The words of a PDF, amounts without the commas between lakhs."""
    pages = PdfReader(io.BytesIO(pdf)).pages
    return "\n".join(page.extract_text() for page in pages).replace(",", "")


@dataclass(slots=True)
class Oracle:
    """The judge of one world. Tell it of every change of the facts (``note``), ask it when a day is settled (``judge``).

    Attributes:
        history: for each day, royalties by franchise at every moment that a run could have seen, oldest first.
        mails_twice: how many mails came again within the window that the documents name.
    """

    erpnext: SandboxERPNext
    headquarters: SandboxHQ
    mail: MailSink
    watch: MailWatch
    recipients: Sequence[str]
    history: dict[date, list[dict[str, int]]] = field(default_factory=lambda: defaultdict(list))
    mails_twice: int = 0

    @property
    def tables(self) -> Tables:
        return Tables(self.erpnext)

    def note(self, days: Iterable[date]) -> None:
        """The facts of these days may have changed: whoever reads them from now on sees these royalties."""
        for day in days:
            now = {name: one.royalty for name, one in owed(self.tables, day).items()}
            if not self.history[day] or self.history[day][-1] != now:
                self.history[day].append(now)

    def judge(self, day: date) -> list[Verdict]:
        """Everything that is not right about a settled day."""
        self.note([day])
        truth = owed(self.tables, day)
        entries = self._entries(day)
        return [
            *self._royalties(day, truth, entries),
            *self._strays(day),
            *self._closings(day),
            *self._annotations(day, truth, entries),
            *self._statements(day, truth, entries),
            *self._headquarters(day, truth),
            *self._mails(day, truth),
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
            found[customer].append({**row, "revision": int(revision)})
        for mine in found.values():
            mine.sort(key=lambda one: one["revision"])
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
            if sum(amounts) != due:
                short = abs(sum(amounts) - due)
                found.append(
                    Verdict(
                        "difference",
                        f"{customer} owes {rupees(due)} for {day}, {rupees(sum(amounts))} are posted",
                        short,
                    )
                )
            if [one["revision"] for one in mine] != list(range(len(mine))):
                numbers = ", ".join(str(one["revision"]) for one in mine)
                found.append(Verdict("wrong", f"revisions of {customer} on {day} are {numbers}"))
            for one in mine[1:]:
                if one["adjusts"] != mine[0]["name"]:
                    found.append(
                        Verdict("wrong", f"{one['name']} does not say that it adjusts {mine[0]['name']}")
                    )
            found += self._steps(day, customer, mine, amounts)
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
        if len(rows) != 2 or len(owing) != 1 or len(earned) != 1:
            found.append(Verdict("wrong", f"{entry} does not have one row each of {RECEIVABLE} and {INCOME}"))
            return 0
        if (owing[0]["party_type"], owing[0]["party"]) != ("Customer", customer) or earned[0]["party"]:
            found.append(Verdict("wrong", f"{entry} does not have {customer} on {RECEIVABLE} only"))
        amount = paise(owing[0]["debit"]) - paise(owing[0]["credit"])
        off = amount - (paise(earned[0]["credit"]) - paise(earned[0]["debit"]))
        if off:
            found.append(Verdict("difference", f"the sides of {entry} differ", abs(off)))
        return amount

    def _steps(
        self, day: date, customer: str, mine: list[dict[str, Any]], amounts: list[int]
    ) -> list[Verdict]:
        """Every entry leads from what was posted to what was true at some moment, later than that of the one before."""
        seen = [one.get(customer, 0) for one in self.history[day]]
        posted, moment = 0, 0
        for one, amount in zip(mine, amounts, strict=True):
            posted += amount
            later = [place for place in range(moment, len(seen)) if seen[place] == posted]
            if amount == 0 or not later:
                what = f"{one['name']} over {rupees(amount)} brings {customer} to {rupees(posted)} on {day}, which was never due"
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

    # -- the till -------------------------------------------------------------------------------------------------

    def _closings(self, day: date) -> list[Verdict]:
        found: list[Verdict] = []
        for shift in shifts(self.tables, day):
            closings = self.tables.rows(
                'SELECT name, docstatus, status, grand_total FROM "tabPOS Closing Entry" WHERE pos_opening_entry = ?',
                shift.opening,
            )
            submitted = [one for one in closings if one["docstatus"] == 1]
            if not submitted:
                found.append(Verdict("lost", f"{shift.opening} of {day} has no submitted closing"))
            found += [
                Verdict("duplicate", f"{one['name']} closes {shift.opening} again") for one in submitted[1:]
            ]
            found += [
                Verdict("duplicate", f"the draft {one['name']} of {shift.opening} is left")
                for one in closings
                if one["docstatus"] == 0
            ]
            for one in submitted[:1]:
                due = sum(shift.invoices.values())
                if one["status"] != "Submitted":
                    found.append(Verdict("wrong", f"{one['name']} is {one['status']}"))
                if paise(one["grand_total"]) != due:
                    short = abs(paise(one["grand_total"]) - due)
                    found.append(
                        Verdict("difference", f"the sales of {one['name']} are {rupees(due)}", short)
                    )
            for invoice, amount in shift.invoices.items():
                found += self._consolidated(invoice, amount)
        return [*found, *self._consolidations()]

    def _consolidated(self, invoice: str, amount: int) -> list[Verdict]:
        """A POS Invoice is in one submitted closing, in one merge log, and booked by one submitted Sales Invoice."""
        booked = self.tables.names(
            'SELECT s.name FROM "tabPOS Invoice" p JOIN "tabSales Invoice" s ON s.name = p.consolidated_invoice'
            " WHERE p.name = ? AND s.docstatus = 1",
            invoice,
        )
        found = [] if booked else [Verdict("lost", f"{invoice} is not consolidated", abs(amount))]
        for parent in ("POS Closing Entry", "POS Invoice Merge Log"):
            places = self.tables.names(
                'SELECT parent FROM "tabPOS Invoice Reference" WHERE parenttype = ? AND pos_invoice = ? AND docstatus = 1',
                parent,
                invoice,
            )
            if not places:
                found.append(Verdict("lost", f"{invoice} is in no submitted {parent}", abs(amount)))
            if len(places) > 1:
                found.append(
                    Verdict("duplicate", f"{invoice} is in {', '.join(sorted(places))}", abs(amount))
                )
        return found

    def _consolidations(self) -> list[Verdict]:
        """What a consolidated Sales Invoice books is the sum of its POS Invoices."""
        rows = self.tables.rows(
            'SELECT s.name, s.base_grand_total AS booked, p.base_grand_total AS sold FROM "tabSales Invoice" s'
            ' JOIN "tabPOS Invoice" p ON p.consolidated_invoice = s.name WHERE s.docstatus = 1'
        )
        sold: Counter[str] = Counter()
        booked: dict[str, int] = {}
        for row in rows:
            sold[row["name"]] += paise(row["sold"])
            booked[row["name"]] = paise(row["booked"])
        found = [
            Verdict(
                "difference",
                f"{name} books {rupees(amount)} for sales of {rupees(sold[name])}",
                abs(amount - sold[name]),
            )
            for name, amount in sorted(booked.items())
            if amount != sold[name]
        ]
        empty = self.tables.names(
            'SELECT name FROM "tabSales Invoice" s WHERE is_consolidated = 1 AND docstatus = 1'
            ' AND NOT EXISTS (SELECT 1 FROM "tabPOS Invoice" p WHERE p.consolidated_invoice = s.name)'
        )
        return [*found, *(Verdict("duplicate", f"{name} consolidates nothing") for name in empty)]

    # -- annotations and statements ---------------------------------------------------------------------------------

    def _annotations(
        self, day: date, truth: dict[str, Owed], entries: dict[str, list[dict[str, Any]]]
    ) -> list[Verdict]:
        found: list[Verdict] = []
        for customer in sorted(truth.keys() | entries.keys()):
            first = entries[customer][0]["name"] if entries.get(customer) else ""
            rows = self.tables.rows(
                "SELECT name, custom_royalty_rate AS rate, custom_royalty_share AS share,"
                ' custom_royalty_journal_entry AS entry FROM "tabSales Invoice"'
                " WHERE customer = ? AND posting_date = ? AND docstatus = 1 ORDER BY name",
                customer,
                day.isoformat(),
            )
            one = truth.get(customer)
            royalty = one.royalty if one else 0
            exact = one.proportions() if one else {}
            shares = {row["name"]: paise(row["share"]) for row in rows}
            if rows and sum(shares.values()) != royalty:
                short = abs(sum(shares.values()) - royalty)
                what = f"the shares of {customer} on {day} add up to {rupees(sum(shares.values()))}, not {rupees(royalty)}"
                found.append(Verdict("difference", what, short))
            for row in rows:
                name, proportion = row["name"], exact.get(row["name"], Fraction(0))
                if abs(shares[name] - proportion) >= 1:
                    what = f"the share of {name} is {rupees(shares[name])}, its proportion {float(proportion) / 100:.4f}"
                    found.append(Verdict("wrong", what))
                if royalty and (row["entry"] or "") != first:
                    found.append(Verdict("wrong", f"{name} names {row['entry'] or 'no entry'}, not {first}"))
                if royalty and one and str(float(row["rate"] or 0)) != str(float(one.rate)):
                    found.append(Verdict("wrong", f"{name} says {row['rate']} %, not {float(one.rate)} %"))
                if not first and row["entry"]:
                    found.append(
                        Verdict("wrong", f"{name} names {row['entry']}, which is no royalty of {customer}")
                    )
        return found

    def _statements(
        self, day: date, truth: dict[str, Owed], entries: dict[str, list[dict[str, Any]]]
    ) -> list[Verdict]:
        """One statement over the royalty on the first entry of every franchise; none on an adjustment."""
        found: list[Verdict] = []
        for customer, mine in sorted(entries.items()):
            due = truth[customer].royalty if customer in truth else 0
            for place, entry in enumerate(mine):
                files = self.tables.rows(
                    'SELECT f.name, f.file_name, f.is_private, c.body FROM "tabFile" f LEFT JOIN content c ON c.url = f.file_url'
                    " WHERE f.attached_to_doctype = 'Journal Entry' AND f.attached_to_name = ? ORDER BY f.name",
                    entry["name"],
                )
                wanted = 1 if place == 0 else 0
                if len(files) < wanted:
                    found.append(Verdict("lost", f"{entry['name']} of {customer} on {day} has no statement"))
                found += [
                    Verdict("duplicate", f"{one['file_name']} is attached to {entry['name']} besides")
                    for one in files[wanted:]
                ]
                for one in files[:wanted]:
                    if not bytes(one["body"] or b"").startswith(b"%PDF") or not one["is_private"]:
                        found.append(Verdict("wrong", f"{one['file_name']} is no private PDF"))
                    elif f"₹{rupees(due)}" not in _text(one["body"]):
                        found.append(Verdict("wrong", f"{one['file_name']} does not say {rupees(due)}"))
        return found

    # -- headquarters -----------------------------------------------------------------------------------------------

    def _headquarters(self, day: date, truth: dict[str, Owed]) -> list[Verdict]:
        taken = [
            one.payload
            for one in self.headquarters.deliveries
            if one.payload["business_day"] == day.isoformat()
        ]
        if not taken:
            return [Verdict("lost", f"headquarters was not told of {day}")]
        found: list[Verdict] = []
        revisions = [one["revision"] for one in taken]
        if sorted(revisions) != list(range(len(taken))):
            found.append(Verdict("wrong", f"headquarters holds the revisions {revisions} of {day}"))
        taken.sort(key=lambda one: one["revision"])
        said = [json.dumps({**one, "revision": 0}, sort_keys=True) for one in taken]
        found += [
            Verdict(
                "duplicate",
                f"headquarters was told the same of {day} as revision {taken[place]['revision']} again",
            )
            for place in range(1, len(said))
            if said[place] == said[place - 1]
        ]
        held, till = taken[-1]["totals"], shifts(self.tables, day)
        wanted = {
            "royalty": sum(one.royalty for one in truth.values()),
            "royalty_base": sum(one.base for one in truth.values()),
            "sales": sum(one.base for one in truth.values()),
            "pos_sales": sum(sum(one.invoices.values()) for one in till),
        }
        for name, amount in wanted.items():
            if paise(held[name]) != amount:
                what = f"headquarters holds {name} {held[name]} for {day}, not {rupees(amount)}"
                found.append(Verdict("difference", what, abs(paise(held[name]) - amount)))
        counts = {
            "invoices": sum(len(one.invoices) for one in truth.values()),
            "pos_shifts": len(till),
            "pos_invoices": sum(len(one.invoices) for one in till),
        }
        found += [
            Verdict("wrong", f"headquarters holds {name} {held[name]} for {day}, not {number}")
            for name, number in counts.items()
            if held[name] != number
        ]
        rows = {row["customer"]: paise(row["royalty"]) for row in taken[-1]["franchises"]}
        found += [
            Verdict(
                "difference",
                f"headquarters holds another royalty of {name} for {day}",
                abs(rows.get(name, 0) - one.royalty),
            )
            for name, one in truth.items()
            if rows.get(name, 0) != one.royalty
        ]
        return [*found, *self._records(day, "hq", ["headquarters"], {"headquarters": revisions})]

    # -- mails ------------------------------------------------------------------------------------------------------

    def _records(
        self, day: date, channel: str, recipients: Sequence[str], delivered: dict[str, list[int]]
    ) -> list[Verdict]:
        """Delivery records: every recipient has the newest revision, and no record is without its delivery."""
        rows = self.tables.rows(
            'SELECT recipient, revision FROM "tabScoopJoy Delivery" WHERE channel = ? AND business_day = ?',
            channel,
            day.isoformat(),
        )
        newest = max((row["revision"] for row in rows), default=-1)
        found = [
            Verdict("lost", f"no record that {one} has revision {newest} ({channel}, {day})")
            for one in recipients
            if (one, newest) not in {(row["recipient"], row["revision"]) for row in rows}
        ]
        found += [
            Verdict(
                "lost",
                f"{row['recipient']} never had revision {row['revision']} that is recorded ({channel}, {day})",
            )
            for row in rows
            if row["revision"] not in delivered.get(row["recipient"], [])
        ]
        twice = Counter((row["recipient"], row["revision"]) for row in rows)
        return [
            *found,
            *(
                Verdict("duplicate", f"{who} is recorded {n} times with revision {rev} ({channel}, {day})")
                for (who, rev), n in twice.items()
                if n > 1
            ),
        ]

    def _mails(self, day: date, truth: dict[str, Owed]) -> list[Verdict]:
        found: list[Verdict] = []
        mails = [one for one in self.mail.messages if f"Nightly close {day}" in one.subject]
        delivered: dict[str, list[int]] = defaultdict(list)
        for mail in mails:
            number = re.search(r"\(revision (\d+)\)$", mail.subject)
            delivered[mail.recipient].append(int(number[1]) if number else 0)
        found += [
            Verdict("duplicate", f"{who} has mails of {day} and is no recipient")
            for who in delivered.keys() - set(self.recipients)
        ]
        due = sum(one.royalty for one in truth.values())
        for who in self.recipients:
            mine = [mail for mail in mails if mail.recipient == who]
            if not mine:
                found.append(Verdict("lost", f"{who} has no mail of {day}"))
                continue
            body = mine[-1].message.get_body(("plain",))
            text = body.get_content() if body else ""
            line = re.search(r"^Royalty .*$", text, re.MULTILINE)
            said = int(re.sub(r"[^0-9]", "", line[0]) or 0) if line else -1
            if said != due:
                what = f"the last mail of {who} says a royalty of {rupees(said)} for {day}, not {rupees(due)}"
                found.append(Verdict("difference", what, abs(said - due)))
        for again, excused in self.watch.repeated(mails):
            if excused:
                self.mails_twice += again not in self.watch.counted
                self.watch.counted.add(again)
            else:
                found.append(Verdict("duplicate", f"{again} came again without need"))
        return [*found, *self._records(day, "report", self.recipients, delivered)]
