"""Which report goes to whom: recipients, revisions, and what a run would send. Reads only."""

from __future__ import annotations

from collections import defaultdict
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
class Sending:
    """What one recipient is to have of a report.

    Attributes:
        recipient: the address.
        revision: of the report, from 0; part of the delivery record's key.
        before: what the recipient got of these very outlets before this revision; None: this is no revision of it.
        record: the delivery record of this very report, confirmed or not; None: it was never on its way.
    """

    recipient: str
    revision: int
    before: Delivery | None = None
    record: Delivery | None = None

    @property
    def delivered(self) -> bool:
        """Whether the recipient has this report for certain."""
        return bool(self.record and self.record.confirmed)

    @property
    def shown(self) -> int:
        """The revision that the mail names: none where the recipient got nothing of these outlets before."""
        return self.revision if self.before else 0


def plan_sending(
    recipients: Sequence[str], delivered: Sequence[Delivery], view: str, digest: str, *, empty: bool = False
) -> tuple[Sending, ...]:
    """Judge each recipient by what that recipient got last of this view: the same is not sent again, other facts are a revision.

    Args:
        recipients: who is to have the report.
        delivered: reports of the day, to anybody and about any outlets, oldest revision first.
        view: the outlets, `View.key`.
        digest: of the report, the view before it.
        empty: whether nothing is in it; then only those get it who were told something else.
    """
    got: defaultdict[str, list[Delivery]] = defaultdict(list)
    for one in delivered:
        got[one.recipient.casefold()].append(one)
    newest = next((one for one in reversed(delivered) if one.view == view), None)
    current = newest.revision + (newest.digest != digest) if newest else 0
    found = []
    for recipient in recipients:
        own = got[recipient.casefold()]
        of_view = [one for one in own if one.view == view]
        record = of_view.pop() if of_view and of_view[-1].digest == digest else None
        before = of_view[-1] if of_view else None
        if record:
            found.append(Sending(recipient, record.revision, before, record))
        elif before or not empty:
            # Above all that this recipient got, of other outlets too: the key of a delivery is unique.
            revision = max(current, own[-1].revision + 1 if own else 0)
            found.append(Sending(recipient, revision, before))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class ReportPlan:
    """One report of a settled day: who has it, who is to get it, its digest, and what it tells.

    The report itself (`full_report`) is made only where it is needed: it takes every invoice of the day, and the days before.
    """

    audience: Audience
    digest: str
    sendings: tuple[Sending, ...]
    """Of the recipients to whom the report is due."""
    figures: DayFigures

    @property
    def to_send(self) -> list[Sending]:
        """To those who have not got it."""
        return [one for one in self.sendings if not one.delivered]

    @property
    def sent(self) -> list[Sending]:
        """To those who have it."""
        return [one for one in self.sendings if one.delivered]

    @property
    def about(self) -> str:
        """What a plan line says beside the revision; empty for the whole chain."""
        label = self.audience.view.label
        return f", {label} alone" if label else ""


def plans(facts: DayFacts, groups: Sequence[Audience]) -> list[ReportPlan]:
    """The reports of a settled day, and to whom they must go. Pure."""
    from scoopjoy_dagster.reporting.digest import report_digest

    found = []
    for group in groups:
        view = group.view
        ours = facts_of(facts, view, group.profiles)
        digest = "-".join(filter(None, (view.key, report_digest(report_of(ours, Past(), view.label)))))
        sendings = plan_sending(group.recipients, facts.reports, view.key, digest, empty=ours.empty)
        found.append(ReportPlan(group, digest, sendings, replace(ours.figures, view=view.key)))
    return found


def full_report(
    site: Site, facts: DayFacts, past: Past, one: ReportPlan, sending: Sending | None = None
) -> DayReport:
    """The report of a plan with everything in it. Reads only.

    Args:
        site: the open site.
        facts: the day of the whole chain, with its rows (`day_facts.with_rows`).
        past: the days before of the whole chain (`day_facts.read_past`).
        one: the plan.
        sending: for whom: the report says what changed since this recipient got one. None: the day as it is now.
    """
    view = one.audience.view
    ours = facts_of(facts, view, one.audience.profiles)
    report = report_of(ours, past.only(view.customers, view.profiles) if view.names else past, view.label)
    if not (sending and sending.before):
        return report
    before = figures_told(site, [sending.before], sending.revision)
    return replace(report, revision=sending.shown, changes=ours.changes_since(before))


def planned_mails(
    readers: Readers, mail: MailResource, facts: DayFacts, *, resend: bool = False
) -> Iterator[PlanLine]:
    """What `send_reports` would do, line by line, for a dry run. Pure."""
    groups, _ = audiences(readers, mail, facts)
    for one in plans(facts, groups):
        for sending in one.sendings:
            again = ", sent again" if sending.delivered else ""
            if sending.delivered and not resend:
                yield adopted(one, sending)
            else:
                reason = f"revision {sending.revision}{again}{one.about}"
                yield PlanLine("create", sending.recipient, one.figures.sales, reason)


def adopted(one: ReportPlan, sending: Sending) -> PlanLine:
    """The line of a recipient who has the report."""
    reason = f"has revision {sending.revision}{one.about}"
    return PlanLine("adopt", sending.recipient, one.figures.sales, reason)
