"""How values look: cast by field type, stored in SQLite, shown on the wire.

Belongs here: dates, times, numbers. Does not belong here: which fields exist or are required.
"""

from __future__ import annotations

import json
import re
from datetime import date, datetime, time
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Any

from scoopjoy_dagster.sandbox.erpnext.errors import thrown
from scoopjoy_dagster.sandbox.erpnext.meta import DECIMALS, INTEGERS, Field

CENT = Decimal("0.01")
_TIME = re.compile(r"^(\d{1,3}):(\d{1,2})(?::(\d{1,2})(?:\.(\d{1,6})\d*)?)?$")


def number(value: Any) -> Decimal:
    """A number as ``frappe.utils.flt`` reads it: what is no number counts as 0."""
    if value is None or value == "":
        return Decimal(0)
    if isinstance(value, Decimal):
        return value
    try:
        found = Decimal(str(value).replace(",", ""))
    except InvalidOperation:
        return Decimal(0)
    return found if found.is_finite() else Decimal(0)


def whole(value: Any) -> int:
    """A whole number as ``frappe.utils.cint`` reads it."""
    if isinstance(value, bool | int):
        return int(value)
    return int(number(value))


def money(value: Any, places: Decimal = CENT) -> Decimal:
    """Rounded to two places, half to even: System Settings.rounding_method of a v15 site."""
    return number(value).quantize(places, ROUND_HALF_EVEN)


def as_date(value: Any) -> date:
    """A date; anything else is the site's 417 "not a valid date string"."""
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(str(value).strip()[:10])
    except ValueError:
        raise thrown(f"<strong>{value}</strong> is not a valid date string.", title="Invalid Date") from None


def as_datetime(value: Any) -> datetime:
    """A date and time without zone; a bare date is its midnight."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=None)
    if isinstance(value, date):
        return datetime.combine(value, time())
    text = str(value).strip()
    day, _, clock = text.replace("T", " ").partition(" ")
    return datetime.combine(as_date(day), as_time(clock) if clock else time())


def as_time(value: Any) -> time:
    """A time of day. ERPNext also writes hours without a leading zero."""
    if isinstance(value, time):
        return value
    found = _TIME.match(str(value).strip())
    if found is None:
        raise thrown(f"<strong>{value}</strong> is not a valid time string.", title="Invalid Time")
    hours, minutes, seconds, micros = found.groups()
    return time(int(hours), int(minutes), int(seconds or 0), int((micros or "0").ljust(6, "0")))


def stamp(moment: datetime) -> str:
    """A datetime as the site writes it; no fraction when there is none."""
    return str(moment)


def shown_time(stored: str) -> str:
    """A stored time as JSON shows it: no leading zero of the hour, shortest fraction (``9:05:00``)."""
    value = as_time(stored)
    seconds: float = round(value.second + value.microsecond / 1_000_000, 6)
    if seconds == int(seconds):
        return f"{value.hour}:{value.minute:02}:{int(seconds):02}"
    # Python writes less than a tenth of a millisecond as 5e-06, which nobody reads as a time.
    shown = f"{seconds:02}" if seconds >= 0.0001 else f"{seconds:f}"
    return f"{value.hour}:{value.minute:02}:{shown}"


def shown_day(day: date) -> str:
    """A date in messages (System Settings.date_format dd-mm-yyyy)."""
    return day.strftime("%d-%m-%Y")


def cast(field: Field, value: Any) -> Any:
    """A value as a document keeps it in memory: numbers as numbers, the rest as sent."""
    kind = field.fieldtype
    if kind in INTEGERS:
        return whole(value)
    if kind in DECIMALS:
        return float(number(value))
    if value is None:
        return None
    if kind == "JSON" and isinstance(value, dict | list):
        return json.dumps(value, separators=(",", ":"))
    if isinstance(value, dict | list):
        return json.dumps(value)
    if isinstance(value, datetime | date | time | Decimal):
        return str(value)
    if isinstance(value, str):
        return value
    return str(value)


def stored(field: Field, value: Any) -> Any:
    """A value as its column holds it; an empty text of a date or unique field is NULL."""
    kind = field.fieldtype
    if kind in INTEGERS:
        return whole(value)
    if kind in DECIMALS:
        return round(float(value or 0), 9)
    if value is None:
        return None
    if value == "":
        return None if field.unique or kind in {"Date", "Datetime", "Time", "JSON"} else ""
    if kind == "Date":
        return as_date(value).isoformat()
    if kind == "Datetime":
        return stamp(as_datetime(value))
    if kind == "Time":
        return as_time(value).isoformat()
    return value
