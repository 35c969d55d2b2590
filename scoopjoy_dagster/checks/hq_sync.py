"""Control totals of `hq_sync`: what headquarters acknowledged is what the day is now, by the record in ERPNext."""

from collections.abc import Iterator
from datetime import date

import dagster as dg

from scoopjoy_dagster.accounting.comparisons import headquarters_equals_ours
from scoopjoy_dagster.accounting.money import ZERO
from scoopjoy_dagster.accounting.past import week_begins
from scoopjoy_dagster.accounting.totals import Verdict
from scoopjoy_dagster.assets import hq_sync
from scoopjoy_dagster.assets.day_facts import DayFacts, read_day
from scoopjoy_dagster.assets.hq_sync import NAME
from scoopjoy_dagster.checks.answers import Answer, Questions, answered, specs, step_name
from scoopjoy_dagster.erpnext.deliveries import figures_told
from scoopjoy_dagster.erpnext.site import Site
from scoopjoy_dagster.resources.erpnext import ERPNextResource
from scoopjoy_dagster.resources.headquarters import HeadquartersResource
from scoopjoy_dagster.resources.policy import RoyaltyPolicyResource


def _compare(site: Site, facts: DayFacts) -> Verdict:
    newest, revision, _ = hq_sync.plan(facts)
    last = next((one for one in reversed(facts.told) if one.confirmed), None)
    if last is None:
        return headquarters_equals_ours(facts.figures, None, revision=None, same=False)
    same = hq_sync.acknowledged(newest, revision)  # the digest of all totals is the same
    told = facts.figures if same else figures_told(site, [last], last.revision + 1)
    return headquarters_equals_ours(facts.figures, told, revision=last.revision, same=same)


def _nobody() -> Verdict:
    sentence = "No headquarters is configured (SCOOPJOY_HQ_URL is empty)."
    return Verdict(ok=True, expected=ZERO, actual=ZERO, sentence=sentence)


def build(days: dg.DailyPartitionsDefinition) -> dg.AssetChecksDefinition:
    """The checks, on these business days."""

    @dg.multi_asset_check(name=step_name(NAME), specs=specs(NAME, days), can_subset=True)
    def hq_sync_control_totals(
        context: dg.AssetCheckExecutionContext,
        erpnext: ERPNextResource,
        royalty_policy: RoyaltyPolicyResource,
        headquarters: HeadquartersResource,
    ) -> Iterator[Answer]:
        def about(site: Site, day: date) -> Questions:
            def agree() -> Verdict:
                if not headquarters.configured:
                    return _nobody()
                return _compare(site, read_day(site, royalty_policy.policy, day, since=week_begins(day)))

            return {"does_headquarters_agree": agree}

        yield from answered(context, erpnext, NAME, about)

    return hq_sync_control_totals
