"""Who sees what of a day: the whole chain, or some outlets and nothing of the others.

Here: which outlets the setting gives to whom, and a day's facts cut down to them. What a report is made of comes from these
facts alone, so nothing of another outlet can be in it. Not here: reading ERPNext, rendering, sending.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from scoopjoy_dagster.accounting.findings import Finding
from scoopjoy_dagster.accounting.keys import digest, normalised
from scoopjoy_dagster.accounting.royalties import Royalty
from scoopjoy_dagster.assets.day_facts import DayFacts


@dataclass(frozen=True, slots=True)
class View:
    """The outlets (POS Profiles) and franchises (Customers) of a report; without names: all of them."""

    names: tuple[str, ...] = ()
    profiles: frozenset[str] = frozenset()
    customers: frozenset[str] = frozenset()

    @property
    def label(self) -> str:
        """What the report calls it; empty for the whole chain."""
        return ", ".join(self.names)

    @property
    def key(self) -> str:
        """The same for the same outlets, however they are named; empty for the whole chain."""
        if not self.names:
            return ""
        return digest({"profiles": sorted(self.profiles), "customers": sorted(self.customers)})


WHOLE = View()


def views(
    mapping: Iterable[tuple[str, str]], profiles: Sequence[str], franchises: Collection[Royalty]
) -> tuple[dict[str, View], list[Finding]]:
    """What each address of the setting may see, and a warning for each outlet that is not there.

    An address that is named only with outlets that do not exist sees nothing: its view has no names, and it gets no mail.

    Args:
        mapping: address and outlet, in the order of the setting; an address may come several times.
        profiles: the names of all POS Profiles.
        franchises: the franchises of the day.
    """
    by_profile = {normalised(name): name for name in profiles}
    names = {one.customer: one.customer_name.strip() or one.customer for one in franchises}
    named: defaultdict[str, set[str]] = defaultdict(set)
    for one in franchises:
        named[normalised(one.customer)].add(one.customer)
        named[normalised(one.customer_name.strip())].add(one.customer)
    found: dict[str, View] = {}
    findings: list[Finding] = []
    for address, outlet in mapping:
        view = found.setdefault(address.casefold(), WHOLE)
        wanted = normalised(outlet.strip())
        tills = {by_profile[wanted]} if wanted in by_profile else set()
        customers = named.get(wanted, set())
        if len(customers) > 1:
            findings.append(_not_found(address, outlet, f"is the name of {len(customers)} franchises"))
        elif not tills and not customers:
            findings.append(
                _not_found(address, outlet, "is neither a POS Profile nor a franchise in ERPNext")
            )
        else:
            # What people read, e.g. in a subject, is a name, though the setting may give the ID of a Customer.
            called = {*tills, *(names[one] for one in customers)} - {*view.names}
            found[address.casefold()] = View(
                (*view.names, *sorted(called)), view.profiles | tills, view.customers | customers
            )
    return found, findings


def facts_of(facts: DayFacts, view: View, profiles: Collection[str] = ()) -> DayFacts:
    """The facts of the day as far as they are about `view`; `profiles` are the names of all POS Profiles."""
    if not view.names:
        return facts
    plan = facts.plan
    names = {action.royalty.customer: action.royalty.customer_name for action in plan.actions}
    known = {*profiles, *(one.opening.pos_profile for one in facts.shifts)}

    def is_about(finding: Finding) -> bool:
        return _is_about(finding, view, names, known)

    return replace(
        facts,
        plan=replace(
            plan,
            actions=tuple(one for one in plan.actions if one.royalty.customer in view.customers),
            findings=tuple(one for one in plan.findings if is_about(one)),
        ),
        shifts=tuple(one for one in facts.shifts if one.opening.pos_profile in view.profiles),
        payments=tuple(one for one in facts.payments if one.opening.pos_profile in view.profiles),
        findings=tuple(one for one in facts.findings if is_about(one)),
        period=facts.period.only(view.customers, view.profiles),
    )


def _is_about(finding: Finding, view: View, names: dict[str, str], profiles: Collection[str]) -> bool:
    """Whether a finding is surely about this view and nothing else.

    A finding says in words whom it is about: the name of the franchise, alone or before its invoice, or the name of a document
    with its POS Profile behind it. One that could be about another outlet too is left out.
    """
    who = finding.who
    customers = {customer for customer, name in names.items() if who == name or who.startswith(f"{name}: ")}
    tills = {profile for profile in profiles if f" ({profile}, " in who}
    return bool(customers or tills) and customers <= view.customers and tills <= view.profiles


def _not_found(address: str, outlet: str, why: str) -> Finding:
    return Finding(
        "warning",
        "outlet of a report not found",
        address,
        f"SCOOPJOY_REPORT_OUTLETS gives {address} the outlet {outlet!r}, which {why}: nothing of it is sent there",
        "Write the POS Profile, or the ID of the franchise's Customer, as it is called in ERPNext.",
    )
