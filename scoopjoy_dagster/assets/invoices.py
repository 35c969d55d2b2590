"""`invoices`: every invoice carries its share of the royalty, and every royalty has its statement."""

from collections.abc import Callable, Iterator, Mapping
from datetime import date

import dagster as dg

from scoopjoy_dagster.accounting.findings import Finding
from scoopjoy_dagster.accounting.money import ZERO
from scoopjoy_dagster.accounting.policy import RoyaltyPolicy
from scoopjoy_dagster.accounting.royalties import RoyaltyPlan
from scoopjoy_dagster.assets import royalties
from scoopjoy_dagster.assets.nightly import GROUP, OWNERS, close_days
from scoopjoy_dagster.assets.outcome import Outcome, PlanLine
from scoopjoy_dagster.assets.royalty_statements import attach_statements, plan_statements
from scoopjoy_dagster.assets.tools import TOOLS
from scoopjoy_dagster.erpnext.invoice_royalty import Annotation, read_annotations, write_annotations
from scoopjoy_dagster.erpnext.site import Site

__all__ = [
    "annotate_invoices",
    "build",
    "changed_annotations",
    "nothing",
    "plan_statements",
    "wanted_annotations",
]

NAME = "invoices"


def wanted_annotations(plan: RoyaltyPlan) -> list[Annotation]:
    """What every invoice of the day must carry; nothing (see `nothing`) where no royalty is in the ledger."""
    wanted: list[Annotation] = []
    for action in plan.actions:
        royalty = action.royalty
        if royalty.kept:
            continue
        if not action.entries:
            wanted += [nothing(invoice.name) for invoice in royalty.invoices]
            continue
        first = action.entries[0].name
        shares = royalty.shares(plan.policy.precision)
        wanted += [Annotation(name, royalty.rate, share, first) for name, share in shares.items()]
    return wanted


def nothing(invoice: str) -> Annotation:
    """What an invoice carries that bears no royalty."""
    return Annotation(invoice, ZERO, ZERO, "")


def changed_annotations(plan: RoyaltyPlan, present: Mapping[str, Annotation]) -> list[Annotation]:
    """What must be written: invoices that say something else than they must, and those that bear no royalty any more
    (their customer left the franchises) but still say so.
    """
    wanted = wanted_annotations(plan)
    known = {one.invoice for one in wanted}
    kept = {action.entries[0].name for action in plan.actions if action.royalty.kept}
    return [
        *(one for one in wanted if present.get(one.invoice, nothing(one.invoice)) != one),
        *(
            nothing(invoice)
            for invoice, one in sorted(present.items())
            if invoice not in known and one.journal_entry not in kept
        ),
    ]


def annotate_invoices(
    site: Site, policy: RoyaltyPolicy, day: date, *, url: Callable[[str, str], str]
) -> Outcome:
    """Bring annotations and statements of `day` to what the ledger holds; writes only what differs."""
    books = site.books()
    plan = royalties.plan(site, books, policy, day)
    unsettled = plan.unsettled()
    if unsettled:
        return Outcome(NAME, day, findings=(unsettled,))
    wanted = wanted_annotations(plan)
    changed = changed_annotations(plan, read_annotations(site, books.company, day))
    failed = write_annotations(site, changed)
    findings = [
        Finding(
            "error",
            "invoice not annotated",
            invoice,
            message,
            "Mend what ERPNext names, then materialize invoices for the day again.",
        )
        for invoice, message in sorted(failed.items())
    ]
    lines = [
        PlanLine(
            "create",
            one.invoice,
            one.share,
            f"{one.rate.normalize():f} %" if one.journal_entry else "bears no royalty any more",
            one.journal_entry,
            url("Journal Entry", one.journal_entry) if one.journal_entry else "",
        )
        for one in changed
        if one.invoice not in failed
    ]
    attached, right, problems, more = attach_statements(site, books, plan, url)
    shares = sum((one.share for one in wanted), ZERO)
    return Outcome(
        NAME,
        day,
        seen=len(wanted),
        written=len(changed) - len(failed) + attached,
        adopted=len({one.invoice for one in wanted} - {one.invoice for one in changed}) + right,
        amount=shares,
        plots={"royalty": shares},
        findings=(*findings, *problems),
        lines=(*lines, *more),
        facts={"statements": attached + right, "statements_attached": attached},
    )


def build(days: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    """The asset, on these business days."""

    @dg.asset(
        name=NAME,
        deps=[royalties.NAME],
        partitions_def=days,
        group_name=GROUP,
        owners=OWNERS,
        kinds={"erpnext", "pdf"},
        code_version="1",
        output_required=False,
        required_resource_keys=set(TOOLS),
        tags={"scoopjoy/critical": "no"},
    )
    def invoices(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        """Generate Invoices (not critical): every invoice shows its royalty, every royalty has its statement.

        **Green** means: each submitted Sales Invoice of the day that bore royalty carries the rate, its share and the Journal
        Entry, and the shares of a franchise add up to its royalty to the paisa. A royalty statement (PDF, private) is attached
        to the franchise's Journal Entry, and replaced when the day changes.

        **Red** means: an invoice or a statement lacks its data; the royalties themselves are booked and right. Read *What to
        do* in `exception_table`, then materialize `invoices` for the day again: only what is missing is written.

        **Figures**: `royalty` is the sum of the shares in company currency (INR); `seen` counts invoices; `written` counts
        invoices and statements that were changed.
        """
        yield from close_days(
            context,
            lambda site, day, tools: annotate_invoices(
                site, tools.royalty_policy.policy, day, url=tools.erpnext.document_url
            ),
        )

    return invoices
