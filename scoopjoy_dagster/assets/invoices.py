"""`invoices`: every invoice carries its share of the royalty, and every royalty has its statement."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date
from functools import partial

import dagster as dg

from scoopjoy_dagster.accounting.findings import Finding
from scoopjoy_dagster.accounting.money import ZERO, allocate
from scoopjoy_dagster.accounting.policy import RoyaltyPolicy
from scoopjoy_dagster.accounting.royalties import Action, Royalty, RoyaltyPlan
from scoopjoy_dagster.assets import royalties
from scoopjoy_dagster.assets.nightly import BACKFILL, GROUP, NOTHING_TO_FIX, OWNERS, Days, close_days
from scoopjoy_dagster.assets.outcome import Outcome, PlanLine
from scoopjoy_dagster.assets.royalties import DayReading
from scoopjoy_dagster.assets.royalty_statements import (
    Attached,
    StatementDue,
    attach_statements,
    keep_statements,
    month_to_date,
    plan_statements,
    rendered,
    with_lines,
)
from scoopjoy_dagster.assets.tools import TOOLS
from scoopjoy_dagster.erpnext.client import lost
from scoopjoy_dagster.erpnext.invoice_royalty import Annotation, InvoiceRow, invoice_rows, write_annotations
from scoopjoy_dagster.erpnext.sales_totals import Marked
from scoopjoy_dagster.erpnext.site import Books, Site
from scoopjoy_dagster.erpnext.statements import Attachment, attached_statements

NAME = "invoices"

CONFLICT = NOTHING_TO_FIX.format(asset=NAME)


def is_right(action: Action, marked: Sequence[Marked]) -> bool:
    """Whether the invoices of a franchise say of their royalty what they must, by their sums.

    They do if all of them name the first entry and the rate, and their shares add up to the royalty; where no royalty is in
    the ledger, if none of them names one. What is written is written for all invoices of a franchise and day, so
    an invoice that came, left or was replaced since shows in these sums; `scoopjoy verify` compares each of them.
    """
    royalty = action.royalty
    if stays(royalty, [one.entry for one in marked]):
        return True
    if nothing_owed(action):
        return not any(one.entry or one.share or one.rate for one in marked)
    merged = {entry.name for entry in royalty.merged}
    own = [one for one in marked if one.entry not in merged]
    count = royalty.invoice_count - sum(one.invoices for one in marked if one.entry in merged)
    share = royalty.amount - sum((one.share for one in marked if one.entry in merged), ZERO)
    wanted = Marked(action.entries[0].name, royalty.rate, count, share)
    return own == [wanted] if count else not (royalty.invoice_count and share)


def stays(royalty: Royalty, named: Iterable[str]) -> bool:
    """Whether the invoices of a franchise stay as they are: its royalty was posted on other sales than these.

    `named` are the entries that they name. Where none of them names one yet, they carry what was posted.
    """
    return royalty.frozen and (any(named) or royalty.amount * royalty.base <= 0)


def nothing_owed(action: Action) -> bool:
    """Whether no royalty of the franchise is in the ledger: none was posted, or it was taken back."""
    return not action.entries or (bool(action.royalty.kept) and not action.royalty.amount)


def wrong_customers(the_plan: RoyaltyPlan, marked: Mapping[str, Sequence[Marked]]) -> dict[str, int]:
    """The customers whose invoices do not say what they must, and how many invoices each has.

    Those that bear no royalty any more (their customer left the franchises) but still say so are among them.
    """
    actions = {action.royalty.customer: action for action in the_plan.actions}
    kept = {action.entries[0].name for action in the_plan.actions if action.royalty.frozen}
    nobody = [one for one in marked if one not in actions]
    wrong = [
        customer for customer, action in actions.items() if not is_right(action, marked.get(customer, ()))
    ]
    wrong += [one for one in nobody if any(mark.entry and mark.entry not in kept for mark in marked[one])]
    return {one: sum(mark.invoices for mark in marked.get(one, ())) for one in wrong}


def wanted_annotations(
    action: Action, found: Sequence[InvoiceRow], precision: int
) -> list[tuple[Annotation, Annotation]]:
    """What each invoice of a franchise carries, and what it must; nothing where no royalty is in the ledger.

    `found` are its invoices.
    """
    royalty = action.royalty
    if nothing_owed(action):
        return [(one.annotation, nothing(one.annotation)) for one in found]
    # An invoice of a customer that was merged into this one stays as it was posted.
    merged = {entry.name for entry in royalty.merged}
    stay = [one.annotation for one in found if one.annotation.journal_entry in merged]
    rest = [one for one in found if one.annotation.journal_entry not in merged]
    if not sum((one.invoice.base for one in rest), ZERO):
        stay, rest = [], list(found)
    share = royalty.amount - sum((one.share for one in stay), ZERO)
    parts = allocate(share, [one.invoice.base for one in rest], precision)
    first = action.entries[0].name
    return [
        *((one, one) for one in stay),
        *(
            (one.annotation, replace(one.annotation, rate=royalty.rate, share=part, journal_entry=first))
            for one, part in zip(rest, parts, strict=True)
        ),
    ]


def nothing(present: Annotation) -> Annotation:
    """What an invoice carries that bears no royalty."""
    return replace(present, rate=ZERO, share=ZERO, journal_entry="")


def changed_annotations(the_plan: RoyaltyPlan, rows: Mapping[str, Sequence[InvoiceRow]]) -> list[Annotation]:
    """What must be written to the invoices of these customers; `rows` by customer. See `wrong_customers`."""
    actions = {action.royalty.customer: action for action in the_plan.actions}
    kept = {action.entries[0].name for action in the_plan.actions if action.royalty.frozen}
    changed: list[Annotation] = []
    for customer, found in sorted(rows.items()):
        action = actions.get(customer)
        if action is None:
            changed += [
                nothing(one.annotation) for one in found if one.annotation.journal_entry not in {"", *kept}
            ]
        elif not stays(action.royalty, [one.annotation.journal_entry for one in found]):
            pairs = wanted_annotations(action, found, the_plan.policy.precision)
            changed += [wanted for present, wanted in pairs if present != wanted]
    return changed


@dataclass(frozen=True, slots=True)
class Todo:
    """What is to be written to ERPNext for one day: whose invoices, and which statements."""

    wrong: Mapping[str, int]
    statements: tuple[StatementDue, ...]

    @property
    def customers(self) -> dict[str, int]:
        """The customers whose invoices must be read one by one, and how many each has."""
        missing = {
            one.action.royalty.customer: one.action.royalty.invoice_count
            for one in self.statements
            if not one.present
        }
        return {**missing, **self.wrong}


def plan_day(books: Books, reading: DayReading, attached: Mapping[str, Sequence[Attachment]]) -> Todo:
    """What is to be written for a settled day. Pure."""
    return Todo(
        wrong_customers(reading.plan, reading.sales.marked),
        tuple(plan_statements(books, reading.plan, attached)),
    )


def read_statements(site: Site, reading: Mapping[date, DayReading]) -> dict[str, list[Attachment]]:
    """The statements on the first entries of these days; one list call."""
    return attached_statements(
        site,
        [action.entries[0].name for one in reading.values() for action in one.plan.actions if action.entries],
    )


def plan_days(
    site: Site, policy: RoyaltyPolicy, days: Sequence[date], *, url: Callable[[str, str], str]
) -> Days:
    """Annotations and statements of `days` from one reading, and what brings those of each day to what the ledger holds."""
    books = site.books()
    reading = royalties.read_days(site, books, policy, days)
    attached = read_statements(site, reading)

    def annotate(day: date) -> Outcome:
        return annotate_invoices(site, books, reading[day], attached, url=url)

    return {day: partial(annotate, day) for day in days}


def annotate_invoices(
    site: Site,
    books: Books,
    reading: DayReading,
    attached: Mapping[str, Sequence[Attachment]],
    *,
    url: Callable[[str, str], str],
) -> Outcome:
    """Bring annotations and statements of a day to what the ledger holds; writes only what differs."""
    the_plan = reading.plan
    day = the_plan.day
    unsettled = the_plan.unsettled()
    if unsettled:
        return Outcome(NAME, day, findings=(unsettled,))
    todo = plan_day(books, reading, attached)
    done = _Done()
    # Only for statements that are written: a late change of another day makes none of them wrong.
    missing = [one for one in todo.statements if not one.present]
    months = month_to_date(site, books, the_plan) if missing else {}
    for part in invoice_rows(site, books, the_plan.policy, day, todo.customers):
        detailed = royalties.with_rows(
            the_plan, {customer: [one.invoice for one in rows] for customer, rows in part.items()}
        )
        due = [one for one in missing if one.action.royalty.customer in part]
        due = with_lines(detailed, due, books.currency)
        # Both at once: neither needs the other, and ERPNext has a processor left while PDFs are made.
        with (
            rendered(site, due, months) as files,
            ThreadPoolExecutor(1, thread_name_prefix="annotating") as aside,
        ):
            annotating = aside.submit(_annotate, site, detailed, part, done, url)
            done.attached.add(attach_statements(site, the_plan, due, files, url))
            annotating.result()
    if todo.wrong and not done.changed:
        # Another run was there since the sums were read: what comes behind must not rely on them.
        site.client.remembered.forget()
    done.attached.add(keep_statements(site, [one for one in todo.statements if one.present]))
    owing = [one for one in the_plan.actions if one.entries]
    shares = sum((one.royalty.amount for one in owing if one.royalty.invoice_count), ZERO)
    seen = sum(one.royalty.invoice_count for one in the_plan.actions)
    attached_now, right = done.attached.written, done.attached.right
    return Outcome(
        NAME,
        day,
        seen=seen,
        written=done.annotated + attached_now,
        adopted=seen - len(done.touched) + right,
        amount=shares,
        plots={"royalty": shares},
        findings=(*done.script_not_used(day), *done.findings, *done.attached.findings),
        lines=(*done.lines, *done.attached.lines),
        facts={"statements": attached_now + right, "statements_attached": attached_now},
    )


class _Done:
    """What was written so far, part by part."""

    def __init__(self) -> None:
        self.annotated = 0
        self.changed = 0
        self.touched: set[str] = set()
        self.script_problem = ""
        self.findings: list[Finding] = []
        self.lines: list[PlanLine] = []
        self.attached = Attached()

    def script_not_used(self, day: date) -> list[Finding]:
        """That the site's Server Script did not annotate the invoices of `day` although it should."""
        if not self.script_problem:
            return []
        return [
            Finding(
                "warning",
                "annotation script not used",
                day.isoformat(),
                f"{self.script_problem}; the invoices were saved as documents",
                "Run `scoopjoy check`, or set SCOOPJOY_ANNOTATION_SCRIPT=off.",
            )
        ]


