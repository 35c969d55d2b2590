"""The totals of one business day as headquarters receives them: a versioned JSON document, in canonical bytes.

Here: building the document from exact amounts, its bytes, its digest, its revision, and the keys under which
it is delivered. Not here: HTTP, retries, signatures (``delivery``), and where the amounts come from.

The document, ``scoopjoy.daily-totals/1``; ``daily_totals.schema.json`` beside this module is its JSON Schema::

    schema         "scoopjoy.daily-totals/1"
    company        ERPNext Company
    business_day   "YYYY-MM-DD", the day in the company's own time zone
    revision       0 for the first delivery of the day, then 1, 2, ...; headquarters keeps the highest
    currency       ISO 4217 code of the company; every amount is in it
    policy         {name, version} of the royalty policy that gave the rates and the royalties
    totals         invoices        number of Sales Invoices that bore royalty
                   sales           sum of their grand totals, returns with their sign
                   royalty_base    sum of the franchises' bases
                   royalty         sum of the franchises' royalties
                   journal_entries number of Journal Entries that carry the royalties
                   pos_shifts      number of POS shifts of the day
                   pos_invoices    number of POS Invoices in them
                   pos_sales       sum of those POS Invoices
    franchises     one row for each franchise, sorted by customer:
                   {customer, customer_name, invoices, base, rate (percent), royalty, journal_entries [names]}
    changes        what changed since the revision before, and why; empty in revision 0:
                   {who, before, after, reason}, all text for people

Amounts and rates are decimal *strings*: a JSON number would pass through binary floating point at one end or
the other. The same value always has the same string (amounts keep at least two decimals, rates only as many
as they need), so the same day built twice gives the same bytes, and the idempotency key may say so.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import uuid
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from scoopjoy_dagster.clean_text import released, released_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date

SCHEMA = "scoopjoy.daily-totals/1"

# Delivery ids are uuid5 in a namespace of our own, so no other sender's key can give the same id.
_DELIVERY_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, f"urn:{SCHEMA}")


@dataclass(frozen=True, slots=True)
class FranchiseDay:
    """What one franchise sold and owes for the day.

    Attributes:
        customer: name (ID) of the ERPNext Customer.
        customer_name: its display name.
        invoices: number of Sales Invoices that bore royalty.
        base: royalty base, in company currency.
        rate: royalty rate, in percent.
        royalty: what the franchise owes for the day in all, in company currency.
        journal_entries: names of the Journal Entries that carry it (the first and its adjustments).
    """

    customer: str
    customer_name: str
    invoices: int
    base: Decimal
    rate: Decimal
    royalty: Decimal
    journal_entries: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PosDay:
    """What went over the counters on the day: closed shifts, their POS Invoices, their sum in company currency."""

    shifts: int
    invoices: int
    sales: Decimal


def daily_totals(
    *,
    company: str,
    business_day: date,
    revision: int,
    currency: str,
    policy_name: str,
    policy_version: str | int,
    sales: Decimal,
    pos: PosDay,
    franchises: Iterable[FranchiseDay],
    changes: Iterable[Mapping[str, str]] = (),
) -> dict[str, Any]:
    """Build the document for one business day.

    Every total that can be summed from the franchises is summed here, so a total can never contradict its rows.

    Args:
        company: ERPNext Company.
        business_day: the day the totals belong to.
        revision: 0 or more; see ``next_revision``.
        currency: ISO 4217 code of the company currency.
        policy_name: name of the royalty policy.
        policy_version: its version.
        sales: sum of the grand totals of the royalty-bearing Sales Invoices, whatever the policy's base is.
        pos: the day's POS shifts.
        franchises: one row for each franchise, in any order.
        changes: what changed since the revision before: who, before, after, reason.

    Raises:
        TypeError: an amount is a float.
        ValueError: an amount is not finite, a count or the revision is negative, or a customer comes twice.
    """
    rows = sorted(franchises, key=lambda row: row.customer)
    for earlier, later in itertools.pairwise(rows):
        if earlier.customer == later.customer:
            raise ValueError(f"Customer {later.customer!r} appears twice in the totals of {business_day}.")
    return {
        "schema": SCHEMA,
        "company": company,
        "business_day": business_day.isoformat(),
        "revision": _count(revision, "revision"),
        "currency": currency,
        "policy": {"name": policy_name, "version": str(policy_version)},
        "totals": {
            "invoices": sum(row.invoices for row in rows),
            "sales": amount(sales),
            "royalty_base": amount(sum((_exact(row.base) for row in rows), Decimal(0))),
            "royalty": amount(sum((_exact(row.royalty) for row in rows), Decimal(0))),
            "journal_entries": sum(len(row.journal_entries) for row in rows),
            "pos_shifts": _count(pos.shifts, "pos_shifts"),
            "pos_invoices": _count(pos.invoices, "pos_invoices"),
            "pos_sales": amount(pos.sales),
        },
        "franchises": [
            {
                "customer": row.customer,
                "customer_name": row.customer_name,
                "invoices": _count(row.invoices, f"invoices of {row.customer}"),
                "base": amount(row.base),
                "rate": percent(row.rate),
                "royalty": amount(row.royalty),
                "journal_entries": sorted(row.journal_entries),
            }
            for row in rows
        ],
        "changes": [dict(change) for change in changes],
    }


def canonical(payload: Mapping[str, Any]) -> bytes:
    """The bytes that are signed and sent: sorted keys, no spaces, UTF-8."""
    text = json.dumps(payload, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return released_json(text).encode("utf-8")


def digest(payload: Mapping[str, Any]) -> str:
    """SHA-256, in hex, of what the payload says of the day: two that say the same have the same digest.

    The revision and the changes since the one before are not about the day, and neither is a franchise without sales
    and entries: one that is new today is no news about a day last week. Nor is what a franchise is called: headquarters
    learns of a renamed Customer with the days to come, and by the Journal Entries.
    """
    said = {key: value for key, value in payload.items() if key not in {"revision", "changes", "franchises"}}
    rows = [row for row in payload["franchises"] if row["invoices"] or row["journal_entries"]]
    names = {"customer", "customer_name"}
    said["franchises"] = sorted(
        ({key: value for key, value in row.items() if key not in names} for row in rows), key=canonical
    )
    return hashlib.sha256(canonical(said)).hexdigest()


def next_revision(delivered: int | None, delivered_digest: str | None, wanted_digest: str) -> int:
    """The revision under which to deliver.

    Args:
        delivered: the revision headquarters acknowledged last, None when it has acknowledged none.
        delivered_digest: the digest of what it acknowledged.
        wanted_digest: the digest of what is true now.
    """
    if delivered is None:
        return 0
    return delivered if delivered_digest == wanted_digest else delivered + 1


def idempotency_key(payload: Mapping[str, Any]) -> str:
    """``hq:<company>:<day>:<revision>``: one key for one statement, whatever the number of attempts."""
    return f"hq:{released(payload['company'])}:{payload['business_day']}:{payload['revision']}"


def delivery_id(key: str) -> str:
    """The delivery's id: a UUID (version 5) of its idempotency key, the same for every attempt."""
    return str(uuid.uuid5(_DELIVERY_NAMESPACE, key))


