"""Which report goes to whom: recipients, revisions, and what a run would send. Reads only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from scoopjoy_dagster.accounting.figures import DayFigures
from scoopjoy_dagster.accounting.findings import Finding
from scoopjoy_dagster.accounting.past import Past
from scoopjoy_dagster.assets.day_facts import DayFacts
from scoopjoy_dagster.assets.day_report import report_of
from scoopjoy_dagster.assets.outcome import PlanLine
from scoopjoy_dagster.assets.report_views import WHOLE, View, facts_of, views
from scoopjoy_dagster.erpnext import people, shift_totals
from scoopjoy_dagster.erpnext.deliveries import Delivery, figures_told
from scoopjoy_dagster.erpnext.site import Site
from scoopjoy_dagster.resources.mail import MailResource

if TYPE_CHECKING:
    from scoopjoy_dagster.reporting.model import DayReport


@dataclass(frozen=True, slots=True)
class Audience:
    """Who gets the report of which outlets."""

    view: View
    recipients: tuple[str, ...]
    profiles: tuple[str, ...] = ()
    """All POS Profiles of the company, where there is a view of some."""


@dataclass(frozen=True, slots=True)
class Readers:
    """Who may get reports at all, read once for many days: those of the whole chain, and the names of all POS Profiles.

    The profiles are empty where the settings give nobody a part of the chain.
    """

    general: tuple[str, ...]
    profiles: tuple[str, ...] = ()


def recipients_of(site: Site, fixed: Sequence[str], role: str, robot: str = "") -> list[str]:
    """Who gets the report of the whole chain if nobody is named with outlets: the fixed list, or the enabled users with the role."""
    return list(fixed) or people.enabled_users(site, role, robot)


def read_readers(site: Site, mail: MailResource, delivered: Iterable[Delivery] = ()) -> Readers:
    """Who may get reports. `delivered`: reports of before; who has recorded them is the integration user. Reads only."""
    robot = next((one.owner for one in delivered), "")
    return Readers(
        tuple(recipients_of(site, mail.report_recipients, mail.report_role, robot)),
        tuple(shift_totals.outlets(site)) if mail.outlets_by_address else (),
    )


def audiences(readers: Readers, mail: MailResource, facts: DayFacts) -> tuple[list[Audience], list[Finding]]:
    """Who gets which report, the whole chain first, and a warning for each outlet of the setting that is not there. Pure."""
    general, pairs, profiles = readers.general, mail.outlets_by_address, readers.profiles
    if not pairs:
        return [Audience(WHOLE, general)] if general else [], []
    seen, findings = views(pairs, profiles, [action.royalty for action in facts.plan.actions])
    groups: dict[str, tuple[View, list[str]]] = {}
    # Who is named with outlets gets those alone, on the list or not; nothing where none of them exists.
    addresses = {address.casefold(): address for address, _ in pairs}
    for folded, view in seen.items():
        if view.names:
            groups.setdefault(view.key, (view, []))[1].append(addresses[folded])
    whole = tuple(one for one in general if one.casefold() not in seen)
    return [
        *([Audience(WHOLE, whole)] if whole else []),
        *(Audience(view, tuple(sorted(who)), profiles) for view, who in groups.values()),
    ], findings


@dataclass(frozen=True, slots=True)
class SendPlan:
    """Which revision of the report is current, who has it, and who is to get it."""

    revision: int
    has_it: tuple[str, ...]
    to_send: tuple[str, ...]
    records: tuple[Delivery, ...] = ()
    """The delivery records of those who have it."""


def plan_sending(recipients: Sequence[str], delivered: Sequence[Delivery], digest: str) -> SendPlan:
    """A report that changed goes out as the next revision, to all; one that did not, to those who have not got it."""
    newest = max(delivered, key=lambda one: one.revision, default=None)
    if newest is None:
        return SendPlan(0, (), tuple(recipients))
    current = [one for one in delivered if one.revision == newest.revision]
    if any(one.digest != digest for one in current):
        return SendPlan(newest.revision + 1, (), tuple(recipients))
    got = {one.recipient.casefold(): one for one in current}
    return SendPlan(
        newest.revision,
        tuple(one for one in recipients if one.casefold() in got),
        tuple(one for one in recipients if one.casefold() not in got),
        tuple(got[one.casefold()] for one in recipients if one.casefold() in got),
    )


@dataclass(frozen=True, slots=True)
class ReportPlan:
    """One report of a settled day: to whom, which revision, its digest, and what it tells.

    The report itself (`full_report`) is made only where it is needed: it takes every invoice of the day, and the days before.
    """

    audience: Audience
    digest: str
    sending: SendPlan
    figures: DayFigures
    told: tuple[Delivery, ...]
    """What was sent to this audience before, oldest revision first."""

    @property
    def about(self) -> str:
        """What a plan line says beside the revision; empty for the whole chain."""
        label = self.audience.view.label
        return f", {label} alone" if label else ""


def plans(facts: DayFacts, groups: Sequence[Audience]) -> list[ReportPlan]:
    """The reports of a settled day, and to whom they must go. Pure."""
    from scoopjoy_dagster.reporting.digest import report_digest

    restricted = {one.casefold() for group in groups if group.view.names for one in group.recipients}
    found = []
    for group in groups:
        view = group.view
        ours = facts_of(facts, view, group.profiles)
        digest = report_digest(report_of(ours, Past(), view.label))
        own = {one.casefold() for one in group.recipients}
        # The whole chain's report counts for those too who are on no list any more.
        told = tuple(
            one
            for one in facts.reports
            if (one.recipient.casefold() in own if view.names else one.recipient.casefold() not in restricted)
        )
        sending = plan_sending(group.recipients, told, digest)
        found.append(ReportPlan(group, digest, sending, replace(ours.figures, view=view.key), told))
    return found


def full_report(site: Site, facts: DayFacts, past: Past, one: ReportPlan) -> DayReport:
    """The report of a plan with everything in it, and what changed since the revision before. Reads only.

    Args:
        site: the open site.
        facts: the day of the whole chain, with its rows (`day_facts.with_rows`).
        past: the days before of the whole chain (`day_report.read_past`).
        one: the plan.
    """
    view = one.audience.view
    ours = facts_of(facts, view, one.audience.profiles)
    report = report_of(ours, past.only(view.customers, view.profiles) if view.names else past, view.label)
    if not one.sending.revision:
        return report
    before = figures_told(site, one.told, one.sending.revision)
    # Figures of other outlets, told before somebody's outlets changed, are nothing to compare these with.
    before = before if before and before.view == view.key else None
    return replace(report, revision=one.sending.revision, changes=ours.changes_since(before))


def planned_mails(
    readers: Readers, mail: MailResource, facts: DayFacts, *, resend: bool = False
) -> Iterator[PlanLine]:
    """What `send_reports` would do, line by line, for a dry run. Pure."""
    groups, _ = audiences(readers, mail, facts)
    for one in plans(facts, groups):
        sending, sales = one.sending, one.figures.sales
        for who in sending.to_send:
            yield PlanLine("create", who, sales, f"revision {sending.revision}{one.about}")
        for who in sending.has_it:
            if resend:
                yield PlanLine("create", who, sales, f"revision {sending.revision}, sent again{one.about}")
            else:
                yield PlanLine("adopt", who, sales, f"has revision {sending.revision}{one.about}")
