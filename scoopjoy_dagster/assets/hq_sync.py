"""`hq_sync`: headquarters holds the day's totals, acknowledged, equal to ours."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import dagster as dg

from scoopjoy_dagster.accounting.figures import Change
from scoopjoy_dagster.accounting.findings import Finding
from scoopjoy_dagster.assets.day_facts import DayFacts, read_day, with_deliveries
from scoopjoy_dagster.assets.outcome import Outcome, PlanLine
from scoopjoy_dagster.assets.runner import asset_of
from scoopjoy_dagster.assets.tools import Tools
from scoopjoy_dagster.erpnext.deliveries import (
    Delivery,
    announce,
    confirm,
    figures_told,
)
from scoopjoy_dagster.erpnext.site import Site
from scoopjoy_dagster.hq.delivery import (
    HQClient,
    HQError,
    HQRejected,
    HQUnavailable,
    Receipt,
    compare_receipt,
)
from scoopjoy_dagster.hq.payload import (
    FranchiseDay,
    PosDay,
    daily_totals,
    digest,
    idempotency_key,
    next_revision,
)
from scoopjoy_dagster.partitions import TIME_ZONE
from scoopjoy_dagster.steps import HQ_SYNC

NAME = HQ_SYNC.asset
RECIPIENT = "headquarters"
CONFLICTS = 5
"""How many revisions that headquarters has under other totals are stepped over before a person must look."""


def told_by_six(days: dg.DailyPartitionsDefinition) -> dg.FreshnessPolicy:
    """Late, if nothing was told between the end of the business day and 06:00.

    Dagster looks at the newest materialization, whichever day it is of: from its end on the newest day that can be closed
    is the one that has just ended, but a re-run of an old day looks just as fresh. Which days are missing says the watchdog.
    """
    since = timedelta(hours=6 - days.hour_offset, minutes=-days.minute_offset)
    return dg.FreshnessPolicy.cron("0 6 * * *", since, TIME_ZONE)


def totals_of(facts: DayFacts, revision: int, changes: Iterable[Change] = ()) -> dict[str, Any]:
    """The document for headquarters; see `hq.payload` for its schema. `changes`: since the revision before."""
    plan = facts.plan
    return daily_totals(
        company=plan.company,
        business_day=plan.day,
        revision=revision,
        currency=facts.books.currency,
        policy_name=plan.policy.name,
        policy_version=plan.policy_version,
        sales=facts.sales,
        pos=PosDay(len(facts.shifts), sum(shift.invoices for shift in facts.shifts), facts.pos_sales),
        franchises=[
            FranchiseDay(
                action.royalty.customer,
                action.royalty.customer_name,
                action.royalty.invoice_count,
                action.royalty.base,
                action.royalty.rate,
                action.royalty.amount,
                tuple(entry.name for entry in action.entries),
            )
            for action in plan.actions
        ],
        changes=[asdict(change) for change in changes],
    )


def plan(facts: DayFacts) -> tuple[Delivery | None, int, str]:
    """What was last on its way to headquarters, the revision that the day's totals have now, and their digest. Pure."""
    last = facts.told[-1] if facts.told else None
    wanted = digest(totals_of(facts, 0))[:32]
    return last, next_revision(last.revision if last else None, last.digest if last else None, wanted), wanted


def close(site: Site, day: date, tools: Tools) -> Outcome:
    """Read the day and deliver its totals."""
    if not tools.headquarters.configured:
        return _no_headquarters(day)
    return sync_day(
        site,
        read_day(site, tools.royalty_policy.policy, day),
        headquarters=tools.headquarters.client(),
        now=tools.clock.site_now(),
        resend=tools.close.resend,
    )


def _no_headquarters(day: date) -> Outcome:
    note = Finding(
        "warning",
        "no headquarters configured",
        day.isoformat(),
        "SCOOPJOY_HQ_URL is empty: nobody was told the day's totals",
        "Set SCOOPJOY_HQ_URL and SCOOPJOY_HQ_SECRET, then materialize hq_sync for the day again.",
    )
    return Outcome(NAME, day, skipped=1, findings=(note,))


def acknowledged(last: Delivery | None, revision: int) -> bool:
    """Whether headquarters has acknowledged this revision, and nothing newer was on its way."""
    return last is not None and last.revision == revision and last.confirmed