def _annotate(
    site: Site,
    the_plan: RoyaltyPlan,
    part: Mapping[str, Sequence[InvoiceRow]],
    done: _Done,
    url: Callable[[str, str], str],
) -> None:
    changed = changed_annotations(the_plan, part)
    written = write_annotations(site, changed)
    failed = written.failed
    done.changed += len(changed)
    done.script_problem = done.script_problem or written.script_problem
    done.annotated += len(changed) - len(failed)
    counted = {one.name for action in the_plan.actions for one in action.royalty.invoices if one.name}
    done.touched |= counted.intersection(one.invoice for one in changed)
    done.findings += [
        Finding(
            "error",
            "invoice not annotated",
            invoice,
            message,
            CONFLICT if lost(message) else "Fix what ERPNext names, then re-run `invoices` for this day.",
            passes=lost(message),
        )
        for invoice, message in sorted(failed.items())
    ]
    done.lines += [
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


def build(days: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    """The asset, on these business days."""

    @dg.asset(
        name=NAME,
        deps=[royalties.NAME],
        partitions_def=days,
        backfill_policy=BACKFILL,
        group_name=GROUP,
        owners=OWNERS,
        kinds={"erpnext", "pdf"},
        code_version="1",
        output_required=False,
        required_resource_keys=set(TOOLS),
        config_schema={},  # all that a run may set is in definitions.OVERRIDABLE
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
            lambda site, window, tools: plan_days(
                site, tools.royalty_policy.policy, window, url=tools.erpnext.document_url
            ),
        )

    return invoices
