"""`scoopjoy explain`: how the royalty of one franchise and day came about, from invoices to ledger; reads only."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from difflib import get_close_matches

import click
from rich.console import Console

from scoopjoy_dagster.accounting.day_record import BookedEntry
from scoopjoy_dagster.accounting.keys import day_of_key, normalised, royalty_key, without_revision
from scoopjoy_dagster.accounting.royalties import BY_DEFAULT, Action, Franchise, RoyaltyPlan
from scoopjoy_dagster.accounting.shares import Share
from scoopjoy_dagster.accounting.verification import entries_by_customer, plan_of
from scoopjoy_dagster.cli.closing import closable_day
from scoopjoy_dagster.cli.explanation import Explanation, print_explanation
from scoopjoy_dagster.definitions import site_resources
from scoopjoy_dagster.erpnext import range_reading, royalty_entries
from scoopjoy_dagster.erpnext.client import KEY_FIELD
from scoopjoy_dagster.erpnext.site import Site
from scoopjoy_dagster.settings import Settings, SettingsError

DIFFERENT = 2
CANDIDATES = 5


def run_explain(
    out: Console, settings: Settings, subject: str, day: str | None, now: datetime, *, as_json: bool
) -> int:
    """Explain an amount and print it. Returns the exit code: 2 when the ledger differs from the rule, else 0."""
    from dagster import build_resources

    with (
        build_resources({"erpnext": site_resources(settings)["erpnext"]}) as resources,
        resources.erpnext.open() as site,
    ):
        found = explain(site, settings, subject, day, now)
    if as_json:
        click.echo(json.dumps(found.as_dict(), ensure_ascii=False, indent=2))
    else:
        print_explanation(out, found)
    return 0 if found.agrees else DIFFERENT


def explain(site: Site, settings: Settings, subject: str, day_text: str | None, now: datetime) -> Explanation:
    """Find what `subject` means, read the day, and put together what the amount follows from.

    Args:
        site: the open site.
        settings: go-live and policy.
        subject: a franchise (ID or name of the Customer), a key, or the name of a Journal Entry of ours.
        day_text: business day; not needed for a key or an entry, the last ended day otherwise.
        now: an aware moment.

    Raises:
        SettingsError: it means nothing, or more than one thing; or the day cannot be looked at.
    """
    books, policy = site.books(), settings.policy
    franchises = royalty_entries.franchises(site, books.franchise_group)
    customer = _franchise(franchises, subject)
    key = "" if customer else _key(site, subject)
    if key:
        of_key = day_of_key(key, "royalty", books.company)
        if of_key is None:
            message = f"{key!r} is no key of a royalty of {books.company}."
            raise SettingsError(message)
        if day_text is not None and day_text != of_key.isoformat():
            message = f"{subject!r} is of {of_key}, not of {day_text}; leave --date out."
            raise SettingsError(message)
        day_text = of_key.isoformat()
    day = closable_day(day_text, settings, now)
    (record,) = range_reading.read_days(site, books, policy, franchises, day, day, headquarters=False)
    plan = plan_of(books.company, policy, franchises, books.currency, record)
    entries = entries_by_customer(plan, record)
    if key:
        customer = _customer_of(entries, key) or _customer_meant(plan, key)
    action = _action(plan.actions, customer, subject)
    if action is None:
        raise SettingsError(_unknown(subject, day, plan.actions))
    royalty = action.royalty
    return Explanation(
        books,
        policy,
        plan.sentence_for(royalty),
        day,
        action,
        _rate_source(franchises, action),
        tuple(entries.get(royalty.customer, ())),
        _shares(record.shares, action),
        tuple(one for one in plan.findings if one.who.partition(": ")[0] == royalty.customer_name),
        tuple(range_reading.read_deliveries(site, books.company, day, day, ["report", "hq"])),
        tuple(one for one in record.others if one.customer == royalty.customer),
    )


# -- what is meant --------------------------------------------------------------------------------------------


def _franchise(franchises: Sequence[Franchise], subject: str) -> str:
    """The franchise with this ID or name; empty when there is none.

    Raises:
        SettingsError: several franchises have this name.
    """
    wanted = normalised(subject.strip())
    for one in franchises:
        if normalised(one.customer) == wanted:
            return one.customer
    named = [one.customer for one in franchises if normalised(one.customer_name) == wanted]
    if len(named) > 1:
        message = f"{subject!r} is the name of {len(named)} franchises; give the ID of one: {', '.join(sorted(named))}."
        raise SettingsError(message)
    return named[0] if named else ""


def _key(site: Site, subject: str) -> str:
    """The key that is meant: the subject itself, or that of the Journal Entry with this name; empty for neither.

    Raises:
        SettingsError: there is such a Journal Entry, but it is none of ours.
    """
    if normalised(subject).startswith("royalty:"):
        return subject.strip()
    name, seen = subject.strip(), set[str]()
    while name and name not in seen:
        seen.add(name)
        rows = site.client.rows("Journal Entry", ["name", KEY_FIELD, "amended_from"], [["name", "=", name]])
        if not rows:
            return ""
        if rows[0][KEY_FIELD]:
            return str(rows[0][KEY_FIELD])
        name = str(rows[0]["amended_from"] or "")  # ERPNext leaves our key on the entry that was amended
    message = f"{subject!r} is a Journal Entry that this program did not make: it carries no key."
    raise SettingsError(message)


def _customer_of(entries: Mapping[str, Sequence[BookedEntry]], key: str) -> str:
    """Whose entry carries the key; empty when nobody's does."""
    wanted = normalised(key)
    return next(
        (
            customer
            for customer, mine in entries.items()
            if any(normalised(one.posted.key) == wanted for one in mine)
        ),
        "",
    )


