"""`invoices`: every invoice carries its share of the royalty, and every royalty has its statement."""

from collections.abc import Callable
from datetime import date

import dagster as dg

from scoopjoy_dagster.accounting.findings import Finding
from scoopjoy_dagster.accounting.keys import revision_of
from scoopjoy_dagster.accounting.money import ZERO
from scoopjoy_dagster.accounting.policy import RoyaltyPolicy
from scoopjoy_dagster.accounting.royalties import Action, RoyaltyPlan
from scoopjoy_dagster.assets import royalties
from scoopjoy_dagster.assets.nightly import GROUP, OWNERS, close_days
from scoopjoy_dagster.assets.outcome import Outcome, PlanLine
from scoopjoy_dagster.erpnext import statements
from scoopjoy_dagster.erpnext.errors import ERPNextError, LoginFailed, Unreachable
from scoopjoy_dagster.erpnext.invoice_royalty import Annotation, read_annotations, write_annotations
from scoopjoy_dagster.erpnext.site import Books, Site
from scoopjoy_dagster.reporting.digest import statement_digest, statement_file_name
from scoopjoy_dagster.reporting.model import RoyaltyStatement, StatementEntry, StatementLine
from scoopjoy_dagster.resources.erpnext import ERPNextResource
from scoopjoy_dagster.resources.policy import RoyaltyPolicyResource

NAME = "invoices"


def wanted_annotations(plan: RoyaltyPlan) -> list[Annotation]:
    """What every invoice of the day must carry; nothing (zeros) where no royalty is in the ledger."""
    wanted: list[Annotation] = []
    for action in plan.actions:
        royalty = action.royalty
        if not action.entries:
            wanted += [Annotation(invoice.name, ZERO, ZERO, "") for invoice in royalty.invoices]
            continue
        first = action.entries[0].name
        shares = royalty.shares(plan.policy.precision)
        wanted += [Annotation(name, royalty.rate, share, first) for name, share in shares.items()]
    return wanted


def statement_of(plan: RoyaltyPlan, action: Action, currency: str) -> RoyaltyStatement:
    """The royalty statement of a franchise whose royalty is in the ledger."""
    royalty = action.royalty
    shares = royalty.shares(plan.policy.precision)
    return RoyaltyStatement(
        company=plan.company,
        customer=royalty.customer,
        customer_name=royalty.customer_name,
        business_day=plan.day,
        currency=currency,
        policy=plan.policy.sentence,
        policy_version=royalty.policy_version,
        rate=royalty.rate,
        base=royalty.base,
        royalty=royalty.amount,
        lines=tuple(
            StatementLine(invoice.name, plan.day, invoice.is_return, invoice.base, shares[invoice.name])
            for invoice in royalty.invoices
        ),
        entries=tuple(
            StatementEntry(
                entry.name,
                plan.day,
                revision_of(entry.key),
                entry.amount,
                "adjustment after a change of the day's invoices or rate"
                if revision_of(entry.key)
                else "royalty of the day",
            )
            for entry in action.entries
        ),
    )


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
    present = read_annotations(site, [one.invoice for one in wanted])
    changed = [one for one in wanted if present.get(one.invoice) != one]
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
            f"{one.rate:f} %",
            one.journal_entry,
            url("Sales Invoice", one.invoice),
        )
        for one in changed
        if one.invoice not in failed
    ]
    attached, right, problems, more = _attach_statements(site, books, plan, url)
    return Outcome(
        NAME,
        day,
        seen=len(wanted),
        written=len(changed) - len(failed) + attached,
        adopted=len(wanted) - len(changed) + right,
        amount=sum((one.share for one in wanted), ZERO),
        findings=(*findings, *problems),
        lines=(*lines, *more),
        facts={"statements": attached + right, "statements_attached": attached},
    )


def _attach_statements(
    site: Site, books: Books, plan: RoyaltyPlan, url: Callable[[str, str], str]
) -> tuple[int, int, list[Finding], list[PlanLine]]:
    """Attach the statements that are missing or changed. Returns attached, right already, findings, lines."""
    from scoopjoy_dagster.reporting.pdf import statement_pdf

    due = [action for action in plan.actions if action.entries]
    present = statements.attached_statements(site, [action.entries[0].name for action in due])
    attached = right = 0
    findings: list[Finding] = []
    lines: list[PlanLine] = []
    for action in due:
        entry = action.entries[0].name
        statement = statement_of(plan, action, books.currency)
        name = statement_file_name(plan.day, entry, statement_digest(statement))
        found = present.get(entry, [])
        same = [one for one in found if statements.same_statement(one.file_name, name)]
        old = [one for one in found if one not in same[:1]]
        try:
            if not same:
                statements.replace_statement(site, entry, name, statement_pdf(statement), old)
                attached += 1
                lines.append(
                    PlanLine(
                        "create",
                        action.royalty.customer_name,
                        statement.royalty,
                        name,
                        entry,
                        url("Journal Entry", entry),
                    )
                )
                continue
            statements.remove_statements(site, old)
            right += 1
        except (LoginFailed, Unreachable):
            raise
        except ERPNextError as problem:
            findings.append(
                Finding(
                    "error",
                    "statement not attached",
                    f"{action.royalty.customer_name}: {entry}",
                    problem.said,
                    "Mend what ERPNext names, then materialize invoices for the day again.",
                )
            )
    return attached, right, findings, lines


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
        tags={"scoopjoy/critical": "no"},
    )
    def invoices(
        context: dg.AssetExecutionContext, erpnext: ERPNextResource, royalty_policy: RoyaltyPolicyResource
    ) -> None:
        """**Generate Invoices** (not critical). Every invoice shows its royalty, every royalty has its statement.

        - Each submitted Sales Invoice of the day that bore royalty carries the rate, its share and the Journal Entry;
          the shares of a franchise add up to its royalty to the paisa.
        - A royalty statement (PDF, private) is attached to the franchise's Journal Entry, and replaced when the day
          changes.
        - *amount* is the sum of the shares in company currency. *seen* counts invoices; *written* counts annotations
          and statements.
        """
        close_days(
            context,
            erpnext,
            lambda site, day: annotate_invoices(site, royalty_policy.policy, day, url=erpnext.document_url),
        )

    return invoices
