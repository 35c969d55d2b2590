"""`royalties`: every franchise owes exactly its royalty for the day."""

from collections.abc import Callable
from datetime import date

import dagster as dg

from scoopjoy_dagster.accounting.findings import Finding
from scoopjoy_dagster.accounting.money import ZERO
from scoopjoy_dagster.accounting.policy import RoyaltyPolicy
from scoopjoy_dagster.accounting.royalties import Action, RoyaltyPlan, plan_royalties
from scoopjoy_dagster.assets import closed_shifts
from scoopjoy_dagster.assets.nightly import GROUP, OWNERS, close_days
from scoopjoy_dagster.assets.outcome import Outcome, PlanLine
from scoopjoy_dagster.erpnext import royalty_entries
from scoopjoy_dagster.erpnext.errors import ERPNextError, LoginFailed, Rejected, Unreachable
from scoopjoy_dagster.erpnext.site import Books, Site
from scoopjoy_dagster.resources.erpnext import ERPNextResource
from scoopjoy_dagster.resources.policy import RoyaltyPolicyResource

NAME = "royalties"


def plan(site: Site, books: Books, policy: RoyaltyPolicy, day: date) -> RoyaltyPlan:
    """What the rule and the ledger say for `day`. Reads only: franchises, invoices, our entries and their ledger rows."""
    franchises = royalty_entries.franchises(site, books.franchise_group)
    return plan_royalties(
        company=books.company,
        day=day,
        policy=policy,
        franchises=franchises,
        invoices=royalty_entries.base_invoices(site, books, policy, franchises, day),
        posted=royalty_entries.posted_entries(site, books, day),
        company_currency=books.currency,
    )


def checked_books(site: Site) -> Books:
    """The books, once accounts and cost center are seen to be right.

    Raises:
        Rejected: an account or the cost center cannot be posted to; nothing was posted.
    """
    books = site.books()
    problems = site.wrong_accounts(books)
    if problems:
        raise Rejected("check the accounts", "; ".join(problems))
    return books


def post_royalties(
    site: Site, policy: RoyaltyPolicy, day: date, *, url: Callable[[str, str], str]
) -> Outcome:
    """Post what is missing in the ledger of `day`; a franchise that fails never hides the others."""
    books = checked_books(site)
    the_plan = plan(site, books, policy, day)
    findings = list(the_plan.findings)
    if not the_plan.actions:
        findings.append(
            Finding(
                "warning",
                "no franchises",
                books.franchise_group,
                "ERPNext has no enabled Customer in this group or below it",
                "Check the Customer Group, and SCOOPJOY_FRANCHISE_GROUP.",
            )
        )
    lines: list[PlanLine] = []
    written = adopted = 0
    for action in the_plan.actions:
        name, kind = "", action.kind
        if kind in {"create", "adjust"}:
            try:
                done = royalty_entries.post_entry(site, books, action, day)
            except (LoginFailed, Unreachable):
                raise
            except ERPNextError as problem:
                findings.append(_not_posted(action, problem))
                lines.append(PlanLine("refuse", action.royalty.customer_name, action.amount, problem.said))
                continue
            name = done.name
            written += done.created
            adopted += not done.created
        adopted += kind == "adopt"
        lines.append(
            PlanLine(
                kind,
                action.royalty.customer_name,
                action.amount if kind in {"create", "adjust"} else action.royalty.amount,
                action.reason,
                name,
                url("Journal Entry", name) if name else "",
            )
        )
    return Outcome(
        NAME,
        day,
        seen=len(the_plan.actions),
        written=written,
        adopted=adopted,
        skipped=sum(action.kind == "skip" for action in the_plan.actions),
        amount=the_plan.due,
        findings=tuple(findings),
        lines=tuple(lines),
        facts={
            "policy_version": policy.version,
            "invoices": sum(len(action.royalty.invoices) for action in the_plan.actions),
            "base": str(sum((action.royalty.base for action in the_plan.actions), ZERO)),
            "currency": books.currency,
        },
    )


def _not_posted(action: Action, problem: ERPNextError) -> Finding:
    return Finding(
        "error",
        "royalty not posted",
        action.royalty.customer_name,
        f"{problem.said} (royalty of {action.amount:.2f})",
        "Mend what ERPNext names, then materialize royalties for the day again.",
    )


def build(days: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    """The asset, on these business days."""

    @dg.asset(
        name=NAME,
        deps=[closed_shifts.NAME],
        partitions_def=days,
        group_name=GROUP,
        owners=OWNERS,
        kinds={"erpnext"},
        code_version="1",
        tags={"scoopjoy/critical": "yes"},
    )
    def royalties(
        context: dg.AssetExecutionContext, erpnext: ERPNextResource, royalty_policy: RoyaltyPolicyResource
    ) -> None:
        """**Calculate Royalties** (critical). Every franchise owes exactly its royalty for the day.

        - Base: the day's submitted Sales Invoices of enabled customers in the franchise group or any group below it,
          returns with their sign. Rate: the franchise's own, or the policy's default. Rounded once per franchise and day.
        - One submitted Journal Entry per franchise: receivable account with the franchise as party, royalty income
          account with the cost center. It is an accrual, not a tax invoice.
        - A later change of the day is followed by one signed *adjustment* for the difference; posted entries are
          never edited, cancelled or deleted.
        - *amount* is the sum of all royalties of the day in company currency. *seen* counts franchises.
        """
        close_days(
            context,
            erpnext,
            lambda site, day: post_royalties(site, royalty_policy.policy, day, url=erpnext.document_url),
        )

    return royalties