def _customer_meant(plan: RoyaltyPlan, key: str) -> str:
    """Whose entry would carry the key, if it were there."""
    wanted = without_revision(key)
    return next(
        (
            one.royalty.customer
            for one in plan.actions
            if without_revision(royalty_key(plan.company, plan.day, one.royalty.customer, 0)) == wanted
        ),
        "",
    )


def _action(actions: Sequence[Action], customer: str, subject: str) -> Action | None:
    """The line of the day's plan that is meant: the customer's, or the one of the former franchise with this name."""
    wanted = normalised(subject.strip())
    for action in actions:
        royalty = action.royalty
        if customer:
            meant = royalty.customer == customer
        else:
            meant = wanted in {normalised(royalty.customer), normalised(royalty.customer_name)}
        if meant:
            return action
    return None


def _unknown(subject: str, day: date, actions: Sequence[Action]) -> str:
    """One sentence that names what may be meant."""
    names = {one.royalty.customer_name: one.royalty.customer for one in actions}
    wanted = subject.strip().casefold()
    near = [name for name in names if wanted and wanted in f"{name} {names[name]}".casefold()]
    by_fold = {name.casefold(): name for name in names}
    near += [by_fold[one] for one in get_close_matches(wanted, by_fold, CANDIDATES)]
    candidates = list(dict.fromkeys(near or sorted(names)))
    shown = ", ".join(
        name if names[name] == name else f"{name} ({names[name]})" for name in candidates[:CANDIDATES]
    )
    more = f" and {len(candidates) - CANDIDATES} more" if len(candidates) > CANDIDATES else ""
    hint = f"did you mean {shown}{more}?" if shown else "there are no franchises."
    return f"{subject!r} is no franchise, key or royalty entry on {day}; {hint}"


# -- how the amount came about --------------------------------------------------------------------------------


def _shares(rows: Iterable[Share], action: Action) -> tuple[Share, ...]:
    """The rows of the entries of a franchise."""
    mine = {one.name for one in action.entries}
    return tuple(one for one in rows if one.entry in mine)


def _rate_source(franchises: Sequence[Franchise], action: Action) -> str:
    royalty = action.royalty
    if action.entries:
        default = ", the policy's default" if royalty.terms.endswith(BY_DEFAULT) else ""
        kept = f"; {royalty.kept}" if royalty.kept else ""
        return f"as {action.entries[0].name} was posted{default}{kept}"
    terms = next(one for one in franchises if one.customer == royalty.customer)
    if terms.exempt:
        return f"exempt: Customer.{royalty_entries.EXEMPT_FIELD} is ticked"
    if terms.rate == 0:
        return f"the policy's default: Customer.{royalty_entries.RATE_FIELD} is 0 or empty"
    return f"Customer.{royalty_entries.RATE_FIELD}"