def sync_day(
    site: Site,
    facts: DayFacts,
    *,
    headquarters: HQClient,
    now: datetime,
    resend: bool = False,
) -> Outcome:
    """Deliver the totals of a day if headquarters has not acknowledged these very totals. `now` is site time.

    With `resend` they are delivered although it has: under the same key and revision, the receipt compared again.
    """
    day = facts.plan.day
    unsettled = facts.plan.unsettled()
    if unsettled:
        return Outcome(NAME, day, findings=(unsettled,))
    last, revision, wanted = plan(facts)
    if resend or not acknowledged(last, revision):
        facts = with_deliveries(site, facts)
        last, revision, wanted = plan(facts)
    done: dict[str, Any] = {
        "seen": 1,
        "amount": facts.plan.due,
        "plots": {"royalty": facts.plan.due, "sales": facts.sales},
    }
    if last and acknowledged(last, revision) and not resend:
        line = PlanLine(
            "adopt", RECIPIENT, facts.plan.due, f"revision {revision} is acknowledged", last.reference
        )
        return Outcome(
            NAME,
            day,
            adopted=1,
            lines=(line,),
            # The digest that was acknowledged is the digest of these totals.
            facts={"revision": revision, "receipt": last.reference, "acknowledged": f"{facts.plan.due:.2f}"},
            **done,
        )
    try:
        delivery, payload, receipt = _deliver(headquarters, site, facts, revision, wanted)
    except HQError as problem:
        away = isinstance(problem, HQUnavailable)
        return Outcome(NAME, day, findings=(_not_told(day, str(problem), passes=away),), **done)
    differences = compare_receipt(payload, receipt)
    if differences:
        return Outcome(
            NAME,
            day,
            findings=(_not_told(day, "the receipt differs from what was sent: " + "; ".join(differences)),),
            **done,
        )
    held = delivery.revision
    confirm(site, delivery, receipt.receipt_id, now)
    again = "sent again and " if delivery.confirmed else ""
    said = f"revision {held} was {again}acknowledged"
    line = PlanLine("create", RECIPIENT, facts.plan.due, said, receipt.receipt_id)
    return Outcome(
        NAME,
        day,
        written=1,
        lines=(line,),
        facts={
            "revision": held,
            "receipt": receipt.receipt_id,
            "acknowledged": f"{Decimal(str(receipt.totals['royalty'])):.2f}",
        },
        **done,
    )


def _deliver(
    headquarters: HQClient, site: Site, facts: DayFacts, revision: int, wanted: str
) -> tuple[Delivery, Mapping[str, Any], Receipt]:
    """Deliver under the first free revision: headquarters may hold one that a restored ERPNext knows nothing of."""
    records = {one.revision: one for one in facts.told}
    changes: tuple[Change, ...] = ()
    if revision:
        changes = facts.changes_since(figures_told(site, facts.told, revision))
    for step in range(CONFLICTS):
        payload = totals_of(facts, revision + step, changes)
        record = records.get(revision + step) or announce(
            site,
            facts.books.company,
            Delivery("hq", facts.plan.day, RECIPIENT, revision + step, wanted),
            facts.figures,
        )
        try:
            receipt = headquarters.deliver(
                payload, event="daily_totals", idempotency_key=idempotency_key(payload)
            )
        except HQRejected as problem:
            if problem.status != 409 or step == CONFLICTS - 1:
                raise
        else:
            return record, payload, receipt
    raise AssertionError


def _not_told(day: date, message: str, *, passes: bool = False) -> Finding:
    return Finding(
        "error",
        "headquarters not told",
        day.isoformat(),
        message,
        "Fix what the message names, then re-run `hq_sync` for this day.",
        passes=passes,
    )


DESCRIPTION = """\
Sync to HQ (not critical): headquarters holds the day's totals, acknowledged, equal to ours.

**Green** means: headquarters has answered with a receipt, the receipt says what we sent, and it is kept in ERPNext
(list *ScoopJoy Delivery*). Totals that it has are not sent again; a day that changed goes out as the next revision.

**Red** means: headquarters was not told, or answered something else. The books are right all the same. Read *What to
do* in `exception_table`; then materialize `hq_sync` for the day again. Headquarters has lost the day? Materialize
with `resend: true` in the launchpad.

**Late** (freshness): nothing was told since the business day ended, and it is past 06:00.

**Figures**: `royalty` is the sum of all royalties of the day and `sales` the invoices of all franchises, tax included,
both in company currency (INR); `revision` counts from 0; `receipt` is headquarters' own number.
"""


def build(days: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    """The asset, on these business days."""
    return asset_of(
        HQ_SYNC, close, days, description=DESCRIPTION, kinds={"erpnext", "http"}, freshness=told_by_six(days)
    )
