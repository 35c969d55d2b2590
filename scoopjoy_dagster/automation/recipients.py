"""Who is alerted: a fixed list, or ERPNext's enabled System Managers - remembered for when ERPNext is what is down."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import dagster as dg

from scoopjoy_dagster.automation.parcels import read_note
from scoopjoy_dagster.erpnext.errors import ERPNextError
from scoopjoy_dagster.erpnext.people import enabled_users
from scoopjoy_dagster.resources.erpnext import ERPNextResource
from scoopjoy_dagster.resources.mail import MailResource

ROLE = "System Manager"

REMEMBERED = "scoopjoy/alert_recipients"
"""Key in Dagster's own storage, which every process of an installation shares: a file would stay on one machine, and
asset metadata would show people's addresses in the UI."""

FRESH = timedelta(minutes=15)
"""So long the remembered list is good enough: a burst of failures asks ERPNext once."""

Recipients = Callable[[], Sequence[str]]


def alert_recipients(
    instance: dg.DagsterInstance,
    mail: MailResource,
    erpnext: ERPNextResource,
    now: datetime,
    fresh: timedelta = FRESH,
) -> list[str]:
    """Whom to alert; empty when nobody is known.

    ERPNext is asked with one short try, because a sensor has 60 seconds for everything; when it does not answer (or
    names nobody) the last known list is used, however old. `now` is an aware moment; a remembered list
    younger than `fresh` is used without asking.
    """
    if mail.alert_recipients:
        return list(mail.alert_recipients)
    known, read_at = _remembered(instance)
    if known and read_at and now - read_at < fresh:
        return known
    try:
        with erpnext.impatient(8.0).open() as site:
            found = enabled_users(site, ROLE)
    except ERPNextError:
        return known
    if not found:
        return known
    note = json.dumps({"addresses": found, "read_at": now.isoformat()})
    instance.daemon_cursor_storage.set_cursor_values({REMEMBERED: note})
    return found


def fallback(instance: dg.DagsterInstance, mail: MailResource, now: datetime, fresh: timedelta) -> str:
    """That mail goes to a list older than `fresh`, or to nobody, in words; empty when neither is so.

    Asked after `alert_recipients` with the same `fresh`: an old list then means that ERPNext did not name anybody.
    """
    if mail.alert_recipients or not mail.configured:
        return ""
    known, read_at = _remembered(instance)
    if not known or not read_at:
        return "no recipient is known: ERPNext has not named an enabled System Manager yet"
    if now - read_at < fresh:
        return ""
    return (
        f"alerts go to the System Managers of {read_at:%Y-%m-%d %H:%M} UTC: ERPNext has not named any since"
    )


def _remembered(instance: dg.DagsterInstance) -> tuple[list[str], datetime | None]:
    note = read_note(instance.daemon_cursor_storage.get_cursor_values({REMEMBERED}).get(REMEMBERED))
    try:
        return [str(one) for one in note["addresses"]], datetime.fromisoformat(note["read_at"])
    except (KeyError, TypeError, ValueError):
        return [], None
