"""`invoices`: every sale shows its share of the royalty, and every royalty has its statement."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date

import dagster as dg

from scoopjoy_dagster.accounting.money import ZERO
from scoopjoy_dagster.accounting.royalties import RoyaltyPlan
from scoopjoy_dagster.assets import royalties
from scoopjoy_dagster.assets.outcome import Outcome
from scoopjoy_dagster.assets.royalty_statements import (
    Attached,
    attach_statements,
    keep_statements,
    month_to_date,
    plan_statements,
    rendered,
    with_lines,
)
from scoopjoy_dagster.assets.runner import asset_of
from scoopjoy_dagster.assets.tools import Tools
from scoopjoy_dagster.erpnext.site import Books, Site
from scoopjoy_dagster.erpnext.statements import Attachment, attached_statements
from scoopjoy_dagster.steps import INVOICES

NAME = INVOICES.asset


def read_statements(site: Site, the_plan: RoyaltyPlan) -> dict[str, list[Attachment]]:
    """The statements on the first entries of a day; one list call."""
    return attached_statements(
        site, [action.entries[0].name for action in the_plan.actions if action.entries]
    )


def close(site: Site, day: date, tools: Tools) -> Outcome:
    """Read the day and bring its statements to what the ledger holds."""
    books = site.books()
    the_plan = royalties.read_day(site, books, tools.royalty_policy.policy, day)
    attached = read_statements(site, the_plan)
    return settle_statements(site, books, the_plan, attached, url=tools.erpnext.document_url)


def settle_statements(
    site: Site,
    books: Books,
    the_plan: RoyaltyPlan,
    attached: Mapping[str, Sequence[Attachment]],
    *,
    url: Callable[[str, str], str],
) -> Outcome:
    """Bring the statements of a day to what the ledger holds; writes only what differs."""
    day = the_plan.day
    unsettled = the_plan.unsettled()
    if unsettled:
        return Outcome(NAME, day, findings=(unsettled,))
    due = plan_statements(books, the_plan, attached)
    missing = [one for one in due if not one.present]
    months = month_to_date(site, books, the_plan) if missing else {}
    done = Attached()
    for part in with_lines(site, the_plan, missing, books.currency):
        with rendered(site, part, months) as files:
            done.add(attach_statements(site, the_plan, part, files, url))
    written = done.written
    done.add(keep_statements(site, [one for one in due if one.present]))
    stated = sum((one.royalty.amount for one in the_plan.actions if one.entries), ZERO)
    return Outcome(
        NAME,
        day,
        seen=len(due),
        written=written,
        adopted=done.right,
        amount=stated,
        plots={"royalty": stated},
        findings=tuple(done.findings),
        lines=tuple(done.lines),
        facts={"statements": written + done.right, "statements_attached": written},
    )


DESCRIPTION = """\
Generate Invoices (not critical): every invoice shows its royalty, every royalty has its statement.

**Green** means: a royalty statement (PDF, private) is attached to the first Journal Entry of each franchise, and replaced
when the day changes. Each sale shows its royalty rate, its share and the Journal Entries by itself: the entries carry the
shares, and nothing is written to a sale.

**Red** means: a statement is missing; the royalties themselves are booked and right. Read *What to do* in
`exception_table`, then materialize `invoices` for the day again: only what is missing is written.

**Figures**: `royalty` is the sum of the shares in company currency (INR); `seen` counts statements; `written` counts
those that were attached.
"""


def build(days: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    """The asset, on these business days."""
    return asset_of(INVOICES, close, days, description=DESCRIPTION, kinds={"erpnext", "pdf"})