def amount(value: Decimal | int) -> str:
    """An amount as its one exact string: at least two decimals, no further trailing zeros, no exponent, no ``-0``.

    Raises:
        TypeError: the value is a float (or anything else that is not exact).
        ValueError: the value is NaN or infinite.
    """
    whole, _, decimals = format(_exact(value), "f").partition(".")
    decimals = decimals.rstrip("0").ljust(2, "0")
    text = f"{whole}.{decimals}"
    return text.removeprefix("-") if Decimal(text) == 0 else text


def percent(value: Decimal | int) -> str:
    """A rate in percent as its one exact string: ``5``, ``7.5``. Raises as ``amount`` does."""
    text = amount(value)
    return text.rstrip("0").rstrip(".")


def _exact(value: Decimal | int) -> Decimal:
    # A bool is an int to Python, and a mistake here.
    if isinstance(value, bool) or not isinstance(value, (Decimal, int)):
        raise TypeError(
            f"Amounts must be decimal.Decimal, not {type(value).__name__}: anything else is not exact."
        )
    exact = Decimal(value)
    if not exact.is_finite():
        raise ValueError(f"An amount must be a number, not {exact}.")
    return exact


def _count(value: int, what: str) -> int:
    if value < 0:
        raise ValueError(f"{what} cannot be negative, got {value}.")
    return value
