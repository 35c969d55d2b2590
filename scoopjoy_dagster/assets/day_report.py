"""From a settled day's facts to the report's frames."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from scoopjoy_dagster.accounting.past import Past
from scoopjoy_dagster.assets.day_facts import DayFacts, read_past, with_rows
from scoopjoy_dagster.erpnext.site import Site

if TYPE_CHECKING:
    import pandas as pd

    from scoopjoy_dagster.reporting.model import DayReport

HISTORY_DAYS = 14


def day_report(site: Site, facts: DayFacts) -> DayReport:
    """The day of the whole chain with the days before it. Revision 0. Reads only."""
    return report_of(with_rows(site, facts), read_past(site, facts))


def report_of(facts: DayFacts, past: Past, view: str = "") -> DayReport:
    """The facts as frames. Revision 0.

    Args:
        facts: of the whole chain, or of some outlets; the frame of invoices is empty where they have no rows.
        past: of the same outlets; empty where only the identity of the report is asked for.
        view: what those outlets are called; empty: the whole chain.
    """
    import pandas as pd

    from scoopjoy_dagster.reporting.model import FRAMES, DayReport

    plan, day = facts.plan, facts.plan.day

    def frame(name: str, rows: Sequence[dict[str, object]]) -> pd.DataFrame:
        return pd.DataFrame(rows, columns=list(FRAMES[name]), dtype=object)

    invoices = _invoice_rows(facts)
    days = [day - timedelta(days=back) for back in range(HISTORY_DAYS - 1, -1, -1)]
    history = [(one, past.figures(one, one)) for one in days]
    return DayReport(
        company=plan.company,
        business_day=day,
        currency=facts.books.currency,
        revision=0,
        policy=plan.policy_sentence,
        policy_version=plan.policy_version,
        outlets=frame(
            "outlets",
            [
                {
                    "customer": action.royalty.customer,
                    "customer_name": action.royalty.customer_name,
                    "invoices": action.royalty.invoice_count,
                    "base": action.royalty.base,
                    "rate": action.royalty.rate,
                    "royalty": action.royalty.amount,
                    "journal_entries": ", ".join(entry.name for entry in action.entries),
                    "note": action.reason if action.kind == "skip" else "",
                }
                for action in plan.actions
            ],
        ),
        shifts=frame(
            "shifts",
            [
                {
                    "opening": shift.opening.name,
                    "pos_profile": shift.opening.pos_profile,
                    "cashier": shift.opening.user,
                    "closing": shift.closing,
                    "invoices": shift.invoices,
                    "returns": shift.returns,
                    "sales": shift.sales,
                }
                for shift in facts.shifts
            ],
        ),
        payments=frame(
            "payments",
            [
                {
                    "pos_profile": payment.opening.pos_profile,
                    "opening": payment.opening.name,
                    "mode_of_payment": payment.mode,
                    "opening_amount": payment.opening_amount,
                    "expected": payment.expected,
                    "counted": payment.counted,
                    "difference": payment.difference,
                }
                for payment in facts.payments
            ],
        ),
        invoices=frame("invoices", invoices),
        history=frame(
            "history",
            [{"day": one, "sales": figures.sales, "royalty": figures.royalty} for one, figures in history],
        ),
        findings=facts.findings,
        totals={
            "sales": facts.sales,
            "royalty": plan.due,
            "pos_sales": facts.pos_sales,
            "invoices": Decimal(sum(action.royalty.invoice_count for action in plan.actions)),
        },
        past=past,
        view=view,
        newest_invoices={
            action.royalty.customer: action.royalty.newest_invoice
            for action in plan.actions
            if action.royalty.invoice_count
        },
    )


def _invoice_rows(facts: DayFacts) -> list[dict[str, object]]:
    plan = facts.plan
    rows: list[dict[str, object]] = []
    for action in plan.actions:
        royalty = action.royalty
        if any(not invoice.name for invoice in royalty.invoices):
            continue
        rows += [
            {
                "invoice": invoice.name,
                "customer": royalty.customer,
                "customer_name": royalty.customer_name,
                "posting_date": plan.day,
                "is_return": invoice.is_return,
                "currency": invoice.currency,
                "base": invoice.base,
                "rate": royalty.rate,
                "royalty": invoice.share,
            }
            for invoice in royalty.invoices
        ]
    return rows
