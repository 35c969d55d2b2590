"""The naming series of a Journal Entry on a site: those that people may choose, how setup adds ours to them and takes them
out again, and what to set where a counter is behind.

ERPNext takes any series over REST, whether or not it is among the options (observed on v15). They are for people: a
form shows, and a list filters by, what is among them. What is written is what ERPNext's own Document Naming Settings
writes, a Property Setter of the field's options; ours are appended, because the first one is ERPNext's default.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scoopjoy_dagster.erpnext.client import Client, Filter
from scoopjoy_dagster.erpnext.forms import read_forms
from scoopjoy_dagster.erpnext.install_step import InstallStep
from scoopjoy_dagster.erpnext.removal_step import RemovalStep

DOCTYPE = "Journal Entry"
FIELD = "naming_series"
SETTER = f"{DOCTYPE}-{FIELD}-options"
"""The ID that ERPNext gives the Property Setter."""


@dataclass(frozen=True, slots=True)
class SeriesOptions:
    """The options of the field as they stand on a site.

    Attributes:
        shown: the options in force, in their order; the first is ERPNext's default. An empty one is kept as it is.
        default: the default that somebody has set; empty when nobody has.
        customised: whether there is a Property Setter of them already.
        standard: the options that ERPNext brings along; empty when they were not asked for.
        used: which of ours have entries.
    """

    shown: Sequence[str]
    default: str = ""
    customised: bool = False
    standard: Sequence[str] = ()
    used: frozenset[str] = frozenset()

    def missing(self, series: Sequence[str]) -> list[str]:
        """Which of these are not among the options."""
        shown = {one.strip() for one in self.shown}
        return [one for one in series if one not in shown]


def read_options(client: Client) -> SeriesOptions:
    """The options in force, as a form shows them: everybody who has logged in may read these.

    Raises:
        ERPNextError: the site could not be read.
    """
    options, default = _shown(client)
    return SeriesOptions(options, default)


def read_customised(client: Client, series: Sequence[str] = ()) -> SeriesOptions:
    """The options in force and how they came about; with `series`, also which of these may be taken out again.

    Raises:
        ERPNextError: the site could not be read. Property Setters are shown to System Managers.
    """
    options, default = _shown(client)
    customised = bool(client.rows("Property Setter", ["name"], [["name", "=", SETTER]]))
    if not customised or not series:
        return SeriesOptions(options, default, customised)
    fields = client.get("DocType", DOCTYPE)["fields"]
    standard = next(str(one.get("options") or "") for one in fields if one["fieldname"] == FIELD)
    used = client.rows(DOCTYPE, [FIELD], [[FIELD, "in", list(series)]], group_by=FIELD, order_by=FIELD)
    return SeriesOptions(
        options, default, customised, standard.split("\n"), frozenset(str(row[FIELD]) for row in used)
    )


def _shown(client: Client) -> tuple[list[str], str]:
    field = read_forms(client, DOCTYPE)[DOCTYPE].field(FIELD) or {}
    return str(field.get("options") or "").split("\n"), str(field.get("default") or "")


def plan_options(options: SeriesOptions, series: Sequence[str]) -> InstallStep | None:
    """Add what is missing at the end; None when nothing is. The close works without it, so a site may refuse it."""
    missing = options.missing(series)
    if not missing:
        return None
    reason = f"{', '.join(missing)} can then be chosen and filtered by in {DOCTYPE}; the default stays"
    value = "\n".join([*options.shown, *missing])
    if options.customised:
        return InstallStep("change", "Property Setter", SETTER, reason, {"value": value}, optional=True)
    body = {
        "doctype_or_field": "DocField",
        "doc_type": DOCTYPE,
        "field_name": FIELD,
        "property": "options",
        "property_type": "Text",
        "value": value,
    }
    return InstallStep("create", "Property Setter", SETTER, reason, body, optional=True)


def plan_without(options: SeriesOptions, series: Sequence[str]) -> RemovalStep | None:
    """Take ours out, but none that has entries or is the default; None when there is nothing to take out."""
    if not options.customised:
        return None
    first = next((one.strip() for one in options.shown if one.strip()), "")
    kept = {*options.used, options.default.strip(), first}
    gone = {one.strip() for one in options.shown} & set(series) - kept
    if not gone:
        return None
    rest = [one for one in options.shown if one.strip() not in gone]
    if rest == list(options.standard):
        return RemovalStep("Property Setter", SETTER)
    said = f"take {', '.join(sorted(gone))} out of the naming series of {DOCTYPE}"
    return RemovalStep("Property Setter", SETTER, values={"value": "\n".join(rest)}, said=said)


@dataclass(frozen=True, slots=True)
class Counter:
    """How far a naming series is counted: `prefix` and `current` as ERPNext's Document Naming Settings ask for them."""

    prefix: str
    current: int
    last: str
    """The name that has the highest number."""


def read_counter(client: Client, series: str) -> Counter | None:
    """Where the counter of a series must stand, by the entries that exist; None when the series has none.

    Names are read in the order of letters, in which 99999 comes after 100000: so behind nothing but nines the longer
    names are asked for. Amended entries are left out: theirs end in another number.

    Raises:
        ERPNextError: the Journal Entries cannot be listed.
    """
    found: Counter | None = None
    longer: list[Filter] = []
    while True:
        rows = client.rows(
            DOCTYPE,
            ["name"],
            [[FIELD, "=", series], ["amended_from", "is", "not set"], *longer],
            order_by="name desc",
            limit=1,
        )
        name = str(rows[0]["name"]) if rows else ""
        prefix = name.rstrip("0123456789")
        number = name.removeprefix(prefix)
        if not number:
            return found
        found = Counter(prefix, int(number), name)
        if number.strip("9"):
            return found
        longer = [["name", "like", prefix + "_" * (len(number) + 1)]]
