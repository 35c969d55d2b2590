"""Control totals of the royalties: the ledger equals the rule."""

import dagster as dg

from scoopjoy_dagster.accounting.totals import Verdict, combined, ledger_against_rule
from scoopjoy_dagster.assets import royalties
from scoopjoy_dagster.erpnext.errors import ERPNextError
from scoopjoy_dagster.partitions import day_of
from scoopjoy_dagster.resources.erpnext import ERPNextResource
from scoopjoy_dagster.resources.policy import RoyaltyPolicyResource

NAME = "ledger_equals_rule"


def build(days: dg.DailyPartitionsDefinition) -> dg.AssetChecksDefinition:
    """The check, on these business days."""

    @dg.asset_check(
        name=NAME,
        asset=royalties.NAME,
        partitions_def=days,
        blocking=True,
        description="Does the general ledger hold exactly the royalties that the rule says, franchise by franchise?",
    )
    def ledger_equals_rule(
        context: dg.AssetCheckExecutionContext,
        erpnext: ERPNextResource,
        royalty_policy: RoyaltyPolicyResource,
    ) -> dg.AssetCheckResult:
        policy = royalty_policy.policy
        try:
            with erpnext.open() as site:
                books = site.books()
                verdict = combined(
                    [
                        ledger_against_rule(royalties.plan(site, books, policy, day_of(key)))
                        for key in sorted(context.partition_keys)
                    ]
                )
        except ERPNextError as problem:
            # A check that gives no result would let the next assets go on.
            return dg.AssetCheckResult(
                passed=False,
                description=f"The ledger could not be read: {problem}",
                severity=dg.AssetCheckSeverity.ERROR,
            )
        return dg.AssetCheckResult(
            passed=verdict.ok,
            severity=dg.AssetCheckSeverity.ERROR,
            metadata=_metadata(verdict),
            description=_sentence(verdict),
        )

    return ledger_equals_rule


def _metadata(verdict: Verdict) -> dict[str, str]:
    return {
        "expected": f"{verdict.expected:.2f}",
        "actual": f"{verdict.actual:.2f}",
        "difference": f"{verdict.difference:.2f}",
        "worst_five": "; ".join(f"{name}: {amount:.2f}" for name, amount in verdict.worst) or "none",
    }


def _sentence(verdict: Verdict) -> str:
    if verdict.ok:
        return f"The ledger holds exactly {verdict.actual:.2f}."
    return f"The ledger holds {verdict.actual:.2f}, the rule says {verdict.expected:.2f}."
