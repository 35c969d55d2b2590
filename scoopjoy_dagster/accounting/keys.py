"""Unique keys and payload digests: how a write is recognised when it is met again.

ERPNext has no idempotency key. Ours is a unique custom field on every document type that we create. MariaDB
compares it without regard to case and to trailing spaces, and keeps at most 140 characters; a cancelled document
keeps its key for ever, so the last part of every key is a revision.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal

from scoopjoy_dagster.clean_text import released, released_json

MAX_KEY_LENGTH = 140
"""Length of a Frappe `Data` field."""


LONGEST_REVISION = len(":9999")

LONGEST_COMPANY = 60
"""Characters of a company in a key; ERPNext allows 140, which would leave no room for whose key it is."""


def _key(kind: str, company: str, day: date, subject: str, revision: int) -> str:
    prefix = day_prefix(kind, company, day)
    room = (
        MAX_KEY_LENGTH - len(prefix) - LONGEST_REVISION
    )  # the same for all: revisions of one subject share the rest
    return f"{prefix}{_short(subject.strip(), room)}:{revision}"


def _short(text: str, room: int) -> str:
    """The text, or as much of it as there is room for and a hash of the whole."""
    if len(text) <= room:
        return text
    mark = hashlib.sha256(normalised(released(text)).encode()).hexdigest()[:16]
    return f"{text[: room - 17].strip()}~{mark}"


def royalty_key(company: str, day: date, customer: str, revision: int) -> str:
    """Key of the royalty Journal Entry of a franchise and day; revision 0 is the first, 1.. are adjustments."""
    return _key("royalty", company, day, customer, revision)


def closing_key(company: str, day: date, opening: str, revision: int) -> str:
    """Key of the POS Closing Entry of a shift; the revision rises when a person cancelled the one before."""
    return _key("closing", company, day, opening, revision)


def delivery_key(channel: str, company: str, day: date, recipient: str, revision: int) -> str:
    """Key of the record that a report or the day's totals reached one recipient."""
    return _key(channel, company, day, recipient, revision)


def day_prefix(kind: str, company: str, day: date) -> str:
    """The beginning that all keys of one kind and day share; what a list call filters by."""
    return f"{_kind_prefix(kind, company)}{day.isoformat()}:"


def _kind_prefix(kind: str, company: str) -> str:
    return f"{kind}:{_short(company, LONGEST_COMPANY)}:"


def key_range(kind: str, company: str, first: date, last: date) -> tuple[str, str]:
    """The lowest key of `first` and the lowest key after `last`: what a list call of several days filters by."""
    return day_prefix(kind, company, first), day_prefix(kind, company, last + timedelta(days=1))


def day_of_key(key: str, kind: str, company: str) -> date | None:
    """The business day that a key is about; None for a key of another kind or company.

    The posting date of an entry does not tell it: an entry for a locked day may be posted on a later one.
    """
    prefix, text = normalised(_kind_prefix(kind, company)), normalised(key)  # some letters fold to two
    if not text.startswith(prefix):
        return None
    try:
        return date.fromisoformat(text[len(prefix) : len(prefix) + 10])
    except ValueError:
        return None


def normalised(key: str) -> str:
    """A key as MariaDB compares it (utf8mb4_unicode_ci): case and trailing spaces do not count."""
    return key.rstrip().casefold()


def without_revision(key: str) -> str:
    """The key up to its revision, normalised: equal for the first entry and all its adjustments."""
    return normalised(key.rpartition(":")[0])


def revision_of(key: str) -> int:
    """The revision at the end of a key.

    Raises:
        ValueError: when the key does not end in a number: it was not written by this program.
    """
    tail = key.rstrip().rpartition(":")[2]
    if not tail.isdigit():
        message = f"the key {key!r} does not end in a revision"
        raise ValueError(message)
    return int(tail)


def digest(payload: Mapping[str, object]) -> str:
    """SHA-256 (32 hex digits) of a payload, the same in every process: sorted keys, exact decimals, ISO dates."""
    text = json.dumps(payload, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=_plain)
    return hashlib.sha256(released_json(text).encode()).hexdigest()[:32]


def _plain(value: object) -> str:
    if isinstance(value, Decimal):
        return format(value.normalize(), "f") if value else "0"
    if isinstance(value, datetime | date):
        return value.isoformat()
    message = f"a {type(value).__name__} cannot be part of a digest"
    raise TypeError(message)
