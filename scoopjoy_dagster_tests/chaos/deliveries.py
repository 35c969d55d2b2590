"""Judges what headquarters and the managers were told of a settled day, and what is on record of it."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from scoopjoy_dagster_tests.chaos.truth import Owed, Tables, paise, rupees, shifts
from scoopjoy_dagster_tests.chaos.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from scoopjoy_dagster.sandbox.hq import SandboxHQ
    from scoopjoy_dagster.sandbox.mail import ReceivedMail


def judge_headquarters(
    tables: Tables,
    headquarters: SandboxHQ,
    day: date,
    truth: dict[str, Owed],
    names: Mapping[str, str],
) -> list[Verdict]:
    """Everything that is not right about what headquarters holds of the day.

    `names` are those of today of customers that were renamed: headquarters may know them by an earlier one.
    """
    taken = [one.payload for one in headquarters.deliveries if one.payload["business_day"] == day.isoformat()]
    if not taken:
        return [Verdict("lost", f"headquarters was not told of {day}")]
    found: list[Verdict] = []
    revisions = [one["revision"] for one in taken]
    # What was on its way, and never answered, may have got lost: its number is not used again for other totals.
    unknown = {row["revision"] for row in _recorded(tables, day, "hq") if not row["reference"]}
    numbers = set(revisions) | {one for one in unknown if one < max(revisions)}
    if len(set(revisions)) < len(taken) or numbers != set(range(len(numbers))):
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
        and not unknown & set(range(taken[place - 1]["revision"], taken[place]["revision"]))
    ]
    held, till = taken[-1]["totals"], shifts(tables, day)
    wanted = {
        "royalty": sum(one.royalty for one in truth.values()),
        "royalty_base": sum(one.base for one in truth.values()),
        "sales": sum(one.base for one in truth.values()),
        "pos_sales": sum(one.due for one in till),
    }
    for name, amount in wanted.items():
        if paise(held[name]) != amount:
            what = f"headquarters holds {name} {held[name]} for {day}, not {rupees(amount)}"
            found.append(Verdict("difference", what, abs(paise(held[name]) - amount)))
    counts = {
        "invoices": sum(len(one.invoices) for one in truth.values()),
        "pos_shifts": len(till),
        "pos_invoices": sum(len(one.invoices) + len(one.booked) for one in till),
    }
    found += [
        Verdict("wrong", f"headquarters holds {name} {held[name]} for {day}, not {number}")
        for name, number in counts.items()
        if held[name] != number
    ]
    rows: Counter[str] = Counter()
    for row in taken[-1]["franchises"]:
        rows[names.get(row["customer"], row["customer"])] += paise(row["royalty"])
    found += [
        Verdict(
            "difference",
            f"headquarters holds another royalty of {name} for {day}",
            abs(rows.get(name, 0) - one.royalty),
        )
        for name, one in truth.items()
        if rows.get(name, 0) != one.royalty
    ]
    return [*found, *_records(tables, day, "hq", ["headquarters"], {"headquarters": revisions})]


def _recorded(tables: Tables, day: date, channel: str) -> list[dict[str, Any]]:
    """The delivery records of a day; one without a reference is of a delivery of which nobody knows whether it arrived."""
    return tables.rows(
        'SELECT recipient, revision, reference FROM "tabScoopJoy Delivery" WHERE channel = ? AND business_day = ?',
        channel,
        day.isoformat(),
    )


def _records(
    tables: Tables, day: date, channel: str, recipients: Sequence[str], delivered: dict[str, list[int]]
) -> list[Verdict]:
    """Delivery records: every recipient has the newest revision for certain, and no record says so without its delivery."""
    rows = _recorded(tables, day, channel)
    newest = max((row["revision"] for row in rows), default=-1)
    lowest: dict[str, int] = {}
    for row in rows:
        lowest[row["recipient"]] = min(row["revision"], lowest.get(row["recipient"], row["revision"]))
    if (
        channel == "report"
    ):  # the first mail that somebody gets is the day as it is: its subject names no revision
        delivered = {
            who: [*sent, *([lowest[who]] if who in lowest and 0 in sent else [])]
            for who, sent in delivered.items()
        }
    found = [
        Verdict("lost", f"no record that {one} has revision {newest} ({channel}, {day})")
        for one in recipients
        if (one, newest) not in {(row["recipient"], row["revision"]) for row in rows if row["reference"]}
    ]
    found += [
        Verdict(
            "lost",
            f"{row['recipient']} never had revision {row['revision']} that is recorded ({channel}, {day})",
        )
        for row in rows
        if row["reference"] and row["revision"] not in delivered.get(row["recipient"], [])
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


def judge_mails(
    tables: Tables,
    mails: Sequence[ReceivedMail],
    recipients: Sequence[str],
    day: date,
    truth: dict[str, Owed],
) -> list[Verdict]:
    """Everything that is not right about the day's mails, save those that came twice; `mails` are the day's, in order."""
    found: list[Verdict] = []
    delivered: dict[str, list[int]] = defaultdict(list)
    for mail in mails:
        number = re.search(r"\(revision (\d+)\)$", mail.subject)
        delivered[mail.recipient].append(int(number[1]) if number else 0)
    found += [
        Verdict("duplicate", f"{who} has mails of {day} and is no recipient")
        for who in delivered.keys() - set(recipients)
    ]
    due = sum(one.royalty for one in truth.values())
    sold = any(one.invoices for one in truth.values()) or bool(shifts(tables, day))
    if not mails and not due and not sold:
        # Of a day with nothing in it nobody is to hear.
        return [*found, *_records(tables, day, "report", (), delivered)]
    for who in recipients:
        mine = [mail for mail in mails if mail.recipient == who]
        if not mine:
            found.append(Verdict("lost", f"{who} has no mail of {day}"))
            continue
        body = mine[-1].message.get_body(("plain",))
        text = body.get_content() if body else ""
        # The amount; what follows on the line is how it moved.
        line = re.search(r"^Royalty +(\S+)", text, re.MULTILINE)
        said = int(re.sub(r"[^0-9]", "", line[1]) or 0) if line else -1
        if said != due:
            what = f"the last mail of {who} says a royalty of {rupees(said)} for {day}, not {rupees(due)}"
            found.append(Verdict("difference", what, abs(said - due)))
    return [*found, *_records(tables, day, "report", recipients, delivered)]
